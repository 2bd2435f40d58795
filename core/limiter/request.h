// SPDX-License-Identifier: MIT
// A request on its way in (parts to legs) and out (legs to what the caller sees). Every engine uses
// these two.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/fingerprint.h"
#include "limiter/config.h"
#include "limiter/decide.h"
#include "limiter/operation.h"
#include "limiter/source.h"

namespace tidegate {

inline constexpr size_t kMaxParts = 16;
inline constexpr size_t kMaxLegs = kMaxParts * 8;

struct Part {
  const LimiterConfig* limiter = nullptr;
  uint64_t handle = 0;
  std::string_view key;
  int64_t cost = 0;
  HolderId id;
};

// One rate of one part, as the caller sees it. The layout is tg_part's.
struct RateResult {
  static constexpr uint32_t kAllowed = 1, kShadow = 4, kOff = 8, kRenewed = 64;
  uint64_t handle = 0;
  uint32_t rate = 0;
  uint32_t flags = 0;
  int64_t limit = kNever;
  Figures figures;
  int64_t window_us = 0, capacity = 0;
  int64_t shortfall = 0;  // of a debit: tokens that did not fit
};

// What is known of a part's rate before any engine is asked.
inline RateResult rate_result(const Part& part, uint32_t rate) {
  constexpr uint32_t kFlags[] = {0, RateResult::kShadow, RateResult::kOff | RateResult::kAllowed};
  const Numbers& limit = part.limiter->rates[rate].limit;
  return {.handle = part.handle,
          .rate = rate,
          .flags = kFlags[static_cast<size_t>(part.limiter->mode)],
          .limit = limit.limit,
          .window_us = limit.window_us,
          .capacity = limit.capacity};
}

inline void put_answer(const Answer& answer, RateResult& result) {
  if (answer.allowed) result.flags |= RateResult::kAllowed;
  if (answer.renewed) result.flags |= RateResult::kRenewed;
  result.figures = answer;
  result.shortfall = answer.shortfall;
}

struct Decision {
  bool allowed = true;
  bool would_deny = false;
  Source source = Source::kNone;
  uint32_t binding = 0;
  uint32_t part_count = 0;
};

// Which of a rate's two limits counts: its own, or its share while the store is away.
enum class NumbersFor : uint8_t { kStore, kFallback };

// The legs of the parts that are not off, prepared for the operation; returns how many. `legs` has
// room for kMaxLegs.
size_t make_legs(Op op, std::span<const Part> parts, NumbersFor numbers_for,
                 const Fingerprinter& fingerprint, Leg* legs);

// What the caller sees of a verdict: a RateResult for each rate of each part, those of parts that
// are off with nothing known. `results` has room for kMaxLegs.
Decision answer_from(std::span<const Part> parts, std::span<const Leg> legs, const Verdict& verdict,
                     Source source, RateResult* results);

// The answer where no engine was asked: allowed (off, fail_open) or denied (fail_closed, with its
// retry_after).
Decision answer_without_store(std::span<const Part> parts, bool allowed, int64_t retry_after_us,
                              Source source, RateResult* results);

}  // namespace tidegate
