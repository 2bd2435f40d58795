// SPDX-License-Identifier: MIT
#include "decision.h"

#include <cstring>
#include <string>
#include <string_view>

#include "errors.h"

namespace py = pybind11;

namespace tidegate_python {
namespace {

struct DecisionObject {
  PyObject_VAR_HEAD PyObject* owner;  // keeps client alive
  Client* client;
  uint64_t generation;
  Answer* answer;  // of a guard's check, else NULL
  uint32_t flags, binding;
  tg_part parts[1];  // ob_size of them
};

struct PartObject {
  PyObject_HEAD DecisionObject* decision;
  uint32_t index;
};

PyTypeObject* decision_type = nullptr;
PyTypeObject* part_type = nullptr;
PyObject* source_names[16] = {};  // as many as TG_SOURCE can say

DecisionObject* as_decision(PyObject* self) { return reinterpret_cast<DecisionObject*>(self); }

const tg_part* bound(const DecisionObject* self) {
  return Py_SIZE(self) > 0 ? &self->parts[self->binding] : nullptr;
}

bool asked(const DecisionObject* self) {  // an engine was asked: the figures are known
  const uint32_t source = TG_SOURCE(self->flags);
  return source >= TG_SOURCE_MEMORY && source <= TG_SOURCE_FALLBACK;
}

bool known(const DecisionObject* decision, const tg_part* part) {
  return part && !(part->flags & TG_OFF) && asked(decision);
}

PyObject* text_of(const std::string& text) {  // of UTF-8; what is none keeps its bytes
  return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape");
}

PyObject* seconds(int64_t us) { return PyFloat_FromDouble(static_cast<double>(us) / 1e6); }

// The getters of a decision and of a part are the same questions to a tg_part.
enum Figure : intptr_t { kLimit, kRemaining, kRetryAfter, kNextAfter, kResetAfter, kShortfall };

PyObject* figure(const DecisionObject* decision, const tg_part* part, Figure which) {
  if (which == kRetryAfter) {
    if (!part) return PyFloat_FromDouble(0.0);
    if (part->retry_after_us >= 0) return seconds(part->retry_after_us);
    if (part->flags & TG_ALLOWED) return PyFloat_FromDouble(0.0);
    if (known(decision, part)) return PyFloat_FromDouble(Py_HUGE_VAL);
    Py_RETURN_NONE;
  }
  if (!known(decision, part)) Py_RETURN_NONE;
  switch (which) {
    case kLimit:
      return PyLong_FromLongLong(part->limit);
    case kRemaining:
      return PyLong_FromLongLong(part->remaining);
    case kNextAfter:
      return seconds(part->next_us);
    case kShortfall:
      return PyLong_FromLongLong(part->shortfall);
    default:
      return seconds(part->reset_after_us);
  }
}

PyObject* name_of(const DecisionObject* decision, const tg_part* part) {
  if (!part) Py_RETURN_NONE;
  return decision->client->policy_name(part->handle, part->rate, decision->generation);
}

PyObject* decision_figure(PyObject* self, void* which) {
  const auto asked_for = static_cast<Figure>(reinterpret_cast<intptr_t>(which));
  const Answer* answer = as_decision(self)->answer;
  if (asked_for == kRetryAfter && answer && answer->verdict == TG_VERDICT_BANNED)
    return answer->retry_after_us < 0 ? PyFloat_FromDouble(Py_HUGE_VAL)
                                      : seconds(answer->retry_after_us);
  return figure(as_decision(self), bound(as_decision(self)), asked_for);
}

PyObject* decision_flag(PyObject* self, void* flag) {
  return PyBool_FromLong(as_decision(self)->flags & reinterpret_cast<uintptr_t>(flag) ? 1 : 0);
}

PyObject* decision_name(PyObject* self, void*) {
  return name_of(as_decision(self), bound(as_decision(self)));
}

PyObject* decision_source(PyObject* self, void*) {
  return Py_NewRef(source_names[TG_SOURCE(as_decision(self)->flags)]);
}

PyObject* decision_parts(PyObject* self, void*) {
  const Py_ssize_t count = Py_SIZE(self);
  PyObject* out = PyTuple_New(count);
  for (Py_ssize_t i = 0; out && i < count; ++i) {
    PartObject* part = PyObject_New(PartObject, part_type);
    if (!part) {
      Py_DECREF(out);
      return nullptr;
    }
    part->decision = reinterpret_cast<DecisionObject*>(Py_NewRef(self));
    part->index = static_cast<uint32_t>(i);
    PyTuple_SET_ITEM(out, i, reinterpret_cast<PyObject*>(part));
  }
  return out;
}

int decision_bool(PyObject* self) { return as_decision(self)->flags & TG_ALLOWED ? 1 : 0; }

tg_result result_of(const DecisionObject* self) {
  tg_result result{};
  result.flags = self->flags;
  result.part_count = static_cast<uint32_t>(Py_SIZE(self));
  result.binding = self->binding;
  result.parts = self->parts;
  return result;
}

PyObject* decision_status(PyObject* self, void*) {
  if (as_decision(self)->answer) return PyLong_FromLong(as_decision(self)->answer->status);
  const tg_result result = result_of(as_decision(self));
  return PyLong_FromLong(tg_decision_status(&result));
}

PyObject* decision_verdict(PyObject* self, void*) {
  static PyObject* const kNames[] = {PyUnicode_InternFromString("limits"),
                                     PyUnicode_InternFromString("exempt"),
                                     PyUnicode_InternFromString("banned")};
  const Answer* answer = as_decision(self)->answer;
  return Py_NewRef(kNames[answer && answer->verdict < 3 ? answer->verdict : 0]);
}
PyObject* decision_caller(PyObject* self, void*) {
  const Answer* answer = as_decision(self)->answer;
  if (!answer || answer->caller.empty()) Py_RETURN_NONE;
  return text_of(answer->caller);
}
PyObject* decision_reason(PyObject* self, void*) {
  const Answer* answer = as_decision(self)->answer;
  if (!answer || answer->reason.empty()) Py_RETURN_NONE;
  return text_of(answer->reason);
}
PyObject* decision_limit(PyObject* self, void*) {
  const Answer* answer = as_decision(self)->answer;
  return PyLong_FromUnsignedLong(answer ? answer->limit : 0);
}
PyObject* decision_finish(PyObject* self, void*) {
  const Answer* answer = as_decision(self)->answer;
  return PyBool_FromLong(answer && answer->finish);
}
PyObject* decision_renew(PyObject* self, void*) {
  const Answer* answer = as_decision(self)->answer;
  return seconds(answer ? answer->renew_us : 0);
}

// _fields(styles, wall_us, lower): the header fields that the core writes, [(name, value)] of
// bytes, names in lower case as ASGI wants them, or as they are. styles None: those that a guard's
// check has been told.
PyObject* decision_fields(PyObject* self, PyObject* const* args, Py_ssize_t count) {
  if (count != 3) {
    PyErr_SetString(PyExc_TypeError, "_fields(styles, wall_us, lower): expected three arguments");
    return nullptr;
  }
  const Answer* answer = as_decision(self)->answer;
  if (args[0] == Py_None) return fields_of(answer ? answer->fields : "", args[2] == Py_True);
  const unsigned long styles = PyLong_AsUnsignedLong(args[0]);
  const long long wall_us = PyLong_AsLongLong(args[1]);
  if (PyErr_Occurred()) return nullptr;
  const tg_result result = result_of(as_decision(self));
  tg_client* client = as_decision(self)->client->get();
  const auto write = [&](char* buffer, size_t size) {
    return tg_decision_headers(client, &result, static_cast<uint32_t>(styles), wall_us, buffer,
                               size);
  };
  char small[2048];
  std::string large;
  const int32_t size = write(small, sizeof small);
  if (size < 0) {
    set_error(size);
    return nullptr;
  }
  std::string_view text(small, static_cast<size_t>(size));
  if (text.size() >= sizeof small) {
    large.resize(text.size() + 1);
    write(large.data(), large.size());
    text = std::string_view(large).substr(0, text.size());
  }
  return fields_of(text, args[2] == Py_True);
}

PyObject* decision_problem(PyObject* self, PyObject*) {
  if (const Answer* answer = as_decision(self)->answer)
    return PyBytes_FromStringAndSize(answer->body.data(),
                                     static_cast<Py_ssize_t>(answer->body.size()));
  const tg_result result = result_of(as_decision(self));
  tg_client* client = as_decision(self)->client->get();
  std::string text(1024, '\0');
  int32_t size = tg_decision_problem(client, &result, text.data(), text.size());
  if (size >= static_cast<int32_t>(text.size())) {
    text.resize(static_cast<size_t>(size) + 1);
    size = tg_decision_problem(client, &result, text.data(), text.size());
  }
  if (size < 0) {
    set_error(size);
    return nullptr;
  }
  return PyBytes_FromStringAndSize(text.data(), size);
}

// Forwards to a function of Python: what is not worth writing in C.
PyObject* forward(const char* module, const char* name, PyObject* self, PyObject* args,
                  PyObject* kwargs) {
  try {
    const py::object function = py::module_::import(module).attr(name);
    py::tuple all(static_cast<size_t>(PyTuple_GET_SIZE(args)) + 1);
    all[0] = py::reinterpret_borrow<py::object>(self);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i)
      all[static_cast<size_t>(i) + 1] =
          py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(args, i));
    return PyObject_Call(function.ptr(), all.ptr(), kwargs);
  } catch (py::error_already_set& error) {
    error.restore();
    return nullptr;
  }
}

