// SPDX-License-Identifier: MIT
#include "algorithm_test.h"

namespace tidegate {
namespace {

TEST(TokenBucket, RefillsOneTokenAtATimeAndNeverRoundsUp) {
  play(limit_of(Algorithm::kTokenBucket, 3, kSecond),
       {{0, 2, true, 1, 0, 333'334, 666'667},
        {0, 1, true, 0, 0, 333'334, kSecond},
        {0, 1, false, 0, 333'334, 333'334, kSecond},
        {333'333, 1, false, 0, 1, 1, 666'667},
        {333'334, 1, true, 0, 0, 333'333, kSecond},
        {333'334, 0, true, 0, 0, 333'333, kSecond},
        {5 * kSecond, 3, true, 0, 0, 333'334, kSecond}});
}

TEST(TokenBucket, ABurstBeyondTheLimitRefillsAtTheRate) {
  play(limit_of(Algorithm::kTokenBucket, 10, kSecond, 30),
       {{0, 30, true, 0, 0, 100'000, 3 * kSecond},
        {kSecond, 11, false, 10, 100'000, 100'000, 2 * kSecond},
        {kSecond, 10, true, 0, 0, 100'000, 3 * kSecond},
        {kSecond, 31, false, 0, kNever, 100'000, 3 * kSecond}});
}

TEST(TokenBucket, ABurstBelowTheLimitCapsWhatIsSpentAtOnce) {
  play(limit_of(Algorithm::kTokenBucket, 100, kSecond, 5),
       {{0, 6, false, 5, kNever, 0, 0},
        {0, 5, true, 0, 0, 10'000, 50'000},
        {10'000, 1, true, 0, 0, 10'000, 50'000}});
}

TEST(TokenBucket, AnHoursWindowTicksInMillisecondsNotMicroseconds) {
  const Numbers limit = limit_of(Algorithm::kTokenBucket, 1, 3600 * kSecond);
  EXPECT_EQ(limit.tick_us, 1'000);
  play(limit, {{0, 1, true, 0, 0, 3600 * kSecond, 3600 * kSecond},
               {3600 * kSecond - 1, 1, false, 0, 1'000, 1'000, 1'000},
               {3600 * kSecond, 1, true, 0, 0, 3600 * kSecond, 3600 * kSecond}});
}

TEST(TokenBucket, TheClocksStepBackUpToASecondHoldsTimeStill) {
  play(limit_of(Algorithm::kTokenBucket, 1, kSecond),
       {{0, 1, true, 0, 0, kSecond, kSecond},
        {-400'000, 1, false, 0, 1'400'000, 1'400'000, 1'400'000},
        {-kSecond, 1, false, 0, 2 * kSecond, 2 * kSecond, 2 * kSecond},
        {-kSecond - 1, 1, false, 0, kSecond, kSecond, kSecond},  // too far: it is now
        {0, 1, true, 0, 0, kSecond, kSecond}});
}

// The sums that accumulating a rounded interval gets wrong.
TEST(TokenBucket, TheAdmittedRateIsExactWhereAnIntervalIsNoInteger) {
  for (const int64_t rate : {700'000, 3'000'000, 999'983}) {
    const Numbers limit = limit_of(Algorithm::kTokenBucket, rate, kSecond);
    MemoryStore store({.max_keys = 10, .max_bytes = 1 << 20});
    ASSERT_TRUE(allowed(store, limit, 1, kNow, rate));  // empty
    int64_t admitted = 0;
    for (int64_t at_us = 1; at_us <= kSecond; ++at_us)
      while (allowed(store, limit, 1, kNow + at_us)) ++admitted;
    EXPECT_EQ(admitted, rate);
  }
}

TEST(TokenBucket, MoreOrFewerTokensKeepThePast) {
  const Numbers few = limit_of(Algorithm::kTokenBucket, 10, kMinute);
  const Numbers many = limit_of(Algorithm::kTokenBucket, 100, kMinute);
  MemoryStore store({.max_keys = 10, .max_bytes = 1 << 20});
  ASSERT_TRUE(allowed(store, many, 1, kNow, 60));
  EXPECT_EQ(peek(store, few, 1, kNow).remaining, 0);
  EXPECT_FALSE(allowed(store, few, 1, kNow));
  EXPECT_EQ(peek(store, many, 1, kNow).remaining, 40);
  EXPECT_TRUE(allowed(store, few, 1, kNow + 6 * kSecond)) << "it owes its capacity at most";
}

}  // namespace
}  // namespace tidegate
