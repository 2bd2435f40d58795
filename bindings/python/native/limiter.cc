// SPDX-License-Identifier: MIT
#include "limiter.h"

#include <memory>
#include <new>
#include <string>

#include "client.h"
#include "decision.h"
#include "errors.h"
#include "request.h"

namespace py = pybind11;

namespace tidegate_python {
namespace {

struct LimiterObject {
  PyObject_HEAD PyObject* owner;  // keeps client alive
  Client* client;
  std::shared_ptr<LimiterState> state;
  bool close_with_it;  // when this object goes and no other has the limiter
};

PyTypeObject* sync_type = nullptr;
PyTypeObject* async_type = nullptr;

LimiterObject* as_limiter(PyObject* self) { return reinterpret_cast<LimiterObject*>(self); }

// The arguments of (key, cost=1, decision=None), by place or by name.
struct Arguments {
  PyObject* key = nullptr;
  PyObject* cost = nullptr;
  PyObject* decision = nullptr;
};

bool read_arguments(const char* function, int most, PyObject* const* args, Py_ssize_t count,
                    PyObject* names, Arguments& out) {
  static const char* const kNames[] = {"key", "cost", "decision"};
  PyObject** const fields[] = {&out.key, &out.cost, &out.decision};
  if (count > most) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments, %zd given", function, most,
                 count);
    return false;
  }
  for (Py_ssize_t i = 0; i < count; ++i) *fields[i] = args[i];
  for (Py_ssize_t k = 0; names && k < PyTuple_GET_SIZE(names); ++k) {
    PyObject* name = PyTuple_GET_ITEM(names, k);
    int i = 0;
    while (i < most && PyUnicode_CompareWithASCIIString(name, kNames[i]) != 0) ++i;
    if (i == most || *fields[i]) {
      PyErr_Format(PyExc_TypeError, "%s() got %s argument '%U'", function,
                   i == most ? "an unexpected" : "twice the", name);
      return false;
    }
    *fields[i] = args[count + k];
  }
  if (out.key) return true;
  PyErr_Format(PyExc_TypeError, "%s() misses its argument 'key'", function);
  return false;
}

template <uint32_t kOp, bool kAsync>
PyObject* ask(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  constexpr const char* kName = kOp == TG_OP_CONSUME  ? "consume"
                                : kOp == TG_OP_PEEK   ? "peek"
                                : kOp == TG_OP_REFUND ? "refund"
                                                      : "reset";
  constexpr int kMost = kOp == TG_OP_REFUND ? 3 : kOp == TG_OP_RESET ? 1 : 2;
  Arguments given;
  if (count == 1 && !names) {
    given.key = args[0];
  } else if (!read_arguments(kName, kMost, args, count, names, given)) {
    return nullptr;
  }
  LimiterObject* limiter = as_limiter(self);
  tg_entry entry{};
  py::object kept;
  entry.op = kOp;
  if (!read_key(given.key, entry, kept) || !read_cost(given.cost, entry) ||
      !read_source(given.decision, entry))
    return nullptr;
  LimiterState* state = limiter->state.get();
  Asker asker{limiter->owner, limiter->client, &entry, 1, &state};
  return kAsync ? asker.async() : asker.sync();
}

std::string text_or_empty(PyObject* value, const char* what) {
  if (!value || value == Py_None) return {};
  Py_ssize_t size = 0;
  const char* text = PyUnicode_Check(value) ? PyUnicode_AsUTF8AndSize(value, &size) : nullptr;
  if (!text) {
    PyErr_Clear();
    PyErr_Format(PyExc_TypeError, "%s %R: expected a str, such as '100/minute'", what, value);
    throw py::error_already_set();
  }
  return {text, static_cast<size_t>(size)};
}

// A text that must be there.
std::string text_of(PyObject* value, const char* what) {
  if (value != Py_None) return text_or_empty(value, what);
  PyErr_Format(PyExc_TypeError, "%s None: expected a str, such as '100/minute'", what);
  throw py::error_already_set();
}

