// SPDX-License-Identifier: MIT
// The recorder, and what is made of its figures: Prometheus' text and JSON.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "stats/recorder.h"
#include "stats/report.h"
#include "tidegate.h"

namespace tidegate {
namespace {

constexpr Build kBuild{"1.2.3", 7};

std::string text_of(const Reading& reading, MetricsFormat format = MetricsFormat::kPrometheus) {
  Recorder recorder;
  return metrics_text({reading, recorder, 0, true, kBuild}, format);
}
std::string report_of(const Reading& reading) {
  Recorder recorder;
  return report_json({reading, recorder, 0, true, kBuild});
}

Decision decision_of(Source source, bool allowed, bool would_deny = false) {
  return {.allowed = allowed, .would_deny = would_deny, .source = source};
}

TEST(Recorder, CountsConsumesByOutcomeAndSource) {
  Recorder recorder;
  const auto tell = [&](Op op, const Decision& decision) {
    recorder.decided(op, {}, decision, nullptr, 0, Recorder::kNotTimed);
  };
  tell(Op::kConsume, decision_of(Source::kMemory, true));
  tell(Op::kConsume, decision_of(Source::kStore, false));
  tell(Op::kConsume, decision_of(Source::kStore, true, true));
  tell(Op::kConsume, decision_of(Source::kFallback, false, true));
  tell(Op::kConsume, decision_of(Source::kFailOpen, true));
  tell(Op::kConsume, decision_of(Source::kFailClosed, false));
  for (const Op op : {Op::kPeek, Op::kRefund, Op::kReset, Op::kPing})
    tell(op, decision_of(Source::kStore, true));
  const Reading r = recorder.read();
  EXPECT_EQ(r.allowed, 3);
  EXPECT_EQ(r.denied, 3);
  EXPECT_EQ(r.would_deny, 2);
  EXPECT_EQ(r.by_memory, 1);
  EXPECT_EQ(r.by_store, 2);
  EXPECT_EQ(r.by_fallback, 1);
  EXPECT_EQ(r.by_fail_open, 1);
  EXPECT_EQ(r.by_fail_closed, 1);
}

TEST(Recorder, EveryCounterHasAFigureOfItsOwn) {
  Recorder recorder;
  constexpr auto kCount = static_cast<size_t>(Counter::kCount);
  for (size_t i = 0; i < kCount; ++i)
    recorder.counters().add(static_cast<Counter>(i), static_cast<int64_t>(i) + 1);
  const Reading r = recorder.read();
  std::multiset<int64_t> seen;
  for (const Metric& metric : kMetrics)
    if (r.*metric.value) seen.insert(r.*metric.value);
  ASSERT_EQ(seen.size(), kCount);
  for (size_t i = 0; i < kCount; ++i) EXPECT_EQ(seen.count(static_cast<int64_t>(i) + 1), 1) << i;
}

// Every figure another number, so that none can stand in for another.
Reading distinct() {
  Reading r;
  int64_t next = 1000;
  for (const Metric& metric : kMetrics) r.*metric.value = ++next;
  for (auto& source : r.decisions)
    for (int64_t& outcome : source) outcome = ++next;
  return r;
}

// What `promtool check metrics` looks at, and a scraper refuses: one HELP and one TYPE before a
// family's series, which stand together; names and labels in their alphabets; no series twice.
struct Exposition {
  std::map<std::string, std::string> types, helps;
  std::map<std::string, std::string> series;  // with its labels: its value
};

Exposition parse(const std::string& text) {
  static const std::regex help("# HELP ([a-z_:][a-z0-9_:]*) (.+)");
  static const std::regex type("# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge|histogram)");
  static const std::regex sample(
      R"re(([a-z_:][a-z0-9_:]*)(\{[a-z_]+="[^"\\\n]*"(,[a-z_]+="[^"\\\n]*")*\})? (-?[0-9]+(\.[0-9]+)?))re");
  Exposition seen;
  EXPECT_TRUE(text.ends_with("\n"));
  std::istringstream lines(text);
  std::string family;
  std::set<std::string> done;
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, help)) {
      if (!family.empty()) done.insert(family);
      family = match[1];
      EXPECT_FALSE(done.contains(family)) << line;
      EXPECT_TRUE(seen.helps.emplace(family, match[2]).second) << line;
    } else if (std::regex_match(line, match, type)) {
      EXPECT_EQ(match[1], family) << line;
      EXPECT_TRUE(seen.types.emplace(family, match[2]).second) << line;
    } else if (std::regex_match(line, match, sample)) {
      std::string name = match[1];
      if (seen.types[family] == "histogram")
        name = std::regex_replace(name, std::regex("_(bucket|sum|count)$"), "");
      EXPECT_EQ(name, family) << line;
      EXPECT_FALSE(seen.types[family].empty()) << line;
      EXPECT_TRUE(
          seen.series.emplace(std::string(match[1]) + std::string(match[2]), match[4]).second)
          << line;
    } else {
      ADD_FAILURE() << "no line of the exposition format: " << line;
    }
  }
  return seen;
}

