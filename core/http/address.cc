// SPDX-License-Identifier: MIT
#include "http/address.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.h"

namespace tidegate {
namespace {

constexpr int kGroups = 8;

bool parse_v4(std::string_view text, uint8_t* out) {
  for (int octet = 0; octet < 4; ++octet) {
    size_t size = 0;
    int value = 0;
    while (size < text.size() && size < 4 && text[size] >= '0' && text[size] <= '9')
      value = value * 10 + (text[size++] - '0');
    if (size == 0 || size > 3 || value > 255 || (size > 1 && text[0] == '0')) return false;
    out[octet] = static_cast<uint8_t>(value);
    text.remove_prefix(size);
    if (octet == 3) return text.empty();
    if (text.empty() || text[0] != '.') return false;
    text.remove_prefix(1);
  }
  return false;
}

bool parse_group(std::string_view text, uint8_t* out) {
  if (text.empty() || text.size() > 4) return false;
  int value = 0;
  for (char c : text) {
    const int digit = hex_value(c);
    if (digit < 0) return false;
    value = value * 16 + digit;
  }
  out[0] = static_cast<uint8_t>(value >> 8);
  out[1] = static_cast<uint8_t>(value);
  return true;
}

// Groups between single colons, the last perhaps an IPv4 address. How many bytes, or -1.
int parse_groups(std::string_view text, bool last, uint8_t* out) {
  int size = 0;
  while (!text.empty()) {
    const size_t colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    const bool is_v4 = last && colon == text.npos && group.find('.') != group.npos;
    if (size + (is_v4 ? 4 : 2) > 16) return -1;
    if (is_v4 ? !parse_v4(group, out + size) : !parse_group(group, out + size)) return -1;
    size += is_v4 ? 4 : 2;
    if (colon == text.npos) return size;
    text.remove_prefix(colon + 1);
    if (text.empty()) return -1;
  }
  return size;
}

bool parse_v6(std::string_view text, uint8_t* out) {
  const size_t gap = text.find("::");
  if (gap == text.npos) return parse_groups(text, true, out) == 16;
  uint8_t tail[16] = {};
  const int before = parse_groups(text.substr(0, gap), false, out);
  const int after = parse_groups(text.substr(gap + 2), true, tail);
  // "::" stands for one group at least.
  if (before < 0 || after < 0 || before + after > 14) return false;
  std::memset(out + before, 0, static_cast<size_t>(16 - before - after));
  std::memcpy(out + 16 - after, tail, static_cast<size_t>(after));
  return true;
}

void append_group(std::string& out, unsigned value) {
  for (int shift = 12; shift >= 0; shift -= 4)
    if (value >> shift || shift == 0) out += kLowerHex[value >> shift & 15];
}

// inet_ntop writes ::1.2.3.4 where Python writes ::102:304, so we count ourselves: the longest run
// of two zero groups or more is "::", the first of several equal ones.
void append_v6(std::string& out, const uint8_t* bytes) {
  std::array<unsigned, kGroups> groups{};
  for (size_t i = 0; i < kGroups; ++i) groups[i] = unsigned{bytes[2 * i]} << 8 | bytes[2 * i + 1];
  size_t gap = kGroups, longest = 1;
  for (size_t begin = 0; begin < kGroups; ++begin) {
    size_t end = begin;
    while (end < kGroups && groups[end] == 0) ++end;
    if (end - begin > longest) {
      gap = begin;
      longest = end - begin;
    }
  }
  const size_t begin = out.size();
  for (size_t i = 0; i < kGroups; ++i) {
    if (i == gap) {
      out += "::";
      i += longest - 1;
      continue;
    }
    if (out.size() > begin && out.back() != ':') out += ':';
    append_group(out, groups[i]);
  }
}

void append_octet(std::string& out, unsigned value) {
  if (value >= 100) out += static_cast<char>('0' + value / 100);
  if (value >= 10) out += static_cast<char>('0' + value / 10 % 10);
  out += static_cast<char>('0' + value % 10);
}

}  // namespace

std::optional<Address> Address::parse(std::string_view text) {
  Address address;
  if (parse_v4(text, address.bytes)) return address;
  address = {};
  address.v6 = true;
  if (parse_v6(text, address.bytes)) return address;
  return std::nullopt;
}

std::string Address::text() const {
  std::string out;
  append_text(out);
  return out;
}

void Address::append_text(std::string& out) const {
  if (v6) return append_v6(out, bytes);
  for (int i = 0; i < 4; ++i) {
    if (i > 0) out += '.';
    append_octet(out, bytes[i]);
  }
}

Address Address::unmapped() const {
  constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!v6 || !std::equal(std::begin(kMapped), std::end(kMapped), bytes)) return *this;
  Address v4;
  std::copy(bytes + 12, bytes + 16, v4.bytes);
  return v4;
}

Address Address::masked(int prefix) const {
  Address out = *this;
  for (int i = 0; i < bits() / 8; ++i) {
    const int kept = std::clamp(prefix - 8 * i, 0, 8);
    out.bytes[i] = static_cast<uint8_t>(out.bytes[i] & (0xff00 >> kept));
  }
  return out;
}

std::string network_text(const Network& network) {
  Address address{.v6 = network.v6};
  std::copy(std::begin(network.address), std::end(network.address), address.bytes);
  return address.text() + "/" + std::to_string(network.prefix);
}

}  // namespace tidegate
