// SPDX-License-Identifier: MIT
// The limiters of a client, interned by name. A handle is a slot's index and its generation: a
// stale one finds nothing, never another limiter.
//
// Thread safety: any thread; find() takes no lock. What find() returns lives as long as the
// registry: every specification that was ever asked for is kept, once, up to kMaxConfigs of them.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "limiter/make_config.h"

namespace tidegate {

class Registry {
 public:
  static constexpr size_t kMaxLimiters = 65'536;
  static constexpr size_t kMaxConfigs = 262'144;

  Registry(LimiterDefaults defaults, const Fingerprinter& fingerprint);

  // The same name and specification again: the same handle. kConflict, kFull, or what make_limiter
  // says.
  Result<uint64_t> open(const LimiterSpec& spec);
  Status change(uint64_t handle, const LimiterSpec& spec);  // kHandle
  Status close(uint64_t handle);                            // kHandle

  // Null for a handle that is stale or not of this client. O(1).
  const LimiterConfig* find(uint64_t handle) const {
    const auto index = static_cast<uint32_t>(handle);
    if (index >= kMaxLimiters) return nullptr;
    const Chunk* chunk = chunks_[index / kChunk].load(std::memory_order_acquire);
    if (!chunk) return nullptr;
    const Slot& slot = (*chunk)[index % kChunk];
    const LimiterConfig* config = slot.config.load(std::memory_order_acquire);
    return slot.generation.load(std::memory_order_acquire) == handle >> 32 ? config : nullptr;
  }

 private:
  static constexpr size_t kChunk = 256;
  struct Slot {
    std::atomic<const LimiterConfig*> config{nullptr};
    std::atomic<uint32_t> generation{
        0};  // 0: never used; raised when it is opened and when it is closed
  };
  using Chunk = std::array<Slot, kChunk>;

  Result<const LimiterConfig*> intern(std::unique_ptr<const LimiterConfig> config);
  Result<uint32_t> take_slot();
  Slot& slot(uint32_t index) { return (*chunks_[index / kChunk].load())[index % kChunk]; }

  const std::string name_space_;
  const LimiterDefaults defaults_;
  const Fingerprinter& fingerprint_;
  const uint32_t first_generation_;  // differs between clients, so that their handles do

  std::mutex mutex_;
  std::array<std::atomic<Chunk*>, kMaxLimiters / kChunk> chunks_{};
  std::vector<std::unique_ptr<Chunk>> owned_chunks_;
  std::unordered_map<std::string, std::unique_ptr<const LimiterConfig>> configs_;  // by text()
  std::unordered_map<std::string, uint64_t> by_name_;
  std::vector<uint32_t> free_;
  uint32_t used_ = 0;
};

}  // namespace tidegate
