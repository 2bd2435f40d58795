// SPDX-License-Identifier: MIT
#include "store/valkey/channel.h"

#include <algorithm>

namespace tidegate {

Channel::Channel(StoreContext& store, Reactor& reactor)
    : store_(store), reactor_(reactor), connection_(store, reactor, *this) {
  for (Batch& batch : batches_) batch.channel = this;
  jitter_ = static_cast<uint64_t>(monotonic_us()) | 1;
}

Channel::~Channel() { ending_ = true; }

void Channel::finish(Call* call) {
  call->batch = -1;
  // Only the pump writes it for a call that it has; one that was refused at once is still what it
  // was.
  if (call->under_way) call->under_way = false;
  call->sink->done(call);
}

void Channel::fail(Call* call, Code code, std::string_view why) {
  answer_by_policy(store_, call, code, why);
  finish(call);
}

// Answers at once what would only wait for a store that is known to be away.
bool Channel::refused_at_once(Call* call, int64_t now_us) {
  if (shut_.load(std::memory_order_acquire)) {
    fail(call, Code::kClosed, "the client is closed");
    return true;
  }
  const Breaker::Gate gate = store_.breaker.admit(now_us);
  const bool down = now_us < down_until_us_.load(std::memory_order_acquire);
  if (gate == Breaker::Gate::kPass && !down) return false;
  if (gate == Breaker::Gate::kProbe) {
    down_until_us_.store(0, std::memory_order_release);
    return false;
  }
  // A wrong password stays the reason while nobody tries it again.
  std::string why = "the store at " + store_.where() + " is away";
  Code code = Code::kConnect;
  {
    std::scoped_lock lock(store_.away_mutex);
    const Code last = store_.away_code;
    if (last == Code::kAuth || last == Code::kTls || last == Code::kProtocol ||
        last == Code::kCluster)
      code = last;
    if (!store_.away_why.empty()) why.append(": ").append(store_.away_why);
  }
  fail(call, code, why);
  return true;
}

void Channel::submit(Call* call, bool from_the_pump) {
  const int64_t now_us = monotonic_us();
  const int64_t deadline_us =  // once it is queued, the call is the pump's
      now_us + (call->timeout_us > 0 ? call->timeout_us : store_.options.timeout_ms * 1'000);
  call->batch = -1;
  call->deadline_us = deadline_us;
  if (refused_at_once(call, now_us)) return;
  {
    std::unique_lock lock(mutex_);
    if (queue_.size() >= kMaxQueued) {
      lock.unlock();
      return fail(call, Code::kFull, "the queue to the store is full");
    }
    call->under_way = true;
    ++call->sequence;
    queue_.push_back(call);
    queued_.store(queue_.size(), std::memory_order_seq_cst);
  }
  if (from_the_pump) {
    if (!full() && queued_.load(std::memory_order_relaxed) >= enough()) flush();
    return;
  }
  const bool armed = armed_.exchange(false, std::memory_order_seq_cst);
  const int64_t timer_us = timer_at_us_.load(std::memory_order_seq_cst);
  if (armed || (timer_us != 0 && deadline_us < timer_us)) reactor_.wake();
}

// So many queued calls do not wait for the end of the tick: half as many as are in flight, or,
// where the server has nothing to do, half of a crowd that was just answered and asks again. It is
// at them while the others ask. A lone caller has nobody to wait for.
size_t Channel::enough() const {
  if (in_flight_ > 0) return calls_in_flight_;
  return answered_ == 1 || answered_ >= kCrowd ? (answered_ + 1) / 2 : kMaxQueued;
}

void Channel::cancel(Call* call) {
  {
    std::scoped_lock lock(mutex_);
    cancels_.emplace_back(call, call->sequence);
  }
  reactor_.wake();
}

void Channel::shut() {
  shut_.store(true, std::memory_order_release);
  reactor_.wake();
}

void Channel::take_queue() {
  if (idle_queue()) return;
  std::scoped_lock lock(mutex_);
  stage_queue();
}

void Channel::stage_queue() {
  while (Call* call = queue_.pop_front()) {
    staged_.push_back(call);
    if (!fresh_deadline_us_ || call->deadline_us < fresh_deadline_us_)
      fresh_deadline_us_ = call->deadline_us;
  }
  queued_.store(0, std::memory_order_release);
}

void Channel::settle_cancels() {
  std::vector<Call*> cancels;
  {
    std::scoped_lock lock(mutex_);
    stage_queue();  // under the same lock: a call that is canceled must be in a list of the pump's
    for (const auto& [call, sequence] : cancels_)  // those that have not been answered meanwhile
      if (call->under_way && call->sequence == sequence) cancels.push_back(call);
    cancels_.clear();
  }
  for (Call* call : cancels) {
    if (call->batch < 0) {
      staged_.remove(call);
    } else {
      Batch& batch = batches_[static_cast<size_t>(call->batch)];
      if (batch.kind == Batch::Kind::kProgram) batch.program.abandon(call->place);
      batch.calls.remove(call);
    }
    call->fail(Code::kCanceled, "canceled");
    finish(call);
  }
}

void Channel::expire(int64_t now_us) {
  CallList late;
  const auto collect = [&](CallList& calls, Batch* batch) {
    for (Call *call = calls.front(), *next; call; call = next) {
      next = call->next;
      if (call->deadline_us > now_us) continue;
      if (batch) batch->late = true;
      if (batch && batch->kind == Batch::Kind::kProgram) batch->program.abandon(call->place);
      calls.remove(call);
      late.push_back(call);
    }
  };
  take_queue();
  collect(staged_, nullptr);
  for (Batch& batch : batches_)
    if (batch.kind != Batch::Kind::kFree) collect(batch.calls, &batch);
  const bool any = !late.empty();
  while (Call* call = late.pop_front())
    fail(call, Code::kTimedOut, "no answer from " + store_.where() + " within the deadline");
  if (connect_by_us_ && now_us >= connect_by_us_)
    connection_.drop(Code::kConnect, "no connection within connect_timeout_ms");
  else if (any)
    note_failure(now_us, Code::kTimedOut, "no answer within the deadline");
}

// The earliest deadline of what is out; looked for only when the timer has fired or may be too
// late.
void Channel::set_timer(int64_t now_us) {
  const int64_t set = timer_at_us_.load(std::memory_order_relaxed);
  const bool keep = set > now_us && (!connect_by_us_ || set <= connect_by_us_) &&
                    (!fresh_deadline_us_ || set <= fresh_deadline_us_);
  if (keep || (set == 0 && !fresh_deadline_us_ && !connect_by_us_)) return;
  fresh_deadline_us_ = 0;
  int64_t earliest = connect_by_us_;
  const auto consider = [&](const CallList& calls) {
    for (const Call* call = calls.front(); call; call = call->next)
      if (!earliest || call->deadline_us < earliest) earliest = call->deadline_us;
  };
  consider(staged_);
  for (const Batch& batch : batches_) consider(batch.calls);
  timer_at_us_.store(earliest, std::memory_order_release);
  reactor_.set_timer(earliest);
}

void Channel::pump() {
  while (reactor_.poll(0)) {
  }
  connection_.look();
  settle_cancels();
  if (shut_.load(std::memory_order_acquire)) fail_all(Code::kClosed, "the client is closed");
  // Only now, with the socket read dry: a late host must not turn an answer that is here into a
  // timeout.
  const int64_t now_us = monotonic_us();
  const int64_t timer_us = timer_at_us_.load(std::memory_order_relaxed);
  if (timer_us && now_us >= timer_us) expire(now_us);
  flush();
  set_timer(now_us);
}

void Channel::send_queued() {
  flush();
  set_timer(monotonic_us());
}

void Channel::arm(bool sleeps) {
  if (!sleeps || (full() && timer_at_us_.load(std::memory_order_relaxed) != 0)) {
    // With no room in flight a reply must come anyway, or a deadline.
    armed_.store(false, std::memory_order_release);
    return;
  }
  while (true) {
    armed_.store(true, std::memory_order_seq_cst);
    if (idle_queue()) return;
    armed_.store(false, std::memory_order_release);
    flush();
    set_timer(monotonic_us());
    if (full() || connection_.state() != Connection::State::kReady) return;
  }
}

void Channel::fail_waiting(Code code, std::string_view why) {
  take_queue();
  CallList waiting;
  waiting.splice(staged_);
  while (Call* call = waiting.pop_front()) fail(call, code, why);
}

void Channel::fail_all(Code code, std::string_view why) {
  fail_waiting(code, why);
  for (Batch& batch : batches_) {
    if (batch.kind == Batch::Kind::kFree) continue;
    CallList calls;
    calls.splice(batch.calls);
    while (Call* call = calls.pop_front()) {
      if (batch.kind == Batch::Kind::kProgram) batch.program.abandon(call->place);
      fail(call, code, why);
    }
  }
}

}  // namespace tidegate
