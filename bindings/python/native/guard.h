// SPDX-License-Identifier: MIT
// A guard of a client as a Python type: a policy's checks, its explanations and its live document.
// In a forked child it opens itself again, as limiters do.
#pragma once

#include <pybind11/pybind11.h>

namespace tidegate_python {

// tidegate._tidegate.Guard, and the functions of policies that need no client. Throws.
void add_guard_type(pybind11::module_& module);

}  // namespace tidegate_python
