// SPDX-License-Identifier: MIT
// Which node a call goes to. One server: always the same. Sentinel is one server with another
// look-up; a cluster's route knows the slots.
#pragma once

#include <algorithm>
#include <atomic>

#include "store/valkey/node.h"

namespace tidegate {

// What must not wait behind what: a body of a megabyte, and a decision. A lane is a connection of
// its own, which is made when something goes there.
enum class Lane : uint8_t { kDecisions, kBodies };

// As Node.
class Route {
 public:
  Route(StoreContext& store, Reactor& reactor, Deadlines& deadlines)
      : node_(store, reactor, deadlines), bodies_(store, reactor, deadlines) {}

  // Any thread.
  Node& of(const Call& call) {
    if (lane_of(call) == Lane::kDecisions) return node_;
    if (!has_bodies()) has_bodies_.store(true, std::memory_order_relaxed);
    return bodies_;
  }
  template <class F>
  void for_each(F&& f) {
    f(node_);
    if (has_bodies()) f(bodies_);
  }

  // Of all nodes.
  bool will_hear() const { return node_.will_hear() && (!has_bodies() || bodies_.will_hear()); }
  bool full() const { return node_.full() && (!has_bodies() || bodies_.full()); }
  bool in_flight() const { return node_.in_flight() || (has_bodies() && bodies_.in_flight()); }
  int64_t round_trip_us() const {
    return node_.in_flight() || !has_bodies() ? node_.round_trip_us() : bodies_.round_trip_us();
  }
  size_t early_flush_size() const {
    return std::min(node_.early_flush_size(), has_bodies() ? bodies_.early_flush_size() : SIZE_MAX);
  }

 private:
  static Lane lane_of(const Call& call) {
    return call.is_cache() ? Lane::kBodies : Lane::kDecisions;
  }
  bool has_bodies() const { return has_bodies_.load(std::memory_order_relaxed); }

  std::atomic<bool> has_bodies_{false};
  Node node_, bodies_;
};

}  // namespace tidegate
