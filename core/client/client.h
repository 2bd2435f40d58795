// SPDX-License-Identifier: MIT
// A client: a store URL, its options, the limiters opened through it, and the engine that decides.
//
//   auto client = Client::open("memory://", Options{});
//   auto api = (*client)->limiters().open({.rates = "100/minute", .name = "api"});
//   Part part{.handle = *api, .key = "user:42", .cost = 1};
//   if ((*client)->resolve(Op::kConsume, {&part, 1}) != Code::kOk) return;
//   RateResult results[kMaxRates];
//   Decision decision = (*client)->decide_here(Op::kConsume, {&part, 1}, results);
//
// Thread safety: any thread. In a forked child nothing may be called but forked() and abandon().
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/fingerprint.h"
#include "base/lock.h"
#include "base/time.h"
#include "client/guard.h"
#include "client/limiters.h"
#include "client/live.h"
#include "client/sync_driver.h"
#include "options/options.h"
#include "stats/events.h"
#include "stats/recorder.h"
#include "stats/report.h"
#include "store/call.h"
#include "store/embedded_store.h"
#include "store/valkey/store_context.h"

namespace tidegate {

// Raised in the child by fork(): what was opened under another generation belongs to the parent.
inline std::atomic<uint64_t> fork_generation{1};

class Client {
 public:
  // No I/O. No url: $TIDEGATE_URL, else memory://. What `options` was given wins over the URL's
  // query. $TIDEGATE_MODE is the strictest mode of all limiters: shadow, or off.
  static Result<std::unique_ptr<Client>> open(std::optional<std::string_view> url,
                                              const Options& options);
  ~Client();

  bool embedded() const { return url_.kind == StoreKind::kMemory; }
  bool forked() const {
    return fork_generation_ != fork_generation.load(std::memory_order_relaxed);
  }
  // In a forked child, in place of destroying: closes descriptors. Whatever else another thread was
  // at when the process forked is left as it was, and goes with the process.
  void abandon();
  bool closed() const { return closed_.load(std::memory_order_acquire); }
  // What is in flight completes with kClosed. False: it was closed before.
  bool close();

  const StoreUrl& url() const { return url_; }
  const Options& options() const { return options_; }
  Limiters& limiters() { return limiters_; }
  Guards& guards() { return guards_; }
  Live& live() { return live_; }
  Clock& clock() { return clock_; }
  EventLog& events() { return events_; }
  Recorder& recorder() { return recorder_; }
  const Fingerprinter& fingerprint() const { return fingerprint_; }
  // Tells the history of callers who owed and were dropped since the last time.
  void note_evictions();
  Reading read() const;  // all figures, as of now

  // Finds a part's limiter and checks its key and cost: kHandle, kKey, kCost. The caller visits the
  // limiters for as long as he uses what was found.
  Code resolve(Part& part) const {
    part.limiter = limiters_.find(part.handle);
    if (!part.limiter) [[unlikely]]
      return Code::kHandle;
    if (part.key.empty()) [[unlikely]]
      return Code::kKey;
    if (part.cost < 0 || part.cost > kMaxCost) [[unlikely]]
      return Code::kCost;
    return Code::kOk;
  }
  // The first that is not kOk; kId: slots are to be taken without an id.
  Code resolve(Op op, std::span<Part> parts) const;
  static std::string why(Code code, std::span<const Part> parts);  // what resolve() found, in words

  // A guard's check: the call becomes a consume of the parts that the request meets (of its extra),
  // which are to be taken and asked. False: it is answered already, or has failed. The caller
  // visits the limiters.
  bool take_check(Call& call, uint64_t guard, std::string_view attributes, std::string_view scope);

  Result<uint64_t> open_guard(const GuardSpec& spec);
  // What applies to a request and why, as JSON, with each part's present state. Waits for the
  // store.
  Result<std::string> explain(uint64_t guard, std::string_view attributes);

  // Blocks until all calls are answered by the store, or by the failure policy.
  void run(std::span<Call* const> calls);
  // What a call needs before it goes to the store. False: it is answered already (its limiters are
  // off, or it goes back to the embedded engine).
  bool prepare(Call* call);
  bool breaker_open() const { return store_ && store_->health.open(); }
  StoreContext* store() { return store_.get(); }  // null: the embedded store
  const Timeline& timeline() const { return timeline_; }
  // Who is told of close(), once, perhaps while it enrolls.
  class Window {
   public:
    virtual void client_closed() = 0;

   protected:
    ~Window() = default;
  };
  void enroll(Window& window);
  void dismiss(Window& window);

  // The embedded store's answer, inline. `results` has room for kMaxLegs.
  Decision decide_here(Op op, std::span<const Part> parts, RateResult* results);
  // The same at its cheapest: a consume of one part whose limiter is simple().
  Decision consume_here(const Part& part, RateResult& result) {
    return engine_.consume_one(part, result);
  }
  // Or simple_slots(), under an id; and releasing them.
  Decision consume_slots_here(const Part& part, RateResult& result) {
    return engine_.consume_slots(part, result);
  }
  Decision release_slots_here(const Part& part) { return engine_.release_slots(part); }

 private:
  Client(StoreUrl url, Options options, Mode mode);

  const StoreUrl url_;
  const Options options_;
  const uint64_t fork_generation_;
  const Fingerprinter fingerprint_;
  Clock clock_;
  const Timeline timeline_;
  Limiters limiters_;
  Recorder recorder_;
  EmbeddedStore engine_;
  EventLog events_{&recorder_.context().history};
  Guards guards_;
  Live live_;
  std::atomic<bool> closed_{false};
  std::atomic<int64_t> evictions_noted_{0};

  std::unique_ptr<StoreContext> store_;
  SyncDriver* driver(Error& why);  // null: there is no descriptor for one

  Mutex mutex_;
  std::vector<Window*> windows_ TIDEGATE_GUARDED_BY(mutex_);
  // Made with the first blocking call.
  std::unique_ptr<SyncDriver> driver_ TIDEGATE_GUARDED_BY(mutex_);
};

}  // namespace tidegate
