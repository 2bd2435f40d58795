// SPDX-License-Identifier: MIT
// The embedded engine of caches: the records of all keys of a client, in shards, bounded by bytes.
// Values are shared with those who read them, not copied; a hit allocates nothing.
//
//   Cache answers{*CacheConfig::make({.name = "answers"}), table.space("answers")};
//   auto found = table.get(answers, digest, token, now_us);
//   if (found.seen.granted) table.put(answers, digest, {token, found.lease_born, life}, entry,
//   now_us);
//
// Where there is no room for a lease (everything in it is a lease or a tomb) the caller fills
// without one; where there is none for a tomb, more is wiped than was asked for.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "cache/config.h"
#include "store/memory/budget.h"
#include "store/memory/cache_marks.h"
#include "store/memory/cache_shard.h"

namespace tidegate {

// What caches of one name share, whatever their numbers.
struct CacheSpace {
  explicit CacheSpace(uint32_t number) : id(number) {}
  const uint32_t id;
  CacheMarks marks;
};

// A cache as an engine knows it. Immutable.
struct Cache {
  std::unique_ptr<const CacheConfig> config;
  CacheSpace* space = nullptr;  // the table's
};

struct CacheStats {
  int64_t entries = 0, bytes = 0;
  int64_t evicted = 0;  // entries that were dropped while they were alive
};

// Any thread.
class CacheTable {
 public:
  struct Found {
    CacheSeen seen;
    SharedBytes entry;  // shows_entry
    EntryTimes times;
    int64_t lease_born = 0;  // granted
  };

  // A clock set by hand: nothing leaves because time has passed but what is asked for, or has to
  // make room.
  CacheTable(int64_t max_bytes, bool manual_clock) : bytes_(max_bytes), manual_(manual_clock) {}

  // What caches of this name share; never freed. From one thread at a time.
  CacheSpace* space(const std::string& name);

  // token 0: a look-up; else it would fill, under this token, which nobody else has.
  Found get(const Cache& cache, const Sha256& digest, uint64_t token, int64_t now_us);
  // Also kRefused where there is no room for it.
  PutStatus put(const Cache& cache, const Sha256& digest, const PutAsk& ask,
                const SharedBytes& entry, int64_t now_us);
  bool release(const Cache& cache, const Sha256& digest, uint64_t token, bool failed,
               int64_t now_us);
  bool renew(const Cache& cache, const Sha256& digest, uint64_t token, int64_t now_us);
  bool erase(const Cache& cache, const Sha256& digest, int64_t now_us);  // true: it was there
  void purge(const Cache& cache, std::string_view tag, int64_t now_us) {
    constexpr int64_t kFillUs = 3'600'000'000;  // of what may be under way
    cache.space->marks.purge(tag, now_us, std::max(cache.config->numbers.tomb_us(), kFillUs));
  }
  void clear(const Cache& cache, int64_t now_us) { cache.space->marks.clear(now_us); }

  CacheStats stats(int64_t now_us);

 private:
  static constexpr size_t kShards = 32;
  static constexpr int kSweep = 2;  // records that may have run out are looked at with each put

  // One key's record, under its shard's lock; what is done to it is booked when it ends.
  class Access;

  CacheShard& shard_of(const Sha256& digest) { return shards_[digest[31] % kShards]; }
  bool reserve(int64_t bytes, int64_t now_us);
  bool evict_one(int64_t now_us);
  bool take_run_out(int64_t now_us);
  void sweep(CacheShard& shard, int most, int64_t now_us);
  bool erase_in(Access& here, const CacheNumbers& numbers);

  Quota bytes_;
  const bool manual_;
  std::array<CacheShard, kShards> shards_;
  std::atomic<uint32_t> hand_{0};
  std::atomic<int64_t> evicted_{0};
  std::map<std::string, CacheSpace> spaces_;
};

}  // namespace tidegate
