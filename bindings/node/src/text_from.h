// SPDX-License-Identifier: MIT
// Text that a function of the C ABI writes into a buffer, and whose length it returns.
#pragma once

#include <napi.h>

#include <string>

#include "addon.h"
#include "tidegate.h"

namespace tidegate::node {

// Into `out`; a TG_E code, or the length.
template <class F>
int64_t write_text(std::string& out, F&& write, size_t expected = 512) {
  out.assign(expected, '\0');
  int64_t needed = write(out.data(), out.size());
  // What it tells may grow between two looks at it.
  while (needed >= static_cast<int64_t>(out.size())) {
    out.resize(static_cast<size_t>(needed) + 1);
    needed = write(out.data(), out.size());
  }
  out.resize(needed < 0 ? 0 : static_cast<size_t>(needed));
  return needed;
}

template <class F>
std::string text_from(Napi::Env env, F&& write) {
  std::string text;
  if (const int64_t status = write_text(text, std::forward<F>(write)); status < 0) {
    const auto code = static_cast<int32_t>(status);
    raise(env, code, tg_strerror(code));
  }
  return text;
}

}  // namespace tidegate::node
