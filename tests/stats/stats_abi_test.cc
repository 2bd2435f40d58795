// SPDX-License-Identifier: MIT
// The figures as a program asks for them: tidegate_stats.h, on an embedded client whose clock is
// set by hand.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "stats/schema.h"
#include "tidegate.h"

namespace tidegate {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int64_t kSecond = 1'000'000, kStart = 1'700'000'000 * kSecond;

class StatsAbi : public ::testing::Test {
 protected:
  void TearDown() override { tg_client_free(client_); }

  void open(const std::string& options = "") {
    tg_error error;
    const std::string url = "memory://?clock=manual" + options;
    ASSERT_EQ(tg_client_open(url.data(), url.size(), nullptr, &client_, &error), TG_OK)
        << error.message;
    set_time(kStart);
  }
  void set_time(int64_t now_us) { ASSERT_EQ(tg_client_set_time(client_, now_us), TG_OK); }
  uint64_t limiter(const std::string& name, const std::string& rates = "5/minute") {
    tg_limiter_spec spec{};
    spec.rates = {rates.data(), rates.size()};
    spec.name = {name.data(), name.size()};
    uint64_t handle = 0;
    tg_error error;
    EXPECT_EQ(tg_limiter_open(client_, &spec, &handle, &error), TG_OK) << error.message;
    return handle;
  }
  void ask(uint64_t handle, const std::string& key, int times = 1, uint32_t op = TG_OP_CONSUME) {
    tg_entry entry{};
    entry.op = op;
    entry.handle = handle;
    entry.key = key.data();
    entry.key_len = static_cast<uint32_t>(key.size());
    entry.arg = 1;
    tg_result result;
    for (int i = 0; i < times; ++i) ASSERT_EQ(tg_call(client_, &entry, 1, &result, 1), 1);
  }
  // The text of a function that is given (buffer, size, error), checked against the schema.
  template <class F>
  json text(const char* definition, F f) {
    const std::string out = plain(f);
    json what = json::parse(out);
    EXPECT_EQ(misfit_of(definition, what), "") << out;
    return what;
  }
  template <class F>
  std::string plain(F f) {
    tg_error error{};
    const int64_t size = f(nullptr, 0, &error);
    EXPECT_GT(size, 0) << error.message;
    if (size <= 0) return "null";
    std::string out(static_cast<size_t>(size) + 1, '?');
    EXPECT_EQ(f(out.data(), out.size(), &error), size);
    EXPECT_EQ(out.back(), '\0');
    out.pop_back();
    return out;
  }
  json report() {
    return text("report", [&](char* to, size_t size, tg_error*) {
      return tg_client_report(client_, to, size);
    });
  }
  json top(uint32_t by, int32_t n = 20) {
    return text("top", [&](char* to, size_t size, tg_error* error) {
      return tg_client_top(client_, TG_TEXT("api"), by, n, to, size, error);
    });
  }
  json limited_now() {
    return text("limited_now", [&](char* to, size_t size, tg_error* error) {
      return tg_client_limited_now(client_, TG_TEXT("api"), 256, to, size, error);
    });
  }
  json look_up(const std::string& key) {
    return text("look_up", [&](char* to, size_t size, tg_error* error) {
      return tg_client_look_up(client_, key.data(), key.size(), to, size, error);
    });
  }
  json events(int64_t after = 0, int32_t n = 100) {
    return text("events", [&](char* to, size_t size, tg_error* error) {
      return tg_client_events(client_, after, n, to, size, error);
    });
  }
  json series(tg_text limiter, tg_text period = {}, tg_text step = {}) {
    return text("series", [&](char* to, size_t size, tg_error* error) {
      return tg_client_series(client_, limiter, period, step, to, size, error);
    });
  }
  std::string metrics(uint32_t flags) {
    return plain([&](char* to, size_t size, tg_error*) {
      return tg_client_metrics_as(client_, flags, to, size);
    });
  }

