// SPDX-License-Identifier: MIT
#include "http/address.h"
#include "options/table.h"

namespace tidegate {
namespace {

constexpr std::string_view type_name(OptionType type) {
  switch (type) {
    case OptionType::kInteger:
      return "integer";
    case OptionType::kBoolean:
      return "boolean";
    case OptionType::kPath:
      return "path";
    case OptionType::kPolicy:
    case OptionType::kClock:
    case OptionType::kChoice:
      return "choice";
    case OptionType::kWord:
    case OptionType::kProxies:
      break;
  }
  return "text";
}

std::string proxies_text(const TrustedProxies& proxies) {
  if (!proxies.use_networks) return std::to_string(proxies.hops);
  std::string out;
  for (const Network& network : proxies.networks)
    out.append(out.empty() ? "" : ",").append(network_text(network));
  return out;
}

}  // namespace

std::optional<size_t> find_option(std::string_view name) {
  for (size_t i = 0; i < kOptionTable.size(); ++i)
    if (kOptionTable[i].name == name) return i;
  return std::nullopt;
}

std::string range_text(const OptionRow& row) {
  if (row.type != OptionType::kInteger) return std::string(row.range);
  return std::to_string(row.least) + " to " + std::to_string(row.most);
}

std::string value_text(const Options& options, size_t index) {
  const OptionRow& row = kOptionTable[index];
  switch (row.type) {
    case OptionType::kInteger:
      return std::to_string(options.*row.integer);
    case OptionType::kBoolean:
      return options.*row.boolean ? "true" : "false";
    case OptionType::kClock:
      return options.*row.boolean ? "manual" : "system";
    case OptionType::kChoice:
      return std::string(row.words[static_cast<size_t>(options.*row.integer)]);
    case OptionType::kPolicy:
      return std::string(on_failure_name(options.on_failure));
    case OptionType::kProxies:
      return proxies_text(options.trusted_proxies);
    case OptionType::kWord:
    case OptionType::kPath:
      break;
  }
  return options.*row.text;
}

bool is_given(const Options& options, std::string_view name) {
  const auto row = find_option(name);
  return row && (options.given >> *row & 1);
}

void Options::override_with(const Options& other) {
  for (size_t i = 0; i < kOptionTable.size(); ++i) {
    if (!(other.given >> i & 1)) continue;
    const OptionRow& row = kOptionTable[i];
    if (row.integer) this->*row.integer = other.*row.integer;
    if (row.boolean) this->*row.boolean = other.*row.boolean;
    if (row.text) this->*row.text = other.*row.text;
    if (row.type == OptionType::kPolicy) on_failure = other.on_failure;
    if (row.type == OptionType::kProxies) trusted_proxies = other.trusted_proxies;
  }
  given |= other.given;
}

std::string describe_options() {
  std::string out;
  for (const OptionRow& row : kOptionTable) {
    out.append(row.name).append("\t").append(type_name(row.type)).append("\t");
    out.append(range_text(row)).append("\t").append(row.initial).append("\t");
    out.append(row.meaning).append("\n");
  }
  return out;
}

}  // namespace tidegate
