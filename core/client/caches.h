// SPDX-License-Identifier: MIT
// The caches of a client, by name.
//
// Bounds: kMaxCaches open, kMaxKept numbers in memory: those of closed ones stay, since calls on
// their way may refer to them.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>

#include "base/lock.h"
#include "client/handle_table.h"
#include "store/memory/cache_table.h"

namespace tidegate {

// Any thread.
class Caches {
 public:
  static constexpr uint32_t kMaxCaches = 1'024;
  static constexpr size_t kMaxKept = 16'384;

  explicit Caches(CacheTable& table) : table_(table) {}

  // The same name and numbers again: the same handle. kConflict, kFull, or what CacheConfig says.
  Result<uint64_t> open(const CacheSpec& spec);
  Status close(uint64_t handle);  // kHandle. Its entries stay, for whoever opens the name again

  // Null for a handle that is stale or not of this client; what it returns is good as long as the
  // client. O(1), no lock.
  const Cache* find(uint64_t handle) const { return handles_.find(handle); }

 private:
  CacheTable& table_;
  Mutex mutex_;
  HandleTable<Cache, HandleKind::kCache, kMaxCaches> handles_;  // written under the lock
  std::unordered_map<std::string, uint64_t> open_ TIDEGATE_GUARDED_BY(mutex_);
  std::deque<Cache> kept_ TIDEGATE_GUARDED_BY(mutex_);
};

}  // namespace tidegate
