// SPDX-License-Identifier: MIT
// CLOCK_MONOTONIC in microseconds at a third of its price: by the processor's counter, which is
// measured against the system's clock and pinned to it again ten times a second.
//
//   SteadyClock clock;
//   const int64_t begin_us = clock.now_us();
//
// (Asking the system keeps the processor from working ahead; that is most of what it costs.) Where
// the kernel itself does not keep time by the counter, or there is none, it is the system's clock.
//
// Within 100 us of CLOCK_MONOTONIC, and like it never runs backwards, unless the counter jumps
// because the machine was suspended or moved: that is noticed, and mended, within 100 ms.
// Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace tidegate {

// CLOCK_MONOTONIC as the system tells it.
int64_t system_monotonic_ns();

class SteadyClock {
 public:
  explicit SteadyClock(bool by_counter = kernel_uses_counter()) : by_counter_(by_counter) {}

  int64_t now_us() const {
#if defined(__x86_64__)
    const uint32_t version = version_.load(std::memory_order_acquire);
    const uint64_t ticks = __rdtsc() - anchor_ticks_.load(std::memory_order_acquire);
    const int64_t anchor_us = anchor_us_.load(std::memory_order_acquire);
    const uint64_t scale = scale_.load(std::memory_order_acquire);
    const uint64_t good_for = good_for_.load(std::memory_order_acquire);
    const bool whole = version % 2 == 0 && version == version_.load(std::memory_order_relaxed);
    if (whole && ticks < good_for) [[likely]]
      return anchor_us + static_cast<int64_t>((ticks * scale) >> kShift);
#endif
    return ask_system();
  }

  static bool kernel_uses_counter();

 private:
  static constexpr int kShift = 36;

  int64_t ask_system() const;
  void pin(int64_t system_ns, uint64_t ticks) const;

  const bool by_counter_;
  // The version is odd while somebody writes the rest: whoever finds it out of date. good_for is in
  // ticks, and 0 until the counter has been measured.
  alignas(64) mutable std::atomic<uint32_t> version_{0};
  mutable std::atomic<uint64_t> anchor_ticks_{0}, scale_{0}, good_for_{0};
  mutable std::atomic<int64_t> anchor_us_{0}, anchor_ns_{0};
};

}  // namespace tidegate
