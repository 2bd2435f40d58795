// SPDX-License-Identifier: MIT
// The way of a guard's check, in plain Node-API.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "attributes.h"
#include "gate.h"

namespace tidegate::node {
namespace {

constexpr uint32_t kOpBits = 3;  // of a selector, as in decide.cc
constexpr int32_t kUsualSettlements = 16;

napi_value text_of(napi_env env, const tg_text& text) {
  napi_value value;
  napi_create_string_utf8(env, text.data ? text.data : "", text.size, &value);
  return value;
}

napi_value number_of(napi_env env, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

int64_t integer(napi_env env, napi_value value) {
  int64_t number = 0;
  napi_get_value_int64(env, value, &number);
  return number;
}

void arguments(napi_env env, napi_callback_info info, size_t count, napi_value* argv, Gate*& gate) {
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, argv, nullptr, &data);
  gate = static_cast<Gate*>(data);
}

// A scope is bytes of the core's: in JavaScript a text of as many characters.
void read_scope(napi_env env, napi_value value, std::string& out) {
  size_t size = 0;
  out.clear();
  if (napi_get_value_string_latin1(env, value, nullptr, 0, &size) != napi_ok || size == 0) return;
  out.resize(size + 1);
  napi_get_value_string_latin1(env, value, out.data(), out.size(), &size);
  out.resize(size);
}

// (guard, scope, texts, count): what both ways to ask begin with.
struct Asked {
  tg_entry entry = {};
  const char* wrong = nullptr;

  Asked(napi_env env, const Gate& gate, napi_value* argv) {
    static thread_local std::string scope;
    std::string_view attributes;
    if (!read_attributes(env, &gate, argv[2], argv[3], attributes)) {
      wrong = kAttributesExpected;
      return;
    }
    read_scope(env, argv[1], scope);
    entry.op = TG_OP_CHECK;
    entry.handle = gate.guard(static_cast<uint32_t>(integer(env, argv[0])));
    entry.key = scope.empty() ? nullptr : scope.data();
    entry.key_len = static_cast<uint32_t>(scope.size());
    entry.value = attributes.data();
    entry.value_len = static_cast<uint32_t>(attributes.size());
  }
};

napi_value error_text(napi_env env, Gate& gate, int32_t code, const char* text) {
  gate.addon().results[1] = code;
  return text_of(env, {text, std::strlen(text)});
}

// check(guard, scope, texts, count): the embedded store's answer. Figures in the results array, the
// rest as answer_of() has it; a text if it is an error.
napi_value check(napi_env env, napi_callback_info info) {
  napi_value argv[4];
  Gate* gate = nullptr;
  arguments(env, info, 4, argv, gate);
  const Asked asked(env, *gate, argv);
  if (asked.wrong) return error_text(env, *gate, TG_EATTRIBUTE, asked.wrong);
  tg_result result;
  if (const int32_t count = tg_call(gate->client(), &asked.entry, 1, &result, 1); count != 1) {
    const int32_t code = count < 0 ? count : TG_EINTERNAL;
    return error_text(env, *gate, code, tg_strerror(code));
  }
  gate->put(result, gate->addon().results);
  if (result.status < 0)
    return text_of(env, {static_cast<const char*>(result.data), result.data_len});
  return answer_of(env, result);
}

// submitCheck(guard, scope, texts, count, slot, timeoutUs): what Gate::submit answers.
napi_value submit_check(napi_env env, napi_callback_info info) {
  napi_value argv[6];
  Gate* gate = nullptr;
  arguments(env, info, 6, argv, gate);
  Asked asked(env, *gate, argv);
  if (asked.wrong) return number_of(env, TG_EATTRIBUTE);
  asked.entry.user_data = static_cast<uint64_t>(integer(env, argv[4])) | Gate::kCheckBit;
  asked.entry.timeout_us = integer(env, argv[5]);
  return number_of(env, gate->submit(&asked.entry, 1));
}

napi_value bytes_of(napi_env env, const void* data, size_t size) {
  napi_value value;
  napi_create_buffer_copy(env, size, data, nullptr, &value);
  return value;
}

// settlements(scope, status, texts, count, flags): what settles a request, five values for each of
// its requests: selector, key, cost, id or undefined, source. Undefined: the scope is none.
napi_value settlements(napi_env env, napi_callback_info info) {
  static thread_local std::string scope;
  static thread_local std::vector<tg_entry> entries(kUsualSettlements);
  napi_value argv[5];
  Gate* gate = nullptr;
  arguments(env, info, 5, argv, gate);
  std::string_view said;
  if (!read_attributes(env, gate, argv[2], argv[3], said)) return nullptr;
  read_scope(env, argv[0], scope);
  const auto status = static_cast<int32_t>(integer(env, argv[1]));
  const auto flags = static_cast<uint32_t>(integer(env, argv[4]));
  const auto settle = [&] {
    return tg_guard_finish(scope.data(), scope.size(), status, said.data(), said.size(), flags,
                           entries.data(), static_cast<int32_t>(entries.size()));
  };
  int32_t found = settle();
  if (found > static_cast<int32_t>(entries.size())) {  // several checks of 16 parts
    entries.resize(static_cast<size_t>(found));
    found = settle();
  }
  if (found < 0) return nullptr;
  napi_value list;
  napi_create_array(env, &list);
  uint32_t at = 0;
  for (int32_t i = 0; i < found; ++i) {
    const tg_entry& entry = entries[static_cast<size_t>(i)];
    const uint32_t selector = gate->limiter_number(entry.handle) << kOpBits | entry.op;
    const bool has_id =
        std::any_of(entry.id, entry.id + sizeof entry.id, [](uint8_t b) { return b; });
    napi_value none;
    napi_get_undefined(env, &none);
    for (napi_value value : {number_of(env, selector), bytes_of(env, entry.key, entry.key_len),
                             number_of(env, static_cast<double>(entry.arg)),
                             has_id ? bytes_of(env, entry.id, sizeof entry.id) : none,
                             number_of(env, TG_SOURCE(entry.flags))})
      napi_set_element(env, list, at++, value);
  }
  return list;
}

}  // namespace

napi_value answer_of(napi_env env, const tg_result& result) {
  tg_answer answer{};
  std::memcpy(&answer, result.data, std::min<size_t>(sizeof answer, result.data_len));
  napi_value list, scope;
  napi_create_string_latin1(env, answer.scope.data ? answer.scope.data : "", answer.scope.size,
                            &scope);
  napi_create_array_with_length(env, 10, &list);
  uint32_t at = 0;
  for (napi_value value :
       {number_of(env, answer.status), number_of(env, answer.verdict), text_of(env, answer.fields),
        text_of(env, answer.body), scope, text_of(env, answer.caller), text_of(env, answer.reason),
        number_of(env, static_cast<double>(answer.retry_after_us)),
        number_of(env, static_cast<double>(answer.renew_us)), number_of(env, answer.finish)})
    napi_set_element(env, list, at++, value);
  return list;
}

void define_check(napi_env env, napi_value object, Gate* gate) {
  const napi_property_descriptor functions[] = {
      {"check", nullptr, check, nullptr, nullptr, nullptr, napi_default, gate},
      {"submitCheck", nullptr, submit_check, nullptr, nullptr, nullptr, napi_default, gate},
      {"settlements", nullptr, settlements, nullptr, nullptr, nullptr, napi_default, gate},
  };
  napi_define_properties(env, object, std::size(functions), functions);
}

}  // namespace tidegate::node