PyObject* decision_headers(PyObject* self, PyObject* args, PyObject* kwargs) {
  return forward("tidegate._headers", "headers", self, args, kwargs);
}
PyObject* decision_as_dict(PyObject* self, PyObject* args, PyObject* kwargs) {
  return forward("tidegate._figures", "as_dict", self, args, kwargs);
}
PyObject* decision_as_json(PyObject* self, PyObject* args, PyObject* kwargs) {
  return forward("tidegate._figures", "as_json", self, args, kwargs);
}
PyObject* part_as_dict(PyObject* self, PyObject* args, PyObject* kwargs) {
  return forward("tidegate._figures", "part_as_dict", self, args, kwargs);
}

PyObject* represent(PyObject* self, const char* const* names, const char* type) {
  std::string text = std::string(type) + "(";
  for (int i = 0; names[i]; ++i) {
    PyObject* value = PyObject_GetAttrString(self, names[i]);
    PyObject* shown = value ? PyObject_Repr(value) : nullptr;
    Py_XDECREF(value);
    if (!shown) return nullptr;
    text += std::string(i ? ", " : "") + names[i] + "=" + PyUnicode_AsUTF8(shown);
    Py_DECREF(shown);
  }
  return PyUnicode_FromString((text + ")").c_str());
}

PyObject* decision_repr(PyObject* self) {
  static const char* const kAll[] = {"allowed",     "would_deny",  "name",   "limit", "remaining",
                                     "retry_after", "reset_after", "source", nullptr};
  static const char* const kUsual[] = {"allowed",     "name",        "limit",  "remaining",
                                       "retry_after", "reset_after", "source", nullptr};
  return represent(self, as_decision(self)->flags & TG_WOULD_DENY ? kAll : kUsual, "Decision");
}

