// SPDX-License-Identifier: MIT
// One rate: `limit` tokens per `window_us` under an algorithm, checked to be exact in every engine;
// or, under concurrency, `limit` slots that are held for a lease of `window_us`.
//
//   auto limit = tidegate::Numbers::make(tidegate::Algorithm::kTokenBucket, 100, 60'000'000, 20);
//   if (!limit) return answer_from(limit.error());
//   limit->capacity;   // 20: the most that can be allowed at once
//
// Immutable and trivially copyable: any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace tidegate {

inline constexpr int64_t kNever = -1;
inline constexpr int64_t kExact = int64_t{1} << 52;  // a double holds every integer below it
inline constexpr int64_t kMaxSkewUs = 1'000'000;  // a stamp further ahead: the clock stepped back
inline constexpr int64_t kMaxTicks = 10'000'000;  // ticks in a window
inline constexpr int64_t kMaxTokens = 1'000'000'000'000;
inline constexpr int64_t kMaxWindowUs = int64_t{366} * 86'400 * 1'000'000;
inline constexpr int64_t kMaxLog = 10'000;  // charges a sliding log remembers at most
inline constexpr int64_t kMaxCost = kExact - 1;
inline constexpr int64_t kMaxSlots = 1'000;  // of a concurrency limit; no more holders than slots
inline constexpr int64_t kMinLeaseUs = 1'000;
inline constexpr int64_t kMaxLeaseUs = int64_t{86'400} * 1'000'000;
inline constexpr int64_t kDefaultLeaseUs = 30'000'000;

enum class Algorithm : uint8_t {
  kTokenBucket,
  kFixedWindow,
  kSlidingWindow,
  kSlidingLog,
  kConcurrency
};
inline constexpr size_t kAlgorithmCount = 5;

// "token_bucket", ... The parser also takes gcra and leaky_bucket, which are the same meter.
std::string_view algorithm_name(Algorithm algorithm);
std::optional<Algorithm> parse_algorithm(std::string_view text);
char algorithm_letter(Algorithm algorithm);  // in a state's name: b, f, s, l, c

// Which rate some numbers are of, for who has to tell rates apart whose numbers may change; 0: of
// none. No part of what they say: numbers are equal whatever their marks.
struct RateMark {
  uint32_t number = 0;
  constexpr bool operator==(const RateMark&) const { return true; }
};

struct Numbers {
  Algorithm algorithm = Algorithm::kTokenBucket;
  uint8_t tick_exponent = 0;  // the tick is 10^tick_exponent us
  RateMark mark;
  int64_t limit = 1;
  int64_t window_us = 1;
  int64_t capacity = 1;   // the largest cost that can ever be allowed at once
  int64_t bound = 1;      // the most that can ever be owed: consumes stop at the capacity
  int64_t tick_us = 1;    // the finest power of ten of us that divides the window in <= kMaxTicks
  int64_t ticks = 1;      // window_us / tick_us
  int64_t burst = 0;      // 0: none given
  int64_t overdraft = 0;  // what debits may owe beyond the capacity

  // kRate where the numbers cannot be enforced exactly, or make no sense.
  static Result<Numbers> make(Algorithm algorithm, int64_t limit, int64_t window_us,
                              std::optional<int64_t> burst = std::nullopt, int64_t overdraft = 0);

  // now_us / tick_us (now_us >= 0), by a constant of the compiler's instead of a division.
  int64_t tick_of(int64_t now_us) const {
    switch (tick_exponent) {
      case 0:
        return now_us;
      case 1:
        return now_us / 10;
      case 2:
        return now_us / 100;
      case 3:
        return now_us / 1'000;
      case 4:
        return now_us / 10'000;
      default:
        return now_us / tick_us;
    }
  }

  bool operator==(const Numbers&) const = default;
};

// "60s", "1500ms", "7us": the largest of the three units that is exact.
std::string window_text(int64_t window_us);
// "100-per-60s-burst-20-overdraft-5", with "-fixed_window" and so on behind it where it is no token
// bucket; "5-at-once-30s".
std::string rate_text(const Numbers& limit);

__extension__ using int128 = __int128;  // for products that may exceed 64 bits

constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }  // a >= 0, b > 0

}  // namespace tidegate