TEST(Metrics, ThePrometheusTextIsWellFormed) {
  const Exposition seen = parse(text_of(distinct()));
  for (const auto& [name, type] : seen.types) {
    EXPECT_TRUE(name.starts_with("tidegate_")) << name;
    EXPECT_EQ(type == "counter", name.ends_with("_total")) << name;
    EXPECT_TRUE(seen.helps.at(name).ends_with(".")) << name;
  }
}

TEST(Metrics, EveryFigureIsASeriesWithItsValue) {
  const Reading r = distinct();
  const Exposition seen = parse(text_of(r));
  for (const Metric& metric : kMetrics) {
    if (!metric.family) continue;
    std::string name = "tidegate_" + std::string(metric.family->name);
    if (!metric.label_value.empty())
      name +=
          "{" + std::string(metric.family->label) + "=\"" + std::string(metric.label_value) + "\"}";
    ASSERT_TRUE(seen.series.contains(name)) << name;
    EXPECT_EQ(seen.series.at(name), std::to_string(r.*metric.value)) << name;
  }
  EXPECT_EQ(seen.series.at("tidegate_build_info{version=\"1.2.3\",abi=\"7\"}"), "1");
}

TEST(Metrics, TheNamesThatDashboardsKnowAreThereFromTheStart) {
  const Exposition seen = parse(text_of(Reading{}));
  for (const char* name : {
           "tidegate_requests_total{outcome=\"allowed\",source=\"memory\"}",
           "tidegate_requests_total{outcome=\"denied\",source=\"store\"}",
           "tidegate_requests_total{outcome=\"would_deny\",source=\"fallback\"}",
           "tidegate_requests_total{outcome=\"allowed\",source=\"fail_open\"}",
           "tidegate_requests_total{outcome=\"denied\",source=\"fail_closed\"}",
           "tidegate_store_errors_total{code=\"timed_out\"}",
           "tidegate_store_up",
           "tidegate_store_breaker_open",
           "tidegate_keys",
           "tidegate_evicted_total{reason=\"owing\"}",
           "tidegate_events_dropped_total",
       }) {
    ASSERT_TRUE(seen.series.contains(name)) << name;
    EXPECT_EQ(seen.series.at(name), "0") << name;
  }
}

TEST(Metrics, OutcomesOfASourceExcludeEachOther) {
  Reading r;
  r.decisions[static_cast<size_t>(Source::kStore)] = {1, 20, 300, 4000};
  const Exposition seen = parse(text_of(r));
  const auto count = [&](const char* outcome) {
    return seen.series.at("tidegate_requests_total{outcome=\"" + std::string(outcome) +
                          "\",source=\"store\"}");
  };
  EXPECT_EQ(count("allowed"), "1");
  EXPECT_EQ(count("denied"), "4020");
  EXPECT_EQ(count("would_deny"), "300");
}

