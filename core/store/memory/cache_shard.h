// SPDX-License-Identifier: MIT
// A part of the cache's table under a lock of its own: records by key, the order in which they are
// to leave (S3-FIFO: a small queue for what is new, a main one for what was asked for again, and
// the names of what left the small one lately), and a heap by when something in them runs out.
//
// Yang et al., "FIFO queues are all you need for cache eviction" (SOSP 2023).
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "base/list.h"
#include "base/lock.h"
#include "cache/entry.h"

namespace tidegate {

struct CacheKey {
  uint32_t cache = 0;
  Sha256 digest{};

  bool operator==(const CacheKey&) const = default;
  uint64_t hash() const {
    uint64_t words[2];
    std::memcpy(words, digest.data(), sizeof words);
    return (words[0] ^ cache) * 0x9e3779b97f4a7c15ULL ^ words[1];
  }
};

// Everything about one key. Whoever changes times tells the shard (changed()).
struct CacheRecord {
  enum class Queue : uint8_t { kNone, kSmall, kMain };

  CacheKey key;
  KeyRecords state;
  SharedBytes bytes;  // of the entry; there while state.entry is

  Queue queue = Queue::kNone;
  uint8_t asked = 0;  // times since it came to where it is, 3 at most
  uint32_t heap_at = ~uint32_t{0};
  CacheRecord *next = nullptr, *previous = nullptr;

  // When the first thing in it runs out; 0: there is nothing in it.
  int64_t due_us() const;
};

class alignas(64) CacheShard {
 public:
  // What a record and an entry take beside their bytes: nodes, buckets, control blocks.
  static constexpr int64_t kRecordBytes = sizeof(CacheRecord) + 96;
  static constexpr int64_t kEntryBytes = 48;

  SpinLock lock;

  CacheRecord* find(const CacheKey& key) TIDEGATE_REQUIRES(lock) {
    const auto found = records_.find(key);
    return found == records_.end() ? nullptr : &found->second;
  }
  CacheRecord& insert(const CacheKey& key) TIDEGATE_REQUIRES(lock);

  // The entry was asked for.
  static void touch(CacheRecord& record) {
    if (record.asked < 3) ++record.asked;
  }
  // Its entry has other bytes now, or none: `gone` has what was there. How many bytes it was.
  int64_t set_bytes(CacheRecord& record, SharedBytes bytes, SharedBytes& gone)
      TIDEGATE_REQUIRES(lock);
  // Its times are others. True: there was nothing in it, and it is gone.
  bool changed(CacheRecord& record) TIDEGATE_REQUIRES(lock);

  // What left, and how many bytes that were.
  struct Left {
    int64_t freed = 0;
    SharedBytes gone;
  };
  Left evict() TIDEGATE_REQUIRES(lock);  // an entry that is alive; freed 0: there is none
  // A look without the lock: has something run out?
  bool runs_out(int64_t now_us) const {
    return first_due_us_.load(std::memory_order_relaxed) <= now_us;
  }
  // Whatever has run out in one record; freed 0: there is nothing, or it was only part of it.
  Left take_run_out(int64_t now_us) TIDEGATE_REQUIRES(lock);

  size_t entries() const TIDEGATE_REQUIRES(lock) { return small_.size() + main_.size(); }

  // Everything in the shard that is born at or before is wiped: what a tomb could not be kept for.
  int64_t wiped_us TIDEGATE_GUARDED_BY(lock) = kNoMark;

 private:
  struct Hash {
    size_t operator()(const CacheKey& key) const { return key.hash(); }
  };
  List<CacheRecord>& queue_of(const CacheRecord& record) TIDEGATE_REQUIRES(lock) {
    return record.queue == CacheRecord::Queue::kSmall ? small_ : main_;
  }
  void enqueue(CacheRecord& record, CacheRecord::Queue queue) TIDEGATE_REQUIRES(lock);
  void dequeue(CacheRecord& record) TIDEGATE_REQUIRES(lock);
  CacheRecord* victim() TIDEGATE_REQUIRES(lock);
  Left drop_entry(CacheRecord& record) TIDEGATE_REQUIRES(lock);
  bool was_here(uint64_t hash) const TIDEGATE_REQUIRES(lock);
  void remember(uint64_t hash) TIDEGATE_REQUIRES(lock);

  void heap_put(CacheRecord* record, size_t at) TIDEGATE_REQUIRES(lock) {
    heap_[at] = record;
    record->heap_at = static_cast<uint32_t>(at);
  }
  void heap_up(size_t at) TIDEGATE_REQUIRES(lock);
  void heap_down(size_t at) TIDEGATE_REQUIRES(lock);
  void heap_remove(CacheRecord& record) TIDEGATE_REQUIRES(lock);
  void heap_changed() TIDEGATE_REQUIRES(lock) {
    first_due_us_.store(heap_.empty() ? INT64_MAX : heap_[0]->due_us(), std::memory_order_relaxed);
  }

  std::atomic<int64_t> first_due_us_{INT64_MAX};

  std::unordered_map<CacheKey, CacheRecord, Hash> records_ TIDEGATE_GUARDED_BY(lock);
  List<CacheRecord> small_ TIDEGATE_GUARDED_BY(lock), main_ TIDEGATE_GUARDED_BY(lock);
  int64_t small_bytes_ TIDEGATE_GUARDED_BY(lock) = 0, main_bytes_ TIDEGATE_GUARDED_BY(lock) = 0;
  std::vector<uint64_t> ghosts_ TIDEGATE_GUARDED_BY(lock);  // by hash; the later one stays
  std::vector<CacheRecord*> heap_ TIDEGATE_GUARDED_BY(lock);
};

}  // namespace tidegate
