// SPDX-License-Identifier: MIT
// Sockets on their way to a server: closed in whatever the program starts, never blocking, and told
// how long silence may last.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace tidegate {

// A connection that is being made: its descriptor, the caller's to close. kConnect: it was refused
// at once. `address` is in numbers. silence_ms: so long may what was sent stay unacknowledged.
Result<int> start_tcp(const std::string& address, int port, int64_t silence_ms);
Result<int> start_unix(const std::string& path);

// The server's side has accepted.
bool is_connected(int descriptor);

}  // namespace tidegate
