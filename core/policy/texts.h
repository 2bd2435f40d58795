// SPDX-License-Identifier: MIT
// What every language shows of a policy, as JSON text. Pure functions: any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "policy/policy.h"

namespace tidegate {

// policy_model.resolve's answer: {"verdict":"limits","parts":[...],"rules":[...]}; with "reason",
// "until_us" and "retry_after_us" of a ban, with "error" of an error. Bytes that are no UTF-8 are
// shown as U+FFFD.
std::string resolution_json(const Resolution& resolution);

// The same, and why: "caller", "address", "tier" and "tier_from" (caller, request, default or
// null), "entries" that speak of the caller (their names, and whether file or live says it), and
// "why", for each rule whether it matched, and if not, which member of `when` did not. Rules that
// were not looked at, behind one that exempts or an error, say neither.
std::string explain_json(const Policy& file, const Policy* live, std::span<const Attribute> request,
                         int64_t now_us, int ipv6_prefix = kDefaultIpv6Prefix);

// A live document that `patch` has changed: an entry of a limiter, a tier or a caller takes the
// place of the one of its name, null takes it away. JSON. kPolicy where one of them is no such
// document.
Result<std::string> merge_live(std::string_view live, std::string_view patch);

// {"path":"rules[0].limit","message":"...","line":3,"column":7,"text":"..."}
std::string fault_json(const PolicyFault& fault);

}  // namespace tidegate
