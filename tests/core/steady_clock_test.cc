// SPDX-License-Identifier: MIT
#include "limiter/steady_clock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace tidegate {
namespace {

int64_t system_us() { return system_monotonic_ns() / 1'000; }

// How far a reading was outside of the system's readings before and after it.
int64_t distance_us(const SteadyClock& clock) {
  const int64_t before = system_us();
  const int64_t now = clock.now_us();
  return std::max({int64_t{0}, before - now, now - system_us()});
}

TEST(SteadyClock, StaysWithTheSystemsClock) {
  for (const bool by_counter : {false, SteadyClock::kernel_uses_counter()}) {
    const SteadyClock clock(by_counter);
    int64_t most = 0;
    for (const int64_t end = system_us() + 400'000; system_us() < end;)
      most = std::max(most, distance_us(clock));
    EXPECT_LE(most, by_counter ? 100 : 0);
  }
}

TEST(SteadyClock, StaysWithItAcrossPausesLongAndShort) {
  const SteadyClock clock;
  for (const int pause_us : {1, 100, 6'000, 99'000, 101'000, 250'000, 10, 10'000}) {
    std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
    for (int i = 0; i < 100; ++i) ASSERT_LE(distance_us(clock), 100) << "after " << pause_us;
  }
}

TEST(SteadyClock, NeverRunsBackwardsInAnyThread) {
  const SteadyClock clock;
  std::atomic<int64_t> latest{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (const int64_t end = system_us() + 400'000; system_us() < end;) {
        const int64_t seen = latest.load();
        const int64_t now = clock.now_us();
        ASSERT_GE(now, seen - 1) << "but for what a processor reads ahead";
        for (int64_t last = latest; last < now && !latest.compare_exchange_weak(last, now);) {
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace tidegate
