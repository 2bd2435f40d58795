// SPDX-License-Identifier: MIT
// A request that is under way, with room for its answer. Calls are pooled: their buffers keep their
// size, so that in steady state nothing is allocated for a decision.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/list.h"
#include "limiter/pins.h"

namespace tidegate {

struct Call;

// Who is told that a call is answered: exactly once for each call.
class CallSink {
 public:
  virtual void done(Call* call) = 0;

 protected:
  ~CallSink() = default;
};

struct Call {
  // What is asked.
  uint64_t user_data = 0;
  Op op = Op::kConsume;
  Source refund_to = Source::kNone;
  int64_t timeout_us = 0;
  std::vector<Part> parts;  // their keys point into key_bytes
  std::string key_bytes;
  ConfigPins pins;  // of the parts' limiters

  // What is answered.
  Code status = Code::kOk;
  Decision decision;
  std::vector<RateResult> results;
  std::string text;  // about a status that is not kOk

  // Where it is: its owner's list, and the batch that carries it.
  CallSink* sink = nullptr;
  Call* next = nullptr;
  Call* previous = nullptr;
  int64_t deadline_us = 0;  // monotonic
  int32_t batch = -1;       // index of the batch in flight, or -1: in the queue
  uint32_t place = 0;       // in the batch
  uint64_t sequence = 0;    // which submission of this (pooled) call it is
  bool under_way = false;   // a channel has it
  bool out = false;         // its owner waits for it
  std::vector<Leg> legs;

  // Copies the parts, with their keys. The caller visits the limiters.
  void take(std::span<const Part> asked) {
    pins.hold_only(asked);
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

  void fail(Code code, std::string_view why) {
    status = code;
    decision = {};
    text.assign(why);
  }
};

using CallList = List<Call>;

}  // namespace tidegate
