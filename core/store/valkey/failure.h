// SPDX-License-Identifier: MIT
// What a caller is told when the store could not answer: the failure policy of the strictest
// limiter in the request.
#pragma once

#include <string_view>

#include "store/call.h"
#include "store/valkey/store_context.h"

namespace tidegate {

// Answers the call (decision, results, or a status where there is nothing to decide) reports it,
// and counts the failure as `code`. Does not tell the sink. Any thread.
void answer_by_policy(StoreContext& store, Call* call, Code code, std::string_view why);
// The same, and tells the sink; where there is no memory for an answer, the call says so.
void finish_by_policy(StoreContext& store, Call* call, Code code, std::string_view why) noexcept;

}  // namespace tidegate
