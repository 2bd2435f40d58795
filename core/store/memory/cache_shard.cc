// SPDX-License-Identifier: MIT
#include "store/memory/cache_shard.h"

#include <algorithm>
#include <utility>

namespace tidegate {
namespace {

constexpr int64_t kSmallPart = 10;  // the small queue may have a tenth of the bytes
constexpr size_t kFirstGhosts = 64;

int64_t cost_of(const SharedBytes& bytes) {
  return bytes ? static_cast<int64_t>(bytes.size) + CacheShard::kEntryBytes : 0;
}

}  // namespace

int64_t CacheRecord::due_us() const {
  int64_t due = 0;
  for (const int64_t at : {state.entry.gone_at, state.lease.until, state.tomb.until})
    if (at != 0 && (due == 0 || at < due)) due = at;
  return due;
}

CacheRecord& CacheShard::insert(const CacheKey& key) {
  if (ghosts_.size() < records_.size()) {
    std::vector<uint64_t> more(std::max(kFirstGhosts, 4 * ghosts_.size()));
    more.swap(ghosts_);
    for (const uint64_t hash : more) remember(hash);
  }
  heap_.reserve(heap_.size() + 1);  // where there is no memory, nothing has changed
  CacheRecord& record = records_[key];
  record.key = key;
  return record;
}

bool CacheShard::was_here(uint64_t hash) const {
  return !ghosts_.empty() && ghosts_[hash % ghosts_.size()] == hash;
}

void CacheShard::remember(uint64_t hash) {
  if (!ghosts_.empty()) ghosts_[hash % ghosts_.size()] = hash;
}

void CacheShard::enqueue(CacheRecord& record, CacheRecord::Queue queue) {
  record.queue = queue;
  queue_of(record).push_back(&record);
  (queue == CacheRecord::Queue::kSmall ? small_bytes_ : main_bytes_) += cost_of(record.bytes);
}

void CacheShard::dequeue(CacheRecord& record) {
  if (record.queue == CacheRecord::Queue::kNone) return;
  queue_of(record).remove(&record);
  (record.queue == CacheRecord::Queue::kSmall ? small_bytes_ : main_bytes_) -=
      cost_of(record.bytes);
  record.queue = CacheRecord::Queue::kNone;
}

int64_t CacheShard::set_bytes(CacheRecord& record, SharedBytes bytes, SharedBytes& gone) {
  const CacheRecord::Queue before = record.queue;
  dequeue(record);
  const int64_t freed = cost_of(record.bytes);
  gone = std::exchange(record.bytes, std::move(bytes));
  if (!record.bytes) return freed;
  if (before != CacheRecord::Queue::kNone) {  // a value that replaces one keeps its place's kind
    enqueue(record, before);
  } else {
    record.asked = 0;
    enqueue(record,
            was_here(record.key.hash()) ? CacheRecord::Queue::kMain : CacheRecord::Queue::kSmall);
  }
  return freed;
}

bool CacheShard::changed(CacheRecord& record) {
  if (record.due_us() == 0) {
    heap_remove(record);
    heap_changed();
    records_.erase(CacheKey(record.key));
    return true;
  }
  if (record.heap_at == ~uint32_t{0}) {
    heap_.push_back(&record);
    heap_put(&record, heap_.size() - 1);
  }
  heap_up(record.heap_at);
  heap_down(record.heap_at);
  heap_changed();
  return false;
}

CacheRecord* CacheShard::victim() {
  while (true) {
    const bool small = main_.empty() || small_bytes_ > (small_bytes_ + main_bytes_) / kSmallPart;
    CacheRecord* record = small && !small_.empty() ? small_.front() : main_.front();
    if (!record) return nullptr;
    const bool from_small = record->queue == CacheRecord::Queue::kSmall;
    if (from_small ? record->asked <= 1 : record->asked == 0) {
      if (from_small) remember(record->key.hash());
      return record;
    }
    dequeue(*record);
    record->asked = from_small ? 0 : record->asked - 1;
    enqueue(*record, CacheRecord::Queue::kMain);
  }
}

CacheShard::Left CacheShard::drop_entry(CacheRecord& record) {
  Left left;
  left.freed = set_bytes(record, {}, left.gone);
  record.state.entry = {};
  if (changed(record)) left.freed += kRecordBytes;
  return left;
}

CacheShard::Left CacheShard::take_run_out(int64_t now_us) {
  if (!runs_out(now_us)) return {};
  CacheRecord& record = *heap_[0];
  KeyRecords& state = record.state;
  Left left;
  if (state.lease.there() && state.lease.until <= now_us) state.lease = {};
  if (state.tomb.there() && state.tomb.until <= now_us) state.tomb = {};
  if (state.entry.there() && state.entry.gone_at <= now_us) {
    left = drop_entry(record);
  } else if (changed(record)) {
    left.freed = kRecordBytes;
  }
  return left;
}

CacheShard::Left CacheShard::evict() {
  CacheRecord* record = victim();
  return record ? drop_entry(*record) : Left{};
}

void CacheShard::heap_up(size_t at) {
  CacheRecord* const record = heap_[at];
  const int64_t due = record->due_us();
  for (; at > 0 && due < heap_[(at - 1) / 2]->due_us(); at = (at - 1) / 2)
    heap_put(heap_[(at - 1) / 2], at);
  heap_put(record, at);
}

void CacheShard::heap_down(size_t at) {
  CacheRecord* const record = heap_[at];
  const int64_t due = record->due_us();
  while (true) {
    size_t child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->due_us() < heap_[child]->due_us()) ++child;
    if (due <= heap_[child]->due_us()) break;
    heap_put(heap_[child], at);
    at = child;
  }
  heap_put(record, at);
}

void CacheShard::heap_remove(CacheRecord& record) {
  const size_t at = record.heap_at;
  if (at == ~uint32_t{0}) return;
  record.heap_at = ~uint32_t{0};
  CacheRecord* const last = heap_.back();
  heap_.pop_back();
  if (last == &record) return;
  heap_put(last, at);
  heap_up(last->heap_at);
  heap_down(last->heap_at);
}

}  // namespace tidegate
