// SPDX-License-Identifier: MIT
// Who goes when the table is full (eviction.h).
#include <gmock/gmock.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "memory_helper.h"
#include "store/memory/eviction.h"
#include "store/memory/state_table.h"

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

// One shard's table of `limits` rates with `per` states each, which all owe half.
std::vector<Slot> table_of(const std::vector<Numbers>& limits, size_t per) {
  std::vector<Slot> slots(1153);
  for (size_t i = 0; i < limits.size() * per; ++i)
    slots[i * 7 % slots.size()] = {.id = id_of(i),
                                   .state = {50, kNow / kMinute * kMinute},
                                   .limit = &limits[i % limits.size()]};
  return slots;
}

TEST(Eviction, SomebodyGoesHoweverManyRatesThereAre) {
  for (size_t count = 193; count <= 1024; count += 13)
    for (size_t per = 1; per * count <= 1024; ++per) {
      // Numbers side by side, and marked ones: both are spread over the places.
      std::vector<Numbers> limits(count, limit_of(Algorithm::kFixedWindow, 100, kMinute));
      for (const bool marked : {false, true}) {
        for (size_t i = 0; marked && i < count; ++i)
          limits[i].mark.number = static_cast<uint32_t>(id_of(i + 1).low) | 1;
        const std::vector<Slot> slots = table_of(limits, per);
        Victims victims;
        find_victims({slots, count * per, kNow, 0}, victims);
        ASSERT_GT(victims.count, 0) << count << " rates of " << per << " states";
        ASSERT_EQ(victims.owes, Owes::kMore);
      }
    }
}

TEST(Eviction, MaxKeysHoldsWithMoreRatesThanAreToldApart) {
  for (size_t keys = 193; keys <= 200; ++keys) {
    std::vector<Numbers> limits(keys + 3, limit_of(Algorithm::kFixedWindow, 2, kDay));
    MemoryStore store({.max_keys = static_cast<int64_t>(keys), .max_bytes = kManyBytes});
    for (uint64_t key = 0; key < 5'000; ++key) {
      ASSERT_TRUE(allowed(store, limits[key % limits.size()], key, kNow));
      ASSERT_LE(store.stats().keys, static_cast<int64_t>(keys)) << key;
    }
  }
}

// A limiter whose numbers were changed often is one rate: with as many shares as it had numbers, no
// state of it would ever be one of a crowd.
TEST(Eviction, AChangedLimiterIsOneRate) {
  std::vector<Numbers> changed, quiet;
  for (int64_t i = 0; i < 8; ++i) {
    changed.push_back(limit_of(Algorithm::kFixedWindow, 100 + i, kDay));
    changed.back().mark.number = 7;
  }
  for (uint32_t i = 0; i < 4; ++i) {
    quiet.push_back(limit_of(Algorithm::kFixedWindow, 100, kDay));
    quiet.back().mark.number = 8 + i;
  }
  std::vector<Slot> slots(64);
  for (size_t i = 0; i < 32;
       ++i) {  // 16 of the changed one, 4 of each of the others, which owe less
    const bool of_changed = i < 16;
    slots[i] = {.id = id_of(i),
                .state = {of_changed ? 90 : 50, kNow / kDay * kDay},
                .limit = of_changed ? &changed[i % 8] : &quiet[i % 4]};
  }
  Victims victims;
  find_victims({slots, 32, kNow, 0}, victims);
  ASSERT_GT(victims.count, 0);
  for (size_t i = 0; i < victims.count; ++i) {
    const auto of = std::ranges::find(slots, victims.ids[i], &Slot::id) - slots.begin();
    EXPECT_LT(of, 16) << "the state of a rate with its fair share went";
  }
}

TEST(Eviction, AnEmptyShardWaitsForAPlaceInOthers) {
  constexpr int64_t kKeys = 16'384;
  StateTable table({.max_keys = kKeys, .max_bytes = kManyBytes});
  ASSERT_EQ(table.shard_count(), 16);
  const Numbers limit = limit_of(Algorithm::kFixedWindow, 2, kDay);
  const auto admit = [&](uint64_t key) TIDEGATE_UNCHECKED_LOCKS {
    Shard& shard = table.shard_of(id_of(key));
    SpinGuard guard(shard.lock);
    table.admit(shard, id_of(key), limit, kNow)->state = {1, kNow / kDay * kDay};
  };
  const auto forget = [&](uint64_t gone) TIDEGATE_UNCHECKED_LOCKS {
    Shard& shard = table.shard_of(id_of(gone));
    SpinGuard guard(shard.lock);
    table.erase(shard, id_of(gone));
  };
  uint64_t key = 0, of_first = 0;
  while (table.stats().keys < kKeys) {
    if (table.index_of(id_of(++key)) == 0)
      of_first = key;
    else
      admit(key);
  }
  // The others' locks are let go of as soon as the admission waits. Where that thread does not get
  // a core for so long, there is one too many, and the next admission takes two.
  bool kept = false;
  for (int turn = 0; turn < 50 && !kept; ++turn) {
    std::atomic<bool> locked{false};
    std::thread others([&]() TIDEGATE_UNCHECKED_LOCKS {
      for (uint32_t i = 1; i < 16; ++i) table.shard(i).lock.lock();
      locked = true;
      while (table.shard(0).lock.try_lock()) {
        table.shard(0).lock.unlock();
        sched_yield();
      }
      for (uint32_t i = 1; i < 16; ++i) table.shard(i).lock.unlock();
    });
    while (!locked) sched_yield();
    admit(of_first);
    others.join();
    kept = table.stats().keys <= kKeys;
    forget(of_first);
    while (table.stats().keys < kKeys)
      if (table.index_of(id_of(++key)) != 0) admit(key);
    ASSERT_LE(table.stats().keys, kKeys);
  }
  EXPECT_TRUE(kept);
}

// What a limiter's numbers were is freed: its states have a copy, as long as there are any.
TEST(Eviction, StatesKeepTheirNumbersWhenTheLimiterLetsGoOfThem) {
  MemoryStore store({.max_keys = 100'000, .max_bytes = kManyBytes});
  auto going = std::make_unique<Numbers>(limit_of(Algorithm::kFixedWindow, 10, kDay));
  auto log = std::make_unique<Numbers>(limit_of(Algorithm::kSlidingLog, 10, kDay));
  for (uint64_t key = 0; key < 5'000; ++key) {
    ASSERT_TRUE(allowed(store, *going, key, kNow, 4));
    ASSERT_TRUE(allowed(store, *log, 1'000'000 + key, kNow, 4));
  }
  const Numbers same = *going, same_log = *log;
  const Numbers* const gone[] = {going.get(), log.get()};
  store.let_go(gone);
  std::memset(static_cast<void*>(going.get()), 0xff, sizeof *going);  // as good as freed, and seen
  std::memset(static_cast<void*>(log.get()), 0xff, sizeof *log);
  const Numbers other = limit_of(Algorithm::kFixedWindow, 10, kDay);
  for (uint64_t key = 10'000; key < 150'000; ++key)  // every state is judged
    ASSERT_TRUE(allowed(store, other, key, kNow, 1));
  int64_t remembered = 0;
  for (uint64_t key = 0; key < 5'000; ++key) {
    remembered += peek(store, same, key, kNow).remaining == 6;
    remembered += peek(store, same_log, 1'000'000 + key, kNow).remaining == 6;
  }
  EXPECT_EQ(remembered, 10'000) << "they owe more than a little: the harmless ones went";
}

}  // namespace
}  // namespace tidegate
