// SPDX-License-Identifier: MIT
// fixed_window, sliding_window and sliding_log, and what all algorithms promise.
#include <algorithm>
#include <random>

#include "algorithm_test.h"

namespace tidegate {
namespace {

// kNow is where a window of a second, a minute or a day begins.
static_assert(kNow % kMinute == 0);

TEST(FixedWindow, OpensWithItsFirstChargeAndThenStartsAnew) {
  play(limit_of(Algorithm::kFixedWindow, 3, kSecond),
       {{250'000, 2, true, 1, 0, kSecond, kSecond},
        {750'000, 2, false, 1, 500'000, 500'000, 500'000},
        {1'249'999, 1, true, 0, 0, 1, 1},
        {1'250'000, 3, true, 0, 0, kSecond, kSecond},
        {1'250'000, 4, false, 0, kNever, kSecond, kSecond},
        {2'250'000, 0, true, 3, 0, 0, 0}});
}

TEST(FixedWindow, TheClocksStepBackKeepsTheWindowOrBringsItToNow) {
  play(limit_of(Algorithm::kFixedWindow, 1, kSecond),
       {{0, 1, true, 0, 0, kSecond, kSecond},
        {-kSecond, 1, false, 0, 2 * kSecond, 2 * kSecond, 2 * kSecond},
        {-kSecond - 1, 1, false, 0, kSecond, kSecond, kSecond},
        {-1, 1, true, 0, 0, kSecond, kSecond}});
}

TEST(SlidingWindow, ThePreviousWindowCountsByItsShareStillInside) {
  play(limit_of(Algorithm::kSlidingWindow, 10, kSecond),
       {{0, 10, true, 0, 0, 1'100'000, 2 * kSecond},
        {kSecond, 1, false, 0, 100'000, 100'000, kSecond},
        {1'099'999, 1, false, 0, 1, 1, 900'001},
        {1'100'000, 1, true, 0, 0, 100'000, 1'900'000},
        {1'500'000, 5, false, 4, 100'000, 100'000, 1'500'000},
        {1'500'000, 4, true, 0, 0, 100'000, 1'500'000},
        {3 * kSecond, 10, true, 0, 0, 1'100'000, 2 * kSecond}});
}

TEST(SlidingWindow, AheadOfTheCallersClockItStandsAtItsWindowsBeginning) {
  play(limit_of(Algorithm::kSlidingWindow, 2, kSecond),
       {{0, 2, true, 0, 0, 1'500'000, 2 * kSecond},
        {-500'000, 1, false, 0, 2'000'000, 2'000'000, 2'500'000},
        {-kSecond - 1, 1, false, 0, 500'001, 500'001, kSecond + 1}});
}

TEST(SlidingLog, EachChargeIsForgottenWhenItIsAWindowOld) {
  play(limit_of(Algorithm::kSlidingLog, 3, kSecond),
       {{0, 1, true, 2, 0, kSecond, kSecond},
        {100, 1, true, 1, 0, kSecond - 100, kSecond},
        {100, 1, true, 0, 0, kSecond - 100, kSecond},
        {500, 3, false, 0, kSecond - 400, kSecond - 500, kSecond - 400},
        {500, 1, false, 0, kSecond - 500, kSecond - 500, kSecond - 400},
        {kSecond - 1, 1, false, 0, 1, 1, 101},
        {kSecond, 1, true, 0, 0, 100, kSecond},
        {kSecond + 100, 2, true, 0, 0, kSecond - 100, kSecond}});
}

TEST(SlidingLog, AfterTheClockSteppedBackAllOfItHappenedNow) {
  play(limit_of(Algorithm::kSlidingLog, 3, kSecond),
       {{0, 1, true, 2, 0, kSecond, kSecond},
        {300'000, 1, true, 1, 0, 700'000, kSecond},
        {-700'000, 1, true, 0, 0, 1'700'000, 2 * kSecond},
        {-700'001, 1, false, 0, kSecond, kSecond, kSecond},
        {299'998, 1, false, 0, 1, 1, 1},
        {299'999, 3, true, 0, 0, kSecond, kSecond}});
}

class EveryAlgorithm : public ::testing::TestWithParam<Algorithm> {};

// At that instant it fits; a tick (and so a microsecond) earlier it does not.
TEST_P(EveryAlgorithm, RetryAfterAndNextAreTight) {
  std::mt19937_64 random(7);
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  };
  for (int turn = 0; turn < 3'000; ++turn) {
    const int64_t window_us =
        std::max<int64_t>(1, below(3) ? below(1000) : kSecond * (1 + below(60)));
    const Numbers limit = limit_of(GetParam(), 1 + below(20), window_us);
    MemoryStore store({.max_keys = 10, .max_bytes = 1 << 20});
    int64_t now_us = kNow;
    for (int64_t charges = below(8); charges > 0; --charges, now_us += below(window_us))
      consume(store, limit, 1, now_us, 1 + below(limit.limit));
    const int64_t cost = 1 + below(limit.limit);
    const Answer answer = peek(store, limit, 1, now_us, cost);
    if (answer.retry_after_us > 0) {
      EXPECT_TRUE(peek(store, limit, 1, now_us + answer.retry_after_us, cost).allowed);
      EXPECT_FALSE(
          peek(store, limit, 1, now_us + answer.retry_after_us - limit.tick_us, cost).allowed);
    }
    if (answer.next_us > 0) {
      EXPECT_GT(peek(store, limit, 1, now_us + answer.next_us).remaining, answer.remaining);
      EXPECT_LE(peek(store, limit, 1, now_us + answer.next_us - limit.tick_us).remaining,
                answer.remaining);
    }
    const Answer later = peek(store, limit, 1, now_us + answer.reset_after_us, limit.capacity);
    EXPECT_TRUE(later.allowed) << "nothing of the past is left";
    EXPECT_EQ(later.reset_after_us, 0);
    if (HasFailure()) return;
  }
}

TEST_P(EveryAlgorithm, ADeniedRequestCostsNothing) {
  const Numbers limit = limit_of(GetParam(), 5, kMinute);
  MemoryStore store({.max_keys = 10, .max_bytes = 1 << 20});
  ASSERT_TRUE(allowed(store, limit, 1, kNow, 3));
  const Answer before = peek(store, limit, 1, kNow + 10);
  for (int i = 0; i < 1000; ++i) ASSERT_FALSE(allowed(store, limit, 1, kNow + 10, 3));
  const Answer after = peek(store, limit, 1, kNow + 10);
  EXPECT_EQ(after.remaining, before.remaining);
  EXPECT_EQ(after.next_us, before.next_us);
  EXPECT_EQ(after.reset_after_us, before.reset_after_us);
}

TEST_P(EveryAlgorithm, AtTheLargestNumbersNothingOverflows) {
  const int64_t most = GetParam() == Algorithm::kSlidingLog ? kMaxLog : 150'000'000;
  const Numbers limit = limit_of(GetParam(), most, 10 * kSecond);
  MemoryStore store({.max_keys = 10, .max_bytes = 1 << 20});
  EXPECT_EQ(consume(store, limit, 1, kNow, kMaxCost).answer.retry_after_us, kNever);
  EXPECT_TRUE(allowed(store, limit, 1, kNow, most));
  EXPECT_FALSE(allowed(store, limit, 1, kNow + 1, most));
  refund(store, limit, 1, kNow + 1, kMaxCost);
  EXPECT_EQ(peek(store, limit, 1, kNow + 1).remaining, most);
  EXPECT_TRUE(allowed(store, limit, 1, kNow + kMaxWindowUs, most));
}

INSTANTIATE_TEST_SUITE_P(All, EveryAlgorithm, ::testing::ValuesIn(kAlgorithms), algorithm_of);

}  // namespace
}  // namespace tidegate
