// SPDX-License-Identifier: MIT
// A ring: one event loop's window onto a client. Submit on it, poll its descriptor, reap what is
// done. Every call that submit takes comes out of reap exactly once.
//
// Thread safety: submit and cancel from any thread; reap, wait and flush from one at a time.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "base/lock.h"
#include "client/channel.h"
#include "client/client.h"
#include "reactor/reactor.h"

namespace tidegate {

class Ring final : private CallSink, private Client::Window, private Listener::Hearer {
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
    // Of a guard's check, which has no parts yet.
    uint64_t guard = 0;
    std::string_view attributes, scope;
    const CacheRequest* cache = nullptr;  // of the operations of that family
  };
  // False: the ring is full. Otherwise the request will come out of reap, whatever becomes of it.
  bool submit(const Request& request);
  void flush();
  // Does the I/O that is ready and returns what is done, at most `most`; the calls stay valid until
  // the next reap.
  std::span<Call* const> reap(size_t most);
  // As reap, and sleeps until something is done, the client is closed, or the time is over (-1: no
  // end).
  std::span<Call* const> wait(size_t most, int64_t timeout_us);
  // The client is closed, and all that was submitted has come out: there is nothing to wait for.
  bool finished() const;
  int32_t cancel(uint64_t user_data);

 private:
  Ring(Client& client, std::unique_ptr<Reactor> reactor, int32_t capacity, bool local);

  Call* take_free();
  enum class Then : uint8_t {
    kSleeps,
    kComesBack
  };  // kSleeps: whoever submits next wakes the host
  std::span<Call* const> take_done(size_t most, Then then);
  bool take(Call& call, const Request& request);
  void start(Call* call);
  void start_cache(Call* call);
  void send(Call* call);
  bool waits_on(Call* call) noexcept;
  void ask_again();
  void look_at_waiting();
  void done(Call* call) noexcept override;
  void client_closed() override;
  void heard(std::string_view message) noexcept override;
  Call*& bucket(uint64_t user_data) TIDEGATE_REQUIRES(mutex_);
  void expect(Call* call) TIDEGATE_REQUIRES(mutex_);
  void forget(Call* call) TIDEGATE_REQUIRES(mutex_);

  Client& client_;
  const std::unique_ptr<Reactor> reactor_;
  const size_t capacity_;
  const Channel::From from_;  // where submitters stand
  const Then after_reap_;
  std::unique_ptr<Channel> channel_;  // null: the embedded store

  mutable Mutex mutex_;
  // Submitted and not yet reaped: what was reaped makes room at once.
  size_t out_ TIDEGATE_GUARDED_BY(mutex_) = 0;
  std::vector<std::unique_ptr<Call>> pool_ TIDEGATE_GUARDED_BY(mutex_);
  CallList free_ TIDEGATE_GUARDED_BY(mutex_);
  CallList ready_ TIDEGATE_GUARDED_BY(mutex_);
  // Calls of caches that waited, and have to look again.
  CallList again_ TIDEGATE_GUARDED_BY(mutex_);
  // When the desk has to be asked about those that wait there; kLookNow, and 0: nothing waits.
  static constexpr int64_t kLookNow = 1;
  std::atomic<int64_t> look_us_{0};
  // What the channel has, by user_data: heads of chains through bucket_next.
  std::vector<Call*> buckets_ TIDEGATE_GUARDED_BY(mutex_);
  // The reaping thread is in the channel: what is done now needs no wake-up.
  bool reaping_ TIDEGATE_GUARDED_BY(mutex_) = false;

  std::vector<Call*> reaped_;  // the reaping thread's
};

}  // namespace tidegate
