// SPDX-License-Identifier: MIT
// A gate's native half: the tg_client, how it was opened, its limiters and rings. After a fork it
// opens itself again.
//
// Thread safety: everything here runs with the GIL held; run() releases it while a store is asked.
// Ownership: the Python object of it is kept alive by its limiters, rings and decisions.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "threads.h"
#include "tidegate.h"

namespace tidegate_python {

class Ring;

// A limiter as it was asked for: enough to open it again in a forked child.
struct LimiterSpec {
  std::string rates, name, algorithm, mode, on_failure, lease;
  tg_limiter_spec view() const;
};

struct LimiterState : std::enable_shared_from_this<LimiterState> {
  LimiterSpec spec;
  uint64_t handle = 0;
  uint64_t generation = 0;  // of the client's opening that the handle belongs to; 0: closed
  std::string name;
  std::vector<pybind11::object> policies;  // the names of its rates: str
};

class Client {
 public:
  using Options = std::vector<std::pair<std::string, std::string>>;

  Client(std::string url, bool has_url, Options options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool embedded() const { return embedded_; }
  bool closed() const { return closed_; }
  uint64_t generation() const { return generation_; }
  tg_client* get() const { return client_; }
  const std::string& url() const { return shown_url_; }  // without its password

  std::shared_ptr<LimiterState> open_limiter(LimiterSpec spec);
  void change_limiter(LimiterState& state, const LimiterSpec& change);
  // Closes it for everybody who has it. Idempotent.
  void close_limiter(LimiterState& state);
  // The handle of this process's opening. Throws where it is closed or cannot be opened again.
  uint64_t handle_of(LimiterState& state) {
    if (state.generation != generation_) bind(state);
    return state.handle;
  }
  // The name of a limiter's rate, also where a guard made it; None where the limiter is not known
  // (any more). A new reference.
  PyObject* policy_name(uint64_t handle, uint32_t rate, uint64_t generation) const;

  // What work(client) returns, which may wait for a store, without the GIL; or TG_ECLOSED,
  // TG_EFORK.
  template <class Work>
  auto wait_for(const Inside& inside, Work work) -> decltype(work(nullptr)) {
    if (closed_) return TG_ECLOSED;
    if (forked()) return TG_EFORK;
    tg_client* const client = client_;
    Gate* const calls = calls_.get();
    {
      const std::scoped_lock lock(calls->mutex);
      ++calls->running;
    }
    return inside.without_gil([&] {
      const auto out = work(client);
      const std::scoped_lock lock(calls->mutex);
      if (--calls->running == 0) calls->idle.notify_all();
      return out;
    });
  }
  // tg_call for one request. The store is asked without the GIL. Returns a TG_E code, or 1: result
  // is set.
  int32_t run(const Inside& inside, const tg_entry* entries, int32_t n, tg_result& result);

  void set_time(int64_t now_us);
  pybind11::dict stats();
  // JSON, and what Prometheus scrapes (figures.cc).
  std::string report();
  std::string metrics(bool openmetrics);
  std::string top(const std::string& limiter, const std::string& by, int32_t n);
  std::string limited_now(const std::string& limiter, int32_t n);
  std::string look_up(const pybind11::object& key);
  std::string events(int64_t after, int32_t n);
  std::string series(const std::string& limiter, const std::string& period,
                     const std::string& step);
  pybind11::list take_events();
  bool has_events() const { return events_.load(std::memory_order_relaxed); }
  // Calls what on_events was given with the client's news, if there are any. Never fails.
  void deliver_events();
  void on_events(pybind11::object callback) { events_callback_ = std::move(callback); }

  // Everything in flight completes with ClosedError. Idempotent.
  void close();
  // Opens the client again in a forked child, where the parent's is of no use.
  void reopen();

  std::vector<Ring*>& rings() { return rings_; }

 private:
  void open();
  // In a child of the process that opened it. Looked at before any lock: a thread of the parent may
  // have held it at the fork.
  bool forked() const;
  void bind(LimiterState& state);
  void read_names(LimiterState& state);
  template <class Ask>
  std::string figures(Ask ask);
  void drop_rings();
  static void on_event(void* self, const tg_event*);

  const std::string url_;
  const bool has_url_;
  const Options options_;
  tg_client* client_ = nullptr;
  std::string shown_url_;
  bool embedded_ = false;
  bool closed_ = false;
  uint64_t generation_ = 0;
  uint64_t forks_ = 0;  // of this process when it was opened
  int64_t time_us_ = -1;
  std::unordered_map<uint64_t, std::shared_ptr<LimiterState>> limiters_;
  std::vector<Ring*> rings_;

  std::atomic<bool> events_{false};
  pybind11::object events_callback_;

  // Calls that are out without the GIL: close waits for them.
  struct Gate {
    std::mutex mutex;
    std::condition_variable idle;
    int running = 0;
  };
  std::unique_ptr<Gate> calls_ = std::make_unique<Gate>();
};

}  // namespace tidegate_python
