// SPDX-License-Identifier: MIT
#include "limiter.h"

#include <array>
#include <memory>
#include <new>
#include <string>
#include <string_view>

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
};

PyTypeObject* sync_type = nullptr;
PyTypeObject* async_type = nullptr;

LimiterObject* as_limiter(PyObject* self) { return reinterpret_cast<LimiterObject*>(self); }

// The arguments of a call, by place or by name: kPlain's first two or three, kOfSlots' likewise.
struct Arguments {
  PyObject* key = nullptr;
  PyObject* cost = nullptr;
  PyObject* decision = nullptr;
  PyObject* id = nullptr;
};

enum Call { kConsume, kPeek, kRefund, kReset, kDebit, kAcquire, kRelease };
struct CallShape {
  const char* name;
  uint32_t op;
  int most, least;
  std::array<const char*, 3> names;
};
constexpr CallShape kCalls[] = {
    {"consume", TG_OP_CONSUME, 2, 1, {"key", "cost", ""}},
    {"peek", TG_OP_PEEK, 2, 1, {"key", "cost", ""}},
    {"refund", TG_OP_REFUND, 3, 1, {"key", "cost", "decision"}},
    {"reset", TG_OP_RESET, 1, 1, {"key", "", ""}},
    {"debit", TG_OP_DEBIT, 3, 2, {"key", "cost", "decision"}},
    {"acquire", TG_OP_CONSUME, 3, 2, {"key", "id", "cost"}},
    {"release", TG_OP_REFUND, 3, 2, {"key", "id", "decision"}},
};

PyObject** field_of(Arguments& of, std::string_view name) {
  if (name == "key") return &of.key;
  if (name == "cost") return &of.cost;
  return name == "id" ? &of.id : &of.decision;
}

bool read_arguments(const CallShape& call, PyObject* const* args, Py_ssize_t count, PyObject* names,
                    Arguments& out) {
  const auto& [function, op, most, least, known] = call;
  PyObject** fields[3] = {};
  for (int i = 0; i < most; ++i) fields[i] = field_of(out, known[static_cast<size_t>(i)]);
  if (count > most) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments, %zd given", function, most,
                 count);
    return false;
  }
  for (Py_ssize_t i = 0; i < count; ++i) *fields[i] = args[i];
  for (Py_ssize_t k = 0; names && k < PyTuple_GET_SIZE(names); ++k) {
    PyObject* name = PyTuple_GET_ITEM(names, k);
    int i = 0;
    while (i < most && PyUnicode_CompareWithASCIIString(name, known[static_cast<size_t>(i)]) != 0)
      ++i;
    if (i == most || *fields[i]) {
      PyErr_Format(PyExc_TypeError, "%s() got %s argument '%U'", function,
                   i == most ? "an unexpected" : "twice the", name);
      return false;
    }
    *fields[i] = args[count + k];
  }
  for (int i = 0; i < least; ++i) {
    if (*fields[i]) continue;
    PyErr_Format(PyExc_TypeError, "%s() misses its argument '%s'", function,
                 known[static_cast<size_t>(i)]);
    return false;
  }
  return true;
}

template <Call kCall, bool kAsync>
PyObject* ask(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  constexpr const CallShape& call = kCalls[kCall];
  Arguments given;
  if (call.least == 1 && count == 1 && !names) {
    given.key = args[0];
  } else if (!read_arguments(call, args, count, names, given)) {
    return nullptr;
  }
  LimiterObject* limiter = as_limiter(self);
  tg_entry entry{};
  py::object kept;
  entry.op = call.op;
  if (!read_key(given.key, entry, kept) || !read_cost(given.cost, entry) ||
      !read_id(given.id, entry) || !read_source(given.decision, entry))
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

// (client, rates, name, algorithm, mode, on_failure, lease), by place: what Gate.limiter passes on.
PyObject* limiter_new(PyTypeObject* type, PyObject* args, PyObject* names) {
  PyObject *owner = nullptr, *rates = nullptr, *name = nullptr, *algorithm = nullptr,
           *mode = nullptr, *policy = nullptr, *lease = nullptr;
  const bool by_gate = PyTuple_GET_SIZE(args) == 7 && (!names || PyDict_GET_SIZE(names) == 0) &&
                       py::isinstance<Client>(PyTuple_GET_ITEM(args, 0));
  if (!by_gate || !PyArg_UnpackTuple(args, "limiter", 7, 7, &owner, &rates, &name, &algorithm,
                                     &mode, &policy, &lease))
    return PyErr_Format(PyExc_TypeError,
                        "%s is made by a gate: tidegate.connect().limiter('100/minute')",
                        type->tp_name);
  try {
    LimiterSpec spec{text_of(rates, "rate"),
                     text_or_empty(name, "name"),
                     text_or_empty(algorithm, "algorithm"),
                     text_or_empty(mode, "mode"),
                     text_or_empty(policy, "on_failure"),
                     text_or_empty(lease, "lease")};
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
  as_limiter(self)->state.~shared_ptr();
  Py_XDECREF(as_limiter(self)->owner);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* limiter_name(PyObject* self, void*) {
  return PyUnicode_FromString(as_limiter(self)->state->name.c_str());
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
                                rates[i].on_failure, rates[i].overdraft));
    return out.release().ptr();
  } catch (py::error_already_set& error) {
    error.restore();
    return nullptr;
  }
}

