// SPDX-License-Identifier: MIT
// The table of options: one row says an option's name, type, range, default and meaning, and where
// its value is kept. Constants: any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "options/options.h"

namespace tidegate {

enum class OptionType : uint8_t {
  kInteger,
  kBoolean,
  kPath,
  kWord,
  kPolicy,
  kProxies,
  kClock,
  kChoice
};

struct OptionRow {
  std::string_view name;
  OptionType type;
  std::string_view range;  // of every type but kInteger
  std::string_view initial;
  std::string_view meaning;
  int64_t least = 0, most = 0;           // of kInteger
  int64_t Options::* integer = nullptr;  // of kChoice: which of the words
  bool Options::* boolean = nullptr;     // of kClock too
  std::string Options::* text = nullptr;
  std::array<std::string_view, 3> words{};  // of kChoice
};

inline constexpr size_t kOptionCount = 21;
extern const std::array<OptionRow, kOptionCount> kOptionTable;

std::optional<size_t> find_option(std::string_view name);
std::string range_text(const OptionRow& row);
// The value in the form that set() takes.
std::string value_text(const Options& options, size_t row);
bool is_given(const Options& options, std::string_view name);
// Sets row `row`; an error shows the value only where `show` is true.
Status set_row(Options& options, size_t row, std::string_view value, bool show);
// kOption, with the names that `name` may have been meant for.
Error unknown_option(std::string_view name, bool show);

}  // namespace tidegate
