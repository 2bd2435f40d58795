// SPDX-License-Identifier: MIT
// Where calls wait for whoever pumps: a queue that any thread fills, cancellations, and whether
// somebody sleeps who must be woken. Knows no socket, no deadline's meaning, no operation.
//
// It has no bound of its own: a ring has as many calls as its capacity, and a blocking caller a
// portion at a time.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/lock.h"
#include "reactor/reactor.h"
#include "store/call.h"

namespace tidegate {

class Inbox {
 public:
  explicit Inbox(Reactor& reactor) : reactor_(reactor) {}

  // Any thread.

  // False: the call was canceled on its way here, and is still its owner's.
  bool push(Call* call);
  // After a push by a thread that does not pump: wakes the pump where it sleeps and nothing would
  // wake it by then.
  void wake_by(int64_t deadline_us) {
    const bool armed = armed_.exchange(false, std::memory_order_seq_cst);
    const int64_t timer_us = timer_us_.load(std::memory_order_seq_cst);
    if (armed || (timer_us != 0 && deadline_us < timer_us)) reactor_.wake();
  }
  // Means the present submission (call->sequence); the pump finds it in take_canceled.
  void cancel(Call* call);
  // Nothing is taken any more: the pump completes everything with kClosed.
  void shut() {
    shut_.store(true, std::memory_order_release);
    reactor_.wake();
  }
  bool is_shut() const { return shut_.load(std::memory_order_acquire); }
  size_t queued() const { return queued_.load(std::memory_order_relaxed); }
  bool idle() const { return queued_.load(std::memory_order_seq_cst) == 0; }

  // The pump, which is one thread at a time.

  // Everything that is queued, in order.
  void take(CallList& calls);
  // The same, and the calls that were canceled and have not been answered: each is either in
  // `calls` or with a holder. Through next_canceled.
  Call* take_canceled(CallList& calls);

  // Whoever pushes next shall wake the reactor. Behind it the queue has to be looked at once more.
  void arm() { armed_.store(true, std::memory_order_seq_cst); }
  void disarm() { armed_.store(false, std::memory_order_release); }
  bool armed() const { return armed_.load(std::memory_order_relaxed); }
  // When the reactor wakes up by itself; 0: never.
  void promise(int64_t timer_us) { timer_us_.store(timer_us, std::memory_order_release); }
  int64_t promised_us() const { return timer_us_.load(std::memory_order_relaxed); }

 private:
  void take_queue(CallList& calls) TIDEGATE_REQUIRES(mutex_);

  Reactor& reactor_;
  Mutex mutex_;  // nothing slow happens under it
  CallList queue_ TIDEGATE_GUARDED_BY(mutex_);
  Call* canceled_ TIDEGATE_GUARDED_BY(mutex_) = nullptr;
  std::atomic<size_t> queued_{0};
  std::atomic<bool> armed_{false}, shut_{false};
  std::atomic<bool> any_canceled_{false};  // a look without the lock
  std::atomic<int64_t> timer_us_{0};
};

}  // namespace tidegate
