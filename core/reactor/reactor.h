// SPDX-License-Identifier: MIT
// One epoll set holding descriptors, a timer and a wake-up, whose own descriptor any event loop can
// poll. Knows nothing of Valkey. (The rules it follows: one descriptor that any loop can poll;
// drain before sleeping.)
//
// Thread safety: wake() from any thread; everything else from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>

#include "base/list.h"
#include "base/result.h"

struct epoll_event;

namespace tidegate {

class Reactor {
 public:
  // Told of its descriptor's readiness; watches one at a time.
  class Handler {
   public:
    virtual void ready(bool readable, bool writable) = 0;

   protected:
    ~Handler() = default;

   private:
    friend class Reactor;
    friend class List<Handler>;
    int descriptor_ = -1;
    uint32_t events_ = 0;
    Handler *next = nullptr, *previous = nullptr;
  };

  static Result<std::unique_ptr<Reactor>> make();  // kNoMemory: no descriptor left
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  int fd() const { return epoll_; }
  int wake_fd() const { return event_; }  // for who wakes it from where the reactor may be gone
  // Makes fd() readable once. The event is edge-triggered inside the set, and never read.
  void wake();
  // Makes fd() readable at that time of CLOCK_MONOTONIC; 0: never. The last call counts.
  void set_timer(int64_t at_us);
  // Level-triggered. Watching again changes what is watched.
  Status watch(int descriptor, bool read, bool write, Handler& handler);
  // The handler is not called again, not even for what was reported already.
  void unwatch(Handler& handler);

  // In a forked child, and the last that is done with it: closes all descriptors, those that are
  // watched too, and changes nothing that is the parent's.
  void abandon();

  // Waits up to timeout_ms (-1: for ever, 0: looks), runs the handlers; true if anything was
  // reported.
  bool poll(int timeout_ms);

 private:
  Reactor(int epoll, int event, int timer) : epoll_(epoll), event_(event), timer_(timer) {}

  const int epoll_, event_, timer_;
  int64_t timer_at_us_ = 0;
  List<Handler> watched_;
  epoll_event* reported_ = nullptr;  // of the poll that is under way
  int reported_count_ = 0;
};

}  // namespace tidegate
