// SPDX-License-Identifier: MIT
// A request that is under way, with room for its answer: a header that whoever carries it reads,
// and the payload of its family, which only that family's exchanges and engines do. Calls are
// pooled: their buffers keep their size, so that in steady state nothing is allocated for a
// decision.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/list.h"
#include "limiter/pins.h"
#include "store/cache_ask.h"

namespace tidegate {

struct Call;

// Who is told that a call is answered: exactly once for each call.
class CallSink {
 public:
  virtual void done(Call* call) noexcept = 0;

 protected:
  ~CallSink() = default;
};

// What a client keeps of a call beside it, in a type of its own (client/check.h).
class CallExtra {
 public:
  virtual ~CallExtra() = default;
};

// Who has calls that wait: a node's queue, an exchange, an engine that parks them. The pump's own.
class CallHolder {
 public:
  enum class Leaves : uint8_t { kCanceled, kLate };

  List<Call> calls;

  // The call has left `calls`: where it had a place, the place stays, and nobody is told.
  virtual void let_go(Call&, Leaves) noexcept {}
  // When the holder itself wants to be looked at, beside its calls' deadlines; 0: never.
  virtual int64_t due_us() const { return 0; }

 protected:
  ~CallHolder() = default;

 private:
  friend class List<CallHolder>;
  friend class Deadlines;
  CallHolder *next = nullptr, *previous = nullptr;
};

struct CallHeader {
  // Who asks what, and for how long.
  uint64_t user_data = 0;
  Op op = Op::kConsume;
  int64_t timeout_us = 0;  // 0: the client's
  CallSink* sink = nullptr;

  // What is answered, where it is no decision.
  Code status = Code::kOk;
  std::string text;  // about a status that is not kOk

  // Where it is: in one list at a time, of its owner or of a holder.
  Call *next = nullptr, *previous = nullptr;
  CallHolder* holder = nullptr;  // the pump's
  int64_t deadline_us = 0;       // of the Timeline
  bool under_way = false;        // the pump has it, or will find it in the inbox

  // A cancellation, guarded by the inbox's lock: it means one submission of this (pooled) call.
  std::atomic<uint64_t> sequence{0};
  uint64_t canceled_sequence = 0;
  Call* next_canceled = nullptr;
  bool in_canceled = false;

  std::unique_ptr<CallExtra> extra;  // kept for the next call, too
  bool checked = false;              // extra is of this call

  // Its owner's: whether he waits for it, and his table by user_data.
  bool out = false;
  Call *bucket_next = nullptr, *bucket_previous = nullptr;
};

struct LimiterAsk {
  Source refund_to = Source::kNone;
  std::vector<Part> parts;  // their keys point into key_bytes
  std::string key_bytes;
  ConfigPins pins;  // of the parts' limiters
  std::vector<Leg> legs;
  uint32_t place = 0;  // in the run that carries it

  Decision decision;
  std::vector<RateResult> results;

  // Copies the parts, with their keys, and holds their limiters. The caller visits them.
  void take(std::span<const Part> asked) {
    pins.hold_only(asked);
    copy(asked);
  }
  // The same for as long as the visit.
  void copy(std::span<const Part> asked) {
    parts.assign(asked.begin(), asked.end());
    key_bytes.clear();
    for (const Part& part : asked) key_bytes.append(part.key);
    size_t at = 0;
    for (Part& part : parts) {
      part.key = std::string_view(key_bytes).substr(at, part.key.size());
      at += part.key.size();
    }
  }

  RateResult* room_for_results() {
    size_t rates = 0;
    for (const Part& part : parts) rates += part.limiter->rates.size();
    if (results.size() < rates) results.resize(rates);
    return results.data();
  }
};

struct Call : CallHeader, LimiterAsk {
  std::unique_ptr<CacheAsk> cache;  // null: it was never a cache's

  bool is_cache() const { return operation(op).family == Family::kCache; }
  void fail(Code code, std::string_view why) {
    status = code;
    decision = {};
    text.assign(why);
  }
  // The same where there may be no memory for a text.
  void fail_bare(Code code) noexcept {
    status = code;
    decision = {};
    text.clear();
  }
  // Nobody has it any more but its owner, who is told.
  void finish() noexcept {
    holder = nullptr;
    // Only the pump writes it for a call that it has; one that was refused at once is still what
    // it was.
    if (under_way) under_way = false;
    sink->done(this);
  }
};

using CallList = List<Call>;

}  // namespace tidegate
