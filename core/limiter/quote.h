// SPDX-License-Identifier: MIT
// Text of somebody else's inside a one-line message. Any thread.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace tidegate {

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
      constexpr char kHex[] = "0123456789abcdef";
      out.append({'\\', 'x', kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  out += '"';
  if (begin + shown.size() < text.size()) out += "...";
  return out;
}

}  // namespace tidegate
