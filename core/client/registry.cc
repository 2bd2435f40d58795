// SPDX-License-Identifier: MIT
#include "client/registry.h"

namespace tidegate {
namespace {

uint32_t next_first_generation() {
  static std::atomic<uint32_t> clients{0};
  return clients.fetch_add(1, std::memory_order_relaxed) << 12 | 1;
}

Error no_such_limiter() {
  return {Code::kHandle, "no such limiter in this client: it was closed, or opened by another"};
}

}  // namespace

Registry::Registry(LimiterDefaults defaults, const Fingerprinter& fingerprint)
    : name_space_(defaults.name_space),
      defaults_{name_space_, defaults.on_failure, defaults.fallback_share},
      fingerprint_(fingerprint),
      first_generation_(next_first_generation()) {}

Result<const LimiterConfig*> Registry::intern(std::unique_ptr<const LimiterConfig> config) {
  std::string text = config->text();
  const auto found = configs_.find(text);
  if (found != configs_.end()) return found->second.get();
  if (configs_.size() >= kMaxConfigs)
    return Error{Code::kFull, "this client has seen " + std::to_string(kMaxConfigs) +
                                  " different limiters: no more are kept"};
  return configs_.emplace(std::move(text), std::move(config)).first->second.get();
}

Result<uint32_t> Registry::take_slot() {
  if (!free_.empty()) {
    const uint32_t index = free_.back();
    free_.pop_back();
    return index;
  }
  if (used_ == kMaxLimiters)
    return Error{Code::kFull,
                 "this client has " + std::to_string(kMaxLimiters) + " limiters open: close some"};
  if (used_ % kChunk == 0) {
    owned_chunks_.push_back(std::make_unique<Chunk>());
    chunks_[used_ / kChunk].store(owned_chunks_.back().get(), std::memory_order_release);
  }
  return used_++;
}

Result<uint64_t> Registry::open(const LimiterSpec& spec) {
  auto made = make_limiter(spec, nullptr, defaults_, fingerprint_);
  if (!made) return made.error();
  std::scoped_lock lock(mutex_);
  const auto known = by_name_.find((*made)->name);
  if (known != by_name_.end()) {
    const LimiterConfig* has = find(known->second);
    if (has->text() == (*made)->text()) return known->second;
    return Error{Code::kConflict, "limiter '" + has->name + "' is already open as " + has->text() +
                                      "; asked for was " + (*made)->text() +
                                      ": change it, or give another name"};
  }
  auto config = intern(std::move(*made));
  if (!config) return config.error();
  auto index = take_slot();
  if (!index) return index.error();
  Slot& here = slot(*index);
  uint32_t generation = here.generation.load(std::memory_order_relaxed);
  generation = generation == 0 ? first_generation_ : generation + 1;
  (*config)->tell_at_us.store(0, std::memory_order_relaxed);
  here.config.store(*config, std::memory_order_release);
  here.generation.store(generation, std::memory_order_release);
  const uint64_t handle = static_cast<uint64_t>(generation) << 32 | *index;
  by_name_.emplace((*config)->name, handle);
  return handle;
}

Status Registry::change(uint64_t handle, const LimiterSpec& spec) {
  std::scoped_lock lock(mutex_);
  const LimiterConfig* before = find(handle);
  if (!before) return no_such_limiter();
  if (!spec.name.empty() && spec.name != before->name)
    return Error{Code::kName,
                 "limiter '" + before->name + "' keeps its name: a change may not give it another"};
  auto made = make_limiter(spec, before, defaults_, fingerprint_);
  if (!made) return made.error();
  auto config = intern(std::move(*made));
  if (!config) return config.error();
  (*config)->tell_at_us.store(0, std::memory_order_relaxed);
  slot(static_cast<uint32_t>(handle)).config.store(*config, std::memory_order_release);
  return Nothing{};
}

Status Registry::close(uint64_t handle) {
  std::scoped_lock lock(mutex_);
  const LimiterConfig* config = find(handle);
  if (!config) return no_such_limiter();
  by_name_.erase(config->name);
  slot(static_cast<uint32_t>(handle)).generation.fetch_add(1, std::memory_order_acq_rel);
  free_.push_back(static_cast<uint32_t>(handle));
  return Nothing{};
}

}  // namespace tidegate
