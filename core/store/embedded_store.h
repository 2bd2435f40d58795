// SPDX-License-Identifier: MIT
// The embedded engine as a client asks it: parts in, what the caller sees out. It decides for
// memory:// clients, and for others while their store is away (NumbersFor::kFallback), and reports
// what it decided.
#pragma once

#include <memory>
#include <span>

#include "base/time.h"
#include "limiter/request.h"
#include "stats/recorder.h"
#include "store/memory/memory_store.h"

namespace tidegate {

// Any thread; allocates nothing per decision but a log's growth. Manual clocks are the caller's to
// set.
class EmbeddedStore {
 public:
  EmbeddedStore(const MemoryOptions& options, const Fingerprinter& fingerprint, const Clock& clock,
                Recorder& recorder)
      : store_(options), fingerprint_(fingerprint), clock_(clock), recorder_(recorder) {}

  // kConsume, kPeek and kDebit answer in `results` (room for kMaxLegs); kRefund and kReset do as
  // they are told.
  Decision decide(Op op, std::span<const Part> parts, NumbersFor numbers_for, Source source,
                  RateResult* results);

  // The most frequent request at its cheapest: a consume of one part whose limiter is simple().
  // (Inline, since a decision that goes through memory on its way is waited for.)
  Decision consume_one(const Part& part, RateResult& result) {
    const Fingerprint key = fingerprint_(part.key);
    const int64_t now_us = clock_.now_us();
    return decided(part, key, fits_one(part, key, result, now_us), result, now_us);
  }
  // The same where it is simple_slots(); and releasing them.
  Decision consume_slots(const Part& part, RateResult& result) {
    const Fingerprint key = fingerprint_(part.key);
    const int64_t now_us = clock_.now_us();
    return decided(part, key, takes_slots(part, key, result, now_us), result, now_us);
  }
  Decision release_slots(const Part& part);

  // Configurations that are about to be freed: nothing in here refers to them any more.
  void let_go(std::span<const std::unique_ptr<const LimiterConfig>> gone);

  MemoryStats stats() const { return store_.stats(); }

 private:
  Decision decided(const Part& part, const Fingerprint& key, bool fit, const RateResult& result,
                   int64_t now_us) {
    const bool shadow = part.limiter->mode == Mode::kShadow;
    const Decision decision{.allowed = fit || shadow,
                            .would_deny = shadow && !fit,
                            .source = Source::kMemory,
                            .part_count = 1};
    recorder_.consumed_one(part, key, decision, result, now_us);
    return decision;
  }
  // Charges it where it does.
  bool fits_one(const Part& part, const Fingerprint& key, RateResult& result, int64_t now_us);
  bool takes_slots(const Part& part, const Fingerprint& key, RateResult& result, int64_t now_us);

  MemoryStore store_;
  const Fingerprinter& fingerprint_;
  const Clock& clock_;
  Recorder& recorder_;
};

}  // namespace tidegate
