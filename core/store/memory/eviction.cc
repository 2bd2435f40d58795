// SPDX-License-Identifier: MIT
#include "store/memory/eviction.h"

#include <algorithm>

namespace tidegate {
namespace {

constexpr float kHarmless = 1.0F / 16;
constexpr size_t kManyPerSearch = 16;  // a 16th of the states, of those that lose little;
constexpr size_t kFewPerSearch = 64;   // a 64th where somebody's past goes

// How many states each rate has. Beyond kMost rates some are counted as one: so many share no shard
// of 1,000 unfairly.
class Rates {
 public:
  uint8_t add(const Numbers* limit) {
    const uint64_t name = name_of(limit);
    const size_t first = name * 0x9e3779b97f4a7c15 >> 56;
    size_t at = first;
    while (names_[at] != name && names_[at]) at = (at + 1) % kPlaces;
    if (!names_[at]) {
      if (known_ < kMost) {
        names_[at] = name;
        ++known_;
      } else {
        at = first;  // counted there, whosever it is
      }
    }
    used_ += counts_[at]++ == 0;
    ++total_;
    return static_cast<uint8_t>(at);
  }
  // Compared with the mean of the places that are used: one of them always has at least that.
  bool more_than_fair(uint8_t rate) const { return counts_[rate] * used_ > total_; }
  bool at_least_fair(uint8_t rate) const { return counts_[rate] * used_ >= total_; }

 private:
  static constexpr size_t kPlaces = 256, kMost = 192;

  // A rate is one whatever numbers it had when its states were last asked for. Numbers that are
  // nobody's are rates of their own.
  static uint64_t name_of(const Numbers* limit) {
    return limit->mark.number ? limit->mark.number
                              : reinterpret_cast<uintptr_t>(limit) >> 3 | 1ULL << 63;
  }

  std::array<uint64_t, kPlaces> names_{};
  std::array<uint16_t, kPlaces> counts_{};
  size_t known_ = 0, used_ = 0, total_ = 0;
};

struct Candidate {
  float share;
  uint16_t index;
  uint8_t rate;
};

bool spared(const Search& search, const Slot& slot) {
  if (!search.for_bytes) return false;
  if (slot.bytes() == 0) return true;
  return std::ranges::find(search.spared, slot.id, &Leg::id) != search.spared.end();
}

// Names the `most` smallest.
void name(const Search& search, std::span<Candidate> candidates, size_t most, Owes owes,
          Victims& victims) {
  const size_t count = std::min(most, candidates.size());
  std::nth_element(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(count - 1),
                   candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.share < b.share; });
  for (const Candidate& candidate : candidates.first(count))
    victims.ids[victims.count++] = search.slots[candidate.index].id;
  victims.owes = owes;
}

}  // namespace

double owed_share(const Slot& slot, int64_t now_us) {
  const Numbers& limit = *slot.limit;
  const auto capacity = static_cast<double>(limit.capacity);
  const auto ticks = static_cast<double>(limit.ticks);
  switch (limit.algorithm) {
    case Algorithm::kTokenBucket: {
      const auto bucket = TokenBucket::at(limit, slot.state, now_us);
      return static_cast<double>(bucket.debt) / (capacity * ticks);
    }
    case Algorithm::kFixedWindow: {
      const auto window = FixedWindow::at(limit, slot.state, now_us);
      return static_cast<double>(window.count) / capacity;
    }
    case Algorithm::kSlidingWindow: {
      const auto window = SlidingWindow::at(limit, slot.state, now_us);
      const int64_t left = limit.ticks - window.elapsed;
      return (static_cast<double>(window.current) +
              static_cast<double>(window.previous) * static_cast<double>(left) / ticks) /
             capacity;
    }
    case Algorithm::kSlidingLog: {
      const auto log = SlidingLog::at(limit, slot.log.span(), now_us);
      return static_cast<double>(log.used()) / capacity;
    }
    case Algorithm::kConcurrency:
      return static_cast<double>(slot.holders.live_slots(now_us)) / capacity;
  }
  __builtin_unreachable();
}

void find_victims(const Search& search, Victims& victims) {
  const size_t many = std::clamp<size_t>(search.states / kManyPerSearch, 1, Victims::kMost);
  const size_t few = std::clamp<size_t>(search.states / kFewPerSearch, 1, Victims::kMost);
  std::array<Candidate, Search::kMostSlots> candidates;
  size_t count = 0, harmless = 0;
  Rates rates;
  for (size_t step = 0, at = search.begin; step < search.slots.size(); ++step, ++at) {
    if (at >= search.slots.size()) at = 0;
    const Slot& slot = search.slots[at];
    if (!slot.limit) continue;
    const uint8_t rate = rates.add(slot.limit);
    if (spared(search, slot)) continue;
    const auto share = static_cast<float>(owed_share(slot, search.now_us));
    if (share > 0) {
      candidates[count++] = {share, static_cast<uint16_t>(at), rate};
      harmless += share < kHarmless;
    } else {
      victims.ids[victims.count++] = slot.id;
      if (victims.count == many) return;
    }
  }
  if (victims.count || count == 0) return;

  const std::span<Candidate> all(candidates.data(), count);
  if (harmless) {
    const auto end = std::partition(all.begin(), all.end(),
                                    [](const Candidate& c) { return c.share < kHarmless; });
    const std::span<Candidate> chosen(all.begin(), end);
    for (Candidate& candidate : chosen)
      if (!rates.more_than_fair(candidate.rate)) candidate.share += 1;
    name(search, chosen, many, Owes::kLittle, victims);
  } else if (!search.for_bytes) {
    const auto end = std::partition(
        all.begin(), all.end(), [&](const Candidate& c) { return rates.at_least_fair(c.rate); });
    name(search, {all.begin(), end == all.begin() ? all.end() : end}, few, Owes::kMore, victims);
  }
}

}  // namespace tidegate
