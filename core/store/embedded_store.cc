// SPDX-License-Identifier: MIT
#include "store/embedded_store.h"

#include <memory>

namespace tidegate {
namespace {

// Room for the legs of a large request; made once per thread that ever has one.
Leg* thread_legs() {
  static thread_local std::unique_ptr<Leg[]> legs = std::make_unique<Leg[]>(kMaxLegs);
  return legs.get();
}

size_t most_legs(std::span<const Part> parts) {
  size_t count = 0;
  for (const Part& part : parts) count += part.limiter->rates.size();
  return count;
}

}  // namespace

void EmbeddedStore::let_go(std::span<const std::unique_ptr<const LimiterConfig>> gone) {
  std::vector<const Numbers*> numbers;
  for (const auto& config : gone)
    for (const Rate& rate : config->rates)
      numbers.insert(numbers.end(), {&rate.limit, &rate.share});
  store_.let_go(numbers);
}

bool EmbeddedStore::fits_one(const Part& part, const Fingerprint& key, RateResult& result,
                             int64_t now_us) {
  const Rate& rate = part.limiter->rates[0];
  result = rate_result(part, 0);
  const bool fit = store_.consume_one(key ^ rate.id, rate.limit, part.cost, now_us, result.figures);
  if (fit) result.flags |= RateResult::kAllowed;
  return fit;
}

bool EmbeddedStore::takes_slots(const Part& part, const Fingerprint& key, RateResult& result,
                                int64_t now_us) {
  const Rate& rate = part.limiter->rates[0];
  result = rate_result(part, 0);
  Answer answer;
  store_.consume_slots(key ^ rate.id, part.id, rate.limit, part.cost, now_us, answer);
  put_answer(answer, result);
  return answer.allowed;
}

Decision EmbeddedStore::release_slots(const Part& part) {
  const Rate& rate = part.limiter->rates[0];
  store_.release_slots(fingerprint_(part.key) ^ rate.id, part.id, rate.limit, clock_.now_us());
  return {.source = Source::kMemory};
}

Decision EmbeddedStore::decide(Op op, std::span<const Part> parts, NumbersFor numbers_for,
                               Source source, RateResult* results) {
  Leg one;
  Leg* const room = most_legs(parts) == 1 ? &one : thread_legs();
  const std::span<Leg> legs(room, make_legs(op, parts, numbers_for, fingerprint_, room));
  const int64_t now_us = clock_.now_us();
  if (legs.empty()) {  // all are off
    const Decision decision = answer_without_store(parts, true, 0, source, results);
    recorder_.decided(op, parts, decision, results, now_us, Recorder::kNotTimed);
    return decision;
  }

  Verdict verdict;
  switch (op) {
    case Op::kConsume:
      verdict = store_.consume(legs, now_us);
      break;
    case Op::kPeek:
      verdict = store_.peek(legs, now_us);
      break;
    case Op::kRefund:
      store_.refund(legs, now_us);
      return {.source = source};
    case Op::kReset:
      store_.reset(legs);
      recorder_.forgotten(parts);
      return {.source = source};
    case Op::kDebit:
      verdict = store_.debit(legs, now_us);
      break;
    case Op::kPing:
    case Op::kCheck:
    case Op::kCommand:
      return {.source = source};
  }
  const Decision decision = answer_from(parts, legs, verdict, source, results);
  recorder_.decided(op, parts, decision, results, now_us, Recorder::kNotTimed);
  return decision;
}

}  // namespace tidegate
