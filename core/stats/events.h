// SPDX-License-Identifier: MIT
// Changes of state that an operator should hear of, once each: to a hook, and kept (the last 64) to
// be asked for.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <thread>

#include "base/lock.h"
#include "base/result.h"

namespace tidegate {

enum class Level : int32_t { kInfo = 1, kWarning = 2, kError = 3 };

struct Event {
  Level level = Level::kInfo;
  Code code = Code::kOk;
  int64_t wall_us = 0;
  std::string text;  // one line; no secret, no caller's key
};

class History;

// Any thread. The hook runs on the thread that reports, with no lock of ours held.
class EventLog {
 public:
  using Hook = void (*)(void* context, const Event& event);
  static constexpr size_t kKept = 64;

  // The history (or null) is told of every event, and outlives this.
  explicit EventLog(History* history = nullptr) : history_(history) {}

  // Once it has returned the hook before it neither runs nor will: its context may go. Called by a
  // hook it does not wait, since that would be for itself: then the running one ends with its
  // return.
  void set_hook(Hook hook, void* context);
  void report(Level level, Code code, std::string text);
  bool next(Event& event);  // the oldest kept, taken; false: none
  int64_t dropped() const;  // pushed out before anybody asked for them

 private:
  History* const history_;
  mutable Mutex mutex_;
  Condition ended_;  // a hook's run
  std::deque<Event> kept_ TIDEGATE_GUARDED_BY(mutex_);
  int64_t dropped_ TIDEGATE_GUARDED_BY(mutex_) = 0;
  Hook hook_ TIDEGATE_GUARDED_BY(mutex_) = nullptr;
  void* context_ TIDEGATE_GUARDED_BY(mutex_) = nullptr;
  // Hooks that run: on which thread, and which setting it was.
  struct Run {
    std::thread::id thread;
    uint64_t setting;
  };
  std::list<Run> runs_ TIDEGATE_GUARDED_BY(mutex_);
  uint64_t setting_ TIDEGATE_GUARDED_BY(mutex_) = 0;
};

}  // namespace tidegate
