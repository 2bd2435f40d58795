// SPDX-License-Identifier: MIT
// Whoever sprays a limiter with made-up keys neither frees himself nor disturbs anybody else, and
// the store's memory stays flat meanwhile.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "memory_helper.h"

namespace tidegate {
namespace {

constexpr uint64_t kKeys = 10'000'000;
constexpr uint64_t kFirstSprayed = 1'000'000'000;

int64_t resident_bytes() {
  int64_t total = 0, resident = 0;
  FILE* file = std::fopen("/proc/self/statm", "r");
  if (file && std::fscanf(file, "%ld %ld", &total, &resident) != 2) resident = 0;
  if (file) std::fclose(file);
  return resident * sysconf(_SC_PAGESIZE);
}

// Sprays keys, and says what an insertion cost and what the store holds.
void spray(MemoryStore& store, const Numbers& limit, uint64_t keys, const char* what) {
  const int64_t before = resident_bytes();
  const std::clock_t start = std::clock();
  for (uint64_t i = 0; i < keys; ++i) {
    const int64_t now_us = kNow + static_cast<int64_t>(i / 10);
    ASSERT_TRUE(allowed(store, limit, kFirstSprayed + i, now_us));
  }
  const double cpu_ns = 1e9 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  const MemoryStats stats = store.stats();
  std::printf("%s: %.0f ns of CPU a key; %ld keys, %ld bytes, resident +%ld; evicted %ld %ld %ld\n",
              what, cpu_ns / static_cast<double>(keys), stats.keys, stats.bytes,
              resident_bytes() - before, stats.evicted_idle, stats.evicted_harmless,
              stats.evicted_owing);
}

class Spray : public ::testing::TestWithParam<Algorithm> {};

TEST_P(Spray, LeavesAnExhaustedCallerDeniedHoweverLongHeIsSilent) {
  const Numbers limit = limit_of(GetParam(), 1000, kDay);
  MemoryStore store({.max_keys = 200'000, .max_bytes = 64 << 20});
  for (uint64_t caller = 0; caller < 100; ++caller)
    ASSERT_TRUE(allowed(store, limit, caller, kNow, 1000));

  const uint64_t keys = GetParam() == Algorithm::kTokenBucket ? kKeys : kKeys / 5;
  spray(store, limit, kKeys / 10, "warm");
  const int64_t resident = resident_bytes();
  spray(store, limit, keys, "sprayed");

  for (uint64_t caller = 0; caller < 100; ++caller)
    EXPECT_EQ(consume(store, limit, caller, kNow + 2 * kSecond, 500).answer.allowed, false)
        << caller;
  const MemoryStats stats = store.stats();
  EXPECT_EQ(stats.evicted_owing, 0);
  EXPECT_LE(stats.keys, 200'000);
  EXPECT_LE(stats.bytes, 64 << 20);
  EXPECT_LT(resident_bytes() - resident, 1 << 20) << "memory did not stay flat";
}

INSTANTIATE_TEST_SUITE_P(EveryAlgorithm, Spray, ::testing::ValuesIn(kAlgorithms), algorithm_of);

TEST(SprayOfExhaustedKeys, FlushesItsOwnLimiterNotAnother) {
  const Numbers sprayed = limit_of(Algorithm::kTokenBucket, 1, kDay);
  const Numbers other = limit_of(Algorithm::kTokenBucket, 1000, kDay);
  MemoryStore store({.max_keys = 200'000, .max_bytes = 64 << 20});
  for (uint64_t caller = 0; caller < 10'000; ++caller)
    ASSERT_TRUE(allowed(store, other, caller, kNow, caller % 2 ? 1000 : 300));

  spray(store, sprayed, kKeys / 5, "exhausted");

  for (uint64_t caller = 0; caller < 10'000; ++caller)
    ASSERT_EQ(allowed(store, other, caller, kNow + 2 * kSecond, 701), false) << caller;
  EXPECT_EQ(store.stats().evicted_harmless, 0);
  EXPECT_GT(store.stats().evicted_owing, 1'700'000);
}

TEST(Memory, AMillionKeysAreKeptAtTheDefaultsInLessThan80BytesEach) {
  const int64_t before = resident_bytes();
  const Numbers limit = limit_of(Algorithm::kTokenBucket, 100, kDay);
  MemoryStore store({});
  for (uint64_t key = 0; key < 1'000'000; ++key) ASSERT_TRUE(allowed(store, limit, key, kNow, 50));
  const MemoryStats stats = store.stats();
  const int64_t resident = resident_bytes() - before;
  std::printf("%.1f bytes a key, %.1f resident\n", static_cast<double>(stats.bytes) / 1e6,
              static_cast<double>(resident) / 1e6);
  EXPECT_EQ(stats.keys, 1'000'000);
  EXPECT_EQ(stats.evicted_idle + stats.evicted_harmless + stats.evicted_owing, 0);
  EXPECT_LT(stats.bytes, 80'000'000);
  EXPECT_LT(resident, 100'000'000);
}

}  // namespace
}  // namespace tidegate
