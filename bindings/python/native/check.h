// SPDX-License-Identifier: MIT
// What an asynchronous call returns: an awaitable that already has its answer, or one that waits
// for a future. It is a coroutine to asyncio (send, throw, close), so create_task and gather take
// it too. It has no truth value, and one that is dropped without having been awaited warns.
#pragma once

#include <pybind11/pybind11.h>

namespace tidegate_python {

void add_check_type(pybind11::module_& module);

// Both take over the reference; NULL (with a Python error set) is passed through. `method`, a
// literal: what was called.
PyObject* new_check_done(PyObject* result, const char* method);
PyObject* new_check_waiting(PyObject* future, const char* method);

}  // namespace tidegate_python
