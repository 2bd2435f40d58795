// SPDX-License-Identifier: MIT
// The embedded engine as a client asks it: parts in, what the caller sees out. It decides for
// memory:// clients, and for others while their store is away (NumbersFor::kFallback).
#pragma once

#include <span>

#include "base/time.h"
#include "limiter/request.h"
#include "stats/counters.h"
#include "store/memory/memory_store.h"

namespace tidegate {

// Any thread; allocates nothing per decision but a log's growth. Manual clocks are the caller's to
// set.
class EmbeddedStore {
 public:
  EmbeddedStore(const MemoryOptions& options, const Fingerprinter& fingerprint, const Clock& clock)
      : store_(options), fingerprint_(fingerprint), clock_(clock) {}

  // kConsume, kPeek and kDebit answer in `results` (room for kMaxLegs); kRefund and kReset do as
  // they are told.
  Decision decide(Op op, std::span<const Part> parts, NumbersFor numbers_for, Source source,
                  RateResult* results);

  // The most frequent request at its cheapest: a consume of one part whose limiter is simple().
  // True: it fit.
  bool consume_one(const Part& part, RateResult& result);
  // The same where it is simple_slots(); and releasing them.
  bool consume_slots(const Part& part, RateResult& result);
  void release_slots(const Part& part);

  MemoryStats stats() const { return store_.stats(); }

 private:
  MemoryStore store_;
  const Fingerprinter& fingerprint_;
  const Clock& clock_;
};

}  // namespace tidegate
