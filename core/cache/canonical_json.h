// SPDX-License-Identifier: MIT
// JSON in the one form that says the same (RFC 8785), so that two bodies that differ in nothing but
// spelling are one key.
//
//   canonical_json(R"({"b": 1.0, "a": 2, "user": "u"})", names) -> {"a":2,"b":1}
//
// Nothing where not all readers would agree on what a text says; whoever asks then uses the bytes
// themselves: not UTF-8; not RFC 8259 to the last byte; deeper than kMaxKeyDepth; a name twice in
// one object; half a surrogate pair; a number beyond the doubles. Integers keep their digits.
//
// Any thread. Time and memory grow with the text (n log n where names are sorted), the stack does
// not.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tidegate {

inline constexpr int kMaxKeyDepth = 64;  // arrays and objects, or lists and maps, in one another

// Without the members of the outermost object that `leave_out` names; they are judged all the same.
std::optional<std::string> canonical_json(std::string_view text,
                                          std::span<const std::string> leave_out);

}  // namespace tidegate
