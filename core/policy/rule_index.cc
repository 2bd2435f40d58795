// SPDX-License-Identifier: MIT
#include "policy/rule_index.h"

#include <algorithm>

namespace tidegate {
namespace {

constexpr uint32_t kMostMethods = 63;
constexpr uint64_t kOtherMethods = uint64_t{1} << 63;
constexpr uint64_t kAllMethods = ~uint64_t{0};

// The first `count` segments of a path, with their slashes; "" where it has fewer.
std::string_view first_segments(std::string_view path, int count) {
  size_t end = 0;
  for (int i = 0; i < count; ++i) {
    if (end >= path.size() || (end + 1 == path.size())) return {};
    end = std::min(path.find('/', end + 1), path.size());
  }
  return path.substr(0, end);
}

bool has_star(std::string_view text) { return text.find('*') != text.npos; }

}  // namespace

void RuleIndex::Table::add(std::string_view name, Candidate candidate) {
  const uint32_t number = names.add(name);
  if (number == lists.size()) lists.emplace_back();
  List& list = lists[number];
  if (list.empty() || list.back().rule != candidate.rule) list.push_back(candidate);
}

const RuleIndex::List* RuleIndex::Table::find(std::string_view name) const {
  const uint32_t number = name.empty() ? NameTable::kNone : names.find(name);
  return number == NameTable::kNone ? nullptr : &lists[number];
}

uint64_t RuleIndex::bit_of(std::string_view method) const {
  const uint32_t number = methods_.find(method);
  return number == NameTable::kNone ? kOtherMethods : uint64_t{1} << number;
}

void RuleIndex::add(uint32_t rule, const std::vector<std::string>& paths,
                    const std::vector<std::string>& methods) {
  uint64_t bits = methods.empty() ? kAllMethods : 0;
  for (const std::string& method : methods) {
    if (methods_.size() < kMostMethods && !has_star(method)) methods_.add(method);
    const bool known = methods_.find(method) != NameTable::kNone;
    bits |= known ? bit_of(method) : kAllMethods;
  }
  const Candidate candidate{rule, bits};
  // One that is looked at whatever the path is needs no other place.
  const bool anywhere = std::ranges::any_of(paths, [](const std::string& path) {
    const std::string_view first = first_segments(path, 1);
    return path != "/" && (first.empty() || has_star(first));
  });
  if (paths.empty() || anywhere) return others_.push_back(candidate);
  for (const std::string& path : paths) {
    const std::string_view two = first_segments(path, 2);
    if (!has_star(path))
      paths_.add(path, candidate);
    else if (!two.empty() && !has_star(two))
      pairs_.add(two, candidate);
    else
      firsts_.add(first_segments(path, 1), candidate);
  }
}

RuleIndex::Walk::Walk(const RuleIndex& index, std::string_view method, std::string_view path)
    : methods_(index.bit_of(method)) {
  if (method == "HEAD") methods_ |= index.bit_of("GET");
  add(index.others_);
  if (path.empty()) return;
  if (const List* list = index.paths_.find(path)) add(*list);
  if (const List* list = index.pairs_.find(first_segments(path, 2))) add(*list);
  if (const List* list = index.firsts_.find(first_segments(path, 1))) add(*list);
}

void RuleIndex::Walk::add(const List& list) {
  if (!list.empty()) cursors_[size_++] = {list.data(), list.data() + list.size()};
}

uint32_t RuleIndex::Walk::next() {
  for (;;) {
    uint32_t least = UINT32_MAX;
    uint64_t methods = 0;
    for (size_t i = 0; i < size_; ++i)
      if (cursors_[i].at != cursors_[i].end && cursors_[i].at->rule < least) {
        least = cursors_[i].at->rule;
        methods = cursors_[i].at->methods;
      }
    if (least == UINT32_MAX) return least;
    for (size_t i = 0; i < size_; ++i)
      if (cursors_[i].at != cursors_[i].end && cursors_[i].at->rule == least) ++cursors_[i].at;
    if (methods & methods_) return least;
  }
}

}  // namespace tidegate
