// SPDX-License-Identifier: MIT
// Asking a MemoryStore for one key at a time, without a client around it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

#include "store/memory/memory_store.h"

namespace tidegate {

inline constexpr int64_t kNow = 1'763'683'200'000'000;
inline constexpr int64_t kSecond = 1'000'000, kMinute = 60 * kSecond, kDay = 86'400 * kSecond;

inline constexpr Algorithm kAlgorithms[] = {Algorithm::kTokenBucket, Algorithm::kFixedWindow,
                                            Algorithm::kSlidingWindow, Algorithm::kSlidingLog};

inline std::string algorithm_of(const ::testing::TestParamInfo<Algorithm>& test) {
  return std::string(algorithm_name(test.param));
}

inline Numbers limit_of(Algorithm algorithm, int64_t limit, int64_t window_us,
                        std::optional<int64_t> burst = std::nullopt) {
  return *Numbers::make(algorithm, limit, window_us, burst);
}

// As good as a fingerprint of the number: every bit of it depends on every bit of the number.
inline Fingerprint id_of(uint64_t number) {
  const auto mix = [](uint64_t x) {
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
  };
  return {mix(2 * number + 1), mix(~(2 * number))};
}

inline Leg leg_of(const Numbers& limit, uint64_t key, int64_t cost = 1) {
  return {.id = id_of(key), .limit = &limit, .cost = cost};
}

inline Leg consume(MemoryStore& store, const Numbers& limit, uint64_t key, int64_t now_us,
                   int64_t cost = 1) {
  Leg leg = leg_of(limit, key, cost);
  prepare({&leg, 1});
  store.consume({&leg, 1}, now_us);
  return leg;
}

inline bool allowed(MemoryStore& store, const Numbers& limit, uint64_t key, int64_t now_us,
                    int64_t cost = 1) {
  return consume(store, limit, key, now_us, cost).answer.allowed;
}

inline Answer peek(MemoryStore& store, const Numbers& limit, uint64_t key, int64_t now_us,
                   int64_t cost = 1) {
  Leg leg = leg_of(limit, key, cost);
  prepare({&leg, 1});
  store.peek({&leg, 1}, now_us);
  return leg.answer;
}

inline void refund(MemoryStore& store, const Numbers& limit, uint64_t key, int64_t now_us,
                   int64_t cost = 1) {
  Leg leg = leg_of(limit, key, cost);
  prepare({&leg, 1});
  store.refund({&leg, 1}, now_us);
}

inline void reset(MemoryStore& store, const Numbers& limit, uint64_t key) {
  Leg leg = leg_of(limit, key);
  prepare({&leg, 1});
  store.reset({&leg, 1});
}

}  // namespace tidegate
