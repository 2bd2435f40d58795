// SPDX-License-Identifier: MIT
#include "stats/recorder.h"

namespace tidegate {

Reading Recorder::read() const {
  Reading r;
#define TIDEGATE_ROW(counter, figure, ...) r.figure = counters_.sum(Counter::counter);
  TIDEGATE_COUNTERS(TIDEGATE_ROW)
#undef TIDEGATE_ROW

  std::array<int64_t, kSources> by{};
  for (size_t source = 0; source < kSources; ++source) {
    auto& of = r.decisions[source];
    for (size_t outcome = 0; outcome < kOutcomes; ++outcome) {
      of[outcome] = counters_.sum(static_cast<Source>(source), static_cast<Outcome>(outcome));
      by[source] += of[outcome];
    }
    const auto count = [&](Outcome outcome) { return of[static_cast<size_t>(outcome)]; };
    r.allowed += count(Outcome::kAllowed) + count(Outcome::kWouldDeny);
    r.denied += count(Outcome::kDenied) + count(Outcome::kDeniedAndWouldDeny);
    r.would_deny += count(Outcome::kWouldDeny) + count(Outcome::kDeniedAndWouldDeny);
  }
  const auto by_source = [&](Source source) { return by[static_cast<size_t>(source)]; };
  r.by_memory = by_source(Source::kMemory);
  r.by_store = by_source(Source::kStore);
  r.by_fallback = by_source(Source::kFallback);
  r.by_fail_open = by_source(Source::kFailOpen);
  r.by_fail_closed = by_source(Source::kFailClosed);
  return r;
}

}  // namespace tidegate
