// SPDX-License-Identifier: MIT
// Options are strings: one table (name, type, range, default, one line of meaning) drives parsing,
// errors, every binding and the documentation. A store URL carries them as query parameters; an
// option set by hand wins.
//
//   auto url = tidegate::parse_store_url("rediss://app:secret@db.example:6380/2?timeout_ms=50");
//   Options options = url->options;
//   if (auto set = options.set("timeout_ms", "20"); !set) return report(set.error());
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "http/http.h"
#include "limiter/config.h"

namespace tidegate {

struct Options {
  int64_t timeout_ms = 100;  // the deadline of a check
  int64_t connect_timeout_ms = 1000;
  std::string name_space = "tg";  // "namespace": the first word of every key in the store
  OnFailure on_failure = OnFailure::kLocal;
  int64_t fallback_share = 1;  // how many processes share a limit while the store is away
  int64_t breaker_failures = 5;
  std::string tls_ca, tls_cert, tls_key;  // paths of PEM files
  bool tls_verify = true;
  int64_t spin_us = 50;          // how long a blocking caller looks before it sleeps; 0: not at all
  int64_t max_keys = 1'000'000;  // embedded store: states kept at most
  int64_t max_bytes = 268'435'456;  // embedded store: memory of states at most
  int64_t stats = 2;                // off, totals, on
  int64_t labels = 0;               // masked, hashed, clear
  int64_t stats_bytes = 2'097'152;
  int64_t ipv6_prefix = 64;
  TrustedProxies trusted_proxies;
  bool manual_clock = false;  // "clock": system | manual
  bool testing = false;
  int64_t read_bytes = 16'384;  // testing=1 only: read the socket in pieces of so many bytes
  uint64_t given = 0;           // bit i: row i of the table was set

  // kOption: an unknown name (with the near ones), or a value that does not parse or is out of
  // range. Nothing is changed then.
  Status set(std::string_view name, std::string_view value);
  // What `other` was given wins over what this has.
  void override_with(const Options& other);
};

// One "name\ttype\trange\tdefault\tmeaning\n" a row.
std::string describe_options();

enum class StoreKind : uint8_t { kMemory, kTcp, kUnix };

struct StoreUrl {
  StoreKind kind = StoreKind::kMemory;
  bool tls = false;
  std::string scheme = "memory";
  std::string host;  // without brackets
  int port = 6379;
  std::string path;  // of a unix socket
  std::string user, password;
  int database = 0;
  Options options;  // the query's

  // The URL again in its plainest form, its password as ***. No option is a secret. It parses, and
  // gives the same text again.
  std::string redacted() const;
};

// memory:// | redis:// | rediss:// | valkey:// | valkeys:// | unix:///path[?db=n]; kUrl or kOption
// with position. Every %xx is decoded but in host, port and database; control characters are
// refused, decoded ones too. A message never contains the password, however the text was broken.
Result<StoreUrl> parse_store_url(std::string_view text);

// What only makes sense together, once the options by hand are merged into the URL's. kOption:
// clock=manual on a server, or read_bytes, without testing=1; tls_cert without tls_key or the other
// way round; TLS files for a host that would be spoken to in the clear.
Status check_store(const StoreUrl& url, const Options& merged);

}  // namespace tidegate
