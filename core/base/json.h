// SPDX-License-Identifier: MIT
// Text as JSON. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace tidegate {

// A string as Python's json.dumps writes it: in quotes, ASCII only, surrogate pairs above U+FFFF. A
// byte that is no UTF-8 stands for U+FFFD.
void append_json(std::string& out, std::string_view text);

}  // namespace tidegate
