// SPDX-License-Identifier: MIT
// What callers know by a number: generation:32 | kind:4 | index:28. A handle that is stale, of
// another client or of another kind finds nothing, never something else.
//
//   HandleTable<LimiterConfig, HandleKind::kLimiter, 65'536> table;
//   table.reserve();
//   const uint64_t handle = table.add(config);
//   table.find(handle);                   // any thread, no lock
//
// Thread safety: find() from any thread; the others from one at a time. What find() returns is the
// owner's to keep alive.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace tidegate {

enum class HandleKind : uint32_t { kLimiter = 1, kCache = 3 };

// The generation that a table's handles begin with: it differs between clients, so that their
// handles do.
inline uint32_t next_first_generation() {
  static std::atomic<uint32_t> tables{0};
  return tables.fetch_add(1, std::memory_order_relaxed) << 12 | 1;
}

template <class T, HandleKind kKind, uint32_t kMost>
class HandleTable {
 public:
  // Null for a handle that is of nothing here. O(1).
  const T* find(uint64_t handle) const {
    const uint32_t index = static_cast<uint32_t>(handle) ^ kKindBits;  // of another kind: too large
    if (index >= kMost) return nullptr;
    const Chunk* chunk = chunks_[index / kChunk].load(std::memory_order_acquire);
    if (!chunk) return nullptr;
    const Slot& slot = (*chunk)[index % kChunk];
    const T* item = slot.item.load(std::memory_order_acquire);
    return slot.generation.load(std::memory_order_acquire) == handle >> 32 ? item : nullptr;
  }

  // Room for one more, of which there is: fewer than kMost are in it. Nothing else allocates.
  void reserve() {
    if (!free_.empty() || used_ % kChunk || chunks_[used_ / kChunk].load()) return;
    free_.reserve(used_ + kChunk);
    owned_.push_back(std::make_unique<Chunk>());
    chunks_[used_ / kChunk].store(owned_.back().get(), std::memory_order_release);
  }
  uint64_t add(const T* item) {
    const uint32_t index = take_slot();
    Slot& here = slot(index);
    uint32_t generation = here.generation.load(std::memory_order_relaxed);
    generation = generation == 0 ? first_generation_ : generation + 1;
    here.item.store(item, std::memory_order_release);
    here.generation.store(generation, std::memory_order_release);
    return uint64_t{generation} << 32 | kKindBits | index;
  }
  // The handle is one that find() knows, for these two.
  void replace(uint64_t handle, const T* item) {
    slot(index_of(handle)).item.store(item, std::memory_order_release);
  }
  void remove(uint64_t handle) {
    Slot& gone = slot(index_of(handle));
    gone.generation.fetch_add(1, std::memory_order_acq_rel);
    gone.item.store(nullptr, std::memory_order_release);
    free_.push_back(index_of(handle));
  }

 private:
  static constexpr uint32_t kIndexBits = 28;
  static constexpr uint32_t kKindBits = static_cast<uint32_t>(kKind) << kIndexBits;
  static_assert(kMost <= 1U << kIndexBits);
  static constexpr uint32_t kChunk = 256;
  struct Slot {
    std::atomic<const T*> item{nullptr};
    std::atomic<uint32_t> generation{0};  // 0: never used; raised when it is taken and given back
  };
  using Chunk = std::array<Slot, kChunk>;

  uint32_t index_of(uint64_t handle) const { return static_cast<uint32_t>(handle) ^ kKindBits; }
  Slot& slot(uint32_t index) { return (*chunks_[index / kChunk].load())[index % kChunk]; }
  uint32_t take_slot() {
    if (free_.empty()) return used_++;
    const uint32_t index = free_.back();
    free_.pop_back();
    return index;
  }

  const uint32_t first_generation_ = next_first_generation();
  std::array<std::atomic<Chunk*>, (kMost + kChunk - 1) / kChunk> chunks_{};
  std::vector<std::unique_ptr<Chunk>> owned_;
  std::vector<uint32_t> free_;
  uint32_t used_ = 0;
};

}  // namespace tidegate
