// SPDX-License-Identifier: MIT
// tidegate._tidegate: the native half of the package. Nothing in it is public; tidegate/*.py is.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "check.h"
#include "client.h"
#include "decision.h"
#include "errors.h"
#include "limiter.h"
#include "parts.h"
#include "ring.h"
#include "threads.h"

namespace py = pybind11;

namespace tidegate_python {
namespace {

std::unique_ptr<Client> open_client(const std::optional<std::string>& url,
                                    Client::Options options) {
  return std::make_unique<Client>(url.value_or(""), url.has_value(), std::move(options));
}

// Options for tg_caller_key, checked once: the middleware keeps one.
class CallerKey {
 public:
  explicit CallerKey(const Client::Options& options) : options_(tg_options_new(), tg_options_free) {
    tg_error error{};
    for (const auto& [name, value] : options)
      if (tg_options_set(options_.get(), name.c_str(), value.c_str(), &error) < 0)
        throw_error(error);
  }

  // str, or bytes where the identity is bytes that are no text.
  py::object operator()(const std::string& identity, const std::string& peer,
                        const std::string& forwarded_for) const {
    std::string key(identity.size() + 80, '\0');
    const int64_t size = tg_caller_key(options_.get(), peer.data(), peer.size(),
                                       forwarded_for.data(), forwarded_for.size(), identity.data(),
                                       identity.size(), key.data(), key.size());
    if (size < 0) throw_error(static_cast<int32_t>(size));
    PyObject* text = PyUnicode_DecodeUTF8(key.data(), size, nullptr);
    if (!text && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
      PyErr_Clear();
      text = PyBytes_FromStringAndSize(key.data(), size);
    }
    if (!text) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(text);
  }

 private:
  std::unique_ptr<tg_options, decltype(&tg_options_free)> options_;
};

std::string describe_options() {
  std::string text(static_cast<size_t>(tg_options_describe(nullptr, 0)) + 1, '\0');
  tg_options_describe(text.data(), text.size());
  text.pop_back();
  return text;
}

}  // namespace
}  // namespace tidegate_python

PYBIND11_MODULE(tidegate_module, module) {
  using namespace tidegate_python;
  // Imported anew (reloaded, or deleted from sys.modules): pybind11 would refuse to register the
  // same classes again, and there are objects of them.
  static PyObject* first = nullptr;
  if (first) {
    for (auto [name, value] : py::reinterpret_borrow<py::dict>(first))
      if (!py::str(name).cast<std::string>().starts_with("__")) module.attr(name) = value;
    return;
  }
  watch_exit();
  module.attr("version") = tg_version();
  module.attr("abi") = tg_abi();
  module.attr("OP_CONSUME") = TG_OP_CONSUME;
  module.attr("OP_PEEK") = TG_OP_PEEK;
  module.attr("OP_PING") = TG_OP_PING;
  module.attr("OP_REFUND") = TG_OP_REFUND;
  module.attr("OP_RESET") = TG_OP_RESET;
  module.attr("OP_DEBIT") = TG_OP_DEBIT;
  module.def("describe_options", describe_options);
  add_decision_types(module);
  add_check_type(module);
  add_ring_type(module);
  add_limiter_types(module);
  py::class_<Client>(module, "Client")
      .def(py::init(&open_client), py::arg("url"), py::arg("options"))
      .def_property_readonly("embedded", &Client::embedded)
      .def_property_readonly("closed", &Client::closed)
      .def_property_readonly("url", &Client::url)
      .def("set_time", &Client::set_time)
      .def("stats", &Client::stats)
      .def("report", &Client::report)
      .def("metrics", &Client::metrics)
      .def("top", &Client::top)
      .def("limited_now", &Client::limited_now)
      .def("look_up", &Client::look_up)
      .def("events", &Client::events)
      .def("series", &Client::series)
      .def("take_events", &Client::take_events)
      .def("on_events", &Client::on_events)
      .def("close", &Client::close)
      .def("call", &call_request, py::arg("op"), py::arg("requests"),
           py::arg("decision") = py::none())
      .def("call_async", &call_request_async, py::arg("op"), py::arg("requests"),
           py::arg("decision") = py::none());
  py::class_<CallerKey>(module, "CallerKey")
      .def(py::init<const Client::Options&>())
      .def("__call__", &CallerKey::operator());
  first = py::dict(module.attr("__dict__")).release().ptr();
}

// Refuses sub-interpreters before pybind11 does anything: its own bookkeeping would wait for the
// main one's lock.
extern "C" __attribute__((visibility("default"))) PyObject* PyInit__tidegate() {
  if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_ImportError,
                    "tidegate works in the main interpreter only, not in a sub-interpreter");
    return nullptr;
  }
  return PyInit_tidegate_module();
}
