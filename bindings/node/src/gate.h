// SPDX-License-Identifier: MIT
// A client of the C ABI as JavaScript holds it: its limiters by small numbers, and for stores
// outside the process one ring that the host's loop drives. JavaScript thread only.
//
// The JavaScript object that open() returns owns the gate; while requests are out the gate holds
// that object.
#pragma once

#include <napi.h>

#include <atomic>
#include <deque>
#include <unordered_map>
#include <vector>

#include "addon.h"
#include "pump.h"
#include "tidegate.h"

namespace tidegate::node {

class Gate {
 public:
  // (url or undefined, [name, value, ...], whether a thread must watch the ring) => the gate's
  // functions in an object.
  static Napi::Value open(const Napi::CallbackInfo& info);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  tg_client* client() const { return client_; }
  Addon& addon() const { return addon_; }
  uint64_t handle(uint32_t limiter) const {
    return limiter < handles_.size() ? handles_[limiter] : 0;
  }
  uint64_t guard(uint32_t number) const { return number < guards_.size() ? guards_[number] : 0; }
  // The number of a limiter, given now where it has none.
  uint32_t limiter_number(uint64_t handle);

  // In user_data: the request is a guard's check, and its result brings an answer.
  static constexpr uint64_t kCheckBit = uint64_t{1} << 40;

  // Writes a result where `out` points and returns how many doubles it took.
  size_t put(const tg_result& result, double* out);
  // The other way round, for what is computed from a decision later: figures as put() wrote them
  // after the slot and the status, names left out.
  bool get(const double* figures, size_t count, tg_result& result,
           std::vector<tg_part>& parts) const;

  // 0: the ring is full; or a TG_E code. While a batch is delivered its end flushes; otherwise the
  // caller does, when the microtasks of this tick have run.
  static constexpr int32_t kTaken = 1, kTakenFlushLater = 2;
  int32_t submit(const tg_entry* entries, int32_t n);
  void flush();

 private:
  Gate(Napi::Env env, tg_client* client, bool by_thread);

  // The functions of the JavaScript object (gate_functions.cc).
  void define(Napi::Object object);
  Napi::Value limiter(const Napi::CallbackInfo& info);
  Napi::Value change(const Napi::CallbackInfo& info);
  Napi::Value close_limiter(const Napi::CallbackInfo& info);
  Napi::Value names(const Napi::CallbackInfo& info);
  Napi::Value rates(const Napi::CallbackInfo& info);
  Napi::Value stats(const Napi::CallbackInfo& info);
  Napi::Value figures(const Napi::CallbackInfo& info);  // figures.cc
  Napi::Value look_up(const Napi::CallbackInfo& info);
  Napi::Value url(const Napi::CallbackInfo& info);
  Napi::Value set_time(const Napi::CallbackInfo& info);
  Napi::Value next_event(const Napi::CallbackInfo& info);
  Napi::Value headers(const Napi::CallbackInfo& info);
  Napi::Value problem(const Napi::CallbackInfo& info);
  // Of guards (guard_functions.cc).
  Napi::Value guard_open(const Napi::CallbackInfo& info);
  Napi::Value guard_replace(const Napi::CallbackInfo& info);
  Napi::Value guard_close(const Napi::CallbackInfo& info);
  Napi::Value guard_explain(const Napi::CallbackInfo& info);
  Napi::Value guard_edit(const Napi::CallbackInfo& info);
  Napi::Value live(const Napi::CallbackInfo& info);
  // Completes what is out and lets go of the store. False: done when the present delivery is over.
  Napi::Value close(const Napi::CallbackInfo& info);

  int32_t open_ring();
  void on_readable();
  void reap();
  bool deliver(const tg_result* results, int32_t count);
  void call_deliver(size_t count, napi_value more);
  void close_now();
  void drop_ring();
  void set_out(size_t out);
  uint32_t new_number(uint64_t handle);
  uint32_t number_to_reuse();
  void lend(uint32_t number);

  const Napi::Env env_;
  Addon& addon_;
  tg_client* const client_;
  const bool by_thread_;
  tg_ring* ring_ = nullptr;
  Pump* pump_ = nullptr;
  Napi::ObjectReference self_;  // weak while nothing is out
  napi_async_context async_ = nullptr;
  size_t out_ = 0;
  bool delivering_ = false;
  bool close_asked_ = false;
  bool closed_ = false;
  std::atomic<bool> has_events_{false};
  std::vector<uint64_t> guards_;
  std::vector<uint64_t> handles_;
  std::vector<uint64_t> lent_at_;  // by number; 0: the program has opened it, and not closed it
  std::unordered_map<uint64_t, uint32_t> numbers_;
  struct Lent {
    uint32_t number;
    uint64_t at;  // else than lent_at_ says: it was lent again, or is the program's now
  };
  std::deque<Lent> lent_;  // closed ones, and those of guards; the oldest first
  uint64_t times_lent_ = 0;
  uint64_t last_handle_ = 0;
  uint32_t last_number_ = 0;
};

// What every decision runs through, in plain Node-API (decide.cc).
void define_decide(napi_env env, napi_value object, Gate* gate);
// The same of a guard's checks (check.cc).
void define_check(napi_env env, napi_value object, Gate* gate);
// What a check's result has besides figures: [status, verdict, fields, body, scope, caller, reason,
// retry_after_us, renew_us, finish].
napi_value answer_of(napi_env env, const tg_result& result);

// Pure functions (guard_functions.cc).
Napi::Value validate_policy(const Napi::CallbackInfo& info);
Napi::Value policy_ignored(const Napi::CallbackInfo& info);
Napi::Value resolve_policy(const Napi::CallbackInfo& info);
Napi::Value place_name(const Napi::CallbackInfo& info);

}  // namespace tidegate::node
