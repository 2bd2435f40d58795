// SPDX-License-Identifier: MIT
#include "stats/recorder.h"

#include <algorithm>

namespace tidegate {

LimiterFigures* Recorder::figures_of(const std::string& name) {
  if (context_.options.level == StatsLevel::kOff) return nullptr;
  const MutexGuard held(mutex_);
  const auto known = limiters_.find(name);
  if (known != limiters_.end()) return known->second.get();
  const std::string under = limiters_.size() < kMostLimiters ? name : std::string(kOther);
  auto& figures = limiters_[under];
  if (!figures) figures = std::make_unique<LimiterFigures>(under, context_);
  return figures.get();
}

LimiterFigures* Recorder::find(std::string_view name) const {
  const MutexGuard held(mutex_);
  const auto known = limiters_.find(name);
  return known == limiters_.end() ? nullptr : known->second.get();
}

std::vector<LimiterFigures*> Recorder::limiters() const {
  const MutexGuard held(mutex_);
  std::vector<LimiterFigures*> all;
  for (const auto& [name, figures] : limiters_) all.push_back(figures.get());
  return all;
}

void Recorder::decided(Op op, std::span<const Part> parts, const Decision& decision,
                       const RateResult* results, int64_t now_us, int64_t took_us) noexcept {
  if (op == Op::kConsume) count(decision);
  if (context_.options.level == StatsLevel::kOff) return;
  if (op == Op::kConsume || op == Op::kDebit) of_limiters(op, parts, decision, results, now_us);
  waited(op, took_us);
}

// A limiter is asked by each part that is under it: two of one limiter are two decisions of its.
void Recorder::of_limiters(Op op, std::span<const Part> parts, const Decision& decision,
                           const RateResult* results, int64_t now_us) noexcept {
  for (const Part& part : parts) {
    const RateResult* const its = results;
    const size_t rates = part.limiter->rates.size();
    results += rates;
    LimiterFigures* const figures = part.limiter->figures;
    if (!figures) continue;
    const bool off = part.limiter->mode == Mode::kOff;
    bool fit = true;
    int64_t retry_after_us = 0, charged = off ? 0 : part.cost;
    for (size_t rate = 0; rate < rates; ++rate) {
      const int64_t wait = its[rate].figures.retry_after_us;
      if (op == Op::kDebit) charged = std::min(charged, part.cost - its[rate].shortfall);
      if (its[rate].flags & RateResult::kAllowed) continue;
      fit = false;
      retry_after_us = wait < 0 || retry_after_us < 0 ? kNever : std::max(retry_after_us, wait);
    }
    if (op == Op::kDebit) {
      figures->debited(part, charged, now_us);
      continue;
    }
    const Said said = fit                                   ? Said::kAllowed
                      : part.limiter->mode == Mode::kShadow ? Said::kWouldDeny
                                                            : Said::kDenied;
    figures->decided(part, said, decision.source, fit && decision.allowed ? charged : 0,
                     retry_after_us, now_us);
  }
}

void Recorder::forgotten(std::span<const Part> parts) noexcept {
  for (const Part& part : parts)
    if (part.limiter->figures) part.limiter->figures->forget(part.key);
}

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
