// SPDX-License-Identifier: MIT
// Locks, and the annotations by which clang's -Wthread-safety knows what each guards.
//
//   Mutex mutex;                                 SpinLock lock;
//   int count TIDEGATE_GUARDED_BY(mutex) = 0;    int count TIDEGATE_GUARDED_BY(lock) = 0;
//   { MutexLock held(mutex); ++count; }          { SpinGuard guard(lock); ++count; }
//
// A Mutex sleeps: for whatever allocates, does I/O or waits for somebody. A SpinLock is one byte,
// for sections of some tens of nanoseconds: who waits looks a moment, then yields, then sleeps, so
// that a holder that lost its core, even to a waiter of higher priority, gets it back. Neither is
// recursive or fair.
#pragma once

#include <atomic>
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
#define TIDEGATE_EXCLUDES(...) TIDEGATE_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define TIDEGATE_ACQUIRE(...) TIDEGATE_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define TIDEGATE_TRY_ACQUIRE(...) TIDEGATE_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define TIDEGATE_RELEASE(...) TIDEGATE_ATTRIBUTE(release_capability(__VA_ARGS__))
// For the few functions that hold as many locks as a request has states: beyond the analysis.
#define TIDEGATE_UNCHECKED_LOCKS TIDEGATE_ATTRIBUTE(no_thread_safety_analysis)

namespace tidegate {

class TIDEGATE_CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() TIDEGATE_ACQUIRE() { mutex_.lock(); }
  bool try_lock() TIDEGATE_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
  void unlock() TIDEGATE_RELEASE() { mutex_.unlock(); }

 private:
  friend class Condition;
  std::mutex mutex_;
};

// Held until the end of its scope, but for what lies between unlock() and lock().
class TIDEGATE_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) TIDEGATE_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() TIDEGATE_RELEASE() {
    if (held_) mutex_.unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void unlock() TIDEGATE_RELEASE() {
    held_ = false;
    mutex_.unlock();
  }
  void lock() TIDEGATE_ACQUIRE() {
    mutex_.lock();
    held_ = true;
  }

 private:
  Mutex& mutex_;
  bool held_ = true;
};

// What threads that hold a Mutex wait for. It may wake for nothing: wait in a loop.
class Condition {
 public:
  void wait(Mutex& mutex) TIDEGATE_REQUIRES(mutex) {
    std::unique_lock<std::mutex> held(mutex.mutex_, std::adopt_lock);
    turn_.wait(held);
    static_cast<void>(held.release());  // still the caller's
  }
  void notify_one() { turn_.notify_one(); }
  void notify_all() { turn_.notify_all(); }

 private:
  std::condition_variable turn_;
};

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

}  // namespace tidegate
