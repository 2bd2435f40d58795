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

// While it lives, the thread is between the interpreter's frames, in ours: the interpreter does not
// end meanwhile (but after a second). Where it is about to end, the constructor does not return,
// but to the thread that ends it.
class Inside {
 public:
  Inside();
  ~Inside();
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

  // What work() returns; it runs without the lock and must not throw.
  template <class Work>
  auto without_gil(Work work) const {
    PyThreadState* const thread = go();
    auto out = work();
    come_back(thread);
    return out;
  }

 private:
  static PyThreadState* go();
  static void come_back(PyThreadState* thread);
};

}  // namespace tidegate_python
