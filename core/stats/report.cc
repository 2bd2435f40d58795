// SPDX-License-Identifier: MIT
// The JSON half of report.h.
#include "stats/report.h"

#include <algorithm>

#include "base/json.h"
#include "base/time.h"
#include "stats/decision_names.h"

namespace tidegate {
namespace {

void put_durations(JsonWriter& json, std::string_view name, const Histogram::Reading& of) {
  json.key(name).open('{').member("count", of.count()).member("sum_us", of.sum_us);
  json.member("p50_us", of.quantile_us(0.5)).member("p90_us", of.quantile_us(0.9));
  json.member("p99_us", of.quantile_us(0.99)).member("max_us", of.quantile_us(1));
  json.key("buckets").open('[');  // [at most so long, how many], those that are not empty
  for (size_t i = 0; i < Histogram::kBuckets; ++i)
    if (of.counts[i]) json.open('[').value(Histogram::bound_us(i)).value(of.counts[i]).close(']');
  json.close(']').close('}');
}

void put_limiter(JsonWriter& json, const LimiterFigures& figures, int64_t now_us) {
  const LimiterCounts counts = figures.counts();
  json.key(figures.name()).open('{');
  json.member("allowed", counts.said(Said::kAllowed)).member("denied", counts.said(Said::kDenied));
  json.member("would_deny", counts.said(Said::kWouldDeny)).member("cost", counts.cost);
  json.member("limited", figures.limited(now_us)).member("complete", figures.complete());
  json.key("decisions").open('{');
  for (size_t source = kFirstSource; source < kSources; ++source) {
    const auto& of = counts.decisions[source];
    if (of == std::array<int64_t, kSaid>{}) continue;
    json.key(kSourceNames[source]).open('{');
    for (size_t said = 0; said < kSaid; ++said)
      json.member(outcome_name(source, static_cast<Said>(said)), of[said]);
    json.close('}');
  }
  json.close('}').close('}');
}

constexpr std::string_view kLevelNames[] = {"off", "totals", "on"};
constexpr std::string_view kKindNames[] = {"state", "denied", "evicted"};
constexpr std::string_view kLevels[] = {"", "info", "warning", "error"};

}  // namespace

std::string report_json(const Account& account) {
  std::string out;
  JsonWriter json(out);
  json.open('{').member("version", account.build.version).member("abi", account.build.abi);
  for (const Metric& metric : kMetrics) json.member(metric.name, account.reading.*metric.value);
  json.key("decisions").open('{');
  for (size_t source = kFirstSource; source < kSources; ++source) {
    json.key(kSourceNames[source]).open('{');
    for (const auto& [outcome, count] : outcomes_of(account.reading, source))
      json.member(outcome, count);
    json.close('}');
  }
  json.close('}').key("limiters").open('{');
  for (const LimiterFigures* figures : account.recorder.limiters())
    put_limiter(json, *figures, account.now_us);
  json.close('}').key("durations").open('{');
  put_durations(json, "decisions", account.recorder.checks());
  put_durations(json, "round_trips", account.recorder.round_trips());
  const StatsContext& context = account.recorder.context();
  json.close('}').key("stats").open('{');
  json.member("level", kLevelNames[static_cast<size_t>(context.options.level)]);
  json.member("bytes", context.room.used()).member("refused", context.room.refused());
  json.close('}').close('}');
  return out;
}

std::string top_json(const LimiterFigures& figures, LimiterFigures::By by, size_t most) {
  const std::string_view what = by == LimiterFigures::By::kDenied ? "denied" : "cost";
  std::string out;
  JsonWriter json(out);
  json.open('{').member("limiter", figures.name()).member("by", what).key("callers").open('[');
  for (const auto& [label, weight] : figures.top(by, most))
    json.open('{').member("caller", label).member(what, weight).close('}');
  json.close(']').close('}');
  return out;
}

std::string limited_json(const LimiterFigures& figures, size_t most, int64_t now_us) {
  std::string out;
  JsonWriter json(out);
  json.open('{').member("limiter", figures.name()).key("callers").open('[');
  for (const auto& [label, until_us, denied] : figures.limited_now(most, now_us))
    json.open('{')
        .member("caller", label)
        .member("denied", denied)
        .member("retry_after_us", until_us - now_us)
        .close('}');
  json.close(']').close('}');
  return out;
}

std::string events_json(const History& history, int64_t after, size_t most) {
  const History::Page page = history.read(after, most);
  std::string out;
  JsonWriter json(out);
  json.open('{').key("events").open('[');
  for (const Happening& event : page.events) {
    json.open('{').member("id", event.id).member("wall_us", event.wall_us);
    json.member("kind", kKindNames[static_cast<size_t>(event.kind)]);
    json.member("level", kLevels[static_cast<size_t>(event.level)]);
    json.member("code", static_cast<int64_t>(event.code)).member("text", event.text);
    if (event.kind == Happening::Kind::kDenied)
      json.member("limiter", event.limiter).member("caller", event.caller);
    json.close('}');
  }
  json.close(']').member("next", page.last).member("unlisted", page.unlisted).close('}');
  return out;
}

Result<std::string> series_json(Recorder& recorder, std::string_view limiter, int64_t period_us,
                                int64_t step_us, int64_t now_us) {
  constexpr int64_t kMostPoints = 3'000;
  const int64_t unit_us = period_us > kHourUs ? Series::kCoarseUs : Series::kFineUs;
  if (period_us <= 0 || period_us > 48 * kHourUs || step_us <= 0 || step_us % unit_us ||
      period_us % step_us || period_us / step_us > kMostPoints)
    return Error{Code::kInvalid,
                 "a period of " + std::to_string(period_us) + " us in steps of " +
                     std::to_string(step_us) +
                     " us: expected at most 48 h, a multiple of the step, which is one of 10 s (of "
                     "1 min where the period is above 1 h), and at most 3000 points"};
  const auto n = static_cast<size_t>(period_us / step_us);
  const int64_t from_us = now_us / unit_us * unit_us + unit_us - period_us;
  std::vector<Series::Point> sum(n);
  for (LimiterFigures* figures : recorder.limiters()) {
    if (!limiter.empty() && figures->name() != limiter) continue;
    const auto points = figures->series(from_us, step_us, n);
    for (size_t i = 0; i < n; ++i) sum[i] += points[i];
  }
  std::string out;
  JsonWriter json(out);
  json.open('{').member("limiter", limiter).member("from_us", from_us).member("step_us", step_us);
  for (const auto& [name, value] :
       {std::pair{"allowed", &Series::Point::allowed}, std::pair{"denied", &Series::Point::denied},
        std::pair{"cost", &Series::Point::cost}}) {
    json.key(name).open('[');
    for (const Series::Point& point : sum) json.value(point.*value);
    json.close(']');
  }
  json.close('}');
  return out;
}

}  // namespace tidegate
