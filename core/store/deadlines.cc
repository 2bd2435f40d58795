// SPDX-License-Identifier: MIT
#include "store/deadlines.h"

#include <algorithm>

namespace tidegate {

void Deadlines::release(Call* call, CallHolder::Leaves why) noexcept {
  CallHolder& holder = *call->holder;
  holder.calls.remove(call);
  holder.let_go(*call, why);
  call->holder = nullptr;
}

void Deadlines::take_late(int64_t now_us, CallList& late) noexcept {
  for (CallHolder* holder = holders_.front(); holder; holder = holder->next) {
    for (Call *call = holder->calls.front(), *next; call; call = next) {
      next = call->next;
      if (call->deadline_us > now_us) continue;
      release(call, CallHolder::Leaves::kLate);
      late.push_back(call);
    }
  }
}

int64_t Deadlines::next(int64_t now_us, int64_t set_us) {
  const bool early_enough = set_us > now_us && (fresh_us_ == 0 || set_us <= fresh_us_);
  if (early_enough || (set_us == 0 && fresh_us_ == 0)) return set_us;
  fresh_us_ = 0;
  int64_t earliest = 0;
  const auto consider = [&](int64_t at_us) {
    if (at_us != 0 && (earliest == 0 || at_us < earliest)) earliest = at_us;
  };
  for (const CallHolder* holder = holders_.front(); holder; holder = holder->next) {
    consider(holder->due_us());
    for (const Call* call = holder->calls.front(); call; call = call->next)
      consider(call->deadline_us);
  }
  return earliest;
}

}  // namespace tidegate
