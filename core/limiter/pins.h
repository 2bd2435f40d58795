// SPDX-License-Identifier: MIT
// Holds configurations beyond the visit that found them: a call on its way to a server, and the run
// that carries it, refer to them for as long as the way takes.
#pragma once

#include <span>
#include <vector>

#include "limiter/request.h"

namespace tidegate {

// One thread at a time. Releases what it holds when it goes. Whoever calls a hold function visits
// the limiters, or knows that somebody else holds the same.
class ConfigPins {
 public:
  ConfigPins() = default;
  ~ConfigPins() { clear(); }
  ConfigPins(const ConfigPins&) = delete;
  ConfigPins& operator=(const ConfigPins&) = delete;

  // Those of the parts, too.
  void hold(std::span<const Part> parts) {
    for (const Part& part : parts)
      if (held_.empty() || held_.back() != part.limiter) {
        held_.push_back(part.limiter);
        part.limiter->pins.fetch_add(1, std::memory_order_relaxed);
      }
  }
  // Those of the parts, and no others. Where they are those that it has nothing is written.
  void hold_only(std::span<const Part> parts) {
    if (same(parts)) return;
    ConfigPins others;
    others.held_.swap(held_);
    hold(parts);
  }
  void clear() {
    for (const LimiterConfig* config : held_) config->pins.fetch_sub(1, std::memory_order_release);
    held_.clear();
  }

 private:
  bool same(std::span<const Part> parts) const {
    if (parts.size() != held_.size()) return false;
    for (size_t i = 0; i < parts.size(); ++i)
      if (parts[i].limiter != held_[i]) return false;
    return true;
  }

  std::vector<const LimiterConfig*> held_;  // one may be there several times
};

}  // namespace tidegate
