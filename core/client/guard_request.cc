// SPDX-License-Identifier: MIT
// From a request's attributes to the parts of its check.
#include <sys/random.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/text.h"
#include "client/guard.h"
#include "policy/texts.h"

namespace tidegate {
namespace {

constexpr size_t kMostExempt = 1'024;

HolderId new_holder() {
  HolderId id;
  if (getrandom(id.words, sizeof id.words, 0) != sizeof id.words || !id.given()) id.words[0] |= 1;
  return id;
}

std::string cost_error(std::string_view text) {
  return "@cost " + quote(text) + ": expected an integer from 0 to " + std::to_string(kMaxCost);
}

std::string too_many_parts() {
  return "the request meets more than " + std::to_string(kMaxParts) + " limits at once";
}

std::string resolution_error(const Resolution& found) {
  const std::string rule =
      found.rules.empty() ? std::string() : "rules[" + std::to_string(found.rules.back()) + "]: ";
  if (found.verdict == PolicyVerdict::kTierError)
    return rule + "the request's tier " + quote(found.tier) + " is none of the policy's";
  if (found.verdict == PolicyVerdict::kCostError)
    return rule + "its cost's attribute is not there, or no integer from 0 to 2^52 - 1";
  return too_many_parts();
}

}  // namespace

// A part that code names, beside those of the policy.
struct NamedPart {
  std::string_view rates, name, place, algorithm, mode, on_failure, lease, key;
  uint64_t handle = 0;
  int64_t cost = 1;
  bool several = false, has_key = false;
  enum class Per : uint8_t { kIdentity, kAddress, kEveryone };
  Per per = Per::kIdentity;
};

struct Guard::Asked {
  std::vector<Attribute> said, attributes;
  std::vector<NamedPart> named;
  std::vector<std::string_view> exempt, paths;
  std::string_view method, address, peer, forwarded, origin, requested;
  std::string worked_out;  // the address, of peer and forwarded
  bool has_address = false, has_peer = false;
  PolicyResolver resolver;
  const Resolution* found = nullptr;

  Code read(std::string_view bytes, std::string& why);
  // Of the peer and what was forwarded, where no address is given.
  void work_out_address(const TrustedProxies& trusted, int ipv6_prefix) {
    if (has_address || (!has_peer && forwarded.empty())) return;
    worked_out = client_address(peer, forwarded, trusted, ipv6_prefix);
    attributes.push_back({"address", worked_out});
  }
  bool is_preflight() const { return method == "OPTIONS" && !origin.empty() && !requested.empty(); }
  bool is_exempt() const {
    return std::ranges::any_of(exempt, [&](std::string_view path) {
      return std::ranges::find(paths, path) != paths.end();
    });
  }

