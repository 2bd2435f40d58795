// SPDX-License-Identifier: MIT
// Blocking callers of a server: whoever calls pumps, and carries the others' requests along (group
// commit). One whose answer has come hands the pump over before it returns, so no waiter is ever
// left without a pumper.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>

#include "reactor/reactor.h"
#include "store/valkey/channel.h"

namespace tidegate {

// Any thread.
class SyncDriver {
 public:
  static Result<std::unique_ptr<SyncDriver>> make(StoreContext& store);
  ~SyncDriver();

  // Submits the calls and returns when every one is answered.
  void run(std::span<Call* const> calls);
  Channel& channel() { return channel_; }
  void abandon() { reactor_->abandon(); }

 private:
  SyncDriver(StoreContext& store, std::unique_ptr<Reactor> reactor)
      : store_(store), reactor_(std::move(reactor)), channel_(store, *reactor_) {}

  // A thread in run().
  struct Waiter final : CallSink {
    explicit Waiter(SyncDriver& of) : driver(of) {}
    void done(Call* call) override;

    SyncDriver& driver;
    size_t pending = 0;            // guarded by driver.mutex_
    std::atomic<bool> all{false};  // pending is 0
    std::condition_variable turn;
    Waiter* next = nullptr;
  };

  void pump_for(Waiter& waiter);
  bool look_first(const Waiter& waiter);
  void hand_over(const Waiter* from);

  StoreContext& store_;
  const std::unique_ptr<Reactor> reactor_;
  Channel channel_;

  std::mutex mutex_;  // guards what follows
  bool pumping_ = false;
  Waiter* waiters_ = nullptr;

  // The pump's own: is looking worth it?
  int misses_ = 0;
  int rest_ = 0;
};

}  // namespace tidegate
