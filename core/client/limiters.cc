// SPDX-License-Identifier: MIT
#include "client/limiters.h"

#include <algorithm>
#include <limits>

namespace tidegate {
namespace {

Error no_such_limiter() {
  return {Code::kHandle, "no such limiter in this client: it was closed, or opened by another"};
}

}  // namespace

Limiters::Limiters(LimiterDefaults defaults, const Fingerprinter& fingerprint, LetGo let_go,
                   Adopt adopt)
    : name_space_(defaults.name_space),
      defaults_{name_space_, defaults.on_failure, defaults.fallback_share, defaults.mode},
      fingerprint_(fingerprint),
      let_go_(std::move(let_go)),
      adopt_(std::move(adopt)) {}

std::vector<uint64_t> Limiters::open_ones(size_t most) const {
  const MutexGuard held(mutex_);
  std::vector<std::pair<std::string_view, uint64_t>> all;
  for (const auto& [name, open] : by_name_) all.emplace_back(name, open.handle);
  std::ranges::sort(all);
  std::vector<uint64_t> handles;
  for (size_t i = 0; i < std::min(most, all.size()); ++i) handles.push_back(all[i].second);
  return handles;
}

size_t Limiters::configs() const {
  const MutexGuard held(mutex_);
  return by_name_.size() + variants_.size() + retired_.size() + leaving_.size();
}

Status Limiters::check_room() {
  if (by_name_.size() + variants_.size() + retired_.size() + leaving_.size() < kMaxConfigs)
    return Nothing{};
  return Error{Code::kFull, "the numbers of " + std::to_string(kMaxConfigs) +
                                " limiters are in use, those of closed ones among them: no more "
                                "are kept"};
}

Status Limiters::check_place() {
  free_retired();
  if (auto room = check_room(); !room) return room;
  if (by_name_.size() + variants_.size() >= kMaxLimiters)
    return Error{Code::kFull,
                 "this client has " + std::to_string(kMaxLimiters) + " limiters open: close some"};
  handles_.reserve();
  return Nothing{};
}

Result<Limiters::Open*> Limiters::find_or_open(const LimiterSpec& spec) {
  auto made = make_limiter(spec, nullptr, defaults_, fingerprint_);
  if (!made) return made.error();
  const auto known = by_name_.find((*made)->name);
  if (known != by_name_.end()) {
    const LimiterConfig& has = *known->second.config;
    if (has.text() == (*made)->text()) return &known->second;
    return Error{Code::kConflict, "limiter '" + has.name + "' is already open as " + has.text() +
                                      "; asked for was " + (*made)->text() +
                                      ": change it, or give another name"};
  }
  if (auto place = check_place(); !place) return place.error();
  const std::string name = (*made)->name;
  if (adopt_) adopt_(**made);
  Open& opened = by_name_[name];
  opened.config = std::move(*made);
  opened.handle = handles_.add(opened.config.get());
  return &opened;
}

Result<uint64_t> Limiters::open(const LimiterSpec& spec) {
  const MutexGuard held(mutex_);
  auto found = find_or_open(spec);
  if (!found) return found.error();
  (*found)->opened = true;
  return (*found)->handle;
}

Result<uint64_t> Limiters::lend(const LimiterSpec& spec) {
  const MutexGuard held(mutex_);
  auto found = find_or_open(spec);
  if (!found) return found.error();
  ++(*found)->lent;
  return (*found)->handle;
}

Result<uint64_t> Limiters::lend_variant(const LimiterSpec& spec) {
  auto made = make_limiter(spec, nullptr, defaults_, fingerprint_);
  if (!made) return made.error();
  (*made)->tell_at_us.store(std::numeric_limits<int64_t>::max());  // the name's are others
  const MutexGuard held(mutex_);
  if (auto place = check_place(); !place) return place.error();
  if (adopt_) adopt_(**made);
  variants_.reserve(variants_.size() + 1);
  const LimiterConfig* config = made->get();
  const uint64_t handle = handles_.add(config);
  variants_.emplace(handle, std::move(*made));
  return handle;
}

void Limiters::give_back(uint64_t handle) {
  const MutexGuard held(mutex_);
  const LimiterConfig* config = find(handle);
  if (!config) return;
  if (const auto variant = variants_.find(handle); variant != variants_.end()) {
    reserve_retired();
    ConfigPtr gone = std::move(variant->second);
    variants_.erase(variant);
    return close_found(handle, std::move(gone));
  }
  const auto open = by_name_.find(config->name);
  if (open->second.lent > 0) --open->second.lent;
  if (open->second.lent > 0 || open->second.opened) return;
  reserve_retired();
  ConfigPtr gone = std::move(open->second.config);
  by_name_.erase(open);
  close_found(handle, std::move(gone));
}

Status Limiters::change(uint64_t handle, const LimiterSpec& spec) {
  const MutexGuard held(mutex_);
  const LimiterConfig* before = find(handle);
  if (!before || variants_.contains(handle)) return no_such_limiter();
  if (!spec.name.empty() && spec.name != before->name)
    return Error{Code::kName,
                 "limiter '" + before->name + "' keeps its name: a change may not give it another"};
  auto made = make_limiter(spec, before, defaults_, fingerprint_);
  if (!made) return made.error();
  if ((*made)->text() == before->text()) return Nothing{};
  free_retired();
  if (auto room = check_room(); !room) return room.error();
  reserve_retired();
  if (adopt_) adopt_(**made);
  ConfigPtr& current = by_name_.at(before->name).config;
  handles_.replace(handle, made->get());
  std::swap(current, *made);
  retire(std::move(*made));
  return Nothing{};
}

Status Limiters::close(uint64_t handle) {
  const MutexGuard held(mutex_);
  const LimiterConfig* config = find(handle);
  if (!config || variants_.contains(handle)) return no_such_limiter();
  reserve_retired();
  const auto open = by_name_.find(config->name);
  ConfigPtr gone = std::move(open->second.config);
  by_name_.erase(open);
  close_found(handle, std::move(gone));
  return Nothing{};
}

void Limiters::close_found(uint64_t handle, ConfigPtr gone) {
  handles_.remove(handle);
  retire(std::move(gone));
}

// No memory is an error before anything has changed, not after.
void Limiters::reserve_retired() {
  if (retired_.size() == retired_.capacity()) retired_.reserve(2 * retired_.size() + 16);
}

// Nobody finds it any more.
void Limiters::retire(ConfigPtr config) {
  retired_.push_back(std::move(config));
  free_retired();
}

void Limiters::free_retired() {
  if (leaving_.empty() && retired_.size() >= held_ + kFreedAtOnce) {
    left_ = visits_.moment();
    leaving_.swap(retired_);
  }
  if (leaving_.empty() || !visits_.over(left_)) return;
  const auto in_use = std::partition(leaving_.begin(), leaving_.end(), [](const ConfigPtr& config) {
    return config->pins.load(std::memory_order_acquire) == 0;
  });
  held_ = static_cast<size_t>(leaving_.end() - in_use);
  retired_.insert(retired_.end(), std::make_move_iterator(in_use),
                  std::make_move_iterator(leaving_.end()));
  leaving_.erase(in_use, leaving_.end());
  if (!leaving_.empty()) let_go_(leaving_);
  leaving_.clear();
}

}  // namespace tidegate
