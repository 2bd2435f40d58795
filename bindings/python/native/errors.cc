// SPDX-License-Identifier: MIT
#include "errors.h"

namespace py = pybind11;

namespace tidegate_python {
namespace {

const char* class_of(int32_t code) {
  if (code <= TG_ESTORE) return "StoreError";
  switch (code) {
    case TG_EINVAL:
    case TG_ERATE:
    case TG_EOPTION:
    case TG_EURL:
    case TG_EKEY:
    case TG_ECOST:
    case TG_EHANDLE:
    case TG_ENAME:
    case TG_ECONFLICT:
      return "ConfigError";
    case TG_ECLOSED:
      return "ClosedError";
    default:
      return "Error";
  }
}

}  // namespace

void set_error(int32_t code, const std::string& detail, int32_t position) {
  try {
    const py::object kind = py::module_::import("tidegate._errors").attr(class_of(code));
    py::object error = kind(detail.empty() ? std::string(tg_strerror(code)) : detail);
    error.attr("code") = code;
    error.attr("position") = position < 0 ? py::object(py::none()) : py::object(py::int_(position));
    PyErr_SetObject(kind.ptr(), error.ptr());
  } catch (py::error_already_set& other) {
    other.restore();
  }
}

void throw_error(int32_t code, const std::string& detail, int32_t position) {
  set_error(code, detail, position);
  throw py::error_already_set();
}

void throw_error(const tg_error& error) { throw_error(error.code, error.message, error.position); }

}  // namespace tidegate_python
