// SPDX-License-Identifier: MIT
// A request's attributes, from how JavaScript hands them over to how the C ABI reads them.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate::node {

class Gate;

inline constexpr const char* kAttributesExpected =
    "attributes: expected texts without a NUL character";

// The UTF-8 of a string, into a text that keeps its memory. False: it is no string.
bool read_text(napi_env env, napi_value value, std::string& out);

// `texts`: names and values in turn, joined by NUL; `count`: how many. False: they are not so many,
// since one has a NUL in it. `gate`: whose limiters a "@limiter" names, by number; or nullptr.
// The view is good until the next call on this thread.
bool read_attributes(napi_env env, const Gate* gate, napi_value texts, napi_value count,
                     std::string_view& out);

}  // namespace tidegate::node
