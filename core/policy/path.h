// SPDX-License-Identifier: MIT
// The one spelling of what a request says of itself, so that no other spelling escapes a limit. All
// return `text` itself where it is in that form, else what they put into `buffer`, which keeps its
// memory. Pure functions: any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/address.h"

namespace tidegate {

// policy_model.normal_path: of a URL's path, without its query. Any bytes; O(length).
std::string_view normal_path(std::string_view text, std::string& buffer);
// In capitals, of ASCII.
std::string_view normal_method(std::string_view text, std::string& buffer);
// In lower case, of ASCII, without port and last dot. Perhaps empty.
std::string_view normal_host(std::string_view text, std::string& buffer);
// "@" and the address as client_address says it (or said it before, with "/64" behind it), into
// `buffer`: as caller_key has it. "@unknown" for what is none, a peer's name too. The address,
// masked.
std::optional<Address> normal_address(std::string_view text, int ipv6_prefix, std::string& buffer);

}  // namespace tidegate
