// SPDX-License-Identifier: MIT
#include "store/memory/cache_table.h"

#include <algorithm>
#include <utility>

namespace tidegate {
namespace {

int64_t cost_of(const SharedBytes& bytes) {
  return static_cast<int64_t>(bytes.size) + CacheShard::kEntryBytes;
}

int64_t tags_floor(const Cache& cache, const SharedBytes& entry, int64_t now_us) {
  int64_t floor = kNoMark;
  if (entry.view()[2] == 0) return floor;  // no tags: the usual case, without reading it all
  if (const auto view = read_entry(entry.view()))
    view->each_tag([&](std::string_view tag) {
      floor = std::max(floor, cache.space->marks.purged(tag, now_us));
    });
  return floor;
}

}  // namespace

class CacheTable::Access {
 public:
  Access(CacheTable& of, CacheShard& in, const Cache& cache, const Sha256& digest, int64_t now)
      : now_us(now), table_(of), shard_(in), cache_(cache), key_{cache.space->id, digest} {
    shard_.lock.lock();
    record = shard_.find(key_);
    if (record) due_us_ = record->due_us();
  }
  ~Access() TIDEGATE_UNCHECKED_LOCKS {
    if (record && (record->due_us() != due_us_ || due_us_ == 0) && shard_.changed(*record))
      freed_ += CacheShard::kRecordBytes;
    shard_.lock.unlock();
    table_.bytes_.give(freed_);  // `gone_` goes when nobody waits for the lock
  }
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;

  // kRecordBytes have been reserved.
  void insert() TIDEGATE_UNCHECKED_LOCKS { record = &shard_.insert(key_); }

  int64_t floor(const SharedBytes& of_entry) TIDEGATE_UNCHECKED_LOCKS {
    int64_t floor = std::max(cache_.space->marks.cleared(now_us), shard_.wiped_us);
    if (record)
      floor = std::max(floor, tomb_floor(record->state.tomb, cache_.config->numbers, now_us));
    return of_entry ? std::max(floor, tags_floor(cache_, of_entry, now_us)) : floor;
  }
  // Does what is there count? One that does not is dropped.
  bool settle_entry() {
    if (!record || !record->state.entry.there()) return false;
    const EntryTimes& entry = record->state.entry;
    const bool alive = now_us < entry.gone_at && entry.born - now_us <= kMaxSkewUs;
    if (alive && entry_counts(record->state, floor(record->bytes), now_us)) return true;
    drop_entry();
    return false;
  }
  void drop_entry() {
    record->state.entry = {};
    set_bytes({});
  }
  void set_bytes(SharedBytes bytes) TIDEGATE_UNCHECKED_LOCKS {
    freed_ += shard_.set_bytes(*record, std::move(bytes), gone_);
  }
  void wipe_shard() TIDEGATE_UNCHECKED_LOCKS {
    shard_.wiped_us = std::max(redated(shard_.wiped_us, now_us), now_us);
  }

  const int64_t now_us;
  CacheRecord* record = nullptr;

