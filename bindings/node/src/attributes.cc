// SPDX-License-Identifier: MIT
#include "attributes.h"

#include <charconv>

#include "gate.h"

namespace tidegate::node {
namespace {

constexpr size_t kUsualBytes = 4'096;

void append(std::string& out, std::string_view text) {
  const auto size = static_cast<uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
}

// A limiter's handle in 8 bytes. What is closed, or of no gate, is a handle that nobody has: 0
// would be none at all.
void append_handle(std::string& out, const Gate* gate, std::string_view number) {
  uint32_t limiter = 0;
  std::from_chars(number.data(), number.data() + number.size(), limiter);
  uint64_t handle = gate ? gate->handle(limiter) : 0;
  if (handle == 0) handle = UINT64_MAX;
  append(out, {reinterpret_cast<const char*>(&handle), sizeof handle});
}

}  // namespace

bool read_text(napi_env env, napi_value value, std::string& out) {
  size_t size = 0;
  if (out.size() < kUsualBytes) out.resize(kUsualBytes);
  if (napi_get_value_string_utf8(env, value, out.data(), out.size(), &size) != napi_ok)
    return false;
  if (size + 4 >= out.size()) {  // cut, or nearly so
    if (napi_get_value_string_utf8(env, value, nullptr, 0, &size) != napi_ok) return false;
    out.resize(size + 1);
    napi_get_value_string_utf8(env, value, out.data(), out.size(), &size);
  }
  out.resize(size);
  return true;
}

bool read_attributes(napi_env env, const Gate* gate, napi_value texts, napi_value count,
                     std::string_view& out) {
  static thread_local std::string joined, bytes;
  uint32_t expected = 0;
  if (!read_text(env, texts, joined)) return false;
  napi_get_value_uint32(env, count, &expected);
  bytes.clear();
  out = bytes;
  if (expected == 0) return joined.empty();
  std::string_view rest = joined, name;
  for (uint32_t i = 0; i < expected; ++i) {
    const size_t end = rest.find('\0');
    if ((end == rest.npos) != (i + 1 == expected)) return false;
    const std::string_view text = rest.substr(0, end);
    if (i % 2 == 1 && name == "@limiter")
      append_handle(bytes, gate, text);
    else
      append(bytes, text);
    name = text;
    if (end != rest.npos) rest.remove_prefix(end + 1);
  }
  out = bytes;
  return true;
}

}  // namespace tidegate::node