void free_object(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_Free(self);
  Py_DECREF(type);
}

void decision_dealloc(PyObject* self) {
  PyObject* owner = as_decision(self)->owner;
  delete as_decision(self)->answer;
  free_object(self);
  Py_DECREF(owner);
}

// ---- Part ----

PartObject* as_part(PyObject* self) { return reinterpret_cast<PartObject*>(self); }
const tg_part* leg(PyObject* self) { return &as_part(self)->decision->parts[as_part(self)->index]; }

PyObject* part_figure(PyObject* self, void* which) {
  return figure(as_part(self)->decision, leg(self),
                static_cast<Figure>(reinterpret_cast<intptr_t>(which)));
}
PyObject* part_flag(PyObject* self, void* flag) {
  return PyBool_FromLong(leg(self)->flags & reinterpret_cast<uintptr_t>(flag) ? 1 : 0);
}
PyObject* part_would_deny(PyObject* self, void*) {
  const uint32_t flags = leg(self)->flags;
  return PyBool_FromLong((flags & TG_SHADOW) && !(flags & (TG_ALLOWED | TG_OFF)));
}
PyObject* part_name(PyObject* self, void*) { return name_of(as_part(self)->decision, leg(self)); }
PyObject* part_source(PyObject* self, void* none) {
  return decision_source(reinterpret_cast<PyObject*>(as_part(self)->decision), none);
}
PyObject* part_repr(PyObject* self) {
  static const char* const kNames[] = {"allowed",     "name",       "limit",       "remaining",
                                       "retry_after", "next_after", "reset_after", nullptr};
  return represent(self, kNames, "Part");
}
void part_dealloc(PyObject* self) {
  PyObject* decision = reinterpret_cast<PyObject*>(as_part(self)->decision);
  free_object(self);
  Py_DECREF(decision);
}
int part_bool(PyObject* self) { return leg(self)->flags & TG_ALLOWED ? 1 : 0; }

void* as_closure(intptr_t value) { return reinterpret_cast<void*>(value); }

const char kShortfallDoc[] =
    "Of a debit: tokens of the cost that did not fit; else 0. None where unknown.";
