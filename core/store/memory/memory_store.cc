// SPDX-License-Identifier: MIT
#include "store/memory/memory_store.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace tidegate {
namespace {

struct Slot {
  State state;
  std::vector<LogEntry> log;
  int64_t base = 0;
};

struct Hash {
  size_t operator()(const Fingerprint& id) const { return id.low; }
};

View view_of(const Leg& leg, const Slot* slot, int64_t now_us) {
  if (leg.limit->algorithm != Algorithm::kSlidingLog)
    return view_at(*leg.limit, slot ? slot->state : State{}, now_us);
  const LogSpan span = slot ? LogSpan{slot->log.data(), slot->log.size(), slot->base} : LogSpan{};
  return {.log = SlidingLog::at(*leg.limit, span, now_us)};
}

void keep(const Leg& leg, Slot& slot) {
  switch (leg.limit->algorithm) {
    case Algorithm::kTokenBucket: slot.state = leg.view.bucket.state(); return;
    case Algorithm::kFixedWindow: slot.state = leg.view.fixed.state(); return;
    case Algorithm::kSlidingWindow: slot.state = leg.view.sliding.state(); return;
    case Algorithm::kSlidingLog: break;
  }
  const SlidingLog& log = leg.view.log;
  slot.log.erase(slot.log.begin(), slot.log.begin() + static_cast<ptrdiff_t>(log.expired));
  slot.log.resize(log.count);
  slot.base = log.base;
  if (log.count) slot.log.back().total = std::min(slot.log.back().total, log.top);
  if (log.charged == 0) return;
  if (log.count && slot.log.back().time_us == log.clock_us)
    slot.log.back().total += log.charged;
  else
    slot.log.push_back({log.clock_us, log.top + log.charged});
}

bool is_far_ahead(const Leg& leg, const Slot& slot, int64_t now_us) {
  if (leg.limit->algorithm != Algorithm::kSlidingLog)
    return far_ahead(*leg.limit, slot.state, now_us);
  return SlidingLog::far_ahead({slot.log.data(), slot.log.size(), slot.base}, now_us);
}

}  // namespace

struct MemoryStore::Table {
  std::mutex mutex;
  std::unordered_map<Fingerprint, Slot, Hash> slots;

  Slot* find(const Leg& leg) {
    const auto found = slots.find(leg.id);
    return found == slots.end() ? nullptr : &found->second;
  }

  void load(std::span<Leg> legs, int64_t now_us) {
    for (size_t i = 0; i < legs.size(); ++i)
      if (legs[i].slot == i) legs[i].view = view_of(legs[i], find(legs[i]), now_us);
  }
};

MemoryStore::MemoryStore(const MemoryOptions&) : table_(std::make_unique<Table>()) {}
MemoryStore::~MemoryStore() = default;

Verdict MemoryStore::consume(std::span<Leg> legs, int64_t now_us) {
  std::scoped_lock lock(table_->mutex);
  table_->load(legs, now_us);
  const Verdict verdict = tidegate::consume(legs);
  for (size_t i = 0; i < legs.size(); ++i) {
    if (legs[i].slot != i) continue;
    Slot* slot = table_->find(legs[i]);
    if (legs[i].changed)
      keep(legs[i], slot ? *slot : table_->slots[legs[i].id]);
    else if (slot && is_far_ahead(legs[i], *slot, now_us))
      keep(legs[i], *slot);
  }
  return verdict;
}

Verdict MemoryStore::peek(std::span<Leg> legs, int64_t now_us) {
  std::scoped_lock lock(table_->mutex);
  table_->load(legs, now_us);
  return tidegate::peek(legs);
}

void MemoryStore::refund(std::span<Leg> legs, int64_t now_us) {
  std::scoped_lock lock(table_->mutex);
  table_->load(legs, now_us);
  tidegate::refund(legs);
  for (size_t i = 0; i < legs.size(); ++i)
    if (Slot* slot = legs[i].slot == i ? table_->find(legs[i]) : nullptr) keep(legs[i], *slot);
}

void MemoryStore::reset(std::span<Leg> legs) {
  std::scoped_lock lock(table_->mutex);
  for (const Leg& leg : legs) table_->slots.erase(leg.id);
}

MemoryStats MemoryStore::stats() const {
  std::scoped_lock lock(table_->mutex);
  return {.keys = static_cast<int64_t>(table_->slots.size())};
}

}  // namespace tidegate
