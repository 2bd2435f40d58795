// SPDX-License-Identifier: MIT
// Small things that every room does with text. Any thread.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace tidegate {

inline constexpr std::string_view kLowerHex = "0123456789abcdef";
inline constexpr std::string_view kUpperHex = "0123456789ABCDEF";

// The digit's value, or -1.
constexpr int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// ASCII only, whatever the locale says.
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
inline std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = lower(c);
  return out;
}

// Each byte as two lower-case digits.
inline void append_hex(std::string& out, const unsigned char* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i)
    out.append({kLowerHex[bytes[i] >> 4], kLowerHex[bytes[i] & 15]});
}

// Bytes that a terminal or a log would act on (control characters, DEL) as \xNN: what comes from a
// server into a one-line message.
inline std::string printable(std::string_view text) {
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f)
      out += c;
    else
      out.append({'\\', 'x', kLowerHex[byte >> 4], kLowerHex[byte & 15]});
  }
  return out;
}

// `text` in double quotes; quotes, backslashes and bytes that are no printable ASCII as \xNN. Of a
// long text only the `most` bytes near `position` are shown, so that a message stays one line.
inline std::string quote(std::string_view text, size_t position = 0, size_t most = 80) {
  size_t begin = 0;
  if (text.size() > most && position > most / 2)
    begin = std::min(position - most / 2, text.size() - most);
  const std::string_view shown = text.substr(begin, most);
  std::string out = begin > 0 ? "...\"" : "\"";
  for (char c : shown) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      out += c;
    } else {
      out.append({'\\', 'x', kLowerHex[byte >> 4], kLowerHex[byte & 15]});
    }
  }
  out += '"';
  if (begin + shown.size() < text.size()) out += "...";
  return out;
}

}  // namespace tidegate
