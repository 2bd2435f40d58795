// SPDX-License-Identifier: MIT
// A sliding log at rest: the same as a plain list of charges, in little memory; with none to be had
// it lets less through, never more.
#include <gmock/gmock.h>

#include <random>
#include <vector>

#include "memory_helper.h"
#include "store/memory/log.h"

namespace tidegate {
namespace {

struct Charge {
  int64_t time_us, cost;
};

// The charges that a log may not forget: a plain list of them.
struct PlainLog {
  std::vector<Charge> charges;

  int64_t used(const Numbers& limit, int64_t now_us) {
    std::erase_if(charges, [&](const Charge& c) { return c.time_us <= now_us - limit.window_us; });
    int64_t sum = 0;
    for (const Charge& charge : charges) sum += charge.cost;
    return sum;
  }
  void refund(int64_t cost) {  // the newest first
    while (cost > 0 && !charges.empty()) {
      const int64_t taken = std::min(cost, charges.back().cost);
      charges.back().cost -= taken;
      cost -= taken;
      if (charges.back().cost == 0) charges.pop_back();
    }
  }
};

TEST(Log, AnswersLikeAPlainListAndGivesAllItsBytesBack) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::mt19937_64 random(seed);
    Quota quota(1 << 20);
    const auto most = static_cast<int64_t>(1 + random() % 200);
    const Numbers limit = limit_of(Algorithm::kSlidingLog, most, 1000);
    Log log{};
    PlainLog plain;
    int64_t now_us = kNow;
    for (int turn = 0; turn < 3000; ++turn) {
      const uint64_t gap = random() % 100;
      now_us += gap < 40 ? 0 : gap < 95 ? static_cast<int64_t>(random() % 20) : 900;
      const auto cost = static_cast<int64_t>(1 + random() % 3);
      SlidingLog view = SlidingLog::at(limit, log.span(), now_us);
      ASSERT_EQ(view.used(), plain.used(limit, now_us));
      if (random() % 8 == 0) {
        view.refund(limit, cost);
        ASSERT_TRUE(log.keep(view, quota));
        plain.refund(cost);
      } else if (view.fits(limit, cost)) {
        view.charge(limit, cost);
        ASSERT_TRUE(log.keep(view, quota));
        plain.charges.push_back({now_us, cost});
      }
      ASSERT_EQ(quota.used(), log.bytes());
      ASSERT_LE(log.bytes(), 24 + 16 * 2 * 256);
    }
    log.release(quota);
    EXPECT_EQ(quota.used(), 0);
  }
}

TEST(Log, OneChargeNeedsNoMemoryOfItsOwn) {
  const Numbers limit = limit_of(Algorithm::kSlidingLog, 100, 1000);
  Quota none(0);
  Log log{};
  for (int64_t now_us = kNow; now_us < kNow + 100'000; now_us += 1000) {
    SlidingLog view = SlidingLog::at(limit, log.span(), now_us);
    ASSERT_EQ(view.used(), 0);
    view.charge(limit, 7);
    ASSERT_TRUE(log.keep(view, none));
  }
}

TEST(Log, ShrinksWhenMostOfItHasExpired) {
  const Numbers limit = limit_of(Algorithm::kSlidingLog, 10'000, kSecond);
  Quota quota(1 << 20);
  Log log{};
  const auto charge = [&](int64_t now_us) {
    SlidingLog view = SlidingLog::at(limit, log.span(), now_us);
    view.charge(limit, 1);
    ASSERT_TRUE(log.keep(view, quota));
  };
  for (int64_t i = 0; i < 10'000; ++i) charge(kNow + i);
  EXPECT_GT(quota.used(), 160'000);
  EXPECT_LT(quota.used(), 280'000);
  charge(kNow + 2 * kSecond);
  EXPECT_LT(quota.used(), 100);
  log.release(quota);
}

// The windows' worth of charges that a squeezed log lets through, against a log that remembers all.
TEST(Log, WithoutMemoryLetsLessThroughNeverMore) {
  for (const int64_t budget : {0, 88, 200, 500, 2000}) {
    std::mt19937_64 random(static_cast<uint64_t>(budget));
    const Numbers limit = limit_of(Algorithm::kSlidingLog, 50, 1000);
    MemoryStore store({.max_keys = 100, .max_bytes = 8'000 + budget});
    std::vector<PlainLog> plain(20);
    int64_t now_us = kNow;
    int64_t passed = 0;
    for (int turn = 0; turn < 50'000; ++turn) {
      now_us += static_cast<int64_t>(random() % 5);
      const uint64_t key = random() % plain.size();
      if (!allowed(store, limit, key, now_us)) continue;
      ++passed;
      plain[key].charges.push_back({now_us, 1});
      ASSERT_LE(plain[key].used(limit, now_us), 50);
      ASSERT_LE(store.stats().bytes, 8'000 + budget);
    }
    EXPECT_GT(passed, 10'000);
    EXPECT_EQ(store.stats().evicted_owing, 0);
  }
}

TEST(Log, RoomIsTakenFromIdleLogsFirst) {
  const Numbers limit = limit_of(Algorithm::kSlidingLog, 1000, kSecond);
  MemoryStore store({.max_keys = 1000, .max_bytes = 150'000});
  int64_t now_us = kNow;
  for (uint64_t key = 0; key < 300; ++key, now_us += kSecond / 10)
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(allowed(store, limit, key, now_us + i));
  const MemoryStats stats = store.stats();
  EXPECT_GT(stats.evicted_idle, 200);
  EXPECT_EQ(stats.evicted_owing, 0);
  EXPECT_LE(stats.bytes, 150'000);
  EXPECT_EQ(peek(store, limit, 299, now_us).remaining, 900);
}

}  // namespace
}  // namespace tidegate
