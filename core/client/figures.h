// SPDX-License-Identifier: MIT
// What a client knows, as JSON: the texts of stats/report.h by a limiter's name, and a caller's
// states by his key.
#pragma once

#include <string>
#include <string_view>

#include "client/client.h"
#include "stats/report.h"

namespace tidegate {

inline constexpr size_t kMostLookedUp = 1'000;  // limiters

// What there is to write of; `reading` outlives it.
Account account_of(Client& client, const Reading& reading, const Build& build);

// kHandle: there are no figures of a limiter of that name.
Result<std::string> top_text(Client& client, std::string_view limiter, LimiterFigures::By by,
                             size_t most);
Result<std::string> limited_text(Client& client, std::string_view limiter, size_t most);
Result<std::string> events_text(Client& client, int64_t after, size_t most);
// Empty: all limiters, 1 h, 1 min.
Result<std::string> series_text(Client& client, std::string_view limiter, std::string_view period,
                                std::string_view step);
// Peeks of every limiter that is open; waits for a server's answers. kKey.
Result<std::string> look_up_text(Client& client, std::string_view key);

}  // namespace tidegate
