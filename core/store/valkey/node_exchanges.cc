// SPDX-License-Identifier: MIT
// A node's exchanges: from calls that wait to a command, and from its reply to answers.
#include <hiredis/hiredis.h>

#include <algorithm>
#include <memory>
#include <new>

#include "store/valkey/errors.h"
#include "store/valkey/node.h"

namespace tidegate {

// What numbers a limiter's name stands for, on its way; it deletes itself with the reply.
class Node::Note final : public Connection::ReplyTaker {
 public:
  Note(StoreContext& store, SpecNotes::Note note) : store_(store), note_(std::move(note)) {}

  void take(const redisReply* reply) noexcept override {
    const std::unique_ptr<Note> self(this);
    if (!reply || (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_NIL)) return;
    try {
      store_.notes.heard(note_, text_of(reply));
    } catch (const std::bad_alloc&) {  // it is told again
    }
  }
  std::string command() const { return store_.notes.command(note_); }

 private:
  StoreContext& store_;
  const SpecNotes::Note note_;
};

void Node::announce(const Call& call, int64_t now_us) {
  for (const Part& part : call.parts) {
    if (!SpecNotes::due(*part.limiter, now_us)) continue;
    auto made = store_.notes.make(*part.limiter);
    if (!made) continue;
    auto note = std::make_unique<Note>(store_, std::move(*made));
    if (connection_.send(note->command(), 0, note.get())) static_cast<void>(note.release());
  }
}

// Half as many as are in flight, or, where the server has nothing to do, half of a crowd that was
// just answered and asks again: it is at them while the others ask. A lone caller has nobody to
// wait for.
size_t Node::early_flush_size() const {
  if (in_flight_ > 0) return calls_in_flight_;
  const bool crowd = last_answered_ == 1 || last_answered_ >= kCrowd;
  return crowd ? (last_answered_ + 1) / 2 : SIZE_MAX;
}

Node::Slot* Node::free_slot() {
  for (std::optional<Slot>& slot : slots_)
    if (!slot->exchange) return &*slot;
  return nullptr;
}

// Moves calls that wait into the slot's exchange, in order, as many as fit.
void Node::fill(Slot& slot) {
  const auto take = [&](auto& exchange, Family family) {
    slot.exchange = &exchange;
    while (Call* call = calls.front()) {
      if (operation(call->op).family != family || !exchange.add(*call)) break;
      calls.remove(call);
      deadlines_.hold(call, slot);
      slot.patience_us = std::max(slot.patience_us, call->deadline_us - slot.sent_us);
      announce(*call, slot.sent_us);
    }
  };
  switch (operation(calls.front()->op).family) {
    case Family::kLimiter:
      return take(slot.run, Family::kLimiter);
    case Family::kCommand:
      return take(slot.command, Family::kCommand);
    case Family::kCache:
      return take(slot.cache, Family::kCache);
    case Family::kNone:
      return take(slot.ping, Family::kNone);
  }
}

bool Node::write(Slot& slot) {
  return connection_.send(slot.exchange->command(slot.as_source), slot.exchange->most_reply_bytes(),
                          &slot);
}

bool Node::send_one(int64_t now_us) noexcept {
  Slot& slot = *free_slot();
  slot.sent_us = now_us;
  slot.patience_us = store_.timeout_us();
  slot.as_source = slot.overdue = false;
  slot.size = 0;
  ++in_flight_;
  try {
    fill(slot);
    slot.size = slot.calls.size();
    calls_in_flight_ += slot.size;
    last_answered_ = 0;
    if (!slot.exchange->is_own()) store_.counters.add(Counter::kBatches);
    if (const size_t merged = slot.exchange->merged())
      store_.counters.add(Counter::kMerged, static_cast<int64_t>(merged));
    if (write(slot)) return true;
  } catch (const std::bad_alloc&) {
    // The one that did not fit in waits for nothing.
    if (slot.calls.empty())
      finish_by_policy(store_, calls.pop_front(), Code::kNoMemory, "no memory for a command");
  }
  fail_slot(slot, Code::kNoMemory, "no memory for a command");
  return false;
}

void Node::flush() noexcept {
  if (calls.empty()) return;
  const int64_t now_us = store_.timeline.now_us();
  if (connection_.state() == Connection::State::kReady) {
    bool sent = false;
    while (!calls.empty() && !full()) sent |= send_one(now_us);
    if (sent) connection_.flush();
  }
  // From the start, or because writing found it gone.
  if (connection_.state() != Connection::State::kClosed || calls.empty() || shut_) return;
  if (now_us >= down_until_us_.load(std::memory_order_relaxed)) return connect(now_us);
  try {
    const Health::Away away = store_.health.away();
    fail_waiting(refusal_of(away.code), away.why);
  } catch (const std::bad_alloc&) {
    fail_waiting(Code::kConnect, "no memory");
  }
}

void Node::release(Slot& slot) noexcept {
  slot.exchange->clear();
  slot.exchange = nullptr;
  --in_flight_;
  calls_in_flight_ -= slot.size;
}

void Node::fail_slot(Slot& slot, Code code, std::string_view why) noexcept {
  CallList gone;
  gone.splice(slot.calls);
  release(slot);
  while (Call* call = gone.pop_front()) finish_by_policy(store_, call, code, why);
}

void Node::fail_waiting(Code code, std::string_view reason) noexcept {
  if (calls.empty()) return;
  std::string why;
  try {
    why.append(store_.where).append(": ").append(reason);
  } catch (const std::bad_alloc&) {
    why = "no memory";
  }
  CallList waiting;
  waiting.splice(calls);
  while (Call* call = waiting.pop_front()) finish_by_policy(store_, call, code, why);
}

void Node::fail_all(Code code, std::string_view why) noexcept {
  while (Call* call = calls.pop_front()) finish_by_policy(store_, call, code, why);
  for (std::optional<Slot>& slot : slots_) {
    while (Call* call = slot->calls.front()) {
      deadlines_.release(call, Leaves::kCanceled);
      finish_by_policy(store_, call, code, why);
    }
  }
}

void Node::replied(Slot& slot, const redisReply* reply) noexcept {
  if (ending_) return;
  if (!reply)  // disconnected() says why; whatever was sent may have run
    return fail_slot(slot, connection_.loss(), lost_why_);
  const int64_t now_us = store_.timeline.now_us(), took_us = now_us - slot.sent_us;
  round_trip_us_ = round_trip_us_ ? (7 * round_trip_us_ + took_us) / 8 : took_us;
  if (!slot.exchange->is_own()) {
    store_.counters.add(Counter::kRoundTrips);
    store_.recorder.round_trip(took_us);
  }
  try {
    if (reply->type == REDIS_REPLY_ERROR)
      error_replied(slot, text_of(reply));
    else
      answered(slot, *reply, now_us);
  } catch (const std::bad_alloc&) {
    if (slot.exchange) fail_slot(slot, Code::kNoMemory, "no memory for an answer");
  }
}

// An answer that nobody waits for any more is no success where it was overdue: a store that is
// always late stays away.
void Node::note_understood(const Slot& slot) {
  if (const size_t late = slot.exchange->carried() - slot.calls.size())
    store_.counters.add(Counter::kLateReplies, static_cast<int64_t>(late));
  if (slot.overdue && slot.calls.empty()) return;
  store_.health.understood();
  if (!std::exchange(proved_, true)) backoff_.reset();
}

// The program is not known there: it certainly did not run. Nothing new overtakes it, so order is
// kept for each key; and who waits no longer is not charged.
void Node::send_again(Slot& slot) {
  program_loaded_ = false;
  if (slot.calls.size() < slot.exchange->carried()) {
    slot.exchange->clear();
    for (Call* call = slot.calls.front(); call; call = call->next) slot.exchange->add(*call);
  }
  if (slot.calls.empty()) return release(slot);
  slot.as_source = true;
  store_.counters.add(Counter::kScriptLoads);
  if (!write(slot)) return fail_slot(slot, Code::kNoMemory, "no memory for a command");
  connection_.flush();
}

// The connection is of no use, whatever it was before.
void Node::give_up(Code code, std::string_view why) noexcept {
  proved_ = false;
  connection_.drop(code, why);
}

void Node::error_replied(Slot& slot, std::string_view error) {
  if (is_noscript(error) && !slot.as_source && slot.exchange->is_program()) return send_again(slot);
  note_understood(slot);
  const Code code = code_of_error(error);
  const std::string text = said(error), why = store_.where + ": " + text;
  if (!slot.exchange->is_own()) store_.health.refused(code, text);
  fail_slot(slot, code, why);
  if (needs_another_connection(error, code)) give_up(code, text);
}

void Node::answered(Slot& slot, const redisReply& reply, int64_t now_us) {
  if (auto heard = slot.exchange->hear(reply, slot.calls); !heard) {
    const std::string why = heard.error().message;
    fail_slot(slot, Code::kProtocol, why);
    return give_up(Code::kProtocol, why);
  }
  note_understood(slot);
  if (slot.exchange->is_program()) program_loaded_ = true;
  store_.health.served();
  CallList done;
  last_answered_ += slot.calls.size();
  done.splice(slot.calls);
  release(slot);
  const int64_t clock_us = store_.clock.now_us();
  while (Call* call = done.pop_front()) {
    if (call->status == Code::kWrongType) {
      finish_by_policy(store_, call, Code::kWrongType, call->text);
      continue;
    }
    store_.recorder.decided(call->op, call->parts, call->decision, call->results.data(), clock_us,
                            store_.waited_us(*call, now_us));
    call->finish();
  }
}

}  // namespace tidegate
