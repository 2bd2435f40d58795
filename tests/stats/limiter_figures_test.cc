// SPDX-License-Identifier: MIT
// What the recorder keeps of each limiter: counts that are exact, callers, and who is limited.
#include <gtest/gtest.h>

#include <latch>
#include <thread>

#include "limiter/make_config.h"
#include "stats/recorder.h"

namespace tidegate {
namespace {

constexpr int64_t kSecond = 1'000'000, kNow = 1'000'000 * kSecond;

class FiguresTest : public ::testing::Test {
 protected:
  std::unique_ptr<const LimiterConfig> limiter(Recorder& recorder, std::string_view name,
                                               std::string_view mode = "") {
    auto made = make_limiter({.rates = "10/minute", .name = name, .mode = mode}, nullptr,
                             {"tg", OnFailure::kLocal, 1}, print_);
    EXPECT_TRUE(made) << made.error().message;
    (*made)->figures = recorder.figures_of((*made)->name);
    return std::move(*made);
  }
  void tell(Recorder& recorder, const LimiterConfig& api, std::string_view key, bool fit,
            int64_t cost = 1, int64_t now_us = kNow, int64_t wait_us = 30 * kSecond) {
    const Part part{.limiter = &api, .key = key, .cost = cost, .id = {}};
    RateResult result = rate_result(part, 0);
    const bool shadow = api.mode == Mode::kShadow;
    if (fit) result.flags |= RateResult::kAllowed;
    result.figures.retry_after_us = fit ? 0 : wait_us;
    const Decision decision{.allowed = fit || shadow,
                            .would_deny = shadow && !fit,
                            .source = Source::kMemory,
                            .part_count = 1};
    recorder.consumed_one(part, print_(key), decision, result, now_us);
  }
  Fingerprinter print_{1};
};

TEST_F(FiguresTest, WhatALimiterSaidIsCountedByItsName) {
  Recorder recorder({}, &print_);
  const auto api = limiter(recorder, "api"), same = limiter(recorder, "api");
  const auto trial = limiter(recorder, "trial", "shadow");
  tell(recorder, *api, "a", true, 3);
  tell(recorder, *same, "a", true, 4);
  tell(recorder, *api, "a", false, 9);
  tell(recorder, *trial, "a", false, 2);
  const LimiterCounts counts = recorder.find("api")->counts();
  EXPECT_EQ(counts.said(Said::kAllowed), 2);
  EXPECT_EQ(counts.said(Said::kDenied), 1);
  EXPECT_EQ(counts.cost, 7);
  EXPECT_EQ(counts.decisions[static_cast<size_t>(Source::kMemory)][0], 2);
  EXPECT_EQ(recorder.find("trial")->counts().said(Said::kWouldDeny), 1);
  EXPECT_EQ(recorder.find("trial")->counts().cost, 0) << "what did not fit was not charged";
  EXPECT_EQ(recorder.find("nobody"), nullptr);
}

TEST_F(FiguresTest, OfARequestOfTwoLimitersEachSaysItsOwn) {
  Recorder recorder({}, &print_);
  const auto api = limiter(recorder, "api"), user = limiter(recorder, "user");
  const Part parts[] = {{.limiter = api.get(), .key = "k", .cost = 2, .id = {}},
                        {.limiter = user.get(), .key = "k", .cost = 5, .id = {}}};
  RateResult results[] = {rate_result(parts[0], 0), rate_result(parts[1], 0)};
  results[0].flags |= RateResult::kAllowed;
  results[1].figures.retry_after_us = kSecond;
  recorder.decided(Op::kConsume, parts, {.allowed = false, .source = Source::kStore}, results, kNow,
                   1'500);
  EXPECT_EQ(recorder.find("api")->counts().said(Said::kAllowed), 1);
  EXPECT_EQ(recorder.find("api")->counts().cost, 0) << "all or nothing";
  EXPECT_EQ(recorder.find("user")->counts().said(Said::kDenied), 1);
  EXPECT_EQ(recorder.find("user")->limited(kNow), 1);
  EXPECT_EQ(recorder.find("api")->limited(kNow), 0);
  EXPECT_EQ(recorder.checks().count(), 1);
  EXPECT_EQ(recorder.read().denied, 1);

  results[1].shortfall = 4;
  recorder.decided(Op::kDebit, parts, {.source = Source::kStore}, results, kNow, 1'500);
  EXPECT_EQ(recorder.find("user")->counts().cost, 1) << "a debit takes what fits";
  EXPECT_EQ(recorder.find("api")->counts().cost, 2);
  EXPECT_EQ(recorder.checks().count(), 1) << "a debit is no check";
}

TEST_F(FiguresTest, ThreadsLoseNothingThoughThereAreMoreThanStripes) {
  Recorder recorder({.max_bytes = 1'000'000}, &print_);
  const auto api = limiter(recorder, "api");
  constexpr int kThreads = kStripes + 6, kTimes = 3'000;
  std::latch all(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      all.arrive_and_wait();
      const std::string key = "caller-" + std::to_string(i);
      for (int n = 0; n < kTimes; ++n) tell(recorder, *api, key, n % 3 != 0, 2, kNow + n * kSecond);
    });
  for (std::thread& thread : threads) thread.join();
  const LimiterCounts counts = recorder.find("api")->counts();
  EXPECT_EQ(counts.said(Said::kAllowed), kThreads * kTimes * 2 / 3);
  EXPECT_EQ(counts.said(Said::kDenied), kThreads * kTimes / 3);
  EXPECT_EQ(counts.cost, kThreads * kTimes * 4 / 3);
  int64_t denied = 0;
  const int64_t from = kNow, step = 10 * kSecond;
  for (const auto& point : recorder.find("api")->series(from, step, kTimes / 10))
    denied += point.denied;
  EXPECT_EQ(denied, counts.said(Said::kDenied)) << "and the series have it all";
  EXPECT_EQ(recorder.find("api")->top(LimiterFigures::By::kDenied, 100).size(), kThreads)
      << "a thread that finds the lock taken waits for it in the end";
}

TEST_F(FiguresTest, TopCallersByDenialsAndByCost) {
  Recorder recorder({.labels = LabelMode::kClear}, &print_);
  const auto api = limiter(recorder, "api");
  for (int i = 0; i < 400'000; ++i)  // they take turns, and only every eighth is looked at
    tell(recorder, *api, i % 8 == 0 ? "large" : "small-" + std::to_string(i % 8), true,
         i % 8 == 0 ? 70 : 10);
  for (int i = 0; i < 30; ++i) tell(recorder, *api, "denied", false);
  const auto by_cost = recorder.find("api")->top(LimiterFigures::By::kCost, 20);
  ASSERT_EQ(by_cost.size(), 8);
  EXPECT_EQ(by_cost[0].label, "large");
  EXPECT_NEAR(static_cast<double>(by_cost[0].weight), 3'500'000, 350'000);
  EXPECT_NEAR(static_cast<double>(by_cost[7].weight), 500'000, 50'000);
  const auto by_denied = recorder.find("api")->top(LimiterFigures::By::kDenied, 20);
  ASSERT_EQ(by_denied.size(), 1);
  EXPECT_EQ(by_denied[0].weight, 30);
  EXPECT_EQ(recorder.find("api")->denied_about(print_("denied")), 30);
}

TEST_F(FiguresTest, WhoIsLimitedIsToldOnceAWindowAndForgottenWithAReset) {
  Recorder recorder({}, &print_);
  const auto api = limiter(recorder, "api");
  for (int i = 0; i < 5; ++i) tell(recorder, *api, "user:42", false);
  tell(recorder, *api, "costly", false, 99, kNow, kNever);
  const auto list = recorder.find("api")->limited_now(10, kNow + kSecond);
  ASSERT_EQ(list.size(), 1) << "no wait is long enough for the other";
  EXPECT_TRUE(list[0].label.starts_with("use~"));
  EXPECT_EQ(list[0].denied, 5);
  EXPECT_EQ(list[0].until_us, kNow + 30 * kSecond);
  const auto events = recorder.context().history.read(0, 10).events;
  ASSERT_EQ(events.size(), 1);
  EXPECT_EQ(events[0].limiter, "api");
  EXPECT_EQ(events[0].caller, list[0].label);
  const Part part{.limiter = api.get(), .key = "user:42", .id = {}};
  recorder.forgotten({&part, 1});
  EXPECT_EQ(recorder.find("api")->limited(kNow + kSecond), 0);
}

TEST_F(FiguresTest, SeriesHaveEveryCountInItsTenSeconds) {
  Recorder recorder({}, &print_);
  const auto api = limiter(recorder, "api");
  for (int i = 0; i < 100; ++i) tell(recorder, *api, "a", i % 2, 3, kNow + i * kSecond);
  const auto points = recorder.find("api")->series(kNow, 10 * kSecond, 11);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(points[i].allowed, 5) << i;
    EXPECT_EQ(points[i].denied, 5) << i;
    EXPECT_EQ(points[i].cost, 15) << i;
  }
  EXPECT_EQ(points[10].allowed, 0);
  tell(recorder, *api, "a", true, 1, kNow - 3'600 * kSecond);  // the clock stepped back
  EXPECT_EQ(recorder.find("api")->series(kNow + 90 * kSecond, 10 * kSecond, 1)[0].allowed, 6);
}

TEST_F(FiguresTest, BeyondAThousandTheyAreCountedAsOther) {
  Recorder recorder({.level = StatsLevel::kTotals}, &print_);
  for (int i = 0; i < 1'500; ++i) {
    const auto api = limiter(recorder, "api-" + std::to_string(i));
    tell(recorder, *api, "a", true);
  }
  EXPECT_EQ(recorder.limiters().size(), Recorder::kMostLimiters + 1);
  EXPECT_EQ(recorder.find("api-999")->counts().said(Said::kAllowed), 1);
  EXPECT_EQ(recorder.find("api-1000"), nullptr);
  EXPECT_EQ(recorder.find("other")->counts().said(Said::kAllowed), 500);
}

TEST_F(FiguresTest, LessIsKeptWhereLessIsAskedFor) {
  Recorder off({.level = StatsLevel::kOff}, &print_);
  const auto none = limiter(off, "api");
  tell(off, *none, "a", false);
  EXPECT_EQ(none->figures, nullptr);
  EXPECT_EQ(off.read().denied, 1);
  Recorder totals({.level = StatsLevel::kTotals}, &print_);
  const auto api = limiter(totals, "api");
  for (int i = 0; i < 100; ++i) tell(totals, *api, "a", i % 2);
  EXPECT_EQ(totals.find("api")->counts().said(Said::kDenied), 50);
  EXPECT_TRUE(totals.find("api")->top(LimiterFigures::By::kDenied, 9).empty());
  EXPECT_TRUE(totals.find("api")->top(LimiterFigures::By::kCost, 9).empty());
  EXPECT_EQ(totals.find("api")->limited(kNow), 0);
  EXPECT_TRUE(totals.context().history.read(0, 9).events.empty());
}

// A hundred limiters with everything on, all of it full: within 12 MiB; and within the default all
// are counted, exactly, though not all have the rest.
TEST_F(FiguresTest, MemoryIsBounded) {
  for (const int64_t most : {int64_t{12} << 20, int64_t{2} << 20}) {
    Recorder recorder({.max_bytes = most}, &print_);
    size_t complete = 0;
    for (int i = 0; i < 100; ++i) {
      const auto api = limiter(recorder, "limiter-" + std::to_string(i));
      for (int hour = 0; hour < 48; ++hour)
        for (int n = 0; n < 8; ++n) {
          const int64_t now_us = kNow + hour * 3'600 * kSecond;
          tell(recorder, *api, "key-" + std::to_string(n), true, 1, now_us);
          tell(recorder, *api, "key-" + std::to_string(n), false, 1, now_us);
        }
      EXPECT_EQ(recorder.limiters().size(), i + 1);
      EXPECT_EQ(recorder.find("limiter-" + std::to_string(i))->counts().said(Said::kDenied), 384);
    }
    for (const LimiterFigures* figures : recorder.limiters()) complete += figures->complete();
    EXPECT_LE(recorder.context().room.used(), most + 100 * int64_t{sizeof(LimiterFigures)});
    EXPECT_EQ(complete, most > (int64_t{2} << 20) ? 100 : complete);
    EXPECT_GE(complete, 10);
  }
}

}  // namespace
}  // namespace tidegate
