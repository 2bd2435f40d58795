// SPDX-License-Identifier: MIT
// Numbers as text, as keys need them: the same in every language. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tidegate {

// A finite double as ECMAScript writes it (Number::toString, which RFC 8785 adopts); -0 is 0.
std::string number_text(double x);

// The exact value of an integral double, all of its digits.
std::string integer_text(double x);

// The nearest double to a JSON number that has a fraction or an exponent, ties to even; nothing
// where that is infinite. What is too small is 0.
std::optional<double> nearest_double(std::string_view json_number);

}  // namespace tidegate
