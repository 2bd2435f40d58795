// SPDX-License-Identifier: MIT
#include "store/memory/memory_store.h"

#include <array>

#include "store/memory/state_table.h"

namespace tidegate {
namespace {

constexpr size_t kMostLegs = 128;

// The shards of a request, locked in the order of their indices. Beyond clang's analysis: how many
// is not known.
class ShardsLock {
 public:
  ShardsLock(StateTable& table, std::span<const Leg> legs) TIDEGATE_UNCHECKED_LOCKS : table_(table),
                                                                                      legs_(legs) {
    for (int64_t at = next(-1); at >= 0; at = next(at)) shard(at).lock.lock();
  }
  ~ShardsLock() TIDEGATE_UNCHECKED_LOCKS {
    for (int64_t at = next(-1); at >= 0; at = next(at)) shard(at).lock.unlock();
  }
  ShardsLock(const ShardsLock&) = delete;
  ShardsLock& operator=(const ShardsLock&) = delete;

 private:
  Shard& shard(int64_t index) { return table_.shard(static_cast<uint32_t>(index)); }

  // The least index of a leg's shard above `index`; -1: there is none. Legs are few: no list is
  // worth keeping.
  int64_t next(int64_t index) const {
    int64_t least = -1;
    for (const Leg& leg : legs_) {
      const int64_t at = table_.index_of(leg.id);
      if (at > index && (least < 0 || at < least)) least = at;
    }
    return least;
  }

