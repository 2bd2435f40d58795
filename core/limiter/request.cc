// SPDX-License-Identifier: MIT
#include "limiter/request.h"

namespace tidegate {

size_t make_legs(Op op, std::span<const Part> parts, NumbersFor numbers_for,
                 const Fingerprinter& fingerprint, Leg* legs) {
  size_t count = 0;
  for (const Part& part : parts) {
    if (part.limiter->mode == Mode::kOff) continue;
    const Fingerprint key = fingerprint(part.key);
    for (const Rate& rate : part.limiter->rates) {
      Leg& leg = legs[count++];
      const bool own = numbers_for == NumbersFor::kStore;
      leg.id = key ^ (own ? rate.id : rate.share_id);
      leg.limit = own ? &rate.limit : &rate.share;
      leg.holder = leg.limit->algorithm == Algorithm::kConcurrency ? part.id : HolderId{};
      leg.cost = part.cost;
      leg.shadow = part.limiter->mode == Mode::kShadow;
      leg.changed = false;
      leg.answer = {};
    }
  }
  if (count == 1) {
    legs[0].total = legs[0].cost;
    legs[0].slot = 0;
  } else {
    prepare({legs, count}, op == Op::kRefund || op == Op::kDebit);
  }
  return count;
}

Decision answer_from(std::span<const Part> parts, std::span<const Leg> legs, const Verdict& verdict,
                     Source source, RateResult* results) {
  Decision decision{.allowed = verdict.allowed, .would_deny = verdict.would_deny, .source = source};
  size_t leg = 0;
  uint32_t at = 0;
  for (const Part& part : parts) {
    for (uint32_t rate = 0; rate < part.limiter->rates.size(); ++rate, ++at) {
      RateResult& result = results[at] = rate_result(part, rate);
      if (part.limiter->mode == Mode::kOff) continue;
      if (leg == verdict.binding) decision.binding = at;
      const Answer& answer = legs[leg++].answer;
      put_answer(answer, result);
    }
  }
  decision.part_count = at;
  return decision;
}

Decision answer_without_store(std::span<const Part> parts, bool allowed, int64_t retry_after_us,
                              Source source, RateResult* results) {
  Decision decision{.allowed = allowed, .source = source};
  uint32_t at = 0;
  bool bound = false;
  for (const Part& part : parts) {
    for (uint32_t rate = 0; rate < part.limiter->rates.size(); ++rate, ++at) {
      RateResult& result = results[at] = rate_result(part, rate);
      if (part.limiter->mode == Mode::kOff) continue;
      result.figures.retry_after_us = allowed ? 0 : retry_after_us;
      if (allowed || part.limiter->mode == Mode::kShadow) result.flags |= RateResult::kAllowed;
      if (!bound && part.limiter->mode == Mode::kEnforce) {
        decision.binding = at;
        bound = true;
      }
    }
  }
  decision.part_count = at;
  return decision;
}

}  // namespace tidegate
