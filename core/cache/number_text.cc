// SPDX-License-Identifier: MIT
#include "cache/number_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace tidegate {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Is it beyond the doubles, or below them? Of a number that is neither 0 nor a double.
bool is_too_large(std::string_view number) {
  constexpr int64_t kFar = 1'000'000'000'000;  // no text is so long
  const size_t e = std::min(number.find_first_of("eE"), number.size());
  const std::string_view mantissa = number.substr(0, e);
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  int64_t first = static_cast<int64_t>(point);  // where the first digit is that counts
  for (size_t i = 0; i < mantissa.size(); ++i)
    if (mantissa[i] >= '1' && mantissa[i] <= '9') {
      first = static_cast<int64_t>(point) - static_cast<int64_t>(i);
      break;
    }
  int64_t exponent = 0;
  bool negative = false;
  for (const char c : number.substr(std::min(e + 1, number.size()))) {
    if (c == '-') negative = true;
    if (is_digit(c)) exponent = std::min(exponent * 10 + (c - '0'), kFar);
  }
  return first + (negative ? -exponent : exponent) > 0;
}

}  // namespace

std::string number_text(double x) {
  if (x == 0) return "0";
  char text[32];
  const auto written =
      std::to_chars(text, text + sizeof text, std::abs(x), std::chars_format::scientific);
  const std::string_view shortest(text, static_cast<size_t>(written.ptr - text));
  const size_t e = shortest.find('e');
  std::string digits(1, shortest[0]);
  if (e > 2) digits.append(shortest.substr(2, e - 2));
  const int point = std::atoi(std::string(shortest.substr(e + 1)).c_str()) + 1;
  const int count = static_cast<int>(digits.size());
  std::string out = x < 0 ? "-" : "";
  if (count <= point && point <= 21)
    return out.append(digits).append(static_cast<size_t>(point - count), '0');
  if (0 < point && point <= 21)
    return out.append(digits, 0, static_cast<size_t>(point))
        .append(".")
        .append(digits, static_cast<size_t>(point));
  if (-6 < point && point <= 0)
    return out.append("0.").append(static_cast<size_t>(-point), '0').append(digits);
  out += digits[0];
  if (count > 1) out.append(".").append(digits, 1);
  return out.append(point > 0 ? "e+" : "e-").append(std::to_string(std::abs(point - 1)));
}

std::string integer_text(double x) {
  if (x == 0) return "0";
  char text[320];  // DBL_MAX has 309 digits
  const auto written = std::to_chars(text, text + sizeof text, x, std::chars_format::fixed, 0);
  return {text, written.ptr};
}

std::optional<double> nearest_double(std::string_view json_number) {
  const bool negative = json_number.starts_with('-');
  if (negative) json_number.remove_prefix(1);
  const std::string_view mantissa = json_number.substr(0, json_number.find_first_of("eE"));
  if (mantissa.find_first_of("123456789") == mantissa.npos) return 0.0;
  double x = 0;
  const char* const end = json_number.data() + json_number.size();
  const auto read = std::from_chars(json_number.data(), end, x);
  // Both ends of the range are one error there, and some versions give the value all the same.
  if (read.ec != std::errc() || std::isinf(x) || x == 0) {
    if (is_too_large(json_number)) return std::nullopt;
    if (read.ec != std::errc()) x = 0;
  }
  return negative ? -x : x;
}

}  // namespace tidegate
