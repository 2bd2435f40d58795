// SPDX-License-Identifier: MIT
// Who goes when the table is full (eviction.h).
#include <gmock/gmock.h>

#include <vector>

#include "memory_helper.h"
#include "store/memory/eviction.h"

namespace tidegate {
namespace {

constexpr int64_t kManyBytes = 64 << 20;

TEST(Eviction, AStateThatOwesNothingGoesBeforeAHarmlessOne) {
  const Numbers slow = limit_of(Algorithm::kTokenBucket, 1000, kDay);
  const Numbers fast = limit_of(Algorithm::kTokenBucket, 1000, kSecond);
  MemoryStore store({.max_keys = 3, .max_bytes = kManyBytes});
  ASSERT_TRUE(allowed(store, slow, 1, kNow));
  ASSERT_TRUE(allowed(store, fast, 2, kNow, 1000));  // owes nothing a second later
  ASSERT_TRUE(allowed(store, slow, 3, kNow, 900));
  ASSERT_TRUE(allowed(store, slow, 4, kNow + kSecond));
  EXPECT_EQ(store.stats().evicted_idle, 1);
  EXPECT_EQ(peek(store, slow, 1, kNow + kSecond).remaining, 999);
  EXPECT_EQ(peek(store, slow, 3, kNow + kSecond).remaining, 100);
  EXPECT_EQ(peek(store, slow, 4, kNow + kSecond).remaining, 999);
}

TEST(Eviction, TheHarmlessStateWithTheSmallestShareGoesFirst) {
  const Numbers limit = limit_of(Algorithm::kTokenBucket, 1000, kDay);
  MemoryStore store({.max_keys = 3, .max_bytes = kManyBytes});
  ASSERT_TRUE(allowed(store, limit, 1, kNow, 50));
  ASSERT_TRUE(allowed(store, limit, 2, kNow, 40));
  ASSERT_TRUE(allowed(store, limit, 3, kNow, 1000));
  ASSERT_TRUE(allowed(store, limit, 4, kNow, 60));  // instead of 2
  EXPECT_EQ(peek(store, limit, 1, kNow).remaining, 950);
  EXPECT_EQ(peek(store, limit, 2, kNow).remaining, 1000);
  ASSERT_TRUE(allowed(store, limit, 5, kNow));  // instead of 1
  EXPECT_EQ(peek(store, limit, 1, kNow).remaining, 1000);
  EXPECT_EQ(peek(store, limit, 4, kNow).remaining, 940);
  EXPECT_EQ(store.stats().evicted_harmless, 2);
  EXPECT_EQ(store.stats().evicted_owing, 0);
}

TEST(Eviction, AmongTheHarmlessThoseOfACrowdedRateGoFirst) {
  const Numbers crowded = limit_of(Algorithm::kTokenBucket, 1000, kDay);
  const Numbers quiet = limit_of(Algorithm::kFixedWindow, 1000, kDay);
  MemoryStore store({.max_keys = 4, .max_bytes = kManyBytes});
  for (uint64_t key = 1; key <= 3; ++key) ASSERT_TRUE(allowed(store, crowded, key, kNow, 50));
  ASSERT_TRUE(allowed(store, quiet, 4, kNow, 1));
  for (uint64_t key = 5; key < 100; ++key) ASSERT_TRUE(allowed(store, crowded, key, kNow, 50));
  EXPECT_EQ(peek(store, quiet, 4, kNow).remaining, 999);
  EXPECT_EQ(store.stats().evicted_harmless, 95);
}

TEST(Eviction, WhereNothingIsHarmlessTheSmallestShareOfACrowdedRateGoes) {
  const Numbers crowded = limit_of(Algorithm::kFixedWindow, 1, kDay);
  const Numbers quiet = limit_of(Algorithm::kFixedWindow, 1000, kDay);
  MemoryStore store({.max_keys = 4, .max_bytes = kManyBytes});
  ASSERT_TRUE(allowed(store, quiet, 1, kNow, 500));
  for (uint64_t key = 2; key < 1000; ++key) {
    ASSERT_TRUE(allowed(store, crowded, key, kNow));
    ASSERT_FALSE(allowed(store, crowded, key, kNow)) << "the newcomer is always kept";
    ASSERT_EQ(store.stats().keys, std::min<int64_t>(4, static_cast<int64_t>(key)));
  }
  EXPECT_EQ(peek(store, quiet, 1, kNow).remaining, 500);
  EXPECT_EQ(store.stats().evicted_owing, 995);
}

TEST(Eviction, ASprayOverManyShardsTouchesNobodyWhoOwes) {
  std::vector<Numbers> limits;
  for (const Algorithm algorithm : kAlgorithms) limits.push_back(limit_of(algorithm, 1000, kDay));
  MemoryStore store({.max_keys = 10'000, .max_bytes = kManyBytes});
  for (const Numbers& limit : limits) {
    const uint64_t first = 1'000'000 * (1 + static_cast<uint64_t>(limit.algorithm));
    for (uint64_t key = 0; key < 100; ++key)
      ASSERT_TRUE(allowed(store, limit, first + key, kNow, 1000));
    for (uint64_t key = 1000; key < 60'000; ++key) {
      ASSERT_TRUE(allowed(store, limit, first + key, kNow));
      ASSERT_LE(store.stats().keys, 10'000);
    }
    for (uint64_t key = 0; key < 100; ++key)
      ASSERT_FALSE(allowed(store, limit, first + key, kNow + kSecond, 100)) << key;
  }
  EXPECT_EQ(store.stats().evicted_owing, 0);
  EXPECT_GT(store.stats().keys, 9'900);
}

TEST(Eviction, ARequestThatNeedsMoreStatesThanThereMayBeIsStillAnswered) {
  std::vector<Numbers> limits;
  for (int i = 0; i < 8; ++i) limits.push_back(limit_of(kAlgorithms[i % 4], 10, kDay));
  MemoryStore store({.max_keys = 2, .max_bytes = kManyBytes});
  for (uint64_t turn = 0; turn < 50; ++turn) {
    std::vector<Leg> legs;
    for (const Numbers& limit : limits) legs.push_back(leg_of(limit, turn * 100 + legs.size()));
    prepare(legs);
    ASSERT_TRUE(store.consume(legs, kNow).allowed);
    for (const Leg& leg : legs) ASSERT_EQ(leg.answer.remaining, 9);
    ASSERT_EQ(store.stats().keys, 2);
  }
}

TEST(Eviction, AShareIsOfTheCapacityAndAsOfNow) {
  const auto share = [](const Numbers& limit, State state, int64_t now_us) {
    Slot slot{.id = {}, .state = state, .limit = &limit};
    return owed_share(slot, now_us);
  };
  const Numbers bucket = limit_of(Algorithm::kTokenBucket, 10, kSecond * 10, 20);
  const int64_t stamp = kNow / bucket.tick_us;
  EXPECT_DOUBLE_EQ(share(bucket, {10 * bucket.ticks, stamp}, kNow), 0.5);
  EXPECT_DOUBLE_EQ(share(bucket, {10 * bucket.ticks, stamp}, kNow + 5 * kSecond), 0.25);
  EXPECT_EQ(share(bucket, {10 * bucket.ticks, stamp}, kNow + 10 * kSecond), 0);
  EXPECT_GT(share(bucket, {1, stamp}, kNow), 0);
  const Numbers fixed = limit_of(Algorithm::kFixedWindow, 10, kSecond);
  EXPECT_DOUBLE_EQ(share(fixed, {4, kNow}, kNow + kSecond - 1), 0.4);
  EXPECT_EQ(share(fixed, {4, kNow}, kNow + kSecond), 0);
  const Numbers sliding = limit_of(Algorithm::kSlidingWindow, 10, kSecond);
  EXPECT_DOUBLE_EQ(share(sliding, {kNow / kSecond, 4, 2}, kNow + kSecond / 2), 0.4);
  EXPECT_EQ(share(sliding, {kNow / kSecond, 4, 2}, kNow + 2 * kSecond), 0);
}

TEST(Eviction, WhatIsHarmlessIsJudgedByThePresentNumbers) {
  const Numbers large = limit_of(Algorithm::kFixedWindow, 1000, kDay);
  const Numbers small = limit_of(Algorithm::kFixedWindow, 10, kDay);
  MemoryStore store({.max_keys = 2, .max_bytes = kManyBytes});
  ASSERT_TRUE(allowed(store, large, 1, kNow, 50));
  ASSERT_FALSE(allowed(store, small, 1, kNow));
  for (uint64_t key = 2; key < 10; ++key) ASSERT_TRUE(allowed(store, large, key, kNow));
  EXPECT_FALSE(allowed(store, small, 1, kNow));
}

TEST(Eviction, AThousandRatesInOneShardAreNoTrouble) {
  std::vector<Numbers> limits(1000, limit_of(Algorithm::kTokenBucket, 10, kDay));
  MemoryStore store({.max_keys = 1000, .max_bytes = kManyBytes});
  for (uint64_t key = 0; key < 20'000; ++key)
    ASSERT_TRUE(allowed(store, limits[key % limits.size()], key, kNow, 10));
  EXPECT_GT(store.stats().keys, 980);
  EXPECT_LE(store.stats().keys, 1000);
}

}  // namespace
}  // namespace tidegate
