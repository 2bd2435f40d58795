// SPDX-License-Identifier: MIT
// The atomic program's source (core/lua, embedded at build time) and the SHA-1 the
// server knows it by.
#pragma once

#include <string_view>

namespace tidegate {

std::string_view script_source();
std::string_view script_digest();  // 40 hex digits

std::string_view policy_script();  // of the live policy; small and rare: it is sent each time

}  // namespace tidegate
