// SPDX-License-Identifier: MIT
// From what a user says to a LimiterConfig.
#pragma once

#include "base/fingerprint.h"
#include "limiter/config.h"

namespace tidegate {

struct LimiterDefaults {
  std::string_view name_space = "tg";
  OnFailure on_failure = OnFailure::kLocal;
  int64_t fallback_share = 1;
  Mode mode = Mode::kEnforce;  // the strictest that there is: of the whole process, in tests
};

// kRate, kName, kInvalid (algorithm, mode), kOption (on_failure). `before`: what a change starts
// from, or null.
Result<std::unique_ptr<const LimiterConfig>> make_limiter(const LimiterSpec& spec,
                                                          const LimiterConfig* before,
                                                          const LimiterDefaults& defaults,
                                                          const Fingerprinter& fingerprint);

// What it would be called if it had no name: "100-per-60s". kRate, kInvalid.
Result<std::string> numbers_name(const LimiterSpec& spec);

// "tg:1:api:b60s:" (http_model.state_key).
std::string state_head(std::string_view name_space, std::string_view name, const Numbers& limit);

}  // namespace tidegate
