// SPDX-License-Identifier: MIT
// A cache's calls on their way: taken in, answered by the embedded engine or sent to the store, and
// kept here while they wait for somebody else's fill. Whoever stores a value, gives a lease up or
// is late with it answers those who wait in this process.
//
//   call.cache->... = ...; if (!desk.take(call, request)) return;     // refused: its status says
//   why switch (desk.begin(call)) {
//     case Then::kDone:    // it is answered
//     case Then::kParked:  // call.sink is told; desk.look(sink, now) by call.cache->due_us
//     case Then::kSend:    // to the store; and then desk.settle(call)
//   }
//
// A sink is told under the desk's lock: it may take its own lock, and may not call the desk.
// CacheAsk::phase says whether the call is answered (kAnswered) or has to be begun again
// (kAsksAgain).
#pragma once

#include <atomic>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/lock.h"
#include "base/time.h"
#include "client/caches.h"
#include "stats/counters.h"
#include "store/call.h"

namespace tidegate {

// Any thread.
class CacheDesk {
 public:
  enum class Then : uint8_t { kDone, kParked, kSend };

  struct Parts {
    CacheTable& table;
    Caches& caches;
    const Clock& clock;
    const Timeline& timeline;
    Counters& counters;
    bool embedded;
  };
  explicit CacheDesk(const Parts& parts);

  // Copies what is asked. False: the call has failed.
  bool take(Call& call, const CacheRequest& request);
  Then begin(Call& call);
  // The store has answered, or failed: then the process answers. kDone, kParked.
  Then settle(Call& call);

  // Those of a sink that wait for too long, or have to look again, are told so. When to look next;
  // 0: never.
  int64_t look(CallSink* sink, int64_t now_us);
  // A fill of the entry with this digest has ended in some process: one of each sink's looks.
  void heard(std::string_view digest);
  // Those that wait with this user_data are answered kCanceled; how many.
  int32_t cancel(CallSink* sink, uint64_t user_data);
  void forget(CallSink* sink);  // it is going: none of its calls waits any more
  void shut();                  // all that wait are answered kClosed, and all who come

  size_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

 private:
  struct Hash {
    size_t operator()(const CacheKey& key) const { return key.hash(); }
  };
  using Waiting = std::unordered_map<CacheKey, CallList, Hash>;

  uint64_t new_token();
  void answer_here(Call& call);
  void look_up_here(Call& call);
  void put_here(Call& call);
  void also_here(const Call& call);
  bool answer_away(Call& call);
  Then park(Call& call);
  bool joins(Call& call);
  void begin_end(const Call& call);
  void end_ended(const Call& call);
  void insert_parked(Call& call, int64_t now_us) TIDEGATE_REQUIRES(mutex_);
  bool parks(const Call& call) const {
    return call.cache->waits && call.cache->answer.status == CacheStatus::kWait;
  }
  void remove(Call& call) TIDEGATE_REQUIRES(mutex_);
  void set_due(CacheAsk& ask, int64_t now_us);
  void one_asks(CallList& waiting, CallSink* sink, int64_t now_us) TIDEGATE_REQUIRES(mutex_);
  Then finish(Call& call);
  void tell(Call& call) TIDEGATE_REQUIRES(mutex_);
  void ask_again(Call& call) TIDEGATE_REQUIRES(mutex_);
  void give_up(Call& call) TIDEGATE_REQUIRES(mutex_);
  void wake_for(const Call& call);
  void share(Call& waiter, const CacheAsk& from) TIDEGATE_REQUIRES(mutex_);
  void fail(Call& waiter, const CacheAsk& from) TIDEGATE_REQUIRES(mutex_);
  template <class F>
  void each_of(CallSink* sink, F&& f) TIDEGATE_REQUIRES(mutex_);
  void count(const CacheAnswer& answer);

  CacheTable& table_;
  Caches& caches_;
  const Clock& clock_;
  const Timeline& timeline_;
  Counters& counters_;
  const bool embedded_;
  const uint64_t seed_;
  std::atomic<uint64_t> tokens_{0}, sequence_{0};
  std::atomic<size_t> waiting_{0};  // a look without the lock

  Mutex mutex_;
  Waiting parked_ TIDEGATE_GUARDED_BY(mutex_);
  bool shut_ TIDEGATE_GUARDED_BY(mutex_) = false;
  // Fills that this process is ending: who waits here hears of them from settle(), which knows more
  // than the store's message. The oldest go where there are too many.
  static constexpr size_t kMostEnding = 1'024;
  std::vector<CacheKey> ending_ TIDEGATE_GUARDED_BY(mutex_);
  std::atomic<size_t> ending_count_{0};  // a look without the lock
};

}  // namespace tidegate
