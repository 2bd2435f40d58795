// SPDX-License-Identifier: MIT
// Batches: from staged calls to a command, and from its reply to answers.
#include <hiredis/hiredis.h>

#include "store/valkey/channel.h"
#include "store/valkey/errors.h"

namespace tidegate {
namespace {

constexpr int64_t kManualPxMs =
    7LL * 24 * 3'600 * 1'000;  // with a clock set by hand, expiry is long and fixed
constexpr std::string_view kPing = "*1\r\n$4\r\nPING\r\n";

std::string_view text_of(const redisReply* reply) {
  return reply->str ? std::string_view(reply->str, reply->len) : std::string_view();
}

}  // namespace

Channel::Batch* Channel::free_batch() {
  for (Batch& batch : batches_)
    if (batch.kind == Batch::Kind::kFree) return &batch;
  return nullptr;
}

// Moves staged calls into the batch, in order, as many as fit. A ping travels alone.
bool Channel::fill(Batch& batch) {
  const auto index = static_cast<int32_t>(&batch - batches_.data());
  batch.kind = Batch::Kind::kProgram;
  while (Call* call = staged_.front()) {
    if (call->op == Op::kPing) {
      if (!batch.program.empty()) break;
      batch.kind = Batch::Kind::kPing;
    } else if (!batch.program.add(call)) {
      break;
    }
    staged_.remove(call);
    announce(*call);
    call->batch = index;
    batch.calls.push_back(call);
    if (batch.kind == Batch::Kind::kPing) break;
  }
  if (!batch.calls.empty()) return true;
  batch.kind = Batch::Kind::kFree;
  return false;
}

bool Channel::send_batch(Batch& batch) {
  const bool manual = store_.clock.manual();
  const std::string_view command =
      batch.kind == Batch::Kind::kPing
          ? kPing
          : batch.program.command(batch.as_source, manual ? store_.clock.now_us() : 0,
                                  manual ? kManualPxMs : 0);
  return connection_.send(command, &batch);
}

void Channel::flush() {
  if (staged_.empty() && idle_queue()) return;
  take_queue();
  switch (connection_.state()) {
    case Connection::State::kReady:
      break;
    case Connection::State::kClosed: {
      if (shut_.load(std::memory_order_acquire)) return;
      connect_by_us_ = monotonic_us() + store_.options.connect_timeout_ms * 1'000;
      connection_.connect();
      return;
    }
    default:
      return;
  }
  bool sent = false;
  while (!staged_.empty() && !full()) {
    Batch* batch = free_batch();
    if (!batch || !fill(*batch)) break;
    batch->as_source = batch->late = false;
    batch->sent_us = monotonic_us();
    ++in_flight_;
    batch->size = batch->calls.size();
    calls_in_flight_ += batch->size;
    answered_ = 0;
    store_.counters.add(Counter::kBatches);
    if (batch->kind == Batch::Kind::kProgram)
      store_.counters.add(Counter::kMerged, static_cast<int64_t>(batch->program.merged()));
    if (!send_batch(*batch)) {
      fail_batch(*batch, Code::kNoMemory, "no memory for a command");
      break;
    }
    sent = true;
  }
  if (sent) connection_.flush();
}

void Channel::release(Batch& batch) {
  batch.program.clear();
  batch.kind = Batch::Kind::kFree;
  --in_flight_;
  calls_in_flight_ -= batch.size;
}

void Channel::fail_batch(Batch& batch, Code code, std::string_view why) {
  CallList calls;
  calls.splice(batch.calls);
  release(batch);
  while (Call* call = calls.pop_front()) fail(call, code, why);
}

void Channel::replied(Batch& batch, const redisReply* reply) {
  if (ending_) return;
  if (!reply)  // disconnected() says why; whatever was sent may have run
    return fail_batch(batch, connection_.loss(),
                      "the connection to " + store_.where() + " was lost");
  const int64_t took_us = monotonic_us() - batch.sent_us;
  round_trip_us_ = round_trip_us_ ? (7 * round_trip_us_ + took_us) / 8 : took_us;
  store_.counters.add(Counter::kRoundTrips);
  if (reply->type == REDIS_REPLY_ERROR && is_noscript(text_of(reply)) && !batch.as_source) {
    // It certainly did not run. Nothing new overtakes it: order is kept for each key.
    program_loaded_ = false;
    batch.as_source = true;
    store_.counters.add(Counter::kScriptLoads);
    if (!send_batch(batch)) return fail_batch(batch, Code::kNoMemory, "no memory for a command");
    return connection_.flush();
  }
  // An answer that nobody waits for any more is no success: a store that is always late stays away.
  if (!batch.late || !batch.calls.empty()) note_success();
  answer(batch, reply);
}

void Channel::answer(Batch& batch, const redisReply* reply) {
  const size_t calls = batch.kind == Batch::Kind::kPing ? 1 : batch.program.size();
  store_.counters.add(Counter::kLateReplies, static_cast<int64_t>(calls - batch.calls.size()));
  if (reply->type == REDIS_REPLY_ERROR) {
    const Code code = code_of_error(text_of(reply));
    const std::string why = store_.where() + ": " + std::string(text_of(reply));
    note_refusal(code, why);
    return fail_batch(batch, code, why);
  }
  if (batch.kind == Batch::Kind::kPing) {
    if (text_of(reply) != "PONG")
      return fail_batch(batch, Code::kProtocol, store_.where() + ": no PONG to a PING");
    for (Call* call = batch.calls.front(); call; call = call->next)
      call->decision = {.source = Source::kStore};
  } else if (auto status = reply->type == REDIS_REPLY_STRING
                               ? batch.program.answer(text_of(reply))
                               : Status(Error{Code::kProtocol, "the store's answer is no string"});
             !status) {
    fail_batch(batch, status.error().code, status.error().message);
    return connection_.drop(Code::kProtocol, status.error().message);
  }
  if (batch.kind == Batch::Kind::kProgram) program_loaded_ = true;
  note_answers();
  CallList done;
  answered_ += batch.calls.size();
  done.splice(batch.calls);
  release(batch);
  while (Call* call = done.pop_front()) {
    if (call->status == Code::kWrongType) {
      const std::string why = call->text;
      fail(call, Code::kWrongType, why);
      continue;
    }
    store_.recorder.decided(call->op, call->parts, call->decision, Recorder::kNotTimed);
    finish(call);
  }
}

}  // namespace tidegate
