// SPDX-License-Identifier: MIT
// The way of every decision, in plain Node-API: few calls, nothing allocated.
#include <algorithm>
#include <cstring>
#include <string>

#include "gate.h"

namespace tidegate::node {
namespace {

constexpr uint32_t kOpBits =
    3;  // the low bits of a selector are the operation, the others the limiter
constexpr uint32_t kOpMask = (1u << kOpBits) - 1;

// A key's bytes, UTF-8 of a string or the bytes of a Uint8Array, on the stack unless it is long.
class KeyBytes {
 public:
  bool read(napi_env env, napi_value value) {
    size_t length = 0;
    const napi_status status =
        napi_get_value_string_utf8(env, value, small_, sizeof small_, &length);
    if (status != napi_ok) return read_bytes(env, value);
    data_ = small_;
    size_ = length;
    return length < sizeof small_ - 4 || read_long(env, value);  // cut, or nearly so
  }
  void put(tg_entry& entry) const {
    entry.key = data_;
    entry.key_len = static_cast<uint32_t>(size_);
  }

 private:
  bool read_long(napi_env env, napi_value value) {
    if (napi_get_value_string_utf8(env, value, nullptr, 0, &size_) != napi_ok) return false;
    large_.resize(size_ + 1);
    if (napi_get_value_string_utf8(env, value, large_.data(), size_ + 1, &size_) != napi_ok)
      return false;
    data_ = large_.data();
    return true;
  }
  bool read_bytes(napi_env env, napi_value value) {
    bool is_array = false;
    napi_typedarray_type type;
    void* bytes = nullptr;
    if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array) return false;
    if (napi_get_typedarray_info(env, value, &type, &size_, &bytes, nullptr, nullptr) != napi_ok ||
        type != napi_uint8_array)
      return false;
    data_ = static_cast<const char*>(bytes ? bytes : "");
    return true;
  }

  char small_[768];
  std::string large_;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

// Copied where an entry starts empty: GCC makes `entry{}` of this size a `rep stos`, which is slow.
const tg_entry kEmptyEntry{};

constexpr const char* kKeyExpected = "key: expected a string or a Uint8Array";

napi_value text_of(napi_env env, const char* data, size_t size) {
  napi_value text;
  napi_create_string_utf8(env, data, size, &text);
  return text;
}

// An error in the results array, its text as the return value.
napi_value answer_error(napi_env env, Gate& gate, int32_t code, const char* text) {
  gate.addon().results[1] = code;
  return text_of(env, text, NAPI_AUTO_LENGTH);
}

napi_value call(napi_env env, Gate& gate, const tg_entry* entries, int32_t n) {
  tg_result result;
  const int32_t count = tg_call(gate.client(), entries, n, &result, 1);
  if (count != 1)
    return answer_error(env, gate, count < 0 ? count : TG_EINTERNAL,
                        tg_strerror(count < 0 ? count : TG_EINTERNAL));
  gate.put(result, gate.addon().results);
  return result.status < 0 ? text_of(env, static_cast<const char*>(result.data), result.data_len)
                           : nullptr;
}

int64_t number_of(napi_env env, napi_value value) {
  int64_t number = 0;
  napi_get_value_int64(env, value, &number);
  return number;
}

void read_part(napi_env env, Gate& gate, napi_value selector, napi_value cost, tg_entry& entry) {
  uint32_t selected = 0;
  napi_get_value_uint32(env, selector, &selected);
  entry.op = selected & kOpMask;
  entry.handle = gate.handle(selected >> kOpBits);
  entry.arg = number_of(env, cost);
}

// Whose slots: a Uint8Array of 1 to 16 bytes, or undefined.
void read_id(napi_env env, napi_value value, tg_entry& entry) {
  bool is_array = false;
  if (napi_is_typedarray(env, value, &is_array) != napi_ok || !is_array) return;
  size_t size = 0;
  void* bytes = nullptr;
  napi_get_typedarray_info(env, value, nullptr, &size, &bytes, nullptr, nullptr);
  if (bytes) std::memcpy(entry.id, bytes, std::min(size, sizeof entry.id));
}

// A request of several parts: [selector, key, cost, id, selector, key, cost, id, ...].
struct Request {
  tg_entry entries[TG_MAX_PARTS] = {};
  KeyBytes keys[TG_MAX_PARTS];
  int32_t parts = 0;

