// SPDX-License-Identifier: MIT
// The payload of a cache's call: what is asked of it, what is answered, and what became of it while
// it waits for somebody else's fill.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "limiter/operation.h"
#include "limiter/source.h"
#include "store/memory/cache_table.h"

namespace tidegate {

// A lease as callers hold it.
struct LeaseId {
  uint64_t token = 0;  // 0: none
  int64_t born = 0;    // of the store's clock
};

// As it is asked, borrowed from whoever asks.
struct CacheRequest {
  uint64_t handle = 0;
  std::string_view key;  // a digest; of a purge the tag
  bool fills = false;    // a look-up: the caller would make the value
  bool waits = false;    // and waits where somebody else makes it
  bool failed = false;   // a release: the fill failed, and `value` is what to tell who waits
  LeaseId lease;
  uint8_t kind = 0;
  std::string_view value, meta;
  std::array<std::string_view, kMaxTags> tags;
  size_t tag_count = 0;
  // What a put has in place of the cache's; 0: the cache's, kNone: none.
  static constexpr int64_t kNone = -1;
  Lifetimes life;
  int64_t wait_us = 0;  // the longest wait; 0: the cache's
};

// What a put, or one of those that are done or not, is answered.
enum class CacheDone : uint8_t { kNone, kStored, kLate, kRefused, kDone, kNot };

struct CacheAnswer {
  CacheStatus status = CacheStatus::kNone;  // of a look-up
  CacheDone done = CacheDone::kNone;        // of all others
  Source source = Source::kNone;
  LeaseId granted;    // token 0: none
  SharedBytes entry;  // the value, or with a miss the rescue
  int64_t age_us = 0, fresh_us = 0, born_us = 0;
  int64_t wait_us = 0;   // of kWait
  bool retries = false;  // of a release: there is something to rescue, for who asks again
  std::string text;      // of kFailed: what the filler said
};

struct CacheAsk {
  enum class Phase : uint8_t { kAsks, kParked, kAsksAgain, kAnswered };

  const Cache* cache = nullptr;
  Sha256 digest{};
  std::string tag, reason;
  bool fills = false, waits = false, failed = false;
  bool hands_on = false;  // a put: its value is here for who waits
  LeaseId lease;          // that it has, or of a look-up that fills: that it would get
  Lifetimes life;
  SharedBytes entry;  // to put

  CacheAnswer answer;

  // While it waits: of the desk (client/cache_desk.h), under its lock.
  Phase phase = Phase::kAsks;
  int64_t since_us = 0, give_up_us = 0, due_us = 0;  // of the Timeline
  uint64_t sequence = 0;  // when it came, among all that wait; of a put: before whom

  // Its owner is through with it: no value is kept for its sake.
  void let_go() {
    entry = {};
    answer.entry = {};
  }
  CacheKey key() const { return {cache->space->id, digest}; }
};

}  // namespace tidegate
