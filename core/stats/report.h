// SPDX-License-Identifier: MIT
// A client's figures as text: for Prometheus, and as JSON, whose schema is tests/stats/schema.json.
// No secret, and callers only as labels.h shows them; in metrics none at all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "stats/metrics.h"
#include "stats/recorder.h"

namespace tidegate {

struct Build {
  std::string_view version;
  int32_t abi;
};

// What there is to write of.
struct Account {
  const Reading& reading;  // all figures, as of now
  Recorder& recorder;
  int64_t now_us = 0;  // of the client's clock
  bool embedded = true;
  Build build;
};

enum class MetricsFormat : uint8_t { kPrometheus, kOpenMetrics };

// The exposition format of Prometheus, 0.0.4, or OpenMetrics 1.0: every known series, those that
// are 0 too.
std::string metrics_text(const Account& account, MetricsFormat format);

// One object: "version", "abi", every figure by its name, "decisions" by source and outcome
// (outcomes exclude each other: what was allowed, and what a shadow would have denied), "limiters"
// with the same of each, "durations", "stats" (what is kept, and whether all of it).
std::string report_json(const Account& account);

// {"limiter":...,"by":...,"callers":[{"caller":...,"denied" or "cost":...}]}: heaviest first.
std::string top_json(const LimiterFigures& figures, LimiterFigures::By by, size_t most);
// {"limiter":...,"callers":[{"caller":...,"denied":...,"retry_after_us":...}]}: most denials first.
std::string limited_json(const LimiterFigures& figures, size_t most, int64_t now_us);
// {"events":[...],"next":...,"unlisted":...}: oldest first.
std::string events_json(const History& history, int64_t after, size_t most);

inline constexpr int64_t kHourUs = 3'600'000'000;

// {"limiter":...,"from_us":...,"step_us":...,"allowed":[...],"denied":[...],"cost":[...]}: the last
// point is under way. An empty name: the sum of all limiters. kInvalid: a step that is no multiple
// of 10 s (of a minute where the period is longer than an hour), a period that is no multiple of
// it, longer than 48 h, or of more than 3,000 points. from_us: epoch.
Result<std::string> series_json(Recorder& recorder, std::string_view limiter, int64_t period_us,
                                int64_t step_us, int64_t now_us);

}  // namespace tidegate
