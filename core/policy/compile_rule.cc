// SPDX-License-Identifier: MIT
#include <algorithm>

#include "base/text.h"
#include "limiter/numbers.h"
#include "policy/compiler.h"
#include "policy/path.h"

namespace tidegate {
namespace {

bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool in(std::string_view text, char c) { return text.find(c) != text.npos; }

bool is_attribute(std::string_view name) {
  return !name.empty() && name.size() <= 64 && (is_letter(name[0]) || name[0] == '_') &&
         std::ranges::all_of(
             name, [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; });
}

// What a text of `when` may look like, for it could never match otherwise.
bool has_shape(std::string_view attribute, std::string_view text) {
  if (attribute == "method")
    return std::ranges::all_of(
        text, [](char c) { return is_letter(c) || is_digit(c) || in("!#$%&'*+.^_`|~-", c); });
  if (attribute == "path")
    return text.front() == '/' && std::ranges::none_of(text, [](char c) { return in("?#{}", c); });
  if (attribute != "host") return true;
  if (text.size() > 2 && text.front() == '[' && text.back() == ']')
    return std::ranges::all_of(text.substr(1, text.size() - 2),
                               [](char c) { return hex_value(c) >= 0 || in(":.*", c); });
  return std::ranges::all_of(text,
                             [](char c) { return is_letter(c) || is_digit(c) || in("._*-", c); });
}

}  // namespace

bool Compiler::rules(const Value& list) {
  if (list.kind() != Value::Kind::kList || !list.check_list(0))
    return list.expect("a list of 0 to 1000 rules");
  std::vector<std::string> paths, methods;
  return list.each_item([&](const Value& value) {
    if (!out_.rules.empty() && out_.rules.back().exempt && out_.rules.back().when.empty())
      return value.fail(
          "can never match, expected nothing here: the rule above exempts every request");
    paths.clear();
    methods.clear();
    Rule next;
    if (!rule(value, next, paths, methods)) return false;
    out_.index.add(static_cast<uint32_t>(out_.rules.size()), paths, methods);
    out_.rules.push_back(std::move(next));
    return true;
  });
}

bool Compiler::rule(const Value& value, Rule& out, std::vector<std::string>& paths,
                    std::vector<std::string>& methods) {
  if (!value.check_members({"when", "exempt", "limit", "per", "cost", "mode", "count", "settle"},
                           ""))
    return false;
  if (const auto when = value.find("when")) {
    if (!when->check_mapping() || !conditions(*when, out, paths, methods)) return false;
    if (out.when.empty()) return when->fail("expected an attribute, or no `when`");
  }
  const auto exempt = value.find("exempt");
  if (!exempt) return charge(value, out);
  int8_t flag = 0;
  if (!exempt->check_flag(flag)) return false;
  if (!flag) return exempt->expect("true");
  out.exempt = true;
  return value.check_members({"when", "exempt"}, "");
}

bool Compiler::conditions(const Value& when, Rule& out, std::vector<std::string>& paths,
                          std::vector<std::string>& methods) {
  return when.each_member([&](std::string_view name, const Value& value) {
    if (!is_attribute(name))
      return value.fail("expected the name of an attribute: 1 to 64 of A-Z a-z 0-9 _ -");
    if (value.kind() == Value::Kind::kList && !value.check_list(1)) return false;
    Condition condition{out_.attributes.add(name), {}};
    std::vector<std::string>* normal = name == "path"     ? &paths
                                       : name == "method" ? &methods
                                                          : nullptr;
    if (!value.each_item([&](const Value& one) { return pattern(one, name, condition, normal); }))
      return false;
    out.when.push_back(std::move(condition));
    return true;
  });
}

bool Compiler::pattern(const Value& value, std::string_view attribute, Condition& out,
                       std::vector<std::string>* normal) {
  if (!value.check_text()) return false;
  std::string_view text = value.text();
  const bool star = in(text, '*');
  uint32_t tier = 0;
  if (attribute == "tier" && !star && !find(value, Named::kTier, text, tier)) return false;
  if (!has_shape(attribute, text))
    return value.fail("can never match: expected what a " + std::string(attribute) +
                      " looks like, found " + quote(text));
  std::string buffer;
  if (attribute == "method") text = normal_method(text, buffer);
  if (attribute == "host") text = normal_host(text, buffer);
  if (attribute == "path") text = normal_path(text, buffer);
  if (attribute == "address" && !star) {
    const bool address = normal_address(text, out_.ipv6_prefix, buffer).has_value();
    if (!address && text != "unknown")
      return value.expect("an address; networks belong to callers");
    text = std::string_view(buffer).substr(1);
  }
  out.patterns.push_back(attribute == "path" ? Pattern::of_path(text) : Pattern::of_text(text));
  if (normal) normal->emplace_back(text);
  return true;
}

bool Compiler::charge(const Value& value, Rule& out) {
  const auto limit = value.find("limit");
  if (!limit) return value.fail_member("limit", "is missing, expected a limiter, `tier` or a list");
  int8_t mode = 0;
  const bool words = value.each_member([&](std::string_view name, const Value& one) {
    if (name == "mode") return one.check_word({"enforce", "shadow", "off"}, mode);
    if (name == "count") return count(one, out.after);
    if (name != "settle") return true;
    std::string_view attribute;
    if (!attribute_in(one, "the template", attribute)) return false;
    out.after.settle = attribute;
    return true;
  });
  if (!words || !limits(*limit, out)) return false;
  out.mode = static_cast<Mode>(mode);
  out.has_after = out.after.count != After::Count::kAll || !out.after.settle.empty();
  const auto whom = value.find("per"), how_many = value.find("cost");
  return (!whom || per(*whom, out)) && (!how_many || cost(*how_many, out));
}

bool Compiler::limits(const Value& value, Rule& out) {
  if (value.kind() == Value::Kind::kList && !value.check_list(1)) return false;
  std::vector<bool> seen(out_.limiters.size());
  return value.each_item([&](const Value& one) {
    if (!one.check_text()) return false;
    uint32_t index = Rule::kOfTier;
    if (one.text() == "tier") {
      if (!out.names_tier) out.limit.push_back(index);
      out.names_tier = true;
      return true;
    }
    if (!find(one, Named::kLimiter, one.text(), index)) return false;
    if (!seen[index]) out.limit.push_back(index);
    seen[index] = true;
    return true;
  });
}

bool Compiler::per(const Value& value, Rule& out) {
  constexpr std::string_view kWords[] = {"identity", "address", "everyone"};
  if (const auto word = std::ranges::find(kWords, value.text());
      value.is_text() && word != std::end(kWords)) {
    out.per = static_cast<Rule::Per>(word - std::begin(kWords));
    return true;
  }
  if (value.kind() == Value::Kind::kList && !value.check_list(1)) return false;
  std::vector<uint32_t> attributes;
  const bool good = value.each_item([&](const Value& one) {
    std::string_view name;
    if (!attribute_in(one, "identity, address, everyone or", name)) return false;
    attributes.push_back(out_.attributes.add(name));
    return true;
  });
  if (!good) return false;
  out.per = Rule::Per::kTemplate;
  const auto next = static_cast<uint32_t>(out_.key_templates.size());
  const auto [at, added] = templates_.emplace(attributes, next);
  if (added) out_.key_templates.push_back(std::move(attributes));
  out.key_template = at->second;
  return true;
}

bool Compiler::cost(const Value& value, Rule& out) {
  if (const auto number = value.integer(); number && *number >= 0 && *number <= kMaxCost) {
    out.cost = *number;
    return true;
  }
  std::string_view name;
  if (!attribute_in(value, "an integer from 0 to 2^52 - 1 or", name)) return false;
  out.cost_attribute = out_.attributes.add(name);
  return true;
}

bool Compiler::count(const Value& value, After& out) const {
  if (value.kind() != Value::Kind::kList) {
    int8_t word = 0;
    if (!value.check_word({"failed", "successful"}, word)) return false;
    out.count = word == 0 ? After::Count::kFailed : After::Count::kSuccessful;
    return true;
  }
  out.count = After::Count::kStatuses;
  return value.check_list(1) && value.each_item([&](const Value& one) {
    const auto status = one.integer();
    if (!status || *status < 100 || *status > 599)
      return one.expect("the status of a response, 100 to 599");
    out.statuses.push_back(static_cast<uint16_t>(*status));
    return true;
  });
}

bool Compiler::attribute_in(const Value& value, std::string_view expected,
                            std::string_view& name) const {
  const std::string_view text = value.text();
  if (text.size() > 2 && text.front() == '{' && text.back() == '}')
    name = text.substr(1, text.size() - 2);
  return is_attribute(name) || value.expect(std::string(expected) + " \"{attribute}\"");
}

}  // namespace tidegate
