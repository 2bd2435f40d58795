// SPDX-License-Identifier: MIT
// The way of calls to servers and back, for one ring or for all blocking callers: an inbox that any
// thread fills, deadlines, and the route's nodes, pumped by one thread at a time.
#pragma once

#include <memory>
#include <string>

#include "store/deadlines.h"
#include "store/inbox.h"
#include "store/valkey/listener.h"
#include "store/valkey/route.h"

namespace tidegate {

class Channel {
 public:
  enum class From : uint8_t { kPump, kAnyThread };

  Channel(StoreContext& store, Reactor& reactor);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Any thread. Takes the call: its sink is told once, perhaps from within.
  void submit(Call* call, From from);
  void cancel(Call* call) { inbox_.cancel(call); }  // kCanceled, if it is still out
  void shut() { inbox_.shut(); }                    // everything is completed with kClosed
  bool is_shut() const { return inbox_.is_shut(); }

  // One thread at a time.

  // Handles what is ready, judges deadlines, sends what is queued; does not block. Bounded, however
  // much a server sends.
  void pump() noexcept;
  // The end of a loop's tick: sends what is queued, as far as there is room.
  void send_queued() noexcept;
  // Its host may sleep: whoever submits next wakes it. Behind it the reactor will be woken by a
  // submitter, or by its timer.
  void arm() noexcept;
  void disarm() { inbox_.disarm(); }
  bool idle() const { return inbox_.idle(); }
  bool in_flight() const { return route_.in_flight(); }
  // Its host wants to look at something of its own by then.
  void look_at(int64_t at_us) {
    alarm_.at_us = at_us;
    deadlines_.heed(at_us);
  }
  // Somebody waits for what other processes do: the hearer, always the same, is told of it.
  void listen(Listener::Hearer& hearer);
  int64_t round_trip_us() const { return route_.round_trip_us(); }  // smoothed; 0: none yet

 private:
  struct Alarm final : CallHolder {
    int64_t due_us() const override { return at_us; }
    int64_t at_us = 0;
  };
  void drain();
  void flush() noexcept;
  void settle_cancels() noexcept;
  void expire(int64_t now_us) noexcept;
  void set_timer(int64_t now_us) noexcept;
  void stage(CallList& fresh) noexcept;

  StoreContext& store_;
  Reactor& reactor_;
  const std::string late_why_;
  Inbox inbox_;
  Deadlines deadlines_;
  Alarm alarm_;
  Route route_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace tidegate
