// SPDX-License-Identifier: MIT
// The atomic programs' sources (core/lua, embedded at build time) and the SHA-1s the server knows
// them by.
#pragma once

#include <string_view>

namespace tidegate {

std::string_view script_source();
std::string_view script_digest();  // 40 hex digits

std::string_view policy_script();  // of the live policy; small and rare: it is sent each time
// The same of the caches' program.
std::string_view cache_script_source();
std::string_view cache_script_digest();

}  // namespace tidegate
