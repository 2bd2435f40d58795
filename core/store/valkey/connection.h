// SPDX-License-Identifier: MIT
// One connection to a server: hiredis's asynchronous context on our reactor, from look-up over TLS
// and HELLO to ready. What a server sends is bounded: no reply longer than it may be, none that
// nobody asked for.
//
// One thread at a time (whoever pumps). It tells its owner, who must not destroy it from within,
// and throws nothing from there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "reactor/reactor.h"
#include "store/valkey/resolver.h"
#include "store/valkey/store_context.h"

struct redisAsyncContext;
struct redisContext;
struct redisReply;
struct ssl_st;

namespace tidegate {

class Connection final : private Reactor::Handler {
 public:
  // Takes the reply of one command; null: the connection was lost before it came. Valid during the
  // call.
  class ReplyTaker {
   public:
    virtual void take(const redisReply* reply) noexcept = 0;

   protected:
    ~ReplyTaker() = default;
  };
  class Owner {
   public:
    virtual void connected() noexcept = 0;
    // After take(null) of every command that was out. `why` is for a person.
    virtual void disconnected(Code code, std::string_view why) noexcept = 0;

   protected:
    ~Owner() = default;
  };
  enum class State : uint8_t { kClosed, kConnecting, kReady, kEnding };

  Connection(StoreContext& store, Reactor& reactor, Owner& owner)
      : store_(store), reactor_(reactor), owner_(owner), resolver_(store.names) {}
  ~Connection();

  State state() const { return state_; }
  // Starts connecting; connected() or disconnected() follows, the latter perhaps from within.
  void connect();
  // After a wake-up: goes on when the host's addresses have been found.
  void look();
  // What is waited for while it connects, for a person: "the TLS handshake got no answer".
  std::string_view waits_for() const;
  // Queues a command in the protocol's form (copied), whose reply has so many bytes at most beyond
  // what every error may have; flush() sends it. False: no memory, or not ready.
  bool send(std::string_view command, size_t reply_bytes, ReplyTaker* taker);
  // The same of a command whose reply has no end: each message is taken.
  bool subscribe(std::string_view command, ReplyTaker* taker);
  void flush();
  // Drops the connection: take(null), then disconnected(), at the latest when the present callback
  // returns.
  void drop(Code code, std::string_view why) noexcept;
  // To a taker of null: kProtocol where what came was nonsense, else kConnect.
  Code loss() const;

 private:
  void ready(bool readable, bool writable) override;  // of Reactor::Handler
  void open(const std::string& address);
  bool start_tls();
  void watch_from(redisAsyncContext* context);
  void want(bool read, bool write);
  void say_hello();
  void heard_hello(const redisReply* reply);
  void heard_select(const redisReply* reply);
  template <void (Connection::*kHeard)(const redisReply*)>
  static void on_handshake(redisAsyncContext* context, void* reply, void*);
  void become_ready();
  void refuse(std::string_view error);
  void gone() noexcept;
  void explain_loss();
  void lose(Code code, std::string_view why) noexcept;
  bool sends_too_much() const;
  static long write_some(redisContext* context);
  static long read_some(redisContext* context, char* buffer, size_t size);

  StoreContext& store_;
  Reactor& reactor_;
  Owner& owner_;
  State state_ = State::kClosed;
  redisAsyncContext* context_ = nullptr;
  ssl_st* ssl_ = nullptr;           // hiredis owns it
  bool certificate_asked_ = false;  // the server wants to see one of ours
  long (*raw_read_)(redisContext*, char*, size_t) = nullptr;
  bool reading_ = false, writing_ = false, flushing_ = false, partial_ = false;
  bool replying_ = false;     // hiredis is calling takers: it must not be made to write
  bool flush_after_ = false;  // it was asked to meanwhile

  size_t awaited_ = 0;      // replies
  size_t reply_bytes_ = 0;  // received since the last whole reply
  size_t most_bytes_ = 0;   // that may be

  Resolver resolver_;
  std::vector<std::string> addresses_;  // of the host; each attempt takes the next
  size_t attempt_ = 0;

  Code lost_code_ = Code::kConnect;  // why it is being dropped, where that is known
  std::string lost_why_;
};

}  // namespace tidegate
