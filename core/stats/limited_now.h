// SPDX-License-Identifier: MIT
// Who was denied last and cannot pass yet, and when he can: at most 256, those who were denied most
// often. A caller who could pass in the meantime has left, whether he tried or not.
//
// A caller's wait is what the last denial said: of the cost that he asked for. One who asks for
// less may pass before.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace tidegate {

// One thread at a time. denied() is O(1), and sometimes a look at the 256.
class LimitedNow {
 public:
  static constexpr size_t kMost = 256;

  struct Caller {
    std::string label;
    int64_t until_us = 0;
    int64_t denied = 0;
  };

  LimitedNow() { callers_.reserve(kMost); }

  // He cannot pass before until_us (> now_us). `known`: how often he was denied, as far as somebody
  // else knows (TopCallers); 0: not known. The caller, where he was not among them: he begins to be
  // limited. (Its label is made then; where there is no room for him: null.)
  template <class MakeLabel>
  const Caller* denied(uint64_t hash, int64_t known, int64_t until_us, int64_t now_us,
                       MakeLabel&& label) {
    const size_t found = find(hash);
    if (found != kNone) {
      Entry& entry = callers_[found];
      const bool anew = entry.until_us <= now_us;
      entry.until_us = until_us;
      entry.denied = std::max(anew ? 1 : entry.denied + 1, known);
      return anew ? &entry : nullptr;
    }
    const int64_t denied = std::max<int64_t>(known, 1);
    if (callers_.size() == kMost && !make_room(denied, now_us)) return nullptr;
    return enter({{label(), until_us, denied}, hash});
  }
  void forget(uint64_t hash);

  size_t count(int64_t now_us) const;
  std::vector<Caller> read(size_t most, int64_t now_us) const;  // most denials first

  static int64_t bytes();

 private:
  struct Entry : Caller {
    uint64_t hash = 0;
  };
  static constexpr size_t kPlaces = 1'024, kNone = ~size_t{0};

  static constexpr uint32_t kTagMask = 0xfffe0000, kTaken = 0x10000;
  static size_t index_of(uint32_t place) { return place & 0xffff; }

  size_t find(uint64_t hash) const {
    for (size_t at = hash >> 20;; ++at) {
      const uint32_t place = places_[at % kPlaces];
      if (!place) return kNone;
      if (((place ^ (hash >> 32)) & kTagMask) == 0 && callers_[index_of(place)].hash == hash)
        return index_of(place);
    }
  }
  bool make_room(int64_t denied, int64_t now_us);
  const Caller* enter(Entry entry);
  void index(size_t caller);
  void index_all();

  std::vector<Entry> callers_;
  std::array<uint32_t, kPlaces> places_{};  // open addressing; a tag of the hash, and which caller
  int64_t entry_ = 0;                       // who was denied no more often does not replace anybody
  int64_t first_us_ = 0;                    // before it nobody of a full table can pass
};

}  // namespace tidegate
