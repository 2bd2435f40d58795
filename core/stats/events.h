// SPDX-License-Identifier: MIT
// Changes of state that an operator should hear of, once each: to a hook, and kept (the last 64) to
// be asked for.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>

#include "base/result.h"

namespace tidegate {

enum class Level : int32_t { kInfo = 1, kWarning = 2, kError = 3 };

struct Event {
  Level level = Level::kInfo;
  Code code = Code::kOk;
  int64_t wall_us = 0;
  std::string text;  // one line; no secret, no caller's key
};

// Any thread. The hook runs on the thread that reports, with no lock of ours held.
class EventLog {
 public:
  using Hook = void (*)(void* context, const Event& event);
  static constexpr size_t kKept = 64;

  void set_hook(Hook hook, void* context);
  void report(Level level, Code code, std::string text);
  bool next(Event& event);  // the oldest kept, taken; false: none
  int64_t dropped() const;  // pushed out before anybody asked for them

 private:
  mutable std::mutex mutex_;
  std::deque<Event> kept_;
  int64_t dropped_ = 0;
  Hook hook_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace tidegate
