// SPDX-License-Identifier: MIT
// One server, as one ring (or the blocking callers) uses it: its connection, what waits to be sent,
// the exchanges that are in flight, and when it is left alone. What is learned of it is shared with
// the client's other rings (Health).
//
// There is no waiting to fill an exchange: it carries what piled up while the ones before it were
// in flight.
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <string>

#include "store/deadlines.h"
#include "store/valkey/connection.h"
#include "store/valkey/exchange.h"
#include "store/valkey/failure.h"
#include "store/valkey/store_context.h"

namespace tidegate {

// One thread at a time (whoever pumps), but for refuses(). As a CallHolder it has what waits to be
// sent.
class Node final : public CallHolder, private Connection::Owner {
 public:
  static constexpr int kMaxInFlight = 3;
  static constexpr size_t kCrowd = 16;

  Node(StoreContext& store, Reactor& reactor, Deadlines& deadlines);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Any thread. Answers the call at once where it would only wait for a server that is known to be
  // away.
  bool refuses(Call* call);

  // Sends what waits, as far as there is room; connects first.
  void flush() noexcept;
  // After the reactor ran: an address may have been found.
  void look() noexcept;
  // After the late calls have left: was it the server's fault?
  void judge(int64_t now_us) noexcept;
  // Answers everything that it has with this code.
  void fail_all(Code code, std::string_view why) noexcept;
  void shut() { shut_ = true; }  // nothing is sent any more

  // Until the server is known to have the program, exchanges go one by one: with several out,
  // another client could load it between two of them, and the later overtake the one that is sent
  // again.
  bool full() const { return in_flight_ >= (program_loaded_ ? kMaxInFlight : 1); }
  bool in_flight() const { return in_flight_ > 0; }
  bool connecting() const { return connection_.state() == Connection::State::kConnecting; }
  // Where it is full or connecting, a reply must come anyway, or a time at which to look.
  bool will_hear() const { return full() || connecting(); }
  // So many that wait do not wait for the end of the tick.
  size_t early_flush_size() const;
  int64_t round_trip_us() const { return round_trip_us_; }  // smoothed; 0: none yet

  int64_t due_us() const override { return connect_by_us_; }
  void let_go(Call& call, Leaves why) noexcept override;

 private:
  // A place on the connection, and the exchange that has it.
  struct Slot final : Connection::ReplyTaker, CallHolder {
    explicit Slot(Node& of) : node(of), run(of.store_.clock) {}
    void take(const redisReply* reply) noexcept override { node.replied(*this, reply); }
    void let_go(Call& call, Leaves why) noexcept override;
    int64_t due_us() const override;
    int64_t give_up_us() const { return sent_us + 2 * patience_us + 1'000'000; }

    Node& node;
    RunExchange run;
    PingExchange ping;
    CommandExchange command;
    Exchange* exchange = nullptr;  // null: the place is free
    size_t size = 0;               // calls it was sent with
    int64_t sent_us = 0;
    int64_t patience_us = 0;  // the longest that one of its calls waits, or the client's timeout
    bool as_source = false;   // sent as EVAL
    bool overdue = false;     // it was not answered in time: counted as a failure
  };
  class Note;

  void connected() noexcept override;
  void disconnected(Code code, std::string_view why) noexcept override;

  void connect(int64_t now_us) noexcept;
  bool send_one(int64_t now_us) noexcept;
  Slot* free_slot();
  void fill(Slot& slot);
  bool write(Slot& slot);
  void replied(Slot& slot, const redisReply* reply) noexcept;
  void note_understood(const Slot& slot);
  void send_again(Slot& slot);
  void give_up(Code code, std::string_view why) noexcept;
  void error_replied(Slot& slot, std::string_view error);
  void answered(Slot& slot, const redisReply& reply, int64_t now_us);
  void release(Slot& slot) noexcept;
  void fail_slot(Slot& slot, Code code, std::string_view why) noexcept;
  void fail_waiting(Code code, std::string_view why) noexcept;
  void announce(const Call& call, int64_t now_us);
  bool all_overdue() const;
  bool was_patient(int64_t waited_us) const;

  StoreContext& store_;
  Deadlines& deadlines_;
  const std::string lost_why_;
  std::atomic<int64_t> down_until_us_{0};  // no connection is tried before

  std::array<std::optional<Slot>, kMaxInFlight> slots_;
  int in_flight_ = 0;
  size_t calls_in_flight_ = 0;
  size_t last_answered_ = 0;     // calls, by the store, since something was sent
  bool program_loaded_ = false;  // it has run on this connection, and was not forgotten since
  bool proved_ = false;          // an answer was understood on this connection
  bool missed_ = false;          // a call was late here because nothing in flight was answered
  bool ending_ = false;          // being destroyed: nobody is told
  bool shut_ = false;
  int64_t connect_by_us_ = 0;
  int64_t round_trip_us_ = 0;
  Backoff backoff_;

  Connection connection_;  // last: when it goes, it still tells the slots
};

}  // namespace tidegate
