// SPDX-License-Identifier: MIT
// Counting without contention: each thread has a stripe of its own, a reader adds them up.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tidegate {

enum class Counter : uint8_t {
  kAllowed,
  kDenied,
  kWouldDeny,
  kByNone,
  kByMemory,
  kByStore,
  kByFallback,
  kByFailOpen,
  kByFailClosed,  // in the order of Source
  kRoundTrips,
  kBatches,
  kMerged,
  kScriptLoads,
  kConnects,
  kBreakerOpened,
  kLateReplies,
  kTimeouts,
  kConnectErrors,
  kAuthErrors,
  kTlsErrors,
  kProtocolErrors,
  kClusterErrors,
  kOomErrors,
  kReadOnlyErrors,
  kLoadingErrors,
  kBusyErrors,
  kNoPermErrors,
  kWrongTypeErrors,
  kOtherErrors,
  kNameConflicts,
  kCount,
};

// Any thread. A stripe belongs to one living thread at a time, which alone writes it; threads
// beyond the stripes share the last one and pay for an atomic addition.
class Counters {
 public:
  void add(Counter counter, int64_t n = 1) { add_to(thread_stripe(), counter, n); }
  void add_two(Counter one, Counter other) {  // 1 to each
    const size_t stripe = thread_stripe();
    add_to(stripe, one, 1);
    add_to(stripe, other, 1);
  }

  int64_t sum(Counter counter) const {
    int64_t total = 0;
    for (const Stripe& stripe : stripes_)
      total += stripe.cells[static_cast<size_t>(counter)].load(std::memory_order_relaxed);
    return total;
  }

 private:
  static constexpr size_t kStripes = 32;
  struct alignas(64) Stripe {
    std::array<std::atomic<int64_t>, static_cast<size_t>(Counter::kCount)> cells{};
  };
  void add_to(size_t stripe, Counter counter, int64_t n) {
    std::atomic<int64_t>& cell = stripes_[stripe].cells[static_cast<size_t>(counter)];
    if (stripe < kStripes)
      cell.store(cell.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    else
      cell.fetch_add(n, std::memory_order_relaxed);
  }
  // Below kStripes: this thread's own; kStripes: shared.
  static size_t thread_stripe() {
    const size_t* mine = mine_;
    return mine ? *mine : lease_stripe();
  }
  static size_t lease_stripe();
  // In the thread's static block: found without a call.
  static constinit thread_local const size_t* mine_ __attribute__((tls_model("initial-exec")));
  std::array<Stripe, kStripes + 1> stripes_{};
};

}  // namespace tidegate
