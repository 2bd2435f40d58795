// SPDX-License-Identifier: MIT
#include "limiter/numbers.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tidegate {
namespace {

constexpr std::array<std::pair<std::string_view, Algorithm>, 6> kAlgorithms{{
    {"token_bucket", Algorithm::kTokenBucket},
    {"fixed_window", Algorithm::kFixedWindow},
    {"sliding_window", Algorithm::kSlidingWindow},
    {"sliding_log", Algorithm::kSlidingLog},
    {"gcra", Algorithm::kTokenBucket},
    {"leaky_bucket", Algorithm::kTokenBucket},
}};

Error refuse(std::string message) { return {Code::kRate, std::move(message)}; }

std::string range(std::string_view what, int64_t value, int64_t most) {
  return std::string(what) + " " + std::to_string(value) + " is out of range: expected 1 to " +
         std::to_string(most);
}

// ceil(capacity * window / limit) reaches 2^52: it would take 142 years to refill.
bool refills_never(const Numbers& limit) {
  const int128 product = static_cast<int128>(limit.capacity) * limit.window_us;
  return (product + limit.limit - 1) / limit.limit >= kExact;
}

}  // namespace

std::string_view algorithm_name(Algorithm algorithm) {
  return kAlgorithms[static_cast<size_t>(algorithm)].first;
}

std::optional<Algorithm> parse_algorithm(std::string_view text) {
  for (const auto& [name, algorithm] : kAlgorithms)
    if (name == text) return algorithm;
  return std::nullopt;
}

Result<Numbers> Numbers::make(Algorithm algorithm, int64_t limit, int64_t window_us,
                              std::optional<int64_t> burst) {
  if (limit < 1 || limit > kMaxTokens) return refuse(range("limit", limit, kMaxTokens));
  if (window_us < 1 || window_us > kMaxWindowUs)
    return refuse(range("window in us", window_us, kMaxWindowUs));
  if (burst && algorithm != Algorithm::kTokenBucket)
    return refuse("burst belongs to token_bucket, not to " +
                  std::string(algorithm_name(algorithm)));
  if (burst && (*burst < 1 || *burst > kMaxTokens))
    return refuse(range("burst", *burst, kMaxTokens));

  Numbers made{.algorithm = algorithm, .limit = limit, .window_us = window_us};
  made.burst = burst.value_or(0);
  made.capacity = burst.value_or(limit);
  while (window_us > kMaxTicks * made.tick_us) {
    made.tick_us *= 10;
    ++made.tick_exponent;
  }
  if (window_us % made.tick_us != 0)
    return refuse("a window of " + std::to_string(window_us) + " us must be a multiple of " +
                  std::to_string(made.tick_us) + " us to be counted exactly");
  made.ticks = window_us / made.tick_us;

  const int64_t most = algorithm == Algorithm::kTokenBucket     ? 1
                       : algorithm == Algorithm::kSlidingWindow ? 3
                                                                : 0;
  if (static_cast<int128>(most) * std::max(made.capacity, limit) * made.ticks >= kExact)
    return refuse("too many tokens for so long a window: at most " +
                  std::to_string((kExact - 1) / made.ticks / most) + " can be counted exactly in " +
                  window_text(window_us));
  if (refills_never(made)) return refuse("so large a burst would never refill");
  if (algorithm == Algorithm::kSlidingLog && limit > kMaxLog)
    return refuse("sliding_log remembers at most " + std::to_string(kMaxLog) +
                  " charges: use sliding_window");
  return made;
}

std::string window_text(int64_t window_us) {
  if (window_us % 1'000'000 == 0) return std::to_string(window_us / 1'000'000) + "s";
  if (window_us % 1'000 == 0) return std::to_string(window_us / 1'000) + "ms";
  return std::to_string(window_us) + "us";
}

std::string rate_text(const Numbers& limit) {
  std::string text = std::to_string(limit.limit) + "-per-" + window_text(limit.window_us);
  if (limit.burst) text += "-burst-" + std::to_string(limit.burst);
  if (limit.algorithm != Algorithm::kTokenBucket)
    text.append("-").append(algorithm_name(limit.algorithm));
  return text;
}

}  // namespace tidegate
