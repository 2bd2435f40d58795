// SPDX-License-Identifier: MIT
// Traffic of a million callers of whom few bring most, and how many of the true hundred are found.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "stats/top_callers.h"

namespace tidegate {

class Zipf {
 public:
  Zipf(size_t callers, double skew) : up_to_(callers) {
    double sum = 0;
    for (size_t i = 0; i < callers; ++i)
      up_to_[i] = sum += std::pow(static_cast<double>(i + 1), -skew);
    guide_.resize(callers + 1);
    for (size_t i = 0, at = 0; i <= callers; ++i) {
      while (at < callers - 1 && up_to_[at] < sum * static_cast<double>(i) / double(callers)) ++at;
      guide_[i] = static_cast<uint32_t>(at);
    }
  }
  size_t operator()(std::mt19937_64& random) const {
    const double at = std::uniform_real_distribution<>(0, 1)(random);
    size_t caller = guide_[static_cast<size_t>(at * static_cast<double>(up_to_.size()))];
    while (caller + 1 < up_to_.size() && up_to_[caller] < at * up_to_.back()) ++caller;
    return caller;
  }

 private:
  std::vector<double> up_to_;
  std::vector<uint32_t> guide_;
};

struct Found {
  double recall = 0;  // of the true hundred
  double error = 0;   // the largest among those found, of what is true
};

inline Found find_top(double skew, size_t requests) {
  constexpr size_t kCallers = 1'000'000, kTop = 100;
  const Zipf zipf(kCallers, skew);
  std::mt19937_64 random(7), mix(11);
  std::vector<uint64_t> hashes(kCallers);
  for (uint64_t& hash : hashes) hash = mix();
  std::vector<int64_t> truth(kCallers);
  TopCallers top;
  for (size_t i = 0; i < requests; ++i) {
    const size_t caller = zipf(random);
    ++truth[caller];
    top.add(hashes[caller], 1, [&] { return std::to_string(caller); });
  }
  std::vector<size_t> order(kCallers);
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + kTop, order.end(),
                    [&](size_t a, size_t b) { return truth[a] > truth[b]; });
  const int64_t least = truth[order[kTop - 1]];
  Found found;
  for (const TopCallers::Caller& caller : top.heaviest(kTop)) {
    const int64_t his = truth[std::stoul(caller.label)];
    if (his >= least) found.recall += 1.0 / kTop;  // who has as many as the hundredth is one
    found.error =
        std::max(found.error, std::abs(double(caller.weight - his)) / static_cast<double>(his));
  }
  return found;
}

}  // namespace tidegate
