// SPDX-License-Identifier: MIT
// Caches through the C ABI as a test wants them: answers that are copied.
#pragma once

#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "support/gate.h"

namespace tidegate::test {

using Bytes16 = std::string;  // a lease

struct Found {
  uint64_t user_data = 0;
  int32_t status = TG_OK;
  uint32_t what = 0, source = 0, kind = 0;  // what: TG_CACHE_...
  bool has_value = false;
  std::string value, meta, lease;  // lease: empty where there is none
  std::vector<std::string> tags;
  int64_t age_us = 0, fresh_us = 0, wait_us = 0, born_us = 0;

  explicit Found(const tg_result& result);
};
std::ostream& operator<<(std::ostream& out, const Found& found);

// One request of a cache.
struct CacheAsked {
  uint32_t op = TG_OP_CACHE_GET;
  uint64_t cache = 0;
  std::string key;  // a caller's text: its digest is made; of a purge the tag
  uint32_t flags = 0;
  std::string lease, value, meta;
  std::vector<std::string> tags;
  int64_t arg = 0, arg2 = 0, arg3 = 0;
  uint64_t user_data = 0;
};

std::string digest_of(const std::string& key);  // in the cache "c"

// The entries point into `asked` and `digest`.
std::vector<tg_entry> entries_of(const CacheAsked& asked, const std::string& digest);

Found call(tg_client* client, const CacheAsked& asked);
bool submit(tg_ring* ring, const CacheAsked& asked);
std::vector<Found> take(tg_ring* ring, size_t count, int64_t most_ms = 20'000);

struct CacheTexts {
  std::string name = "c", ttl = "1h", stale, stale_if_error, jitter = "0", lease, wait, retry, near;
  int64_t max_entry = 0;
};
uint64_t open_cache(tg_client* client, const CacheTexts& texts);

// Runs one scenario of cache.jsonl on a client of its own; "" or the first difference.
std::string run_cache_scenario(const nlohmann::json& scenario, const std::string& url);

}  // namespace tidegate::test
