// SPDX-License-Identifier: MIT
// When the pump has to look, and whose calls are late then: the deadlines of all calls that wait,
// whoever holds them. There is no list by time: a deadline rarely passes, so its holders are gone
// through when one does.
//
// One thread at a time (whoever pumps).
#pragma once

#include <cstdint>

#include "store/call.h"

namespace tidegate {

class Deadlines {
 public:
  void watch(CallHolder& holder) { holders_.push_back(&holder); }
  void unwatch(CallHolder& holder) { holders_.remove(&holder); }

  // The holder has the call from here on.
  void hold(Call* call, CallHolder& holder) {
    call->holder = &holder;
    holder.calls.push_back(call);
  }
  // The call leaves its holder, which is told why.
  void release(Call* call, CallHolder::Leaves why) noexcept;
  // Calls that are late leave their holders, for `late`.
  void take_late(int64_t now_us, CallList& late) noexcept;

  // Something new has to be looked at by then.
  void heed(int64_t at_us) {
    if (fresh_us_ == 0 || at_us < fresh_us_) fresh_us_ = at_us;
  }
  // The time to wake up at (0: never), of which `set_us` is what was said before: looked for only
  // when that has passed, or may be too late.
  int64_t next(int64_t now_us, int64_t set_us);

 private:
  List<CallHolder> holders_;
  int64_t fresh_us_ = 0;  // the earliest that was heeded since the last look
};

}  // namespace tidegate
