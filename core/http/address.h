// SPDX-License-Identifier: MIT
// An IP address as text and as bytes, with the grammar of Python's ipaddress module: no leading
// zeros in IPv4, IPv6 written compressed. Values: any thread.
//
//   auto address = tidegate::Address::parse("2001:DB8:0::1");
//   address->text();   // "2001:db8::1"
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/http.h"

namespace tidegate {

struct Address {
  bool v6 = false;
  uint8_t bytes[16] = {};  // network order; the first 4 for IPv4

  // No port, no brackets, no zone.
  static std::optional<Address> parse(std::string_view text);

  int bits() const { return v6 ? 128 : 32; }
  std::string text() const;
  void append_text(std::string& out) const;
  // ::ffff:a.b.c.d as a.b.c.d; any other address as it is.
  Address unmapped() const;
  // The first `prefix` bits, the others 0.
  Address masked(int prefix) const;
  bool operator==(const Address&) const = default;
};

// One hop of X-Forwarded-For: an address, perhaps with a port, a zone or in brackets, unmapped.
std::optional<Address> parse_hop(std::string_view text);
// How client_address writes an address: IPv6 by its first `ipv6_prefix` bits, where those are not
// all, with "/64" behind it.
void append_caller_address(std::string& out, const Address& address, int ipv6_prefix);

// "10.0.0.0/8": how an option and its errors write a network.
std::string network_text(const Network& network);

}  // namespace tidegate
