// SPDX-License-Identifier: MIT
// A connection that only listens: to the caches' channel, on which the program says that a fill has
// ended which other processes wait for. Made when somebody waits, kept from then on. What it misses
// is learned by asking: it is no part of a server's health.
//
// One thread at a time (whoever pumps).
#pragma once

#include <string>
#include <string_view>

#include "store/valkey/connection.h"

namespace tidegate {

class Listener final : private Connection::Owner, private Connection::ReplyTaker {
 public:
  class Hearer {
   public:
    // The digest of the entry whose fill has ended, or whatever else was said there.
    virtual void heard(std::string_view message) noexcept = 0;

   protected:
    ~Hearer() = default;
  };

  Listener(StoreContext& store, Reactor& reactor, Hearer& hearer);
  ~Listener() { ending_ = true; }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  static std::string channel_of(std::string_view name_space) {
    return std::string(name_space) + ":1:c:wake";
  }

  // Somebody waits: it connects, unless it was lost a moment ago.
  void listen() noexcept;
  void look() noexcept;  // after the reactor ran

 private:
  static constexpr int64_t kAgainUs = 1'000'000;  // after a loss

  void connected() noexcept override;
  void disconnected(Code code, std::string_view why) noexcept override;
  void take(const redisReply* reply) noexcept override;

  StoreContext& store_;
  Hearer& hearer_;
  int64_t not_before_us_ = 0, connect_by_us_ = 0;
  bool ending_ = false;
  Connection connection_;  // last: when it goes, it still tells
};

}  // namespace tidegate
