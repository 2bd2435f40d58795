// SPDX-License-Identifier: MIT
// What all shards of a store share: how many states there may be, and how much memory. Any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace tidegate {

// A quantity that several threads draw on; never above its bound.
class Quota {
 public:
  explicit Quota(int64_t most) : most_(most) {}

  bool take(int64_t amount) {
    int64_t used = this->used();
    do {
      if (used > most_ - amount) return false;
    } while (!used_.compare_exchange_weak(used, used + amount, std::memory_order_relaxed));
    return true;
  }
  void give(int64_t amount) { used_.fetch_sub(amount, std::memory_order_relaxed); }
  int64_t used() const { return used_.load(std::memory_order_relaxed); }
  int64_t most() const { return most_; }

 private:
  const int64_t most_;
  std::atomic<int64_t> used_{0};
};

}  // namespace tidegate
