// SPDX-License-Identifier: MIT
#include <algorithm>

#include "http/http.h"
#include "policy/path.h"
#include "policy/resolver.h"

namespace tidegate {
namespace {

constexpr size_t kMostDigits = 16;  // of a number below 2^52

bool lasts(int64_t until_us, int64_t now_us) { return now_us < until_us; }

}  // namespace

const PolicyData* over(const Policy& file, const Policy* live) {
  return live && live->file().get() == &file ? &live->data() : nullptr;
}

PolicyResolver::PolicyResolver() : state_(std::make_unique<State>()) {}
PolicyResolver::~PolicyResolver() = default;
PolicyResolver::PolicyResolver(PolicyResolver&&) noexcept = default;
PolicyResolver& PolicyResolver::operator=(PolicyResolver&&) noexcept = default;

const Resolution& PolicyResolver::resolve(const Policy& file, const Policy* live,
                                          std::span<const Attribute> request, int64_t now_us,
                                          int ipv6_prefix) {
  return state_->resolve(file.data(), over(file, live), request, now_us, ipv6_prefix);
}

const Resolution& PolicyResolver::State::resolve(const PolicyData& file, const PolicyData* live,
                                                 std::span<const Attribute> request, int64_t now_us,
                                                 int ipv6_prefix) {
  file_ = &file;
  live_ = live;
  answer_ = {};
  part_count_ = 0;
  too_many_ = false;
  rules_.clear();
  read(request, ipv6_prefix);
  find_caller();
  look_up(now_us);
  if (!banned(now_us)) {
    const auto exempts = [](const Speaker& one) { return one.entry->exempt >= 0; };
    const auto speaks = std::ranges::find_if(speakers(), exempts);
    answer_.tier = tier_of_caller();
    if (speaks != speakers().end() && speaks->entry->exempt == 1)
      answer_.verdict = PolicyVerdict::kExempt;
    else
      scan(now_us);
  }
  answer_.parts = {parts_.data(), part_count_};
  answer_.rules = rules_;
  return answer_;
}

void PolicyResolver::State::read(std::span<const Attribute> request, int ipv6_prefix) {
  values_.assign(file_->attributes.size(), {});
  for (const Attribute& one : request)
    if (const uint32_t number = file_->attributes.find(one.name); number != kNoName)
      values_[number] = one.value;
  host_address_.reset();
  if (values_[kAddress].empty()) {
    address_.assign("@unknown");
  } else {
    host_address_ = normal_address(values_[kAddress], ipv6_prefix, address_);
    values_[kAddress] = std::string_view(address_).substr(1);
  }
  answer_.address = std::string_view(address_).substr(1);
  answer_.caller =
      values_[kIdentity].empty() ? address_ : identity_key(values_[kIdentity], identity_);
}

// The forms that only rules ask for: a ban does without them.
void PolicyResolver::State::normalize() {
  values_[kMethod] = normal_method(values_[kMethod], method_);
  if (!values_[kPath].empty()) values_[kPath] = normal_path(values_[kPath], path_);
  values_[kHost] = normal_host(values_[kHost], host_);
  has_key_.assign(file_->key_templates.size(), false);
  while (keys_.size() < file_->key_templates.size()) keys_.emplace_back();
}

void PolicyResolver::State::find_caller() {
  closest_count_ = 0;
  const auto add = [&](std::string_view name) {
    for (const PolicyData* by : {live_, file_})
      if (const CallerEntry* entry = by ? by->callers.find(name) : nullptr)
        closest_[closest_count_++] = {entry, by};
  };
  add(answer_.caller);
  if (!values_[kIdentity].empty()) add(address_);
}

// The entries that speak at this time: of the identity, the address, and the longest network that
// has one now.
void PolicyResolver::State::look_up(int64_t now_us) {
  speaker_count_ = 0;
  const auto add = [&](const CallerEntry* entry, const PolicyData* by) {
    if (lasts(entry->until_us, now_us)) speakers_[speaker_count_++] = {entry, by};
  };
  for (size_t i = 0; i < closest_count_; ++i) add(closest_[i].entry, closest_[i].by);
  if (!host_address_) return;
  static const std::vector<uint8_t> kNoLengths;
  const auto lengths = [&](const PolicyData* by) -> const std::vector<uint8_t>& {
    return !by ? kNoLengths : host_address_->v6 ? by->lengths_v6 : by->lengths_v4;
  };
  auto live = lengths(live_).begin(), file = lengths(file_).begin();
  const auto live_end = lengths(live_).end(), file_end = lengths(file_).end();
  const size_t before = speaker_count_;
  while (speaker_count_ == before && (live != live_end || file != file_end)) {
    const int length = std::max(live == live_end ? -1 : *live, file == file_end ? -1 : *file);
    char buffer[18];
    const std::string_view name = network_name(*host_address_, length, buffer);
    if (live != live_end && *live == length) {
      ++live;
      if (const CallerEntry* entry = live_->networks.find(name)) add(entry, live_);
    }
    if (file != file_end && *file == length) {
      ++file;
      if (const CallerEntry* entry = file_->networks.find(name)) add(entry, file_);
    }
  }
}

// A ban's end is when nothing bans any more: what bans at the end of the one goes on.
bool PolicyResolver::State::banned(int64_t now_us) {
  Speaker first{nullptr, nullptr};
  for (;;) {
    const auto ban =
        std::ranges::find_if(speakers(), [](const Speaker& one) { return one.entry->ban >= 0; });
    if (ban == speakers().end() || ban->entry->ban == 0) break;
    if (!first.entry) first = *ban;
    answer_.until_us = ban->entry->until_us;
    if (answer_.until_us == kNeverEnds) break;
    look_up(answer_.until_us);
  }
  if (!first.entry) return false;
  // Who explains it asks who speaks now.
  if (answer_.until_us != kNeverEnds) look_up(now_us);
  answer_.verdict = PolicyVerdict::kBanned;
  answer_.has_reason = first.entry->reason != kNoName;
  if (answer_.has_reason) answer_.reason = first.by->reasons[first.entry->reason];
  if (answer_.until_us == kNeverEnds)
    answer_.until_us = -1;
  else
    answer_.retry_after_us = answer_.until_us - now_us;
  return true;
}

// That of the caller's entries, else the request's, else the default.
std::string_view PolicyResolver::State::tier_of_caller() {
  const auto names = std::ranges::find_if(
      speakers(), [](const Speaker& one) { return one.entry->tier != kNoName; });
  if (names != speakers().end())
    tier_ = names->entry->tier;
  else if (!value(kTier).empty())
    tier_ = file_->tier_names.find(value(kTier));
  else
    tier_ = file_->default_tier;
  if (tier_ != kNoName) values_[kTier] = file_->tier_names.name(tier_);
  return value(kTier);
}

void PolicyResolver::State::scan(int64_t now_us) {
  normalize();
  RuleIndex::Walk walk(file_->index, value(kMethod), value(kPath));
  for (uint32_t index = walk.next(); index != UINT32_MAX; index = walk.next()) {
    const Rule& rule = file_->rules[index];
    if (unmet(rule)) continue;
    rules_.push_back(index);
    if (rule.exempt) {
      if (part_count_ == 0) answer_.verdict = PolicyVerdict::kExempt;
      break;
    }
    if (!charge(rule, index, now_us)) return;
  }
  if (too_many_) fail(PolicyVerdict::kPartsError);
}

const Condition* PolicyResolver::State::unmet(const Rule& rule) {
  for (const Condition& condition : rule.when)
    if (!meets(condition)) return &condition;
  return nullptr;
}

bool PolicyResolver::State::meets(const Condition& condition) {
  const std::string_view text = value(condition.attribute);
  if (text.empty()) return false;
  const bool head = condition.attribute == kMethod && text == "HEAD";
  return std::ranges::any_of(condition.patterns, [&](const Pattern& pattern) {
    return pattern.matches(text, scratch_) || (head && pattern.matches("GET", scratch_));
  });
}

// False: the application made a mistake, which is the answer.
bool PolicyResolver::State::charge(const Rule& rule, uint32_t index, int64_t now_us) {
  if (rule.names_tier && tier_ == kNoName && !value(kTier).empty()) {
    fail(PolicyVerdict::kTierError);
    return false;
  }
  const auto cost = cost_of(rule);
  if (!cost) {
    fail(PolicyVerdict::kCostError);
    return false;
  }
  const std::string_view key = key_of(rule);
  const auto add = [&](uint32_t limiter) {
    size_t at = 0;
    while (at < part_count_ && (limiters_[at] != limiter || parts_[at].key != key)) ++at;
    if (at == kMaxParts) {
      too_many_ = true;
      return;
    }
    PolicyPart part = part_of(limiter, rule, now_us);
    part.key = key;
    part.cost = *cost;
    part.after = rule.has_after ? &rule.after : nullptr;
    part.rule = index;
    // Met again: the stricter mode, then the larger cost.
    if (at < part_count_ && (part.mode > parts_[at].mode ||
                             (part.mode == parts_[at].mode && part.cost <= parts_[at].cost)))
      return;
    if (at == part_count_) ++part_count_;
    limiters_[at] = limiter;
    parts_[at] = part;
  };
  for (const uint32_t limiter : rule.limit) {
    if (limiter != Rule::kOfTier) {
      add(limiter);
    } else if (const auto* of_tier = tier_limiters(now_us)) {
      for (const uint32_t one : *of_tier) add(one);
    }
  }
  return true;
}

const std::vector<uint32_t>* PolicyResolver::State::tier_limiters(int64_t now_us) const {
  if (tier_ == kNoName) return nullptr;
  if (live_) {
    const TierEntry& entry = live_->tiers[tier_];
    if (entry.given && entry.has_limiters && lasts(entry.until_us, now_us)) return &entry.limiters;
  }
  return &file_->tiers[tier_].limiters;
}

PolicyPart PolicyResolver::State::part_of(uint32_t limiter, const Rule& rule,
                                          int64_t now_us) const {
  const LimiterEntry& own = file_->limiters[limiter];
  PolicyPart part;
  int8_t mode = own.mode;
  part.numbers = own.numbers;
  part.on_failure = own.on_failure;
  if (live_) {
    const LimiterEntry& entry = live_->limiters[limiter];
    if (entry.given && lasts(entry.until_us, now_us)) {
      if (entry.numbers) part.numbers = entry.numbers;
      if (entry.mode >= 0) mode = entry.mode;
      if (entry.on_failure >= 0) part.on_failure = entry.on_failure;
    }
  }
  part.mode = std::max({static_cast<Mode>(mode), rule.mode, file_->mode});
  for (const Speaker& one : speakers()) {
    const auto begin = one.by->own_limits.begin() + one.entry->limits_begin;
    const auto end = one.by->own_limits.begin() + one.entry->limits_end;
    const auto found = std::lower_bound(
        begin, end, limiter, [](const OwnLimit& a, uint32_t b) { return a.limiter < b; });
    if (found == end || found->limiter != limiter) continue;
    part.numbers = found->numbers;
    break;
  }
  return part;
}

std::string_view PolicyResolver::State::key_of(const Rule& rule) {
  switch (rule.per) {
    case Rule::Per::kIdentity:
      return answer_.caller;
    case Rule::Per::kAddress:
      return address_;
    case Rule::Per::kEveryone:
      return "@everyone";
    case Rule::Per::kTemplate:
      break;
  }
  std::string& key = keys_[rule.key_template];
  if (has_key_[rule.key_template]) return key;
  has_key_[rule.key_template] = true;
  key.assign("@");
  for (const uint32_t attribute : file_->key_templates[rule.key_template]) {
    key += '|';
    for (char c : attribute == kIdentity ? answer_.caller : value(attribute)) {
      if (c == '\\' || c == '|') key += '\\';
      key += c;
    }
  }
  return key;
}

// Decimal digits, below 2^52.
std::optional<int64_t> PolicyResolver::State::cost_of(const Rule& rule) const {
  if (rule.cost_attribute == kNoName) return rule.cost;
  std::string_view digits = value(rule.cost_attribute);
  if (digits.empty()) return std::nullopt;
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.size() > kMostDigits) return std::nullopt;
  int64_t number = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  if (number > kMaxCost) return std::nullopt;
  return number;
}

}  // namespace tidegate
