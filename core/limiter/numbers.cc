// SPDX-License-Identifier: MIT
#include "limiter/numbers.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tidegate {
namespace {

constexpr std::array<std::pair<std::string_view, Algorithm>, 7> kAlgorithms{{
    {"token_bucket", Algorithm::kTokenBucket},
    {"fixed_window", Algorithm::kFixedWindow},
    {"sliding_window", Algorithm::kSlidingWindow},
    {"sliding_log", Algorithm::kSlidingLog},
    {"concurrency", Algorithm::kConcurrency},
    {"gcra", Algorithm::kTokenBucket},
    {"leaky_bucket", Algorithm::kTokenBucket},
}};

Error refuse(std::string message) { return {Code::kRate, std::move(message)}; }

std::string range(std::string_view what, int64_t value, int64_t least, int64_t most) {
  return std::string(what) + " " + std::to_string(value) + " is out of range: expected " +
         std::to_string(least) + " to " + std::to_string(most);
}

// ceil(bound * window / limit) reaches 2^52: it would take 142 years to refill.
bool refills_never(const Numbers& limit) {
  const int128 product = static_cast<int128>(limit.bound) * limit.window_us;
  return (product + limit.limit - 1) / limit.limit >= kExact;
}

// How often the bound is multiplied by the ticks in one sum, at most; 0: never.
int64_t most_products(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kTokenBucket:
      return 1;
    case Algorithm::kSlidingWindow:
      return 3;
    case Algorithm::kFixedWindow:
    case Algorithm::kSlidingLog:
    case Algorithm::kConcurrency:
      return 0;
  }
  return 0;
}

Status check_range(Algorithm algorithm, int64_t limit, int64_t window_us,
                   std::optional<int64_t> burst, int64_t overdraft) {
  const bool slots = algorithm == Algorithm::kConcurrency;
  const std::string not_to = ", not to " + std::string(algorithm_name(algorithm));
  const int64_t most = slots ? kMaxSlots : kMaxTokens;
  if (limit < 1 || limit > most) return refuse(range(slots ? "slots" : "limit", limit, 1, most));
  const int64_t shortest = slots ? kMinLeaseUs : 1, longest = slots ? kMaxLeaseUs : kMaxWindowUs;
  if (window_us < shortest || window_us > longest)
    return refuse(range(slots ? "lease in us" : "window in us", window_us, shortest, longest));
  if (burst && algorithm != Algorithm::kTokenBucket)
    return refuse("burst belongs to token_bucket" + not_to);
  if (burst && (*burst < 1 || *burst > kMaxTokens))
    return refuse(range("burst", *burst, 1, kMaxTokens));
  if (overdraft && slots) return refuse("overdraft belongs to rates" + not_to);
  if (overdraft < 0 || overdraft > kMaxTokens)
    return refuse(range("overdraft", overdraft, 0, kMaxTokens));
  return Nothing{};
}

}  // namespace

std::string_view algorithm_name(Algorithm algorithm) {
  return kAlgorithms[static_cast<size_t>(algorithm)].first;
}

char algorithm_letter(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kTokenBucket:
      return 'b';
    case Algorithm::kFixedWindow:
      return 'f';
    case Algorithm::kSlidingWindow:
      return 's';
    case Algorithm::kSlidingLog:
      return 'l';
    case Algorithm::kConcurrency:
      return 'c';
  }
  __builtin_unreachable();
}

std::optional<Algorithm> parse_algorithm(std::string_view text) {
  for (const auto& [name, algorithm] : kAlgorithms)
    if (name == text) return algorithm;
  return std::nullopt;
}

Result<Numbers> Numbers::make(Algorithm algorithm, int64_t limit, int64_t window_us,
                              std::optional<int64_t> burst, int64_t overdraft) {
  if (auto status = check_range(algorithm, limit, window_us, burst, overdraft); !status)
    return status.error();

  Numbers made{.algorithm = algorithm, .limit = limit, .window_us = window_us};
  made.burst = burst.value_or(0);
  made.overdraft = overdraft;
  made.capacity = burst.value_or(limit);
  made.bound = made.capacity + overdraft;
  while (window_us > kMaxTicks * made.tick_us && algorithm != Algorithm::kConcurrency) {
    made.tick_us *= 10;
    ++made.tick_exponent;
  }
  if (window_us % made.tick_us != 0)
    return refuse("a window of " + std::to_string(window_us) + " us must be a multiple of " +
                  std::to_string(made.tick_us) + " us to be counted exactly");
  made.ticks = window_us / made.tick_us;

  const int64_t most = most_products(algorithm);
  if (static_cast<int128>(most) * std::max(made.bound, limit) * made.ticks >= kExact)
    return refuse(std::string("too many tokens for so long a window: at most ") +
                  std::to_string((kExact - 1) / made.ticks / most) + " can be counted exactly in " +
                  window_text(window_us) + (overdraft ? ", the overdraft among them" : ""));
  if (refills_never(made))
    return refuse(std::string("so large ") + (overdraft ? "an overdraft" : "a burst") +
                  " would never refill");
  if (algorithm == Algorithm::kSlidingLog && made.bound > kMaxLog)
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
  std::string text = std::to_string(limit.limit);
  if (limit.algorithm == Algorithm::kConcurrency)
    return text + "-at-once-" + window_text(limit.window_us);
  text += "-per-" + window_text(limit.window_us);
  if (limit.burst) text += "-burst-" + std::to_string(limit.burst);
  if (limit.overdraft) text += "-overdraft-" + std::to_string(limit.overdraft);
  if (limit.algorithm != Algorithm::kTokenBucket)
    text.append("-").append(algorithm_name(limit.algorithm));
  return text;
}

}  // namespace tidegate
