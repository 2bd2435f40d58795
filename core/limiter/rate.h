// SPDX-License-Identifier: MIT
// "100/minute burst 20; 1000/hour", "5 at once": the text of one or more rates, parsed once for
// every language.
//
//   auto rates = tidegate::parse_rates("10/second; 1000/hour", Algorithm::kTokenBucket);
//   if (!rates) print(rates.error().message);   // shows the text, the position, what was expected
#pragma once

#include <string_view>
#include <vector>

#include "limiter/numbers.h"

namespace tidegate {

inline constexpr size_t kMaxRates = 8;

//   rates = rate { sep rate } [ sep ]        each with another window; sep = ";" | ","
//   rate  = count ( "/" | "per" ) [ digits ] unit [ "burst" count ] [ "overdraft" count ]
//         | count "at" "once"                slots, whatever the algorithm of the rates
// Blanks are free between words, and words are of any case. kRate with the byte offset of what did
// not parse. O(length).
Result<std::vector<Numbers>> parse_rates(std::string_view text, Algorithm algorithm,
                                         int64_t lease_us = kDefaultLeaseUs);

// "30s", "1500 ms", "minute": how long slots are held. kRate as above.
Result<int64_t> parse_lease(std::string_view text);

// The same of any time up to 366 days: "1h", "48 h", "10s".
Result<int64_t> parse_duration(std::string_view text);

// The name of a limiter that was given none: its rates' texts joined by "_".
std::string default_name(const std::vector<Numbers>& rates);

}  // namespace tidegate
