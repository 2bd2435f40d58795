// SPDX-License-Identifier: MIT
#include "stats/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace tidegate {
namespace {

using Bounds = std::array<int64_t, Histogram::kBuckets>;

const Bounds& bounds() {
  static const Bounds made = [] {
    Bounds all;
    for (size_t i = 0; i < all.size(); ++i)
      all[i] = static_cast<int64_t>(
          std::exp2(static_cast<double>(i + 1) / static_cast<double>(Histogram::kAnOctave)));
    return all;
  }();
  return made;
}

}  // namespace

int64_t Histogram::bound_us(size_t bucket) { return bounds()[bucket]; }

size_t Histogram::bucket_of(int64_t us) {
  if (us <= 1) return 0;
  const Bounds& all = bounds();
  if (us > all.back()) return kBuckets - 1;
  // 2^octave <= us, and what is exactly 2^octave belongs to the bucket that ends there.
  const auto octave = static_cast<size_t>(std::bit_width(static_cast<uint64_t>(us)) - 1);
  size_t bucket = octave * kAnOctave - 1;
  while (us > all[bucket]) ++bucket;
  return bucket;
}

Histogram::Reading Histogram::read() const {
  Reading reading;
  for (size_t i = 0; i < kBuckets; ++i)
    reading.counts[i] = counts_[i].load(std::memory_order_relaxed);
  reading.sum_us = sum_us_.load(std::memory_order_relaxed);
  return reading;
}

int64_t Histogram::Reading::count() const {
  int64_t all = 0;
  for (const int64_t count : counts) all += count;
  return all;
}

int64_t Histogram::Reading::up_to(int exponent) const {
  int64_t all = 0;
  for (size_t i = 0; i < static_cast<size_t>(exponent) * kAnOctave; ++i) all += counts[i];
  return all;
}

int64_t Histogram::Reading::quantile_us(double quantile) const {
  const int64_t all = count();
  if (all == 0) return 0;
  const auto rank =
      std::max<int64_t>(1, static_cast<int64_t>(std::ceil(quantile * static_cast<double>(all))));
  int64_t seen = 0;
  for (size_t i = 0; i < kBuckets; ++i)
    if ((seen += counts[i]) >= rank) return bound_us(i);
  return bound_us(kBuckets - 1);
}

}  // namespace tidegate
