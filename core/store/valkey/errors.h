// SPDX-License-Identifier: MIT
// What a server says, in our codes, and where each is counted.
#pragma once

#include <string_view>

#include "base/result.h"
#include "stats/metrics.h"

namespace tidegate {

// The text of an error reply, with or without its leading "-". kStore for what has no code of its
// own.
Code code_of_error(std::string_view reply);
// True for NOSCRIPT: the program certainly did not run.
bool is_noscript(std::string_view reply);
Counter counter_of(Code code);

}  // namespace tidegate
