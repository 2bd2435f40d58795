// SPDX-License-Identifier: MIT
// What travels: something that is written once on a connection and hears one reply, or why there is
// none. The connection and the node know no operation; an exchange knows no connection.
//
// One thread at a time (whoever pumps). Exchanges are pooled: their buffers keep their size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/call.h"
#include "store/valkey/limiter_run.h"

struct redisReply;

namespace tidegate {

class Clock;

class Exchange {
 public:
  // Takes the call in, or says no: it goes into another one. The first always fits.
  virtual bool add(Call& call) = 0;
  // What is written, in the protocol's form; valid until the exchange changes. as_source: the
  // server does not know the program yet.
  virtual std::string_view command(bool as_source) = 0;
  // How long a reply that makes sense can be.
  virtual size_t most_reply_bytes() const = 0;
  // Answers the calls that still wait, or says what makes no sense, and no call was touched. An
  // error is never heard here.
  virtual Status hear(const redisReply& reply, CallList& waiting) = 0;
  // The call waits no longer: its place stays, and nobody is told.
  virtual void let_go(Call&) noexcept {}
  virtual bool is_program() const { return false; }
  // Our own business: that the server will not have it says nothing of whether it decides.
  virtual bool is_own() const { return false; }
  virtual size_t carried() const = 0;  // calls it was sent with
  virtual size_t merged() const { return 0; }
  virtual void clear() = 0;

 protected:
  ~Exchange() = default;
};

// Limiter operations: one run of the atomic program.
class RunExchange final : public Exchange {
 public:
  explicit RunExchange(const Clock& clock) : clock_(clock) {}

  bool add(Call& call) override;
  std::string_view command(bool as_source) override;
  size_t most_reply_bytes() const override { return 64 + 32 * run_.size() + 256 * legs_; }
  Status hear(const redisReply& reply, CallList& waiting) override;
  bool is_program() const override { return true; }
  size_t carried() const override { return run_.size(); }
  size_t merged() const override { return run_.merged(); }
  void clear() override;
  void let_go(Call& call) noexcept override { run_.abandon(call.place); }

 private:
  const Clock& clock_;
  LimiterRun run_;
  size_t legs_ = 0;
};

// PING: travels alone.
class PingExchange final : public Exchange {
 public:
  bool add(Call&) override { return carried_++ == 0; }
  std::string_view command(bool) override { return "*1\r\n$4\r\nPING\r\n"; }
  size_t most_reply_bytes() const override { return 0; }
  Status hear(const redisReply& reply, CallList& waiting) override;
  size_t carried() const override { return carried_; }
  void clear() override { carried_ = 0; }

 private:
  size_t carried_ = 0;
};

// A command of our own (Op::kCommand), in the protocol's form in the call's key_bytes; the reply, a
// string or nothing, takes its place. Travels alone.
class CommandExchange final : public Exchange {
 public:
  static constexpr size_t kMostReply = size_t{4} << 20;

  bool add(Call& call) override;
  std::string_view command(bool) override { return command_; }
  size_t most_reply_bytes() const override { return kMostReply; }
  Status hear(const redisReply& reply, CallList& waiting) override;
  bool is_own() const override { return true; }
  size_t carried() const override { return command_.empty() ? 0 : 1; }
  void clear() override { command_.clear(); }

 private:
  std::string command_;
};

}  // namespace tidegate
