// SPDX-License-Identifier: MIT
// "100/minute burst 20; 1000/hour": the text of one or more rates, parsed once for every language.
//
//   auto rates = tidegate::parse_rates("10/second; 1000/hour", Algorithm::kTokenBucket);
//   if (!rates) print(rates.error().message);   // shows the text, the position, what was expected
#pragma once

#include <string_view>
#include <vector>

#include "limiter/numbers.h"

namespace tidegate {

inline constexpr size_t kMaxRates = 8;

// The grammar is api.md's: rates = rate { ";" rate } [ ";" ], each with another window.
// kRate with the byte offset of what did not parse. O(length).
Result<std::vector<Numbers>> parse_rates(std::string_view text, Algorithm algorithm);

// The name of a limiter that was given none: its rates' texts joined by "_".
std::string default_name(const std::vector<Numbers>& rates);

}  // namespace tidegate
