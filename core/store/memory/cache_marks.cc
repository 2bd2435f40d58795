// SPDX-License-Identifier: MIT
#include "store/memory/cache_marks.h"

#include <algorithm>

namespace tidegate {

int64_t CacheMarks::cleared_anew(int64_t now_us) {
  const MutexGuard guard(mutex_);
  const int64_t at_us = redated(cleared_.load(std::memory_order_relaxed), now_us);
  cleared_.store(at_us, std::memory_order_release);
  return at_us;
}

int64_t CacheMarks::purged(std::string_view tag, int64_t now_us) {
  const MutexGuard guard(mutex_);
  const auto found = purged_.find(tag);
  if (found == purged_.end()) return kNoMark;
  found->second = redated(found->second, now_us);
  return found->second;
}

void CacheMarks::purge(std::string_view tag, int64_t now_us, int64_t kept_us) {
  const MutexGuard guard(mutex_);
  if (const auto found = purged_.find(tag); found != purged_.end()) {
    found->second = std::max(redated(found->second, now_us), now_us);
    return;
  }
  if (purged_.size() >= kMaxNumbers) forget_old(now_us, kept_us);
  if (purged_.size() >= kMaxNumbers) {
    clear_locked(now_us);
    purged_.clear();
  }
  purged_.emplace(tag, now_us);
}

void CacheMarks::forget_old(int64_t now_us, int64_t kept_us) {
  const int64_t oldest_us = now_us - longest_us_.load(std::memory_order_relaxed) - kept_us;
  std::erase_if(purged_, [&](const auto& number) { return number.second < oldest_us; });
}

void CacheMarks::clear(int64_t now_us) {
  const MutexGuard guard(mutex_);
  clear_locked(now_us);
}

void CacheMarks::clear_locked(int64_t now_us) {
  const int64_t at_us = redated(cleared_.load(std::memory_order_relaxed), now_us);
  cleared_.store(std::max(at_us, now_us), std::memory_order_release);
}

}  // namespace tidegate
