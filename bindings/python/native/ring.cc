// SPDX-License-Identifier: MIT
#include "ring.h"

#include <time.h>

#include <algorithm>
#include <new>

#include "decision.h"
#include "errors.h"
#include "request.h"

namespace py = pybind11;

namespace tidegate_python {
namespace {

constexpr int32_t kBatch = 128;

struct RingObject {
  PyObject_HEAD Ring ring;
};

PyTypeObject* ring_type = nullptr;

// asyncio's own, in C: the loop or None. Imported when first needed: asyncio costs more than all of
// us.
PyObject* get_running_loop() {
  static PyObject* function = nullptr;
  if (!function) {
    PyObject* asyncio = PyImport_ImportModule("asyncio");
    function = asyncio ? PyObject_GetAttrString(asyncio, "_get_running_loop") : nullptr;
    Py_XDECREF(asyncio);
  }
  return function ? PyObject_CallNoArgs(function) : nullptr;
}

Ring& ring_of(PyObject* self) { return reinterpret_cast<RingObject*>(self)->ring; }

int64_t monotonic_us() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1'000;
}

// The running loop: asyncio's, else an adapter of whatever else runs. A new reference; NULL: none,
// error set.
PyObject* running_loop() {
  PyObject* loop = get_running_loop();
  if (!loop || loop != Py_None) return loop;
  Py_DECREF(loop);
  try {
    return py::module_::import("tidegate._loops").attr("running")().release().ptr();
  } catch (py::error_already_set& error) {
    error.restore();
    return nullptr;
  }
}

// Calls a method and drops what it returns; an error of it is reported as unraisable.
template <class... Args>
void call_quietly(PyObject* object, const char* name, Args... args) {
  PyObject* method = PyObject_GetAttrString(object, name);
  PyObject* out = method ? PyObject_CallFunctionObjArgs(method, args..., nullptr) : nullptr;
  if (!out) PyErr_WriteUnraisable(object);
  Py_XDECREF(out);
  Py_XDECREF(method);
}

bool is_true(PyObject* object, const char* name) {
  PyObject* out = PyObject_CallMethod(object, name, nullptr);
  const int truth = out ? PyObject_IsTrue(out) : -1;
  Py_XDECREF(out);
  if (truth < 0) PyErr_Clear();
  return truth == 1;
}

PyObject* ring_reap(PyObject* self, PyObject*) {
  ring_of(self).reap();
  Py_RETURN_NONE;
}
PyObject* ring_flush(PyObject* self, PyObject*) {
  ring_of(self).flush();
  Py_RETURN_NONE;
}
PyObject* ring_shutdown(PyObject* self, PyObject*) {
  ring_of(self).shutdown();
  Py_RETURN_NONE;
}
int ring_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return ring_of(self).visit(visit, arg);
}
int ring_clear(PyObject* self) {
  ring_of(self).clear();
  return 0;
}
void ring_dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  ring_of(self).~Ring();
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_Del(self);
  Py_DECREF(type);
}

PyMethodDef ring_methods[] = {{"reap", ring_reap, METH_NOARGS, nullptr},
                              {"flush", ring_flush, METH_NOARGS, nullptr},
                              {"shutdown", ring_shutdown, METH_NOARGS, nullptr},
                              {}};
PyType_Slot ring_slots[] = {{Py_tp_methods, ring_methods},
                            {Py_tp_traverse, reinterpret_cast<void*>(ring_traverse)},
                            {Py_tp_clear, reinterpret_cast<void*>(ring_clear)},
                            {Py_tp_dealloc, reinterpret_cast<void*>(ring_dealloc)},
                            {0, nullptr}};
PyType_Spec ring_spec = {
    "tidegate._tidegate.Ring", sizeof(RingObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, ring_slots};

}  // namespace

Ring::Ring(PyObject* self, PyObject* owner, Client* client, PyObject* loop)
    : self_(self), owner_(Py_NewRef(owner)), client_(client), loop_(Py_NewRef(loop)) {
  client_->rings().push_back(this);
}

Ring::~Ring() {
  abandon();
  if (owner_) std::erase(client_->rings(), this);
  clear();
}

int Ring::visit(visitproc visit, void* arg) {
  Py_VISIT(owner_);
  Py_VISIT(loop_);
  for (Slot& slot : slots_) Py_VISIT(slot.future);
  return 0;
}

void Ring::clear() {
  abandon();
  Py_CLEAR(loop_);
  if (owner_) std::erase(client_->rings(), this);
  Py_CLEAR(owner_);
}

