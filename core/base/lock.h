// SPDX-License-Identifier: MIT
// Locks, and the annotations by which clang's -Wthread-safety knows what they guard.
//
//   Mutex mutex;
//   int count TIDEGATE_GUARDED_BY(mutex) = 0;
//   { const MutexGuard guard(mutex); ++count; }
//
// Mutex is the system's; a Condition is waited for under it. SpinLock (SpinGuard) is one byte, for
// sections of some tens of nanoseconds: who waits looks a moment, then yields, then sleeps, so that
// a holder that lost its core, even to a waiter of higher priority, gets it back. Not recursive,
// not fair.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define TIDEGATE_ATTRIBUTE(x) __attribute__((x))
#else
#define TIDEGATE_ATTRIBUTE(x)
#endif
#define TIDEGATE_CAPABILITY(name) TIDEGATE_ATTRIBUTE(capability(name))
#define TIDEGATE_SCOPED_CAPABILITY TIDEGATE_ATTRIBUTE(scoped_lockable)
#define TIDEGATE_GUARDED_BY(lock) TIDEGATE_ATTRIBUTE(guarded_by(lock))
#define TIDEGATE_PT_GUARDED_BY(lock) TIDEGATE_ATTRIBUTE(pt_guarded_by(lock))
#define TIDEGATE_REQUIRES(...) TIDEGATE_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define TIDEGATE_ACQUIRE(...) TIDEGATE_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define TIDEGATE_TRY_ACQUIRE(...) TIDEGATE_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define TIDEGATE_RELEASE(...) TIDEGATE_ATTRIBUTE(release_capability(__VA_ARGS__))
// For the few functions that hold as many locks as a request has states: beyond the analysis.
#define TIDEGATE_UNCHECKED_LOCKS TIDEGATE_ATTRIBUTE(no_thread_safety_analysis)

namespace tidegate {

class TIDEGATE_CAPABILITY("mutex") SpinLock {
 public:
  void lock() TIDEGATE_ACQUIRE() {
    if (held_.exchange(true, std::memory_order_acquire)) [[unlikely]]
      wait();
  }
  bool try_lock() TIDEGATE_TRY_ACQUIRE(true) {
    return !held_.load(std::memory_order_relaxed) &&
           !held_.exchange(true, std::memory_order_acquire);
  }
  void unlock() TIDEGATE_RELEASE() { held_.store(false, std::memory_order_release); }

 private:
  void wait();

  std::atomic<bool> held_{false};
};

class TIDEGATE_SCOPED_CAPABILITY SpinGuard {
 public:
  explicit SpinGuard(SpinLock& lock) TIDEGATE_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
  ~SpinGuard() TIDEGATE_RELEASE() { lock_.unlock(); }
  SpinGuard(const SpinGuard&) = delete;
  SpinGuard& operator=(const SpinGuard&) = delete;

 private:
  SpinLock& lock_;
};

class TIDEGATE_CAPABILITY("mutex") Mutex {
 public:
  void lock() TIDEGATE_ACQUIRE() { mutex_.lock(); }
  void unlock() TIDEGATE_RELEASE() { mutex_.unlock(); }

 private:
  friend class MutexGuard;
  std::mutex mutex_;
};

class TIDEGATE_SCOPED_CAPABILITY MutexGuard {
 public:
  explicit MutexGuard(Mutex& mutex) TIDEGATE_ACQUIRE(mutex) : lock_(mutex.mutex_) {}
  ~MutexGuard() TIDEGATE_RELEASE() {}
  MutexGuard(const MutexGuard&) = delete;
  MutexGuard& operator=(const MutexGuard&) = delete;

  void unlock() TIDEGATE_RELEASE() { lock_.unlock(); }  // for a while: lock() follows
  void lock() TIDEGATE_ACQUIRE() { lock_.lock(); }

 private:
  friend class Condition;
  std::unique_lock<std::mutex> lock_;
};

class Condition {
 public:
  void wait(MutexGuard& guard) { turn_.wait(guard.lock_); }  // it is held again afterwards
  // The same, for so long at most.
  void wait_for(MutexGuard& guard, int64_t us) {
    turn_.wait_for(guard.lock_, std::chrono::microseconds(us));
  }
  // The same until that time of the monotonic clock, in us, at the latest.
  void wait_until(MutexGuard& guard, int64_t at_us) {
    turn_.wait_until(guard.lock_,
                     std::chrono::steady_clock::time_point(std::chrono::microseconds(at_us)));
  }
  void notify_one() { turn_.notify_one(); }
  void notify_all() { turn_.notify_all(); }

 private:
  std::condition_variable turn_;
};

}  // namespace tidegate
