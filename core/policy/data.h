// SPDX-License-Identifier: MIT
// What a policy is compiled to. Names are numbers: of the file's limiters and tiers in a live
// document too. Once it is compiled: any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "http/address.h"
#include "policy/name_table.h"
#include "policy/pattern.h"
#include "policy/policy.h"
#include "policy/rule_index.h"

namespace tidegate {

inline constexpr uint32_t kNoName = NameTable::kNone;
inline constexpr int64_t kNeverEnds = std::numeric_limits<int64_t>::max();

// The attributes that have a form of their own; others have numbers above.
enum KnownAttribute : uint32_t { kMethod, kPath, kHost, kAddress, kIdentity, kTier, kKnown };
inline constexpr std::string_view kKnownAttributes[] = {"method",  "path",     "host",
                                                        "address", "identity", "tier"};

struct LimiterEntry {
  bool given = false;  // a live document says something of few
  int64_t until_us = kNeverEnds;
  const PolicyNumbers* numbers = nullptr;  // null: it says nothing of them
  int8_t mode = -1;                        // -1: nothing, as below
  int8_t on_failure = -1;
  Algorithm algorithm = Algorithm::kTokenBucket;  // of a file, as below
  std::string lease;
  int64_t lease_us = kDefaultLeaseUs;
};

struct TierEntry {
  bool given = false;
  bool has_limiters = false;
  int64_t until_us = kNeverEnds;
  std::vector<uint32_t> limiters;
};

struct CallerEntry {
  int64_t until_us = kNeverEnds;
  uint32_t tier = kNoName;
  uint32_t reason = kNoName;                  // of PolicyData::reasons
  uint32_t limits_begin = 0, limits_end = 0;  // of PolicyData::own_limits, by limiter
  int8_t ban = -1, exempt = -1;               // -1: it says nothing
};

struct OwnLimit {
  uint32_t limiter;
  const PolicyNumbers* numbers;
};

struct CallerTable {
  NameTable names;
  std::vector<CallerEntry> entries;

  const CallerEntry* find(std::string_view name) const {
    const uint32_t found = names.find(name);
    return found == kNoName ? nullptr : &entries[found];
  }
};

struct Condition {
  uint32_t attribute;
  std::vector<Pattern> patterns;
};

struct Rule {
  enum class Per : uint8_t { kIdentity, kAddress, kEveryone, kTemplate };
  static constexpr uint32_t kOfTier = kNoName;  // among `limit`

  std::vector<Condition> when;
  bool exempt = false;
  bool names_tier = false;
  bool has_after = false;
  Per per = Per::kIdentity;
  Mode mode = Mode::kEnforce;
  uint32_t key_template = 0;  // of PolicyData::key_templates
  uint32_t cost_attribute = kNoName;
  int64_t cost = 1;
  std::vector<uint32_t> limit;  // each once
  After after;
};

// The name of a network in a CallerTable.
std::string_view network_name(const Address& address, int prefix, char (&buffer)[18]);

struct PolicyData {
  PolicyPtr file;
  std::vector<std::string> ignored;
  int ipv6_prefix = kDefaultIpv6Prefix;
  Mode mode = Mode::kEnforce;
  uint32_t default_tier = kNoName;

  // Of a file.
  NameTable limiter_names, tier_names, attributes;
  std::deque<std::string> limiter_texts;  // the same, for PolicyNumbers to refer to
  std::vector<Rule> rules;
  std::vector<std::vector<uint32_t>> key_templates;  // attributes
  RuleIndex index;

  std::vector<LimiterEntry> limiters;
  std::vector<TierEntry> tiers;
  CallerTable callers;                          // by their keys
  CallerTable networks;                         // by network_name
  std::vector<uint8_t> lengths_v4, lengths_v6;  // of the networks' prefixes, the longest first
  std::vector<OwnLimit> own_limits;
  std::vector<std::string> reasons;
  std::vector<std::unique_ptr<PolicyNumbers>> numbers;
};

}  // namespace tidegate
