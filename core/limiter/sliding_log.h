// SPDX-License-Identifier: MIT
// Every charge is remembered until it is window_us old. Exact, and it costs memory per charge.
// A view of a log at rest: the live entries, cut at `top`, with what was charged since at
// `clock_us` behind them. It never writes into the entries; whoever keeps the log stores the view
// back.
#pragma once

#include <algorithm>

#include "limiter/numbers.h"
#include "limiter/state.h"

namespace tidegate {

struct SlidingLog {
  const LogEntry* entries;  // the first live one
  size_t count;             // live ones
  size_t expired;           // entries before them
  int64_t base;             // the sum before the first live one
  int64_t top;              // the sum up to the last live one; a refund cuts it
  int64_t charged;          // at clock_us, behind the entries
  int64_t now_us, clock_us;

  static bool far_ahead(const LogSpan& log, int64_t now_us) {
    return log.count > 0 && log.entries[log.count - 1].time_us - now_us > kMaxSkewUs;
  }

  static SlidingLog at(const Numbers& limit, const LogSpan& log, int64_t now_us) {
    if (log.count == 0) return {nullptr, 0, 0, log.base, log.base, 0, now_us, now_us};
    const LogEntry& last = log.entries[log.count - 1];
    if (far_ahead(log, now_us))  // all of it happened "now"
      return {log.entries, 0, log.count, 0, 0, last.total - log.base, now_us, now_us};
    const int64_t clock_us = std::max(now_us, last.time_us);
    const LogEntry* first =
        std::upper_bound(log.entries, log.entries + log.count, clock_us - limit.window_us,
                         [](int64_t time, const LogEntry& entry) { return time < entry.time_us; });
    const auto expired = static_cast<size_t>(first - log.entries);
    return {first,      log.count - expired,
            expired,    expired ? first[-1].total : log.base,
            last.total, 0,
            now_us,     clock_us};
  }

  int64_t used() const { return top - base + charged; }
  int64_t remaining(const Numbers& limit) const {
    return std::max<int64_t>(0, limit.limit - used());
  }
  int64_t room(const Numbers& limit) const { return std::max<int64_t>(0, limit.bound - used()); }
  bool fits(const Numbers& limit, int64_t cost) const { return used() + cost <= limit.limit; }

  int64_t wait(const Numbers& limit, int64_t cost) const {  // O(log charges)
    const int64_t over = used() + cost - limit.limit;
    if (over <= 0) return 0;
    return time_of(over) + limit.window_us - now_us;
  }

  int64_t reset_after(const Numbers& limit) const {
    return used() ? time_of(used()) + limit.window_us - now_us : 0;
  }

  void charge(const Numbers&, int64_t cost) { charged += cost; }

  void refund(const Numbers&, int64_t cost) {  // the newest charges first
    const int64_t newest = std::min(charged, cost);
    charged -= newest;
    top = std::max(base, top - (cost - newest));
    while (count && (count == 1 ? base : entries[count - 2].total) >= top) --count;
  }

 private:
  // When the charge was made with which the sum of the oldest charges reaches `sum`, 1 to used().
  int64_t time_of(int64_t sum) const {
    if (sum > top - base) return clock_us;
    return std::lower_bound(entries, entries + count, sum + base,
                            [](const LogEntry& entry, int64_t at) { return entry.total < at; })
        ->time_us;
  }
};

}  // namespace tidegate
