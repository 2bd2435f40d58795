// SPDX-License-Identifier: MIT
// The embedded engine: a bounded, sharded table of states, answered inline on the caller's thread.
//
//   MemoryStore store({.max_keys = 1'000'000, .max_bytes = 256 << 20});
//   Leg leg{.id = whose, .limit = &limit, .cost = 1};
//   prepare({&leg, 1});
//   Verdict verdict = store.consume({&leg, 1}, now_us);
//
// Thread safety: any thread; a request locks the shards it touches, in order. A request of several
// legs is atomic. Cost: O(1) expected per leg, nothing allocated while the table neither grows nor
// a log does.
//
// Bounds: max_keys states, max_bytes of memory; neither is exceeded.
//   - bytes are the table (63 a key when full, most of them the slot of 48; a quarter of a megabyte
//     when empty at the defaults), the buffers of sliding logs (16 for each charge that is
//     remembered beyond the first, in steps) and those of holders of slots (24 for each beyond the
//     first). The allocator's overhead is not counted, nor, while a thread moves a shard to a
//     larger table, the 64 KiB at most that both need for a moment.
//   - the table has 3/4 of max_bytes at most: where max_keys would need more, fewer are kept. Logs
//     and holders have what the full table leaves. At the smallest there is room for one key, and
//     500 bytes.
//   - a new key is always admitted; who goes for it is written in eviction.h.
//   - a log that finds no room is squeezed (log.h): less may pass than should, never more. Memory
//     that the system refuses is room that is not there: the same happens.
//   - a newcomer for whom there is no room among the holders is denied until the earliest leaves.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "limiter/decide.h"

namespace tidegate {

struct MemoryOptions {
  int64_t max_keys = 1'000'000;
  int64_t max_bytes = 268'435'456;
};

struct MemoryStats {
  int64_t keys = 0, bytes = 0;   // now
  int64_t evicted_idle = 0;      // since it was made: states that owed nothing,
  int64_t evicted_harmless = 0;  // little of their capacity,
  int64_t evicted_owing = 0;     // more: somebody's past was forgotten
};

class StateTable;

class MemoryStore {
 public:
  explicit MemoryStore(const MemoryOptions& options);
  ~MemoryStore();
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  // Legs are prepared (decide.h), their limits live until let_go; answers are in them. now_us >= 0;
  // it may stand still and step back.
  Verdict consume(std::span<Leg> legs, int64_t now_us);
  // The most frequent request at its cheapest: consume() of one leg that is no shadow, and not of
  // slots. True: allowed.
  bool consume_one(const Fingerprint& id, const Numbers& limit, int64_t cost, int64_t now_us,
                   Figures& figures);
  // The same of slots; and releasing them.
  void consume_slots(const Fingerprint& id, const HolderId& holder, const Numbers& limit,
                     int64_t cost, int64_t now_us, Answer& answer);
  void release_slots(const Fingerprint& id, const HolderId& holder, const Numbers& limit,
                     int64_t now_us);
  Verdict peek(std::span<Leg> legs, int64_t now_us);
  Verdict debit(std::span<Leg> legs, int64_t now_us);
  void refund(std::span<Leg> legs, int64_t now_us);
  void reset(std::span<Leg> legs);

  // Numbers that are about to be freed, and are in no request's hands: states that have them get a
  // copy. O(states).
  void let_go(std::span<const Numbers* const> gone);

  MemoryStats stats() const;

 private:
  std::unique_ptr<StateTable> table_;
};

}  // namespace tidegate
