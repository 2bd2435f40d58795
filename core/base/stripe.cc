// SPDX-License-Identifier: MIT
#include "base/stripe.h"

#include <pthread.h>

#include <atomic>
#include <bit>
#include <cstdint>

namespace tidegate {
namespace {

std::atomic<uint32_t> free_stripes{~uint32_t{0}};

size_t take_stripe() {
  uint32_t free = free_stripes.load(std::memory_order_relaxed);
  while (free != 0)
    if (free_stripes.compare_exchange_weak(free, free & (free - 1), std::memory_order_acquire))
      return static_cast<size_t>(std::countr_zero(free));
  return kStripes;
}

// Gives the stripe back when the thread ends. What the thread still writes then is shared.
struct Lease {
  Lease() { stripe_detail::mine = take_stripe(); }
  ~Lease() {
    const size_t mine = stripe_detail::mine;
    stripe_detail::mine = kStripes;
    if (mine < kStripes) free_stripes.fetch_or(uint32_t{1} << mine, std::memory_order_release);
  }
};

// In a forked child only the thread that forked is left.
void free_of_dead_threads() {
  const size_t mine = stripe_detail::mine;
  const uint32_t kept = mine < kStripes ? uint32_t{1} << mine : 0;
  free_stripes.store(~kept, std::memory_order_relaxed);
}

const int registered = pthread_atfork(nullptr, nullptr, free_of_dead_threads);

}  // namespace

namespace stripe_detail {

constinit thread_local size_t mine = kNone;

size_t lease() {
  static_cast<void>(registered);
  static thread_local Lease lease;
  static_cast<void>(lease);
  return mine;
}

}  // namespace stripe_detail
}  // namespace tidegate