bool Ring::open(int32_t& status) {
  tg_error error{};
  status = tg_ring_open(client_->get(), kRingCapacity, TG_RING_LOCAL, &ring_, &error);
  if (status < 0) {
    if (status != TG_EFORK) set_error(error.code, error.message);
    return false;
  }
  PyObject* reap = PyObject_GetAttrString(self_, "reap");
  PyObject* out = PyObject_CallMethod(loop_, "add_reader", "nO",
                                      static_cast<Py_ssize_t>(tg_ring_fd(ring_)), reap);
  Py_XDECREF(reap);
  Py_XDECREF(out);
  return out;
}

PyObject* Ring::submit(PyObject* owner, Client* client, tg_entry* entries, int32_t n,
                       int32_t& status) {
  status = TG_OK;
  PyObject* loop = running_loop();
  if (!loop) return nullptr;
  for (Ring* ring : client->rings()) {
    if (ring->loop_ != loop || !ring->ring_) continue;
    Py_DECREF(loop);
    return ring->ask(entries, n, status);
  }
  auto* object = PyObject_GC_New(RingObject, ring_type);
  if (!object) {
    Py_DECREF(loop);
    return nullptr;
  }
  PyObject* self = reinterpret_cast<PyObject*>(object);
  new (&object->ring) Ring(self, owner, client, loop);
  PyObject_GC_Track(self);
  Py_DECREF(loop);
  PyObject* future = object->ring.open(status) ? object->ring.ask(entries, n, status) : nullptr;
  Py_DECREF(self);  // the loop's reader has it now
  return future;
}

uint64_t Ring::take_slot() {
  if (!free_slots_.empty()) {
    const uint64_t slot = free_slots_.back();
    free_slots_.pop_back();
    return slot;
  }
  slots_.emplace_back();
  return slots_.size() - 1;
}

PyObject* Ring::ask(tg_entry* entries, int32_t n, int32_t& status) {
  if (queued_.size() >= kRingCapacity) {
    status = TG_EFULL;
    return nullptr;
  }
  PyObject* future = PyObject_CallMethod(loop_, "create_future", nullptr);
  if (!future) return nullptr;
  const uint64_t slot = take_slot();
  entries[0].user_data = slot;
  status = queued_.empty() ? tg_submit(ring_, entries, n) : 0;
  if (status < 0) {
    free_slots_.push_back(slot);
    Py_DECREF(future);
    return nullptr;
  }
  slots_[slot] = {Py_NewRef(future), entries[0].op,
                  entries[0].op == TG_OP_PING ? monotonic_us() : 0};
  if (status < n) {  // the ring is full: it goes when others have come back
    Queued queued{{entries, entries + n}, {}, {}};
    for (int32_t i = 0; i < n; ++i) {
      const tg_entry& entry = entries[i];
      queued.keys.emplace_back(static_cast<const char*>(entry.key), entry.key_len);
      queued.values.emplace_back(static_cast<const char*>(entry.value), entry.value_len);
    }
    queued_.push_back(std::move(queued));
  }
  ++waiting_;
  if (waiting_ == 1 && !flush_scheduled_) {
    tg_ring_flush(ring_);
  } else if (!schedule_flush()) {
    PyErr_Clear();
    tg_ring_flush(ring_);
  }
  return future;
}

bool Ring::schedule_flush() {
  if (flush_scheduled_) return true;
  PyObject* method = PyObject_GetAttrString(self_, "flush");
  PyObject* out = method ? PyObject_CallMethod(loop_, "call_soon", "O", method) : nullptr;
  Py_XDECREF(method);
  flush_scheduled_ = out;
  Py_XDECREF(out);
  return out;
}

void Ring::flush() {
  flush_scheduled_ = false;
  if (ring_) tg_ring_flush(ring_);
}

void Ring::reap() {
  if (!ring_ || reaping_) return;
  PyObject* const kept = Py_NewRef(self_);
  reaping_ = true;
  tg_result results[kBatch];
  int32_t count;
  bool delivered = false;
  do {
    count = tg_reap(ring_, results, kBatch);
    for (int32_t i = 0; i < count; ++i) deliver(results[i]);
    delivered = delivered || count > 0;
  } while (count == kBatch);
  reaping_ = false;
  if (count == TG_EFORK) {
    abandon();
  } else if (delivered && ring_) {
    resubmit();
    // After the tasks that were woken just now, so that what they ask leaves together.
    if (!client_->closed() && !schedule_flush()) {
      PyErr_Clear();
      flush();
    }
  }
  client_->deliver_events();
  Py_DECREF(kept);
}

// Whether nobody waits for what is still queued; then its slot is free.
bool Ring::cancelled(uint64_t index) {
  Slot& slot = slots_[index];
  if (!is_true(slot.future, "done")) return false;
  Py_CLEAR(slot.future);
  free_slots_.push_back(index);
  --waiting_;
  return true;
}

