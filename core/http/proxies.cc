// SPDX-License-Identifier: MIT
#include <algorithm>

#include "base/text.h"
#include "http/address.h"
#include "http/http.h"

namespace tidegate {
namespace {

constexpr size_t kMaxName = 64;
constexpr int64_t kMaxHops = 255;
constexpr size_t kMaxNetworks = 1024;
constexpr std::string_view kExpected =
    "expected a count from 0 to 255, or networks such as 10.0.0.0/8,::1/128";

// What Python's str.strip() takes for blank, of ASCII.
constexpr std::string_view kBlanks = " \t\n\v\f\r\x1c\x1d\x1e\x1f";

std::string_view strip(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

Error refuse(std::string_view text, size_t position, std::string_view expected) {
  return {Code::kOption,
          "trusted_proxies " + quote(text, position) + " at " + std::to_string(position) + ": " +
              std::string(expected),
          static_cast<int32_t>(std::min<size_t>(position, INT32_MAX))};
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

// At most 9 digits count, so that nothing overflows: more is out of every range here.
int64_t to_number(std::string_view digits) {
  int64_t value = 0;
  for (char c : digits.substr(0, 9)) value = value * 10 + (c - '0');
  return digits.size() > 9 ? INT32_MAX : value;
}

bool contains(const Network& network, const Address& address) {
  if (network.v6 != address.v6) return false;
  const Address masked = address.masked(network.prefix);
  return std::equal(std::begin(masked.bytes), std::end(masked.bytes), network.address);
}

// A peer that has no address but is called something: a test client, a process behind a socket.
bool is_name(std::string_view peer) {
  const auto letter = [](char c) { return lower(c) >= 'a' && lower(c) <= 'z'; };
  return !peer.empty() && peer.size() <= kMaxName && letter(peer.front()) &&
         std::ranges::all_of(peer, [&](char c) {
           return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
         });
}

// A peer without an address is in no network; one without a name either is a socket of this
// machine.
bool trusts(const TrustedProxies& trusted, int64_t index, const std::optional<Address>& address,
            std::string_view hop) {
  if (!trusted.use_networks) return index < trusted.hops;
  if (!address) return hop.empty();
  return std::any_of(trusted.networks.begin(), trusted.networks.end(),
                     [&](const Network& network) { return contains(network, *address); });
}

// `item` stands at `position` of `text`.
Result<Network> parse_network(std::string_view text, size_t position, std::string_view item) {
  const size_t slash = item.find('/');
  const auto address = Address::parse(item.substr(0, slash));
  if (!address) return refuse(text, position, kExpected);
  int64_t prefix = address->bits();
  if (slash != item.npos) {
    const std::string_view digits = item.substr(slash + 1);
    if (!is_number(digits) || to_number(digits) > prefix)
      return refuse(text, position + slash + 1,
                    "expected a prefix length from 0 to " + std::to_string(prefix));
    prefix = to_number(digits);
  }
  if (address->unmapped() != *address)
    return refuse(text, position, "expected an IPv4 network in IPv4's notation");
  const Address masked = address->masked(static_cast<int>(prefix));
  Network network{.v6 = masked.v6, .prefix = static_cast<uint8_t>(prefix)};
  std::copy(std::begin(masked.bytes), std::end(masked.bytes), network.address);
  if (masked != *address)
    return refuse(text, position,
                  "expected no bits behind the prefix: " + network_text(network) + ", or " +
                      address->text() + "/" + std::to_string(address->bits()));
  return network;
}

}  // namespace

std::optional<Address> parse_hop(std::string_view text) {
  text = strip(text);
  if (text.starts_with('['))
    text = text.substr(1, text.find(']') - 1);
  else if (std::count(text.begin(), text.end(), ':') == 1)
    text = text.substr(0, text.find(':'));
  const auto address = Address::parse(text.substr(0, text.find('%')));
  if (!address) return std::nullopt;
  return address->unmapped();
}

void append_caller_address(std::string& out, const Address& address, int ipv6_prefix) {
  if (!address.v6 || ipv6_prefix >= 128) return address.append_text(out);
  const int prefix = std::max(0, ipv6_prefix);
  address.masked(prefix).append_text(out);
  out += '/';
  out.append(std::to_string(prefix));
}

Result<TrustedProxies> parse_trusted_proxies(std::string_view text) {
  TrustedProxies trusted;
  const std::string_view stripped = strip(text);
  if (is_number(stripped)) {
    trusted.hops = to_number(stripped);
    if (trusted.hops > kMaxHops) return refuse(text, 0, kExpected);
    return trusted;
  }
  trusted.use_networks = true;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    const std::string_view item = strip(text.substr(at, end - at));
    const size_t position = item.empty() ? at : static_cast<size_t>(item.data() - text.data());
    if (trusted.networks.size() == kMaxNetworks)
      return refuse(text, position, "expected at most 1024 networks");
    auto network = parse_network(text, position, item);
    if (!network) return network.error();
    trusted.networks.push_back(*network);
    at = end + 1;
  }
  return trusted;
}

std::string client_address(std::string_view peer, std::string_view forwarded_for,
                           const TrustedProxies& trusted, int ipv6_prefix) {
  std::optional<Address> found;
  std::string_view hop = peer;
  std::optional<std::string_view> rest = forwarded_for;
  for (int64_t index = 0;; ++index) {
    const auto address = parse_hop(hop);
    // A peer without an address (a local socket, a name) is a hop like any other.
    const bool no_address = index == 0 && (peer.empty() || is_name(peer));
    if (!address && !no_address) break;
    if (address) found = address;
    if (!trusts(trusted, index, address, hop) || !rest) break;
    const size_t comma = rest->rfind(',');
    hop = comma == rest->npos ? *rest : rest->substr(comma + 1);
    rest = comma == rest->npos ? std::nullopt : std::optional(rest->substr(0, comma));
  }
  if (!found) return is_name(peer) ? std::string(peer) : "unknown";
  std::string out;
  append_caller_address(out, *found, ipv6_prefix);
  return out;
}

}  // namespace tidegate
