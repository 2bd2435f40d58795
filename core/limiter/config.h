// SPDX-License-Identifier: MIT
// A limiter: a name with one or more rates or numbers of slots (all or nothing), a mode and a
// failure policy. Its numbers at one time are a LimiterConfig, which never changes, and lives as
// long as somebody may use it (client/limiters.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fingerprint.h"
#include "limiter/numbers.h"

namespace tidegate {

enum class Mode : uint8_t { kEnforce, kShadow, kOff };
std::string_view mode_name(Mode mode);

Result<Mode> parse_mode(std::string_view text);  // kInvalid

enum class OnFailure : uint8_t { kLocal, kOpen, kClosed };  // the strictest: closed, local, open
std::string_view on_failure_name(OnFailure policy);
Result<OnFailure> parse_on_failure(std::string_view text);  // kOption

// What a user says of a limiter; an empty text is the default, or on a change: as it was.
struct LimiterSpec {
  std::string_view rates, name, algorithm, mode, on_failure, lease;
};

struct Rate {
  Numbers limit;
  Numbers share;   // what the embedded engine enforces while the store is away (fallback_share)
  Fingerprint id;  // of (limiter's name, algorithm, window)
  Fingerprint share_id;    // the same of share
  std::string policy;      // "api", or "api-60s" where the limiter has several rates
  std::string state_head;  // "tg:1:api:b60s:": the state's name up to the key
};

class LimiterFigures;  // stats/limiter_figures.h: counts what becomes of requests

struct LimiterConfig {
  std::string name;
  std::vector<Rate> rates;
  Algorithm algorithm = Algorithm::kTokenBucket;  // of rates; "at once" has its own
  int64_t lease_us = kDefaultLeaseUs;             // of slots
  Mode mode = Mode::kEnforce;
  OnFailure on_failure = OnFailure::kLocal;
  bool has_slots = false;  // one of its rates is of slots: consumes need an id
  enum class Way : uint8_t { kFull, kOne, kOneOfSlots };
  Way way = Way::kFull;  // make_limiter works it out

  // When the store is to be told its numbers (again); of the Timeline. 0: it has become the name's.
  mutable std::atomic<int64_t> tell_at_us{0};
  mutable LimiterFigures* figures = nullptr;  // of the name; null: nobody keeps any
  mutable std::atomic<int32_t> pins{0};  // calls that refer to it (limiter/pins.h)

  // One rate, not of slots, and not off: what the fastest way through the embedded engine can
  // answer.
  bool simple() const { return way == Way::kOne; }
  // The same of slots.
  bool simple_slots() const { return way == Way::kOneOfSlots; }
  // Everything that is asked for, in one line: equal texts are equal limiters.
  std::string text() const;
};

}  // namespace tidegate
