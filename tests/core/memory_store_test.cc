// SPDX-License-Identifier: MIT
// The embedded engine's table: bounds, bytes, and what a request may touch. What it answers is in
// conformance_test.cc.
#include "store/memory/memory_store.h"

#include <gmock/gmock.h>

#include <random>
#include <vector>

#include "memory_helper.h"
#include "store/memory/state_table.h"

namespace tidegate {
namespace {

TEST(MemoryStore, NeverHoldsMoreKeysThanItMay) {
  for (const int64_t max_keys : {1, 2, 3, 10, 100, 1024, 1025, 5000}) {
    const Numbers limit = limit_of(Algorithm::kTokenBucket, 2, kDay);
    MemoryStore store({.max_keys = max_keys, .max_bytes = 1 << 24});
    for (uint64_t key = 0; key < 20'000; ++key) {
      ASSERT_TRUE(allowed(store, limit, key, kNow));
      ASSERT_LE(store.stats().keys, max_keys);
      ASSERT_LE(store.stats().bytes, 1 << 24);
    }
    EXPECT_GT(store.stats().keys, max_keys * 15 / 16 - 1);
  }
}

TEST(MemoryStore, KeepsAllItsKeysUntilItIsFull) {
  const Numbers limit = limit_of(Algorithm::kFixedWindow, 10, kDay);
  MemoryStore store({.max_keys = 20'000, .max_bytes = 1 << 24});
  for (uint64_t key = 0; key < 20'000; ++key) ASSERT_TRUE(allowed(store, limit, key, kNow));
  for (uint64_t key = 0; key < 20'000; ++key) ASSERT_EQ(peek(store, limit, key, kNow).remaining, 9);
  const MemoryStats stats = store.stats();
  EXPECT_EQ(stats.keys, 20'000);
  EXPECT_EQ(stats.evicted_idle + stats.evicted_harmless + stats.evicted_owing, 0);
  EXPECT_LT(stats.bytes, 20'000 * 80);
}

TEST(MemoryStore, AnEmptyOneIsSmall) {
  EXPECT_LT(MemoryStore({}).stats().bytes, 300'000);
  EXPECT_LT(MemoryStore({.max_keys = 1000}).stats().bytes, 1000);
}

TEST(MemoryStore, FewBytesMeanFewKeysNotMoreBytes) {
  for (const int64_t max_bytes : {0, 1, 1000, 10'000, 100'000, 1'000'000}) {
    const Numbers limit = limit_of(Algorithm::kSlidingLog, 100, kDay);
    MemoryStore store({.max_keys = 1'000'000, .max_bytes = max_bytes});
    const int64_t least = MemoryStore({.max_keys = 1, .max_bytes = 0}).stats().bytes;
    for (uint64_t key = 0; key < 20'000; ++key) {
      ASSERT_TRUE(allowed(store, limit, key % 5000, kNow + static_cast<int64_t>(key)));
      ASSERT_LE(store.stats().bytes, std::max(max_bytes, least));
    }
  }
}

TEST(TablePlan, ItsPartsAddUp) {
  for (int64_t keys = 1; keys < 100'000'000; keys = keys * 5 / 4 + 1) {
    for (const int64_t bytes : {int64_t{1} << 16, int64_t{1} << 28, int64_t{1} << 40}) {
      const TablePlan plan({.max_keys = keys, .max_bytes = bytes});
      ASSERT_LE(plan.keys, keys);
      ASSERT_LE(plan.table_bytes + plan.more_bytes, bytes);
      ASSERT_GE(int64_t{Shard::most_in(plan.slots_per_shard)} * plan.shards, plan.keys);
      ASSERT_LE(plan.slots_per_shard, Search::kMostSlots);
    }
  }
}

TEST(MemoryStore, PeekAndDenialAndAZeroCostLeaveNoTrace) {
  for (const Algorithm algorithm : kAlgorithms) {
    const Numbers limit = limit_of(algorithm, 5, kMinute);
    MemoryStore store({.max_keys = 10, .max_bytes = 1 << 20});
    peek(store, limit, 1, kNow);
    EXPECT_EQ(consume(store, limit, 2, kNow, 6).answer.retry_after_us, kNever);
    EXPECT_TRUE(allowed(store, limit, 3, kNow, 0));
    refund(store, limit, 4, kNow);
    reset(store, limit, 5);
    EXPECT_EQ(store.stats().keys, 0);
  }
}

TEST(MemoryStore, ResetForgetsAndRefundGivesBack) {
  for (const Algorithm algorithm : kAlgorithms) {
    const Numbers limit = limit_of(algorithm, 5, kMinute);
    MemoryStore store({.max_keys = 10, .max_bytes = 1 << 20});
    ASSERT_TRUE(allowed(store, limit, 1, kNow, 4));
    refund(store, limit, 1, kNow + 1, 2);
    EXPECT_EQ(peek(store, limit, 1, kNow + 1).remaining, 3);
    refund(store, limit, 1, kNow + 1, 100);
    EXPECT_EQ(peek(store, limit, 1, kNow + 1).remaining, 5);
    ASSERT_TRUE(allowed(store, limit, 1, kNow + 2, 5));
    reset(store, limit, 1);
    EXPECT_EQ(store.stats().keys, 0);
    EXPECT_TRUE(allowed(store, limit, 1, kNow + 2, 5));
  }
}

TEST(MemoryStore, AClockThatStepsBackLocksNobodyOut) {
  for (const Algorithm algorithm : kAlgorithms) {
    const Numbers limit = limit_of(algorithm, 5, kMinute);
    MemoryStore store({.max_keys = 10, .max_bytes = 1 << 20});
    ASSERT_TRUE(allowed(store, limit, 1, kNow, 5));
    const int64_t past = kNow - 3600 * kSecond;
    EXPECT_FALSE(allowed(store, limit, 1, past)) << "still charged";
    const int64_t reset_us = peek(store, limit, 1, past).reset_after_us;
    EXPECT_LE(reset_us, 2 * kMinute) << "from the new time on";
    EXPECT_TRUE(allowed(store, limit, 1, past + reset_us, 5));
  }
}

TEST(MemoryStore, AShadowThatDoesNotFitBlocksNothingAndIsNotCharged) {
  for (const Algorithm algorithm : kAlgorithms) {
    const Numbers limit = limit_of(algorithm, 1, kMinute);
    MemoryStore store({.max_keys = 10, .max_bytes = 1 << 20});
    Leg leg = leg_of(limit, 1);
    leg.shadow = true;
    prepare({&leg, 1});
    EXPECT_FALSE(store.consume({&leg, 1}, kNow).would_deny);
    const Verdict verdict = store.consume({&leg, 1}, kNow);
    EXPECT_TRUE(verdict.allowed);
    EXPECT_TRUE(verdict.would_deny);
    EXPECT_FALSE(leg.answer.allowed);
    EXPECT_GT(leg.answer.retry_after_us, 0);
  }
}

// Keys come and go at random; a plain list says what must be there.
TEST(MemoryStore, FindsEveryKeyWhateverComesAndGoes) {
  std::mt19937_64 random(7);
  const Numbers limit = limit_of(Algorithm::kFixedWindow, 1'000'000, kDay);
  MemoryStore store({.max_keys = 3000, .max_bytes = 1 << 24});
  std::vector<int64_t> spent(2000);
  for (int turn = 0; turn < 200'000; ++turn) {
    const uint64_t key = random() % spent.size();
    if (random() % 3 == 0) {
      reset(store, limit, key);
      spent[key] = 0;
    } else {
      const int64_t cost = 1 + static_cast<int64_t>(random() % 3);
      spent[key] += cost;
      ASSERT_EQ(consume(store, limit, key, kNow, cost).answer.remaining, 1'000'000 - spent[key]);
    }
  }
  EXPECT_EQ(store.stats().keys, std::ranges::count_if(spent, [](int64_t s) { return s > 0; }));
}

}  // namespace
}  // namespace tidegate
