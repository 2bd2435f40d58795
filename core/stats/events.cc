// SPDX-License-Identifier: MIT
#include "stats/events.h"

#include <chrono>

namespace tidegate {

void EventLog::set_hook(Hook hook, void* context) {
  std::scoped_lock lock(mutex_);
  hook_ = hook;
  context_ = context;
}

void EventLog::report(Level level, Code code, std::string text) {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  Event event{level, code, std::chrono::duration_cast<std::chrono::microseconds>(wall).count(),
              std::move(text)};
  Hook hook;
  void* context;
  {
    std::scoped_lock lock(mutex_);
    if (kept_.size() == kKept) {
      kept_.pop_front();
      ++dropped_;
    }
    kept_.push_back(event);
    hook = hook_;
    context = context_;
  }
  if (hook) hook(context, event);
}

bool EventLog::next(Event& event) {
  std::scoped_lock lock(mutex_);
  if (kept_.empty()) return false;
  event = std::move(kept_.front());
  kept_.pop_front();
  return true;
}

int64_t EventLog::dropped() const {
  std::scoped_lock lock(mutex_);
  return dropped_;
}

}  // namespace tidegate
