// SPDX-License-Identifier: MIT
// A time as a policy writes it. Pure functions: any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tidegate {

// RFC 3339 in us since 1970, none before: `T` and `Z` in capitals, at most six digits of a second,
// no second 60.
std::optional<int64_t> parse_until(std::string_view text);

}  // namespace tidegate
