// SPDX-License-Identifier: MIT
// One event loop's window onto a client: a tg_ring whose descriptor the loop watches, and the
// futures that wait.
//
//   PyObject* future = Ring::submit(owner, client, entries, n);   // on the running loop; NULL with
//   an error set
//
// The loop owns it (its reader is our bound method), it owns the client's Python object. Submitting
// and reaping happen on the loop's own thread; what is submitted in one tick leaves together at the
// tick's end.
//
// kRingCapacity requests may be out; as many again wait for room, in order, and are let in when the
// deadline of those before them has passed at the latest: so a request is answered within twice
// timeout_ms. One more is TG_EFULL.
#pragma once

#include <pybind11/pybind11.h>

#include <deque>
#include <string>
#include <vector>

#include "client.h"
#include "tidegate.h"

namespace tidegate_python {

constexpr int32_t kRingCapacity = 65'536;
constexpr char kRingIsFull[] =
    "65536 requests of this event loop are out and 65536 wait for room: no more are taken";

void add_ring_type(pybind11::module_& module);

class Ring {
 public:
  // Submits one request on the running event loop and returns the future of its answer: a Decision,
  // None, or seconds for a ping. NULL with a Python error set. TG_EFORK in `status`: reopen the
  // client and ask again.
  static PyObject* submit(PyObject* owner, Client* client, tg_entry* entries, int32_t n,
                          int32_t& status);

  void reap();
  void flush();
  // The client was closed: whoever waits hears of it, on the loop's thread.
  void client_closed();
  // Delivers what is left, lets go of the loop and of the descriptor.
  void shutdown();
  // Frees the tg_ring and forgets who waits: in a forked child, or when the loop is gone.
  void abandon();

  int visit(visitproc visit, void* arg);
  void clear();
  Ring(PyObject* self, PyObject* owner, Client* client, PyObject* loop);
  ~Ring();

 private:
  struct Slot {
    PyObject* future = nullptr;
    uint32_t op = 0;
    int64_t started_us = 0;  // of a ping
  };
  struct Queued {  // what a full ring did not take yet; at most kRingCapacity of them
    std::vector<tg_entry> entries;
    std::vector<std::string> keys, values;
  };

  bool open(int32_t& status);
  PyObject* ask(tg_entry* entries, int32_t n, int32_t& status);
  bool schedule_flush();
  bool cancelled(uint64_t index);
  void deliver(const tg_result& result);
  void resubmit();
  uint64_t take_slot();
  PyObject* answer(const Slot& slot, const tg_result& result);
  void fail(PyObject* future, PyObject* error);

  PyObject* const self_;  // borrowed: the object we live in
  PyObject* owner_;
  Client* client_;
  PyObject* loop_;
  tg_ring* ring_ = nullptr;
  std::vector<Slot> slots_;
  std::vector<uint64_t> free_slots_;
  std::deque<Queued> queued_;
  size_t waiting_ = 0;
  bool flush_scheduled_ = false;
  bool reaping_ = false;
};

}  // namespace tidegate_python
