// SPDX-License-Identifier: MIT
#include "cache/unicode.h"

namespace tidegate {
namespace {

// How many bytes the sequence has that `lead` begins; 0: none.
size_t sequence_size(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

// What the second byte may be: overlong forms, surrogates and what is beyond U+10FFFF are refused.
bool second_fits(unsigned char lead, unsigned char second) {
  const unsigned char least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned char most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  return second >= least && second <= most;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const size_t size = sequence_size(lead);
    if (size == 0 || size > text.size() - at) return false;
    if (size > 1 && !second_fits(lead, static_cast<unsigned char>(text[at + 1]))) return false;
    for (size_t i = 2; i < size; ++i)
      if ((static_cast<unsigned char>(text[at + i]) & 0xc0) != 0x80) return false;
    at += size;
  }
  return true;
}

void append_utf8(std::string& out, uint32_t code_point) {
  const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
  const auto follow = [&](int shift) { put(0x80 | (code_point >> shift & 0x3f)); };
  if (code_point < 0x80) return put(code_point);
  if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    follow(6);
  } else {
    put(0xf0 | code_point >> 18);
    follow(12);
    follow(6);
  }
  follow(0);
}

}  // namespace tidegate
