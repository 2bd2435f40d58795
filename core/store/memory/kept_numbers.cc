// SPDX-License-Identifier: MIT
#include "store/memory/kept_numbers.h"

namespace tidegate {

void KeptNumbers::replace(std::span<const Numbers* const> gone, std::span<Shard> shards) {
  const MutexGuard held(mutex_);
  std::unordered_map<const Numbers*, Copy*> instead;
  for (const auto& [text, copy] : copies_) {
    copy->used = false;
    instead.emplace(&copy->numbers, copy.get());
  }
  for (const Numbers* numbers : gone) {
    auto& copy = copies_[std::to_string(numbers->mark.number) + " " + rate_text(*numbers)];
    if (!copy) copy = std::make_unique<Copy>(Copy{*numbers});
    instead.emplace(numbers, copy.get());
  }

  // Neighbours often have the same numbers: the last look-up is remembered.
  const Numbers* last = nullptr;
  Copy* found = nullptr;
  for (Shard& shard : shards) {
    const SpinGuard guard(shard.lock);
    shard.each([&](Slot& slot) {
      if (slot.limit != last) {
        last = slot.limit;
        const auto at = instead.find(last);
        found = at == instead.end() ? nullptr : at->second;
      }
      if (!found) return;
      found->used = true;
      slot.limit = &found->numbers;
    });
  }
  std::erase_if(copies_, [](const auto& entry) { return !entry.second->used; });
}

size_t KeptNumbers::size() const {
  const MutexGuard held(mutex_);
  return copies_.size();
}

}  // namespace tidegate
