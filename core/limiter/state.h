// SPDX-License-Identifier: MIT
// What is remembered of one key under one rate: three integers whose meaning the algorithm gives.
// They never hold anything that depends on the limit's numbers except its window, so limit and
// burst may change under them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tidegate {

struct State {
  int64_t a = 0;  // token bucket: debt;  fixed window: count; sliding window: index;    log: unused
  int64_t b = 0;  // token bucket: stamp; fixed window: start; sliding window: previous
  int64_t c = 0;  //                                           sliding window: current
};

// One remembered charge of a sliding log: when, and the sum of all charges up to and with it.
struct LogEntry {
  int64_t time_us;
  int64_t total;
};

// A sliding log at rest: entries oldest first, one a microsecond; base: the sum before the first.
struct LogSpan {
  const LogEntry* entries = nullptr;
  size_t count = 0;
  int64_t base = 0;
};

}  // namespace tidegate
