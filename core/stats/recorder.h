// SPDX-License-Identifier: MIT
// Where decisions are reported to: by the embedded store, by the store's answers, by the failure
// policy, once each, and by nobody else. What is kept of them is decided here.
//
//   recorder.decided(Op::kConsume, parts, decision, results, now_us, took_us);
//   recorder.counters().add(Counter::kConnects);
//   Reading reading = recorder.read();
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/lock.h"
#include "limiter/request.h"
#include "stats/counters.h"
#include "stats/histogram.h"
#include "stats/limiter_figures.h"

namespace tidegate {

// Any thread.
class Recorder {
 public:
  static constexpr int64_t kNotTimed = -1;  // nobody looked at a clock
  static constexpr size_t kMostLimiters = 1'000;
  static constexpr std::string_view kOther = "other";  // the figures of those beyond

  // No fingerprint: nothing is kept of callers.
  explicit Recorder(const StatsOptions& options = {}, const Fingerprinter* fingerprint = nullptr)
      : context_{.options = options, .fingerprint = fingerprint} {}

  // Decisions counted are consumes: what was allowed to pass. `results` has a record for each rate
  // of each part; now_us is of the client's clock; took_us: how long the caller waited.
  void decided(Op op, std::span<const Part> parts, const Decision& decision,
               const RateResult* results, int64_t now_us, int64_t took_us) noexcept;
  // The same of a consume of one part of one rate, which nobody timed.
  void consumed_one(const Part& part, const Fingerprint& key, const Decision& decision,
                    const RateResult& result, int64_t now_us) noexcept {
    count(decision);
    LimiterFigures* const figures = part.limiter->figures;
    if (!figures) return;
    const bool fit = result.flags & RateResult::kAllowed;
    figures->decided(part,
                     fit                ? Said::kAllowed
                     : decision.allowed ? Said::kWouldDeny
                                        : Said::kDenied,
                     decision.source, fit ? part.cost : 0, result.figures.retry_after_us, now_us,
                     &key);
  }
  // How long a reply took; and a caller, whom somebody else answered who did not know.
  void round_trip(int64_t took_us) {
    if (context_.options.level != StatsLevel::kOff) round_trips_.add(took_us);
  }
  void waited(Op op, int64_t took_us) {
    if (op == Op::kConsume && took_us != kNotTimed && context_.options.level != StatsLevel::kOff)
      checks_.add(took_us);
  }
  // States of theirs were reset.
  void forgotten(std::span<const Part> parts) noexcept;

  // What no limiter was asked about.
  void answered_by_policy(bool banned) {
    counters_.add(banned ? Counter::kBanned : Counter::kExempt);
  }

  Counters& counters() { return counters_; }
  StatsContext& context() { return context_; }
  const StatsContext& context() const { return context_; }

  // Whose figures a limiter of that name has: its own, or those of kOther; null with stats=off.
  // They stay for good: counts never fall.
  LimiterFigures* figures_of(const std::string& name);
  LimiterFigures* find(std::string_view name) const;  // null: none of that name
  std::vector<LimiterFigures*> limiters() const;      // by name

  // What was counted; the rest of the figures is 0.
  Reading read() const;
  Histogram::Reading checks() const { return checks_.read(); }
  Histogram::Reading round_trips() const { return round_trips_.read(); }

 private:
  void count(const Decision& decision) {
    counters_.add(decision.source,
                  static_cast<Outcome>((decision.allowed ? 0 : 1) + (decision.would_deny ? 2 : 0)));
  }
  void of_limiters(Op op, std::span<const Part> parts, const Decision& decision,
                   const RateResult* results, int64_t now_us) noexcept;

  Counters counters_;
  StatsContext context_;
  Histogram checks_, round_trips_;
  mutable Mutex mutex_;
  std::map<std::string, std::unique_ptr<LimiterFigures>, std::less<>> limiters_
      TIDEGATE_GUARDED_BY(mutex_);
};

}  // namespace tidegate