const char kLimitDoc[] = "Tokens per window; None where no engine was asked.";
const char kRemainingDoc[] = "Tokens that could be spent at this instant; None where unknown.";
const char kRetryDoc[] =
    "Seconds until this cost would fit if nobody else came: 0.0 when allowed, math.inf when it "
    "never fits, "
    "None where unknown.";
const char kResetDoc[] = "Seconds until nothing of the past is left; None where unknown.";
const char kNextDoc[] = "Seconds until `remaining` grows, 0.0 when it is full; None where unknown.";
const char kSourceDoc[] =
    "Who decided: 'memory', 'store', 'fallback', 'fail_open', 'fail_closed', or 'policy' (a ban, "
    "an "
    "exemption).";
const char kNameDoc[] = "The name of the limit these figures are of.";

PyGetSetDef decision_getset[] = {
    {"allowed", decision_flag, nullptr, "Whether the request may pass; also the truth value.",
     as_closure(TG_ALLOWED)},
    {"would_deny", decision_flag, nullptr, "Whether a shadow limit did not fit.",
     as_closure(TG_WOULD_DENY)},
    {"name", decision_name, nullptr, kNameDoc, nullptr},
    {"limit", decision_figure, nullptr, kLimitDoc, as_closure(kLimit)},
    {"remaining", decision_figure, nullptr, kRemainingDoc, as_closure(kRemaining)},
    {"retry_after", decision_figure, nullptr, kRetryDoc, as_closure(kRetryAfter)},
    {"reset_after", decision_figure, nullptr, kResetDoc, as_closure(kResetAfter)},
    {"source", decision_source, nullptr, kSourceDoc, nullptr},
    {"parts", decision_parts, nullptr,
     "A tuple of Part, one per rate, in the order of the request.", nullptr},
    {"status", decision_status, nullptr,
     "The HTTP status: 200, 403 (banned), 429, or 503 where the failure policy closed.", nullptr},
    {"_limit", decision_limit, nullptr, nullptr, nullptr},
    {"verdict", decision_verdict, nullptr,
     "Of a policy's check: 'limits', 'exempt' or 'banned'; always 'limits' elsewhere.", nullptr},
    {"caller", decision_caller, nullptr,
     "Of a policy's check: the caller's key, his identity, or '@' and the address.", nullptr},
    {"reason", decision_reason, nullptr, "Of a ban, for logs; None where the policy gives none.",
     nullptr},
    {"finish", decision_finish, nullptr,
     "Of a policy's check: whether Gate.finish is to be called when the response is done.",
     nullptr},
    {"renew_after", decision_renew, nullptr,
     "Of a policy's check that holds slots: seconds after which they are to be renewed; else 0.0.",
     nullptr},
    {}};

