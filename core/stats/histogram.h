// SPDX-License-Identifier: MIT
// How long something took: counts in buckets that grow by 2^(1/8), the exponential histogram of
// base 2 and scale 3 of OpenTelemetry and of Prometheus. Bucket i holds what is above 2^(i/8) us
// and at most 2^((i+1)/8) us; the first holds shorter times too, the last longer ones.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tidegate {

// Any thread.
class Histogram {
 public:
  static constexpr size_t kBuckets = 210;  // 1 us to 2^26.25 us = 79 s
  static constexpr size_t kAnOctave = 8;   // buckets in which a time doubles

  struct Reading {
    std::array<int64_t, kBuckets> counts{};
    int64_t sum_us = 0;

    int64_t count() const;
    // How many took at most 2^exponent us: a bound of buckets, so it is exact.
    int64_t up_to(int exponent) const;
    // The bound of the bucket that holds the quantile (0 to 1): at most 9 % above what it was; 0
    // where nothing was timed.
    int64_t quantile_us(double quantile) const;
  };

  void add(int64_t us) {
    counts_[bucket_of(us)].fetch_add(1, std::memory_order_relaxed);
    sum_us_.fetch_add(us > 0 ? us : 0, std::memory_order_relaxed);
  }
  Reading read() const;

  static size_t bucket_of(int64_t us);
  static int64_t bound_us(size_t bucket);  // the longest whole time that it holds

 private:
  std::array<std::atomic<int64_t>, kBuckets> counts_{};
  std::atomic<int64_t> sum_us_{0};
};

}  // namespace tidegate