  tg_client* client_ = nullptr;
};

TEST_F(StatsAbi, TheReportHasEachLimiter) {
  open();
  ask(limiter("api"), "user:42", 8);
  limiter("quiet");
  const json api = report()["limiters"]["api"];
  EXPECT_EQ(api["allowed"], 5);
  EXPECT_EQ(api["denied"], 3);
  EXPECT_EQ(api["cost"], 5);
  EXPECT_EQ(api["limited"], 1);
  EXPECT_EQ(api["complete"], true);
  EXPECT_EQ(api["decisions"]["memory"]["denied"], 3);
  EXPECT_EQ(report()["limiters"]["quiet"]["allowed"], 0);
  EXPECT_EQ(report()["stats"]["level"], "on");
}

TEST_F(StatsAbi, TopCallersAndWhoIsLimitedNow) {
  open("&labels=clear");
  const uint64_t api = limiter("api");
  for (int i = 0; i < 10; ++i) ask(api, "user:" + std::to_string(i), 6 + i);
  json denied = top(TG_BY_DENIED, 3)["callers"];
  ASSERT_EQ(denied.size(), 3);
  EXPECT_EQ(denied[0], json({{"caller", "user:9"}, {"denied", 10}}));
  EXPECT_EQ(denied[2], json({{"caller", "user:7"}, {"denied", 8}}));
  EXPECT_EQ(top(TG_BY_COST)["by"], "cost");
  EXPECT_GE(top(TG_BY_COST)["callers"].size(), 1);
  json limited = limited_now()["callers"];
  ASSERT_EQ(limited.size(), 10);
  EXPECT_EQ(limited[0]["caller"], "user:9");
  EXPECT_EQ(limited[0]["denied"], 10);
  EXPECT_EQ(limited[0]["retry_after_us"], 12 * kSecond);
  ask(api, "user:9", 1, TG_OP_RESET);
  EXPECT_EQ(limited_now()["callers"].size(), 9);
  set_time(kStart + 12 * kSecond);
  EXPECT_EQ(limited_now()["callers"].size(), 0) << "all can pass again";
}

TEST_F(StatsAbi, ACallerIsLookedUpInEveryLimiterAndPaysNothing) {
  open();
  const uint64_t api = limiter("api");
  limiter("both", "10/minute; 100/hour");
  limiter("slots", "3 at once");
  ask(api, "user:42", 7);
  for (int twice = 0; twice < 2; ++twice) {
    const json found = look_up("user:42");
    ASSERT_EQ(found["limiters"].size(), 3);
    const json its = found["limiters"]["api"];
    EXPECT_EQ(its["allowed"], false);
    EXPECT_EQ(its["source"], "memory");
    EXPECT_EQ(its["denied"], 2);
    EXPECT_EQ(its["rates"][0]["remaining"], 0);
    EXPECT_EQ(its["rates"][0]["retry_after_us"], 12 * kSecond);
    EXPECT_EQ(found["limiters"]["both"]["rates"].size(), 2);
    EXPECT_EQ(found["limiters"]["both"]["rates"][1]["remaining"], 100);
    EXPECT_EQ(found["limiters"]["slots"]["rates"][0]["limit"], 3);
    EXPECT_EQ(found["more"], 0);
  }
  EXPECT_EQ(report()["allowed"], 5) << "a look is no decision";
  tg_error error;
  EXPECT_EQ(tg_client_look_up(client_, "", 0, nullptr, 0, &error), TG_EKEY);
}

TEST_F(StatsAbi, EventsGoOnWhereTheyEnded) {
  open("&max_keys=200&max_bytes=1024");
  const uint64_t api = limiter("api", "1/hour");
  ask(api, "user:42", 3);
  const json first = events();
  ASSERT_EQ(first["events"].size(), 1);
  EXPECT_EQ(first["events"][0]["kind"], "denied");
  EXPECT_EQ(first["events"][0]["limiter"], "api");
  EXPECT_TRUE(events(first["next"])["events"].empty());
  for (int i = 0; i < 500; ++i) ask(api, "spray:" + std::to_string(i));
  const json second = events(first["next"]);
  ASSERT_EQ(second["events"].size(), 1);
  EXPECT_EQ(second["events"][0]["kind"], "evicted");
  EXPECT_TRUE(events(second["next"])["events"].empty()) << "told once";
  EXPECT_EQ(events(-1, 1)["events"][0]["kind"], "evicted");
}

TEST_F(StatsAbi, SeriesOfOneLimiterAndOfAll) {
  open();
  const uint64_t api = limiter("api", "1000000/second"), other = limiter("other", "10/second");
  for (int minute = 0; minute < 5; ++minute) {
    set_time(kStart + 60 * kSecond * minute);
    ask(api, "a", 10 + minute);
    ask(other, "a", 1);
  }
  const json its = series(TG_TEXT("api"), TG_TEXT("10m"));
  EXPECT_EQ(its["step_us"], 60 * kSecond);
  ASSERT_EQ(its["allowed"].size(), 10);
  for (int minute = 0; minute < 5; ++minute) EXPECT_EQ(its["allowed"][5 + minute], 10 + minute);
  EXPECT_EQ(its["allowed"][4], 0);
  EXPECT_EQ(its["from_us"].get<int64_t>() + 10 * 60 * kSecond,
            (kStart + 240 * kSecond) / (10 * kSecond) * (10 * kSecond) + 10 * kSecond);
  EXPECT_EQ(series({})["allowed"].size(), 60);
  EXPECT_EQ(series({})["cost"][59], 15);
  EXPECT_EQ(series(TG_TEXT("api"), TG_TEXT("48h"), TG_TEXT("1h"))["allowed"].size(), 48);
  tg_error error;
  EXPECT_EQ(
      tg_client_series(client_, TG_TEXT("api"), TG_TEXT("1h"), TG_TEXT("7s"), nullptr, 0, &error),
      TG_EINVAL);
  EXPECT_THAT(error.message, HasSubstr("10 s"));
  EXPECT_EQ(tg_client_series(client_, TG_TEXT("api"), TG_TEXT("1x"), {}, nullptr, 0, &error),
            TG_ERATE);
}

TEST_F(StatsAbi, WhatIsAskedWronglyIsSaidInWords) {
  open();
  limiter("api");
  tg_error error;
  EXPECT_EQ(tg_client_top(client_, TG_TEXT("nobody"), TG_BY_COST, 1, nullptr, 0, &error),
            TG_EHANDLE);
  EXPECT_THAT(error.message, HasSubstr("\"nobody\""));
  EXPECT_EQ(tg_client_top(client_, TG_TEXT("api"), 3, 1, nullptr, 0, &error), TG_EINVAL);
  EXPECT_THAT(error.message, HasSubstr("TG_BY_COST"));
  EXPECT_EQ(tg_client_limited_now(client_, TG_TEXT("api"), -1, nullptr, 0, &error), TG_EINVAL);
  EXPECT_EQ(tg_client_events(client_, -2, 1, nullptr, 0, nullptr), TG_EINVAL);
  EXPECT_EQ(tg_client_events(client_, 0, 1, nullptr, 5, nullptr), TG_EINVAL);
  EXPECT_EQ(tg_client_events(nullptr, 0, 1, nullptr, 0, &error), TG_EINVAL);
  EXPECT_EQ(tg_client_metrics_as(client_, 2, nullptr, 0), TG_EINVAL);
  tg_client_close(client_);
  EXPECT_EQ(tg_client_look_up(client_, "k", 1, nullptr, 0, &error), TG_ECLOSED);
  EXPECT_GT(tg_client_top(client_, TG_TEXT("api"), TG_BY_COST, 1, nullptr, 0, &error), 0)
      << "figures are still to be had";
}

TEST_F(StatsAbi, StatsOffLeavesTheTotals) {
  open("&stats=off");
  ask(limiter("api"), "user:42", 8);
  EXPECT_EQ(report()["denied"], 3);
  EXPECT_TRUE(report()["limiters"].empty());
  EXPECT_EQ(look_up("user:42")["limiters"]["api"]["allowed"], false);
  EXPECT_TRUE(events()["events"].empty());
  EXPECT_THAT(metrics(0), Not(HasSubstr("limiter=")));
}

// No text shows a key, unless its owner wants it: whatever it is made of.
TEST_F(StatsAbi, KeysAreNowhereButUnderLabelsClear) {
  const std::string key = "alice@example.org", bytes = "\xff\x01\"\\\n</script>-and-more";
  for (const bool clear : {false, true}) {
    open(clear ? "&labels=clear" : "");
    const uint64_t api = limiter("api");
    for (const auto& k : {key, bytes}) ask(api, k, 200);
    ask(api, std::string(512, 'x'), 9);
    const std::string all = report().dump() + top(TG_BY_DENIED).dump() + top(TG_BY_COST).dump() +
                            limited_now().dump() + events().dump() + look_up(key).dump();
    for (const char* secret : {"alice@", "ice@example", "and-more", "xxxxxxxx"})
      EXPECT_EQ(all.find(secret) != std::string::npos, clear) << secret;
    EXPECT_THAT(metrics(0), Not(HasSubstr("alice")));
    EXPECT_THAT(metrics(1), Not(HasSubstr("alice")));
    tg_client_free(client_);
    client_ = nullptr;
  }
}

TEST_F(StatsAbi, MetricsOfEachLimiterStartAtZeroAndOpenMetricsIsItsOwnFormat) {
  open();
  const uint64_t api = limiter("api");
  const std::string zero =
      R"(tidegate_decisions_total{limiter="api",outcome="denied",source="memory"})";
  EXPECT_THAT(metrics(0), HasSubstr(zero + " 0\n"));
  ask(api, "user:42", 8);
  const std::string text = metrics(0);
  EXPECT_THAT(text, HasSubstr(zero + " 3\n"));
  EXPECT_THAT(text, HasSubstr("tidegate_cost_total{limiter=\"api\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("tidegate_limited_callers{limiter=\"api\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tidegate_decision_duration_seconds_bucket{le=\"0.001024\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("tidegate_store_round_trip_seconds_bucket{le=\"+Inf\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("EOF")));
  const std::string open_metrics = metrics(TG_METRICS_OPENMETRICS);
  EXPECT_THAT(open_metrics, HasSubstr("# TYPE tidegate_decisions counter\n"));
  EXPECT_THAT(open_metrics, HasSubstr(zero + " 3\n"));
  EXPECT_TRUE(open_metrics.ends_with("\n# EOF\n"));
}

// Silent is what it is when nothing is wrong.
TEST_F(StatsAbi, PromtoolHasNothingToSay) {
  const char* const named = std::getenv("TIDEGATE_PROMTOOL");
  const std::string promtool = named ? named : "promtool";
  if (std::system((promtool + " --version > /dev/null 2>&1").c_str()) != 0)
    GTEST_SKIP() << "there is no promtool: Debian has it in prometheus (or name it in "
                    "TIDEGATE_PROMTOOL)";
  open();
  ask(limiter("api"), "user:42", 8);
  const std::string file = ::testing::TempDir() + "tidegate_metrics_" + std::to_string(getpid());
  std::ofstream(file) << metrics(0);
  const std::string said = file + ".said";
  const int status =
      std::system((promtool + " check metrics < " + file + " > " + said + " 2>&1").c_str());
  std::ifstream words(said);
  const std::string all((std::istreambuf_iterator<char>(words)), {});
  EXPECT_EQ(status, 0);
  EXPECT_EQ(all, "");
  std::remove(file.c_str());
  std::remove(said.c_str());
}

}  // namespace
}  // namespace tidegate
