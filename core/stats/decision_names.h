// SPDX-License-Identifier: MIT
// What decisions are called in texts: by source and outcome. The policy's are a ban and an
// exemption.
#pragma once

#include <array>
#include <string_view>

#include "stats/limiter_figures.h"
#include "stats/metrics.h"

namespace tidegate {

inline constexpr size_t kFirstSource = 1;  // behind Source::kNone

constexpr std::string_view outcome_name(size_t source, Said said) {
  const bool policy = source == static_cast<size_t>(Source::kPolicy);
  switch (said) {
    case Said::kAllowed:
      return policy ? "exempt" : "allowed";
    case Said::kDenied:
      return policy ? "banned" : "denied";
    case Said::kWouldDeny:
      break;
  }
  return "would_deny";
}

struct CountedOutcome {
  std::string_view name;
  int64_t count;
};

// Of a client's requests. Outcomes exclude each other.
inline std::array<CountedOutcome, 3> outcomes_of(const Reading& reading, size_t source) {
  const auto& of = reading.decisions[source];
  const auto count = [&](Outcome outcome) { return of[static_cast<size_t>(outcome)]; };
  return {{{"allowed", count(Outcome::kAllowed)},
           {"denied", count(Outcome::kDenied) + count(Outcome::kDeniedAndWouldDeny)},
           {"would_deny", count(Outcome::kWouldDeny)}}};
}

}  // namespace tidegate
