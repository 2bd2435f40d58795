// SPDX-License-Identifier: MIT
#include "errors.h"

namespace py = pybind11;

namespace tidegate_python {
namespace {

const char* class_of(std::string_view kind) {
  if (kind == "store") return "StoreError";
  if (kind == "config" || kind == "handle") return "ConfigError";
  return kind == "closed" ? "ClosedError" : "Error";
}

bool is_control(unsigned char c, unsigned char next) {
  return c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0);  // C0, DEL, C1
}

}  // namespace

PyObject* readable(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (!is_control(c, next)) {
      out += text[i];
      continue;
    }
    const unsigned char shown = c == 0xc2 ? next : c;
    out.append("\\x").append({kHex[shown >> 4], kHex[shown & 15]});
    i += c == 0xc2;
  }
  return PyUnicode_DecodeUTF8(out.data(), static_cast<Py_ssize_t>(out.size()), "backslashreplace");
}

void set_error(int32_t code, const std::string& detail, int32_t position) {
  try {
    const py::object kind =
        py::module_::import("tidegate._errors").attr(class_of(tg_error_kind(code)));
    const auto text = py::reinterpret_steal<py::object>(
        readable(detail.empty() ? std::string_view(tg_strerror(code)) : detail));
    if (!text) throw py::error_already_set();
    py::object error = kind(text);
    error.attr("code") = code;
    error.attr("name") = tg_error_name(code);
    error.attr("kind") = tg_error_kind(code);
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
