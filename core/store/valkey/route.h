// SPDX-License-Identifier: MIT
// Which node a call goes to. One server: always the same. Sentinel is one server with another
// look-up; a cluster's route knows the slots.
#pragma once

#include "store/valkey/node.h"

namespace tidegate {

// What must not wait behind what: a body of a megabyte, and a decision. A lane is a connection of
// its own; there are only decisions as yet.
enum class Lane : uint8_t { kDecisions, kBodies };

// As Node.
class Route {
 public:
  Route(StoreContext& store, Reactor& reactor, Deadlines& deadlines)
      : node_(store, reactor, deadlines) {}

  Node& of(const Call&, Lane = Lane::kDecisions) { return node_; }
  template <class F>
  void for_each(F&& f) {
    f(node_);
  }

  // Of all nodes.
  bool will_hear() const { return node_.will_hear(); }
  bool full() const { return node_.full(); }
  bool in_flight() const { return node_.in_flight(); }
  int64_t round_trip_us() const { return node_.round_trip_us(); }
  size_t early_flush_size() const { return node_.early_flush_size(); }

 private:
  Node node_;
};

}  // namespace tidegate
