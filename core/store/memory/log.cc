// SPDX-License-Identifier: MIT
#include "store/memory/log.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace tidegate {
namespace {

constexpr uint32_t kFirstCapacity = 4;

constexpr int64_t bytes_of(uint32_t capacity) {
  return static_cast<int64_t>(sizeof(LogBuffer) + capacity * sizeof(LogEntry));
}

}  // namespace

LogSpan Log::span() const {
  if (buffer) return {buffer->entries() + buffer->head, buffer->count, buffer->base};
  return {&only, only.total ? size_t{1} : size_t{0}, 0};
}

int64_t Log::bytes() const { return buffer ? bytes_of(buffer->capacity) : 0; }

// Does the charge need an entry of its own? (The view's entries may be another's by now: slots
// move.)
bool Log::appends(const SlidingLog& view) const {
  if (!view.charged || !view.count) return view.charged;
  const LogEntry& last =
      buffer ? buffer->entries()[buffer->head + view.expired + view.count - 1] : only;
  return last.time_us != view.clock_us;
}

void Log::keep_only(const SlidingLog& view) {
  only = {view.charged ? view.clock_us : only.time_us, view.used()};
}

// Forgets what the view has forgotten.
void Log::cut(const SlidingLog& view) {
  buffer->head = view.count ? buffer->head + static_cast<uint32_t>(view.expired) : 0;
  buffer->count = static_cast<uint32_t>(view.count);
  buffer->base = view.base;
  if (view.count) {
    LogEntry& last = buffer->entries()[buffer->head + buffer->count - 1];
    last.total = std::min(last.total, view.top);
  }
}

bool Log::keep(const SlidingLog& view, Quota& quota) {
  const bool append = appends(view);
  if (!buffer) {
    if (view.count + append <= 1) {
      keep_only(view);
      return true;
    }
    const LogEntry first{only.time_us, std::min(only.total, view.top)};
    if (!resize(kFirstCapacity, quota)) return false;
    buffer->entries()[0] = first;
    buffer->count = 1;
  } else {
    const bool at_end = append && view.count && buffer->head + buffer->count == buffer->capacity;
    if (at_end && buffer->head + view.expired < std::max(1u, buffer->capacity / 4) &&
        !resize(2 * buffer->capacity, quota))
      return false;
    cut(view);
  }
  if (append) {
    if (buffer->head + buffer->count == buffer->capacity) move_to_front();
    buffer->entries()[buffer->head + buffer->count++] = {view.clock_us, view.top + view.charged};
  } else if (view.charged) {
    buffer->entries()[buffer->head + buffer->count - 1].total += view.charged;
  }
  if (buffer->capacity > kFirstCapacity && buffer->count <= buffer->capacity / 4)
    resize(std::max(kFirstCapacity, 2 * buffer->count), quota);
  return true;
}

void Log::squeeze(const SlidingLog& view) {
  if (!buffer) return keep_only(view);
  cut(view);
  if (!view.charged) return;
  if (buffer->count == 0) buffer->count = 1;
  buffer->entries()[buffer->head + buffer->count - 1] = {view.clock_us, view.top + view.charged};
}

int64_t Log::release(Quota& quota) {
  const int64_t freed = bytes();
  quota.give(freed);
  std::free(buffer);
  buffer = nullptr;
  return freed;
}

void Log::move_to_front() {
  LogEntry* entries = buffer->entries();
  std::memmove(entries, entries + buffer->head, buffer->count * sizeof(LogEntry));
  buffer->head = 0;
}

bool Log::resize(uint32_t capacity, Quota& quota) {
  const int64_t more = bytes_of(capacity) - bytes();
  if (more > 0 && !quota.take(more)) return false;
  if (more < 0) move_to_front();
  const bool fresh = !buffer;
  void* memory = std::realloc(buffer, static_cast<size_t>(bytes_of(capacity)));
  if (!memory) {
    if (more > 0) quota.give(more);
    return false;
  }
  buffer = fresh ? new (memory) LogBuffer{} : static_cast<LogBuffer*>(memory);
  buffer->capacity = capacity;
  if (more < 0) quota.give(-more);
  return true;
}

}  // namespace tidegate
