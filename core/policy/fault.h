// SPDX-License-Identifier: MIT
// How faults name places and values. Pure functions: any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

// `text` as a JSON string: quotes, backslashes and control characters escaped; UTF-8 as it is,
// bytes that are none as U+FFFD.
void append_json_text(std::string& out, std::string_view text);

// The step to a member: ".name", or ["a b"] where that is needed. At the top there is no dot.
void append_step(std::string& path, std::string_view name);
void append_step(std::string& path, size_t index);

// "expected one of a, b, c", at most a line of them, and the name that may have been meant.
std::string expected_one_of(std::string_view name, const std::vector<std::string_view>& names);

}  // namespace tidegate
