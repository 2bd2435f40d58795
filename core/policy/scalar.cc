// SPDX-License-Identifier: MIT
#include "policy/document.h"

namespace tidegate {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes the digits at the begin: whether there were some.
bool take_digits(std::string_view& text) {
  const size_t size = std::min(text.find_first_not_of("0123456789"), text.size());
  text.remove_prefix(size);
  return size > 0;
}

bool take(std::string_view& text, std::string_view any) {
  if (text.empty() || any.find(text.front()) == any.npos) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Document::Kind scalar_kind(std::string_view text) {
  using Kind = Document::Kind;
  if (text.empty() || (!is_digit(text.front()) && text.front() != '-')) {
    if (text == "null") return Kind::kNull;
    if (text == "true" || text == "false") return Kind::kBool;
    return text == "NaN" || text == "Infinity" ? Kind::kFloat : Kind::kText;
  }
  if (text == "-Infinity") return Kind::kFloat;
  take(text, "-");
  const bool zero = text.starts_with('0');
  if (zero ? !take(text, "0") : !take_digits(text)) return Kind::kText;
  if (text.empty()) return Kind::kInteger;
  if (take(text, ".") && !take_digits(text)) return Kind::kText;
  if (take(text, "eE")) {
    take(text, "+-");
    if (!take_digits(text)) return Kind::kText;
  }
  return text.empty() ? Kind::kFloat : Kind::kText;
}

}  // namespace tidegate
