// SPDX-License-Identifier: MIT
// The reference model's scenarios (tests/conformance), run through the C ABI of an opened client.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tidegate.h"

namespace tidegate::test {

using Json = nlohmann::json;

// kind: "rates" (vectors.jsonl) or "slots" (slots.jsonl: of debt too).
std::vector<Json> stored_scenarios(const std::string& kind);
// Of a seed from the clock or $TIDEGATE_SEED, which is printed.
std::vector<Json> fresh_scenarios(const std::string& kind, int count);

// Opens a client of its own for the scenario and compares every answer; "" or the first difference.
// url: with clock=manual (and testing=1), and a namespace that nothing else uses.
std::string run_scenario(const Json& scenario, const std::string& url);

}  // namespace tidegate::test
