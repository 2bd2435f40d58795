// SPDX-License-Identifier: MIT
// A sliding log at rest. Up to one charge lives in the slot itself, more in one contiguous buffer
// that the log owns.
//
//   SlidingLog view = SlidingLog::at(limit, log.span(), now_us);
//   view.charge(limit, cost);
//   if (!log.keep(view, quota)) log.squeeze(view);
//
// A log that gets no memory is squeezed: its newest charges count as made now. They are remembered
// for longer than they should be, so that less passes than might, never more. Guarded by its
// shard's lock; memory is zero in a fresh slot. The owner calls release() before forgetting it.
#pragma once

#include "limiter/sliding_log.h"
#include "limiter/state.h"
#include "store/memory/budget.h"

namespace tidegate {

struct LogBuffer {
  int64_t base;          // the sum before the first live entry
  uint32_t head, count;  // which entries are live
  uint32_t capacity;     // entries there is room for
  LogEntry* entries() { return reinterpret_cast<LogEntry*>(this + 1); }
};

struct Log {
  LogBuffer* buffer;  // null: `only` is all there is
  LogEntry only;      // total 0: there is none

  LogSpan span() const;
  bool far_ahead(int64_t now_us) const { return SlidingLog::far_ahead(span(), now_us); }
  int64_t bytes() const;  // outside of the slot

  // Puts a view of this log back. False: it had to grow and could not; nothing has changed.
  // Amortised O(1).
  bool keep(const SlidingLog& view, Quota& quota);
  // Puts it back without growing.
  void squeeze(const SlidingLog& view);
  int64_t release(Quota& quota);  // returns the bytes

 private:
  bool appends(const SlidingLog& view) const;
  void keep_only(const SlidingLog& view);
  void cut(const SlidingLog& view);
  void move_to_front();
  bool resize(uint32_t capacity, Quota& quota);
};

}  // namespace tidegate
