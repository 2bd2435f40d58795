// SPDX-License-Identifier: MIT
#include "policy/caller_name.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "policy/data.h"

namespace tidegate {
namespace {

constexpr size_t kMaxKeyBytes = 512;

Error expected(std::string what) { return {Code::kKey, "expected " + std::move(what)}; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Four numbers with dots, and then the end or a slash: nobody means an identity by them.
bool looks_like_v4(std::string_view text) {
  text = text.substr(0, text.find('/'));
  int numbers = 1;
  bool digit_before = false;
  for (char c : text) {
    if (!is_digit(c) && (c != '.' || !digit_before)) return false;
    digit_before = c != '.';
    numbers += c == '.';
  }
  return numbers == 4 && digit_before;
}

bool is_prefix(std::string_view digits) {
  return digits == "0" ||
         (!digits.empty() && digits.front() != '0' && std::ranges::all_of(digits, is_digit));
}

Result<CallerName> parse_network(std::string_view bare, const std::optional<Address>& head,
                                 int ipv6_prefix) {
  const size_t slash = bare.find('/');
  const std::string_view text = bare.substr(0, slash);
  const bool plain =
      std::ranges::all_of(text, [](char c) { return hex_value(c) >= 0 || c == ':' || c == '.'; });
  if (!head || !plain || (slash != bare.npos && !is_prefix(bare.substr(slash + 1))))
    return expected("an address, a network, or @@ for an identity's @");
  const auto address = Address::parse(text);
  if (!address) return expected("an address without a port, found " + quote(text));
  int prefix = address->bits();
  if (slash != bare.npos) {
    int given = INT32_MAX;
    std::from_chars(bare.data() + slash + 1, bare.data() + bare.size(), given);
    if (given > prefix) return expected("a prefix length from 0 to " + std::to_string(prefix));
    prefix = given;
    if (address->v6 != head->v6) return expected("IPv4 to be written as IPv4");
    if (address->masked(prefix) != *address)
      return expected("no bits behind the prefix: " + address->masked(prefix).text() + "/" +
                      std::to_string(prefix));
  }
  CallerName name;
  if (prefix >= (address->v6 ? std::min(ipv6_prefix, 128) : 32)) {
    name.key = "@";
    append_caller_address(name.key, address->unmapped(), ipv6_prefix);
  } else {
    name.network = *address;
    name.prefix = prefix;
  }
  return name;
}

}  // namespace

Result<CallerName> parse_caller_name(std::string_view name, int ipv6_prefix) {
  if (name.empty() || name.size() > kMaxKeyBytes)
    return expected("1 to " + std::to_string(kMaxKeyBytes) + " bytes, found " +
                    std::to_string(name.size()));
  const std::string_view bare = name.substr(name.front() == '@');
  if (name.starts_with("@@") || name == "@unknown") return CallerName{.key = std::string(name)};
  const auto head = parse_hop(bare.substr(0, bare.find('/')));
  if (!head && name.front() != '@' && !looks_like_v4(name))
    return CallerName{.key = std::string(name)};
  return parse_network(bare, head, ipv6_prefix);
}

std::string_view network_name(const Address& address, int prefix, char (&buffer)[18]) {
  buffer[0] = static_cast<char>(prefix);
  buffer[1] = address.v6 ? '6' : '4';
  const Address masked = address.masked(prefix);
  std::copy_n(reinterpret_cast<const char*>(masked.bytes), 16, buffer + 2);
  return {buffer, sizeof buffer};
}

}  // namespace tidegate
