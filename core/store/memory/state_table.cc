// SPDX-License-Identifier: MIT
#include "store/memory/state_table.h"

#include <time.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace tidegate {
namespace {

constexpr int64_t kStatesPerShard = 1024;
constexpr int64_t kMaxShards = 1 << 24;
constexpr int kShardsToSearch = 8;
constexpr int kEvictionsForBytes = 8;
constexpr int kTriesForPlace = 100;
constexpr long kPauseForPlaceNs = 100'000;
constexpr int32_t kPause = 64;

}  // namespace

TablePlan::TablePlan(const MemoryOptions& options) {
  keys = std::clamp<int64_t>(options.max_keys, 1, kMaxShards * kStatesPerShard);
  const int64_t most_bytes = options.max_bytes / 4 * 3;
  for (;;) {
    const auto wanted = static_cast<uint64_t>((keys + kStatesPerShard - 1) / kStatesPerShard);
    shards = static_cast<uint32_t>(std::bit_ceil(wanted));
    keys_per_shard = static_cast<uint32_t>((keys + shards - 1) / shards);
    // Keys fall into shards at random: a shard has room for the mean and six deviations.
    const double spread = shards > 1 ? 6 * std::sqrt(keys_per_shard) + 8 : 0;
    const uint32_t states = keys_per_shard + static_cast<uint32_t>(spread);
    slots_per_shard = std::max(Shard::slots_for(states), Shard::kFirstSlots);
    const size_t of_shard = sizeof(Shard) + (Shard::kFirstSlots + slots_per_shard) * sizeof(Slot);
    table_bytes = static_cast<int64_t>(sizeof(StateTable) + of_shard * shards);
    if (table_bytes <= most_bytes || keys == 1) break;
    const double share = static_cast<double>(most_bytes) / static_cast<double>(table_bytes);
    keys =
        std::clamp<int64_t>(static_cast<int64_t>(static_cast<double>(keys) * share), 1, keys - 1);
  }
  more_bytes = std::max<int64_t>(0, options.max_bytes - table_bytes);
}

StateTable::StateTable(const MemoryOptions& options) TIDEGATE_UNCHECKED_LOCKS
    : plan_(options),
      index_shift_(63 - std::countr_zero(plan_.shards)),
      first_slots_(std::make_unique<Slot[]>(size_t{plan_.shards} * Shard::kFirstSlots)),
      shards_(std::make_unique<Shard[]>(plan_.shards)),
      keys_(plan_.keys),
      table_bytes_(INT64_MAX),
      more_bytes_(plan_.more_bytes) {
  for (uint32_t i = 0; i < plan_.shards; ++i)
    shards_[i].start(&first_slots_[size_t{i} * Shard::kFirstSlots]);
  table_bytes_.take(static_cast<int64_t>(
      sizeof(StateTable) + plan_.shards * (sizeof(Shard) + Shard::kFirstSlots * sizeof(Slot))));
}

StateTable::~StateTable() TIDEGATE_UNCHECKED_LOCKS {
  for (uint32_t i = 0; i < plan_.shards; ++i) shards_[i].release_all(more_bytes_);
}

Shard& StateTable::next_shard() {
  return shards_[hand_.fetch_add(1, std::memory_order_relaxed) & (plan_.shards - 1)];
}

Slot* StateTable::admit(Shard& shard, const Fingerprint& id, const Numbers& limit, int64_t now_us) {
  const bool room = shard.has_room() || shard.grow(plan_.slots_per_shard, table_bytes_);
  if (room && (keys_.take(1) || take_place_elsewhere(shard, now_us)))
    return shard.insert(id, &limit);
  const int64_t freed = evict(shard, now_us);
  // A shard that has nobody to give waits for a place, though not for ever: its lock is held, and
  // the others may all be this request's. Then there is one state too many until the next eviction.
  for (int tries = 0; freed == 0; ++tries) {
    if (take_place_elsewhere(shard, now_us)) return shard.insert(id, &limit);
    if (tries == kTriesForPlace) break;
    const timespec pause{.tv_sec = 0, .tv_nsec = kPauseForPlaceNs};
    nanosleep(&pause, nullptr);
  }
  keys_.give(freed - 1);  // the one place stays ours
  return shard.insert(id, &limit);
}

// Where all is full, shards with fewer states than others keep them: each is to remain a fair
// sample.
bool StateTable::take_place_elsewhere(const Shard& shard, int64_t now_us) {
  return shard.count() < plan_.keys_per_shard && evict_elsewhere(now_us) && keys_.take(1);
}

