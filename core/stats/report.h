// SPDX-License-Identifier: MIT
// A client's figures as text: for Prometheus, and as JSON. Both are the table of metrics.h, written
// out; no caller's key, no secret.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "stats/metrics.h"

namespace tidegate {

struct Build {
  std::string_view version;
  int32_t abi;
};

// The exposition format of Prometheus, 0.0.4: every known series, those that are 0 too.
std::string metrics_text(const Reading& reading, const Build& build);

// One object: "version", "abi", every figure by its name, and "decisions" by source and outcome.
// Outcomes exclude each other: what was allowed, and what a shadow would have denied.
std::string report_json(const Reading& reading, const Build& build);

}  // namespace tidegate
