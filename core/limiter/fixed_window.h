// SPDX-License-Identifier: MIT
// Counts from the first charge on; the window opens with it and lasts window_us.
#pragma once

#include <algorithm>

#include "limiter/numbers.h"
#include "limiter/state.h"

namespace tidegate {

struct FixedWindow {
  int64_t count;
  int64_t start_us;
  int64_t now_us;

  static bool far_ahead(const Numbers&, const State& state, int64_t now_us) {
    return state.a > 0 && state.b - now_us > kMaxSkewUs;
  }

  static FixedWindow at(const Numbers& limit, const State& state, int64_t now_us) {
    if (state.a == 0 || now_us - state.b >= limit.window_us) return {0, now_us, now_us};
    return {state.a, far_ahead(limit, state, now_us) ? now_us : state.b, now_us};
  }

  State state() const { return {count, start_us, 0}; }
  int64_t remaining(const Numbers& limit) const {
    return std::max<int64_t>(0, limit.limit - count);
  }
  int64_t room(const Numbers& limit) const { return std::max<int64_t>(0, limit.bound - count); }
  bool fits(const Numbers& limit, int64_t cost) const { return count + cost <= limit.limit; }
  int64_t wait(const Numbers& limit, int64_t cost) const {
    return fits(limit, cost) ? 0 : reset_after(limit);
  }
  int64_t reset_after(const Numbers& limit) const {
    return count ? start_us + limit.window_us - now_us : 0;
  }
  void charge(const Numbers&, int64_t cost) { count += cost; }
  void refund(const Numbers&, int64_t cost) { count = std::max<int64_t>(0, count - cost); }
};

}  // namespace tidegate
