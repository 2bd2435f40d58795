// SPDX-License-Identifier: MIT
#include "attributes.h"

#include <string_view>

#include "client.h"
#include "errors.h"
#include "limiter.h"

namespace py = pybind11;

namespace tidegate_python {
namespace {

constexpr size_t kMostBytes = size_t{1} << 31;

void append(std::string& out, std::string_view text) {
  const auto size = static_cast<uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
}

// Lone surrogates become the bytes that they would be: whoever sends them is told apart.
bool append_text(std::string& out, PyObject* text) {
  Py_ssize_t size = 0;
  if (const char* bytes = PyUnicode_AsUTF8AndSize(text, &size)) {
    append(out, {bytes, static_cast<size_t>(size)});
    return true;
  }
  PyErr_Clear();
  PyObject* encoded = PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
  if (!encoded) return false;
  append(out, {PyBytes_AS_STRING(encoded), static_cast<size_t>(PyBytes_GET_SIZE(encoded))});
  Py_DECREF(encoded);
  return true;
}

bool append_limiter(Client* client, std::string& out, PyObject* limiter) {
  if (client_of(limiter) != client) {
    set_error(TG_EHANDLE, "limiter '" + state_of(limiter)->name +
                              "': expected a limiter of this gate, not of another");
    return false;
  }
  try {
    const uint64_t handle = client->handle_of(*state_of(limiter));
    append(out, {reinterpret_cast<const char*>(&handle), sizeof handle});
    return true;
  } catch (py::error_already_set& error) {
    error.restore();
    return false;
  }
}

bool append_value(Client* client, std::string& out, PyObject* name, PyObject* value) {
  if (PyUnicode_Check(value)) return append_text(out, value);
  if (PyBytes_Check(value)) {
    append(out, {PyBytes_AS_STRING(value), static_cast<size_t>(PyBytes_GET_SIZE(value))});
    return true;
  }
  if (PyBool_Check(value)) {
    append(out, value == Py_True ? "true" : "false");
    return true;
  }
  if (PyLong_Check(value)) {
    PyObject* digits = PyNumber_ToBase(value, 10);
    const bool done = digits && append_text(out, digits);
    Py_XDECREF(digits);
    return done;
  }
  if (client && is_limiter(value)) return append_limiter(client, out, value);
  PyErr_Format(PyExc_TypeError,
               "attribute %R: expected a str, bytes, an int or a bool, or None for nothing, not %s",
               name, Py_TYPE(value)->tp_name);
  return false;
}

bool append_pair(Client* client, std::string& out, PyObject* pair) {
  if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 ||
      !PyUnicode_Check(PyTuple_GET_ITEM(pair, 0))) {
    PyErr_SetString(PyExc_TypeError, "attributes: expected (name, value), the name a str");
    return false;
  }
  PyObject *name = PyTuple_GET_ITEM(pair, 0), *value = PyTuple_GET_ITEM(pair, 1);
  if (value == Py_None) return true;
  return append_text(out, name) && append_value(client, out, name, value);
}

}  // namespace

bool read_attributes(Client* client, PyObject* pairs, std::string& out) {
  out.clear();
  PyObject* items = PySequence_Fast(pairs, "attributes: expected a list of (name, value)");
  bool good = items;
  for (Py_ssize_t i = 0; good && i < PySequence_Fast_GET_SIZE(items); ++i)
    good = append_pair(client, out, PySequence_Fast_GET_ITEM(items, i));
  Py_XDECREF(items);
  if (good && out.size() >= kMostBytes) {
    set_error(TG_EINVAL,
              "attributes of " + std::to_string(out.size()) + " bytes: expected less than 2 GB");
    return false;
  }
  return good;
}

}  // namespace tidegate_python
