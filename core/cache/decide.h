// SPDX-License-Identifier: MIT
// What a cache answers: pure functions over the records of one key, the same for both engines
// (core/lua/cache.lua has them once more). An engine keeps the records, and says which instants the
// entry has to be younger than (`floor`).
//
// All times are us of the store's clock, which may step back: what is dated further ahead than
// kMaxSkewUs was dated by a clock that has since stepped back.
#pragma once

#include <algorithm>
#include <cstdint>

#include "limiter/numbers.h"

namespace tidegate {

inline constexpr int64_t kMinTombUs = 60'000'000;
inline constexpr int64_t kNoMark = -1;  // nothing was wiped

struct Lifetimes {
  int64_t ttl_us = 0;    // fresh for so long after birth
  int64_t stale_us = 0;  // so long after ttl: served while one refreshes
  int64_t error_us = 0;  // so long after ttl: served when the fill failed

  int64_t whole_us() const { return ttl_us + std::max(stale_us, error_us); }
};

struct CacheNumbers {
  Lifetimes life;
  int64_t lease_us = 10'000'000;
  int64_t retry_us = 1'000'000;  // after a failed fill, where there is something to serve

  int64_t tomb_us() const { return std::max(lease_us, kMinTombUs); }
};

// An entry without its value. gone_at 0: there is none.
struct EntryTimes {
  int64_t born = 0;  // when its fill began
  int64_t fresh_until = 0, stale_until = 0, gone_at = 0;

  bool there() const { return gone_at != 0; }
  static EntryTimes of(int64_t born, const Lifetimes& life) {
    const int64_t fresh_until = born + life.ttl_us;
    return {born, fresh_until, fresh_until + life.stale_us, born + life.whole_us()};
  }
};

// The right to fill. until 0: nobody has it.
struct Lease {
  uint64_t token = 0;  // whose; 0: it failed, and nobody shall try again before `until`
  int64_t born = 0;    // when it was granted: the birth of what it fills
  int64_t until = 0;

  bool there() const { return until != 0; }
  bool failed() const { return there() && token == 0; }
  bool held_by(uint64_t holder) const { return there() && holder != 0 && token == holder; }
};

// A key that was deleted. until 0: it was not.
struct Tomb {
  int64_t at = 0, until = 0;

  bool there() const { return until != 0; }
};

// Everything about one key but its value.
struct KeyRecords {
  EntryTimes entry;
  Lease lease;
  Tomb tomb;
};

enum class CacheStatus : uint8_t { kNone, kHit, kStale, kRescued, kMiss, kWait, kShared, kFailed };
enum class PutStatus : uint8_t { kStored, kLate, kRefused };

struct CacheSeen {
  CacheStatus status = CacheStatus::kMiss;
  bool granted = false;      // the lease is the caller's: he shall fill
  bool shows_entry = false;  // the entry is the answer, or (with a miss) the rescue
  int64_t wait_us = 0;       // of kWait: until then at the latest
};

// A mark (of a purge, a clear) as of now: one that a clock set far ahead is dated anew, so that
// what is there now is covered, and what is born later is not.
constexpr int64_t redated(int64_t mark, int64_t now_us) {
  return mark - now_us > kMaxSkewUs ? now_us : mark;
}

// The tomb's part in a floor: kNoMark where there is none. Dates it anew, or drops it.
int64_t tomb_floor(Tomb& tomb, const CacheNumbers& numbers, int64_t now_us);

// Does the entry count? `floor`: of its tags. One that does not is dropped from the records.
bool entry_counts(KeyRecords& key, int64_t floor, int64_t now_us);
// Drops a lease that has run out.
void settle_lease(KeyRecords& key, int64_t now_us);

// A look-up; with a token the caller would make the value, as that holder. The records are settled
// (entry_counts, settle_lease).
CacheSeen look_up(KeyRecords& key, const CacheNumbers& numbers, uint64_t token, int64_t now_us);

struct PutAsk {
  uint64_t token = 0;  // 0: an explicit set, which counts from now on
  int64_t born = 0;    // with a token: when its lease was granted
  Lifetimes life;      // chance is drawn already
};
// `floor`: of the new tags. `there`: entry_counts() of what is there, with a token. The lease is
// settled. kStored: key.entry is what the value has to be stored under; kRefused without a token:
// the entry is dropped.
PutStatus put(KeyRecords& key, const PutAsk& ask, int64_t floor, bool there, int64_t now_us);

// The holder gives its lease back without a value. False: it was not its lease any more.
bool release(KeyRecords& key, const CacheNumbers& numbers, uint64_t token, bool failed, bool there,
             int64_t now_us);
// The holder is still at it: its lease runs anew.
bool renew(KeyRecords& key, const CacheNumbers& numbers, uint64_t token, int64_t now_us);
// Drops the entry, and remembers that. `floor`: of no tags, kNoMark where there was no tomb.
void erase(KeyRecords& key, const CacheNumbers& numbers, int64_t floor, int64_t now_us);

}  // namespace tidegate
