// SPDX-License-Identifier: MIT
// Debt by hand: what a debit takes, what it is short of, and how long it is worked off.
#include <gtest/gtest.h>

#include <algorithm>

#include "memory_helper.h"

namespace tidegate {
namespace {

constexpr int64_t kManyBytes = 1 << 20;

Answer debit(MemoryStore& store, const Numbers& limit, int64_t now_us, int64_t cost) {
  Leg leg = leg_of(limit, 1, cost);
  prepare({&leg, 1}, true);
  store.debit({&leg, 1}, now_us);
  return leg.answer;
}

Numbers indebted(Algorithm algorithm, int64_t limit, int64_t window_us, int64_t overdraft) {
  return *Numbers::make(algorithm, limit, window_us, std::nullopt, overdraft);
}

TEST(Debt, ABucketPaysAtItsRate) {
  const Numbers limit = indebted(Algorithm::kTokenBucket, 10, kMinute, 20);
  MemoryStore store({.max_keys = 10, .max_bytes = kManyBytes});
  const Answer owing = debit(store, limit, kNow, 31);
  EXPECT_TRUE(owing.allowed);
  EXPECT_EQ(owing.shortfall, 1);
  EXPECT_EQ(owing.remaining, 0);
  EXPECT_EQ(owing.retry_after_us, 126 * kSecond);
  EXPECT_EQ(owing.next_us, 126 * kSecond);
  EXPECT_EQ(owing.reset_after_us, 180 * kSecond);
  EXPECT_EQ(debit(store, limit, kNow, kMaxCost).shortfall, kMaxCost);
  EXPECT_FALSE(allowed(store, limit, 1, kNow + 126 * kSecond - 1'000));
  EXPECT_TRUE(allowed(store, limit, 1, kNow + 126 * kSecond));
  refund(store, limit, 1, kNow + 126 * kSecond, 30);
  EXPECT_EQ(peek(store, limit, 1, kNow + 126 * kSecond).remaining, 10);
}

TEST(Debt, AConsumeStopsAtTheCapacityUnderEveryAlgorithm) {
  for (const Algorithm algorithm : kAlgorithms) {
    SCOPED_TRACE(algorithm_name(algorithm));
    const Numbers limit = indebted(algorithm, 5, kMinute, 7);
    MemoryStore store({.max_keys = 10, .max_bytes = kManyBytes});
    EXPECT_FALSE(allowed(store, limit, 1, kNow, 6));
    EXPECT_EQ(peek(store, limit, 1, kNow, 6).retry_after_us, kNever);
    EXPECT_TRUE(allowed(store, limit, 1, kNow, 5));
    EXPECT_FALSE(allowed(store, limit, 1, kNow));
    EXPECT_EQ(debit(store, limit, kNow, 6).shortfall, 0);
    EXPECT_EQ(debit(store, limit, kNow, 3).shortfall, 2);
    EXPECT_FALSE(allowed(store, limit, 1, kNow));
    const Numbers without = indebted(algorithm, 5, kMinute, 0);
    EXPECT_EQ(debit(store, without, kNow, 3).shortfall, 3);
  }
}

TEST(Debt, AWindowForgetsItAllAndABucketIsCutAtTheNewBound) {
  const Numbers window = indebted(Algorithm::kFixedWindow, 5, kMinute, 50);
  MemoryStore store({.max_keys = 10, .max_bytes = kManyBytes});
  debit(store, window, kNow, 55);
  EXPECT_FALSE(allowed(store, window, 1, kNow + kMinute - 1));
  EXPECT_TRUE(allowed(store, window, 1, kNow + kMinute, 5));

  const Numbers deep = indebted(Algorithm::kTokenBucket, 60, kMinute, 6'000);
  const Numbers flat = indebted(Algorithm::kTokenBucket, 60, kMinute, 60);
  MemoryStore other({.max_keys = 10, .max_bytes = kManyBytes});
  debit(other, deep, kNow, 6'060);
  EXPECT_EQ(peek(other, deep, 1, kNow).reset_after_us, 6'060 * kSecond);
  EXPECT_EQ(peek(other, flat, 1, kNow).reset_after_us, 120 * kSecond);
}

TEST(Debt, ADebitOfSeveralPartsTakesEachForItself) {
  const Numbers small = indebted(Algorithm::kTokenBucket, 2, kMinute, 1);
  const Numbers large = indebted(Algorithm::kSlidingWindow, 100, kMinute, 0);
  MemoryStore store({.max_keys = 10, .max_bytes = kManyBytes});
  Leg legs[] = {leg_of(large, 2, 30), leg_of(small, 1, 2), leg_of(small, 1, 5)};
  legs[1].shadow = legs[2].shadow = true;
  prepare(legs, true);
  const Verdict verdict = store.debit(legs, kNow);
  EXPECT_TRUE(verdict.allowed && !verdict.would_deny);
  EXPECT_EQ(verdict.binding, 0u);  // shadows have no say
  EXPECT_EQ(legs[0].answer.shortfall, 0);
  EXPECT_EQ(legs[1].answer.shortfall, 0);
  EXPECT_EQ(legs[2].answer.shortfall, 4);
  EXPECT_EQ(legs[1].answer.retry_after_us, legs[2].answer.retry_after_us);
}

TEST(Debt, AnOverdraftThatIsNotExactIsRefused) {
  const auto made = [](Algorithm algorithm, int64_t limit, int64_t window_us, int64_t overdraft) {
    return Numbers::make(algorithm, limit, window_us, std::nullopt, overdraft).ok();
  };
  const int64_t most = (kExact - 1) / 8'640'000;  // ticks of a day
  EXPECT_TRUE(made(Algorithm::kTokenBucket, most / 2, kDay, most - most / 2));
  EXPECT_FALSE(made(Algorithm::kTokenBucket, most / 2, kDay, most - most / 2 + 1));
  EXPECT_TRUE(made(Algorithm::kSlidingWindow, most / 6, kDay, most / 3 - most / 6));
  EXPECT_FALSE(made(Algorithm::kSlidingWindow, most / 6, kDay, most / 3 - most / 6 + 1));
  EXPECT_TRUE(made(Algorithm::kSlidingLog, 9'000, kDay, 1'000));
  EXPECT_FALSE(made(Algorithm::kSlidingLog, 9'000, kDay, 1'001));
  EXPECT_FALSE(made(Algorithm::kFixedWindow, 5, kDay, -1));
  EXPECT_FALSE(made(Algorithm::kFixedWindow, 5, kDay, kMaxTokens + 1));
  EXPECT_FALSE(made(Algorithm::kFixedWindow, 1, kDay, kExact / kDay));  // would never refill
  EXPECT_FALSE(made(Algorithm::kConcurrency, 5, kMinute, 1));
}

}  // namespace
}  // namespace tidegate
