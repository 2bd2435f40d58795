// SPDX-License-Identifier: MIT
// What is said first on a connection: HELLO (with the password), SELECT; and what is made of the
// answers.
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>

#include "store/valkey/connection.h"
#include "store/valkey/errors.h"

namespace tidegate {
namespace {

// A field of HELLO's answer, an array of names and values.
std::string_view hello_field(const redisReply* reply, std::string_view name) {
  for (size_t i = 0; i + 1 < reply->elements; i += 2)
    if (text_of(reply->element[i]) == name) return text_of(reply->element[i + 1]);
  return {};
}

}  // namespace

bool Connection::start_tls() {
  certificate_asked_ = false;
  auto ssl = store_.tls.make(store_.url, store_.options, &certificate_asked_);
  if (!ssl) {
    drop(ssl.error().code, ssl.error().message);
    return false;
  }
  ssl_ = *ssl;
  const TlsCall call(true);
  if (redisInitiateSSL(&context_->c, ssl_) == REDIS_OK) return true;
  // Failing this early, hiredis leaves the state to us. Where OpenSSL has nothing to say, it was
  // the socket.
  const TlsContext::Fault fault = TlsContext::fault(ssl_, false, store_.url.host);
  const std::string why = fault.is_tls ? fault.why : context_->c.errstr;
  SSL_free(ssl_);
  ssl_ = nullptr;
  drop(fault.is_tls ? Code::kTls : Code::kConnect, why);
  return false;
}

template <void (Connection::*kHeard)(const redisReply*)>
void Connection::on_handshake(redisAsyncContext* context, void* reply, void*) {
  auto* me = static_cast<Connection*>(context->data);
  if (!me || !reply) return;
  --me->awaited_;
  me->reply_bytes_ = 0;
  if (me->sends_too_much())
    return me->drop(Code::kProtocol, "it sends more replies than commands were sent");
  (me->*kHeard)(static_cast<const redisReply*>(reply));
}

void Connection::say_hello() {
  const auto heard = on_handshake<&Connection::heard_hello>;
  const StoreUrl& url = store_.url;
  const std::string user = url.user.empty() ? "default" : url.user;
  const int sent =
      url.password.empty() && url.user.empty()
          ? redisAsyncCommand(context_, heard, nullptr, "HELLO 2 SETNAME tidegate")
          : redisAsyncCommand(context_, heard, nullptr, "HELLO 2 AUTH %b %b SETNAME tidegate",
                              user.data(), user.size(), url.password.data(), url.password.size());
  if (sent != REDIS_OK) return drop(Code::kNoMemory, "no memory for a command");
  ++awaited_;
}

void Connection::refuse(std::string_view error) { drop(code_of_error(error), said(error)); }

void Connection::heard_hello(const redisReply* reply) {
  if (reply->type == REDIS_REPLY_ERROR) {
    if (text_of(reply).find("unknown command") != std::string_view::npos)
      return drop(Code::kProtocol, "the server does not know HELLO: expected Valkey, or Redis 7");
    return refuse(text_of(reply));
  }
  if (reply->type != REDIS_REPLY_ARRAY && reply->type != REDIS_REPLY_MAP)
    return drop(Code::kProtocol, "what answers is no Valkey or Redis server");
  const std::string_view mode = hello_field(reply, "mode");
  if (mode == "cluster")
    return drop(Code::kCluster, "a cluster-enabled server is not supported yet");
  if (mode == "sentinel")
    return drop(Code::kProtocol, "a sentinel answers: give the store's address");
  // Behind one name that fails over, the next look-up may find the primary.
  if (const std::string_view role = hello_field(reply, "role");
      role == "replica" || role == "slave")
    return drop(Code::kReadOnly, "it is a replica: expected the primary");
  if (store_.url.database == 0) return become_ready();
  if (redisAsyncCommand(context_, on_handshake<&Connection::heard_select>, nullptr, "SELECT %d",
                        store_.url.database) != REDIS_OK)
    return drop(Code::kNoMemory, "no memory for a command");
  ++awaited_;
}

void Connection::heard_select(const redisReply* reply) {
  if (reply->type == REDIS_REPLY_ERROR) return refuse(text_of(reply));
  become_ready();
}

void Connection::become_ready() {
  state_ = State::kReady;
  addresses_.clear();  // the next connection looks the host up again: it may have moved
  attempt_ = 0;
  owner_.connected();
}

}  // namespace tidegate
