// SPDX-License-Identifier: MIT
// All shards of a store and what they share. It finds room for states and logs, and evicts where
// there is none.
//
// Locks: a request locks the shards of its legs in the order of their indices, and may wait for
// those only. Room in other shards is looked for with try_lock, so that nobody waits for somebody
// who waits.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "store/memory/eviction.h"
#include "store/memory/kept_numbers.h"
#include "store/memory/memory_store.h"
#include "store/memory/shard.h"

namespace tidegate {

// How the bounds are divided.
struct TablePlan {
  explicit TablePlan(const MemoryOptions& options);

  int64_t keys;             // max_keys, or as many as 3/4 of max_bytes have room for
  uint32_t shards;          // a power of two
  uint32_t keys_per_shard;  // on average when full
  uint32_t slots_per_shard;
  int64_t table_bytes;  // with every shard at its largest
  int64_t more_bytes;   // what is left for logs and holders
};

class StateTable {
 public:
  explicit StateTable(const MemoryOptions& options);
  ~StateTable();

  uint32_t index_of(const Fingerprint& id) const {
    return static_cast<uint32_t>((id.low >> 1) >> index_shift_);
  }
  Shard& shard(uint32_t index) { return shards_[index]; }
  Shard& shard_of(const Fingerprint& id) { return shards_[index_of(id)]; }
  uint32_t shard_count() const { return plan_.shards; }

  // A zero state for a key that has none. Somebody else's may go for it; never null.
  Slot* admit(Shard& shard, const Fingerprint& id, const Numbers& limit, int64_t now_us)
      TIDEGATE_REQUIRES(shard.lock);
  // Puts the view of a leg that has a state back. Others' logs and holders in the shard may go,
  // never those of `legs`.
  void keep(Shard& shard, Slot* slot, const Leg& leg, std::span<const Leg> legs, int64_t now_us)
      TIDEGATE_REQUIRES(shard.lock);
  // Makes room for a newcomer among the holders of a state, if there is such a state. False: there
  // is no memory.
  bool reserve(Shard& shard, const Fingerprint& id, std::span<const Leg> legs, int64_t now_us)
      TIDEGATE_REQUIRES(shard.lock);
  // The same for slots alone.
  void keep_slots(Slot* slot, const Numbers& limit, const Slots& view, const HolderId& holder) {
    slot->holders.keep(limit, view, holder, more_bytes_);
  }
  void erase(Shard& shard, const Fingerprint& id) TIDEGATE_REQUIRES(shard.lock);

  void let_go(std::span<const Numbers* const> gone);  // MemoryStore::let_go

  MemoryStats stats() const;

 private:
  int64_t evict(Shard& shard, int64_t now_us) TIDEGATE_REQUIRES(shard.lock);  // how many states
  // These return the bytes outside of the slots that it freed.
  int64_t evict_for_bytes(Shard& shard, std::span<const Leg> spared, int64_t now_us)
      TIDEGATE_REQUIRES(shard.lock);
  int64_t remove(Shard& shard, const Victims& victims) TIDEGATE_REQUIRES(shard.lock);
  bool take_place_elsewhere(const Shard& shard, int64_t now_us) TIDEGATE_REQUIRES(shard.lock);
  bool evict_elsewhere(int64_t now_us);
  bool find_more_room(Shard& shard, std::span<const Leg> legs, int64_t now_us)
      TIDEGATE_REQUIRES(shard.lock);
  Shard& next_shard();

  const TablePlan plan_;
  const int index_shift_;
  std::unique_ptr<Slot[]> first_slots_;
  std::unique_ptr<Shard[]> shards_;

  KeptNumbers kept_;  // of states whose limiter has other numbers now, or none
  alignas(64) Quota keys_;
  Quota table_bytes_, more_bytes_;
  std::atomic<uint32_t> hand_{0};                  // the next shard to look for room in
  std::atomic<int32_t> pause_{0};                  // refusals of room until it is looked for again
  std::array<std::atomic<int64_t>, 3> evicted_{};  // by Owes
};

}  // namespace tidegate
