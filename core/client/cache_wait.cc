// SPDX-License-Identifier: MIT
// A blocking caller of a cache, and how it waits for somebody else's fill.
#include "client/client.h"

namespace tidegate {
namespace {

class Waiter final : public CallSink {
 public:
  explicit Waiter(CacheDesk& desk, const Timeline& timeline) : desk_(desk), timeline_(timeline) {}

  void done(Call*) noexcept override {
    const MutexGuard guard(mutex_);
    told_ = true;
    turn_.notify_one();
  }

  // Until it is told, which a look at the desk may do.
  void wait() {
    int64_t due_us = 0;
    while (true) {
      const int64_t now_us = timeline_.now_us();
      if (now_us >= due_us) due_us = desk_.look(this, now_us);
      MutexGuard guard(mutex_);
      if (!told_ && due_us != 0) turn_.wait_until(guard, due_us);
      if (!told_) continue;
      told_ = false;
      return;
    }
  }

 private:
  CacheDesk& desk_;
  const Timeline& timeline_;
  Mutex mutex_;
  Condition turn_;
  bool told_ TIDEGATE_GUARDED_BY(mutex_) = false;
};

}  // namespace

void Client::run_cache(Call& call) {
  Waiter waiter(desk_, timeline_);
  while (true) {
    call.sink = &waiter;
    CacheDesk::Then then = desk_.begin(call);
    if (then == CacheDesk::Then::kSend) {
      Call* const one = &call;
      run({&one, 1});
      call.sink = &waiter;
      then = desk_.settle(call);
    }
    if (then != CacheDesk::Then::kParked) return;
    waiter.wait();
    if (call.cache->phase == CacheAsk::Phase::kAnswered) return;
  }
}

}  // namespace tidegate