TEST(Metrics, TheReportIsOneObjectWithEveryFigureAndNothingElse) {
  const Reading r = distinct();
  auto report = nlohmann::json::parse(report_of(r));
  EXPECT_EQ(report["version"], "1.2.3");
  EXPECT_EQ(report["abi"], 7);
  for (const Metric& metric : kMetrics) {
    ASSERT_TRUE(report.contains(metric.name)) << metric.name;
    EXPECT_EQ(report[std::string(metric.name)], r.*metric.value) << metric.name;
  }
  ASSERT_EQ(report.size(), std::size(kMetrics) + 6)
      << "version, abi, decisions, limiters, durations, stats";
  ASSERT_EQ(report["decisions"].size(), kSources - 1);
  for (size_t source = 1; source < kSources; ++source) {
    const auto& of = report["decisions"][std::string(kSourceNames[source])];
    EXPECT_EQ(of.size(), 3);
    EXPECT_EQ(of["allowed"], r.decisions[source][0]);
    EXPECT_EQ(of["denied"], r.decisions[source][1] + r.decisions[source][3]);
    EXPECT_EQ(of["would_deny"], r.decisions[source][2]);
  }
}

class Abi : public ::testing::Test {
 protected:
  void SetUp() override {
    tg_error error;
    ASSERT_EQ(tg_client_open("memory://", 9, nullptr, &client_, &error), TG_OK) << error.message;
    tg_limiter_spec spec{};
    spec.rates = TG_TEXT("2/day");
    uint64_t limiter = 0;
    ASSERT_EQ(tg_limiter_open(client_, &spec, &limiter, &error), TG_OK) << error.message;
    tg_entry entry{};
    entry.op = TG_OP_CONSUME;
    entry.handle = limiter;
    entry.key = "k";
    entry.key_len = 1;
    entry.arg = 1;
    for (int i = 0; i < 5; ++i) {
      tg_result result;
      ASSERT_EQ(tg_call(client_, &entry, 1, &result, 1), 1);
    }
  }
  void TearDown() override { tg_client_free(client_); }

  template <class F>
  std::string text(F f) {
    const int64_t size = f(client_, nullptr, 0);
    EXPECT_GT(size, 0);
    std::string out(static_cast<size_t>(size) + 1, '?');
    EXPECT_EQ(f(client_, out.data(), out.size()), size);
    EXPECT_EQ(out.back(), '\0');
    out.pop_back();
    return out;
  }

  tg_client* client_ = nullptr;
};

TEST_F(Abi, TheRecordAndTheReportSayTheSame) {
  tg_stats stats;
  ASSERT_EQ(tg_client_stats(client_, &stats), TG_OK);
  const auto report = nlohmann::json::parse(text(tg_client_report));
  EXPECT_EQ(stats.allowed, 2);
  EXPECT_EQ(stats.denied, 3);
  EXPECT_EQ(report["allowed"], 2);
  EXPECT_EQ(report["denied"], 3);
  EXPECT_EQ(report["by_memory"], stats.by_memory);
  EXPECT_EQ(report["keys"], 1);
  EXPECT_EQ(report["bytes"], stats.bytes);
  EXPECT_EQ(report["store_up"], 1);
  EXPECT_EQ(report["version"], tg_version());
  EXPECT_EQ(report["abi"], tg_abi());
}

TEST_F(Abi, ThePrometheusTextCountsWhatWasDecided) {
  const Exposition seen = parse(text(tg_client_metrics));
  EXPECT_EQ(seen.series.at("tidegate_requests_total{outcome=\"allowed\",source=\"memory\"}"), "2");
  EXPECT_EQ(seen.series.at("tidegate_requests_total{outcome=\"denied\",source=\"memory\"}"), "3");
  EXPECT_EQ(seen.series.at("tidegate_keys"), "1");
  EXPECT_EQ(tg_client_metrics(nullptr, nullptr, 0), TG_EINVAL);
  EXPECT_EQ(tg_client_report(client_, nullptr, 1), TG_EINVAL);
}

// What tg_stats has a field for must be filled from the figure of that name. (A field that has no
// figure would stay 0: this counts them.)
TEST(Metrics, TgStatsHasNoFieldWithoutAFigure) {
  constexpr size_t kNotInTheRecord = 17;  // store_up, what caches and policies do
  EXPECT_EQ(sizeof(tg_stats) / sizeof(int64_t), std::size(kMetrics) - kNotInTheRecord);
}

}  // namespace
}  // namespace tidegate