 private:
  CacheTable& table_;
  CacheShard& shard_;
  const Cache& cache_;
  const CacheKey key_;
  SharedBytes gone_;
  int64_t due_us_ = 0, freed_ = 0;
};

CacheSpace* CacheTable::space(const std::string& name) {
  return &spaces_.try_emplace(name, static_cast<uint32_t>(spaces_.size())).first->second;
}

bool CacheTable::reserve(int64_t bytes, int64_t now_us) {
  if (bytes > bytes_.most()) return false;
  while (!bytes_.take(bytes))
    if (!evict_one(now_us)) return false;
  return true;
}

// What has run out goes first, wherever it is.
bool CacheTable::take_run_out(int64_t now_us) {
  for (CacheShard& shard : shards_) {
    while (shard.runs_out(now_us)) {
      CacheShard::Left left;
      {
        const SpinGuard guard(shard.lock);
        left = shard.take_run_out(now_us);
      }
      if (left.freed == 0) continue;
      bytes_.give(left.freed);
      return true;
    }
  }
  return false;
}

// From one shard after the other, so that each gives its part.
bool CacheTable::evict_one(int64_t now_us) {
  if (take_run_out(now_us)) return true;
  for (size_t i = 0; i < kShards; ++i) {
    CacheShard& shard = shards_[hand_.fetch_add(1, std::memory_order_relaxed) % kShards];
    CacheShard::Left left;
    {
      const SpinGuard guard(shard.lock);
      left = shard.evict();
    }
    if (left.freed == 0) continue;
    bytes_.give(left.freed);
    evicted_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  return false;
}

void CacheTable::sweep(CacheShard& shard, int most, int64_t now_us) {
  for (; most > 0 && !manual_ && shard.runs_out(now_us); --most) {
    CacheShard::Left left;
    {
      const SpinGuard guard(shard.lock);
      left = shard.take_run_out(now_us);
    }
    bytes_.give(left.freed);
  }
}

CacheTable::Found CacheTable::get(const Cache& cache, const Sha256& digest, uint64_t token,
                                  int64_t now_us) {
  Found found;
  bool reserved = false;
  while (true) {
    {
      Access here(*this, shard_of(digest), cache, digest, now_us);
      if (!here.record && (token == 0 || reserved)) {
        if (token == 0) return found;
        here.insert();
        reserved = false;
      }
      if (here.record) {
        here.settle_entry();
        settle_lease(here.record->state, now_us);
        found.seen = look_up(here.record->state, cache.config->numbers, token, now_us);
        found.lease_born = here.record->state.lease.born;
        if (found.seen.shows_entry) {
          CacheShard::touch(*here.record);
          found.entry = here.record->bytes;
          found.times = here.record->state.entry;
        }
        break;
      }
    }
    reserved = reserve(CacheShard::kRecordBytes, now_us);
    if (!reserved) return found;  // a miss, without a lease
  }
  if (reserved) bytes_.give(CacheShard::kRecordBytes);
  return found;
}

PutStatus CacheTable::put(const Cache& cache, const Sha256& digest, const PutAsk& ask,
                          const SharedBytes& entry, int64_t now_us) {
  CacheShard& shard = shard_of(digest);
  sweep(shard, kSweep, now_us);
  const int64_t asked = cost_of(entry) + CacheShard::kRecordBytes;
  // What lives for no time takes no room.
  const bool room = ask.life.whole_us() > 0 && reserve(asked, now_us);
  int64_t used = 0;
  PutStatus status;
  {
    Access here(*this, shard, cache, digest, now_us);
    if (!here.record && room) {
      here.insert();
      used = CacheShard::kRecordBytes;
    }
    KeyRecords none;
    KeyRecords& state = here.record ? here.record->state : none;
    const int64_t floor = here.floor(entry);
    settle_lease(state, now_us);
    const bool there = ask.token != 0 && here.settle_entry();
    const EntryTimes before = state.entry;
    status = tidegate::put(state, ask, floor, there, now_us);
    if (status == PutStatus::kStored && !room) {
      state.entry = before;
      if (ask.token == 0 && before.there()) here.drop_entry();  // it is not what was set
      status = PutStatus::kRefused;
    } else if (status == PutStatus::kStored) {
      used += cost_of(entry);
      here.set_bytes(entry);
    } else if (here.record && !state.entry.there() && here.record->bytes) {
      here.set_bytes({});
    }
  }
  if (room && used < asked) bytes_.give(asked - used);
  if (status == PutStatus::kStored) cache.space->marks.lives(ask.life.whole_us());
  return status;
}

bool CacheTable::release(const Cache& cache, const Sha256& digest, uint64_t token, bool failed,
                         int64_t now_us) {
  Access here(*this, shard_of(digest), cache, digest, now_us);
  if (!here.record) return false;
  settle_lease(here.record->state, now_us);
  const bool there = here.record->state.lease.held_by(token) && failed && here.settle_entry();
  return tidegate::release(here.record->state, cache.config->numbers, token, failed, there, now_us);
}

bool CacheTable::renew(const Cache& cache, const Sha256& digest, uint64_t token, int64_t now_us) {
  Access here(*this, shard_of(digest), cache, digest, now_us);
  if (!here.record) return false;
  settle_lease(here.record->state, now_us);
  return tidegate::renew(here.record->state, cache.config->numbers, token, now_us);
}

bool CacheTable::erase_in(Access& here, const CacheNumbers& numbers) {
  const bool there = here.settle_entry();
  const int64_t floor = here.record->state.tomb.there() ? here.floor({}) : kNoMark;
  tidegate::erase(here.record->state, numbers, floor, here.now_us);
  here.set_bytes({});
  return there;
}

bool CacheTable::erase(const Cache& cache, const Sha256& digest, int64_t now_us) {
  const bool room = reserve(CacheShard::kRecordBytes, now_us);
  bool used = false, there = false;
  {
    Access here(*this, shard_of(digest), cache, digest, now_us);
    if (!here.record && room) {
      here.insert();
      used = true;
    }
    if (here.record)
      there = erase_in(here, cache.config->numbers);
    else
      here.wipe_shard();
  }
  if (room && !used) bytes_.give(CacheShard::kRecordBytes);
  return there;
}

CacheStats CacheTable::stats(int64_t now_us) {
  constexpr int kMostSwept = 10'000;  // of a shard at a time
  CacheStats stats;
  for (CacheShard& shard : shards_) {
    sweep(shard, kMostSwept, now_us);
    const SpinGuard guard(shard.lock);
    stats.entries += static_cast<int64_t>(shard.entries());
  }
  stats.bytes = bytes_.used();
  stats.evicted = evicted_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace tidegate
