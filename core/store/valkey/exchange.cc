// SPDX-License-Identifier: MIT
#include "store/valkey/exchange.h"

#include <hiredis/hiredis.h>

#include "base/time.h"
#include "store/valkey/errors.h"

namespace tidegate {
namespace {

constexpr int64_t kManualPxMs =
    7LL * 24 * 3'600 * 1'000;  // with a clock set by hand, expiry is long and fixed

}  // namespace

bool RunExchange::add(Call& call) {
  if (!run_.add(&call)) return false;
  legs_ += call.legs.size();
  return true;
}

std::string_view RunExchange::command(bool as_source) {
  const bool manual = clock_.manual();
  return run_.command(as_source, manual ? clock_.now_us() : 0, manual ? kManualPxMs : 0);
}

Status RunExchange::hear(const redisReply& reply, CallList&) {
  if (reply.type != REDIS_REPLY_STRING)
    return Error{Code::kProtocol, "the store's answer is no string"};
  return run_.answer(text_of(&reply));
}

void RunExchange::clear() {
  run_.clear();
  legs_ = 0;
}

bool CommandExchange::add(Call& call) {
  if (!command_.empty()) return false;
  command_ = call.key_bytes;
  return true;
}

Status CommandExchange::hear(const redisReply& reply, CallList& waiting) {
  if (reply.type != REDIS_REPLY_STRING && reply.type != REDIS_REPLY_NIL)
    return Error{Code::kProtocol, "the answer to a command of ours is no string"};
  for (Call* call = waiting.front(); call; call = call->next) {
    call->key_bytes = reply.type == REDIS_REPLY_NIL ? std::string_view() : text_of(&reply);
    call->decision = {.source = Source::kStore};
  }
  return Nothing{};
}

Status PingExchange::hear(const redisReply& reply, CallList& waiting) {
  if (text_of(&reply) != "PONG") return Error{Code::kProtocol, "no PONG to a PING"};
  for (Call* call = waiting.front(); call; call = call->next)
    call->decision = {.source = Source::kStore};
  return Nothing{};
}

}  // namespace tidegate
