// SPDX-License-Identifier: MIT
// What is remembered of one key under one rate: three integers whose meaning the algorithm gives; a
// log of charges; or who holds slots. It never holds anything that depends on the limit's numbers
// except its window, so limit, burst and overdraft may change under it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tidegate {

struct State {
  int64_t a = 0;  // token bucket: debt;  fixed window: count; sliding window: index;    log: unused
  int64_t b = 0;  // token bucket: stamp; fixed window: start; sliding window: previous
  int64_t c = 0;  //                                           sliding window: current
};

// One remembered charge of a sliding log: when, and the sum of all charges up to and with it.
struct LogEntry {
  int64_t time_us;
  int64_t total;
};

// A sliding log at rest: entries oldest first, one a microsecond; base: the sum before the first.
struct LogSpan {
  const LogEntry* entries = nullptr;
  size_t count = 0;
  int64_t base = 0;
};

// Whose slots they are: 16 bytes, a shorter id padded with zeros; all zeros: none was given.
struct HolderId {
  uint64_t words[2] = {};
  bool given() const { return words[0] | words[1]; }
  bool operator==(const HolderId&) const = default;
};

// One who holds slots: until when (below 2^53) and how many (at most kMaxSlots) in one word, which
// orders holders by when they leave. All zero: nobody.
struct SlotHolder {
  uint64_t word;
  uint64_t id_words[2];

  static constexpr int kSlotBits = 10;
  static uint64_t word_of(int64_t until_us, int64_t slots) {
    return static_cast<uint64_t>(until_us) << kSlotBits | static_cast<uint64_t>(slots);
  }
  HolderId id() const { return {{id_words[0], id_words[1]}}; }
  int64_t until_us() const { return static_cast<int64_t>(word >> kSlotBits); }
  int64_t slots() const { return static_cast<int64_t>(word & ((1u << kSlotBits) - 1)); }
};
using HolderSpan = std::span<const SlotHolder>;  // at rest: by `until_us`, the expired among them

}  // namespace tidegate
