// SPDX-License-Identifier: MIT
#include "policy/path.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "base/text.h"

namespace tidegate {
namespace {

enum Kind : uint8_t { kEscaped = 0, kAllowed = 1, kUnreserved = 2 };

constexpr std::array<uint8_t, 256> make_kinds() {
  std::array<uint8_t, 256> kinds{};
  for (char c : std::string_view("/!$&'()*+,;=:@")) kinds[static_cast<uint8_t>(c)] = kAllowed;
  for (int c = 0; c < 128; ++c) {
    const char low = lower(static_cast<char>(c));
    if ((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-' ||
        c == '~')
      kinds[static_cast<size_t>(c)] = kUnreserved;
  }
  return kinds;
}
constexpr std::array<uint8_t, 256> kKinds = make_kinds();

constexpr uint8_t kind_of(char c) { return kKinds[static_cast<uint8_t>(c)]; }

// Nothing to be escaped or decoded, no segment to be taken out.
bool is_normal(std::string_view text) {
  if (text.empty() || text.front() != '/') return false;
  char before = 0;
  for (char c : text) {
    if (kind_of(c) == kEscaped || (before == '/' && (c == '/' || c == '.'))) return false;
    before = c;
  }
  return text.size() == 1 || before != '/';
}

void append_escape(std::string& out, uint8_t byte) {
  out.append({'%', kUpperHex[byte >> 4], kUpperHex[byte & 15]});
}

// Takes one character as it is written; appends it in its form.
size_t append_character(std::string& out, std::string_view text) {
  const char c = text[0];
  if (c == '%' && text.size() > 2 && hex_value(text[1]) >= 0 && hex_value(text[2]) >= 0) {
    const auto byte = static_cast<uint8_t>(hex_value(text[1]) * 16 + hex_value(text[2]));
    if (kKinds[byte] == kUnreserved)
      out += static_cast<char>(byte);
    else
      append_escape(out, byte);
    return 3;
  }
  if (kind_of(c) == kEscaped)
    append_escape(out, static_cast<uint8_t>(c));
  else
    out += c;
  return 1;
}

// Ends the segment that begins behind the slash at `slash`; what has no place is taken away.
void end_segment(std::string& out, size_t slash) {
  const std::string_view segment = std::string_view(out).substr(slash + 1);
  if (segment == "..") {
    const size_t before = slash == 0 ? 0 : out.rfind('/', slash - 1);
    out.resize(before);
  } else if (segment.empty() || segment == ".") {
    out.resize(slash);
  }
}

}  // namespace

std::string_view normal_path(std::string_view text, std::string& buffer) {
  if (is_normal(text)) return text;
  buffer.clear();
  size_t slash = 0;
  buffer += '/';
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '/') {
      end_segment(buffer, slash);
      slash = buffer.size();
      buffer += '/';
      ++at;
    } else {
      at += append_character(buffer, text.substr(at));
    }
  }
  end_segment(buffer, slash);
  if (buffer.empty()) buffer += '/';
  return buffer;
}

std::string_view normal_method(std::string_view text, std::string& buffer) {
  if (std::ranges::none_of(text, [](char c) { return c >= 'a' && c <= 'z'; })) return text;
  buffer.assign(text);
  for (char& c : buffer)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return buffer;
}

std::string_view normal_host(std::string_view text, std::string& buffer) {
  size_t size = std::min(text.find(':'), text.size());
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    size = end == text.npos ? text.size() : end + 1;
  }
  text = text.substr(0, size);
  if (text.ends_with('.')) text.remove_suffix(1);
  if (std::ranges::none_of(text, [](char c) { return lower(c) != c; })) return text;
  buffer.assign(text);
  for (char& c : buffer) c = lower(c);
  return buffer;
}

std::optional<Address> normal_address(std::string_view text, int ipv6_prefix, std::string& buffer) {
  buffer.assign("@");
  // What stands behind an address of client_address is no part of it.
  const size_t slash = text.rfind('/');
  if (slash != text.npos) {
    int prefix = -1;
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data() + slash + 1, end, prefix);
    if (read.ptr == end && read.ec == std::errc() && prefix == ipv6_prefix)
      text = text.substr(0, slash);
  }
  const auto address = parse_hop(text);
  if (!address) {
    buffer.append("unknown");
    return std::nullopt;
  }
  append_caller_address(buffer, *address, ipv6_prefix);
  return address->v6 ? address->masked(ipv6_prefix) : address;
}

}  // namespace tidegate
