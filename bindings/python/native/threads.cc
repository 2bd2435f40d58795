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
std::atomic<int> on_their_way{0};  // threads that wait for the lock, and will get it
pthread_t ender;

// Runs in the thread that ends the interpreter, while the others still may have the lock.
void interpreter_ends() {
  ender = pthread_self();
  ending.store(true);
  for (int i = 0; i < kPatience && on_their_way.load() > 0; ++i) {
    PyThreadState* const thread = PyEval_SaveThread();
    usleep(1'000);
    PyEval_RestoreThread(thread);
  }
}

}  // namespace

void watch_exit() {
  py::module_::import("atexit").attr("register")(py::cpp_function(&interpreter_ends));
}

void forget_other_threads() { on_their_way.store(0); }

void come_back(PyThreadState* thread) {
  on_their_way.fetch_add(1);
  if (ending.load() && !pthread_equal(pthread_self(), ender)) {
    on_their_way.fetch_sub(1);
    while (true) pause();
  }
  PyEval_RestoreThread(thread);
  on_their_way.fetch_sub(1);
}

}  // namespace tidegate_python
