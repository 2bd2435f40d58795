// SPDX-License-Identifier: MIT
#include "stats/labels.h"

#include "base/json.h"
#include "base/text.h"

namespace tidegate {
namespace {

constexpr size_t kShown = 3, kTooShort = 6;  // characters
constexpr int kHashDigits = 10;

// The first `most` characters, or all, and how many those are.
std::pair<std::string_view, size_t> first_characters(std::string_view text, size_t most) {
  size_t at = 0, count = 0;
  for (; at < text.size() && count < most; ++count) at += decode_utf8(text, at).second;
  return {text.substr(0, at), count};
}

}  // namespace

std::string Labels::of(std::string_view key, const Fingerprint& print) const {
  if (mode == LabelMode::kClear) {
    if (key.size() <= kMostClear) return std::string(key);
    size_t end = 0;
    for (size_t next = 0; next <= kMostClear - 3; next += decode_utf8(key, next).second) end = next;
    return std::string(key.substr(0, end)) + "...";
  }
  std::string label;
  if (mode == LabelMode::kMasked && first_characters(key, kTooShort + 1).second > kTooShort)
    label = first_characters(key, kShown).first;
  label += '~';
  for (int digit = 0; digit < kHashDigits; ++digit)
    label += kLowerHex[print.high >> (60 - 4 * digit) & 15];
  return label;
}

}  // namespace tidegate
