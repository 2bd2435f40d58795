// SPDX-License-Identifier: MIT
// Who holds how many slots, and until when; as one of them (or a newcomer) sees it who names a
// cost. A holder is gone when his lease has run out. The id under which he took his slots renews
// the lease, whatever cost it names: the slots stay as first taken. It gives them back all at once.
#pragma once

#include <algorithm>

#include "limiter/numbers.h"
#include "limiter/state.h"

namespace tidegate {

struct Slots {
  int64_t used;          // by all others
  int64_t first_us;      // the earliest expiry of the others, 0: nobody
  int64_t last_us;       // the latest
  int64_t own_until_us;  // 0: he holds none
  int64_t own_slots;
  int64_t fit_us;  // when the cost fits if nobody gives back early; 0: it does now, or never will
  int64_t now_us;
  bool full;  // there is no memory for one more holder until the earliest has left

  // The latest alone says whether anybody is too far ahead.
  static bool far_ahead(const Numbers& limit, HolderSpan holders, int64_t now_us) {
    return !holders.empty() && holders.back().until_us() - now_us > limit.window_us + kMaxSkewUs;
  }
  // When a holder is gone: one dated further ahead than a lease and kMaxSkewUs gets a lease from
  // now on.
  static int64_t until(const Numbers& limit, const SlotHolder& holder, int64_t now_us) {
    const int64_t until_us = holder.until_us();
    return until_us - now_us > limit.window_us + kMaxSkewUs ? now_us + limit.window_us : until_us;
  }

  // As seen by `id`, who names `cost`. O(holders).
  static Slots at(const Numbers& limit, HolderSpan holders, const HolderId& id, int64_t cost,
                  int64_t now_us);

  bool held() const { return own_until_us > 0; }
  int64_t remaining(const Numbers& limit) const {
    return std::max<int64_t>(0, limit.limit - used - own_slots);
  }
  int64_t room(const Numbers&) const { return 0; }  // slots cannot be owed
  bool fits(const Numbers& limit, int64_t cost) const {
    return used + own_slots + cost <= limit.limit && !full;
  }
  // For the cost that it was looked at with.
  int64_t wait(const Numbers& limit, int64_t cost) const {
    if (fits(limit, cost)) return 0;
    return std::max(fit_us, full ? first_us : 0) - now_us;
  }
  // The earliest expiry, even where more than `limit` are held, and one that ends frees none yet.
  int64_t next() const {
    if (!held()) return used ? first_us - now_us : 0;
    return (used ? std::min(first_us, own_until_us) : own_until_us) - now_us;
  }
  int64_t reset_after() const {
    return held() || used ? std::max(last_us, own_until_us) - now_us : 0;
  }

  void charge(const Numbers& limit, int64_t cost) {  // a renewal never shortens a lease
    if (!held()) own_slots = cost;
    own_until_us = std::max(own_until_us, now_us + limit.window_us);
  }
  void refund(const Numbers&, int64_t) { own_until_us = own_slots = 0; }  // whatever cost is named
};

}  // namespace tidegate
