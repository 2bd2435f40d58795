// SPDX-License-Identifier: MIT
// A ring: one event loop's window onto a client. Submit on it, poll its descriptor, reap what is
// done. Every call that submit takes comes out of reap exactly once.
//
// Thread safety: submit and cancel from any thread; reap, wait and flush from one at a time.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "client/client.h"
#include "reactor/reactor.h"
#include "store/valkey/channel.h"

namespace tidegate {

class Ring final : private CallSink {
 public:
  static constexpr int32_t kMaxCapacity = 65'536;

  // local: only the reaping thread submits, and it flushes before it sleeps.
  static Result<std::unique_ptr<Ring>> open(Client& client, int32_t capacity, bool local);
  ~Ring();

  int fd() const { return reactor_->fd(); }
  bool forked() const { return client_.forked(); }
  void abandon() { reactor_->abandon(); }  // Client::abandon()
  Client& client() { return client_; }

  struct Request {
    uint64_t user_data = 0;
    Op op = Op::kConsume;
    Source refund_to = Source::kNone;
    int64_t timeout_us = 0;
    std::span<Part> parts;
  };
  // False: the ring is full. Otherwise the request will come out of reap, whatever becomes of it.
  bool submit(const Request& request);
  void flush();
  // Does the I/O that is ready and returns what is done, at most `most`; the calls stay valid until
  // the next reap.
  std::span<Call* const> reap(size_t most);
  // As reap, and sleeps until something is done or the time is over (-1: no end).
  std::span<Call* const> wait(size_t most, int64_t timeout_us);
  int32_t cancel(uint64_t user_data);

 private:
  Ring(Client& client, std::unique_ptr<Reactor> reactor, int32_t capacity, bool local);

  Call* take_free();
  // sleeps: whoever submits next shall wake the host.
  std::span<Call* const> take_done(size_t most, bool sleeps);
  void start(Call* call);
  void done(Call* call) override;

  Client& client_;
  const std::unique_ptr<Reactor> reactor_;
  const size_t capacity_;
  const bool local_;
  std::unique_ptr<Channel> channel_;  // null: the embedded store

  std::mutex mutex_;  // guards what follows, but reaped_, which belongs to the reaping thread
  size_t out_ = 0;    // submitted and not yet reaped: what was reaped makes room at once
  std::vector<std::unique_ptr<Call>> pool_;
  CallList free_;
  CallList ready_;
  std::vector<Call*> reaped_;
  bool reaping_ = false;  // the reaping thread is in the channel: what is done now needs no wake-up
};

}  // namespace tidegate
