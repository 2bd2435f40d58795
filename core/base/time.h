// SPDX-License-Identifier: MIT
// Two times that are injected wherever they are asked for: the Clock that limits count by, and the
// Timeline that deadlines, back-offs and the breaker are judged by.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

namespace tidegate {

// The system's clock in us, without a detour: it is a good part of an embedded decision.
inline int64_t clock_us(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * int64_t{1'000'000} + now.tv_nsec / 1'000;
}

inline int64_t monotonic_us() { return clock_us(CLOCK_MONOTONIC); }
inline int64_t wall_us() { return clock_us(CLOCK_REALTIME); }

// No deadline is further away: what is given beyond is taken for it.
inline constexpr int64_t kMaxTimeoutUs = 3'600'000'000;

// Deadlines are judged by it whatever the client's clock is. Never steps back. Any thread.
class Timeline {
 public:
  virtual ~Timeline() = default;
  virtual int64_t now_us() const { return monotonic_us(); }
  // Where jitter starts from, so that processes that lost a store together do not come back
  // together.
  virtual uint64_t seed() const { return static_cast<uint64_t>(monotonic_us()) | 1; }
};

// The client's clock: monotonic, or set by hand (clock=manual, for tests and replays). Any thread.
class Clock {
 public:
  explicit Clock(bool manual) : manual_(manual), offset_us_(wall_us() - monotonic_us()) {}

  bool manual() const { return manual_; }
  void set(int64_t now_us) { now_us_.store(now_us, std::memory_order_relaxed); }
  // Starts at the epoch's time, so that clock-aligned windows stand where a server's do, and never
  // steps.
  int64_t now_us() const {
    return manual_ ? now_us_.load(std::memory_order_relaxed) : monotonic_us() + offset_us_;
  }

 private:
  const bool manual_;
  const int64_t offset_us_;
  std::atomic<int64_t> now_us_{0};
};

}  // namespace tidegate
