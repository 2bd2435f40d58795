// SPDX-License-Identifier: MIT
#include "policy/fault.h"

#include <algorithm>

#include "base/text.h"
#include "policy/policy.h"

namespace tidegate {
namespace {

constexpr size_t kMostShown = 12;        // names in one message
constexpr size_t kLongestCompared = 64;  // no longer name is near to any

bool plain_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

// How long the UTF-8 character at the begin of `text` is; 0: it is none.
size_t character_size(std::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  if (byte(0) < 0x80) return 1;
  if (byte(0) >= 0xc2 && byte(0) < 0xe0) return follows(1) ? 2 : 0;
  if (byte(0) >= 0xe0 && byte(0) < 0xf0) {
    if (byte(0) == 0xe0 && byte(1) < 0xa0) return 0;
    if (byte(0) == 0xed && byte(1) >= 0xa0) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (byte(0) < 0xf0 || byte(0) > 0xf4) return 0;
  if (byte(0) == 0xf0 && byte(1) < 0x90) return 0;
  if (byte(0) == 0xf4 && byte(1) >= 0x90) return 0;
  return follows(1) && follows(2) && follows(3) ? 4 : 0;
}

void append_escaped(std::string& out, char c) {
  constexpr std::string_view kFrom = "\"\\\n\r\t\b\f", kTo = "\"\\nrtbf";
  if (const size_t at = kFrom.find(c); at != kFrom.npos) {
    out.append({'\\', kTo[at]});
  } else if (static_cast<unsigned char>(c) < 0x20) {
    out.append("\\u00").append({kLowerHex[c >> 4], kLowerHex[c & 15]});
  } else {
    out += c;
  }
}

// How many letters are changed, added or left out between two names.
size_t distance(std::string_view a, std::string_view b) {
  size_t row[kLongestCompared + 1];
  for (size_t i = 0; i <= b.size(); ++i) row[i] = i;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t corner = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = corner + (lower(a[i - 1]) != lower(b[j - 1]));
      corner = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string_view nearest(std::string_view name, const std::vector<std::string_view>& names) {
  std::string_view found;
  size_t least = name.size() / 3 + 1;
  for (const std::string_view other : names) {
    if (name.size() > kLongestCompared || other.size() > kLongestCompared) continue;
    const size_t apart = distance(name, other);
    if (apart > least || (apart == least && !found.empty())) continue;
    least = apart;
    found = other;
  }
  return found;
}

}  // namespace

void append_json_text(std::string& out, std::string_view text) {
  out += '"';
  for (size_t i = 0; i < text.size();) {
    const size_t size = character_size(text.substr(i));
    if (size == 1)
      append_escaped(out, text[i]);
    else if (size == 0)
      out += "\xef\xbf\xbd";
    else
      out.append(text.substr(i, size));
    i += std::max<size_t>(1, size);
  }
  out += '"';
}

void append_step(std::string& path, std::string_view name) {
  if (plain_name(name)) {
    if (!path.empty()) path += '.';
    path.append(name);
    return;
  }
  path += '[';
  append_json_text(path, name);
  path += ']';
}

void append_step(std::string& path, size_t index) {
  path.append("[").append(std::to_string(index)).append("]");
}

std::string expected_one_of(std::string_view name, const std::vector<std::string_view>& names) {
  if (names.empty()) return "expected none, for there are none";
  std::string out = "expected one of ";
  for (size_t i = 0; i < std::min(names.size(), kMostShown); ++i)
    out.append(i ? ", " : "").append(names[i]);
  if (names.size() > kMostShown)
    out.append(" and ").append(std::to_string(names.size() - kMostShown)).append(" more");
  if (const std::string_view near = nearest(name, names); !near.empty())
    out.append("; did you mean ").append(near).append("?");
  return out;
}

std::string PolicyFault::text() const {
  std::string out;
  if (line > 0) out = "line " + std::to_string(line) + ", column " + std::to_string(column) + ": ";
  return out.append(path.empty() ? "policy" : path).append(": ").append(message);
}

}  // namespace tidegate
