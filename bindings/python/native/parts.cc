// SPDX-License-Identifier: MIT
#include "parts.h"

#include <string>

#include "client.h"
#include "errors.h"
#include "limiter.h"
#include "request.h"

namespace py = pybind11;

namespace tidegate_python {
namespace {

// False with a Python error set.
struct Parts {
  tg_entry entries[TG_MAX_PARTS] = {};
  LimiterState* states[TG_MAX_PARTS] = {};
  py::object kept[TG_MAX_PARTS];
  int32_t n = 0;

  bool read(Client* client, uint32_t op, PyObject* items, PyObject* decision);
  bool read_part(Client* client, uint32_t op, PyObject* item);
  bool refuse(uint32_t op, PyObject* item) const;
};

bool Parts::read(Client* client, uint32_t op, PyObject* items, PyObject* decision) {
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(items);
  if (count < 1 || count > TG_MAX_PARTS) {
    set_error(TG_EINVAL, "a request of " + std::to_string(count) + " parts: expected 1 to " +
                             std::to_string(TG_MAX_PARTS));
    return false;
  }
  for (Py_ssize_t i = 0; i < count; ++i)
    if (!read_part(client, op, PySequence_Fast_GET_ITEM(items, i))) return false;
  if (!read_source(decision, entries[0])) return false;
  for (int32_t i = 0; i + 1 < n; ++i) entries[i].flags |= TG_LINK;
  return true;
}

// Keys may be secrets: the part itself is not shown.
bool Parts::refuse(uint32_t op, PyObject* item) const {
  const std::string what = PyTuple_Check(item)
                               ? "a tuple of " + std::to_string(PyTuple_GET_SIZE(item))
                               : std::string(Py_TYPE(item)->tp_name);
  PyErr_Format(PyExc_TypeError, "part %d is %s: expected %s", static_cast<int>(n), what.c_str(),
               op == TG_OP_RESET
                   ? "(limiter, key)"
                   : "(limiter, key), (limiter, key, cost) or (limiter, key, cost, id)");
  return false;
}

bool Parts::read_part(Client* client, uint32_t op, PyObject* item) {
  const Py_ssize_t size = PyTuple_Check(item) ? PyTuple_GET_SIZE(item) : 0;
  PyObject* limiter = size ? PyTuple_GET_ITEM(item, 0) : nullptr;
  if (size < 2 || size > (op == TG_OP_RESET ? 2 : 4) || !is_limiter(limiter))
    return refuse(op, item);
  if (client_of(limiter) != client) {
    set_error(TG_EHANDLE, "limiter '" + state_of(limiter)->name +
                              "': expected a limiter of this gate, not of another");
    return false;
  }
  const auto at = static_cast<size_t>(n);
  entries[at].op = op;
  states[n++] = state_of(limiter);
  return read_key(PyTuple_GET_ITEM(item, 1), entries[at], kept[at]) &&
         read_cost(size >= 3 ? PyTuple_GET_ITEM(item, 2) : nullptr, entries[at]) &&
         read_id(size == 4 ? PyTuple_GET_ITEM(item, 3) : nullptr, entries[at]);
}

py::object call(py::handle owner, uint32_t op, py::handle requests, py::handle decision,
                PyObject* (Asker::*ask)()) {
  Client* client = py::cast<Client*>(owner);
  Parts parts;
  py::object items;
  if (op == TG_OP_PING) {
    parts.entries[0].op = op;
    parts.n = 1;
  } else {
    items = py::reinterpret_steal<py::object>(PySequence_Fast(
        requests.ptr(), "expected a list of (limiter, key) or (limiter, key, cost)"));
    if (!items || !parts.read(client, op, items.ptr(), decision.ptr()))
      throw py::error_already_set();
  }
  Asker asker{owner.ptr(), client, parts.entries, parts.n,
              op == TG_OP_PING ? nullptr : parts.states};
  PyObject* out = (asker.*ask)();
  if (!out) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(out);
}

}  // namespace

py::object call_request(py::handle owner, uint32_t op, py::handle requests, py::handle decision) {
  return call(owner, op, requests, decision, &Asker::sync);
}

py::object call_request_async(py::handle owner, uint32_t op, py::handle requests,
                              py::handle decision) {
  return call(owner, op, requests, decision, &Asker::async);
}

}  // namespace tidegate_python
