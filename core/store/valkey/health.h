// SPDX-License-Identifier: MIT
// Is a server there, and does it do what it is asked? What all connections of a client to it have
// learned; who asks is let through or not; the operator is told of each change once.
//
// A failure is a round trip that was not answered within the client's timeout, a connect that did
// not succeed in its own, or an answer that makes no sense. What was never sent is none, and a
// refusal (OOM, READONLY ...) is an answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/lock.h"
#include "base/time.h"
#include "options/options.h"
#include "stats/counters.h"
#include "stats/events.h"
#include "store/valkey/breaker.h"

namespace tidegate {

// Any thread; throws nothing.
class Health {
 public:
  Health(std::string where, const Options& options, const Timeline& timeline, Counters& counters,
         EventLog& events);

  Breaker::Gate admit(int64_t now_us) { return breaker_.admit(now_us); }
  bool open() const { return breaker_.open(); }
  bool lost() const { return lost_.load(std::memory_order_relaxed); }  // and not yet back
  int64_t retry_after_us() const { return breaker_.retry_after_us(timeline_.now_us()); }

  // A connection is ready: while the breaker is open, the next who asks may try it at once.
  void connected() noexcept;
  // An answer came in time, and was understood.
  void understood() noexcept;
  // A program ran: where it refused before, that may be over.
  void served() noexcept;
  // It is there and says no. Told once, until it says something else.
  void refused(Code code, std::string_view why) noexcept;
  // Failures that come together are one. True: the breaker is open.
  bool failed(Code code, std::string_view why) noexcept;

  // What a call is answered that is not let through: the last failure or refusal.
  struct Away {
    Code code = Code::kConnect;
    std::string why;
  };
  Away away() const;

 private:
  void remember(Code code, std::string_view why) noexcept;
  void tell(Level level, Code code, std::string_view before, std::string_view why,
            std::string_view after) noexcept;

  const std::string where_;
  const int64_t spacing_us_;
  const Timeline& timeline_;
  Counters& counters_;
  EventLog& events_;
  Breaker breaker_;

  std::atomic<bool> lost_{false};       // it was reported lost, and not yet back
  std::atomic<int32_t> refusing_{0};    // the code of the errors it answers with; 0: it serves
  std::atomic<int64_t> refused_us_{0};  // when it last did
  std::atomic<int64_t> failed_us_{0};   // when a failure was last counted

  mutable Mutex mutex_;
  Away away_ TIDEGATE_GUARDED_BY(mutex_);
};

// How long to leave a server alone whose connect failed, or that was of no use: 10 ms, doubling to
// 1 s, with jitter. One thread at a time.
class Backoff {
 public:
  static constexpr int64_t kFirstUs = 10'000, kLongestUs = 1'000'000;

  explicit Backoff(uint64_t seed) : jitter_(seed | 1) {}
  int64_t next_us();
  void reset() { pause_us_ = 0; }

 private:
  uint64_t jitter_;
  int64_t pause_us_ = 0;
};

}  // namespace tidegate
