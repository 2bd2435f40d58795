// SPDX-License-Identifier: MIT
// What was wiped in one cache: when it was cleared, and each tag purged. An entry counts only if it
// was born later.
//
// Bound: kMaxTags numbers. A number is forgotten when the longest entry that it can concern is
// over; where too many are young, they become one: the cache is cleared.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/lock.h"
#include "cache/decide.h"

namespace tidegate {

// Any thread.
class CacheMarks {
 public:
  static constexpr size_t kMaxNumbers = 65'536;

  // The latest instant that something without tags has to be younger than. No lock.
  int64_t cleared(int64_t now_us) {
    const int64_t at_us = cleared_.load(std::memory_order_acquire);
    return at_us - now_us > kMaxSkewUs ? cleared_anew(now_us) : at_us;
  }
  // The same of a tag; kNoMark.
  int64_t purged(std::string_view tag, int64_t now_us);

  // `kept_us`: so long after now something may come that was begun before.
  void purge(std::string_view tag, int64_t now_us, int64_t kept_us);
  void clear(int64_t now_us);
  // Something is stored that lives so long.
  void lives(int64_t whole_us) {
    int64_t longest = longest_us_.load(std::memory_order_relaxed);
    while (longest < whole_us && !longest_us_.compare_exchange_weak(longest, whole_us)) {
    }
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  int64_t cleared_anew(int64_t now_us);
  void forget_old(int64_t now_us, int64_t kept_us) TIDEGATE_REQUIRES(mutex_);
  void clear_locked(int64_t now_us) TIDEGATE_REQUIRES(mutex_);

  std::atomic<int64_t> cleared_{kNoMark};
  std::atomic<int64_t> longest_us_{0};
  Mutex mutex_;
  std::unordered_map<std::string, int64_t, Hash, std::equal_to<>> purged_
      TIDEGATE_GUARDED_BY(mutex_);
};

}  // namespace tidegate
