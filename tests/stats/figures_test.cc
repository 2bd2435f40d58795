// SPDX-License-Identifier: MIT
// What is kept of one limiter: the pieces, each for itself.
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "stats/histogram.h"
#include "stats/history.h"
#include "stats/labels.h"
#include "stats/limited_now.h"
#include "stats/series.h"

namespace tidegate {
namespace {

TEST(Histogram, ABucketHoldsWhatIsAboveItsLowerBoundAndAtMostItsUpper) {
  for (size_t i = 0; i < Histogram::kBuckets; ++i) {
    const double lower = std::exp2(static_cast<double>(i) / 8);
    const int64_t bound = Histogram::bound_us(i);
    EXPECT_LE(static_cast<double>(bound), std::exp2(static_cast<double>(i + 1) / 8)) << i;
    if (static_cast<double>(bound) <= lower && i) continue;  // no whole time is in it
    EXPECT_EQ(Histogram::bucket_of(bound), i) << bound;
    if (i + 1 < Histogram::kBuckets) {
      EXPECT_GT(Histogram::bucket_of(bound + 1), i);
    }
  }
  EXPECT_EQ(Histogram::bucket_of(0), 0);
  EXPECT_EQ(Histogram::bucket_of(-5), 0);
  EXPECT_EQ(Histogram::bucket_of(int64_t{1} << 20), 8 * 20 - 1);
  EXPECT_EQ(Histogram::bucket_of((int64_t{1} << 20) + 1), 8 * 20);
  EXPECT_EQ(Histogram::bucket_of(int64_t{1} << 60), Histogram::kBuckets - 1);
}

TEST(Histogram, QuantilesAreWithinABucketAndPowersOfTwoAreExact) {
  Histogram histogram;
  int64_t sum = 0;
  for (int64_t us = 1; us <= 10'000; ++us) {
    histogram.add(us);
    sum += us;
  }
  const Histogram::Reading reading = histogram.read();
  EXPECT_EQ(reading.count(), 10'000);
  EXPECT_EQ(reading.sum_us, sum);
  EXPECT_EQ(reading.up_to(10), 1'024);
  for (const double quantile : {0.5, 0.9, 0.99}) {
    const double truth = quantile * 10'000;
    EXPECT_GE(static_cast<double>(reading.quantile_us(quantile)), truth * 0.999);
    EXPECT_LE(static_cast<double>(reading.quantile_us(quantile)), truth * 1.0906);
  }
  EXPECT_EQ(Histogram().read().quantile_us(0.5), 0);
}

TEST(Labels, ShowWhatTheOwnerChose) {
  const Fingerprinter print(1);
  const auto label = [&](LabelMode mode, std::string_view key) {
    return Labels{mode}.of(key, print(key));
  };
  const std::string hashed = label(LabelMode::kHashed, "user:42");
  EXPECT_EQ(hashed.size(), 11);
  EXPECT_EQ(label(LabelMode::kMasked, "user:42"), "use" + hashed);
  EXPECT_EQ(label(LabelMode::kMasked, "abcdef").size(), 11) << "half of a short key is too much";
  EXPECT_TRUE(label(LabelMode::kMasked, "ÄÖÜ-Straße").starts_with("ÄÖÜ~"));
  EXPECT_TRUE(
      label(LabelMode::kMasked, "\xff\xfe\xfd\xfc\xfb\xfa\xf9").starts_with("\xff\xfe\xfd~"));
  EXPECT_EQ(label(LabelMode::kClear, "user:42"), "user:42");
  EXPECT_NE(label(LabelMode::kHashed, "user:42"), label(LabelMode::kHashed, "user:43"));
  const std::string cut = label(LabelMode::kClear, std::string(512, 'x'));
  EXPECT_LE(cut.size(), Labels::kMostClear);
  EXPECT_TRUE(cut.ends_with("..."));
}

constexpr int64_t kSecond = 1'000'000, kMinute = 60 * kSecond, kHour = 60 * kMinute;

TEST(Series, TenSecondsForAnHourAndMinutesForTwoDays) {
  Allowance room(1 << 20);
  Series series(room);
  const int64_t start = 1'000'000 * kHour;
  for (int64_t minute = 0; minute < 50 * 60; ++minute)
    for (int64_t tens = 0; tens < 6; ++tens)
      series.add(start + minute * kMinute + tens * 10 * kSecond, {minute % 7, tens, minute % 7});
  const int64_t end = start + 50 * kHour;
  const auto fine = series.read(end - kHour, 10 * kSecond, 360);
  for (size_t i = 0; i < fine.size(); ++i) {
    EXPECT_EQ(fine[i].allowed, (49 * 60 + static_cast<int64_t>(i) / 6) % 7) << i;
    EXPECT_EQ(fine[i].denied, static_cast<int64_t>(i) % 6) << i;
  }
  const auto coarse = series.read(end - 48 * kHour, kMinute, 48 * 60);
  for (size_t i = 0; i < coarse.size(); ++i) {
    EXPECT_EQ(coarse[i].allowed, 6 * ((2 * 60 + static_cast<int64_t>(i)) % 7)) << i;
    EXPECT_EQ(coarse[i].denied, 15) << i;
  }
  EXPECT_EQ(series.read(end - 2 * kHour, kHour, 2)[0].denied, 60 * 15);
  EXPECT_EQ(series.read(end - kHour - kMinute, 10 * kSecond, 6)[0].allowed, 0) << "too long ago";
  EXPECT_EQ(series.read(end, kMinute, 1)[0].denied, 0) << "not yet";
  EXPECT_LE(room.used(), 49 * 2 * 240) << "costs of 1 take nothing";
}

TEST(Series, CostsAreKeptAndQuietHoursTakeNothing) {
  Allowance room(1 << 20);
  Series series(room);
  const int64_t start = 5'000 * kHour;
  series.add(start, {2, 0, 900});
  series.add(start + kMinute, {5, 0, 0});
  EXPECT_EQ(series.read(start, kMinute, 2)[0].cost, 900);
  EXPECT_EQ(series.read(start, kMinute, 2)[1].cost, 0) << "checks that cost nothing";
  EXPECT_EQ(room.used(), 2 * 240);
  series.add(start + 100 * kHour, {1, 0, 1});
  EXPECT_EQ(series.read(start, kMinute, 1)[0].allowed, 0);
  EXPECT_EQ(room.used(), 240) << "what is too old is given back";
  series.add(start, {1, 0, 1});  // the clock stepped back by days
  EXPECT_EQ(series.read(start + 100 * kHour, kMinute, 1)[0].allowed, 1);
}

TEST(Series, WithoutRoomMinutesAreLostAndNothingElse) {
  Allowance room(0);
  Series series(room);
  series.add(kHour, {3, 1, 3});
  EXPECT_EQ(series.read(kHour, 10 * kSecond, 1)[0].allowed, 3);
  EXPECT_EQ(series.read(kHour, kMinute, 1)[0].allowed, 0);
  EXPECT_GT(room.refused(), 0);
}

struct Limited {
  LimitedNow now;
  int64_t deny(uint64_t who, int64_t until, int64_t at, int64_t known = 0) {
    const auto* begun =
        now.denied(who << 20 | who, known, until, at, [&] { return std::to_string(who); });
    return begun ? 1 : 0;
  }
};

TEST(LimitedNow, WhoCannotPassYetIsInIt) {
  Limited limited;
  EXPECT_EQ(limited.deny(1, 100, 10), 1);
  EXPECT_EQ(limited.deny(1, 120, 20), 0) << "he was limited already";
  EXPECT_EQ(limited.deny(2, 50, 20), 1);
  auto list = limited.now.read(10, 30);
  ASSERT_EQ(list.size(), 2);
  EXPECT_EQ(list[0].label, "1");
  EXPECT_EQ(list[0].denied, 2);
  EXPECT_EQ(list[0].until_us, 120);
  EXPECT_EQ(limited.now.count(50), 1) << "who can pass at 50 is not limited at 50";
  EXPECT_EQ(limited.now.read(10, 120).size(), 0);
  EXPECT_EQ(limited.deny(2, 90, 60), 1) << "a new window of his";
  EXPECT_EQ(limited.now.read(10, 70)[0].denied, 2);
  EXPECT_EQ(limited.now.read(1, 70).size(), 1);
}

TEST(LimitedNow, OfMoreThan256ThoseWhoWereDeniedMostOften) {
  Limited limited;
  for (uint64_t who = 1; who <= 1'000; ++who)
    for (uint64_t times = 0; times < 5; ++times) limited.deny(who, 1'000, 1);
  EXPECT_EQ(limited.now.count(1), LimitedNow::kMost) << "nobody of so many denials makes room";
  for (uint64_t who = 2'001; who <= 2'100; ++who) limited.deny(who, 2'000, 1, 50);
  const auto list = limited.now.read(100, 1);
  for (const auto& caller : list) EXPECT_GT(std::stoi(caller.label), 2'000);
  EXPECT_EQ(limited.now.count(1), LimitedNow::kMost);
  for (uint64_t who = 3'001; who <= 3'156; ++who) limited.deny(who, 2'000, 1'000);
  EXPECT_EQ(limited.now.count(1'000), 256) << "those who can pass make room";
}

TEST(LimitedNow, WhoIsForgottenIsGone) {
  Limited limited;
  for (uint64_t who = 1; who <= 256; ++who) limited.deny(who, 1'000, 1);
  limited.now.forget(7ull << 20 | 7);
  limited.now.forget(99'999);
  EXPECT_EQ(limited.now.count(1), 255);
  for (const auto& caller : limited.now.read(256, 1)) EXPECT_NE(caller.label, "7");
  for (uint64_t who = 1; who <= 256; ++who) EXPECT_EQ(limited.deny(who, 1'000, 2), who == 7) << who;
}

TEST(History, DenialsDoNotPushOutWhatHappenedToTheStore) {
  History history;
  history.add(Level::kWarning, Code::kConnect, 5, "the store is lost");
  for (int i = 0; i < 2'000; ++i) history.add_denial("api", std::to_string(i), i * kSecond);
  const auto page = history.read(0, 10'000);
  ASSERT_EQ(page.events.size(), 1 + History::kDenialsKept);
  EXPECT_EQ(page.events[0].text, "the store is lost");
  EXPECT_EQ(page.events[1].caller, std::to_string(2'000 - History::kDenialsKept));
  EXPECT_EQ(page.last, 2'001);
}

TEST(History, PagesGoOnWhereTheLastOneEnded) {
  History history;
  for (int i = 0; i < 10; ++i) history.add(Level::kInfo, Code::kOk, i, std::to_string(i));
  const auto first = history.read(0, 4);
  ASSERT_EQ(first.events.size(), 4);
  EXPECT_EQ(first.events[3].text, "3");
  EXPECT_EQ(history.read(first.last, 4).events[0].text, "4");
  EXPECT_EQ(history.read(-1, 2).events[0].text, "8");
  EXPECT_EQ(history.read(10, 2).last, 10);
  EXPECT_TRUE(history.read(10, 2).events.empty());
}

TEST(History, OfASecondTwentyDenialsAreListed) {
  History history;
  for (int i = 0; i < 50; ++i) history.add_denial("api", "x", kSecond);
  history.add_denial("api", "y", 2 * kSecond);
  const auto page = history.read(0, 1'000);
  EXPECT_EQ(page.events.size(), 21);
  EXPECT_EQ(page.unlisted, 30);
}

}  // namespace
}  // namespace tidegate