 private:
  Code direct(const Attribute& attribute, std::string& why);
  Code direct_part(const Attribute& attribute, std::string& why);
};

Code Guard::Asked::read(std::string_view bytes, std::string& why) {
  attributes.clear();
  named.clear();
  exempt.clear();
  paths.clear();
  method = address = peer = forwarded = origin = requested = {};
  has_address = has_peer = false;
  if (!read_attributes(bytes, said)) {
    why = "attributes: expected at most " + std::to_string(kMostAttributes) +
          " names and values, each behind its length in 4 bytes";
    return Code::kInvalid;
  }
  for (const Attribute& one : said) {
    if (one.name.starts_with('@')) {
      if (const Code code = direct(one, why); code != Code::kOk) return code;
      continue;
    }
    if (one.name == "method") method = one.value;
    if (one.name == "path") paths.push_back(one.value);
    if (one.name == "address") has_address = !one.value.empty();
    attributes.push_back(one);
  }
  return Code::kOk;
}

Code Guard::Asked::direct(const Attribute& one, std::string& why) {
  if (one.name == "@peer") {
    peer = one.value;
    has_peer = true;
  } else if (one.name == "@forwarded_for") {
    forwarded = one.value;
  } else if (one.name == "@origin") {
    origin = one.value;
  } else if (one.name == "@requested_method") {
    requested = one.value;
  } else if (one.name == "@exempt" && exempt.size() < kMostExempt) {
    exempt.push_back(one.value);
  } else if (one.name == "@path") {
    paths.push_back(one.value);
  } else {
    return direct_part(one, why);
  }
  return Code::kOk;
}

Code Guard::Asked::direct_part(const Attribute& one, std::string& why) {
  if (one.name == "@limit") {
    named.emplace_back().rates = one.value;
    return Code::kOk;
  }
  if (one.name == "@limiter") {
    if (one.value.size() != sizeof(uint64_t)) {
      why = "@limiter: expected a handle in 8 bytes";
      return Code::kAttribute;
    }
    std::memcpy(&named.emplace_back().handle, one.value.data(), sizeof(uint64_t));
    return Code::kOk;
  }
  if (named.empty()) {
    why = "attribute " + quote(one.name) +
          ": expected @limit or @limiter before it, or one of those "
          "that tidegate_guard.h lists";
    return Code::kAttribute;
  }
  NamedPart& part = named.back();
  if (one.name == "@cost") {
    const auto [end, error] =
        std::from_chars(one.value.data(), one.value.data() + one.value.size(), part.cost);
    if (error == std::errc() && end == one.value.data() + one.value.size() && part.cost >= 0 &&
        part.cost <= kMaxCost)
      return Code::kOk;
    why = cost_error(one.value);
    return Code::kAttribute;
  }
  std::string_view* const member = one.name == "@name"         ? &part.name
                                   : one.name == "@place"      ? &part.place
                                   : one.name == "@algorithm"  ? &part.algorithm
                                   : one.name == "@mode"       ? &part.mode
                                   : one.name == "@on_failure" ? &part.on_failure
                                   : one.name == "@lease"      ? &part.lease
                                   : one.name == "@key"        ? &part.key
                                                               : nullptr;
  if (member) {
    *member = one.value;
    part.has_key |= member == &part.key;
  } else if (one.name == "@per") {
    part.per = one.value == "everyone"  ? NamedPart::Per::kEveryone
               : one.value == "address" ? NamedPart::Per::kAddress
                                        : NamedPart::Per::kIdentity;
    if (part.per == NamedPart::Per::kIdentity && one.value != "identity") {
      why = "@per " + quote(one.value) + ": expected identity, address or everyone";
      return Code::kAttribute;
    }
  } else if (one.name == "@several") {
    part.several = !one.value.empty();
  } else {
    why = "attribute " + quote(one.name) + ": expected one of those that tidegate_guard.h lists";
    return Code::kAttribute;
  }
  return Code::kOk;
}

namespace {

// Adds a part, or makes the one that is there already the larger of the two.
Code add_part(Check& check, const Scope& before, Part part, const After* after,
              uint32_t named = 0) {
  const auto same = [&](const auto& other) {
    return other.handle == part.handle && other.key == part.key;
  };
  // Charged once: what is dearer further in pays the difference.
  int64_t charged = -1;
  for (const Charge& charge : before.charges)
    if (same(charge)) charged = std::max<int64_t>(charged, 0) + charge.cost;
  if (charged >= part.cost) return Code::kOk;
  part.cost -= std::max<int64_t>(charged, 0);
  if (const auto known = std::ranges::find_if(check.parts, same); known != check.parts.end()) {
    known->cost = std::max(known->cost, part.cost);
    return Code::kOk;
  }
  if (check.parts.size() == kMaxParts) return Code::kAttribute;
  if (part.limiter->has_slots) {
    const auto holder =
        std::ranges::find_if(check.parts, [](const Part& p) { return p.id.given(); });
    part.id = holder != check.parts.end() ? holder->id : new_holder();
  }
  check.parts.push_back(part);
  check.named.push_back(named);
  if (after)
    append_after(check.afters, static_cast<AfterView::Count>(after->count), after->statuses,
                 after->settle);
  check.after_ends.push_back(static_cast<uint32_t>(check.afters.size()));
  return Code::kOk;
}

Scope& scope_of_thread() {
  static thread_local Scope scope;
  return scope;
}

}  // namespace

Code Guard::add_policy(const Asked& asked, Check& check, std::string& why) const {
  for (const PolicyPart& part : asked.found->parts) {
    uint64_t handle = handle_of(part).load(std::memory_order_acquire);
    const LimiterConfig* limiter = handle ? limiters_.find(handle) : nullptr;
    if (!limiter) {
      auto bound = bind(part);
      if (!bound) {
        why = bound.error().message;
        return bound.error().code;
      }
      handle = *bound;
      limiter = limiters_.find(handle);
      if (!limiter) return Code::kHandle;
    }
    const Part asks{
        .limiter = limiter, .handle = handle, .key = part.key, .cost = part.cost, .id = {}};
    if (const Code code = add_part(check, scope_of_thread(), asks, part.after); code != Code::kOk) {
      why = too_many_parts();
      return code;
    }
  }
  return Code::kOk;
}

// Whoever comes first to a place gets its plain name, whether his request is exempt or not.
Code Guard::open_named(const Asked& asked, std::string& why) const {
  for (const NamedPart& named : asked.named) {
    if (named.handle) continue;
    if (auto opened = limiter_of_rates(named); !opened) {
      why = opened.error().message;
      return opened.error().code;
    }
  }
  return Code::kOk;
}

Code Guard::add_named(const Asked& asked, Check& check, std::string& why) const {
  const std::string_view address = asked.found->address;
  size_t room = 0;
  for (const NamedPart& named : asked.named) room += named.key.size() + address.size() + 2;
  check.keys.reserve(room);  // parts point into it
  uint32_t number = 0;
  for (const NamedPart& named : asked.named) {
    ++number;
    uint64_t handle = named.handle;
    if (!handle) {
      auto opened = limiter_of_rates(named);
      if (!opened) {
        why = opened.error().message;
        return opened.error().code;
      }
      handle = *opened;
    }
    const LimiterConfig* limiter = limiters_.find(handle);
    if (!limiter) {
      why = "no such limiter in this client: it was closed, or opened by another";
      return Code::kHandle;
    }
    std::string_view key = asked.found->caller;
    if (named.per == NamedPart::Per::kEveryone) {
      key = "@everyone";
    } else if (named.has_key || named.per == NamedPart::Per::kAddress) {
      const size_t at = check.keys.size();
      check.keys.append(caller_key(named.key, address));
      key = std::string_view(check.keys).substr(at);
    }
    const Part asks{.limiter = limiter, .handle = handle, .key = key, .cost = named.cost, .id = {}};
    if (const Code code = add_part(check, scope_of_thread(), asks, nullptr, number);
        code != Code::kOk) {
      why = too_many_parts();
      return code;
    }
  }
  return Code::kOk;
}

// Its name is the one given; where none is, the place's, with the numbers behind it where several
// stand there, or where other numbers have it already.
Result<uint64_t> Guard::limiter_of_rates(const NamedPart& named) const {
  LimiterSpec spec{named.rates, {}, named.algorithm, named.mode, named.on_failure, named.lease};
  std::string mark = limiter_mark(spec);
  mark.append(named.name).append(1, kMarkEnd).append(named.place).append(named.several ? "+" : "");
  const MutexGuard held(mutex_);
  if (const auto known = by_mark_.find(mark); known != by_mark_.end()) {
    of_rates_.splice(of_rates_.begin(), of_rates_, known->second);
    if (limiters_.find(of_rates_.front().handle)) return of_rates_.front().handle;
    by_mark_.erase(known);
    of_rates_.pop_front();
  }
  auto opened = lend_named(named, spec);
  if (!opened) return opened.error();
  of_rates_.push_front({std::move(mark), *opened});
  by_mark_.emplace(of_rates_.front().mark, of_rates_.begin());
  if (of_rates_.size() > kMostRates) {
    limiters_.give_back(of_rates_.back().handle);
    by_mark_.erase(of_rates_.back().mark);
    of_rates_.pop_back();
  }
  return *opened;
}

Result<uint64_t> Guard::lend_named(const NamedPart& named, LimiterSpec spec) const {
  auto numbers = numbers_name(spec);
  if (!numbers) return numbers.error();
  const std::string base(named.name.empty() ? named.place : named.name);
  const std::string front = base.empty() ? *numbers : short_name(base + "." + *numbers);
  std::vector<std::string> names;
  if (!named.several && !base.empty()) names.push_back(base);
  if (names.empty() || named.name.empty()) names.push_back(front);
  if (named.name.empty()) {
    const std::string_view mode = spec.mode.empty() ? "enforce" : spec.mode;
    const std::string_view policy = spec.on_failure.empty() ? "default" : spec.on_failure;
    names.push_back(short_name(front + "." + std::string(mode) + "." + std::string(policy)));
  }
  for (size_t i = 0;; ++i) {
    spec.name = names[i];
    auto opened = limiters_.lend(spec);
    if (opened || opened.error().code != Code::kConflict || i + 1 == names.size()) return opened;
  }
}

Code Guard::prepare(std::string_view attributes, std::string_view scope, Check& check,
                    std::string& why) const {
  static thread_local Asked asked;
  check.clear();
  check.style = style_;
  if (!scope_of_thread().read(scope)) {
    why = "key: expected the scope of an earlier check of this request, or none";
    return Code::kInvalid;
  }
  check.scope_before.assign(scope);
  scope_of_thread().read(check.scope_before);
  if (const Code code = asked.read(attributes, why); code != Code::kOk) return code;
  if (asked.is_preflight() || asked.is_exempt()) {
    check.verdict = PolicyVerdict::kExempt;
    return open_named(asked, why);
  }
  asked.work_out_address(trusted_, ipv6_prefix_);
  const Documents& documents = *documents_.load(std::memory_order_acquire);
  const Resolution& found = asked.resolver.resolve(*documents.file, documents.live.get(),
                                                   asked.attributes, clock_.now_us(), ipv6_prefix_);
  asked.found = &found;
  check.caller.assign(found.caller);
  check.verdict = found.verdict;
  switch (found.verdict) {
    case PolicyVerdict::kBanned:
      check.reason.assign(found.reason);
      check.retry_after_us = found.retry_after_us;
      return Code::kOk;
    case PolicyVerdict::kExempt:
      return Code::kOk;
    case PolicyVerdict::kTierError:
    case PolicyVerdict::kCostError:
    case PolicyVerdict::kPartsError:
      why = resolution_error(found);
      return Code::kAttribute;
    case PolicyVerdict::kLimits:
      break;
  }
  const Code code = add_policy(asked, check, why);
  return code == Code::kOk ? add_named(asked, check, why) : code;
}

std::string Guard::explain(std::string_view attributes) const {
  Asked asked;
  std::string why;
  if (asked.read(attributes, why) != Code::kOk) return "{\"error\":\"attributes\"}";
  asked.work_out_address(trusted_, ipv6_prefix_);
  const Documents& documents = *documents_.load(std::memory_order_acquire);
  return explain_json(*documents.file, documents.live.get(), asked.attributes, clock_.now_us(),
                      ipv6_prefix_);
}

}  // namespace tidegate
