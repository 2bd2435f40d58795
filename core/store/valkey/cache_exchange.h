// SPDX-License-Identifier: MIT
// Cache operations: one run of the caches' program (core/lua/cache.lua), at most kMostBytes of
// bodies unless one alone has more.
//
//   EVALSHA sha n KEYS... now fixed_px operation...
//     g prefix digest lease_us token retry_us
//     p prefix digest lease_us token born ttl stale error usual_us head body
//     r prefix digest lease_us token retry_us failed · n the same · d prefix digest lease_us
//     u prefix kept_us · c prefix kept_us
//
// One thread at a time (whoever pumps).
#pragma once

#include <string>
#include <vector>

#include "store/valkey/exchange.h"
#include "store/valkey/store_context.h"

namespace tidegate {

class CacheExchange final : public Exchange {
 public:
  static constexpr size_t kMostBytes = 1 << 20;
  static constexpr size_t kMostCalls = 40;  // three elements of a reply for each

  explicit CacheExchange(const StoreContext& store) : store_(store) {}

  bool add(Call& call) override;
  std::string_view command(bool as_source) override;
  size_t most_reply_bytes() const override;
  Status hear(const redisReply& reply, CallList& waiting) override;
  void let_go(Call& call) noexcept override { calls_[call.place] = nullptr; }
  bool is_program() const override { return true; }
  size_t carried() const override { return calls_.size(); }
  void clear() override;

 private:
  void put_word(std::string_view word);
  void put_number(int64_t number);
  void put_operation(const Call& call);
  void put_entry(const CacheAsk& ask);
  Status read_look_up(const redisReply* const* elements, CacheAsk& ask);

  const StoreContext& store_;
  std::vector<Call*> calls_;  // null: it waits no longer
  std::vector<Op> ops_;
  std::string keys_, words_;  // in the protocol's form
  size_t word_count_ = 0;
  std::string command_;
};

}  // namespace tidegate
