// SPDX-License-Identifier: MIT
#include "check.h"

#include <utility>

namespace py = pybind11;

namespace tidegate_python {
namespace {

struct CheckObject {
  PyObject_HEAD PyObject* result;  // of a check that is done; given out once
  PyObject* future;                // of one that waits
  PyObject* waiter;                // the future's iterator, where we are driven as a coroutine
  const char* method;
  bool awaited;  // or closed
};

PyTypeObject* check_type = nullptr;

CheckObject* as_check(PyObject* self) { return reinterpret_cast<CheckObject*>(self); }

PyObject* make(PyObject* result, PyObject* future, const char* method) {
  if (!result && !future) return nullptr;
  auto* self = PyObject_GC_New(CheckObject, check_type);
  if (!self) {
    Py_XDECREF(result);
    Py_XDECREF(future);
    return nullptr;
  }
  self->result = result;
  self->future = future;
  self->waiter = nullptr;
  self->method = method;
  self->awaited = false;
  PyObject_GC_Track(reinterpret_cast<PyObject*>(self));
  return reinterpret_cast<PyObject*>(self);
}

PyObject* take_result(CheckObject* self) {
  if (!self->result) {
    PyErr_SetString(PyExc_RuntimeError, "cannot await a check twice");
    return nullptr;
  }
  PyObject* result = self->result;
  self->result = nullptr;
  return result;
}

PyObject* check_await(PyObject* self) {
  as_check(self)->awaited = true;
  if (as_check(self)->future)
    return PyObject_CallMethod(as_check(self)->future, "__await__", nullptr);
  return Py_NewRef(self);
}

PyObject* waiter_of(CheckObject* self) {
  if (!self->waiter) self->waiter = check_await(reinterpret_cast<PyObject*>(self));
  return self->waiter;
}

PyObject* check_next(PyObject* self) {
  as_check(self)->awaited = true;
  if (as_check(self)->future) {
    PyObject* waiter = waiter_of(as_check(self));
    return waiter ? PyObject_CallMethod(waiter, "send", "O", Py_None) : nullptr;
  }
  PyObject* result = take_result(as_check(self));
  if (result) {
    PyErr_SetObject(PyExc_StopIteration, result);
    Py_DECREF(result);
  }
  return nullptr;
}

PySendResult check_am_send(PyObject* self, PyObject* value, PyObject** out) {
  as_check(self)->awaited = true;
  if (as_check(self)->future) {
    PyObject* waiter = waiter_of(as_check(self));
    if (!waiter) return PYGEN_ERROR;
    return PyIter_Send(waiter, value, out);
  }
  *out = take_result(as_check(self));
  return *out ? PYGEN_RETURN : PYGEN_ERROR;
}

PyObject* check_send(PyObject* self, PyObject* value) {
  PyObject* out = nullptr;
  switch (check_am_send(self, value, &out)) {
    case PYGEN_NEXT:
      return out;
    case PYGEN_RETURN:
      PyErr_SetObject(PyExc_StopIteration, out);
      Py_DECREF(out);
      return nullptr;
    default:
      return nullptr;
  }
}

PyObject* check_throw(PyObject* self, PyObject* args) {
  as_check(self)->awaited = true;
  if (as_check(self)->future) {
    PyObject* waiter = waiter_of(as_check(self));
    if (!waiter) return nullptr;
    PyObject* method = PyObject_GetAttrString(waiter, "throw");
    PyObject* out = method ? PyObject_Call(method, args, nullptr) : nullptr;
    Py_XDECREF(method);
    return out;
  }
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  if (!PyArg_UnpackTuple(args, "throw", 1, 3, &type, &value, &trace)) return nullptr;
  if (PyExceptionInstance_Check(type)) {
    PyErr_SetObject(PyExceptionInstance_Class(type), type);
  } else {
    PyErr_SetObject(type, value ? value : Py_None);
  }
  return nullptr;
}

// The request is on its way all the same: nobody will hear what became of it.
PyObject* check_close(PyObject* self, PyObject*) {
  CheckObject* check = as_check(self);
  Py_CLEAR(check->waiter);
  if (std::exchange(check->awaited, true) || !check->future ||
      !PyObject_HasAttrString(check->future, "cancel"))
    Py_RETURN_NONE;
  PyObject* out = PyObject_CallMethod(check->future, "cancel", nullptr);
  if (!out) return nullptr;
  Py_DECREF(out);
  Py_RETURN_NONE;
}

// `if limiter.consume(key):` would let everybody pass.
int check_bool(PyObject* self) {
  PyErr_Format(PyExc_TypeError,
               "%s() of a tidegate.aio gate was not awaited: write `await ...%s(...)`",
               as_check(self)->method, as_check(self)->method);
  return -1;
}

// As the interpreter does for coroutines.
void warn_if_dropped(const CheckObject* self) {
  if (self->awaited) return;
  const py::error_scope kept;
  if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                       "%s() of a tidegate.aio gate was never awaited: the request was sent, and "
                       "nobody looked at its answer",
                       self->method) < 0)
    PyErr_WriteUnraisable(reinterpret_cast<PyObject*>(check_type));
}

int check_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(as_check(self)->result);
  Py_VISIT(as_check(self)->future);
  Py_VISIT(as_check(self)->waiter);
  return 0;
}

int check_clear(PyObject* self) {
  Py_CLEAR(as_check(self)->result);
  Py_CLEAR(as_check(self)->future);
  Py_CLEAR(as_check(self)->waiter);
  return 0;
}

void check_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  warn_if_dropped(as_check(self));
  check_clear(self);
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_Del(self);
  Py_DECREF(type);
}

PyMethodDef check_methods[] = {{"send", check_send, METH_O, nullptr},
                               {"throw", check_throw, METH_VARARGS, nullptr},
                               {"close", check_close, METH_NOARGS, nullptr},
                               {}};

PyType_Slot check_slots[] = {
    {Py_tp_doc, const_cast<char*>("An answer to await, once. The request is on its way already.")},
    {Py_tp_methods, check_methods},
    {Py_am_await, reinterpret_cast<void*>(check_await)},
    {Py_am_send, reinterpret_cast<void*>(check_am_send)},
    {Py_nb_bool, reinterpret_cast<void*>(check_bool)},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(check_next)},
    {Py_tp_traverse, reinterpret_cast<void*>(check_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(check_clear)},
    {Py_tp_dealloc, reinterpret_cast<void*>(check_dealloc)},
    {0, nullptr}};

PyType_Spec check_spec = {"tidegate._tidegate.Check", sizeof(CheckObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                              Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
                          check_slots};

}  // namespace

void add_check_type(py::module_& module) {
  PyObject* type = PyType_FromSpec(&check_spec);
  if (!type || PyModule_AddObjectRef(module.ptr(), "Check", type) < 0)
    throw py::error_already_set();
  check_type = reinterpret_cast<PyTypeObject*>(type);
}

PyObject* new_check_done(PyObject* result, const char* method) {
  return make(result, nullptr, method);
}
PyObject* new_check_waiting(PyObject* future, const char* method) {
  return make(nullptr, future, method);
}

}  // namespace tidegate_python
