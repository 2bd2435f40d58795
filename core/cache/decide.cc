// SPDX-License-Identifier: MIT
#include "cache/decide.h"

namespace tidegate {

int64_t tomb_floor(Tomb& tomb, const CacheNumbers& numbers, int64_t now_us) {
  if (!tomb.there()) return kNoMark;
  if (tomb.at - now_us > kMaxSkewUs) tomb = {now_us, now_us + numbers.tomb_us()};
  if (now_us < tomb.until) return tomb.at;
  tomb = {};
  return kNoMark;
}

bool entry_counts(KeyRecords& key, int64_t floor, int64_t now_us) {
  EntryTimes& entry = key.entry;
  if (!entry.there()) return false;
  if (now_us < entry.gone_at && entry.born - now_us <= kMaxSkewUs && entry.born > floor)
    return true;
  entry = {};
  return false;
}

void settle_lease(KeyRecords& key, int64_t now_us) {
  Lease& lease = key.lease;
  if (lease.there() && (now_us >= lease.until || lease.born - now_us > kMaxSkewUs)) lease = {};
}

CacheSeen look_up(KeyRecords& key, const CacheNumbers& numbers, uint64_t token, int64_t now_us) {
  const bool there = key.entry.there();
  if (there && now_us < key.entry.fresh_until)
    return {.status = CacheStatus::kHit, .shows_entry = true};
  const bool stale = there && now_us < key.entry.stale_until;
  if (token == 0)
    return {.status = stale ? CacheStatus::kStale : CacheStatus::kMiss, .shows_entry = stale};
  if (key.lease.failed()) {
    if (there)
      return {.status = stale ? CacheStatus::kStale : CacheStatus::kRescued, .shows_entry = true};
    key.lease = {};  // nothing to serve: somebody has to try
  }
  const bool granted = !key.lease.there();
  if (granted) key.lease = {token, now_us, now_us + numbers.lease_us};
  if (stale) return {.status = CacheStatus::kStale, .granted = granted, .shows_entry = true};
  if (!granted) return {.status = CacheStatus::kWait, .wait_us = key.lease.until - now_us};
  return {.status = CacheStatus::kMiss, .granted = true, .shows_entry = there};
}

PutStatus put(KeyRecords& key, const PutAsk& ask, int64_t floor, bool there, int64_t now_us) {
  int64_t born = ask.born;
  if (ask.token != 0) {
    const bool held = key.lease.there() && !key.lease.failed();
    const bool mine = key.lease.held_by(ask.token);
    const bool late = (held && !mine) || floor >= born || (there && key.entry.born >= born) ||
                      born - now_us > kMaxSkewUs;
    if (mine || (key.lease.failed() && !late)) key.lease = {};
    if (late) return PutStatus::kLate;
  } else {
    born = std::max(now_us, floor + 1);
  }
  const EntryTimes made = EntryTimes::of(born, ask.life);
  if (now_us >= made.gone_at) {
    if (ask.token == 0) key.entry = {};
    return PutStatus::kRefused;
  }
  key.entry = made;
  return PutStatus::kStored;
}

bool release(KeyRecords& key, const CacheNumbers& numbers, uint64_t token, bool failed, bool there,
             int64_t now_us) {
  if (!key.lease.held_by(token)) return false;
  key.lease = failed && there ? Lease{0, now_us, now_us + numbers.retry_us} : Lease{};
  return true;
}

bool renew(KeyRecords& key, const CacheNumbers& numbers, uint64_t token, int64_t now_us) {
  if (!key.lease.held_by(token)) return false;
  key.lease.until = now_us + numbers.lease_us;
  return true;
}

void erase(KeyRecords& key, const CacheNumbers& numbers, int64_t floor, int64_t now_us) {
  key.entry = {};
  key.tomb = {std::max(now_us, floor), now_us + numbers.tomb_us()};
}

}  // namespace tidegate
