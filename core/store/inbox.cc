// SPDX-License-Identifier: MIT
#include "store/inbox.h"

namespace tidegate {

bool Inbox::push(Call* call) {
  const MutexGuard guard(mutex_);
  if (call->canceled_sequence == call->sequence.load(std::memory_order_relaxed) &&
      call->canceled_sequence != 0)
    return false;
  call->under_way = true;
  queue_.push_back(call);
  queued_.store(queue_.size(), std::memory_order_seq_cst);
  return true;
}

void Inbox::cancel(Call* call) {
  {
    const MutexGuard guard(mutex_);
    call->canceled_sequence = call->sequence.load(std::memory_order_relaxed);
    any_canceled_.store(true, std::memory_order_release);
    if (!call->in_canceled) {
      call->in_canceled = true;
      call->next_canceled = canceled_;
      canceled_ = call;
    }
  }
  reactor_.wake();
}

void Inbox::take_queue(CallList& calls) {
  calls.splice(queue_);
  queued_.store(0, std::memory_order_release);
}

void Inbox::take(CallList& calls) {
  if (idle()) return;
  const MutexGuard guard(mutex_);
  take_queue(calls);
}

Call* Inbox::take_canceled(CallList& calls) {
  if (!any_canceled_.load(std::memory_order_acquire)) return nullptr;
  Call* found = nullptr;
  const MutexGuard guard(mutex_);
  any_canceled_.store(false, std::memory_order_relaxed);
  take_queue(calls);
  while (Call* call = canceled_) {
    canceled_ = call->next_canceled;
    call->in_canceled = false;
    // One that is not here yet finds it in push(); one that was answered is another submission, or
    // nobody's.
    if (!call->under_way ||
        call->canceled_sequence != call->sequence.load(std::memory_order_relaxed))
      continue;
    call->next_canceled = found;
    found = call;
  }
  return found;
}

}  // namespace tidegate
