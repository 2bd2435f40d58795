// SPDX-License-Identifier: MIT
#include "stats/top_callers.h"

namespace tidegate {
namespace {

// 0.9^n in units of 2^-32.
constexpr size_t kDecays = 160;
constexpr std::array<uint32_t, kDecays> kDecay = [] {
  std::array<uint32_t, kDecays> table{};
  double chance = 4294967295.0;
  for (uint32_t& entry : table) {
    entry = static_cast<uint32_t>(chance);
    chance *= 0.9;
  }
  return table;
}();

// Whose weights hardly differ do not take turns at the last label.
constexpr int64_t kMargin = 16, kLeastMargin = 3;

}  // namespace

int64_t TopCallers::bytes() {
  return static_cast<int64_t>(sizeof(TopCallers) + kLabelled * sizeof(Labelled));
}

bool TopCallers::wears_down(int64_t smallest, int64_t weight) {
  const auto step = static_cast<uint64_t>(weight == 1 ? smallest : smallest / weight);
  if (step >= kDecays) return false;
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return static_cast<uint32_t>(random_ >> 32) <= kDecay[step];
}

static_assert(TopCallers::kWays == 4);

uint64_t* TopCallers::place(uint64_t hash, int64_t weight) {
  uint64_t* const bucket = const_cast<uint64_t*>(bucket_of(hash));
  const uint64_t print = print_of(hash);
  for (size_t way = 0; way < kWays; ++way) {
    uint64_t& cell = bucket[way];
    if ((cell & kPrintMask) != print || !cell) continue;
    const auto has = static_cast<int64_t>(cell >> kCountShift);
    cell += static_cast<uint64_t>(std::min(weight, kMostWeight - has)) << kCountShift;
    return &cell;
  }
  uint64_t* const left = bucket + (bucket[1] < bucket[0]);
  uint64_t* const right = bucket + 2 + (bucket[3] < bucket[2]);
  uint64_t* const smallest = *right < *left ? right : left;
  const auto least = static_cast<int64_t>(*smallest >> kCountShift);
  if (least && !wears_down(least, weight)) return nullptr;
  if (least > weight) {
    *smallest -= static_cast<uint64_t>(weight) << kCountShift;
    return nullptr;
  }
  if (const size_t label = *smallest & kLabelMask) leave(label);
  *smallest = static_cast<uint64_t>(weight) << kCountShift | print;
  return smallest;
}

// Is there a label for so much? The lightest goes, where it has clearly less.
bool TopCallers::make_room(int64_t weight) {
  if (labelled_.size() < kLabelled) return true;
  const auto lighter = [this](const Labelled& a, const Labelled& b) {
    return weight_of(a) < weight_of(b);
  };
  const auto lightest = std::min_element(labelled_.begin(), labelled_.end(), lighter);
  const int64_t least = weight_of(*lightest);
  entry_ = least + std::max(least / kMargin, kLeastMargin);
  if (weight <= entry_) return false;
  leave(static_cast<size_t>(lightest - labelled_.begin()) + 1);
  return true;
}

void TopCallers::enter(uint64_t* cell, std::string label) {
  labelled_.push_back({static_cast<uint32_t>(cell - cells_.data()), std::move(label)});
  *cell |= labelled_.size();
}

void TopCallers::leave(size_t label) {
  Labelled& gone = labelled_[label - 1];
  cells_[gone.cell] &= ~kLabelMask;
  if (label != labelled_.size()) {
    gone = std::move(labelled_.back());
    cells_[gone.cell] = (cells_[gone.cell] & ~kLabelMask) | label;
  }
  labelled_.pop_back();
  entry_ = labelled_.size() < kLabelled ? 0 : entry_;
}

int64_t TopCallers::estimate(uint64_t hash) const {
  const uint64_t* const bucket = bucket_of(hash);
  for (size_t way = 0; way < kWays; ++way)
    if (bucket[way] && (bucket[way] & kPrintMask) == print_of(hash))
      return static_cast<int64_t>(bucket[way] >> kCountShift);
  return 0;
}

std::vector<TopCallers::Caller> TopCallers::heaviest(size_t most) const {
  std::vector<Caller> callers;
  for (const Labelled& of : labelled_) callers.push_back({of.label, weight_of(of)});
  std::sort(callers.begin(), callers.end(), [](const Caller& a, const Caller& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.label < b.label;
  });
  if (callers.size() > most) callers.resize(most);
  return callers;
}

}  // namespace tidegate
