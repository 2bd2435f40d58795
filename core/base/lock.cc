// SPDX-License-Identifier: MIT
#include "base/lock.h"

#include <sched.h>
#include <time.h>

#include <algorithm>

namespace tidegate {
namespace {

constexpr int kLooks = 64, kYields = 32;
constexpr long kFirstSleepNs = 20'000, kLongestSleepNs = 1'000'000;

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace

void SpinLock::wait() {
  long sleep_ns = kFirstSleepNs;
  for (int turn = 0;; ++turn) {
    if (turn < kLooks) {
      relax();
    } else if (turn < kLooks + kYields) {
      sched_yield();
    } else {  // only sleeping lets a holder of lower priority run
      const timespec pause{.tv_sec = 0, .tv_nsec = sleep_ns};
      nanosleep(&pause, nullptr);
      sleep_ns = std::min(2 * sleep_ns, kLongestSleepNs);
    }
    if (!held_.load(std::memory_order_relaxed) && !held_.exchange(true, std::memory_order_acquire))
      return;
  }
}

}  // namespace tidegate
