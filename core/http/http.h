// SPDX-License-Identifier: MIT
// What every middleware sends, and whom it charges. The letter is tests/conformance/http_model.py.
// Pure functions: any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "limiter/source.h"

namespace tidegate {

// One rate of a decision as HTTP sees it.
struct PolicyView {
  std::string_view
      name;  // the policy's name: "api", or "api-60s" where a limiter has several rates
  int64_t limit = 0;
  int64_t window_us = 0;
  int64_t capacity = 0;
  bool allowed = true;
  bool shadow = false;  // invisible to callers
  bool off = false;     // its limiter is off: nothing is known of it, nothing is said
  int64_t remaining = 0;
  int64_t retry_after_us = 0;  // kNever: no wait is long enough
  int64_t next_us = 0;
  int64_t reset_after_us = 0;
};

struct DecisionView {
  bool allowed = true;
  Source source = Source::kMemory;
  size_t binding = 0;  // < parts.size() where there are parts
  std::span<const PolicyView> parts;
};

struct HeaderStyle {
  bool standard = true;  // RateLimit-Policy, RateLimit: draft-ietf-httpapi-ratelimit-headers-10
  bool legacy = true;    // X-RateLimit-*, -Reset in epoch seconds
  bool legacy_delta = false;  // the same, -Reset in seconds from now
};

// 200, 429, or 503 where the failure policy closed.
int http_status(bool allowed, Source source);
// "Name: value\n" lines, in http_model.headers' order. wall_us: epoch.
std::string http_headers(const DecisionView& decision, HeaderStyle style, int64_t wall_us);
// The same behind what is in `out`, which keeps its memory.
void append_http_headers(std::string& out, const DecisionView& decision, HeaderStyle style,
                         int64_t wall_us);
// RFC 9457 application/problem+json of a refusal; empty for a decision that allows.
std::string http_problem(const DecisionView& decision);

// How much of X-Forwarded-For to believe: a number of hops, or the proxies' networks (CIDR).
struct Network {
  bool v6 = false;
  uint8_t prefix = 0;
  uint8_t address[16] = {};  // network order; the first 4 for IPv4
  bool operator==(const Network&) const = default;
};
struct TrustedProxies {
  int64_t hops = 0;
  std::vector<Network> networks;  // used instead of hops when use_networks
  bool use_networks = false;
};
// "0", "2", or "10.0.0.0/8, ::1/128". kOption with the position otherwise.
Result<TrustedProxies> parse_trusted_proxies(std::string_view text);

// Who is calling: http_model.client_address. Where there is no address, the peer's name
// ("testclient": a letter, then letters, digits and _.-, 64 at most), or else "unknown".
// forwarded_for: the header's lines joined by commas.
std::string client_address(std::string_view peer, std::string_view forwarded_for,
                           const TrustedProxies& trusted, int ipv6_prefix);
// http_model.caller_key.
std::string caller_key(std::string_view identity, std::string_view address);
// How an identity stands in a key: itself where it does not begin with "@", else behind another "@"
// in `buffer`. Not of an empty one.
std::string_view identity_key(std::string_view identity, std::string& buffer);

// A limiter's name made of any text: readable, 64 characters at most, and another one for another
// text.
std::string short_name(std::string_view text);
// What a limit without a name is called where it stands: "POST.login", below a mount
// "v1.GET.items-id", "everything" at the root. route: the framework's template; none: it does not
// tell, and a path as it came would let every caller choose the name.
std::string place_name(std::string_view mount, std::string_view method,
                       std::optional<std::string_view> route);

// "#" and the SHA-256 in hex of a key above 512 bytes, else the key with %, {, }, NUL and a leading
// # as %XX.
std::string escape_key(std::string_view key);
// The same behind what is in `out`, which keeps its memory.
void append_escaped_key(std::string& out, std::string_view key);

}  // namespace tidegate
