// SPDX-License-Identifier: MIT
#include <algorithm>
#include <utility>
#include <vector>

#include "base/text.h"
#include "http/address.h"
#include "options/table.h"

namespace tidegate {
namespace {

constexpr size_t kMaxPath = 4095;
constexpr size_t kMaxNamespace = 64;
constexpr size_t kMaxName = 32;  // longer names are like no option at all

constexpr std::array<std::pair<std::string_view, bool>, 8> kBooleans{{{"true", true},
                                                                      {"false", false},
                                                                      {"1", true},
                                                                      {"0", false},
                                                                      {"yes", true},
                                                                      {"no", false},
                                                                      {"on", true},
                                                                      {"off", false}}};

std::optional<int64_t> parse_integer(std::string_view text, int64_t least, int64_t most) {
  if (text.empty()) return std::nullopt;
  int64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
    if (value > most) return std::nullopt;
  }
  if (value < least) return std::nullopt;
  return value;
}

std::optional<bool> parse_boolean(std::string_view text) {
  const std::string word = lower(text.substr(0, 8));
  for (const auto& [name, value] : kBooleans)
    if (name == word && text.size() == word.size()) return value;
  return std::nullopt;
}

bool is_namespace(std::string_view text) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  return !text.empty() && text.size() <= kMaxNamespace &&
         text.find_first_not_of(kAllowed) == text.npos;
}

bool is_path(std::string_view text) {
  return text.size() <= kMaxPath && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

// Levenshtein's distance, two neighbours that changed places counting as one.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i)
    for (size_t j = 1; j <= b.size(); ++j) {
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  return cost[a.size()][b.size()];
}

bool near(std::string_view given, std::string_view name) {
  if (given.size() >= 3 && (name.starts_with(given) || name.ends_with(given))) return true;
  return distance(given, name) <= std::max<size_t>(1, std::min(given.size(), name.size()) / 3);
}

}  // namespace

Error unknown_option(std::string_view name, bool show) {
  std::string names;
  const auto list = [&](auto wanted) {
    for (const OptionRow& row : kOptionTable)
      if (wanted(row.name)) names.append(names.empty() ? "" : ", ").append(row.name);
  };
  const std::string lowered = lower(name.substr(0, kMaxName));
  if (show) list([&](std::string_view known) { return near(lowered, known); });
  const std::string_view expected = names.empty() ? "expected one of " : "did you mean ";
  if (names.empty()) list([](std::string_view) { return true; });
  return {Code::kOption, "unknown option" + (show ? " " + quote(name, 0, kMaxName) : "") + ": " +
                             std::string(expected) + names};
}

Status set_row(Options& options, size_t index, std::string_view value, bool show) {
  const OptionRow& row = kOptionTable[index];
  bool ok = false;
  const auto keep = [&ok](auto& place, const auto& parsed) {
    if (ok = parsed.has_value(); ok) place = *parsed;
  };
  switch (row.type) {
    case OptionType::kInteger:
      keep(options.*row.integer, parse_integer(value, row.least, row.most));
      break;
    case OptionType::kBoolean:
      keep(options.*row.boolean, parse_boolean(value));
      break;
    case OptionType::kPolicy:
      if (auto policy = parse_on_failure(value)) keep(options.on_failure, std::optional(*policy));
      break;
    case OptionType::kChoice: {
      const auto word = std::ranges::find(row.words, value);
      if (ok = !value.empty() && word != row.words.end(); ok)
        options.*row.integer = word - row.words.begin();
      break;
    }
    case OptionType::kClock:
      if (ok = value == "system" || value == "manual"; ok) options.*row.boolean = value == "manual";
      break;
    case OptionType::kWord:
    case OptionType::kPath:
      ok = row.type == OptionType::kWord ? is_namespace(value) : is_path(value);
      if (ok) options.*row.text = value;
      break;
    case OptionType::kProxies: {
      auto proxies = parse_trusted_proxies(value);
      if (!proxies && show) return proxies.error();
      if (ok = proxies.ok(); ok) options.trusted_proxies = *std::move(proxies);
      break;
    }
  }
  if (!ok)
    return Error{Code::kOption, std::string(row.name) + (show ? " " + quote(value) : "") +
                                    ": expected " + range_text(row)};
  options.given |= uint64_t{1} << index;
  return Nothing{};
}

Status Options::set(std::string_view name, std::string_view value) {
  const auto row = find_option(name);
  if (!row) return unknown_option(name, true);
  return set_row(*this, *row, value, true);
}

}  // namespace tidegate