template <class F>
PyCFunction as_function(F function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

constexpr int kNamed = METH_VARARGS | METH_KEYWORDS;

const char kAsDictDoc[] =
    "as_dict(*, never=math.inf)\n--\n\nThe figures as a dict, those of the parts as a list in it. "
    "Unknown figures are None.\n\nnever: what stands for a wait that is never over.";

PyMethodDef decision_methods[] = {
    {"headers", as_function(decision_headers), kNamed,
     "headers(styles=None)\n--\n\nThe HTTP header fields of this decision, a dict.\n\n"
     "styles: any of 'standard' (RateLimit-Policy, RateLimit), 'legacy' (X-RateLimit-*, reset in "
     "epoch\n"
     "seconds) and 'legacy-delta'; default: those of a policy's check, else the first two. A "
     "denial "
     "has\nRetry-After unless it never fits."},
    {"problem", decision_problem, METH_NOARGS,
     "problem()\n--\n\nThe application/problem+json body of a refusal, bytes; empty when allowed."},
    {"as_dict", as_function(decision_as_dict), kNamed, kAsDictDoc},
    {"as_json", as_function(decision_as_json), kNamed,
     "as_json()\n--\n\nas_dict as JSON text: null is unknown, a wait that is never over is "
     "\"never\"."},
    {"_fields", as_function(decision_fields), METH_FASTCALL, nullptr},
    {}};

PyMethodDef part_methods[] = {{"as_dict", as_function(part_as_dict), kNamed, kAsDictDoc}, {}};

PyGetSetDef part_getset[] = {
    {"allowed", part_flag, nullptr, "Whether this part fitted.", as_closure(TG_ALLOWED)},
    {"would_deny", part_would_deny, nullptr, "Whether this is a shadow limit that did not fit.",
     nullptr},
    {"shadow", part_flag, nullptr, "Whether the limit only watches.", as_closure(TG_SHADOW)},
    {"name", part_name, nullptr, kNameDoc, nullptr},
    {"limit", part_figure, nullptr, kLimitDoc, as_closure(kLimit)},
    {"remaining", part_figure, nullptr, kRemainingDoc, as_closure(kRemaining)},
    {"retry_after", part_figure, nullptr, kRetryDoc, as_closure(kRetryAfter)},
    {"next_after", part_figure, nullptr, kNextDoc, as_closure(kNextAfter)},
    {"reset_after", part_figure, nullptr, kResetDoc, as_closure(kResetAfter)},
    {"shortfall", part_figure, nullptr, kShortfallDoc, as_closure(kShortfall)},
    {"renewed", part_flag, nullptr, "Whether the id held its slots already: none were taken.",
     as_closure(TG_RENEWED)},
    {"source", part_source, nullptr, kSourceDoc, nullptr},
    {}};

PyType_Slot decision_slots[] = {
    {Py_tp_doc,
     const_cast<char*>(
         "What a request was told. Immutable; true when allowed.\n\n"
         "The figures are those of the part that speaks for the request: the denying one with the\n"
         "longest wait, else the one with the fewest tokens left. Unknown ones are None.")},
    {Py_tp_getset, decision_getset},
    {Py_tp_methods, decision_methods},
    {Py_nb_bool, reinterpret_cast<void*>(decision_bool)},
    {Py_tp_repr, reinterpret_cast<void*>(decision_repr)},
    {Py_tp_dealloc, reinterpret_cast<void*>(decision_dealloc)},
    {0, nullptr}};

PyType_Slot part_slots[] = {
    {Py_tp_doc, const_cast<char*>("One rate's view of a request. Immutable; true when it fitted.")},
    {Py_tp_getset, part_getset},
    {Py_tp_methods, part_methods},
    {Py_nb_bool, reinterpret_cast<void*>(part_bool)},
    {Py_tp_repr, reinterpret_cast<void*>(part_repr)},
    {Py_tp_dealloc, reinterpret_cast<void*>(part_dealloc)},
    {0, nullptr}};

constexpr unsigned kClosedType =
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE;

PyType_Spec decision_spec = {"tidegate.Decision", offsetof(DecisionObject, parts), sizeof(tg_part),
                             kClosedType, decision_slots};
PyType_Spec part_spec = {"tidegate.Part", sizeof(PartObject), 0, kClosedType, part_slots};

PyTypeObject* make_type(py::module_& module, PyType_Spec& spec, const char* name) {
  PyObject* type = PyType_FromSpec(&spec);
  if (!type || PyModule_AddObjectRef(module.ptr(), name, type) < 0) throw py::error_already_set();
  return reinterpret_cast<PyTypeObject*>(type);
}

}  // namespace

void add_decision_types(py::module_& module) {
  static const char* const kNames[] = {"none",      "memory",      "store",  "fallback",
                                       "fail_open", "fail_closed", "policy", "near"};
  for (int i = 0; i < 16; ++i) source_names[i] = PyUnicode_InternFromString(kNames[i < 8 ? i : 0]);
  decision_type = make_type(module, decision_spec, "Decision");
  part_type = make_type(module, part_spec, "Part");
}

PyObject* new_decision(PyObject* owner, Client* client, const tg_result& result, bool check) {
  const Py_ssize_t count = static_cast<Py_ssize_t>(result.part_count);
  auto* self = PyObject_NewVar(DecisionObject, decision_type, count);
  if (!self) return nullptr;
  self->answer = check ? new Answer(result) : nullptr;
  self->owner = Py_NewRef(owner);
  self->client = client;
  self->generation = client->generation();
  self->flags = result.flags;
  self->binding = result.binding;
  if (count) std::memcpy(self->parts, result.parts, static_cast<size_t>(count) * sizeof(tg_part));
  return reinterpret_cast<PyObject*>(self);
}

const Answer* answer_of(PyObject* decision, const Client* client) {
  if (!Py_IS_TYPE(decision, decision_type)) return nullptr;
  const DecisionObject* self = as_decision(decision);
  return self->client == client && self->generation == client->generation() ? self->answer
                                                                            : nullptr;
}

int source_of(PyObject* decision) {
  if (!Py_IS_TYPE(decision, decision_type)) return -1;
  return static_cast<int>(TG_SOURCE(as_decision(decision)->flags));
}

}  // namespace tidegate_python
