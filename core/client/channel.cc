// SPDX-License-Identifier: MIT
#include "client/channel.h"

#include <algorithm>
#include <cassert>

namespace tidegate {
namespace {

// A server that does not stop sending may not keep a round of the pump from its deadlines: behind
// so many looks at the reactor it has so long.
constexpr int kFreeLooks = 32;
constexpr int64_t kMostDrainUs = 20'000;

}  // namespace

Channel::Channel(StoreContext& store, Reactor& reactor)
    : store_(store),
      reactor_(reactor),
      late_why_("no answer from " + store.where + " within the deadline"),
      inbox_(reactor),
      route_(store, reactor, deadlines_) {
  deadlines_.watch(alarm_);
}

void Channel::submit(Call* call, From from) {
  // Once it is queued, the call is the pump's.
  const int64_t deadline_us = store_.timeline.now_us() + store_.timeout_us(*call);
  call->deadline_us = deadline_us;
  call->text.clear();
  if (inbox_.is_shut())
    return finish_by_policy(store_, call, Code::kClosed, "the client is closed");
  if (route_.of(*call).refuses(call)) return;
  if (!inbox_.push(call)) return finish_by_policy(store_, call, Code::kCanceled, "canceled");
  if (from == From::kAnyThread) return inbox_.wake_by(deadline_us);
  if (!route_.full() && inbox_.queued() >= route_.early_flush_size()) flush();
}

void Channel::listen(Listener::Hearer& hearer) {
  if (!listener_) listener_ = std::make_unique<Listener>(store_, reactor_, hearer);
  if (!is_shut()) listener_->listen();
}

void Channel::stage(CallList& fresh) noexcept {
  while (Call* call = fresh.pop_front()) {
    deadlines_.hold(call, route_.of(*call));
    deadlines_.heed(call->deadline_us);
  }
}

void Channel::flush() noexcept {
  CallList fresh;
  inbox_.take(fresh);
  stage(fresh);
  route_.for_each([](Node& node) { node.flush(); });
}

void Channel::settle_cancels() noexcept {
  CallList fresh;
  Call* canceled = inbox_.take_canceled(fresh);
  stage(fresh);
  while (Call* call = canceled) {
    canceled = call->next_canceled;
    deadlines_.release(call, CallHolder::Leaves::kCanceled);
    finish_by_policy(store_, call, Code::kCanceled, "canceled");
  }
}

void Channel::expire(int64_t now_us) noexcept {
  CallList late;
  deadlines_.take_late(now_us, late);
  if (alarm_.at_us <= now_us) alarm_.at_us = 0;  // the timer woke its host
  while (Call* call = late.pop_front()) {
    const std::string_view why = call->text.empty() ? std::string_view(late_why_) : call->text;
    finish_by_policy(store_, call, Code::kTimedOut, why);
  }
  route_.for_each([now_us](Node& node) { node.judge(now_us); });
}

void Channel::set_timer(int64_t now_us) noexcept {
  const int64_t set_us = inbox_.promised_us();
  const int64_t next_us = deadlines_.next(now_us, set_us);
  if (next_us == set_us) return;
  inbox_.promise(next_us);
  reactor_.set_timer(next_us);
}

void Channel::drain() {
  int64_t end_us = 0;
  for (int looks = 1; reactor_.poll(0); ++looks) {
    if (looks % kFreeLooks != 0) continue;
    const int64_t now_us = store_.timeline.now_us();
    if (end_us == 0) end_us = now_us + kMostDrainUs;
    if (now_us < end_us) continue;
    reactor_.wake();  // there is more
    return;
  }
}

void Channel::pump() noexcept {
  drain();
  route_.for_each([](Node& node) { node.look(); });
  if (listener_) listener_->look();
  settle_cancels();
  if (inbox_.is_shut()) {
    CallList fresh;
    inbox_.take(fresh);
    stage(fresh);
    route_.for_each([](Node& node) {
      node.shut();
      node.fail_all(Code::kClosed, "the client is closed");
    });
  }
  // Only now, with the socket read dry: a late host must not turn an answer that is here into a
  // timeout.
  const int64_t now_us = store_.timeline.now_us();
  const int64_t timer_us = inbox_.promised_us();
  if (timer_us != 0 && now_us >= timer_us) expire(now_us);
  flush();
  set_timer(now_us);
}

void Channel::send_queued() noexcept {
  flush();
  set_timer(store_.timeline.now_us());
}

void Channel::arm() noexcept {
  while (true) {
    // With no room in flight a reply must come anyway, or a deadline.
    if (route_.full() && inbox_.promised_us() != 0) return inbox_.disarm();
    inbox_.arm();
    if (inbox_.idle()) return;
    inbox_.disarm();
    send_queued();
    if (route_.will_hear() && inbox_.promised_us() != 0) return;
  }
}

}  // namespace tidegate
