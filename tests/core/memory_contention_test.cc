// SPDX-License-Identifier: MIT
// Many threads at once: exactly the quota passes, requests of several legs stay atomic, and nobody
// waits for ever.
#include <gmock/gmock.h>

#include <atomic>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "memory_helper.h"

namespace tidegate {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kScale = 1;
#else
constexpr int kScale = 10;
#endif

constexpr int kThreads =
    8;  // more than there are cores: a holder of a lock loses its core now and then

void run_threads(const std::function<void(int)>& body) {
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&, i] {
      for (++ready; ready < kThreads;) std::this_thread::yield();
      body(i);
    });
  for (std::thread& thread : threads) thread.join();
}

class Contention : public ::testing::TestWithParam<Algorithm> {};

TEST_P(Contention, OnOneKeyExactlyTheQuotaPasses) {
  const int64_t quota = 900 * kScale;
  const Numbers limit = limit_of(GetParam(), quota, kDay);
  MemoryStore store({.max_keys = 10, .max_bytes = 1 << 20});
  std::atomic<int64_t> passed{0};
  run_threads([&](int) {
    for (int64_t i = 0; i < quota; ++i)
      if (allowed(store, limit, 1, kNow)) ++passed;
  });
  EXPECT_EQ(passed, quota);
}

// Two legs, of which either may be short, asked for in both orders.
TEST_P(Contention, OfTwoLegsInCrossingOrdersExactlyTheSmallerQuotaPasses) {
  const int64_t quota = 500 * kScale;
  const Numbers large = limit_of(Algorithm::kTokenBucket, 2 * quota, kDay);
  const Numbers small = limit_of(GetParam(), quota, kDay);
  MemoryStore store({.max_keys = 100'000, .max_bytes = 1 << 24});
  std::atomic<int64_t> passed{0};
  run_threads([&](int thread) {
    for (int64_t i = 0; i < quota; ++i) {
      Leg legs[] = {leg_of(large, 1), leg_of(small, 2)};
      if (thread % 2) std::swap(legs[0], legs[1]);
      prepare(legs);
      if (store.consume(legs, kNow).allowed) ++passed;
    }
  });
  EXPECT_EQ(passed, quota);
  EXPECT_EQ(peek(store, large, 1, kNow).remaining, quota) << "denied requests cost nothing";
}

INSTANTIATE_TEST_SUITE_P(EveryAlgorithm, Contention, ::testing::ValuesIn(kAlgorithms),
                         algorithm_of);

// Everything at once in a table that is too small: no deadlock, no bound exceeded, nothing lost
// from the counts.
TEST(ContentionOfAll, InAFullTableKeepsItsBounds) {
  std::vector<Numbers> limits;
  for (const Algorithm algorithm : kAlgorithms) limits.push_back(limit_of(algorithm, 30, kMinute));
  MemoryStore store({.max_keys = 4096, .max_bytes = 600'000});
  run_threads([&](int thread) {
    std::mt19937_64 random(static_cast<uint64_t>(thread));
    int64_t now_us = kNow;
    for (int turn = 0; turn < 5'000 * kScale; ++turn, now_us += 100) {
      Leg legs[4];
      const std::span<Leg> some(legs, 1 + random() % 4);
      for (Leg& leg : some) {
        const size_t rate = random() % 4;
        leg = leg_of(limits[rate], 4 * (random() % 4000) + rate,
                     1 + static_cast<int64_t>(random() % 2));
      }
      prepare(some);
      switch (random() % 20) {
        case 0:
          store.reset(some);
          break;
        case 1:
          store.refund(some, now_us);
          break;
        case 2:
          store.peek(some, now_us);
          break;
        default:
          store.consume(some, now_us);
      }
      const MemoryStats stats = store.stats();
      ASSERT_LE(stats.keys, 4096);
      ASSERT_LE(stats.bytes, 600'000 + kThreads * 65'536);
    }
  });
  EXPECT_LE(store.stats().keys, 4096);
  EXPECT_LE(store.stats().bytes, 600'000);
  EXPECT_GT(store.stats().evicted_harmless + store.stats().evicted_owing, 0);
}

}  // namespace
}  // namespace tidegate
