// SPDX-License-Identifier: MIT
#include "threads.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>

namespace py = pybind11;

namespace tidegate_python {
namespace {

constexpr int kPatience = 1'000;  // looks, a millisecond apart

std::atomic<bool> ending{false};
std::atomic<int> inside{0};  // threads that have the lock, or wait for it and will get it
pthread_t ender;

bool may_enter() {
  inside.fetch_add(1);
  if (!ending.load() || pthread_equal(pthread_self(), ender)) return true;
  inside.fetch_sub(1);
  return false;
}

[[noreturn]] void stop_here() {
  while (true) pause();
}

// Runs in the thread that ends the interpreter, while the others still may have the lock.
void interpreter_ends() {
  ender = pthread_self();
  ending.store(true);
  for (int i = 0; i < kPatience && inside.load() > 0; ++i) {
    PyThreadState* const thread = PyEval_SaveThread();
    usleep(1'000);
    PyEval_RestoreThread(thread);
  }
}

}  // namespace

void watch_exit() {
  py::module_::import("atexit").attr("register")(py::cpp_function(&interpreter_ends));
}

void forget_other_threads() { inside.store(0); }

Inside::Inside() {
  if (may_enter()) return;
  PyEval_SaveThread();
  stop_here();
}

Inside::~Inside() { inside.fetch_sub(1); }

PyThreadState* Inside::go() {
  inside.fetch_sub(1);
  return PyEval_SaveThread();
}

void Inside::come_back(PyThreadState* thread) {
  if (!may_enter()) stop_here();
  PyEval_RestoreThread(thread);
}

}  // namespace tidegate_python
