// SPDX-License-Identifier: MIT
// A node's connection, and when it is lost, left alone, given up.
#include "store/valkey/node.h"

#include <algorithm>
#include <new>
#include <utility>

#include "store/valkey/errors.h"

namespace tidegate {

Node::Node(StoreContext& store, Reactor& reactor, Deadlines& deadlines)
    : store_(store),
      deadlines_(deadlines),
      lost_why_("the connection to " + store.where + " was lost"),
      backoff_(store.timeline.seed()),
      connection_(store, reactor, *this) {
  for (std::optional<Slot>& slot : slots_) deadlines.watch(slot.emplace(*this));
  deadlines.watch(*this);  // behind the slots: let_go() asks what became of them
}

Node::~Node() {
  ending_ = true;
  for (std::optional<Slot>& slot : slots_) deadlines_.unwatch(*slot);
  deadlines_.unwatch(*this);
}

bool Node::refuses(Call* call) {
  const int64_t now_us = store_.timeline.now_us();
  const Breaker::Gate gate = store_.health.admit(now_us);
  const bool down = now_us < down_until_us_.load(std::memory_order_acquire);
  if (gate == Breaker::Gate::kPass && !down) return false;
  if (gate == Breaker::Gate::kProbe) {
    down_until_us_.store(0, std::memory_order_release);
    return false;
  }
  Health::Away away = store_.health.away();
  std::string why = "the store at " + store_.where + " is away";
  if (!away.why.empty()) why.append(": ").append(away.why);
  finish_by_policy(store_, call, refusal_of(away.code), why);
  return true;
}

void Node::connect(int64_t now_us) noexcept {
  if (shut_) return;
  connect_by_us_ = now_us + store_.options.connect_timeout_ms * 1'000;
  deadlines_.heed(connect_by_us_);
  try {
    connection_.connect();
  } catch (const std::bad_alloc&) {
    connection_.drop(Code::kNoMemory, "no memory");
  }
}

void Node::look() noexcept {
  try {
    connection_.look();
  } catch (const std::bad_alloc&) {
    connection_.drop(Code::kNoMemory, "no memory");
  }
}

void Node::connected() noexcept {
  connect_by_us_ = 0;
  program_loaded_ = proved_ = false;
  down_until_us_.store(0, std::memory_order_release);
  store_.counters.add(Counter::kConnects);
  store_.health.connected();
}

void Node::disconnected(Code code, std::string_view why) noexcept {
  const bool was_connecting = connect_by_us_ != 0;
  connect_by_us_ = 0;
  if (shut_) return;
  // A replica is there, and answers: it is looked for another, but nothing has failed.
  if (is_demotion(code))
    store_.health.refused(code, why);
  else
    store_.health.failed(code, why);
  // A connection on which nothing was ever understood was of no more use than none.
  if (!was_connecting && proved_) return;
  down_until_us_.store(store_.timeline.now_us() + backoff_.next_us(), std::memory_order_release);
  fail_waiting(code, why);
}

bool Node::was_patient(int64_t waited_us) const {
  return waited_us >= store_.timeout_us() - store_.timeout_us() / 10;
}

bool Node::all_overdue() const {
  return full() && std::ranges::all_of(slots_, [](const std::optional<Slot>& slot) {
           return !slot->exchange || slot->overdue;
         });
}

// A call that was never sent says nothing about the server, unless what was sent before it has long
// been without an answer, and left it no room.
void Node::let_go(Call& call, Leaves why) noexcept {
  if (why != Leaves::kLate) return;
  const bool patient = call.timeout_us == 0 || was_patient(call.timeout_us);
  if (patient && all_overdue()) missed_ = true;
  if (operation(call.op).decides || !connecting()) return;
  try {
    call.text = "no connection to " + store_.where + " within the deadline: ";
    call.text.append(connection_.waits_for());
  } catch (const std::bad_alloc&) {
    call.text.clear();
  }
}

void Node::Slot::let_go(Call& call, Leaves why) noexcept {
  exchange->let_go(call);
  if (why != Leaves::kLate || overdue || !node.was_patient(call.deadline_us - sent_us)) return;
  overdue = node.missed_ = true;
}

int64_t Node::Slot::due_us() const {
  if (!exchange) return 0;
  const bool unheard = !overdue && calls.empty();
  return unheard ? sent_us + node.store_.timeout_us() : give_up_us();
}

void Node::judge(int64_t now_us) noexcept {
  bool failed = std::exchange(missed_, false), silent = false;
  for (std::optional<Slot>& slot : slots_) {
    if (!slot->exchange) continue;
    if (!slot->overdue && slot->calls.empty() && now_us >= slot->due_us())
      failed = slot->overdue = true;
    silent |= now_us >= slot->give_up_us();
  }
  if (connect_by_us_ != 0 && now_us >= connect_by_us_) {
    try {
      connection_.drop(
          Code::kConnect,
          std::string("no connection within connect_timeout_ms: ").append(connection_.waits_for()));
    } catch (const std::bad_alloc&) {
      connection_.drop(Code::kConnect, "no connection");
    }
  } else if (silent) {  // half open, whatever the breaker thinks
    connection_.drop(Code::kTimedOut, "nothing has come for too long");
  } else if (failed && store_.health.failed(Code::kTimedOut, "no answer within the deadline") &&
             connection_.state() == Connection::State::kReady) {
    // A socket that does not answer may be half open: the probe starts with a new one. One that is
    // being connected has a time of its own.
    connection_.drop(Code::kTimedOut, "given up after failed round trips");
  }
}

}  // namespace tidegate
