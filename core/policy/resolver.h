// SPDX-License-Identifier: MIT
// What a PolicyResolver works in; explain_json looks into it. One thread at a time.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "limiter/request.h"
#include "policy/data.h"

namespace tidegate {

// One entry that speaks of the caller.
struct Speaker {
  const CallerEntry* entry;
  const PolicyData* by;
};

// What a live document says over the file; null where it is compiled over another one, whose
// numbers of names mean nothing here.
const PolicyData* over(const Policy& file, const Policy* live);

class PolicyResolver::State {
 public:
  const Resolution& resolve(const PolicyData& file, const PolicyData* live,
                            std::span<const Attribute> request, int64_t now_us, int ipv6_prefix);

  // Of the last request, for who explains it.
  std::span<const Speaker> speakers() const { return {speakers_.data(), speaker_count_}; }
  // The first condition of a rule that the request does not meet, or null.
  const Condition* unmet(const Rule& rule);

 private:
  void read(std::span<const Attribute> request, int ipv6_prefix);
  void normalize();
  void find_caller();
  void look_up(int64_t now_us);
  bool banned(int64_t now_us);
  std::string_view tier_of_caller();
  void scan(int64_t now_us);
  bool charge(const Rule& rule, uint32_t index, int64_t now_us);
  PolicyPart part_of(uint32_t limiter, const Rule& rule, int64_t now_us) const;
  std::string_view key_of(const Rule& rule);
  std::optional<int64_t> cost_of(const Rule& rule) const;
  const std::vector<uint32_t>* tier_limiters(int64_t now_us) const;
  bool meets(const Condition& condition);
  std::string_view value(uint32_t attribute) const { return values_[attribute]; }
  void fail(PolicyVerdict verdict) {
    answer_.verdict = verdict;
    part_count_ = 0;
  }

  const PolicyData* file_ = nullptr;
  const PolicyData* live_ = nullptr;
  std::vector<std::string_view> values_;  // by attribute; "": it is not there
  std::string method_, path_, host_, address_, identity_;
  std::optional<Address> host_address_;  // masked
  uint32_t tier_ = kNoName;              // the number of the tier in the file

  std::array<Speaker, 4> closest_;  // of the identity and the address: live, file, live, file
  size_t closest_count_ = 0;
  std::array<Speaker, 6> speakers_;  // that have not ended, the closest first
  size_t speaker_count_ = 0;

  std::deque<std::string> keys_;  // by template
  std::vector<bool> has_key_;
  std::array<PolicyPart, kMaxParts> parts_;
  std::array<uint32_t, kMaxParts> limiters_;  // of the parts
  size_t part_count_ = 0;
  bool too_many_ = false;
  std::vector<uint32_t> rules_;
  PatternScratch scratch_;
  Resolution answer_;
};

}  // namespace tidegate
