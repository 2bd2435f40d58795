// SPDX-License-Identifier: MIT
// The name of a caller's entry: an identity, an address, or a network. Pure functions: any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "http/address.h"

namespace tidegate {

struct CallerName {
  std::string key;  // as caller_key writes it; of a network ""
  Address network;  // where it is one: masked
  int prefix = -1;  // its length; -1: no network
};

// policy_model.caller_name. One address, and a network inside of what is one caller, is that
// caller. The error says what was expected.
Result<CallerName> parse_caller_name(std::string_view name, int ipv6_prefix);

}  // namespace tidegate
