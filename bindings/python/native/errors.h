// SPDX-License-Identifier: MIT
// TG_E codes as Python's exceptions: tidegate.ConfigError, StoreError, ClosedError, Error.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "tidegate.h"

namespace tidegate_python {

// Text of ours or of a server's as one line of str: bytes that are no UTF-8 and control characters
// are written as \xNN. A new reference, or NULL with an error set.
PyObject* readable(std::string_view text);

// Sets the Python error that belongs to the code. `detail` (empty: tg_strerror's text) is its
// message. Needs the GIL.
void set_error(int32_t code, const std::string& detail = {}, int32_t position = -1);
// As set_error, and throws it through pybind11.
[[noreturn]] void throw_error(int32_t code, const std::string& detail = {}, int32_t position = -1);
[[noreturn]] void throw_error(const tg_error& error);

}  // namespace tidegate_python