  const char* read(napi_env env, Gate& gate, napi_value list, uint64_t slot, int64_t timeout_us,
                   uint32_t source) {
    uint32_t length = 0;
    napi_get_array_length(env, list, &length);
    if (length == 0 || length % 4 || length / 4 > TG_MAX_PARTS)
      return "a request: expected 1 to 16 parts";
    for (uint32_t i = 0; i < length; i += 4, ++parts) {
      napi_value selector, key, cost, id;
      napi_get_element(env, list, i, &selector);
      napi_get_element(env, list, i + 1, &key);
      napi_get_element(env, list, i + 2, &cost);
      napi_get_element(env, list, i + 3, &id);
      tg_entry& entry = entries[parts];
      read_part(env, gate, selector, cost, entry);
      read_id(env, id, entry);
      if (!keys[parts].read(env, key)) return kKeyExpected;
      keys[parts].put(entry);
      entry.flags = (i + 4 < length ? TG_LINK : 0u) | TG_SOURCE_FLAGS(source);
    }
    entries[0].user_data = slot;
    entries[0].timeout_us = timeout_us;
    return nullptr;
  }
};

// decide(selector, key, cost): the embedded store's answer in the results array; a text if it is an
// error.
napi_value decide(napi_env env, napi_callback_info info) {
  size_t argc = 3;
  napi_value argv[3];
  void* data = nullptr;
  napi_get_cb_info(env, info, &argc, argv, nullptr, &data);
  auto& gate = *static_cast<Gate*>(data);
  tg_entry entry = kEmptyEntry;
  read_part(env, gate, argv[0], argv[2], entry);
  KeyBytes key;
  if (!key.read(env, argv[1])) return answer_error(env, gate, TG_EKEY, kKeyExpected);
  key.put(entry);
  return call(env, gate, &entry, 1);
}

// decideAll(list, source): the same for a request of several parts, of ids, or for whom it is due.
napi_value decide_all(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  void* data = nullptr;
  napi_get_cb_info(env, info, &argc, argv, nullptr, &data);
  auto& gate = *static_cast<Gate*>(data);
  Request request;
  if (const char* wrong =
          request.read(env, gate, argv[0], 0, 0, static_cast<uint32_t>(number_of(env, argv[1]))))
    return answer_error(env, gate, TG_EINVAL, wrong);
  return call(env, gate, request.entries, request.parts);
}

napi_value answer_submitted(napi_env env, int32_t taken) {
  napi_value answer;
  napi_create_int32(env, taken, &answer);
  return answer;
}

// submit(selector, key, cost, slot): what Gate::submit answers.
napi_value submit(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4];
  void* data = nullptr;
  napi_get_cb_info(env, info, &argc, argv, nullptr, &data);
  auto& gate = *static_cast<Gate*>(data);
  tg_entry entry = kEmptyEntry;
  read_part(env, gate, argv[0], argv[2], entry);
  KeyBytes key;
  if (!key.read(env, argv[1])) return answer_submitted(env, TG_EKEY);
  key.put(entry);
  uint32_t slot = 0;
  napi_get_value_uint32(env, argv[3], &slot);
  entry.user_data = slot;
  return answer_submitted(env, gate.submit(&entry, 1));
}

// submitAll(list, slot, timeoutUs, source)
napi_value submit_all(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4];
  void* data = nullptr;
  napi_get_cb_info(env, info, &argc, argv, nullptr, &data);
  auto& gate = *static_cast<Gate*>(data);
  Request request;
  if (request.read(env, gate, argv[0], static_cast<uint64_t>(number_of(env, argv[1])),
                   number_of(env, argv[2]), static_cast<uint32_t>(number_of(env, argv[3]))))
    return answer_submitted(env, TG_EINVAL);
  return answer_submitted(env, gate.submit(request.entries, request.parts));
}

// ping(slot, timeoutUs)
napi_value ping(napi_env env, napi_callback_info info) {
  size_t argc = 2;
  napi_value argv[2];
  void* data = nullptr;
  napi_get_cb_info(env, info, &argc, argv, nullptr, &data);
  tg_entry entry{};
  entry.op = TG_OP_PING;
  entry.user_data = static_cast<uint64_t>(number_of(env, argv[0]));
  entry.timeout_us = number_of(env, argv[1]);
  return answer_submitted(env, static_cast<Gate*>(data)->submit(&entry, 1));
}

napi_value flush(napi_env env, napi_callback_info info) {
  void* data = nullptr;
  napi_get_cb_info(env, info, nullptr, nullptr, nullptr, &data);
  static_cast<Gate*>(data)->flush();
  return nullptr;
}

}  // namespace

void define_decide(napi_env env, napi_value object, Gate* gate) {
  const napi_property_descriptor functions[] = {
      {"decide", nullptr, decide, nullptr, nullptr, nullptr, napi_default, gate},
      {"decideAll", nullptr, decide_all, nullptr, nullptr, nullptr, napi_default, gate},
      {"submit", nullptr, submit, nullptr, nullptr, nullptr, napi_default, gate},
      {"submitAll", nullptr, submit_all, nullptr, nullptr, nullptr, napi_default, gate},
      {"ping", nullptr, ping, nullptr, nullptr, nullptr, napi_default, gate},
      {"flush", nullptr, flush, nullptr, nullptr, nullptr, napi_default, gate},
  };
  napi_define_properties(env, object, std::size(functions), functions);
}

}  // namespace tidegate::node
