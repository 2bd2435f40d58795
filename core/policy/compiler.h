// SPDX-License-Identifier: MIT
// From a document to a PolicyData: compile.cc reads limiters, tiers and callers, compile_rule.cc
// the rules. Used once.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/data.h"
#include "policy/value.h"

namespace tidegate {

class Compiler {
 public:
  // `file` null: of a file.
  Compiler(PolicyData& out, const PolicyData* file);

  bool file(const Value& top);
  bool live(const Value& top);

 private:
  enum class Named : uint8_t { kLimiter, kTier };

  bool sections(const Value& top);
  bool limiter(const Value& value, std::string_view name, uint32_t index);
  bool limiter_words(const Value& mapping, LimiterEntry& entry) const;
  bool numbers(const Value& value, uint32_t limiter, const PolicyNumbers*& out);
  bool tier(const Value& value, uint32_t index);
  bool caller(const Value& value, std::string_view name);
  bool caller_words(const Value& value, CallerEntry& entry);
  bool caller_limits(const Value& limits, CallerEntry& entry);

  bool rules(const Value& list);
  bool rule(const Value& value, Rule& out, std::vector<std::string>& paths,
            std::vector<std::string>& methods);
  bool conditions(const Value& when, Rule& out, std::vector<std::string>& paths,
                  std::vector<std::string>& methods);
  bool pattern(const Value& value, std::string_view attribute, Condition& out,
               std::vector<std::string>* normal);
  bool charge(const Value& value, Rule& out);
  bool limits(const Value& value, Rule& out);
  bool per(const Value& value, Rule& out);
  bool cost(const Value& value, Rule& out);
  bool count(const Value& value, After& out) const;
  bool attribute_in(const Value& value, std::string_view expected, std::string_view& name) const;

  // The number of a limiter or a tier. Where there is none: a file's fault (false); a live
  // document's place is left out (kNoName).
  bool find(const Value& value, Named kind, std::string_view name, uint32_t& index);

  PolicyData& out_;
  const PolicyData& names_;  // whose limiters and tiers there are
  const bool live_;
  std::unordered_map<std::string, const PolicyNumbers*> numbers_;
  std::map<std::vector<uint32_t>, uint32_t> templates_;
};

}  // namespace tidegate
