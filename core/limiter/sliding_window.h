// SPDX-License-Identifier: MIT
// Two clock-aligned windows; the previous one counts by the share of it still inside the sliding
// window. estimate * ticks = previous * (ticks - elapsed) + current * ticks, kept as that product:
// exact. (The counter that Cloudflare described in 2017, without its rounding.)
#pragma once

#include <algorithm>

#include "limiter/numbers.h"
#include "limiter/state.h"

namespace tidegate {

struct SlidingWindow {
  int64_t index;  // which window since the epoch
  int64_t previous, current;
  int64_t elapsed;  // ticks into the window
  int64_t ahead;    // ticks by which the state's clock leads the caller's

  static bool far_ahead(const Numbers& limit, const State& state, int64_t now_us) {
    const int64_t ticks = state.a * limit.ticks - limit.tick_of(now_us);
    return ticks > 0 && ticks > kMaxSkewUs / limit.tick_us;
  }

  static SlidingWindow at(const Numbers& limit, const State& state, int64_t now_us) {
    const int64_t tick_now = limit.tick_of(now_us);
    const int64_t index = tick_now / limit.ticks, elapsed = tick_now % limit.ticks;
    if (index == state.a || far_ahead(limit, state, now_us))
      return {index, state.b, state.c, elapsed, 0};
    if (index < state.a) return {state.a, state.b, state.c, 0, state.a * limit.ticks - tick_now};
    if (index == state.a + 1) return {index, state.c, 0, elapsed, 0};
    return {index, 0, 0, elapsed, 0};
  }

  State state() const { return {index, previous, current}; }

  int64_t remaining(const Numbers& limit) const { return left(limit, limit.limit); }
  int64_t room(const Numbers& limit) const { return left(limit, limit.bound); }

  bool fits(const Numbers& limit, int64_t cost) const {
    return previous * (limit.ticks - elapsed) + (current + cost) * limit.ticks <=
           limit.limit * limit.ticks;
  }

  int64_t wait(const Numbers& limit, int64_t cost) const {
    if (fits(limit, cost)) return 0;
    const int64_t over = current + cost - limit.limit;
    if (over <= 0)  // waiting inside this window is enough
      return (ahead + ceil_div(limit.ticks * (previous + over), previous) - elapsed) *
             limit.tick_us;
    return (ahead + limit.ticks - elapsed + ceil_div(limit.ticks * over, current)) *
           limit.tick_us;  // this window is full: it must slide out in its turn
  }

  int64_t reset_after(const Numbers& limit) const {
    const int64_t left = limit.ticks - elapsed;
    if (current) return (ahead + limit.ticks + left) * limit.tick_us;
    return previous ? (ahead + left) * limit.tick_us : 0;
  }

  void charge(const Numbers&, int64_t cost) { current += cost; }

  void refund(const Numbers&, int64_t cost) {
    previous = std::max<int64_t>(0, previous - std::max<int64_t>(0, cost - current));
    current = std::max<int64_t>(0, current - cost);
  }

 private:
  int64_t left(const Numbers& limit, int64_t most) const {
    const int64_t free = (most - current) * limit.ticks - previous * (limit.ticks - elapsed);
    return free > 0 ? free / limit.ticks : 0;
  }
};

}  // namespace tidegate
