// SPDX-License-Identifier: MIT
#include "client/sync_driver.h"

#include <algorithm>
#include <new>

#include "base/time.h"

namespace tidegate {
namespace {

constexpr int64_t kNear = 4;    // times spin_us: only so short a round trip is worth looking for
constexpr int kMostMisses = 4;  // in a row, and then
constexpr int kRestCalls = 64;  // so many calls sleep at once

}  // namespace

Result<std::unique_ptr<SyncDriver>> SyncDriver::make(StoreContext& store) {
  auto reactor = Reactor::make();
  if (!reactor) return reactor.error();
  return std::unique_ptr<SyncDriver>(new SyncDriver(store, std::move(*reactor)));
}

SyncDriver::~SyncDriver() = default;

void SyncDriver::Waiter::done(Call*) noexcept {
  const MutexGuard guard(driver.mutex_);
  if (--pending > 0) return;
  all.store(true, std::memory_order_release);
  turn.notify_one();
}

void SyncDriver::run(std::span<Call* const> calls) {
  for (; calls.size() > kPortion; calls = calls.subspan(kPortion))
    run_portion(calls.first(kPortion));
  run_portion(calls);
}

// Throws nothing once the first call is out: the waiter is on this thread's stack.
void SyncDriver::run_portion(std::span<Call* const> calls) {
  Waiter waiter(*this);
  waiter.pending = calls.size();
  for (Call* call : calls) {
    call->sink = &waiter;
    try {
      channel_.submit(call, Channel::From::kAnyThread);
    } catch (const std::bad_alloc&) {  // before it was queued
      call->fail_bare(Code::kNoMemory);
      call->finish();
    }
  }
  MutexGuard guard(mutex_);
  if (waiter.pending == 0) return;
  waiter.next = waiters_;
  waiters_ = &waiter;
  while (waiter.pending > 0) {
    if (pumping_) {
      waiter.turn.wait(guard);
      continue;
    }
    pumping_ = true;
    guard.unlock();
    pump_for(waiter);
    guard.lock();
    pumping_ = false;
    hand_over(&waiter);
  }
  Waiter** at = &waiters_;
  while (*at != &waiter) at = &(*at)->next;
  *at = waiter.next;
}

// Wakes one waiter whose answer has not come: it finds nobody pumping.
void SyncDriver::hand_over(const Waiter* from) {
  for (Waiter* waiter = waiters_; waiter; waiter = waiter->next) {
    if (waiter == from || waiter->pending == 0) continue;
    waiter->turn.notify_one();
    return;
  }
}

void SyncDriver::pump_for(Waiter& waiter) noexcept {
  while (true) {
    channel_.pump();
    if (waiter.all.load(std::memory_order_acquire)) return;
    if (spin_for_reply(waiter)) continue;
    channel_.arm();
    if (waiter.all.load(std::memory_order_acquire)) return;
    reactor_->poll(-1);
    channel_.disarm();
  }
}

// Most of a loopback round trip is the sleep and the wake-up, so who would block anyway looks for a
// moment first: only while round trips are short, for at most one and a half of them, and not after
// some misses in a row. True: there is something to do.
bool SyncDriver::spin_for_reply(const Waiter& waiter) {
  const int64_t usual_us = channel_.round_trip_us();
  if (!channel_.in_flight() || usual_us == 0 || usual_us > kNear * store_.options.spin_us ||
      rest_ > 0) {
    rest_ = std::max(0, rest_ - 1);
    return false;
  }
  const int64_t most_us = std::min(store_.options.spin_us, usual_us + usual_us / 2);
  for (const int64_t end_us = store_.timeline.now_us() + most_us;
       store_.timeline.now_us() < end_us;) {
    if (reactor_->poll(0) || waiter.all.load(std::memory_order_relaxed) || !channel_.idle()) {
      misses_ = 0;
      return true;
    }
  }
  if (++misses_ < kMostMisses) return false;
  misses_ = 0;
  rest_ = kRestCalls;
  return false;
}

}  // namespace tidegate
