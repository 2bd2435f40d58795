// SPDX-License-Identifier: MIT
// Who holds slots, at rest. One holder lives in the slot of the table itself, more in one
// contiguous buffer that the state owns, by when they leave.
//
//   Slots view = Slots::at(limit, holders.span(), id, cost, now_us);
//   if (!holders.has_room(now_us)) holders.reserve(quota);
//   view.charge(limit, cost);
//   holders.keep(limit, view, id, quota);
//
// Memory is looked for before anything is decided: who finds none is denied until the earliest
// holder leaves. Guarded by its shard's lock; memory is zero in a fresh slot. The owner calls
// release() before forgetting it.
#pragma once

#include <bit>

#include "limiter/slots.h"
#include "store/memory/budget.h"

namespace tidegate {

struct HolderBuffer {
  uint32_t count, capacity;
  SlotHolder* entries() { return reinterpret_cast<SlotHolder*>(this + 1); }
};

struct Holders {
  SlotHolder only;  // or, under kBuffered, where the buffer is

  HolderSpan span() const;
  bool far_ahead(const Numbers& limit, int64_t now_us) const {
    return Slots::far_ahead(limit, span(), now_us);
  }
  int64_t live_slots(int64_t now_us) const;
  int64_t bytes() const;  // outside of the slot

  // For one holder more, once the expired are gone.
  bool has_room(int64_t now_us) const;
  // Makes room. False: it had to grow and could not; nothing has changed.
  bool reserve(Quota& quota);
  // Puts a view of it back: everybody as of the view's time, and `id` as the view says. A newcomer
  // needs has_room().
  void keep(const Numbers& limit, const Slots& view, const HolderId& id, Quota& quota);
  int64_t release(Quota& quota);  // returns the bytes

 private:
  static constexpr uint64_t kBuffered = uint64_t{1} << 63;  // no SlotHolder's word reaches it

  HolderBuffer* buffer() const {
    return only.word & kBuffered ? std::bit_cast<HolderBuffer*>(only.id_words[0]) : nullptr;
  }
  bool resize(uint32_t capacity, Quota& quota);
};

}  // namespace tidegate
