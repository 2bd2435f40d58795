// SPDX-License-Identifier: MIT
#include "client/caches.h"

namespace tidegate {

Result<uint64_t> Caches::open(const CacheSpec& spec) {
  auto made = CacheConfig::make(spec);
  if (!made) return made.error();
  const std::string name = (*made)->name, text = (*made)->text();
  const MutexGuard held(mutex_);
  if (const auto known = open_.find(name); known != open_.end()) {
    const std::string has = find(known->second)->config->text();
    if (has == text) return known->second;
    return Error{Code::kConflict, "cache '" + name + "' is already open with other numbers: " +
                                      has + "; asked for was " + text};
  }
  if (open_.size() == kMaxCaches || kept_.size() == kMaxKept)
    return Error{Code::kFull, "this client has " + std::to_string(open_.size()) +
                                  " caches open, and had " + std::to_string(kept_.size()) +
                                  ": close some, or fewer times"};
  handles_.reserve();
  kept_.push_back({std::move(*made), table_.space(name)});
  uint64_t& handle = open_[name];
  handle = handles_.add(&kept_.back());  // throws nothing: there is room
  return handle;
}

Status Caches::close(uint64_t handle) {
  const MutexGuard held(mutex_);
  const Cache* cache = find(handle);
  if (!cache) return Error{Code::kHandle, "no such cache in this client: it was closed"};
  open_.erase(cache->config->name);
  handles_.remove(handle);
  return Nothing{};
}

}  // namespace tidegate
