// SPDX-License-Identifier: MIT
// The hot calls: consume, peek, refund and reset of a limiter, as METH_FASTCALL methods of two base
// classes (SyncLimiter, AsyncLimiter) that tidegate.Limiter and tidegate.aio.Limiter extend in
// Python.
#pragma once

#include <pybind11/pybind11.h>

namespace tidegate_python {

// Throws.
void add_limiter_types(pybind11::module_& module);

// client.call(op, requests) and client.call_async(op, requests): one atomic request of (limiter,
// key[, cost]) tuples.
pybind11::object call_request(pybind11::handle owner, uint32_t op, pybind11::handle requests);
pybind11::object call_request_async(pybind11::handle owner, uint32_t op, pybind11::handle requests);

}  // namespace tidegate_python
