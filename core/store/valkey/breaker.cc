// SPDX-License-Identifier: MIT
#include "store/valkey/breaker.h"

#include <algorithm>

namespace tidegate {

Breaker::Gate Breaker::admit_when_open(int64_t now_us) {
  const MutexGuard guard(mutex_);
  if (!open_.load(std::memory_order_relaxed)) return Gate::kPass;
  if (now_us < next_probe_us_ || now_us < probing_until_us_) return Gate::kReject;
  probing_until_us_ = now_us + probe_us_;
  return Gate::kProbe;
}

bool Breaker::success() {
  if (failures_.load(std::memory_order_relaxed) == 0) return false;
  const MutexGuard guard(mutex_);
  failures_.store(0, std::memory_order_relaxed);
  return open_.exchange(false, std::memory_order_acq_rel);
}

void Breaker::may_retry(int64_t now_us) {
  if (!open()) return;
  const MutexGuard guard(mutex_);
  next_probe_us_ = std::min(next_probe_us_, now_us);
  probing_until_us_ = 0;
}

bool Breaker::failure(int64_t now_us) {
  const MutexGuard guard(mutex_);
  const int64_t failures = failures_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (open_.load(std::memory_order_relaxed)) {
    if (now_us < next_probe_us_) return false;  // from before it opened
    pause_us_ = std::min(2 * pause_us_, kLongestPauseUs);
    next_probe_us_ = now_us + pause_us_;
    probing_until_us_ = 0;
    return false;
  }
  if (failures < failures_to_open_) return false;
  pause_us_ = kFirstPauseUs;
  next_probe_us_ = now_us + pause_us_;
  probing_until_us_ = 0;
  open_.store(true, std::memory_order_release);
  return true;
}

int64_t Breaker::retry_after_us(int64_t now_us) const {
  if (!open()) return kFirstPauseUs;
  const MutexGuard guard(mutex_);
  return std::max<int64_t>(1, std::max(next_probe_us_, probing_until_us_) - now_us);
}

}  // namespace tidegate