// (client, rates, name, algorithm, mode, on_failure), by place: what Gate.limiter passes on.
PyObject* limiter_new(PyTypeObject* type, PyObject* args, PyObject* names) {
  PyObject *owner = nullptr, *rates = nullptr, *name = nullptr, *algorithm = nullptr,
           *mode = nullptr, *policy = nullptr;
  const bool by_gate = PyTuple_GET_SIZE(args) == 6 && (!names || PyDict_GET_SIZE(names) == 0) &&
                       py::isinstance<Client>(PyTuple_GET_ITEM(args, 0));
  if (!by_gate ||
      !PyArg_UnpackTuple(args, "limiter", 6, 6, &owner, &rates, &name, &algorithm, &mode, &policy))
    return PyErr_Format(PyExc_TypeError,
                        "%s is made by a gate: tidegate.connect().limiter('100/minute')",
                        type->tp_name);
  try {
    LimiterSpec spec{text_of(rates, "rate"), text_or_empty(name, "name"),
                     text_or_empty(algorithm, "algorithm"), text_or_empty(mode, "mode"),
                     text_or_empty(policy, "on_failure")};
    Client* client = py::cast<Client*>(py::handle(owner));
    if (client->closed()) throw_error(TG_ECLOSED, "the gate is closed");
    auto state = client->open_limiter(std::move(spec));
    PyObject* self = type->tp_alloc(type, 0);
    if (!self) return nullptr;
    as_limiter(self)->owner = Py_NewRef(owner);
    as_limiter(self)->client = client;
    new (&as_limiter(self)->state) std::shared_ptr<LimiterState>(std::move(state));
    return self;
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  }
  return nullptr;
}

void limiter_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  if (as_limiter(self)->close_with_it)
    as_limiter(self)->client->close_if_last(as_limiter(self)->state);
  as_limiter(self)->state.~shared_ptr();
  Py_XDECREF(as_limiter(self)->owner);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* limiter_name(PyObject* self, void*) {
  return PyUnicode_FromString(as_limiter(self)->state->name.c_str());
}

PyObject* limiter_same(PyObject* self, void*) {  // equal for two handles of one limiter
  const auto* limiter = as_limiter(self);
  return PyLong_FromUnsignedLongLong(limiter->state->handle);
}

PyObject* limiter_rates(PyObject* self, PyObject*) {
  LimiterObject* limiter = as_limiter(self);
  try {
    tg_rate rates[TG_MAX_RATES];
    const auto read = [&] {
      const uint64_t handle = limiter->client->handle_of(*limiter->state);
      return tg_limiter_rates(limiter->client->get(), handle, rates, TG_MAX_RATES);
    };
    int32_t count = read();
    if (count == TG_EFORK) {
      limiter->client->reopen();
      count = read();
    }
    if (count < 0) throw_error(count);
    py::list out;
    for (int32_t i = 0; i < count; ++i)
      out.append(py::make_tuple(rates[i].limit, rates[i].window_us, rates[i].burst,
                                rates[i].capacity, rates[i].algorithm, rates[i].mode,
                                rates[i].on_failure));
    return out.release().ptr();
  } catch (py::error_already_set& error) {
    error.restore();
    return nullptr;
  }
}

// _change(rates, algorithm, mode, on_failure): None leaves it as it was.
PyObject* limiter_change(PyObject* self, PyObject* args) {
  LimiterObject* limiter = as_limiter(self);
  PyObject *rates = nullptr, *algorithm = nullptr, *mode = nullptr, *policy = nullptr;
  if (!PyArg_UnpackTuple(args, "_change", 4, 4, &rates, &algorithm, &mode, &policy)) return nullptr;
  try {
    const LimiterSpec change{text_or_empty(rates, "rate"),
                             {},
                             text_or_empty(algorithm, "algorithm"),
                             text_or_empty(mode, "mode"),
                             text_or_empty(policy, "on_failure")};
    if (limiter->client->closed()) throw_error(TG_ECLOSED, "the gate is closed");
    limiter->client->change_limiter(*limiter->state, change);
    Py_RETURN_NONE;
  } catch (py::error_already_set& error) {
    error.restore();
    return nullptr;
  }
}

PyObject* limiter_close(PyObject* self, PyObject*) {
  as_limiter(self)->client->close_limiter(*as_limiter(self)->state);
  Py_RETURN_NONE;
}

PyObject* limiter_close_with_it(PyObject* self, PyObject*) {
  as_limiter(self)->close_with_it = true;
  Py_RETURN_NONE;
}

