// SPDX-License-Identifier: MIT
// The hot calls: consume, peek, refund and reset of a limiter, as METH_FASTCALL methods of two base
// classes (SyncLimiter, AsyncLimiter) that tidegate.Limiter and tidegate.aio.Limiter extend in
// Python.
#pragma once

#include <pybind11/pybind11.h>

#include "client.h"

namespace tidegate_python {

// Throws.
void add_limiter_types(pybind11::module_& module);

bool is_limiter(PyObject* object);
// Of an object that is one; borrowed.
Client* client_of(PyObject* limiter);
LimiterState* state_of(PyObject* limiter);

}  // namespace tidegate_python
