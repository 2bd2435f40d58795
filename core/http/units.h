// SPDX-License-Identifier: MIT
// Whole seconds, rounded up: HTTP is never told a moment that is earlier than the truth. Any
// thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tidegate {

inline constexpr int64_t kSecondUs = 1'000'000;

constexpr int64_t ceil_seconds(int64_t us) { return us / kSecondUs + (us % kSecondUs > 0); }

// Retry-After of 0 would mean "now" to a caller that was just refused.
constexpr int64_t retry_seconds(int64_t us) { return std::max<int64_t>(1, ceil_seconds(us)); }

}  // namespace tidegate
