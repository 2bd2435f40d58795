// SPDX-License-Identifier: MIT
// What is said first on a connection: HELLO (with the password), SELECT; and what is made of the
// answers.
#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include "store/valkey/connection.h"
#include "store/valkey/errors.h"

namespace tidegate {
namespace {

std::string_view text_of(const redisReply* reply) {
  return reply->str ? std::string_view(reply->str, reply->len) : std::string_view();
}

// A field of HELLO's answer, an array of names and values.
std::string_view hello_field(const redisReply* reply, std::string_view name) {
  for (size_t i = 0; i + 1 < reply->elements; i += 2)
    if (text_of(reply->element[i]) == name) return text_of(reply->element[i + 1]);
  return {};
}

}  // namespace

void Connection::say_hello() {
  const auto heard = [](redisAsyncContext* context, void* reply, void*) {
    auto* me = static_cast<Connection*>(context->data);
    if (me && reply) me->heard_hello(static_cast<const redisReply*>(reply));
  };
  const StoreUrl& url = store_.url;
  const std::string user = url.user.empty() ? "default" : url.user;
  const int sent =
      url.password.empty() && url.user.empty()
          ? redisAsyncCommand(context_, heard, nullptr, "HELLO 2 SETNAME tidegate")
          : redisAsyncCommand(context_, heard, nullptr, "HELLO 2 AUTH %b %b SETNAME tidegate",
                              user.data(), user.size(), url.password.data(), url.password.size());
  if (sent != REDIS_OK) drop(Code::kNoMemory, "no memory for a command");
}

void Connection::refuse(const redisReply* reply) {
  const Code code = code_of_error(text_of(reply));
  drop(code, std::string(text_of(reply)));
}

void Connection::heard_hello(const redisReply* reply) {
  if (reply->type == REDIS_REPLY_ERROR) {
    if (text_of(reply).find("unknown command") != std::string_view::npos)
      return drop(Code::kProtocol, "the server does not know HELLO: expected Valkey, or Redis 7");
    return refuse(reply);
  }
  if (reply->type != REDIS_REPLY_ARRAY && reply->type != REDIS_REPLY_MAP)
    return drop(Code::kProtocol, "what answers is no Valkey or Redis server");
  const std::string_view mode = hello_field(reply, "mode");
  if (mode == "cluster")
    return drop(Code::kCluster, "a cluster-enabled server is not supported yet");
  if (mode == "sentinel")
    return drop(Code::kProtocol, "a sentinel answers: give the store's address");
  const auto heard = [](redisAsyncContext* context, void* answer, void*) {
    auto* me = static_cast<Connection*>(context->data);
    if (me && answer) me->heard_select(static_cast<const redisReply*>(answer));
  };
  if (store_.url.database == 0) {
    become_ready();
  } else if (redisAsyncCommand(context_, heard, nullptr, "SELECT %d", store_.url.database) !=
             REDIS_OK) {
    drop(Code::kNoMemory, "no memory for a command");
  }
}

void Connection::heard_select(const redisReply* reply) {
  if (reply->type == REDIS_REPLY_ERROR) return refuse(reply);
  become_ready();
}

void Connection::become_ready() {
  state_ = State::kReady;
  addresses_.clear();  // the next connection looks the host up again: it may have moved
  attempt_ = 0;
  owner_.connected();
}

}  // namespace tidegate
