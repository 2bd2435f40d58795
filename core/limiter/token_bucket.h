// SPDX-License-Identifier: MIT
// A bucket that owes `debt`, counted in 1/ticks of a token; each tick pays `limit` of them back. A
// cost fits if what is owed and the cost together do not exceed the capacity; a debit may go as far
// as the bound. limit/window stays a ratio of integers: no rounding, ever. GCRA is the same meter:
// its theoretical arrival time is stamp + debt/limit.
#pragma once

#include <algorithm>

#include "limiter/numbers.h"
#include "limiter/state.h"

namespace tidegate {

struct TokenBucket {
  int64_t debt;
  int64_t stamp;  // ticks
  int64_t ahead;  // ticks by which the stamp leads the caller's clock

  static bool far_ahead(const Numbers& limit, const State& state, int64_t now_us) {
    return state.b > limit.tick_of(now_us) &&
           (state.b - limit.tick_of(now_us)) * limit.tick_us > kMaxSkewUs;
  }

  static TokenBucket at(const Numbers& limit, const State& state, int64_t now_us) {
    const int64_t tick_now = limit.tick_of(now_us);
    const int64_t debt = std::min(state.a, limit.bound * limit.ticks);  // it may have shrunk
    if (state.b > tick_now) [[unlikely]] {
      if (far_ahead(limit, state, now_us)) return {debt, tick_now, 0};
      return {debt, state.b, state.b - tick_now};
    }
    const auto paid = static_cast<int128>(tick_now - state.b) * limit.limit;
    return {paid >= debt ? 0 : debt - static_cast<int64_t>(paid), tick_now, 0};
  }

  State state() const { return {debt, stamp, 0}; }

  int64_t remaining(const Numbers& limit) const { return left(limit, limit.capacity); }
  int64_t room(const Numbers& limit) const { return left(limit, limit.bound); }

  bool fits(const Numbers& limit, int64_t cost) const {
    return debt + cost * limit.ticks <= limit.capacity * limit.ticks;
  }

  int64_t wait(const Numbers& limit, int64_t cost) const {
    const int64_t over = debt + cost * limit.ticks - limit.capacity * limit.ticks;
    return over > 0 ? (ahead + ceil_div(over, limit.limit)) * limit.tick_us : 0;
  }

  int64_t reset_after(const Numbers& limit) const {
    return debt ? (ahead + ceil_div(debt, limit.limit)) * limit.tick_us : 0;
  }

  void charge(const Numbers& limit, int64_t cost) { debt += cost * limit.ticks; }

  void refund(const Numbers& limit, int64_t cost) {
    debt = cost >= limit.bound ? 0 : std::max<int64_t>(0, debt - cost * limit.ticks);
  }

 private:
  int64_t left(const Numbers& limit, int64_t most) const {
    const int64_t free = most * limit.ticks - debt;
    return free > 0 ? free / limit.ticks : 0;
  }
};

}  // namespace tidegate
