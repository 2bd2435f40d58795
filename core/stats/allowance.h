// SPDX-License-Identifier: MIT
// How much memory a client's figures may take. Who finds no room does without, and is counted.
#pragma once

#include <atomic>
#include <cstdint>

namespace tidegate {

// Any thread.
class Allowance {
 public:
  explicit Allowance(int64_t most) : most_(most) {}

  bool take(int64_t bytes) {
    if (used_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= most_) return true;
    give_back(bytes);
    refused_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  // What must be had whatever there is room for.
  void charge(int64_t bytes) { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void give_back(int64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

  int64_t used() const { return used_.load(std::memory_order_relaxed); }
  int64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  const int64_t most_;
  std::atomic<int64_t> used_{0}, refused_{0};
};

}  // namespace tidegate
