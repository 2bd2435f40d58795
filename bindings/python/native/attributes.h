// SPDX-License-Identifier: MIT
// A request's attributes as the C ABI reads them: names and values in turn, each behind its length.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

namespace tidegate_python {

class Client;

// `pairs`: (name, value) tuples; a value is a str, bytes, an integer or a boolean (as their texts),
// None (left out), or a limiter of `client` (NULL: none is expected). False with a Python error
// set, which does not show the value: it may be a secret.
bool read_attributes(Client* client, PyObject* pairs, std::string& out);

}  // namespace tidegate_python
