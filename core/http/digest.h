// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace tidegate {

using Sha256 = std::array<unsigned char, 32>;

// Any thread. Nothing: OpenSSL has no memory.
std::optional<Sha256> sha256(std::string_view bytes);

}  // namespace tidegate
