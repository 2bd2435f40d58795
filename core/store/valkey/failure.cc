// SPDX-License-Identifier: MIT
#include "store/valkey/failure.h"

#include <algorithm>
#include <new>

#include "store/valkey/errors.h"

namespace tidegate {
namespace {

// The strictest wins: closed, local, open. Shadows never block, and have no say where anything else
// has.
OnFailure strictest(const Call& call) {
  const auto rank = [](OnFailure policy) {
    return policy == OnFailure::kClosed ? 2 : policy == OnFailure::kLocal ? 1 : 0;
  };
  OnFailure strict = OnFailure::kOpen;
  bool enforced = false;
  for (const Part& part : call.parts) {
    if (part.limiter->mode != Mode::kEnforce) continue;
    enforced = true;
    if (rank(part.limiter->on_failure) > rank(strict)) strict = part.limiter->on_failure;
  }
  return enforced ? strict : OnFailure::kLocal;
}

void decide_by_policy(StoreContext& store, Call* call) {
  RateResult* results = call->room_for_results();
  call->status = Code::kOk;
  const int64_t took_us = store.waited_us(*call, store.timeline.now_us());
  switch (strictest(*call)) {
    case OnFailure::kLocal:
      call->decision = store.local.decide(call->op, call->parts, NumbersFor::kFallback,
                                          Source::kFallback, results);
      store.recorder.waited(call->op, took_us);
      return;  // the embedded store reports what it decides
    case OnFailure::kOpen:
      call->decision = answer_without_store(call->parts, true, 0, Source::kFailOpen, results);
      break;
    case OnFailure::kClosed:
      call->decision = answer_without_store(call->parts, false, store.health.retry_after_us(),
                                            Source::kFailClosed, results);
      break;
  }
  store.recorder.decided(call->op, call->parts, call->decision, results, store.clock.now_us(),
                         took_us);
}

}  // namespace

void answer_by_policy(StoreContext& store, Call* call, Code code, std::string_view why) {
  const bool ours = operation(call->op).family == Family::kCommand;
  if (code != Code::kClosed && code != Code::kCanceled && !ours)
    store.counters.add(counter_of(code));
  // A debit of what the store decided is the store's; others charge the embedded engine where that
  // is what decides while the store is away.
  const bool decides = call->op == Op::kDebit ? call->refund_to == Source::kNone &&
                                                    strictest(*call) == OnFailure::kLocal
                                              : operation(call->op).decides;
  if (code == Code::kClosed || code == Code::kCanceled || !decides)
    call->fail(code, why);
  else
    decide_by_policy(store, call);
}

void finish_by_policy(StoreContext& store, Call* call, Code code, std::string_view why) noexcept {
  try {
    answer_by_policy(store, call, code, why);
  } catch (const std::bad_alloc&) {
    call->fail_bare(Code::kNoMemory);
  }
  call->finish();
}

}  // namespace tidegate
