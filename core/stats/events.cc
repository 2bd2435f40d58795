// SPDX-License-Identifier: MIT
#include "stats/events.h"

#include <chrono>

#include "stats/history.h"

namespace tidegate {

void EventLog::set_hook(Hook hook, void* context) {
  MutexGuard held(mutex_);
  hook_ = hook;
  context_ = context;
  const uint64_t before = setting_++;
  const auto me = std::this_thread::get_id();
  for (const Run& run : runs_)
    if (run.thread == me) return;
  for (auto run = runs_.begin(); run != runs_.end();) {
    if (run->setting > before) {
      ++run;
      continue;
    }
    ended_.wait(held);
    run = runs_.begin();
  }
}

void EventLog::report(Level level, Code code, std::string text) {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  Event event{level, code, std::chrono::duration_cast<std::chrono::microseconds>(wall).count(),
              std::move(text)};
  if (history_) history_->add(level, code, event.wall_us, event.text);
  MutexGuard held(mutex_);
  if (kept_.size() == kKept) {
    kept_.pop_front();
    ++dropped_;
  }
  kept_.push_back(event);
  if (!hook_) return;
  const Hook hook = hook_;
  void* const context = context_;
  runs_.push_front({std::this_thread::get_id(), setting_});
  const auto run = runs_.begin();
  held.unlock();
  hook(context, event);
  held.lock();
  runs_.erase(run);
  ended_.notify_all();
}

bool EventLog::next(Event& event) {
  const MutexGuard held(mutex_);
  if (kept_.empty()) return false;
  event = std::move(kept_.front());
  kept_.pop_front();
  return true;
}

int64_t EventLog::dropped() const {
  const MutexGuard held(mutex_);
  return dropped_;
}

}  // namespace tidegate
