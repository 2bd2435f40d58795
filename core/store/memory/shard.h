// SPDX-License-Identifier: MIT
// A part of the table under a lock of its own: linear probing over slots that hold the states
// inline. Deleting shifts the slots behind, so there are no tombstones, and lookups stay short
// however many keys come and go.
//
//   SpinGuard guard(shard.lock);
//   Slot* slot = shard.find(leg.id);
//   if (!slot && shard.has_room()) slot = shard.insert(leg.id, leg.limit);
//
// Slots move when others come or go: a pointer is good until the next insert, erase or grow.
#pragma once

#include <cstdint>
#include <span>

#include "base/fingerprint.h"
#include "base/lock.h"
#include "limiter/numbers.h"
#include "store/memory/budget.h"
#include "store/memory/holders.h"
#include "store/memory/log.h"

namespace tidegate {

// One state. All zero is an empty one.
struct Slot {
  Fingerprint id;
  union {
    State state = {};
    Log log;          // limit->algorithm is kSlidingLog
    Holders holders;  // kConcurrency
  };
  const Numbers* limit = nullptr;  // null: empty

  int64_t bytes() const;          // outside of the slot
  int64_t release(Quota& quota);  // frees them
};
static_assert(sizeof(Slot) == 48);

class alignas(64) Shard {
 public:
  static constexpr uint32_t kFirstSlots = 4;

  SpinLock lock;

  Shard() = default;
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // kFirstSlots empty slots to begin with, which stay the caller's.
  void start(Slot* first) TIDEGATE_REQUIRES(lock);

  Slot* find(const Fingerprint& id) TIDEGATE_REQUIRES(lock) {
    for (uint32_t at = home(id);; at = at + 1 == size_ ? 0 : at + 1) {
      Slot& slot = slots_[at];
      if (slot.id == id && slot.limit) [[likely]]
        return &slot;
      if (!slot.limit) return nullptr;
    }
  }

  uint32_t count() const TIDEGATE_REQUIRES(lock) { return count_; }
  std::span<const Slot> slots() const TIDEGATE_REQUIRES(lock) { return {slots_, size_}; }
  template <class F>
  void each(F f) TIDEGATE_REQUIRES(lock) {  // f(Slot&) for every state
    for (uint32_t i = 0; i < size_; ++i)
      if (slots_[i].limit) f(slots_[i]);
  }
  bool has_room() const TIDEGATE_REQUIRES(lock) { return count_ < most_in(size_); }
  // A larger table of at most `most_slots`. False: there is no memory, or it is that large.
  bool grow(uint32_t most_slots, Quota& bytes) TIDEGATE_REQUIRES(lock);
  // A zero state for a key that is not there; has_room().
  Slot* insert(const Fingerprint& id, const Numbers* limit) TIDEGATE_REQUIRES(lock);
  // Returns how many bytes outside of the slot it freed.
  int64_t erase(Slot* slot, Quota& more_bytes) TIDEGATE_REQUIRES(lock);
  void release_all(Quota& more_bytes) TIDEGATE_REQUIRES(lock);

  // Where the next search for victims begins, so that they are not always the same slots.
  uint32_t hand TIDEGATE_GUARDED_BY(lock) = 0;

  // How full a table of so many slots gets: 8/9.
  static constexpr uint32_t most_in(uint32_t slots) { return slots - (slots + 8) / 9; }
  static constexpr uint32_t slots_for(uint32_t states) { return states + states / 8 + 1; }

 private:
  // Every bit of `high` counts, and neighbours in the table are neighbours in it.
  uint32_t home(const Fingerprint& id) const TIDEGATE_REQUIRES(lock) {
    return static_cast<uint32_t>(((id.high >> 32) * size_) >> 32);
  }
  uint32_t after(uint32_t at) const TIDEGATE_REQUIRES(lock) { return at + 1 == size_ ? 0 : at + 1; }

  bool owns_slots_ TIDEGATE_GUARDED_BY(lock) = false;
  uint32_t size_ TIDEGATE_GUARDED_BY(lock) = 0;
  uint32_t count_ TIDEGATE_GUARDED_BY(lock) = 0;
  Slot* slots_ TIDEGATE_GUARDED_BY(lock) = nullptr;
};
static_assert(sizeof(Shard) == 64);

}  // namespace tidegate
