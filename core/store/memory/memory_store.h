// SPDX-License-Identifier: MIT
// The embedded engine: a bounded, sharded table of states, answered inline on the caller's thread.
//
//   MemoryStore store({.max_keys = 1'000'000, .max_bytes = 256 << 20});
//   Leg leg{.id = whose, .limit = &limit, .cost = 1};
//   prepare({&leg, 1});
//   Verdict verdict = store.consume({&leg, 1}, now_us);
//
// Thread safety: any thread; a request locks the shards it touches, in order. A request of several legs is atomic.
// Cost: O(1) expected per leg, nothing allocated while the table neither grows nor a log does.
//
// What happens when the table is full is written in eviction.h.
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
  int64_t keys = 0, bytes = 0;  // now
  int64_t evicted_idle = 0;     // since it was made: states that owed nothing,
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

  // Legs are prepared (decide.h); answers are in them. now_us >= 0; it may stand still and step back.
  Verdict consume(std::span<Leg> legs, int64_t now_us);
  Verdict peek(std::span<Leg> legs, int64_t now_us);
  void refund(std::span<Leg> legs, int64_t now_us);
  void reset(std::span<Leg> legs);

  MemoryStats stats() const;

 private:
  std::unique_ptr<StateTable> table_;
};

}  // namespace tidegate
