// SPDX-License-Identifier: MIT
// The way of calls to a server and back: a queue that any thread fills, batches that one thread at
// a time sends and answers, deadlines, and what happens when the server is not there.
//
// There is no waiting to fill a batch: a batch is what piled up while the ones before it were in
// flight.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <string>

#include "store/call.h"
#include "store/valkey/connection.h"
#include "store/valkey/failure.h"
#include "store/valkey/limiter_run.h"

namespace tidegate {

class Channel final : private Connection::Owner {
 public:
  static constexpr size_t kMaxQueued = 65'536;
  static constexpr int kMaxInFlight = 3;
  static constexpr size_t kCrowd = 16;

  Channel(StoreContext& store, Reactor& reactor);
  ~Channel();

  // Any thread. Takes the call (kConsume, kPeek, kRefund, kReset or kPing): its sink is told once,
  // perhaps from within.
  void submit(Call* call, bool from_the_pump);
  void cancel(Call* call);  // any thread; the pump completes it with kCanceled if it is still out
  void shut();              // any thread; the pump completes everything with kClosed

  // One thread at a time.
  void pump();  // handles what is ready, judges deadlines, sends what is queued; does not block
  void send_queued();     // the end of a loop's tick: sends what is queued, as far as there is room
  void arm(bool sleeps);  // sleeps: the next submitter shall wake the reactor
  bool idle_queue() const { return queued_.load(std::memory_order_seq_cst) == 0; }
  bool in_flight() const { return in_flight_ > 0; }
  int64_t round_trip_us() const { return round_trip_us_; }  // smoothed; 0: none yet
  // Answers everything that is out with this code.
  void fail_all(Code code, std::string_view why);

 private:
  struct Batch final : Connection::ReplyTaker {
    void take(const redisReply* reply) override { channel->replied(*this, reply); }
    enum class Kind : uint8_t { kFree, kProgram, kPing };
    Channel* channel = nullptr;
    Kind kind = Kind::kFree;
    LimiterRun program;
    CallList calls;
    size_t size = 0;  // how many calls it was sent with
    int64_t sent_us = 0;
    bool as_source = false;  // sent as EVAL
    bool late = false;       // a deadline passed while it was out
  };

  void connected() override;
  void disconnected(Code code, std::string_view why) override;

  // Until the server is known to have the program, batches go one by one: with several out, another
  // client could load it between two of them, and the later overtake the one that is sent again.
  bool full() const { return in_flight_ >= (program_loaded_ ? kMaxInFlight : 1); }
  void flush();
  // queue (channel.cc)
  void finish(Call* call);
  void fail(Call* call, Code code, std::string_view why);
  void fail_waiting(Code code, std::string_view why);
  bool refused_at_once(Call* call, int64_t now_us);
  size_t enough() const;
  void take_queue();
  void stage_queue();  // under mutex_
  void settle_cancels();
  void expire(int64_t now_us);
  void set_timer(int64_t now_us);
  // batches (channel_batches.cc)
  void replied(Batch& batch, const redisReply* reply);
  Batch* free_batch();
  bool send_batch(Batch& batch);
  bool fill(Batch& batch);
  void answer(Batch& batch, const redisReply* reply);
  void release(Batch& batch);
  void fail_batch(Batch& batch, Code code, std::string_view why);
  void announce(const Call& call);
  // state of the store (channel_state.cc)
  void note_success();
  void note_answers();
  void note_refusal(Code code, std::string_view why);
  void note_failure(int64_t now_us, Code code, std::string_view why);

  StoreContext& store_;
  Reactor& reactor_;

  std::mutex mutex_;  // guards the queue and the cancellations; nothing slow happens under it
  CallList queue_;
  std::vector<std::pair<Call*, uint64_t>> cancels_;  // with the submission that was meant
  std::atomic<size_t> queued_{0};
  std::atomic<bool> armed_{false};
  std::atomic<bool> shut_{false};
  std::atomic<int64_t> timer_at_us_{0};
  std::atomic<int64_t> down_until_us_{
      0};  // no connection is tried before; calls are answered at once

  // The pump's own.
  CallList staged_;  // taken from the queue, not yet sent
  std::array<Batch, kMaxInFlight> batches_;
  int in_flight_ = 0;
  size_t calls_in_flight_ = 0;
  size_t answered_ = 0;  // calls, by the store, since a batch was sent
  bool program_loaded_ =
      false;             // the program has run on this connection, and was not forgotten since
  bool ending_ = false;  // being destroyed: nobody is told
  int64_t fresh_deadline_us_ =
      0;  // the earliest of what was taken from the queue since the timer was set
  int64_t connect_by_us_ = 0;
  int64_t last_failure_us_ = 0;
  int64_t backoff_us_ = 0;
  uint64_t jitter_ = 0;
  int64_t round_trip_us_ = 0;

  Connection connection_;  // last: when it goes, it still tells the batches
};

}  // namespace tidegate
