// SPDX-License-Identifier: MIT
// Holders of slots in the embedded table: their memory, its bound, and who is forgotten.
#include <gtest/gtest.h>

#include "memory_helper.h"
#include "store/memory/shard.h"

namespace tidegate {
namespace {

constexpr int64_t kManyBytes = 64 << 20;

HolderId holder(uint64_t number) { return {{number, 42}}; }

Numbers slots_of(int64_t count, int64_t lease_us = kMinute) {
  return limit_of(Algorithm::kConcurrency, count, lease_us);
}

Answer take(MemoryStore& store, const Numbers& limit, uint64_t key, uint64_t who, int64_t now_us,
            int64_t cost = 1) {
  Leg leg = leg_of(limit, key, cost);
  leg.holder = holder(who);
  prepare({&leg, 1});
  store.consume({&leg, 1}, now_us);
  return leg.answer;
}

void release(MemoryStore& store, const Numbers& limit, uint64_t key, uint64_t who, int64_t now_us) {
  Leg leg = leg_of(limit, key);
  leg.holder = holder(who);
  prepare({&leg, 1}, true);
  store.refund({&leg, 1}, now_us);
}

TEST(MemorySlots, OneHolderNeedsNoMemoryAndManyGiveTheirsBack) {
  const Numbers limit = slots_of(1000);
  MemoryStore store({.max_keys = 100, .max_bytes = kManyBytes});
  ASSERT_TRUE(take(store, limit, 1, 0, kNow).allowed);
  const int64_t one = store.stats().bytes;
  for (int i = 0; i < 100; ++i) {  // come and go
    release(store, limit, 1, 0, kNow + i);
    EXPECT_EQ(peek(store, limit, 1, kNow + i).remaining, 1000);
    ASSERT_TRUE(take(store, limit, 1, 0, kNow + i).allowed);
    ASSERT_EQ(store.stats().bytes, one);
  }
  for (uint64_t who = 1; who < 1000; ++who) ASSERT_TRUE(take(store, limit, 1, who, kNow).allowed);
  EXPECT_FALSE(take(store, limit, 1, 1000, kNow).allowed);
  EXPECT_GE(store.stats().bytes, one + 1000 * 24);
  EXPECT_LE(store.stats().bytes, one + 8 + 1024 * 24);
  for (uint64_t who = 0; who < 1000; ++who) release(store, limit, 1, who, kNow);
  EXPECT_EQ(store.stats().bytes, one);
  EXPECT_EQ(peek(store, limit, 1, kNow).remaining, 1000);
}

TEST(MemorySlots, WhoseLeaseHasRunOutLeavesHisMemoryToTheNext) {
  const Numbers limit = slots_of(1000);
  MemoryStore store({.max_keys = 100, .max_bytes = kManyBytes});
  for (uint64_t who = 0; who < 500; ++who) ASSERT_TRUE(take(store, limit, 1, who, kNow).allowed);
  const int64_t many = store.stats().bytes;
  ASSERT_TRUE(take(store, limit, 1, 1000, kNow + kMinute).allowed);
  EXPECT_LT(store.stats().bytes, many - 400 * 24);
  EXPECT_EQ(peek(store, limit, 1, kNow + kMinute).remaining, 999);
}

TEST(MemorySlots, AnIdIsSomebodyElseUnderAnotherKey) {
  const Numbers limit = slots_of(2);
  MemoryStore store({.max_keys = 100, .max_bytes = kManyBytes});
  for (const uint64_t key : {1, 2}) {
    const Answer first = take(store, limit, key, 7, kNow);
    EXPECT_TRUE(first.allowed && !first.renewed);
    const Answer again = take(store, limit, key, 7, kNow + 1, 2);
    EXPECT_TRUE(again.allowed && again.renewed);
    EXPECT_EQ(again.remaining, 1);  // as first taken
  }
  release(store, limit, 1, 8, kNow + 2);  // somebody else's are not his to give back
  EXPECT_EQ(peek(store, limit, 1, kNow + 2).remaining, 1);
  release(store, limit, 1, 7, kNow + 2);
  release(store, limit, 1, 7, kNow + 2);
  EXPECT_EQ(peek(store, limit, 1, kNow + 2).remaining, 2);
  EXPECT_EQ(peek(store, limit, 2, kNow + 2).remaining, 1);
}

TEST(MemorySlots, WhereFewerAreAllowedNobodyIsThrownOut) {
  const Numbers five = slots_of(5), one = slots_of(1);
  MemoryStore store({.max_keys = 100, .max_bytes = kManyBytes});
  for (uint64_t who = 0; who < 5; ++who) ASSERT_TRUE(take(store, five, 1, who, kNow + 10).allowed);
  for (uint64_t who = 0; who < 5; ++who) {
    const Answer renewed = take(store, one, 1, who, kNow + 20);
    EXPECT_TRUE(renewed.allowed && renewed.renewed);
    EXPECT_EQ(renewed.remaining, 0);
  }
  const Answer denied = take(store, one, 1, 9, kNow + 20);
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.retry_after_us, kMinute);
  EXPECT_EQ(take(store, one, 1, 9, kNow + 20, 2).retry_after_us, kNever);
}

// What cannot be remembered is denied, and can be had when the first has left.
TEST(MemorySlots, NeitherBoundIsExceeded) {
  const Numbers limit = slots_of(1000);
  constexpr int64_t kBytes = 20'000;
  MemoryStore store({.max_keys = 10, .max_bytes = kBytes});
  int64_t held = 0;
  Answer last;
  for (uint64_t who = 0; who < 1000; ++who) {
    last = take(store, limit, 1, who, kNow + static_cast<int64_t>(who));
    held += last.allowed;
    ASSERT_LE(store.stats().bytes, kBytes);
  }
  EXPECT_GT(held, 200);
  EXPECT_LT(held, 1000);
  EXPECT_EQ(last.remaining, 1000 - held);
  EXPECT_EQ(last.retry_after_us, kMinute - 999);  // the earliest leaves then
  Leg legs[] = {leg_of(limit, 1), leg_of(limit, 2)};
  for (Leg& leg : legs) leg.holder = holder(5000);
  prepare(legs);
  EXPECT_FALSE(store.consume(legs, kNow + 1000).allowed);  // nor with others
  EXPECT_TRUE(take(store, limit, 1, 3, kNow + 1000).renewed);
  EXPECT_TRUE(take(store, limit, 1, 5000, kNow + 999 + last.retry_after_us).allowed);
}

TEST(MemorySlots, LogsMakeRoomForHoldersWhereTheyOweNothing) {
  const Numbers log = limit_of(Algorithm::kSlidingLog, 1000, kSecond), limit = slots_of(1000);
  constexpr int64_t kBytes = 20'000;
  MemoryStore store({.max_keys = 10, .max_bytes = kBytes});
  for (int i = 0; i < 1000; ++i) allowed(store, log, 1, kNow + i);
  const int64_t now = kNow + 2 * kSecond;
  int64_t held = 0;
  for (uint64_t who = 0; who < 100; ++who) held += take(store, limit, 2, who, now).allowed;
  EXPECT_EQ(held, 100);
  EXPECT_LE(store.stats().bytes, kBytes);
}

TEST(MemorySlots, WhoHoldsFewestOfAllGoesFirst) {
  const Numbers limit = slots_of(100);
  MemoryStore store({.max_keys = 4, .max_bytes = kManyBytes});
  take(store, limit, 1, 1, kNow, 50);
  take(store, limit, 2, 1, kNow + kSecond, 2);
  take(store, limit, 3, 1, kNow + kSecond, 3);
  take(store, limit, 4, 1, kNow + kSecond, 100);
  take(store, limit, 5, 1, kNow + 2 * kSecond, 99);  // instead of 2
  EXPECT_EQ(store.stats().evicted_harmless, 1);
  EXPECT_EQ(peek(store, limit, 2, kNow + 2 * kSecond).remaining, 100);
  EXPECT_EQ(peek(store, limit, 3, kNow + 2 * kSecond).remaining, 97);
  take(store, limit, 6, 1, kNow + kMinute, 99);  // instead of 1, whose lease has run out
  EXPECT_EQ(store.stats().evicted_idle, 1);
  EXPECT_EQ(peek(store, limit, 3, kNow + kMinute).remaining, 97);
  EXPECT_EQ(peek(store, limit, 4, kNow + kMinute).remaining, 0);
}

}  // namespace
}  // namespace tidegate
