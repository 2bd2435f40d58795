// SPDX-License-Identifier: MIT
// Who is forgotten when there is no room: who loses least, and those who crowd the others out.
//
// Whoever sprays a limiter with made-up keys fills the table, and what goes for it decides whether
// he makes others' states disappear: a caller who used his quota up, and only has to wait until the
// spray has pushed him out, is not limited at all. (So age says nothing here: his state is the
// oldest.) A state's share is what it owes now, of its limit's capacity (its live slots, of all):
//
//   1. states that owe nothing: an untouched state answers the same, so that losing them changes
//   nothing;
//   2. harmless ones, which owe less than 1/16: the smallest share first, and before all others
//   those of rates
//      that hold more than their fair share (states / rates) of the shard;
//   3. where nothing harmless is left, the smallest share first within the rates that hold at least
//   their fair
//      share: a spray that exhausts each of its keys flushes its own limiter, not another.
//
// One search covers one shard, a random sample of some 1,000 states, and names several victims of
// the class at hand, so that its cost is divided among the insertions that follow.
//
// Pure: the caller holds the shard's lock and erases the victims.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "limiter/decide.h"
#include "store/memory/shard.h"

namespace tidegate {

enum class Owes : uint8_t { kNothing, kLittle, kMore };

struct Victims {
  static constexpr size_t kMost = 64;
  std::array<Fingerprint, kMost> ids;
  size_t count = 0;
  Owes owes = Owes::kNothing;  // all of them
};

struct Search {
  static constexpr size_t kMostSlots = 2048;

  std::span<const Slot> slots;  // at most kMostSlots
  size_t states;                // among them
  int64_t now_us;
  size_t begin = 0;  // where to begin
  // For room for logs and holders: only states that have memory of their own, none that owes more
  // than a little, and none of those that a request has in its hands.
  bool for_bytes = false;
  std::span<const Leg> spared = {};
};

// What is owed now, of the capacity: 0 only if nothing is.
double owed_share(const Slot& slot, int64_t now_us);

// At least one victim if there is a state, except for bytes. O(slots).
void find_victims(const Search& search, Victims& victims);

}  // namespace tidegate
