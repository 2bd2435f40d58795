// SPDX-License-Identifier: MIT
#include "store/valkey/connection.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "store/valkey/errors.h"

namespace tidegate {
namespace {

Connection* owner_of(const redisAsyncContext* context) {
  return static_cast<Connection*>(context->data);
}

// OpenSSL writes with write(), which has no flag to keep SIGPIPE from a host that does not ignore
// it: the signal is blocked in this thread meanwhile, and taken back if it came.
class NoSigpipe {
 public:
  explicit NoSigpipe(bool needed) {
    sigset_t pending;
    if (!needed || sigpending(&pending) != 0 || sigismember(&pending, SIGPIPE)) return;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    blocked_ = pthread_sigmask(SIG_BLOCK, &pipe_, &before_) == 0;
  }
  ~NoSigpipe() {
    if (!blocked_) return;
    const timespec now{};
    while (sigtimedwait(&pipe_, nullptr, &now) < 0 && errno == EINTR) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  bool blocked_ = false;
  sigset_t pipe_, before_;
};

}  // namespace

std::string StoreContext::where() const {
  if (url.kind == StoreKind::kUnix) return url.path;
  const bool v6 = url.host.find(':') != std::string::npos;
  return (v6 ? "[" + url.host + "]" : url.host) + ":" + std::to_string(url.port);
}

Connection::~Connection() {
  if (!context_) return;
  context_->data = nullptr;
  if (context_->c.fd >= 0) reactor_.unwatch(context_->c.fd);
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
  if (!resolver_.running()) resolver_.start(store_.url.host, reactor_.wake_fd());
}

void Connection::look() {
  std::string error;
  if (state_ != State::kConnecting || !resolver_.finished(addresses_, error)) return;
  attempt_ = 0;
  if (addresses_.empty()) return lose(Code::kConnect, "host " + store_.url.host + ": " + error);
  open(addresses_[0]);
}

void Connection::open(const std::string& address) {
  redisOptions options{};
  if (store_.url.kind == StoreKind::kUnix)
    REDIS_OPTIONS_SET_UNIX(&options, store_.url.path.c_str());
  else
    REDIS_OPTIONS_SET_TCP(&options, address.c_str(), store_.url.port);
  redisAsyncContext* context = redisAsyncConnectWithOptions(&options);
  if (!context) return lose(Code::kNoMemory, "no memory for a connection");
  if (context->err) {
    const std::string why = context->errstr;
    redisAsyncFree(context);
    return lose(Code::kConnect, why);
  }
  context_ = context;
  watch_from(context);
  if (store_.url.tls && !start_tls()) return;
  // Two tables of functions for all contexts: hiredis's own, with our read in place of theirs.
  static redisContextFuncs plain, tls;
  redisContextFuncs& ours = store_.url.tls ? tls : plain;
  raw_read_ = context->c.funcs->read;
  if (!ours.read) {
    ours = *context->c.funcs;
    ours.read = read_some;
    if (!store_.url.tls) ours.write = write_some;
  }
  context->c.funcs = &ours;
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
}

bool Connection::start_tls() {
  auto ssl = store_.tls.make(store_.url, store_.options);
  if (!ssl) {
    drop(ssl.error().code, ssl.error().message);
    return false;
  }
  ssl_ = *ssl;
  const NoSigpipe quiet(true);
  if (redisInitiateSSL(&context_->c, ssl_) == REDIS_OK) return true;
  // Failing this early, hiredis leaves the state to us. Where OpenSSL has nothing to say, it was
  // the socket.
  const bool refused = ERR_peek_last_error() != 0;
  const std::string why = refused ? TlsContext::why(ssl_, store_.url.host) : context_->c.errstr;
  SSL_free(ssl_);
  ssl_ = nullptr;
  drop(refused ? Code::kTls : Code::kConnect, why);
  return false;
}

void Connection::want(bool read, bool write) {
  reading_ = read;
  // Once ready, what is queued waits for flush(): write first, ask for writability after a partial
  // write.
  if (flushing_) partial_ = write;
  writing_ = write;
  const bool ask = state_ == State::kReady ? partial_ : write;
  if (!context_ || context_->c.fd < 0) return;
  if (!read && !ask) return reactor_.unwatch(context_->c.fd);
  if (auto status = reactor_.watch(context_->c.fd, read, ask, this); !status)
    lost_why_ = status.error().message;
}

long Connection::read_some(redisContext* context, char* buffer, size_t size) {
  Connection* me = owner_of(reinterpret_cast<redisAsyncContext*>(context));
  // Reads in pieces of read_bytes (a test's way to see that nothing is forgotten).
  const size_t most = std::min(size, static_cast<size_t>(me->store_.options.read_bytes));
  const long got = me->raw_read_(context, buffer, most);
  me->more_to_read_ = got == static_cast<long>(most);
  return got;
}

// As hiredis does it, but without a signal where the server has gone.
long Connection::write_some(redisContext* context) {
  const long sent = ::send(context->fd, context->obuf, sdslen(context->obuf), MSG_NOSIGNAL);
  if (sent >= 0) return sent;
  if (errno == EAGAIN || errno == EINTR) return 0;
  context->err = REDIS_ERR_IO;
  snprintf(context->errstr, sizeof context->errstr, "%s", std::strerror(errno));
  return -1;
}

void Connection::ready(bool readable, bool writable) {
  const NoSigpipe quiet(ssl_ != nullptr);
  if (writable && context_) {
    flushing_ = true;
    redisAsyncHandleWrite(context_);
    flushing_ = false;
  }
  if (!readable || !context_) return;
  more_to_read_ = false;
  replying_ = true;
  redisAsyncHandleRead(context_);
  while (context_ && ssl_ && SSL_pending(ssl_) > 0)  // decrypted already: no descriptor reports it
    redisAsyncHandleRead(context_);
  replying_ = false;
  if (std::exchange(flush_after_, false)) flush();
}

bool Connection::send(std::string_view command, ReplyTaker* taker) {
  if (state_ != State::kReady) return false;
  const auto on_reply = [](redisAsyncContext*, void* reply, void* waiting) {
    static_cast<ReplyTaker*>(waiting)->take(static_cast<const redisReply*>(reply));
  };
  return redisAsyncFormattedCommand(context_, on_reply, taker, command.data(), command.size()) ==
         REDIS_OK;
}

void Connection::flush() {
  if (state_ != State::kReady || !writing_) return;
  if (replying_) {  // a write that fails frees the context, even from within a taker
    flush_after_ = true;
    return;
  }
  const NoSigpipe quiet(ssl_ != nullptr);
  flushing_ = true;
  redisAsyncHandleWrite(context_);
  flushing_ = false;
}

void Connection::drop(Code code, std::string why) {
  if (state_ == State::kClosed || state_ == State::kEnding) return;
  lost_code_ = code;
  lost_why_ = std::move(why);
  if (!context_) return lose(lost_code_, lost_why_);  // still looking the host up
  state_ = State::kEnding;
  redisAsyncFree(context_);
}

void Connection::lose(Code code, std::string why) {
  state_ = State::kClosed;
  owner_.disconnected(code, store_.where() + ": " + why);
}

Code Connection::loss() const {
  const bool nonsense = context_ && context_->err == REDIS_ERR_PROTOCOL;
  return nonsense || lost_code_ == Code::kProtocol ? Code::kProtocol : Code::kConnect;
}

// hiredis is about to free the context: every reply has been given.
void Connection::gone() {
  if (context_->c.fd >= 0) reactor_.unwatch(context_->c.fd);
  if (lost_why_.empty()) {
    const bool in_tls =
        ssl_ && !SSL_is_init_finished(ssl_) && (context_->c.flags & REDIS_CONNECTED);
    lost_code_ = in_tls ? Code::kTls : loss();
    lost_why_ = in_tls              ? TlsContext::why(ssl_, store_.url.host)
                : *context_->errstr ? context_->errstr
                                    : "the connection was closed";
  }
  context_->ev.data = nullptr;
  context_ = nullptr;
  ssl_ = nullptr;
  reading_ = writing_ = partial_ = more_to_read_ = false;
  lose(lost_code_, lost_why_);
}

}  // namespace tidegate