void Ring::resubmit() {
  while (!queued_.empty()) {
    Queued& queued = queued_.front();
    if (cancelled(queued.entries[0].user_data)) {  // nobody waits: it need not be sent
      queued_.pop_front();
      continue;
    }
    for (size_t i = 0; i < queued.entries.size(); ++i) {
      if (queued.entries[i].key) queued.entries[i].key = queued.keys[i].data();
      if (queued.entries[i].value) queued.entries[i].value = queued.values[i].data();
    }
    const auto n = static_cast<int32_t>(queued.entries.size());
    const int32_t taken = tg_submit(ring_, queued.entries.data(), n);
    if (taken >= 0 && taken < n) return;
    if (taken < 0) {
      tg_result result{};
      result.user_data = queued.entries[0].user_data;
      result.status = taken;
      deliver(result);
    }
    queued_.pop_front();
  }
}

// The answer as Python's; NULL with an error set: the future's exception.
PyObject* Ring::answer(const Slot& slot, const tg_result& result) {
  if (result.status < 0) {
    const auto* text = static_cast<const char*>(result.data);
    set_error(result.status, text ? std::string(text, result.data_len) : std::string());
    return nullptr;
  }
  if (has_decision(slot.op)) return new_decision(owner_, client_, result, slot.op == TG_OP_CHECK);
  if (slot.op == TG_OP_PING)
    return PyFloat_FromDouble(static_cast<double>(monotonic_us() - slot.started_us) / 1e6);
  Py_RETURN_NONE;
}

void Ring::fail(PyObject* future, PyObject* error) { call_quietly(future, "set_exception", error); }

void Ring::deliver(const tg_result& result) {
  if (result.user_data >= slots_.size() || !slots_[result.user_data].future) return;
  const Slot slot = std::exchange(slots_[result.user_data], Slot{});
  free_slots_.push_back(result.user_data);
  --waiting_;
  if (!is_true(slot.future, "done")) {  // else cancelled: nobody waits any more
    static PyObject* const set_result = PyUnicode_InternFromString("set_result");
    PyObject* value = answer(slot, result);
    if (value) {
      PyObject* out = PyObject_CallMethodOneArg(slot.future, set_result, value);
      if (!out) PyErr_WriteUnraisable(slot.future);
      Py_XDECREF(out);
      Py_DECREF(value);
    } else {
      PyObject *type, *error, *trace;
      PyErr_Fetch(&type, &error, &trace);
      PyErr_NormalizeException(&type, &error, &trace);
      fail(slot.future, error);
      Py_XDECREF(type);
      Py_XDECREF(error);
      Py_XDECREF(trace);
    }
  }
  Py_DECREF(slot.future);
}

void Ring::client_closed() {
  if (!ring_) return;
  if (is_true(loop_, "is_closed")) return abandon();
  PyObject* running = get_running_loop();
  const bool here = running == loop_ && !reaping_;
  Py_XDECREF(running);
  if (here) return shutdown();
  PyObject* method = PyObject_GetAttrString(self_, "shutdown");
  PyObject* out =
      method ? PyObject_CallMethod(loop_, "call_soon_threadsafe", "O", method) : nullptr;
  if (!out) {
    PyErr_Clear();
    abandon();
  }
  Py_XDECREF(out);
  Py_XDECREF(method);
}

void Ring::shutdown() {
  if (!ring_) return;
  PyObject* const kept = Py_NewRef(self_);
  const intptr_t fd = tg_ring_fd(ring_);
  reap();
  while (!queued_.empty()) {
    tg_result result{};
    result.user_data = queued_.front().entries[0].user_data;
    result.status = TG_ECLOSED;
    queued_.pop_front();
    deliver(result);
  }
  PyObject* out = PyObject_CallMethod(loop_, "remove_reader", "n", static_cast<Py_ssize_t>(fd));
  if (!out) PyErr_Clear();
  Py_XDECREF(out);
  abandon();
  Py_DECREF(kept);
}

void Ring::abandon() {
  tg_ring_free(std::exchange(ring_, nullptr));
  waiting_ = 0;
  queued_.clear();
  for (Slot& slot : std::exchange(slots_, {})) Py_XDECREF(slot.future);
  free_slots_.clear();
}

void add_ring_type(py::module_& module) {
  PyObject* type = PyType_FromSpec(&ring_spec);
  if (!type || PyModule_AddObjectRef(module.ptr(), "Ring", type) < 0) throw py::error_already_set();
  ring_type = reinterpret_cast<PyTypeObject*>(type);
}

}  // namespace tidegate_python
