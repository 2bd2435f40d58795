// SPDX-License-Identifier: MIT
// UTF-8 as keys need it: is it whole, and which name comes first. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate {

// RFC 3629: no surrogate, nothing overlong, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text);

void append_utf8(std::string& out, uint32_t code_point);

// By UTF-16 code units, as RFC 8785 orders names: U+10000 and above come before U+E000. An
// order of all bytes, UTF-8 or not.
inline bool utf16_less(std::string_view a, std::string_view b) {
  const auto weight = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == 0xee || byte == 0xef ? byte + 0x100 : byte;
  };
  const size_t both = a.size() < b.size() ? a.size() : b.size();
  for (size_t i = 0; i < both; ++i)
    if (a[i] != b[i]) return weight(a[i]) < weight(b[i]);
  return a.size() < b.size();
}

}  // namespace tidegate