// _change(rates, algorithm, mode, on_failure, lease): None leaves it as it was.
PyObject* limiter_change(PyObject* self, PyObject* args) {
  LimiterObject* limiter = as_limiter(self);
  PyObject *rates = nullptr, *algorithm = nullptr, *mode = nullptr, *policy = nullptr,
           *lease = nullptr;
  if (!PyArg_UnpackTuple(args, "_change", 5, 5, &rates, &algorithm, &mode, &policy, &lease))
    return nullptr;
  try {
    const LimiterSpec change{text_or_empty(rates, "rate"),          {},
                             text_or_empty(algorithm, "algorithm"), text_or_empty(mode, "mode"),
                             text_or_empty(policy, "on_failure"),   text_or_empty(lease, "lease")};
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

const char kDebitDoc[] =
    "debit($self, key, cost, decision=None)\n--\n\nCharges what was used already: never denied. A "
    "Decision; what did not fit into the capacity and the\noverdraft is the shortfall of its "
    "parts. "
    "Consumes wait until a debt is worked off.\n\nGiven a decision it is charged where that was "
    "made. Raises StoreError where the store cannot be asked.";
const char kAcquireDoc[] =
    "acquire($self, key, id, cost=1)\n--\n\nTakes `cost` slots under `id` (bytes of 1 to 16), or "
    "renews those that it holds: a Decision. See slot.";
const char kReleaseDoc[] =
    "release($self, key, id, decision=None)\n--\n\nReleases all slots that `id` holds. May be "
    "repeated. Given a decision it goes to the engine that\ndecided.";

const char kCloseDoc[] =
    "close($self)\n--\n\nGives the name free in this gate, for everybody who has this limiter; its "
    "states stay.\n\nFor rates that come and go: a gate has at most 65,536 limiters. Later calls "
    "raise ClosedError, and\ndecisions of it have no name and no header fields any more. "
    "Idempotent; no I/O is done.";

template <bool kAsync>
PyMethodDef methods[] = {{"consume", as_function(ask<kConsume, kAsync>), kFast, kConsumeDoc},
                         {"peek", as_function(ask<kPeek, kAsync>), kFast, kPeekDoc},
                         {"refund", as_function(ask<kRefund, kAsync>), kFast, kRefundDoc},
                         {"reset", as_function(ask<kReset, kAsync>), kFast, kResetDoc},
                         {"debit", as_function(ask<kDebit, kAsync>), kFast, kDebitDoc},
                         {"acquire", as_function(ask<kAcquire, kAsync>), kFast, kAcquireDoc},
                         {"renew", as_function(ask<kAcquire, kAsync>), kFast, kAcquireDoc},
                         {"release", as_function(ask<kRelease, kAsync>), kFast, kReleaseDoc},
                         {"close", limiter_close, METH_NOARGS, kCloseDoc},
                         {"_rates", limiter_rates, METH_NOARGS, nullptr},
                         {"_change", limiter_change, METH_VARARGS, nullptr},
                         {}};

PyGetSetDef getset[] = {{"name", limiter_name, nullptr,
                         "What the limiter is called; also its first word in the store.", nullptr},
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
