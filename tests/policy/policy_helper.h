// SPDX-License-Identifier: MIT
// Vectors of the policy model, and what the core says to them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace tidegate {

using Json = nlohmann::ordered_json;  // of two equal callers the second is the fault
// Without an order, to compare.
inline nlohmann::json unordered(const Json& json) { return nlohmann::json::parse(json.dump()); }

// A vector's line. Lone surrogates are no JSON to nlohmann: they are kept behind a mark (U+E000)
// until bytes_of writes them as Python's surrogatepass does.
inline Json parse_vector(const std::string& line) {
  std::string out;
  const auto unit = [&](size_t at) {
    return line.compare(at, 2, "\\u") == 0 ? std::stoi(line.substr(at + 2, 4), nullptr, 16) : -1;
  };
  for (size_t at = 0; at < line.size();) {
    if (line[at] != '\\' || line[at + 1] != 'u') {
      const size_t size = line[at] == '\\' ? 2 : 1;
      out.append(line, at, size);
      at += size;
      continue;
    }
    const int first = unit(at);
    const bool pair = first >= 0xd800 && first < 0xdc00 && unit(at + 6) >= 0xdc00;
    if (!pair && first >= 0xd800 && first < 0xe000)
      out += "\\ue000" + line.substr(at + 2, 4);
    else
      out.append(line, at, pair ? 12 : 6);
    at += pair ? 12 : 6;
  }
  return Json::parse(out);
}

inline std::string bytes_of(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (text.compare(at, 3, "\xee\x80\x80") != 0) {
      out += text[at++];
      continue;
    }
    const int unit = std::stoi(text.substr(at + 3, 4), nullptr, 16);
    out += static_cast<char>(0xe0 | unit >> 12);
    out += static_cast<char>(0x80 | (unit >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (unit & 0x3f));
    at += 7;
  }
  return out;
}

// A request's attributes, and the texts that they refer to.
class Request {
 public:
  explicit Request(const Json& members) {
    for (const auto& [name, value] : members.items()) {
      texts_.push_back(bytes_of(name));
      texts_.push_back(bytes_of(value.get<std::string>()));
    }
    for (size_t i = 0; i < texts_.size(); i += 2) all_.push_back({texts_[i], texts_[i + 1]});
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  std::span<const Attribute> attributes() const { return all_; }

 private:
  std::vector<std::string> texts_;
  std::vector<Attribute> all_;
};

}  // namespace tidegate
