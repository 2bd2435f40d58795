// SPDX-License-Identifier: MIT
#include "store/memory/shard.h"

#include <algorithm>
#include <cstdlib>

namespace tidegate {

int64_t Slot::bytes() const {
  switch (limit->algorithm) {
    case Algorithm::kTokenBucket:
    case Algorithm::kFixedWindow:
    case Algorithm::kSlidingWindow:
      return 0;
    case Algorithm::kSlidingLog:
      return log.bytes();
    case Algorithm::kConcurrency:
      return holders.bytes();
  }
  __builtin_unreachable();
}

int64_t Slot::release(Quota& quota) {
  switch (limit->algorithm) {
    case Algorithm::kTokenBucket:
    case Algorithm::kFixedWindow:
    case Algorithm::kSlidingWindow:
      return 0;
    case Algorithm::kSlidingLog:
      return log.release(quota);
    case Algorithm::kConcurrency:
      return holders.release(quota);
  }
  __builtin_unreachable();
}

Shard::~Shard() TIDEGATE_UNCHECKED_LOCKS {
  if (owns_slots_) std::free(slots_);
}

void Shard::start(Slot* first) {
  slots_ = first;
  size_ = kFirstSlots;
}

bool Shard::grow(uint32_t most_slots, Quota& bytes) {
  const uint32_t size = std::min(size_ + size_ / 2, most_slots);
  if (size <= size_ || most_in(size) <= count_) return false;
  const auto new_bytes = static_cast<int64_t>(size * sizeof(Slot));
  const auto old_bytes = static_cast<int64_t>(size_ * sizeof(Slot));
  auto* slots = static_cast<Slot*>(std::calloc(size, sizeof(Slot)));
  if (!slots) return false;
  bytes.take(new_bytes);

  Slot* const old = slots_;
  const uint32_t old_size = size_;
  slots_ = slots;
  size_ = size;
  hand = 0;
  for (uint32_t i = 0; i < old_size; ++i) {
    if (!old[i].limit) continue;
    uint32_t at = home(old[i].id);
    while (slots_[at].limit) at = after(at);
    slots_[at] = old[i];
  }
  if (owns_slots_) {
    std::free(old);
    bytes.give(old_bytes);
  }
  owns_slots_ = true;
  return true;
}

Slot* Shard::insert(const Fingerprint& id, const Numbers* limit) {
  uint32_t at = home(id);
  while (slots_[at].limit) at = after(at);
  ++count_;
  slots_[at] = {.id = id, .state = {}, .limit = limit};
  if (limit->algorithm == Algorithm::kSlidingLog) slots_[at].log = {};
  if (limit->algorithm == Algorithm::kConcurrency) slots_[at].holders = {};
  return &slots_[at];
}

int64_t Shard::erase(Slot* slot, Quota& more_bytes) {
  const int64_t freed = slot->release(more_bytes);
  --count_;
  auto hole = static_cast<uint32_t>(slot - slots_);
  for (uint32_t at = after(hole); slots_[at].limit; at = after(at)) {
    const uint32_t wanted = home(slots_[at].id);
    const bool may_move = hole < at ? wanted <= hole || wanted > at : wanted <= hole && wanted > at;
    if (!may_move) continue;
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole].limit = nullptr;
  return freed;
}

void Shard::release_all(Quota& more_bytes) {
  for (uint32_t i = 0; i < size_; ++i)
    if (slots_[i].limit) slots_[i].release(more_bytes);
}

}  // namespace tidegate
