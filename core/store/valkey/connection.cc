// SPDX-License-Identifier: MIT
#include "store/valkey/connection.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

#include "store/valkey/errors.h"
#include "store/valkey/socket.h"
#include "store/valkey/tls.h"

namespace tidegate {
namespace {

// What every reply may have: an error's text, HELLO's answer. An array's header alone makes hiredis
// take memory for its elements, and the longest that we ask for is HELLO's.
constexpr size_t kAnyReplyBytes = 128 * 1024;
constexpr int kMostElements = 128;

Connection* owner_of(const redisAsyncContext* context) {
  return static_cast<Connection*>(context->data);
}

long fail(redisContext* context, int error, const char* why) {
  context->err = error;
  snprintf(context->errstr, sizeof context->errstr, "%s", why);
  return -1;
}

}  // namespace

Connection::~Connection() {
  if (!context_) return;
  context_->data = nullptr;
  reactor_.unwatch(*this);
  context_->ev = {};
  redisAsyncFree(context_);  // the takers hear null, and know that their owner is ending
}

void Connection::connect() {
  state_ = State::kConnecting;
  lost_code_ = Code::kConnect;
  lost_why_.clear();
  const bool numbers = store_.url.kind == StoreKind::kUnix || Resolver::numeric(store_.url.host);
  if (numbers) return open(store_.url.host);
  if (++attempt_ < addresses_.size()) return open(addresses_[attempt_]);
  if (!resolver_.running())
    if (auto started = resolver_.start(store_.url.host, reactor_.wake_fd()); !started)
      return lose(started.error().code, started.error().message);
  look();  // one that took longer than the attempt before may have ended meanwhile
}

void Connection::look() {
  Resolver::Addresses found = Error{};
  if (state_ != State::kConnecting || !resolver_.finished(found)) return;
  attempt_ = 0;
  if (!found) return lose(Code::kConnect, "host " + store_.url.host + ": " + found.error().message);
  addresses_ = std::move(*found);
  open(addresses_[0]);
}

void Connection::open(const std::string& address) {
  const Options& given = store_.options;
  const int64_t silence_ms = 2 * given.timeout_ms + given.connect_timeout_ms + 1'000;
  auto socket = store_.url.kind == StoreKind::kUnix
                    ? start_unix(store_.url.path)
                    : start_tcp(address, store_.url.port, silence_ms);
  if (!socket) return lose(Code::kConnect, socket.error().message);
  redisOptions options{};
  options.type = REDIS_CONN_USERFD;
  options.endpoint.fd = *socket;
  redisAsyncContext* context = redisAsyncConnectWithOptions(&options);
  if (!context) {
    ::close(*socket);
    return lose(Code::kNoMemory, "no memory for a connection");
  }
  context->c.flags |= REDIS_CONNECTED;  // else hiredis connects it: writing and reading tell us
  context_ = context;
  awaited_ = reply_bytes_ = 0;
  most_bytes_ = kAnyReplyBytes;
  watch_from(context);
  if (store_.url.tls && !start_tls()) return;
  // Two tables of functions for all contexts: hiredis's own, with our read in place of theirs.
  const auto ours = [&](bool write) {
    redisContextFuncs table = *context->c.funcs;
    table.read = read_some;
    if (write) table.write = write_some;
    return table;
  };
  raw_read_ = context->c.funcs->read;
  if (store_.url.tls) {
    static const redisContextFuncs tls = ours(false);
    context->c.funcs = &tls;
  } else {
    static const redisContextFuncs plain = ours(true);
    context->c.funcs = &plain;
  }
  say_hello();
}

void Connection::watch_from(redisAsyncContext* context) {
  context->data = this;
  context->ev.data = this;
  context->ev.addRead = [](void* data) {
    auto* me = static_cast<Connection*>(data);
    me->want(true, me->writing_);
  };
  context->ev.delRead = [](void* data) {
    auto* me = static_cast<Connection*>(data);
    me->want(false, me->writing_);
  };
  context->ev.addWrite = [](void* data) {
    auto* me = static_cast<Connection*>(data);
    me->want(me->reading_, true);
  };
  context->ev.delWrite = [](void* data) {
    auto* me = static_cast<Connection*>(data);
    me->want(me->reading_, false);
  };
  context->ev.cleanup = [](void* data) { static_cast<Connection*>(data)->gone(); };
  context->c.reader->maxelements = kMostElements;
  // Nobody asks for RESP3: what is pushed is nonsense. Within this call the context cannot be
  // freed, but its reader can be made to refuse what follows.
  redisAsyncSetPushCallback(context, [](redisAsyncContext* pushed, void*) {
    redisReader* reader = pushed->c.reader;
    reader->err = REDIS_ERR_PROTOCOL;
    snprintf(reader->errstr, sizeof reader->errstr, "it pushes what nobody asked for");
  });
}

void Connection::want(bool read, bool write) {
  reading_ = read;
  // Once ready, what is queued waits for flush(): write first, ask for writability after a partial
  // write.
  if (flushing_) partial_ = write;
  writing_ = write;
  const bool ask = state_ == State::kReady ? partial_ : write;
  if (!context_ || context_->c.fd < 0) return;
  if (!read && !ask) return reactor_.unwatch(*this);
  if (auto status = reactor_.watch(context_->c.fd, read, ask, *this); !status)
    lost_why_ = status.error().message;
}

long Connection::read_some(redisContext* context, char* buffer, size_t size) {
  Connection* me = owner_of(reinterpret_cast<redisAsyncContext*>(context));
  // Reads in pieces of read_bytes (a test's way to see that nothing is forgotten).
  const size_t most = std::min(size, static_cast<size_t>(me->store_.options.read_bytes));
  const long got = me->raw_read_(context, buffer, most);
  if (got <= 0) return got;
  if (me->awaited_ == 0) return fail(context, REDIS_ERR_PROTOCOL, "it sends what nobody asked for");
  me->reply_bytes_ += static_cast<size_t>(got);
  if (me->reply_bytes_ > me->most_bytes_)
    return fail(context, REDIS_ERR_PROTOCOL, "its reply is longer than any can be");
  return got;
}

// As hiredis does it, but without a signal where the server has gone.
long Connection::write_some(redisContext* context) {
  const long sent = ::send(context->fd, context->obuf, sdslen(context->obuf), MSG_NOSIGNAL);
  if (sent >= 0) return sent;
  if (errno == EAGAIN || errno == EINTR) return 0;
  return fail(context, REDIS_ERR_IO, std::strerror(errno));
}

void Connection::ready(bool readable, bool writable) {
  const TlsCall call(ssl_ != nullptr);
  if (writable && context_) {
    flushing_ = true;
    redisAsyncHandleWrite(context_);
    flushing_ = false;
  }
  if (!readable || !context_) return;
  replying_ = true;
  redisAsyncHandleRead(context_);
  // What is decrypted already no descriptor reports: at most the rest of one record.
  while (context_ && ssl_ && TlsContext::pending(ssl_)) redisAsyncHandleRead(context_);
  replying_ = false;
  if (std::exchange(flush_after_, false)) flush();
}

// True: the reply that is being taken was the last that was asked for, and more has come.
bool Connection::sends_too_much() const {
  const redisReader* reader = context_->c.reader;
  return awaited_ == 0 && reader->pos < reader->len;
}

bool Connection::send(std::string_view command, size_t reply_bytes, ReplyTaker* taker) {
  if (state_ != State::kReady) return false;
  const auto on_reply = [](redisAsyncContext* context, void* reply, void* waiting) {
    auto* told = static_cast<ReplyTaker*>(waiting);
    Connection* me = owner_of(context);
    if (!me || !reply) return told->take(nullptr);
    --me->awaited_;
    me->reply_bytes_ = 0;
    if (!me->sends_too_much()) return told->take(static_cast<const redisReply*>(reply));
    me->lost_code_ = Code::kProtocol;  // whose answer it was is not known
    told->take(nullptr);
    me->drop(Code::kProtocol, "it sends more replies than commands were sent");
  };
  if (redisAsyncFormattedCommand(context_, on_reply, taker, command.data(), command.size()) !=
      REDIS_OK)
    return false;
  if (awaited_++ == 0) most_bytes_ = kAnyReplyBytes;
  most_bytes_ = std::max(most_bytes_, kAnyReplyBytes + reply_bytes);
  return true;
}

bool Connection::subscribe(std::string_view command, ReplyTaker* taker) {
  if (state_ != State::kReady) return false;
  const auto on_message = [](redisAsyncContext* context, void* reply, void* listening) {
    Connection* me = owner_of(context);
    if (me) me->reply_bytes_ = 0;
    static_cast<ReplyTaker*>(listening)->take(me ? static_cast<const redisReply*>(reply) : nullptr);
  };
  if (redisAsyncFormattedCommand(context_, on_message, taker, command.data(), command.size()) !=
      REDIS_OK)
    return false;
  ++awaited_;  // and stays so: there is always a message that may come
  return true;
}

void Connection::flush() {
  if (state_ != State::kReady || !writing_) return;
  if (replying_) {  // a write that fails frees the context, even from within a taker
    flush_after_ = true;
    return;
  }
  const TlsCall call(ssl_ != nullptr);
  flushing_ = true;
  redisAsyncHandleWrite(context_);
  flushing_ = false;
}

void Connection::drop(Code code, std::string_view why) noexcept {
  if (state_ == State::kClosed || state_ == State::kEnding) return;
  if (!context_) return lose(code, why);  // still looking the host up
  lost_code_ = code;
  try {
    lost_why_.assign(why);
  } catch (const std::bad_alloc&) {
    lost_why_.assign("no memory");
  }
  state_ = State::kEnding;
  redisAsyncFree(context_);
}

void Connection::lose(Code code, std::string_view why) noexcept {
  state_ = State::kClosed;
  owner_.disconnected(code, why);
}

Code Connection::loss() const {
  const bool nonsense = context_ && context_->err == REDIS_ERR_PROTOCOL;
  return nonsense || lost_code_ == Code::kProtocol ? Code::kProtocol : Code::kConnect;
}

std::string_view Connection::waits_for() const {
  if (!context_) return "the host is being looked up";
  if (ssl_ && !TlsContext::finished(ssl_) && TlsContext::has_sent(ssl_))
    return "the TLS handshake got no answer";
  return is_connected(context_->c.fd) ? "HELLO got no answer" : "nobody has accepted it";
}

void Connection::explain_loss() {
  const auto say = [&](Code code, std::string_view why) {
    lost_code_ = code;
    lost_why_.assign(why);
  };
  if (ssl_ && state_ == State::kConnecting) {
    const TlsContext::Fault fault = TlsContext::fault(ssl_, certificate_asked_, store_.url.host);
    if (fault.is_tls) return say(Code::kTls, fault.why);
  }
  say(loss(), *context_->errstr ? context_->errstr : "the connection was closed");
}

// hiredis is about to free the context: every reply has been given.
void Connection::gone() noexcept {
  reactor_.unwatch(*this);
  try {
    if (lost_why_.empty()) explain_loss();
  } catch (const std::bad_alloc&) {
    lost_why_.clear();
  }
  context_->ev.data = nullptr;
  context_ = nullptr;
  ssl_ = nullptr;
  reading_ = writing_ = partial_ = false;
  const std::string why = std::move(lost_why_);  // the owner may connect anew
  lose(lost_code_, why);
}

}  // namespace tidegate
