// SPDX-License-Identifier: MIT
#include <algorithm>
#include <functional>

#include "base/text.h"
#include "limiter/rate.h"
#include "policy/caller_name.h"
#include "policy/compiler.h"
#include "policy/document.h"
#include "policy/fault.h"
#include "policy/until.h"

namespace tidegate {
namespace {

constexpr size_t kMaxName = 64;

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxName && std::ranges::all_of(name, [](char c) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
}

bool read_until(const Value& value, int64_t& until_us) {
  const auto us = parse_until(value.text());
  if (!us) return value.expect("a time like 2026-12-01T00:00:00Z");
  until_us = *us;
  return true;
}

bool read_mode(const Value& value, int8_t& mode) {
  return value.check_word({"enforce", "shadow", "off"}, mode);
}

bool has_slots(const std::vector<Numbers>& rates) {
  return std::ranges::any_of(
      rates, [](const Numbers& one) { return one.algorithm == Algorithm::kConcurrency; });
}

void add_length(std::vector<uint8_t>& lengths, int length) {
  const auto at = std::ranges::lower_bound(lengths, length, std::greater<>());
  if (at == lengths.end() || *at != length) lengths.insert(at, static_cast<uint8_t>(length));
}

}  // namespace

Compiler::Compiler(PolicyData& out, const PolicyData* file)
    : out_(out), names_(file ? *file : out), live_(file != nullptr) {
  if (live_) {
    out_.limiters.resize(names_.limiters.size());
    out_.tiers.resize(names_.tiers.size());
    out_.ipv6_prefix = names_.ipv6_prefix;
  }
  for (const std::string_view name : kKnownAttributes) out_.attributes.add(name);
}

bool Compiler::find(const Value& value, Named kind, std::string_view name, uint32_t& index) {
  const NameTable& names = kind == Named::kLimiter ? names_.limiter_names : names_.tier_names;
  index = names.find(name);
  if (index != kNoName) return true;
  if (live_) {
    out_.ignored.push_back(value.path());
    return true;
  }
  std::vector<std::string_view> all;
  for (uint32_t i = 0; i < names.size(); ++i) all.push_back(names.name(i));
  return value.fail("unknown " + quote(name) + ", " + expected_one_of(name, all));
}

bool Compiler::file(const Value& top) {
  if (!top.check_members(
          {"version", "mode", "limiters", "tiers", "default_tier", "rules", "callers"}, "version"))
    return false;
  const bool words = top.each_member([&](std::string_view name, const Value& value) {
    if (name == "version") return value.integer() == 1 || value.expect("1");
    int8_t mode = 0;
    if (name != "mode") return true;
    if (!read_mode(value, mode)) return false;
    out_.mode = static_cast<Mode>(mode);
    return true;
  });
  if (!words || !sections(top)) return false;
  if (const auto tier = top.find("default_tier"))
    if (!tier->check_text() || !find(*tier, Named::kTier, tier->text(), out_.default_tier))
      return false;
  const auto list = top.find("rules");
  return !list || rules(*list);
}

bool Compiler::live(const Value& top) {
  return top.check_members({"limiters", "tiers", "callers"}, "") && sections(top);
}

bool Compiler::sections(const Value& top) {
  if (const auto all = top.find("limiters")) {
    if (!all->check_mapping(kMaxLimiters)) return false;
    const bool good = all->each_member([&](std::string_view name, const Value& value) {
      uint32_t index = static_cast<uint32_t>(out_.limiters.size());
      if (live_)
        return find(value, Named::kLimiter, name, index) &&
               (index == kNoName || limiter(value, name, index));
      if (!is_name(name) || name == "tier")
        return value.fail("expected 1 to 64 of A-Z a-z 0-9 _ . -, not tier");
      out_.limiters.emplace_back();
      out_.limiter_names.add(name);
      out_.limiter_texts.emplace_back(name);
      return limiter(value, name, index);
    });
    if (!good) return false;
  }
  if (const auto all = top.find("tiers")) {
    if (!all->check_mapping(kMaxItems)) return false;
    const bool good = all->each_member([&](std::string_view name, const Value& value) {
      uint32_t index = static_cast<uint32_t>(out_.tiers.size());
      if (live_)
        return find(value, Named::kTier, name, index) && (index == kNoName || tier(value, index));
      if (!is_name(name)) return value.fail("expected 1 to 64 of A-Z a-z 0-9 _ . -");
      out_.tiers.emplace_back();
      out_.tier_names.add(name);
      return tier(value, index);
    });
    if (!good) return false;
  }
  const auto all = top.find("callers");
  if (!all) return true;
  if (!all->check_mapping()) return false;
  out_.callers.entries.reserve(all->size());
  return all->each_member(
      [&](std::string_view name, const Value& value) { return caller(value, name); });
}

bool Compiler::limiter_words(const Value& mapping, LimiterEntry& entry) const {
  return mapping.each_member([&](std::string_view name, const Value& value) {
    if (name == "mode") return read_mode(value, entry.mode);
    if (name == "on_failure")
      return value.check_word({"local", "open", "closed"}, entry.on_failure);
    if (name == "until") return read_until(value, entry.until_us);
    if (name == "algorithm") {
      int8_t index = 0;
      if (!value.check_word({"token_bucket", "fixed_window", "sliding_window", "sliding_log",
                             "concurrency", "gcra", "leaky_bucket"},
                            index))
        return false;
      entry.algorithm = *parse_algorithm(value.text());
    }
    if (name == "lease") {
      if (!value.check_text()) return false;
      const auto lease = parse_lease(value.text());
      if (!lease) return value.fail(lease.error().message);
      entry.lease = value.text();
      entry.lease_us = *lease;
    }
    return true;
  });
}

bool Compiler::limiter(const Value& value, std::string_view name, uint32_t index) {
  LimiterEntry& entry = out_.limiters[index];
  entry.given = true;
  std::optional<Value> rate = value;
  if (value.kind() == Value::Kind::kMapping) {
    const bool members =
        live_ ? value.check_members({"rate", "mode", "on_failure", "until"}, "")
              : value.check_members({"rate", "mode", "on_failure", "algorithm", "lease"}, "rate");
    if (!members || !limiter_words(value, entry)) return false;
    rate = value.find("rate");
  } else if (!value.is_text()) {
    return value.expect("a rate like 100/minute, or a mapping with one");
  }
  if (rate && !numbers(*rate, index, entry.numbers)) return false;
  if (live_) return true;
  if (!entry.lease.empty() && entry.numbers->lease.empty())
    return value.find("lease")->fail("expected none, since " + std::string(name) +
                                     " has no slots (\"5 at once\") to be leased");
  if (entry.mode < 0) entry.mode = static_cast<int8_t>(Mode::kEnforce);
  out_.numbers.back()->own = true;
  return true;
}

bool Compiler::numbers(const Value& value, uint32_t limiter, const PolicyNumbers*& out) {
  if (!value.check_text()) return false;
  const LimiterEntry& of = names_.limiters[limiter];
  const auto rates = parse_rates(value.text(), of.algorithm, of.lease_us);
  if (!rates) return value.fail(rates.error().message);
  std::string canonical = default_name(*rates);
  std::string key = std::to_string(limiter) + " " + canonical;
  if (const auto found = numbers_.find(key); found != numbers_.end()) {
    out = found->second;
    return true;
  }
  auto made = std::make_unique<PolicyNumbers>(names_.limiter_texts[limiter]);
  made->rates = value.text();
  made->canonical = std::move(canonical);
  made->algorithm = algorithm_name(of.algorithm);
  if (has_slots(*rates)) made->lease = of.lease;
  out = made.get();
  numbers_.emplace(std::move(key), out);
  out_.numbers.push_back(std::move(made));
  return true;
}

bool Compiler::tier(const Value& value, uint32_t index) {
  TierEntry& entry = out_.tiers[index];
  entry.given = true;
  std::optional<Value> list = value;
  if (live_ && value.kind() == Value::Kind::kMapping) {
    if (!value.check_members({"limiters", "until"}, "limiters")) return false;
    list = value.find("limiters");
  }
  if (!list->check_list(0)) return false;
  entry.has_limiters = true;
  const bool good = list->each_item([&](const Value& one) {
    uint32_t limiter = kNoName;
    if (!one.check_text() || !find(one, Named::kLimiter, one.text(), limiter)) return false;
    // A live list with an unknown limiter is left out.
    if (limiter == kNoName) entry.has_limiters = false;
    entry.limiters.push_back(limiter);
    return true;
  });
  if (!good) return false;
  if (!live_ || value.kind() != Value::Kind::kMapping) return true;
  const auto until = value.find("until");
  return !until || read_until(*until, entry.until_us);
}

bool Compiler::caller_words(const Value& value, CallerEntry& entry) {
  return value.each_member([&](std::string_view member, const Value& one) {
    if (member == "ban") return one.check_flag(entry.ban);
    if (member == "exempt") return one.check_flag(entry.exempt);
    if (member == "until") return read_until(one, entry.until_us);
    if (member != "reason") return true;
    if (!one.check_text()) return false;
    entry.reason = static_cast<uint32_t>(out_.reasons.size());
    out_.reasons.emplace_back(one.text());
    return true;
  });
}

bool Compiler::caller(const Value& value, std::string_view name) {
  CallerEntry entry;
  const auto known = parse_caller_name(name, out_.ipv6_prefix);
  if (!known) return value.fail(known.error().message);
  char buffer[18];
  CallerTable& table = known->prefix < 0 ? out_.callers : out_.networks;
  const std::string_view key =
      known->prefix < 0 ? known->key : network_name(known->network, known->prefix, buffer);
  if (table.names.find(key) != kNoName)
    return value.fail("expected another caller than one before, found the same");
  if (!value.check_members({"ban", "reason", "exempt", "tier", "limits", "until"}, "") ||
      !caller_words(value, entry))
    return false;
  if (const auto tier = value.find("tier"))
    if (!tier->check_text() || !find(*tier, Named::kTier, tier->text(), entry.tier)) return false;
  const auto limits = value.find("limits");
  if (limits && !caller_limits(*limits, entry)) return false;
  table.names.add(key);
  table.entries.push_back(entry);
  if (known->prefix >= 0)
    add_length(known->network.v6 ? out_.lengths_v6 : out_.lengths_v4, known->prefix);
  return true;
}

bool Compiler::caller_limits(const Value& limits, CallerEntry& entry) {
  if (!limits.check_mapping()) return false;
  auto& all = out_.own_limits;
  entry.limits_begin = static_cast<uint32_t>(all.size());
  const bool good = limits.each_member([&](std::string_view name, const Value& value) {
    OwnLimit own{kNoName, nullptr};
    if (!find(value, Named::kLimiter, name, own.limiter)) return false;
    if (own.limiter == kNoName) return true;
    if (!numbers(value, own.limiter, own.numbers)) return false;
    all.push_back(own);
    return true;
  });
  entry.limits_end = static_cast<uint32_t>(all.size());
  std::sort(all.begin() + entry.limits_begin, all.end(),
            [](const OwnLimit& a, const OwnLimit& b) { return a.limiter < b.limiter; });
  return good;
}

CompiledPolicy compile_policy(std::string_view text, int ipv6_prefix) {
  CompiledPolicy out;
  Document document;
  if (!document.read(text, out.fault)) return out;
  auto data = std::make_unique<PolicyData>();
  data->ipv6_prefix = ipv6_prefix;
  if (Compiler(*data, nullptr).file(Value(document, out.fault)))
    out.policy = std::make_shared<const Policy>(std::move(data));
  return out;
}

CompiledPolicy compile_live(std::string_view text, PolicyPtr file) {
  CompiledPolicy out;
  Document document;
  if (text.find_first_not_of(" \t\r\n") == text.npos) text = "{}";
  if (!document.read(text, out.fault)) return out;
  auto data = std::make_unique<PolicyData>();
  const bool good = Compiler(*data, &file->data()).live(Value(document, out.fault));
  data->file = std::move(file);
  if (good) out.policy = std::make_shared<const Policy>(std::move(data));
  return out;
}

}  // namespace tidegate
