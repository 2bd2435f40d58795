// SPDX-License-Identifier: MIT
#include "store/memory/holders.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace tidegate {
namespace {

constexpr uint32_t kFirstCapacity = 4;

constexpr int64_t bytes_of(uint32_t capacity) {
  return static_cast<int64_t>(sizeof(HolderBuffer) + capacity * sizeof(SlotHolder));
}

bool leaves_earlier(const SlotHolder& a, const SlotHolder& b) { return a.word < b.word; }

// Forgets the expired among `count` holders and `id`, and dates those anew who are too far ahead;
// returns how many are left.
uint32_t bring_to(const Numbers& limit, int64_t now_us, const HolderId& id, SlotHolder* holders,
                  uint32_t count) {
  const bool far = Slots::far_ahead(limit, {holders, count}, now_us);
  uint32_t kept = 0;
  for (uint32_t i = 0; i < count; ++i) {
    SlotHolder holder = holders[i];
    if (holder.until_us() <= now_us || holder.id() == id) continue;
    if (far) holder.word = SlotHolder::word_of(Slots::until(limit, holder, now_us), holder.slots());
    holders[kept++] = holder;
  }
  if (far) std::sort(holders, holders + kept, leaves_earlier);
  return kept;
}

}  // namespace

HolderSpan Holders::span() const {
  if (HolderBuffer* const held = buffer()) return {held->entries(), held->count};
  return {&only, only.word ? size_t{1} : size_t{0}};
}

int64_t Holders::live_slots(int64_t now_us) const {
  const HolderSpan all = span();
  int64_t slots = 0;
  for (auto holder = all.rbegin(); holder != all.rend() && holder->until_us() > now_us; ++holder)
    slots += holder->slots();
  return slots;
}

int64_t Holders::bytes() const { return buffer() ? bytes_of(buffer()->capacity) : 0; }

bool Holders::has_room(int64_t now_us) const {
  const HolderSpan all = span();
  const size_t capacity = buffer() ? buffer()->capacity : 1;
  return all.size() < capacity || all.front().until_us() <= now_us;
}

bool Holders::reserve(Quota& quota) {
  return resize(buffer() ? 2 * buffer()->capacity : kFirstCapacity, quota);
}

void Holders::keep(const Numbers& limit, const Slots& view, const HolderId& id, Quota& quota) {
  const SlotHolder own{SlotHolder::word_of(view.own_until_us, view.own_slots),
                       {id.words[0], id.words[1]}};
  HolderBuffer* const held = buffer();
  if (!held) {
    const bool others = only.word && bring_to(limit, view.now_us, id, &only, 1) == 1;
    if (view.held())
      only = own;
    else if (!others)
      only = {};
    return;
  }
  SlotHolder* const holders = held->entries();
  uint32_t count = bring_to(limit, view.now_us, id, holders, held->count);
  if (view.held() && count < held->capacity) {
    SlotHolder* const at = std::upper_bound(holders, holders + count, own, leaves_earlier);
    std::memmove(at + 1, at, static_cast<size_t>(holders + count - at) * sizeof(SlotHolder));
    *at = own;
    ++count;
  }
  held->count = count;
  if (count == 0) {
    release(quota);
    only = {};
  } else if (held->capacity > kFirstCapacity && count <= held->capacity / 4) {
    resize(std::max(kFirstCapacity, 2 * count), quota);
  }
}

int64_t Holders::release(Quota& quota) {
  const int64_t freed = bytes();
  quota.give(freed);
  std::free(buffer());
  only = {};
  return freed;
}

bool Holders::resize(uint32_t capacity, Quota& quota) {
  HolderBuffer* const old = buffer();
  const int64_t more = bytes_of(capacity) - bytes();
  if (more > 0 && !quota.take(more)) return false;
  void* const memory = std::realloc(old, static_cast<size_t>(bytes_of(capacity)));
  if (!memory) {
    if (more > 0) quota.give(more);
    return false;
  }
  auto* const made = static_cast<HolderBuffer*>(memory);
  if (!old) {
    made->count = only.word ? 1 : 0;
    if (only.word) made->entries()[0] = only;
  }
  made->capacity = capacity;
  only = {kBuffered, {std::bit_cast<uint64_t>(made), 0}};
  if (more < 0) quota.give(-more);
  return true;
}

}  // namespace tidegate
