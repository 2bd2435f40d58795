// SPDX-License-Identifier: MIT
// What the JavaScript object of a gate can do with guards besides checking. What waits for the
// store does so on a thread of the pool.
#include "attributes.h"
#include "gate.h"
#include "text_from.h"
#include "waiting.h"

namespace tidegate::node {
namespace {

constexpr size_t kUsualExplanation = 16'384;  // more is asked a second time

std::string attributes_of(const Napi::CallbackInfo& info, const Gate* gate, size_t first) {
  std::string_view said;
  if (!read_attributes(info.Env(), gate, info[first], info[first + 1], said))
    raise(info.Env(), TG_EATTRIBUTE, kAttributesExpected);
  return std::string(said);
}

}  // namespace

// (policy, file, headers, trustedProxies, ipv6Prefix), texts, empty where they are not given; the
// last a number => the guard's number
Napi::Value Gate::guard_open(const Napi::CallbackInfo& info) {
  std::string texts[4];
  for (size_t i = 0; i < std::size(texts); ++i) texts[i] = info[i].ToString();
  const auto text = [&](size_t i) { return tg_text{texts[i].data(), texts[i].size()}; };
  const tg_guard_spec spec{.policy = text(0),
                           .file = text(1),
                           .headers = text(2),
                           .trusted_proxies = text(3),
                           .ipv6_prefix = info[4].ToNumber().Int64Value()};
  uint64_t handle = 0;
  tg_error error{};
  if (tg_guard_open(client_, &spec, &handle, &error) < 0) raise(info.Env(), error);
  guards_.push_back(handle);
  return Napi::Number::New(info.Env(), static_cast<double>(guards_.size() - 1));
}

// (guard, policy)
Napi::Value Gate::guard_replace(const Napi::CallbackInfo& info) {
  const std::string policy = info[1].ToString();
  tg_error error{};
  if (tg_guard_replace(client_, guard(info[0].ToNumber().Uint32Value()), policy.data(),
                       policy.size(), &error) < 0)
    raise(info.Env(), error);
  return info.Env().Undefined();
}

// (guard); one that is closed already stays so.
Napi::Value Gate::guard_close(const Napi::CallbackInfo& info) {
  tg_guard_close(client_, guard(info[0].ToNumber().Uint32Value()));
  return info.Env().Undefined();
}

// (guard, texts, count) => promise of JSON
Napi::Value Gate::guard_explain(const Napi::CallbackInfo& info) {
  const uint64_t guard = this->guard(info[0].ToNumber().Uint32Value());
  return wait_for(info.Env(), self_.Value(),
                  [client = client_, guard, said = attributes_of(info, this, 1)](std::string& out,
                                                                                 tg_error& error) {
                    return write_text(
                        out,
                        [&](char* buffer, size_t size) {
                          return tg_guard_explain(client, guard, said.data(), said.size(), buffer,
                                                  size, &error);
                        },
                        kUsualExplanation);
                  });
}

// (guard, flags, patch, who) => promise of the version, as text
Napi::Value Gate::guard_edit(const Napi::CallbackInfo& info) {
  const uint64_t guard = this->guard(info[0].ToNumber().Uint32Value());
  const uint32_t flags = info[1].ToNumber().Uint32Value();
  const std::string patch = info[2].ToString(), who = info[3].ToString();
  return wait_for(info.Env(), self_.Value(),
                  [client = client_, guard, flags, patch, who](std::string& out, tg_error& error) {
                    const int64_t version =
                        tg_guard_edit(client, guard, flags, patch.data(), patch.size(), who.data(),
                                      who.size(), &error);
                    out = std::to_string(version);
                    return version;
                  });
}

// () => JSON
Napi::Value Gate::live(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), text_from(info.Env(), [&](char* buffer, size_t size) {
                             return tg_client_live(client_, buffer, size);
                           }));
}

// ---- of no gate ----

// (policy) => JSON
Napi::Value validate_policy(const Napi::CallbackInfo& info) {
  const std::string policy = info[0].ToString();
  return Napi::String::New(info.Env(), text_from(info.Env(), [&](char* buffer, size_t size) {
                             return tg_policy_validate(policy.data(), policy.size(), buffer, size);
                           }));
}

// (policy, live) => JSON
Napi::Value policy_ignored(const Napi::CallbackInfo& info) {
  const std::string policy = info[0].ToString(), live = info[1].ToString();
  tg_error error{};
  std::string out;
  const int64_t status = write_text(out, [&](char* buffer, size_t size) {
    return tg_policy_ignored(policy.data(), policy.size(), live.data(), live.size(), buffer, size,
                             &error);
  });
  if (status < 0) raise(info.Env(), error);
  return Napi::String::New(info.Env(), out);
}

// (policy, live, texts, count, nowUs) => JSON
Napi::Value resolve_policy(const Napi::CallbackInfo& info) {
  const std::string policy = info[0].ToString(), live = info[1].ToString();
  const std::string said = attributes_of(info, nullptr, 2);
  const int64_t now_us = info[4].ToNumber().Int64Value();
  tg_error error{};
  std::string out;
  const int64_t status = write_text(out, [&](char* buffer, size_t size) {
    return tg_policy_resolve(policy.data(), policy.size(), live.data(), live.size(), said.data(),
                             said.size(), now_us, buffer, size, &error);
  });
  if (status < 0) raise(info.Env(), error);
  return Napi::String::New(info.Env(), out);
}

// (mount, method, route or undefined) => what a limit without a name is called there
Napi::Value place_name(const Napi::CallbackInfo& info) {
  const std::string mount = info[0].ToString(), method = info[1].ToString();
  const bool told = !info[2].IsUndefined();
  const std::string route = told ? info[2].ToString().Utf8Value() : std::string();
  return Napi::String::New(info.Env(), text_from(info.Env(), [&](char* buffer, size_t size) {
                             return tg_place_name(mount.data(), mount.size(), method.data(),
                                                  method.size(), told ? route.data() : nullptr,
                                                  route.size(), buffer, size);
                           }));
}

}  // namespace tidegate::node
