// SPDX-License-Identifier: MIT
// Names, each with its number from 0 in the order in which they came: one text for all of them, and
// a table to find one by. Once it is filled: any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

class NameTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // The name's number; a new one where it is not there.
  uint32_t add(std::string_view name) {
    if (const uint32_t found = find(name); found != kNone) return found;
    text_.append(name);
    ends_.push_back(static_cast<uint32_t>(text_.size()));
    if (2 * ends_.size() > slots_.size())
      grow();
    else
      put(static_cast<uint32_t>(ends_.size() - 1));
    return static_cast<uint32_t>(ends_.size() - 1);
  }

  // O(1), nothing is allocated.
  uint32_t find(std::string_view name) const {
    if (slots_.empty()) return kNone;
    const size_t mask = slots_.size() - 1;
    for (size_t at = hash(name) & mask; slots_[at] != kNone; at = (at + 1) & mask)
      if (this->name(slots_[at]) == name) return slots_[at];
    return kNone;
  }

  std::string_view name(uint32_t number) const {
    const uint32_t begin = number ? ends_[number - 1] : 0;
    return {text_.data() + begin, ends_[number] - begin};
  }
  size_t size() const { return ends_.size(); }

 private:
  static size_t hash(std::string_view name) { return std::hash<std::string_view>()(name); }

  void put(uint32_t number) {
    const size_t mask = slots_.size() - 1;
    size_t at = hash(name(number)) & mask;
    while (slots_[at] != kNone) at = (at + 1) & mask;
    slots_[at] = number;
  }

  void grow() {
    slots_.assign(slots_.empty() ? 8 : 2 * slots_.size(), kNone);
    for (uint32_t number = 0; number < ends_.size(); ++number) put(number);
  }

  std::string text_;
  std::vector<uint32_t> ends_;
  std::vector<uint32_t> slots_;  // numbers by their names' hashes; a power of two, half empty
};

}  // namespace tidegate
