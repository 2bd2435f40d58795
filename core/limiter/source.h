// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace tidegate {

// Who decided: the embedded engine, the store, the failure policy in its three forms, the policy
// (a ban, an exemption), a near copy. The numbers are TG_SOURCE_*.
enum class Source : uint8_t {
  kNone,
  kMemory,
  kStore,
  kFallback,
  kFailOpen,
  kFailClosed,
  kPolicy,
  kNear
};

}  // namespace tidegate
