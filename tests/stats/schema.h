// SPDX-License-Identifier: MIT
// Is a JSON text what tests/stats/schema.json says? As much of JSON Schema as that file uses; a
// word that is not known here is a failure, so that nothing in it goes unchecked.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace tidegate {

using nlohmann::json;

// "" where `what` fits; else where it does not, and why.
inline std::string misfit(const json& schema, const json& what, const std::string& at = "$") {
  const auto is = [&](const std::string& type) {
    return type == "object"    ? what.is_object()
           : type == "array"   ? what.is_array()
           : type == "string"  ? what.is_string()
           : type == "boolean" ? what.is_boolean()
                               : type == "integer" && what.is_number_integer();
  };
  for (const auto& [word, value] : schema.items()) {
    if (word == "type" && !is(value)) return at + ": no " + value.get<std::string>();
    if (word == "minimum" && what < value) return at + ": too small: " + what.dump();
    if (word == "minItems" && what.size() < value) return at + ": too few";
    if (word == "maxItems" && what.size() > value) return at + ": too many";
    if (word == "enum" && std::find(value.begin(), value.end(), what) == value.end())
      return at + ": none of " + value.dump();
    if (word == "required")
      for (const auto& name : value)
        if (!what.contains(name)) return at + ": lacks " + name.dump();
    if (word == "items")
      for (size_t i = 0; i < what.size(); ++i)
        if (auto bad = misfit(value, what[i], at + "[" + std::to_string(i) + "]"); !bad.empty())
          return bad;
    if (word == "properties" || word == "additionalProperties") continue;  // below
    if (std::string(" type minimum minItems maxItems enum required items ")
            .find(" " + word + " ") == std::string::npos)
      return "the schema says " + word + ", which nobody checks";
  }
  if (!what.is_object()) return "";
  const json none = json::object(), properties = schema.value("properties", none);
  const json others = schema.value("additionalProperties", json(true));
  for (const auto& [name, member] : what.items()) {
    if (!properties.contains(name) && others == false) return at + ": knows no " + name;
    const json& its = properties.contains(name) ? properties[name] : others;
    if (!its.is_object()) continue;
    if (auto bad = misfit(its, member, at + "." + name); !bad.empty()) return bad;
  }
  return "";
}

inline std::string misfit_of(const std::string& definition, const json& what) {
  std::ifstream file(TIDEGATE_SOURCE_DIR "/tests/stats/schema.json");
  return misfit(json::parse(file)["$defs"].at(definition), what);
}

}  // namespace tidegate
