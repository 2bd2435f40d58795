// SPDX-License-Identifier: MIT
#include "policy/value.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/text.h"
#include "policy/fault.h"

namespace tidegate {
namespace {

std::string joined(Value::Names words) {
  std::string out;
  for (const std::string_view word : words) out.append(out.empty() ? "" : ", ").append(word);
  return out;
}

}  // namespace

std::optional<int64_t> Value::integer() const {
  if (kind() != Kind::kInteger) return std::nullopt;
  const std::string_view digits = document_->text(node_);
  int64_t value = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (read.ec != std::errc()) return std::nullopt;
  return value;
}

std::string Value::path() const {
  if (!parent_) return {};
  std::string out = parent_->path();
  if (is_item_)
    append_step(out, index_);
  else
    append_step(out, name_);
  return out;
}

bool Value::fail(std::string message) const {
  const Place place = document_->place(node_);
  *fault_ = {path(), std::move(message), place.line, place.column};
  return false;
}

bool Value::fail_member(std::string_view name, std::string message) const {
  fail(std::move(message));
  append_step(fault_->path, name);
  return false;
}

bool Value::expect(std::string_view what) const {
  std::string found;
  switch (kind()) {
    case Kind::kList:
      found = "a list of " + std::to_string(size());
      break;
    case Kind::kMapping:
      found = "a mapping";
      break;
    case Kind::kText:
      found = quote(text());
      break;
    case Kind::kNull:
    case Kind::kBool:
    case Kind::kInteger:
    case Kind::kFloat:
      found = printable(document_->text(node_).substr(0, 40));
      break;
  }
  return fail("expected " + std::string(what) + ", found " + found);
}

bool Value::check_text() const { return !text().empty() || expect("a text that is not empty"); }

bool Value::check_word(Names words, int8_t& index) const {
  if (!check_text()) return false;
  const auto found = std::ranges::find(words, text());
  index = static_cast<int8_t>(found - words.begin());
  return found != words.end() ||
         fail("unknown " + quote(text()) + ", " +
              expected_one_of(text(), std::vector<std::string_view>(words)));
}

bool Value::check_flag(int8_t& flag) const {
  if (kind() != Kind::kBool) return expect("true or false");
  flag = document_->text(node_) == "true";
  return true;
}

bool Value::check_list(size_t least) const {
  if (kind() == Kind::kList && size() >= least && size() <= kMaxItems) return true;
  return expect("a list of " + std::to_string(least) + " to " + std::to_string(kMaxItems));
}

bool Value::check_mapping(size_t most) const {
  if (kind() != Kind::kMapping) return expect("a mapping with texts as names");
  return size() <= most ||
         fail("expected at most " + std::to_string(most) + ", found " + std::to_string(size()));
}

bool Value::check_members(Names members, std::string_view need) const {
  if (!check_mapping()) return false;
  const bool known = each_member([&](std::string_view name, const Value& value) {
    return std::ranges::find(members, name) != members.end() ||
           value.fail("unknown member, " +
                      expected_one_of(name, std::vector<std::string_view>(members)));
  });
  if (!known) return false;
  return need.empty() || find(need) ||
         fail_member(need, "is missing, expected a mapping of " + joined(members));
}

std::optional<Value> Value::find(std::string_view name) const {
  for (auto at = document_->first(node_); at != Document::kNone;) {
    const auto value = document_->next(at);
    if (document_->text(at) == name) return Value(*this, value, name);
    at = document_->next(value);
  }
  return std::nullopt;
}

}  // namespace tidegate
