// SPDX-License-Identifier: MIT
// The last 1,000 things that happened, to be read any number of times: 128 of the store and of the
// client, which denials never push out, and 872 beginnings of a caller's being limited, of which at
// most 20 a second are listed.
//
// Events that a program is told of (EventLog) are among them.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "base/lock.h"
#include "stats/events.h"

namespace tidegate {

struct Happening {
  enum class Kind : uint8_t { kState, kDenied, kEvicted };

  int64_t id = 0;  // 1, 2, ... in the order of time
  Kind kind = Kind::kState;
  Level level = Level::kInfo;
  Code code = Code::kOk;
  int64_t wall_us = 0;
  std::string limiter, caller;  // kDenied; the caller's label
  std::string text;
};

// Any thread.
class History {
 public:
  static constexpr size_t kKept = 128, kDenialsKept = 872;
  static constexpr int64_t kDenialsASecond = 20;

  void add(Level level, Code code, int64_t wall_us, std::string text,
           Happening::Kind kind = Happening::Kind::kState);
  // now_us: of the limits' clock, by which the 20 a second are counted.
  void add_denial(std::string_view limiter, std::string_view caller, int64_t now_us);

  struct Page {
    std::vector<Happening> events;  // oldest first
    int64_t last = 0;               // the id to go on after
    int64_t unlisted = 0;           // denials beyond the 20 a second, since the client was opened
  };
  // The first `most` behind id `after`; after < 0: the last `most`.
  Page read(int64_t after, size_t most) const;

 private:
  mutable Mutex mutex_;
  int64_t next_id_ TIDEGATE_GUARDED_BY(mutex_) = 1;
  std::deque<Happening> kept_ TIDEGATE_GUARDED_BY(mutex_), denials_ TIDEGATE_GUARDED_BY(mutex_);
  int64_t second_ TIDEGATE_GUARDED_BY(mutex_) = -1, in_second_ TIDEGATE_GUARDED_BY(mutex_) = 0;
  int64_t unlisted_ TIDEGATE_GUARDED_BY(mutex_) = 0;
};

}  // namespace tidegate
