// SPDX-License-Identifier: MIT
// What waits for the store does so on a thread of the pool. JavaScript thread only.
#pragma once

#include <napi.h>

#include <functional>
#include <string>

#include "tidegate.h"

namespace tidegate::node {

// Runs on the pool: makes a text, and returns 0 or more; or a TG_E code, and then `error` says why,
// or nothing.
using Work = std::function<int64_t(std::string& out, tg_error& error)>;

// The promise of that text. `gate`, and with it the client, is kept until then.
Napi::Value wait_for(Napi::Env env, Napi::Object gate, Work work);

}  // namespace tidegate::node
