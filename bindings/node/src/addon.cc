// SPDX-License-Identifier: MIT
#include "addon.h"

#include "gate.h"

namespace tidegate::node {

void raise(Napi::Env env, int32_t code, std::string_view message, int32_t position) {
  const Napi::Value error = addon_of(env).make_error.Call(
      {Napi::Number::New(env, code), Napi::String::New(env, message.data(), message.size()),
       Napi::Number::New(env, position)});
  throw Napi::Error(env, error);
}

void raise(Napi::Env env, const tg_error& error) {
  raise(env, error.code, error.message, error.position);
}

namespace {

struct OptionsHolder {
  tg_options* options = tg_options_new();
  OptionsHolder() = default;
  OptionsHolder(const OptionsHolder&) = delete;
  OptionsHolder& operator=(const OptionsHolder&) = delete;
  ~OptionsHolder() { tg_options_free(options); }
};

std::string text_or_empty(const Napi::Value& value) {
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

// ([name, value, ...]) => (peer, forwardedFor, identity) => key
Napi::Value caller_keys(const Napi::CallbackInfo& info) {
  const auto holder = std::make_shared<OptionsHolder>();
  const auto pairs = info[0].As<Napi::Array>();
  tg_error error{};
  for (uint32_t i = 0; i + 1 < pairs.Length(); i += 2) {
    const std::string name = pairs.Get(i).ToString(), value = pairs.Get(i + 1).ToString();
    if (tg_options_set(holder->options, name.c_str(), value.c_str(), &error) < 0)
      raise(info.Env(), error);
  }
  return Napi::Function::New(info.Env(), [holder](const Napi::CallbackInfo& call) -> Napi::Value {
    const std::string peer = text_or_empty(call[0]), forwarded = text_or_empty(call[1]),
                      identity = text_or_empty(call[2]);
    std::string key(identity.size() + 128, '\0');
    const int64_t size = tg_caller_key(
        holder->options, peer.data(), peer.size(), call[1].IsString() ? forwarded.data() : nullptr,
        forwarded.size(), identity.data(), identity.size(), key.data(), key.size());
    if (size < 0) {
      const auto code = static_cast<int32_t>(size);
      raise(call.Env(), code, tg_strerror(code));
    }
    return Napi::String::New(call.Env(), key.data(), static_cast<size_t>(size));
  });
}

// () => the options of the C ABI, a line each
Napi::Value describe_options(const Napi::CallbackInfo& info) {
  std::string text(static_cast<size_t>(tg_options_describe(nullptr, 0)) + 1, '\0');
  const int64_t size = tg_options_describe(text.data(), text.size());
  return Napi::String::New(info.Env(), text.data(), static_cast<size_t>(size));
}

// (code) => [its name, its kind]
Napi::Value describe_error(const Napi::CallbackInfo& info) {
  const int32_t code = info[0].ToNumber().Int32Value();
  const Napi::Array names = Napi::Array::New(info.Env(), 2);
  names.Set(0u, tg_error_name(code));
  names.Set(1u, tg_error_kind(code));
  return names;
}

Napi::Value on_error(const Napi::CallbackInfo& info) {
  addon_of(info.Env()).make_error = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  auto* addon = new Addon;
  env.SetInstanceData(addon);
  auto array = Napi::Float64Array::New(env, kBufferDoubles);
  addon->results = array.Data();
  addon->results_array = Napi::Persistent(array);
  exports.Set("results", array);
  exports.Set("version", tg_version());
  exports.Set("open", Napi::Function::New(env, Gate::open, "open"));
  exports.Set("callerKeys", Napi::Function::New(env, caller_keys, "callerKeys"));
  exports.Set("validatePolicy", Napi::Function::New(env, validate_policy, "validatePolicy"));
  exports.Set("policyIgnored", Napi::Function::New(env, policy_ignored, "policyIgnored"));
  exports.Set("resolvePolicy", Napi::Function::New(env, resolve_policy, "resolvePolicy"));
  exports.Set("placeName", Napi::Function::New(env, place_name, "placeName"));
  exports.Set("describeOptions", Napi::Function::New(env, describe_options, "describeOptions"));
  exports.Set("describeError", Napi::Function::New(env, describe_error, "describeError"));
  exports.Set("onError", Napi::Function::New(env, on_error, "onError"));
  return exports;
}

}  // namespace
}  // namespace tidegate::node

static Napi::Object tidegate_init(Napi::Env env, Napi::Object exports) {
  return tidegate::node::init(env, exports);
}
NODE_API_MODULE(tidegate, tidegate_init)
