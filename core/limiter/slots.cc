// SPDX-License-Identifier: MIT
#include "limiter/slots.h"

namespace tidegate {
namespace {

// When the slots of the others who leave first reach `over`. Who is too far ahead has been re-dated
// to now + lease, and leaves before those who are dated later than that.
int64_t time_of(const Numbers& limit, HolderSpan live, int64_t over, int64_t now_us) {
  const int64_t lease_end_us = now_us + limit.window_us;
  const int64_t far_us = lease_end_us + kMaxSkewUs;
  for (int pass = 0; pass < 3; ++pass) {
    for (const SlotHolder& holder : live) {
      const int64_t until_us = holder.until_us();
      const int leaves = until_us <= lease_end_us ? 0 : until_us > far_us ? 1 : 2;
      if (leaves != pass) continue;
      over -= holder.slots();
      if (over <= 0) return pass == 1 ? lease_end_us : until_us;
    }
  }
  return live.empty() ? now_us : Slots::until(limit, live.back(), now_us);
}

}  // namespace

Slots Slots::at(const Numbers& limit, HolderSpan holders, const HolderId& id, int64_t cost,
                int64_t now_us) {
  Slots seen{.now_us = now_us};
  size_t expired = 0;
  while (expired < holders.size() && holders[expired].until_us() <= now_us) ++expired;
  const HolderSpan live = holders.subspan(expired);
  for (const SlotHolder& holder : live) {
    const int64_t until_us = until(limit, holder, now_us);
    if (holder.id() == id) {
      seen.own_until_us = until_us;
      seen.own_slots = holder.slots();
      continue;
    }
    if (seen.used == 0 || until_us < seen.first_us) seen.first_us = until_us;
    seen.last_us = std::max(seen.last_us, until_us);
    seen.used += holder.slots();
  }
  if (cost > 0 && cost <= limit.capacity && !seen.held() && seen.used + cost > limit.limit)
    seen.fit_us = time_of(limit, live, seen.used + cost - limit.limit, now_us);
  return seen;
}

}  // namespace tidegate