void StateTable::keep(Shard& shard, Slot* slot, const Leg& leg, std::span<const Leg> legs,
                      int64_t now_us) {
  switch (leg.limit->algorithm) {
    case Algorithm::kTokenBucket:
      slot->state = leg.view.bucket.state();
      return;
    case Algorithm::kFixedWindow:
      slot->state = leg.view.fixed.state();
      return;
    case Algorithm::kSlidingWindow:
      slot->state = leg.view.sliding.state();
      return;
    case Algorithm::kConcurrency:
      return keep_slots(slot, *leg.limit, leg.view.slots, leg.holder);
    case Algorithm::kSlidingLog:
      break;
  }
  for (int tries = 0; !slot->log.keep(leg.view.log, more_bytes_); ++tries) {
    if (tries == kEvictionsForBytes || !find_more_room(shard, legs, now_us))
      return slot->log.squeeze(leg.view.log);
    slot = shard.find(leg.id);
  }
}

bool StateTable::reserve(Shard& shard, const Fingerprint& id, std::span<const Leg> legs,
                         int64_t now_us) {
  for (int tries = 0;; ++tries) {
    Slot* const slot = shard.find(id);
    if (!slot || slot->holders.has_room(now_us) || slot->holders.reserve(more_bytes_)) return true;
    if (tries == kEvictionsForBytes || !find_more_room(shard, legs, now_us)) return false;
  }
}

void StateTable::erase(Shard& shard, const Fingerprint& id) {
  if (Slot* slot = shard.find(id)) {
    shard.erase(slot, more_bytes_);
    keys_.give(1);
  }
}

int64_t StateTable::remove(Shard& shard, const Victims& victims) {
  int64_t freed = 0;
  for (const Fingerprint& id : std::span(victims.ids).first(victims.count))
    freed += shard.erase(shard.find(id), more_bytes_);
  evicted_[static_cast<size_t>(victims.owes)].fetch_add(static_cast<int64_t>(victims.count),
                                                        std::memory_order_relaxed);
  return freed;
}

int64_t StateTable::evict(Shard& shard, int64_t now_us) {
  if (shard.count() == 0) return 0;
  Victims victims;
  find_victims({shard.slots(), shard.count(), now_us, shard.hand}, victims);
  remove(shard, victims);
  shard.hand = (shard.hand + 97) % static_cast<uint32_t>(shard.slots().size());
  return static_cast<int64_t>(victims.count);
}

bool StateTable::evict_elsewhere(int64_t now_us) TIDEGATE_UNCHECKED_LOCKS {
  for (uint32_t tries = 0; tries < plan_.shards; ++tries) {
    Shard& other = next_shard();
    if (!other.lock.try_lock()) continue;
    const int64_t freed = other.count() >= plan_.keys_per_shard ? evict(other, now_us) : 0;
    other.lock.unlock();
    if (freed) {
      keys_.give(freed);
      return true;
    }
  }
  return false;
}

int64_t StateTable::evict_for_bytes(Shard& shard, std::span<const Leg> spared, int64_t now_us) {
  Victims victims;
  find_victims({shard.slots(), shard.count(), now_us, shard.hand, true, spared}, victims);
  keys_.give(static_cast<int64_t>(victims.count));
  return remove(shard, victims);
}

bool StateTable::find_more_room(Shard& shard, std::span<const Leg> legs,
                                int64_t now_us) TIDEGATE_UNCHECKED_LOCKS {
  if (pause_.load(std::memory_order_relaxed) > 0 &&
      pause_.fetch_sub(1, std::memory_order_relaxed) > 0)
    return false;
  if (evict_for_bytes(shard, legs, now_us) > 0) return true;
  for (int tries = 0; tries < kShardsToSearch; ++tries) {
    Shard& other = next_shard();
    if (!other.lock.try_lock()) continue;  // also those that this request holds
    const int64_t freed = evict_for_bytes(other, legs, now_us);
    other.lock.unlock();
    if (freed > 0) return true;
  }
  pause_.store(kPause, std::memory_order_relaxed);
  return false;
}

void StateTable::let_go(std::span<const Numbers* const> gone) {
  kept_.replace(gone, {shards_.get(), plan_.shards});
}

MemoryStats StateTable::stats() const {
  return {.keys = keys_.used(),
          .bytes = table_bytes_.used() + more_bytes_.used(),
          .evicted_idle = evicted_[0].load(std::memory_order_relaxed),
          .evicted_harmless = evicted_[1].load(std::memory_order_relaxed),
          .evicted_owing = evicted_[2].load(std::memory_order_relaxed)};
}

}  // namespace tidegate
