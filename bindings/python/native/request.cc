// SPDX-License-Identifier: MIT
#include "request.h"

#include <time.h>

#include <cstring>
#include <string>
#include <string_view>

#include "check.h"
#include "decision.h"
#include "errors.h"
#include "ring.h"

namespace py = pybind11;

namespace tidegate_python {
namespace {

// As much of a value as an error message should show.
std::string shown(PyObject* value) {
  PyObject* text = PyObject_Repr(value);
  const char* bytes = text ? PyUnicode_AsUTF8(text) : nullptr;
  std::string out = bytes ? bytes : "?";
  Py_XDECREF(text);
  PyErr_Clear();
  return out.size() > 80 ? out.substr(0, 77) + "..." : out;
}

bool refuse_type(const char* what, PyObject* value, const char* expected) {
  PyErr_Format(PyExc_TypeError, "%s %s: expected %s, not %s", what, shown(value).c_str(), expected,
               Py_TYPE(value)->tp_name);
  return false;
}

bool refuse_value(int32_t code, const char* what, PyObject* value, const char* expected) {
  set_error(code, std::string(what) + " " + shown(value) + ": expected " + expected);
  return false;
}

// A key may be somebody's secret, and so may be whatever was given in its place.
bool refuse_key_type(PyObject* key) {
  const bool harmless = PyLong_Check(key) || PyFloat_Check(key) || key == Py_None;
  PyErr_Format(PyExc_TypeError, "key%s%s: expected a str, bytes or an int, not %s",
               harmless ? " " : "", harmless ? shown(key).c_str() : "", Py_TYPE(key)->tp_name);
  return false;
}

int64_t monotonic_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1'000;
}

}  // namespace

bool read_key(PyObject* key, tg_entry& entry, py::object& kept) {
  Py_ssize_t size = 0;
  if (PyLong_Check(key) && !PyBool_Check(key)) {
    kept = py::reinterpret_steal<py::object>(PyNumber_ToBase(key, 10));
    if (!kept) return false;
    key = kept.ptr();
  }
  if (PyUnicode_Check(key)) {
    entry.key = PyUnicode_AsUTF8AndSize(key, &size);
    if (!entry.key) {
      PyErr_Clear();
      set_error(TG_EKEY, "key: expected text that UTF-8 can say, not lone surrogates");
      return false;
    }
  } else if (PyBytes_Check(key)) {
    entry.key = PyBytes_AS_STRING(key);
    size = PyBytes_GET_SIZE(key);
  } else {
    return refuse_key_type(key);
  }
  if (size == 0) return refuse_value(TG_EKEY, "key", key, "a str or bytes of at least one byte");
  if (size > INT32_MAX) {
    set_error(TG_EKEY, "key of " + std::to_string(size) + " bytes: expected less than 2 GB");
    return false;
  }
  entry.key_len = static_cast<uint32_t>(size);
  return true;
}

bool read_cost(PyObject* cost, tg_entry& entry) {
  static const char kExpected[] = "an integer from 0 to 4503599627370495";
  if (!cost) {
    entry.arg = 1;
    return true;
  }
  if (PyBool_Check(cost) || (!PyLong_Check(cost) && !PyIndex_Check(cost)))
    return refuse_type("cost", cost, kExpected);
  PyObject* number = PyNumber_Index(cost);
  if (!number) return false;
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(number, &overflow);
  Py_DECREF(number);
  if (overflow || value < 0 || value > TG_MAX_COST)
    return refuse_value(TG_ECOST, "cost", cost, kExpected);
  entry.arg = value;
  return true;
}

bool read_id(PyObject* id, tg_entry& entry) {
  static const char kExpected[] = "bytes of 1 to 16, not all of them 0";
  if (!id) return true;
  if (!PyBytes_Check(id)) {
    PyErr_Format(PyExc_TypeError, "id: expected %s, not %s", kExpected, Py_TYPE(id)->tp_name);
    return false;
  }
  const std::string_view bytes(PyBytes_AS_STRING(id), static_cast<size_t>(PyBytes_GET_SIZE(id)));
  if (bytes.size() > sizeof entry.id || bytes.find_first_not_of('\0') == std::string_view::npos) {
    set_error(TG_EID, "id of " + std::to_string(bytes.size()) + " bytes: expected " + kExpected);
    return false;
  }
  std::memcpy(entry.id, bytes.data(), bytes.size());
  return true;
}

bool read_source(PyObject* decision, tg_entry& entry) {
  if (!decision || decision == Py_None) return true;
  const int source = source_of(decision);
  if (source >= 0) {
    entry.flags |= TG_SOURCE_FLAGS(source);
    return true;
  }
  PyErr_Format(PyExc_TypeError, "decision: expected a Decision, not %s",
               Py_TYPE(decision)->tp_name);
  return false;
}

bool Asker::bind() {
  try {
    for (int32_t i = 0; states && i < n; ++i) entries[i].handle = client->handle_of(*states[i]);
    return !more || more->bind();
  } catch (py::error_already_set& error) {
    error.restore();
    return false;
  }
}

PyObject* Asker::answer(const tg_result& result, int64_t started_us) {
  if (result.status < 0) {
    const auto* text = static_cast<const char*>(result.data);
    set_error(result.status, text ? std::string(text, result.data_len) : std::string());
    return nullptr;
  }
  const uint32_t op = entries[0].op;
  if (has_decision(op)) return new_decision(owner, client, result, op == TG_OP_CHECK);
  if (op == TG_OP_PING) return PyFloat_FromDouble((monotonic_us() - started_us) / 1e6);
  Py_RETURN_NONE;
}

PyObject* Asker::in_place() {
  const Inside inside;
  if (!bind()) return nullptr;
  const int64_t started_us = entries[0].op == TG_OP_PING ? monotonic_us() : 0;
  tg_result result;
  int32_t status = client->run(inside, entries, n, result);
  if (status == TG_EFORK) {
    try {
      client->reopen();
    } catch (py::error_already_set& error) {
      error.restore();
      return nullptr;
    }
    if (!bind()) return nullptr;
    status = client->run(inside, entries, n, result);
  }
  if (status < 0) {
    set_error(status, status == TG_ECLOSED ? "the gate is closed" : "");
    return nullptr;
  }
  PyObject* out = answer(result, started_us);
  if (client->has_events()) client->deliver_events();
  return out;
}

PyObject* Asker::sync() { return in_place(); }

const char* Asker::method() const {
  switch (entries[0].op) {
    case TG_OP_CONSUME:
      return "consume";
    case TG_OP_PEEK:
      return "peek";
    case TG_OP_REFUND:
      return "refund";
    case TG_OP_RESET:
      return "reset";
    case TG_OP_DEBIT:
      return "debit";
    case TG_OP_CHECK:
      return "check";
    default:
      return "ping";
  }
}

PyObject* Asker::async() {
  if (client->embedded()) return new_check_done(in_place(), method());
  if (client->closed()) {
    set_error(TG_ECLOSED, "the gate is closed");
    return nullptr;
  }
  if (!bind()) return nullptr;
  int32_t status = TG_OK;
  PyObject* future = Ring::submit(owner, client, entries, n, status);
  if (status == TG_EFORK && !future) {
    try {
      client->reopen();
    } catch (py::error_already_set& error) {
      error.restore();
      return nullptr;
    }
    if (!bind()) return nullptr;
    future = Ring::submit(owner, client, entries, n, status);
  }
  if (!future && !PyErr_Occurred()) set_error(status, status == TG_EFULL ? kRingIsFull : "");
  return new_check_waiting(future, method());
}

}  // namespace tidegate_python
