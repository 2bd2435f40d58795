// SPDX-License-Identifier: MIT
// tidegate.Decision and tidegate.Part as plain heap types: one allocation per decision, figures
// made when asked for.
#pragma once

#include <pybind11/pybind11.h>

#include "answer.h"
#include "client.h"
#include "tidegate.h"

namespace tidegate_python {

// Makes the two types and puts them into the module. Throws.
void add_decision_types(pybind11::module_& module);

// A decision of the client; `owner` is the client's Python object. NULL with a Python error set.
// check: the result is a guard's, with an answer.
PyObject* new_decision(PyObject* owner, Client* client, const tg_result& result, bool check);

// The answer of a guard's decision that this client has made, since it was opened here; NULL
// otherwise.
const Answer* answer_of(PyObject* decision, const Client* client);

// The TG_SOURCE_... of a Decision; -1 for any other object.
int source_of(PyObject* decision);

}  // namespace tidegate_python
