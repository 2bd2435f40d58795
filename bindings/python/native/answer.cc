// SPDX-License-Identifier: MIT
#include "answer.h"

#include <algorithm>
#include <cstring>

namespace tidegate_python {
namespace {

// One line "Name: value" as a pair of bytes.
PyObject* field_of(std::string_view line, bool lower) {
  const size_t colon = line.find(": ");
  PyObject* name = PyBytes_FromStringAndSize(line.data(), static_cast<Py_ssize_t>(colon));
  if (!name) return nullptr;
  if (lower)
    for (char *c = PyBytes_AS_STRING(name), *end = c + colon; c < end; ++c)
      if (*c >= 'A' && *c <= 'Z') *c = static_cast<char>(*c - 'A' + 'a');
  const std::string_view text = line.substr(colon + 2);
  PyObject* value = PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size()));
  PyObject* pair = value ? PyTuple_Pack(2, name, value) : nullptr;
  Py_DECREF(name);
  Py_XDECREF(value);
  return pair;
}

}  // namespace

Answer::Answer(const tg_result& result) {
  tg_answer answer{};
  if (result.data)
    std::memcpy(&answer, result.data, std::min<size_t>(sizeof answer, result.data_len));
  const auto copied = [](const tg_text& text) {
    return text.size ? std::string(text.data, text.size) : std::string();
  };
  status = answer.status;
  verdict = answer.verdict;
  fields = copied(answer.fields);
  body = copied(answer.body);
  scope = copied(answer.scope);
  caller = copied(answer.caller);
  reason = copied(answer.reason);
  retry_after_us = answer.retry_after_us;
  renew_us = answer.renew_us;
  finish = answer.finish;
  limit = answer.limit;
}

PyObject* fields_of(std::string_view lines, bool lower) {
  PyObject* out = PyList_New(0);
  while (out && !lines.empty()) {
    const size_t end = lines.find('\n');
    PyObject* field = field_of(lines.substr(0, end), lower);
    if (!field || PyList_Append(out, field) < 0) Py_CLEAR(out);
    Py_XDECREF(field);
    lines.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace tidegate_python
