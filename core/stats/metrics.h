// SPDX-License-Identifier: MIT
// Every figure of a client, each in one row: from it come the counter, the member of Reading, the
// field of tg_stats, the member of a report and the series of Prometheus. A new figure is a row;
// one that tg_stats has no field for is in the texts only.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "limiter/source.h"

namespace tidegate {

enum class MetricKind : uint8_t { kCounter, kGauge, kHistogram };

// What Prometheus calls a metric: series of one name, told apart by a label.
struct MetricFamily {
  std::string_view name;  // behind "tidegate_"; a counter's ends in _total
  MetricKind kind;
  std::string_view label;  // "": there is one series
  std::string_view help;
};

// clang-format off
namespace family {
using enum MetricKind;
inline constexpr MetricFamily
    kRequests{"requests_total", kCounter, "", "Decisions by outcome and by who decided."},
    kDecisions{"decisions_total", kCounter, "",
               "What each limiter said, by who decided: of a request of several each says its own."},
    kCost{"cost_total", kCounter, "limiter", "Tokens that were taken; what is refunded stays in."},
    kLimited{"limited_callers", kGauge, "limiter",
             "Callers that were denied and cannot pass yet, 256 at most."},
    kCheckTime{"decision_duration_seconds", kHistogram, "",
               "How long checks on a server took, waiting for their turn included."},
    kRoundTripTime{"store_round_trip_seconds", kHistogram, "", "How long replies of the store took."},
    kStatsBytes{"stats_memory_bytes", kGauge, "", "Memory of the figures of limiters."},
    kKeys{"keys", kGauge, "", "States that are kept in this process."},
    kBytes{"memory_bytes", kGauge, "", "Memory of the states that are kept in this process."},
    kEvicted{"evicted_total", kCounter, "reason",
             "States dropped for want of room: they owed nothing (idle), little (harmless), or "
             "more (owing: a caller starts anew too early)."},
    kRoundTrips{"store_round_trips_total", kCounter, "", "Replies of the store."},
    kBatches{"store_batches_total", kCounter, "", "Commands sent to the store."},
    kMerged{"store_merged_total", kCounter, "", "Requests that went as part of an equal one."},
    kScriptLoads{"store_script_loads_total", kCounter, "",
             "Times the store did not know the program and was given it."},
    kConnects{"store_connects_total", kCounter, "", "Connections made."},
    kBreakerOpened{"store_breaker_opened_total", kCounter, "", "Times the circuit breaker opened."},
    kBreakerOpen{"store_breaker_open", kGauge, "",
             "1 while the circuit breaker is open, and the failure policy answers."},
    kStoreUp{"store_up", kGauge, "",
             "0 from when the store is reported lost until it is back; 1 where it is in this "
             "process."},
    kLate{"store_late_replies_total", kCounter, "",
             "Requests whose reply came after their deadline."},
    kErrors{"store_errors_total", kCounter, "code", "Requests that the store failed, by cause."},
    kPolicy{"policy_answers_total", kCounter, "outcome",
            "Requests that a policy answered without a limiter: bans and exemptions."},
    kPolicyFailures{"policy_reload_failures_total", kCounter, "",
                    "Policy files and live documents that were faulty, so that the one before "
                    "stayed."},
    kConflicts{"name_conflicts_total", kCounter, "",
             "Limiters whose numbers are other ones elsewhere."},
    kEventsDropped{"events_dropped_total", kCounter, "",
             "Events pushed out before anybody asked for them."},
    kBuild{"build_info", kGauge, "", "1; the library's version and ABI are its labels."};
}  // namespace family

// What threads count: X(counter, figure, family, the label's value).
#define TIDEGATE_COUNTERS(X)                                         \
  X(kRoundTrips,      round_trips,      kRoundTrips,    "")          \
  X(kBatches,         batches,          kBatches,       "")          \
  X(kMerged,          merged,           kMerged,        "")          \
  X(kScriptLoads,     script_loads,     kScriptLoads,   "")          \
  X(kConnects,        connects,         kConnects,      "")          \
  X(kBreakerOpened,   breaker_opened,   kBreakerOpened, "")          \
  X(kLateReplies,     late_replies,     kLate,          "")          \
  X(kTimeouts,        timeouts,         kErrors,        "timed_out") \
  X(kConnectErrors,   connect_errors,   kErrors,        "connect")   \
  X(kAuthErrors,      auth_errors,      kErrors,        "auth")      \
  X(kTlsErrors,       tls_errors,       kErrors,        "tls")       \
  X(kProtocolErrors,  protocol_errors,  kErrors,        "protocol")  \
  X(kClusterErrors,   cluster_errors,   kErrors,        "cluster")   \
  X(kOomErrors,       oom_errors,       kErrors,        "oom")       \
  X(kReadOnlyErrors,  readonly_errors,  kErrors,        "readonly")  \
  X(kLoadingErrors,   loading_errors,   kErrors,        "loading")   \
  X(kBusyErrors,      busy_errors,      kErrors,        "busy")      \
  X(kNoPermErrors,    noperm_errors,    kErrors,        "noperm")    \
  X(kWrongTypeErrors, wrongtype_errors, kErrors,        "wrongtype") \
  X(kOtherErrors,     other_errors,     kErrors,        "other")     \
  X(kNameConflicts,   name_conflicts,   kConflicts,     "")          \
  X(kBanned,          banned,           kPolicy,        "banned")    \
  X(kExempt,          exempt,           kPolicy,        "exempt")    \
  X(kPolicyFailures,  policy_failures,  kPolicyFailures, "")

// What is known elsewhere, and read when somebody asks: X(figure, family, the label's value).
#define TIDEGATE_GAUGES(X)                         \
  X(keys,             kKeys,          "")          \
  X(bytes,            kBytes,         "")          \
  X(evicted_idle,     kEvicted,       "idle")      \
  X(evicted_harmless, kEvicted,       "harmless")  \
  X(evicted_owing,    kEvicted,       "owing")     \
  X(breaker_open,     kBreakerOpen,   "")          \
  X(store_up,         kStoreUp,       "")          \
  X(events_dropped,   kEventsDropped, "")

// Decisions, which are counted by source and outcome: X(figure). Prometheus has them as one family.
#define TIDEGATE_DECISIONS(X) \
  X(allowed) X(denied) X(would_deny) \
  X(by_memory) X(by_store) X(by_fallback) X(by_fail_open) X(by_fail_closed)
// clang-format on

enum class Counter : uint8_t {
#define TIDEGATE_ROW(counter, ...) counter,
  TIDEGATE_COUNTERS(TIDEGATE_ROW)
#undef TIDEGATE_ROW
      kCount
};

// What became of a decision. A shadow part that did not fit would have denied it.
enum class Outcome : uint8_t { kAllowed, kDenied, kWouldDeny, kDeniedAndWouldDeny };

inline constexpr size_t kOutcomes = 4, kSources = 8;
inline constexpr std::array<std::string_view, kSources> kSourceNames = {
    "none", "memory", "store", "fallback", "fail_open", "fail_closed", "policy", "near"};

// All figures at about one time.
struct Reading {
#define TIDEGATE_FIGURE(figure, ...) int64_t figure = 0;
#define TIDEGATE_ROW(counter, figure, ...) int64_t figure = 0;
  TIDEGATE_DECISIONS(TIDEGATE_FIGURE)
  TIDEGATE_GAUGES(TIDEGATE_FIGURE)
  TIDEGATE_COUNTERS(TIDEGATE_ROW)
#undef TIDEGATE_ROW
#undef TIDEGATE_FIGURE
  std::array<std::array<int64_t, kOutcomes>, kSources> decisions{};
};

// A figure's name, where it is, and its series (family null: Prometheus has it otherwise).
struct Metric {
  std::string_view name;
  int64_t Reading::* value;
  const MetricFamily* family;
  std::string_view label_value;
};

inline constexpr Metric kMetrics[] = {
#define TIDEGATE_DECISION(figure) {#figure, &Reading::figure, nullptr, ""},
#define TIDEGATE_GAUGE(figure, of, label) {#figure, &Reading::figure, &family::of, label},
#define TIDEGATE_ROW(counter, figure, of, label) {#figure, &Reading::figure, &family::of, label},
    TIDEGATE_DECISIONS(TIDEGATE_DECISION) TIDEGATE_GAUGES(TIDEGATE_GAUGE)
        TIDEGATE_COUNTERS(TIDEGATE_ROW)
#undef TIDEGATE_ROW
#undef TIDEGATE_GAUGE
#undef TIDEGATE_DECISION
};

}  // namespace tidegate
