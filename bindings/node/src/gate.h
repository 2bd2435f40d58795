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
  // Completes what is out and lets go of the store. False: done when the present delivery is over.
  Napi::Value close(const Napi::CallbackInfo& info);

  int32_t open_ring();
  void on_readable();
  void reap();
  bool deliver(const tg_result* results, int32_t count);
  void call_deliver(size_t count, napi_value texts);
  void close_now();
  void drop_ring();
  void set_out(size_t out);
  uint32_t limiter_number(uint64_t handle);
  uint32_t new_number(uint64_t handle);

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
  std::vector<uint64_t> handles_;
  std::unordered_map<uint64_t, uint32_t> numbers_;
  std::deque<uint32_t> closed_numbers_;  // the oldest first
  uint64_t last_handle_ = 0;
  uint32_t last_number_ = 0;
};

// What every decision runs through, in plain Node-API (decide.cc).
void define_decide(napi_env env, napi_value object, Gate* gate);

}  // namespace tidegate::node
