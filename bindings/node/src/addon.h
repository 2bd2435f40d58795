// SPDX-License-Identifier: MIT
// What one environment (the main thread, or a worker) has of this addon: the array in which results
// travel to JavaScript. JavaScript thread only.
#pragma once

#include <napi.h>

#include <string_view>

#include "tidegate.h"

namespace tidegate::node {

// The results' layout, in doubles (lib/native.js has the same numbers):
//   a result  slot, status, flags, parts, binding
//   a part    limiter, rate, flags, limit, remaining, retry_after, next, reset_after, window,
//   capacity, shortfall
inline constexpr size_t kResultDoubles = 5;
inline constexpr size_t kPartDoubles = 11;
inline constexpr size_t kMostParts = size_t{TG_MAX_PARTS} * TG_MAX_RATES;
inline constexpr size_t kBufferDoubles = 8'192;
static_assert(kResultDoubles + kMostParts * kPartDoubles < kBufferDoubles);

struct Addon {
  double* results = nullptr;  // kBufferDoubles of them, kept alive by results_array
  Napi::Reference<Napi::Float64Array> results_array;
  Napi::FunctionReference make_error;  // (code, message, position) => Error
};

inline Addon& addon_of(Napi::Env env) { return *env.GetInstanceData<Addon>(); }

// Throws what make_error makes of it.
[[noreturn]] void raise(Napi::Env env, int32_t code, std::string_view message,
                        int32_t position = -1);
[[noreturn]] void raise(Napi::Env env, const tg_error& error);

}  // namespace tidegate::node
