// SPDX-License-Identifier: MIT
// The limiters of a client, by name.
//
//   auto api = limiters.open({.rates = "100/minute", .name = "api"});
//   { const Visits::Visit visit(limiters.visits()); use(limiters.find(*api)); }
//
// Numbers that nobody can find any more (a limiter was closed, or changed) are freed when no visit
// is left that may have found them, no call on its way holds them (limiter/pins.h), and the
// embedded store's states have let go of them: some 1,000 at a time, since that costs a look at
// every state.
//
// Bounds: kMaxLimiters open, kMaxConfigs in memory. The second is reached only while so many are
// in use; where the system has no membarrier (base/visits.h) nothing is freed, and it is for good.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/lock.h"
#include "base/visits.h"
#include "client/handle_table.h"
#include "limiter/make_config.h"

namespace tidegate {

// Any thread.
class Limiters {
 public:
  static constexpr uint32_t kMaxLimiters = 65'536;
  static constexpr size_t kMaxConfigs = 262'144;
  static constexpr size_t kFreedAtOnce = 1'024;

  using ConfigPtr = std::unique_ptr<const LimiterConfig>;
  // Told before configurations are freed: whoever points to their numbers ceases to.
  using LetGo = std::function<void(std::span<const ConfigPtr>)>;

  // Told of every configuration before anybody can find it.
  using Adopt = std::function<void(const LimiterConfig&)>;

  Limiters(LimiterDefaults defaults, const Fingerprinter& fingerprint, LetGo let_go,
           Adopt adopt = nullptr);

  // The same name and specification again: the same handle. kConflict, kFull, or what make_limiter
  // says.
  Result<uint64_t> open(const LimiterSpec& spec);
  Status change(uint64_t handle, const LimiterSpec& spec);  // kHandle
  Status close(uint64_t handle);                            // kHandle

  // A limiter that somebody needs for a while: as open(), and closed with the last give_back()
  // where nobody has opened it beside.
  Result<uint64_t> lend(const LimiterSpec& spec);
  // Other numbers, or another mode, of a name for some of its callers: the same states, and no
  // other limiter of that name hears of it.
  Result<uint64_t> lend_variant(const LimiterSpec& spec);
  void give_back(uint64_t handle);

  // Null for a handle that is stale or not of this client. What it returns is good until the
  // caller's visit ends, or as long as he holds it. O(1), no lock.
  const LimiterConfig* find(uint64_t handle) const { return handles_.find(handle); }
  Visits& visits() const { return visits_; }

  size_t configs() const;  // in memory
  // Those that are open, `most` of them, by name.
  std::vector<uint64_t> open_ones(size_t most) const;

 private:
  struct Open {
    uint64_t handle = 0;
    ConfigPtr config;
    bool opened = false;  // by a user
    uint32_t lent = 0;
  };
  Status check_room() TIDEGATE_REQUIRES(mutex_);
  Status check_place() TIDEGATE_REQUIRES(mutex_);
  Result<Open*> find_or_open(const LimiterSpec& spec) TIDEGATE_REQUIRES(mutex_);
  void close_found(uint64_t handle, ConfigPtr gone) TIDEGATE_REQUIRES(mutex_);
  void reserve_retired() TIDEGATE_REQUIRES(mutex_);
  void retire(ConfigPtr config) TIDEGATE_REQUIRES(mutex_);
  void free_retired() TIDEGATE_REQUIRES(mutex_);

  const std::string name_space_;
  const LimiterDefaults defaults_;
  const Fingerprinter& fingerprint_;
  const LetGo let_go_;
  const Adopt adopt_;
  mutable Visits visits_;

  mutable Mutex mutex_;
  // Written under the lock; find() takes none.
  HandleTable<LimiterConfig, HandleKind::kLimiter, kMaxLimiters> handles_;
  std::unordered_map<std::string, Open> by_name_ TIDEGATE_GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, ConfigPtr> variants_ TIDEGATE_GUARDED_BY(mutex_);

  std::vector<ConfigPtr> retired_ TIDEGATE_GUARDED_BY(mutex_);  // since leaving_ was put together
  std::vector<ConfigPtr> leaving_ TIDEGATE_GUARDED_BY(mutex_);  // go when left_ is over
  Visits::Moment left_ TIDEGATE_GUARDED_BY(mutex_);
  size_t held_ TIDEGATE_GUARDED_BY(mutex_) = 0;  // of retired_, by calls when last looked at
};

}  // namespace tidegate
