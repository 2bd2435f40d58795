// SPDX-License-Identifier: MIT
#include "stats/counters.h"

#include <bit>

namespace tidegate {
namespace {

std::atomic<uint32_t> free_stripes{~uint32_t{0}};

size_t take_stripe() {
  uint32_t free = free_stripes.load(std::memory_order_relaxed);
  while (free != 0)
    if (free_stripes.compare_exchange_weak(free, free & (free - 1), std::memory_order_acquire))
      return static_cast<size_t>(std::countr_zero(free));
  return 32;
}

// Gives the stripe back when the thread ends.
struct Lease {
  size_t stripe = take_stripe();
  ~Lease() {
    if (stripe < 32) free_stripes.fetch_or(uint32_t{1} << stripe, std::memory_order_release);
    stripe = 32;
  }
};

}  // namespace

constinit thread_local const size_t* Counters::mine_ = nullptr;

size_t Counters::lease_stripe() {
  static thread_local Lease lease;
  mine_ = &lease.stripe;
  return lease.stripe;
}

}  // namespace tidegate
