// SPDX-License-Identifier: MIT
// Who is behind most of it, in 32 KiB however many callers there are: a bucketed HeavyKeeper. A
// caller has one place in the four of his bucket; who finds all taken wears down the smallest, the
// less likely the larger it is. The 128 heaviest have a label, which is made when one of them
// becomes so.
//
//   top.add(fingerprint.low, 1, [&] { return labels.of(key); });
//   for (const TopCallers::Caller& caller : top.heaviest(20)) ...
//
// Thread safety: one thread at a time. add() is O(1), and sometimes a look at the 128.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace tidegate {

class TopCallers {
 public:
  static constexpr size_t kBuckets = 1'024, kWays = 4, kLabelled = 128;
  static constexpr int64_t kMostWeight = (int64_t{1} << 36) - 1;  // sums end there

  struct Caller {
    std::string label;
    int64_t weight = 0;
  };

  TopCallers() { labelled_.reserve(kLabelled); }

  // What the caller has by now, never more than he brought but for one in a million whom two
  // callers share; 0: he is not kept.
  template <class MakeLabel>
  int64_t add(uint64_t hash, int64_t weight, MakeLabel&& label) {
    uint64_t* const cell = place(hash, std::min(weight, kMostWeight));
    if (!cell) return 0;
    const auto has = static_cast<int64_t>(*cell >> kCountShift);
    if (!(*cell & kLabelMask) && has > entry_) [[unlikely]]
      if (make_room(has)) enter(cell, label());
    return has;
  }
  int64_t estimate(uint64_t hash) const;
  // add() of that hash comes soon. Any thread.
  void expect(uint64_t hash) const { __builtin_prefetch(bucket_of(hash), 1); }
  std::vector<Caller> heaviest(size_t most) const;

  static int64_t bytes();  // of one, labels of usual length included

 private:
  // A cell: 36 bits of weight, 20 of the hash, and which label is his (1 to 128; 0: none).
  static constexpr int kCountShift = 28, kPrintShift = 8;
  static constexpr uint64_t kLabelMask = 0xff, kPrintMask = uint64_t{0xfffff} << kPrintShift;
  static uint64_t print_of(uint64_t hash) { return hash >> 44 << kPrintShift; }
  struct Labelled {
    uint32_t cell;
    std::string label;
  };

  const uint64_t* bucket_of(uint64_t hash) const { return &cells_[hash % kBuckets * kWays]; }
  uint64_t* place(uint64_t hash, int64_t weight);
  bool wears_down(int64_t smallest, int64_t weight);
  bool make_room(int64_t weight);
  void enter(uint64_t* cell, std::string label);
  void leave(size_t label);
  int64_t weight_of(const Labelled& of) const {
    return static_cast<int64_t>(cells_[of.cell] >> kCountShift);
  }

  std::array<uint64_t, kBuckets * kWays> cells_{};
  std::vector<Labelled> labelled_;
  int64_t entry_ = 0;  // nobody with less is labelled anew
  uint64_t random_ = 0x9e3779b97f4a7c15;
};

}  // namespace tidegate
