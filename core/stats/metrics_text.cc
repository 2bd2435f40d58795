// SPDX-License-Identifier: MIT
// The half of report.h that Prometheus reads.
#include <cstdio>

#include "stats/decision_names.h"
#include "stats/report.h"

namespace tidegate {
namespace {

// Bounds that a scraper is told of: 2^4 us to 2^26 us, which are exact (histogram.h).
constexpr int kFirstBound = 4, kLastBound = 26;

// "0.001024": what a float of Go's prints of so many millionths.
std::string seconds_text(int64_t us) {
  char text[32];
  const int size =
      std::snprintf(text, sizeof text, "%lld.%06lld", static_cast<long long>(us / 1'000'000),
                    static_cast<long long>(us % 1'000'000));
  std::string out(text, static_cast<size_t>(size));
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out += '0';
  return out;
}

class MetricsWriter {
 public:
  explicit MetricsWriter(MetricsFormat format) : open_(format == MetricsFormat::kOpenMetrics) {}

  // OpenMetrics names a family of counters without the _total that its series have.
  void head(const MetricFamily& family) {
    std::string_view name = family.name;
    if (open_ && family.kind == MetricKind::kCounter) name.remove_suffix(kTotal.size());
    constexpr std::string_view kTypes[] = {"counter", "gauge", "histogram"};
    out_.append("# HELP tidegate_").append(name).append(" ").append(family.help);
    out_.append("\n# TYPE tidegate_").append(name).append(" ");
    out_.append(kTypes[static_cast<size_t>(family.kind)]).append("\n");
  }
  MetricsWriter& series(const MetricFamily& family, std::string_view suffix = "") {
    out_.append("tidegate_").append(family.name).append(suffix);
    labels_ = 0;
    return *this;
  }
  // Values are names of ours: nothing in them is to be escaped.
  MetricsWriter& label(std::string_view name, std::string_view value) {
    out_.append(labels_++ ? "," : "{").append(name).append("=\"").append(value).append("\"");
    return *this;
  }
  void value(std::string_view text) { out_.append(labels_ ? "} " : " ").append(text).append("\n"); }
  void value(int64_t number) { value(std::to_string(number)); }
  std::string take() {
    if (open_) out_.append("# EOF\n");
    return std::move(out_);
  }

 private:
  static constexpr std::string_view kTotal = "_total";
  const bool open_;
  int labels_ = 0;
  std::string out_;
};

// May a limiter of this client ever have a decision of that kind? Such a series starts at 0.
bool is_known(bool embedded, Source source, Said said) {
  if (embedded) return source == Source::kMemory;
  if (source == Source::kStore || source == Source::kFallback) return true;
  return (source == Source::kFailOpen && said == Said::kAllowed) ||
         (source == Source::kFailClosed && said == Said::kDenied);
}

void put_limiters(MetricsWriter& out, const Account& account) {
  const auto all = account.recorder.limiters();
  out.head(family::kDecisions);
  for (const LimiterFigures* figures : all) {
    const LimiterCounts counts = figures->counts();
    for (size_t source = kFirstSource; source < kSources; ++source)
      for (size_t said = 0; said < kSaid; ++said) {
        const int64_t count = counts.decisions[source][said];
        const auto what = static_cast<Said>(said);
        if (!count && !is_known(account.embedded, static_cast<Source>(source), what)) continue;
        out.series(family::kDecisions).label("limiter", figures->name());
        out.label("outcome", outcome_name(source, what)).label("source", kSourceNames[source]);
        out.value(count);
      }
  }
  out.head(family::kCost);
  for (const LimiterFigures* figures : all)
    out.series(family::kCost).label("limiter", figures->name()).value(figures->counts().cost);
  out.head(family::kLimited);
  for (const LimiterFigures* figures : all)
    out.series(family::kLimited)
        .label("limiter", figures->name())
        .value(figures->limited(account.now_us));
}

void put_histogram(MetricsWriter& out, const MetricFamily& family,
                   const Histogram::Reading& reading) {
  out.head(family);
  for (int exponent = kFirstBound; exponent <= kLastBound; ++exponent)
    out.series(family, "_bucket")
        .label("le", seconds_text(int64_t{1} << exponent))
        .value(reading.up_to(exponent));
  out.series(family, "_bucket").label("le", "+Inf").value(reading.count());
  out.series(family, "_sum").value(seconds_text(reading.sum_us));
  out.series(family, "_count").value(reading.count());
}

}  // namespace

std::string metrics_text(const Account& account, MetricsFormat format) {
  MetricsWriter out(format);
  const Reading& reading = account.reading;
  out.head(family::kBuild);
  out.series(family::kBuild).label("version", account.build.version);
  out.label("abi", std::to_string(account.build.abi)).value(1);
  out.head(family::kRequests);
  for (size_t source = kFirstSource; source < kSources; ++source)
    for (const auto& [outcome, count] : outcomes_of(reading, source))
      out.series(family::kRequests)
          .label("outcome", outcome)
          .label("source", kSourceNames[source])
          .value(count);
  const MetricFamily* before = nullptr;
  for (const Metric& metric : kMetrics) {
    if (!metric.family) continue;
    if (metric.family != before) out.head(*metric.family);
    before = metric.family;
    out.series(*metric.family);
    if (!metric.label_value.empty()) out.label(metric.family->label, metric.label_value);
    out.value(reading.*metric.value);
  }
  const StatsContext& context = account.recorder.context();
  if (context.options.level == StatsLevel::kOff) return out.take();
  put_limiters(out, account);
  put_histogram(out, family::kCheckTime, account.recorder.checks());
  put_histogram(out, family::kRoundTripTime, account.recorder.round_trips());
  out.head(family::kStatsBytes);
  out.series(family::kStatsBytes).value(context.room.used());
  return out.take();
}

}  // namespace tidegate