  StateTable& table_;
  const std::span<const Leg> legs_;
};

// `cost`: what slots are looked at with.
View view_of(const Leg& leg, const Slot* slot, int64_t cost, int64_t now_us) {
  const Numbers& limit = *leg.limit;
  switch (limit.algorithm) {
    case Algorithm::kTokenBucket:
    case Algorithm::kFixedWindow:
    case Algorithm::kSlidingWindow:
      return view_at(limit, slot ? slot->state : State{}, now_us);
    case Algorithm::kSlidingLog:
      return {.log = SlidingLog::at(limit, slot ? slot->log.span() : LogSpan{}, now_us)};
    case Algorithm::kConcurrency: {
      const HolderSpan holders = slot ? slot->holders.span() : HolderSpan{};
      return {.slots = Slots::at(limit, holders, leg.holder, cost, now_us)};
    }
  }
  __builtin_unreachable();
}

bool is_far_ahead(const Slot& slot, const Numbers& limit, int64_t now_us) {
  switch (limit.algorithm) {
    case Algorithm::kTokenBucket:
    case Algorithm::kFixedWindow:
    case Algorithm::kSlidingWindow:
      return far_ahead(limit, slot.state, now_us);
    case Algorithm::kSlidingLog:
      return slot.log.far_ahead(now_us);
    case Algorithm::kConcurrency:
      return slot.holders.far_ahead(limit, now_us);
  }
  __builtin_unreachable();
}

// The rest of this file holds the shards' locks by a ShardsLock.
void load(StateTable& table, std::span<Leg> legs, int64_t now_us,
          bool debits = false) TIDEGATE_UNCHECKED_LOCKS {
  for (size_t i = 0; i < legs.size(); ++i) {
    Leg& leg = legs[i];
    leg.changed = false;
    if (leg.slot != i) continue;
    const Slot* const slot = table.shard_of(leg.id).find(leg.id);
    leg.view = view_of(leg, slot, debits ? 1 : leg.total, now_us);
  }
}

// Room for one who might take slots; true: there is none. Before views are loaded: others' states
// may go for it.
bool is_full(StateTable& table, Shard& shard, const Leg& leg, std::span<const Leg> legs,
             int64_t now_us) TIDEGATE_UNCHECKED_LOCKS {
  const Slot* const slot = shard.find(leg.id);
  if (!slot || slot->holders.has_room(now_us)) return false;
  const Slots view = view_of(leg, slot, leg.total, now_us).slots;
  return leg.total && !view.held() && fits(*leg.limit, view, leg.total) &&
         !table.reserve(shard, leg.id, legs, now_us);
}

void load_to_consume(StateTable& table, std::span<Leg> legs,
                     int64_t now_us) TIDEGATE_UNCHECKED_LOCKS {
  std::array<bool, kMostLegs> full{};
  bool any = false;
  for (size_t i = 0; i < legs.size(); ++i) {
    const Leg& leg = legs[i];
    if (leg.slot != i || leg.limit->algorithm != Algorithm::kConcurrency) continue;
    any |= full[i] = is_full(table, table.shard_of(leg.id), leg, legs, now_us);
  }
  load(table, legs, now_us);
  if (!any) return;
  for (size_t i = 0; i < legs.size(); ++i)
    if (full[i]) legs[i].view.slots.full = true;
}

// First what is there, then what is new: only the new displaces others, and no view is needed any
// more by then.
void keep_charged(StateTable& table, std::span<Leg> legs, int64_t now_us) TIDEGATE_UNCHECKED_LOCKS {
  size_t missing = 0;
  for (size_t i = 0; i < legs.size(); ++i) {
    const Leg& leg = legs[i];
    if (leg.slot != i) continue;
    Shard& shard = table.shard_of(leg.id);
    Slot* slot = shard.find(leg.id);
    if (slot) slot->limit = leg.limit;
    if (slot && (leg.changed || is_far_ahead(*slot, *leg.limit, now_us)))
      table.keep(shard, slot, leg, legs, now_us);
    missing += !slot && leg.changed;
  }
  if (!missing) return;
  for (size_t i = 0; i < legs.size(); ++i) {
    const Leg& leg = legs[i];
    if (leg.slot != i || !leg.changed) continue;
    Shard& shard = table.shard_of(leg.id);
    if (!shard.find(leg.id))
      table.keep(shard, table.admit(shard, leg.id, *leg.limit, now_us), leg, legs, now_us);
  }
}

// One lock, no loops, and the figures worked out after it is let go.
template <class Algo>
bool consume_state(StateTable& table, const Fingerprint& id, const Numbers& limit, int64_t cost,
                   int64_t now_us, Figures& figures) {
  Algo algo;
  bool fit;
  {
    Shard& shard = table.shard_of(id);
    SpinGuard guard(shard.lock);
    Slot* slot = shard.find(id);
    algo = Algo::at(limit, slot ? slot->state : State{}, now_us);
    fit = fits(limit, algo, cost);
    if (fit && cost) {
      algo.charge(limit, cost);
      if (!slot) [[unlikely]]
        slot = table.admit(shard, id, limit, now_us);
      slot->state = algo.state();
    } else if (slot && Algo::far_ahead(limit, slot->state, now_us)) [[unlikely]] {
      slot->state = algo.state();
    }
    if (slot) slot->limit = &limit;  // of the present numbers: eviction goes by them
  }
  figures = figures_of(limit, algo, fit ? 0 : cost);
  return fit;
}

bool consume_log(StateTable& table, const Fingerprint& id, const Numbers& limit, int64_t cost,
                 int64_t now_us, Figures& figures) {
  Leg leg{.id = id, .limit = &limit};
  Shard& shard = table.shard_of(id);
  SpinGuard guard(shard.lock);
  Slot* slot = shard.find(id);
  leg.view = view_of(leg, slot, cost, now_us);
  const bool fit = tidegate::consume_one(limit, leg.view.log, cost, figures);
  const bool charged = fit && cost;
  if (charged && !slot) slot = table.admit(shard, id, limit, now_us);
  if (slot) slot->limit = &limit;
  if (slot && (charged || slot->log.far_ahead(now_us)))
    table.keep(shard, slot, leg, {&leg, 1}, now_us);
  return fit;
}

}  // namespace

MemoryStore::MemoryStore(const MemoryOptions& options)
    : table_(std::make_unique<StateTable>(options)) {}
MemoryStore::~MemoryStore() = default;

bool MemoryStore::consume_one(const Fingerprint& id, const Numbers& limit, int64_t cost,
                              int64_t now_us, Figures& figures) {
  switch (limit.algorithm) {
    case Algorithm::kTokenBucket:
      return consume_state<TokenBucket>(*table_, id, limit, cost, now_us, figures);
    case Algorithm::kFixedWindow:
      return consume_state<FixedWindow>(*table_, id, limit, cost, now_us, figures);
    case Algorithm::kSlidingWindow:
      return consume_state<SlidingWindow>(*table_, id, limit, cost, now_us, figures);
    case Algorithm::kSlidingLog:
      return consume_log(*table_, id, limit, cost, now_us, figures);
    case Algorithm::kConcurrency:
      break;
  }
  __builtin_unreachable();
}

void MemoryStore::consume_slots(const Fingerprint& id, const HolderId& holder, const Numbers& limit,
                                int64_t cost, int64_t now_us, Answer& answer) {
  Slots view;
  bool fit, charged;
  {
    Shard& shard = table_->shard_of(id);
    SpinGuard guard(shard.lock);
    Slot* slot = shard.find(id);
    view = Slots::at(limit, slot ? slot->holders.span() : HolderSpan{}, holder, cost, now_us);
    fit = fits(limit, view, cost);
    charged = fit && cost;
    answer.renewed = charged && view.held();
    if (charged && !view.held() && slot && !slot->holders.has_room(now_us)) [[unlikely]] {
      const Leg spared{.id = id};
      view.full = !table_->reserve(shard, id, {&spared, 1}, now_us);
      slot = shard.find(id);
      if (view.full) fit = charged = false;
    }
    if (charged) {
      view.charge(limit, cost);
      if (!slot) slot = table_->admit(shard, id, limit, now_us);
    }
    if (slot) {
      slot->limit = &limit;
      if (charged || slot->holders.far_ahead(limit, now_us))
        table_->keep_slots(slot, limit, view, holder);
    }
  }
  static_cast<Figures&>(answer) = figures_of(limit, view, fit ? 0 : cost);
  answer.allowed = fit;
}

void MemoryStore::release_slots(const Fingerprint& id, const HolderId& holder, const Numbers& limit,
                                int64_t now_us) {
  Shard& shard = table_->shard_of(id);
  SpinGuard guard(shard.lock);
  if (Slot* const slot = shard.find(id))
    table_->keep_slots(slot, limit, {.now_us = now_us}, holder);
}

Verdict MemoryStore::consume(std::span<Leg> legs, int64_t now_us) {
  if (legs.size() == 1) {
    Leg& leg = legs[0];
    leg.changed = false;
    if (leg.limit->algorithm == Algorithm::kConcurrency) {
      consume_slots(leg.id, leg.holder, *leg.limit, leg.cost, now_us, leg.answer);
      const bool fits = leg.answer.allowed;
      leg.changed = fits && leg.cost;
      return {.allowed = fits || leg.shadow, .would_deny = leg.shadow && !fits};
    }
    const bool fit = leg.answer.allowed =
        consume_one(leg.id, *leg.limit, leg.cost, now_us, leg.answer);
    leg.changed = fit && leg.cost;
    return {.allowed = fit || leg.shadow, .would_deny = leg.shadow && !fit};
  }
  const ShardsLock locked(*table_, legs);
  load_to_consume(*table_, legs, now_us);
  const Verdict verdict = tidegate::consume(legs);
  keep_charged(*table_, legs, now_us);
  return verdict;
}

Verdict MemoryStore::peek(std::span<Leg> legs, int64_t now_us) {
  const ShardsLock locked(*table_, legs);
  load(*table_, legs, now_us);
  return tidegate::peek(legs);
}

Verdict MemoryStore::debit(std::span<Leg> legs, int64_t now_us) {
  const ShardsLock locked(*table_, legs);
  load(*table_, legs, now_us, true);
  const Verdict verdict = tidegate::debit(legs);
  keep_charged(*table_, legs, now_us);
  return verdict;
}

void MemoryStore::refund(std::span<Leg> legs, int64_t now_us) TIDEGATE_UNCHECKED_LOCKS {
  if (legs.size() == 1 && legs[0].limit->algorithm == Algorithm::kConcurrency)
    return release_slots(legs[0].id, legs[0].holder, *legs[0].limit, now_us);
  const ShardsLock locked(*table_, legs);
  load(*table_, legs, now_us);
  tidegate::refund(legs);
  for (size_t i = 0; i < legs.size(); ++i) {
    if (legs[i].slot != i) continue;
    Shard& shard = table_->shard_of(legs[i].id);
    if (Slot* slot = shard.find(legs[i].id)) table_->keep(shard, slot, legs[i], legs, now_us);
  }
}

void MemoryStore::reset(std::span<Leg> legs) TIDEGATE_UNCHECKED_LOCKS {
  const ShardsLock locked(*table_, legs);
  for (const Leg& leg : legs) table_->erase(table_->shard_of(leg.id), leg.id);
}

void MemoryStore::let_go(std::span<const Numbers* const> gone) { table_->let_go(gone); }

MemoryStats MemoryStore::stats() const { return table_->stats(); }

}  // namespace tidegate
