// SPDX-License-Identifier: MIT
#include "stats/limited_now.h"

#include <algorithm>

namespace tidegate {
namespace {

// Those who were denied about as often do not take turns at the last place.
constexpr int64_t kMargin = 4, kLeastMargin = 3;

}  // namespace

int64_t LimitedNow::bytes() {
  return static_cast<int64_t>(sizeof(LimitedNow) + kMost * sizeof(Entry));
}

void LimitedNow::index(size_t caller) {
  const uint64_t hash = callers_[caller].hash;
  size_t at = hash >> 20;
  while (places_[at % kPlaces]) ++at;
  places_[at % kPlaces] =
      (static_cast<uint32_t>(hash >> 32) & kTagMask) | kTaken | static_cast<uint32_t>(caller);
}

void LimitedNow::index_all() {
  places_.fill(0);
  for (size_t i = 0; i < callers_.size(); ++i) index(i);
}

// Those who can pass go; where there are none, the one who was denied least, if that is clearly
// less than the newcomer.
bool LimitedNow::make_room(int64_t denied, int64_t now_us) {
  if (denied <= entry_ && now_us < first_us_) return false;
  std::erase_if(callers_, [now_us](const Entry& entry) { return entry.until_us <= now_us; });
  if (callers_.size() == kMost) {
    const auto by_denied = [](const Entry& a, const Entry& b) { return a.denied < b.denied; };
    const auto by_time = [](const Entry& a, const Entry& b) { return a.until_us < b.until_us; };
    const auto least = std::min_element(callers_.begin(), callers_.end(), by_denied);
    first_us_ = std::min_element(callers_.begin(), callers_.end(), by_time)->until_us;
    entry_ = least->denied + std::max(least->denied / kMargin, kLeastMargin);
    if (denied <= entry_) return false;
    *least = std::move(callers_.back());
    callers_.pop_back();
  }
  index_all();
  return true;
}

const LimitedNow::Caller* LimitedNow::enter(Entry entry) {
  first_us_ = std::min(first_us_, entry.until_us);
  callers_.push_back(std::move(entry));
  index(callers_.size() - 1);
  return &callers_.back();
}

void LimitedNow::forget(uint64_t hash) {
  const size_t found = find(hash);
  if (found == kNone) return;
  callers_[found] = std::move(callers_.back());
  callers_.pop_back();
  index_all();
}

size_t LimitedNow::count(int64_t now_us) const {
  return static_cast<size_t>(std::ranges::count_if(
      callers_, [now_us](const Entry& entry) { return entry.until_us > now_us; }));
}

std::vector<LimitedNow::Caller> LimitedNow::read(size_t most, int64_t now_us) const {
  std::vector<Caller> out;
  for (const Entry& entry : callers_)
    if (entry.until_us > now_us) out.push_back(entry);
  std::ranges::sort(out, [](const Caller& a, const Caller& b) {
    return a.denied != b.denied ? a.denied > b.denied : a.label < b.label;
  });
  if (out.size() > most) out.resize(most);
  return out;
}

}  // namespace tidegate
