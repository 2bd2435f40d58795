// SPDX-License-Identifier: MIT
// A circuit breaker (M. Nygard, "Release It!"): after some failed round trips in a row nobody asks
// the store for a while, then one request tries it out. Keeps a dead store from costing every
// request a deadline.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/lock.h"

namespace tidegate {

// Any thread. Times are monotonic us.
class Breaker {
 public:
  static constexpr int64_t kFirstPauseUs = 1'000'000;
  static constexpr int64_t kLongestPauseUs = 30'000'000;
  enum class Gate : uint8_t { kPass, kProbe, kReject };

  // probe_us: a probe that is not heard of for so long is taken for lost.
  Breaker(int64_t failures_to_open, int64_t probe_us)
      : failures_to_open_(failures_to_open), probe_us_(probe_us) {}

  Gate admit(int64_t now_us) {
    return open_.load(std::memory_order_acquire) ? admit_when_open(now_us) : Gate::kPass;
  }
  bool open() const { return open_.load(std::memory_order_acquire); }

  bool success();  // true: it closed just now
  // Something speaks for the store again: the next who asks is a probe.
  void may_retry(int64_t now_us);
  bool failure(int64_t now_us);  // true: it opened just now (not: stayed open)
  // The wait after which the store is tried again; kFirstPauseUs while the breaker is closed.
  int64_t retry_after_us(int64_t now_us) const;

 private:
  Gate admit_when_open(int64_t now_us);

  const int64_t failures_to_open_, probe_us_;
  std::atomic<bool> open_{false};
  std::atomic<int64_t> failures_{0};  // in a row
  mutable Mutex mutex_;
  int64_t pause_us_ TIDEGATE_GUARDED_BY(mutex_) = 0;
  int64_t next_probe_us_ TIDEGATE_GUARDED_BY(mutex_) = 0;
  int64_t probing_until_us_ TIDEGATE_GUARDED_BY(mutex_) = 0;
};

}  // namespace tidegate
