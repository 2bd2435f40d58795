// SPDX-License-Identifier: MIT
#include "limiter/steady_clock.h"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace tidegate {
namespace {

constexpr double kShortestNs = 5e6;    // to measure the counter
constexpr double kPinnedUs = 100'000;  // how long a pin is good for
constexpr double kAheadUs = 1'000;     // more cannot come of slewing
constexpr uint64_t kTicksApart =
    20'000;  // between two looks at the counter: this thread lost its core

uint64_t counter() {
#if defined(__x86_64__)
  return __rdtsc();
#else
  return 0;
#endif
}

}  // namespace

int64_t system_monotonic_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool SteadyClock::kernel_uses_counter() {
#if defined(__x86_64__)
  static const bool uses = [] {
    constexpr char kPath[] = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    char name[16] = {};
    if (FILE* file = std::fopen(kPath, "re")) {
      if (!std::fgets(name, sizeof name, file)) name[0] = '\0';
      std::fclose(file);
    }
    return std::strcmp(name, "tsc\n") == 0;
  }();
  return uses;
#else
  return false;
#endif
}

int64_t SteadyClock::ask_system() const {
  const uint64_t before = counter();
  const int64_t system_ns = system_monotonic_ns();
  const uint64_t apart = counter() - before;
  uint32_t version = version_.load(std::memory_order_relaxed);
  if (by_counter_ && apart < kTicksApart && version % 2 == 0 &&
      version_.compare_exchange_strong(version, version + 1, std::memory_order_acquire)) {
    pin(system_ns, before + apart / 2);
    version_.store(version + 2, std::memory_order_release);
  }
  return system_ns / 1'000;
}

void SteadyClock::pin(int64_t system_ns, uint64_t ticks) const {
  const auto set = [](auto& field, auto value) { field.store(value, std::memory_order_release); };
  const auto get = [](auto& field) { return field.load(std::memory_order_relaxed); };
  const auto passed_ns = static_cast<double>(system_ns - get(anchor_ns_));
  const auto passed_ticks = static_cast<double>(static_cast<int64_t>(ticks - get(anchor_ticks_)));
  const auto scale = static_cast<double>(get(scale_));
  if (passed_ns < 0) return;  // another thread was faster
  constexpr double kOne = int64_t{1} << kShift;

  double us_per_tick = passed_ticks > 0 ? passed_ns / 1'000 / passed_ticks : 0;
  double ahead_us = 0;  // of the system, in the last that this clock said
  bool measured = get(anchor_ns_) && us_per_tick > 0 && passed_ns >= kShortestNs;
  if (get(good_for_)) {
    const double said_ticks = std::min(passed_ticks, static_cast<double>(get(good_for_)));
    ahead_us = std::max(0.0, said_ticks * scale / kOne - passed_ns / 1'000);
    const double change = us_per_tick * kOne / scale;
    measured = measured && change > 0.99 && change < 1.01 && ahead_us < kAheadUs;
  } else if (get(anchor_ns_) && passed_ticks > 0 && passed_ns < kShortestNs) {
    return;  // too soon to tell
  }

  set(anchor_ns_, system_ns);
  set(anchor_ticks_, ticks);
  set(good_for_, uint64_t{0});
  if (!measured) return;
  us_per_tick *= 1 - ahead_us / kPinnedUs;  // until the next pin the system has caught up
  set(anchor_us_, system_ns / 1'000 + static_cast<int64_t>(ahead_us + 0.999));
  set(scale_, static_cast<uint64_t>(us_per_tick * kOne));
  set(good_for_, static_cast<uint64_t>(kPinnedUs / us_per_tick));
}

}  // namespace tidegate
