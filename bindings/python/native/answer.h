// SPDX-License-Identifier: MIT
// What a guard's check answered beside its decision: a tg_answer, copied.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "tidegate.h"

namespace tidegate_python {

struct Answer {
  explicit Answer(const tg_result& result);  // of TG_OP_CHECK, with status TG_OK

  int32_t status = 200;
  uint32_t verdict = TG_VERDICT_LIMITS;
  std::string fields, body, scope, caller, reason;
  int64_t retry_after_us = TG_NEVER, renew_us = 0;
  bool finish = false;
  uint32_t limit = 0;  // which of the request's @limit and @limiter speaks for a refusal, from 1
};

// Lines "Name: value\n" as a list of pairs of bytes; lower: names in lower case. NULL with a Python
// error set.
PyObject* fields_of(std::string_view lines, bool lower);

}  // namespace tidegate_python
