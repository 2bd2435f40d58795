// SPDX-License-Identifier: MIT
#include "policy/policy.h"

#include <algorithm>

#include "policy/data.h"

namespace tidegate {

Policy::Policy(std::unique_ptr<const PolicyData> data) : data_(std::move(data)) {}
Policy::~Policy() = default;

const std::vector<std::string>& Policy::ignored() const { return data_->ignored; }
const PolicyPtr& Policy::file() const { return data_->file; }
size_t Policy::limiter_count() const { return data_->limiters.size(); }

PolicyPart Policy::limiter(size_t index) const {
  const LimiterEntry& entry = data_->limiters[index];
  PolicyPart part;
  part.numbers = entry.numbers;
  part.mode = std::max(data_->mode, static_cast<Mode>(std::max<int8_t>(entry.mode, 0)));
  part.on_failure = entry.on_failure;
  return part;
}

int64_t Policy::find_limiter(std::string_view name) const {
  const uint32_t found = data_->limiter_names.find(name);
  return found == kNoName ? -1 : int64_t{found};
}

bool Policy::has_tier(std::string_view name) const {
  return data_->tier_names.find(name) != kNoName;
}

size_t Policy::rule_count() const { return data_->rules.size(); }

size_t Policy::caller_count() const {
  return data_->callers.entries.size() + data_->networks.entries.size();
}

}  // namespace tidegate
