// SPDX-License-Identifier: MIT
// Where decisions are reported to: by the embedded store, by the store's answers, by the failure
// policy, once each, and by nobody else. What is kept of them is decided here.
//
//   recorder.decided(Op::kConsume, parts, decision, took_us);
//   recorder.counters().add(Counter::kConnects);
//   Reading reading = recorder.read();
#pragma once

#include <cstdint>
#include <span>

#include "limiter/request.h"
#include "stats/counters.h"

namespace tidegate {

// Any thread.
class Recorder {
 public:
  static constexpr int64_t kNotTimed = -1;  // nobody looked at a clock

  // Counted are consumes: what was allowed to pass. The parts (limiter, key, cost) and the time are
  // for whoever keeps figures of one limiter, one caller or of durations.
  void decided(Op op, std::span<const Part> /*parts*/, const Decision& decision,
               int64_t /*took_us*/) {
    if (op != Op::kConsume) return;
    counters_.add(decision.source,
                  static_cast<Outcome>((decision.allowed ? 0 : 1) + (decision.would_deny ? 2 : 0)));
  }

  // What no limiter was asked about.
  void answered_by_policy(bool banned) {
    counters_.add(banned ? Counter::kBanned : Counter::kExempt);
  }

  Counters& counters() { return counters_; }

  // What was counted; the rest of the figures is 0.
  Reading read() const;

 private:
  Counters counters_;
};

}  // namespace tidegate
