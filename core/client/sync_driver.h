// SPDX-License-Identifier: MIT
// Blocking callers of a server: whoever calls pumps, and carries the others' requests along (group
// commit). One whose answer has come hands the pump over before it returns, so no waiter is ever
// left without a pumper.
#pragma once

#include <atomic>
#include <memory>
#include <span>

#include "base/lock.h"
#include "client/channel.h"
#include "reactor/reactor.h"

namespace tidegate {

// Any thread.
class SyncDriver {
 public:
  // So many of one caller's calls are out at a time: the bound of what is queued here, for each
  // thread that calls.
  static constexpr size_t kPortion = 4'096;

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
    void done(Call* call) noexcept override;

    SyncDriver& driver;
    size_t pending = 0;            // guarded by driver.mutex_
    std::atomic<bool> all{false};  // pending is 0
    Condition turn;
    Waiter* next = nullptr;
  };

  void run_portion(std::span<Call* const> calls);
  void pump_for(Waiter& waiter) noexcept;
  bool spin_for_reply(const Waiter& waiter);
  void hand_over(const Waiter* from) TIDEGATE_REQUIRES(mutex_);

  StoreContext& store_;
  const std::unique_ptr<Reactor> reactor_;
  Channel channel_;

  Mutex mutex_;
  bool pumping_ TIDEGATE_GUARDED_BY(mutex_) = false;
  Waiter* waiters_ TIDEGATE_GUARDED_BY(mutex_) = nullptr;

  // The pump's own: is looking worth it?
  int misses_ = 0;
  int rest_ = 0;
};

}  // namespace tidegate
