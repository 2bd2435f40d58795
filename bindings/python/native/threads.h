// SPDX-License-Identifier: MIT
// Leaving the interpreter's lock and coming back to it. A thread that comes back when the
// interpreter has ended would be unwound through our frames (until Python 3.14), which a library
// that carries its own unwinder does not survive: it stops where it is instead, and the process
// ends around it.
#pragma once

#include <pybind11/pybind11.h>

#include <utility>

namespace tidegate_python {

// Registers what has to be known of the interpreter's end. Throws.
void watch_exit();

// For a child of this process: of its threads there is only this one.
void forget_other_threads();

// Takes the lock again. Does not return once the interpreter ends, but to the thread that ends it.
void come_back(PyThreadState* thread);

// What work() returns; it runs without the lock and must not throw.
template <class Work>
auto without_gil(Work work) {
  PyThreadState* const thread = PyEval_SaveThread();
  auto out = work();
  come_back(thread);
  return out;
}

}  // namespace tidegate_python
