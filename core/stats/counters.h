// SPDX-License-Identifier: MIT
// Counting without contention: each thread has a stripe of its own (base/stripe.h), a reader adds
// them up.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/stripe.h"
#include "stats/metrics.h"

namespace tidegate {

// Any thread.
class Counters {
 public:
  void add(Counter counter, int64_t n = 1) { add_to(cell_of(counter), n); }
  void add(Source source, Outcome outcome) { add_to(cell_of(source, outcome), 1); }

  int64_t sum(Counter counter) const { return sum_of(cell_of(counter)); }
  int64_t sum(Source source, Outcome outcome) const { return sum_of(cell_of(source, outcome)); }

 private:
  static constexpr size_t kDecisions = static_cast<size_t>(Counter::kCount);
  static constexpr size_t kCells = kDecisions + kSources * kOutcomes;
  struct alignas(64) Stripe {
    std::array<std::atomic<int64_t>, kCells> cells{};
  };

  static constexpr size_t cell_of(Counter counter) { return static_cast<size_t>(counter); }
  static constexpr size_t cell_of(Source source, Outcome outcome) {
    return kDecisions + static_cast<size_t>(source) * kOutcomes + static_cast<size_t>(outcome);
  }
  void add_to(size_t at, int64_t n) {
    const size_t stripe = thread_stripe();
    std::atomic<int64_t>& cell = stripes_[stripe].cells[at];
    if (stripe < kStripes)  // nobody else writes it
      cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    else
      cell.fetch_add(n, std::memory_order_relaxed);
  }
  int64_t sum_of(size_t at) const {
    int64_t total = 0;
    for (const Stripe& stripe : stripes_) total += stripe.cells[at].load(std::memory_order_relaxed);
    return total;
  }

  std::array<Stripe, kStripes + 1> stripes_{};
};

}  // namespace tidegate
