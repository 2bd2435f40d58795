// SPDX-License-Identifier: MIT
#include "store/local_engine.h"

#include <memory>

namespace tidegate {
namespace {

// Room for the legs of a large request; made once per thread that ever has one.
Leg* many_legs() {
  static thread_local std::unique_ptr<Leg[]> legs = std::make_unique<Leg[]>(kMaxLegs);
  return legs.get();
}

size_t most_legs(std::span<const Part> parts) {
  size_t count = 0;
  for (const Part& part : parts) count += part.limiter->rates.size();
  return count;
}

}  // namespace

bool LocalEngine::consume_one(const Part& part, PartResult& result) {
  const Rate& rate = part.limiter->rates[0];
  result = part_result(part, 0);
  const bool fit = store_.consume_one(fingerprint_(part.key) ^ rate.id, rate.limit, part.cost,
                                      clock_.now_us(), result.figures);
  if (fit) result.flags |= PartResult::kAllowed;
  return fit;
}

Decision LocalEngine::decide(Op op, std::span<const Part> parts, Engine engine, Source source,
                             PartResult* results) {
  Leg one;
  Leg* const room = most_legs(parts) == 1 ? &one : many_legs();
  const std::span<Leg> legs(room, make_legs(parts, engine, fingerprint_, room));
  if (legs.empty()) return report_unasked(parts, true, 0, source, results);

  Verdict verdict;
  const int64_t now_us = clock_.now_us();
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
      return {.source = source};
    case Op::kPing:
      return {.source = source};
  }
  return report(parts, legs, verdict, source, results);
}

}  // namespace tidegate