template <class F>
PyCFunction as_function(F function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

constexpr int kFast = METH_FASTCALL | METH_KEYWORDS;

const char kConsumeDoc[] =
    "consume($self, key, cost=1)\n--\n\nTakes `cost` tokens of the caller `key`, or none of them: "
    "a Decision.\n\n"
    "key: str, bytes or int (its decimal text), 1 byte or more (above 512 bytes its SHA-256 stands "
    "for it).\ncost: an integer of 0 or more; 0 is always allowed. A denial is no error. Raises "
    "ConfigError for a key or cost that "
    "cannot be,\n"
    "TypeError for one of another type, ClosedError after close. What fails in the store is "
    "answered by the\n"
    "limiter's on_failure policy; Decision.source tells.";
const char kPeekDoc[] =
    "peek($self, key, cost=1)\n--\n\nWhat consume would answer now. Nothing is written.";
const char kRefundDoc[] =
    "refund($self, key, cost=1, decision=None)\n--\n\nGives `cost` tokens back to `key`, never "
    "beyond untouched; not "
    "idempotent.\n\nGiven the decision that took them they go back to the engine that decided "
    "(Decision.source).\n"
    "Raises StoreError where the store cannot be asked.";
const char kResetDoc[] =
    "reset($self, key)\n--\n\nForgets what `key` has used.\n\nRaises StoreError where the store "
    "cannot be asked.";

const char kCloseDoc[] =
    "close($self)\n--\n\nGives the name free in this gate, for everybody who has this limiter; its "
    "states stay.\n\nFor rates that come and go: a gate has at most 65,536 limiters. Later calls "
    "raise ClosedError, and\ndecisions of it have no name and no header fields any more. "
    "Idempotent; no I/O is done.";

template <bool kAsync>
PyMethodDef methods[] = {{"consume", as_function(ask<TG_OP_CONSUME, kAsync>), kFast, kConsumeDoc},
                         {"peek", as_function(ask<TG_OP_PEEK, kAsync>), kFast, kPeekDoc},
                         {"refund", as_function(ask<TG_OP_REFUND, kAsync>), kFast, kRefundDoc},
                         {"reset", as_function(ask<TG_OP_RESET, kAsync>), kFast, kResetDoc},
                         {"close", limiter_close, METH_NOARGS, kCloseDoc},
                         {"_close_with_it", limiter_close_with_it, METH_NOARGS, nullptr},
                         {"_rates", limiter_rates, METH_NOARGS, nullptr},
                         {"_change", limiter_change, METH_VARARGS, nullptr},
                         {}};

PyGetSetDef getset[] = {{"name", limiter_name, nullptr,
                         "What the limiter is called; also its first word in the store.", nullptr},
                        {"_handle", limiter_same, nullptr, nullptr, nullptr},
                        {}};

template <bool kAsync>
PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(limiter_new)},
                       {Py_tp_dealloc, reinterpret_cast<void*>(limiter_dealloc)},
                       {Py_tp_methods, methods<kAsync>},
                       {Py_tp_getset, getset},
                       {0, nullptr}};

PyTypeObject* add_type(py::module_& module, const char* full, const char* name, PyType_Slot* with) {
  PyType_Spec spec = {full, sizeof(LimiterObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                      with};
  PyObject* type = PyType_FromSpec(&spec);
  if (!type || PyModule_AddObjectRef(module.ptr(), name, type) < 0) throw py::error_already_set();
  return reinterpret_cast<PyTypeObject*>(type);
}

}  // namespace

void add_limiter_types(py::module_& module) {
  sync_type = add_type(module, "tidegate._tidegate.SyncLimiter", "SyncLimiter", slots<false>);
  async_type = add_type(module, "tidegate._tidegate.AsyncLimiter", "AsyncLimiter", slots<true>);
}

bool is_limiter(PyObject* object) {
  return PyObject_TypeCheck(object, sync_type) || PyObject_TypeCheck(object, async_type);
}

Client* client_of(PyObject* limiter) { return as_limiter(limiter)->client; }
LimiterState* state_of(PyObject* limiter) { return as_limiter(limiter)->state.get(); }

}  // namespace tidegate_python
