// SPDX-License-Identifier: MIT
// A caller's key, cost and limiter as a tg_entry. Each sets a Python error that names the value and
// what was expected.
#pragma once

#include <pybind11/pybind11.h>

#include "client.h"
#include "tidegate.h"

namespace tidegate_python {

// str, bytes, or an int as its decimal text. The bytes live as long as `key` and `kept` do.
bool read_key(PyObject* key, tg_entry& entry, pybind11::object& kept);
// Whether the operation is answered by a Decision.
constexpr bool has_decision(uint32_t op) {
  return op == TG_OP_CONSUME || op == TG_OP_PEEK || op == TG_OP_DEBIT || op == TG_OP_CHECK;
}

// NULL or an integer of 0 or more; booleans and fractions are refused.
bool read_cost(PyObject* cost, tg_entry& entry);

// NULL, or bytes of 1 to 16, not all of them 0: under which slots are taken.
bool read_id(PyObject* id, tg_entry& entry);

// NULL, None, or the Decision of a refund or debit: it goes to who decided.
bool read_source(PyObject* decision, tg_entry& entry);

// Asks, in this thread or on the running loop. `owner` is the client's Python object. NULL with a
// Python error set; `rebind` is called before a second try, when the client was opened again in a
// forked child.
struct Rebind {             // what else is to be done then
  virtual bool bind() = 0;  // false with a Python error set

 protected:
  ~Rebind() = default;
};
struct Asker {
  PyObject* owner;
  Client* client;
  tg_entry* entries;
  int32_t n;
  LimiterState** states;  // one per entry; NULL where the operation has none
  Rebind* more = nullptr;

  PyObject* sync();
  PyObject* async();

 private:
  const char* method() const;
  bool bind();
  PyObject* answer(const tg_result& result, int64_t started_us);
  PyObject* in_place();
};

}  // namespace tidegate_python
