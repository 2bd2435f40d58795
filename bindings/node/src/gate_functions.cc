// SPDX-License-Identifier: MIT
// What the JavaScript object of a gate can do besides deciding.
#include <array>

#include "gate.h"

namespace tidegate::node {
namespace {

struct StatField {
  const char* name;
  int64_t tg_stats::* field;
};

constexpr StatField kStatFields[] = {
    {"allowed", &tg_stats::allowed},
    {"denied", &tg_stats::denied},
    {"wouldDeny", &tg_stats::would_deny},
    {"byMemory", &tg_stats::by_memory},
    {"byStore", &tg_stats::by_store},
    {"byFallback", &tg_stats::by_fallback},
    {"byFailOpen", &tg_stats::by_fail_open},
    {"byFailClosed", &tg_stats::by_fail_closed},
    {"keys", &tg_stats::keys},
    {"bytes", &tg_stats::bytes},
    {"evictedIdle", &tg_stats::evicted_idle},
    {"evictedHarmless", &tg_stats::evicted_harmless},
    {"evictedOwing", &tg_stats::evicted_owing},
    {"roundTrips", &tg_stats::round_trips},
    {"batches", &tg_stats::batches},
    {"merged", &tg_stats::merged},
    {"scriptLoads", &tg_stats::script_loads},
    {"connects", &tg_stats::connects},
    {"breakerOpened", &tg_stats::breaker_opened},
    {"breakerOpen", &tg_stats::breaker_open},
    {"lateReplies", &tg_stats::late_replies},
    {"timeouts", &tg_stats::timeouts},
    {"connectErrors", &tg_stats::connect_errors},
    {"authErrors", &tg_stats::auth_errors},
    {"tlsErrors", &tg_stats::tls_errors},
    {"protocolErrors", &tg_stats::protocol_errors},
    {"clusterErrors", &tg_stats::cluster_errors},
    {"oomErrors", &tg_stats::oom_errors},
    {"readonlyErrors", &tg_stats::readonly_errors},
    {"loadingErrors", &tg_stats::loading_errors},
    {"busyErrors", &tg_stats::busy_errors},
    {"nopermErrors", &tg_stats::noperm_errors},
    {"wrongtypeErrors", &tg_stats::wrongtype_errors},
    {"otherErrors", &tg_stats::other_errors},
    {"nameConflicts", &tg_stats::name_conflicts},
    {"eventsDropped", &tg_stats::events_dropped},
};
static_assert(std::size(kStatFields) * sizeof(int64_t) == sizeof(tg_stats));

// (rates, name, algorithm, mode, onFailure, lease), each a string, empty where it is not given,
// from argument `first` on.
struct SpecTexts {
  std::array<std::string, 6> texts;

  SpecTexts(const Napi::CallbackInfo& info, size_t first) {
    for (size_t i = 0; i < texts.size(); ++i) texts[i] = info[first + i].ToString();
  }
  tg_limiter_spec spec() const {
    const auto text = [this](size_t i) { return tg_text{texts[i].data(), texts[i].size()}; };
    return {text(0), text(1), text(2), text(3), text(4), text(5)};
  }
};

// Text that a function of the C ABI writes into a buffer and whose length it returns.
template <class F>
std::string text_from(Napi::Env env, F&& write) {
  std::string text(512, '\0');
  int64_t needed = write(text.data(), text.size());
  if (needed >= static_cast<int64_t>(text.size())) {
    text.resize(static_cast<size_t>(needed) + 1);
    needed = write(text.data(), text.size());
  }
  if (needed < 0) {
    const auto code = static_cast<int32_t>(needed);
    raise(env, code, tg_strerror(code));
  }
  text.resize(static_cast<size_t>(needed));
  return text;
}

using Method = Napi::Value (Gate::*)(const Napi::CallbackInfo&);

}  // namespace

void Gate::define(Napi::Object object) {
  const auto method = [&](const char* name, auto function) {
    object.Set(name, Napi::Function::New(
                         env_,
                         [this, function](const Napi::CallbackInfo& info) {
                           return (this->*function)(info);
                         },
                         name));
  };
  method("limiter", &Gate::limiter);
  method("change", &Gate::change);
  method("closeLimiter", &Gate::close_limiter);
  method("names", &Gate::names);
  method("rates", &Gate::rates);
  method("stats", &Gate::stats);
  method("figures", &Gate::figures);
  method("lookUp", &Gate::look_up);
  method("url", &Gate::url);
  method("setTime", &Gate::set_time);
  method("nextEvent", &Gate::next_event);
  method("headers", &Gate::headers);
  method("problem", &Gate::problem);
  method("close", &Gate::close);
}

Napi::Value Gate::limiter(const Napi::CallbackInfo& info) {
  const SpecTexts texts(info, 0);
  const tg_limiter_spec spec = texts.spec();
  uint64_t handle = 0;
  tg_error error{};
  if (tg_limiter_open(client_, &spec, &handle, &error) < 0) raise(info.Env(), error);
  return Napi::Number::New(info.Env(), limiter_number(handle));
}

Napi::Value Gate::change(const Napi::CallbackInfo& info) {
  const SpecTexts texts(info, 1);
  const tg_limiter_spec spec = texts.spec();
  tg_error error{};
  if (tg_limiter_change(client_, handle(info[0].ToNumber().Uint32Value()), &spec, &error) < 0)
    raise(info.Env(), error);
  return info.Env().Undefined();
}

// (limiter) => undefined; one that is closed already, or whose client is, stays so.
Napi::Value Gate::close_limiter(const Napi::CallbackInfo& info) {
  const uint32_t number = info[0].ToNumber().Uint32Value();
  if (tg_limiter_close(client_, handle(number)) == TG_OK) closed_numbers_.push_back(number);
  return info.Env().Undefined();
}

// (limiter) => [its name, the policy name of each rate ...]
Napi::Value Gate::names(const Napi::CallbackInfo& info) {
  const uint64_t limiter = handle(info[0].ToNumber().Uint32Value());
  const int32_t rates = tg_limiter_rates(client_, limiter, nullptr, 0);
  const Napi::Array names = Napi::Array::New(info.Env());
  for (int32_t rate = -1; rate < rates; ++rate)
    names.Set(static_cast<uint32_t>(rate + 1),
              text_from(info.Env(), [&](char* buffer, size_t size) {
                return tg_limiter_name(client_, limiter, rate, buffer, size);
              }));
  return names;
}

Napi::Value Gate::rates(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  tg_rate rates[TG_MAX_RATES];
  const int32_t count =
      tg_limiter_rates(client_, handle(info[0].ToNumber().Uint32Value()), rates, TG_MAX_RATES);
  if (count < 0) raise(env, count, tg_strerror(count));
  const Napi::Array list = Napi::Array::New(env);
  for (int32_t i = 0; i < count; ++i) {
    const Napi::Object rate = Napi::Object::New(env);
    rate.Set("limit", static_cast<double>(rates[i].limit));
    rate.Set("windowMs", static_cast<double>(rates[i].window_us) / 1'000);
    rate.Set("burst", rates[i].burst ? Napi::Value::From(env, static_cast<double>(rates[i].burst))
                                     : env.Null());
    rate.Set("capacity", static_cast<double>(rates[i].capacity));
    rate.Set("overdraft", static_cast<double>(rates[i].overdraft));
    rate.Set("algorithm", rates[i].algorithm);
    rate.Set("mode", rates[i].mode);
    rate.Set("onFailure", rates[i].on_failure);
    list.Set(static_cast<uint32_t>(i), rate);
  }
  return list;
}

Napi::Value Gate::stats(const Napi::CallbackInfo& info) {
  tg_stats stats{};
  if (const int32_t status = tg_client_stats(client_, &stats); status < 0)
    raise(info.Env(), status, tg_strerror(status));
  const Napi::Object object = Napi::Object::New(info.Env());
  for (const auto& [name, field] : kStatFields) object.Set(name, static_cast<double>(stats.*field));
  return object;
}

Napi::Value Gate::url(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), text_from(info.Env(), [&](char* buffer, size_t size) {
                             return tg_client_url(client_, buffer, size);
                           }));
}

Napi::Value Gate::set_time(const Napi::CallbackInfo& info) {
  const int32_t status = tg_client_set_time(client_, info[0].ToNumber().Int64Value());
  return Napi::Number::New(info.Env(), status);
}

Napi::Value Gate::next_event(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  tg_event event{};
  if (tg_client_next_event(client_, &event) != 1) return env.Undefined();
  const Napi::Object object = Napi::Object::New(env);
  object.Set("level", event.level == TG_LOG_ERROR     ? "error"
                      : event.level == TG_LOG_WARNING ? "warning"
                                                      : "info");
  object.Set("code", event.code);
  object.Set("time", Napi::Date::New(env, static_cast<double>(event.wall_us / 1'000)));
  object.Set("text", event.text);
  return object;
}

// (figures, styles, wallUs) => "Name: value\n" lines
Napi::Value Gate::headers(const Napi::CallbackInfo& info) {
  const auto figures = info[0].As<Napi::Float64Array>();
  tg_result result;
  std::vector<tg_part> parts;
  if (!get(figures.Data(), figures.ElementLength(), result, parts))
    raise(info.Env(), TG_EINVAL, tg_strerror(TG_EINVAL));
  const uint32_t styles = info[1].ToNumber().Uint32Value();
  const int64_t wall_us = info[2].ToNumber().Int64Value();
  return Napi::String::New(info.Env(), text_from(info.Env(), [&](char* buffer, size_t size) {
                             return tg_decision_headers(client_, &result, styles, wall_us, buffer,
                                                        size);
                           }));
}

// (figures) => the body of a refusal
Napi::Value Gate::problem(const Napi::CallbackInfo& info) {
  const auto figures = info[0].As<Napi::Float64Array>();
  tg_result result;
  std::vector<tg_part> parts;
  if (!get(figures.Data(), figures.ElementLength(), result, parts))
    raise(info.Env(), TG_EINVAL, tg_strerror(TG_EINVAL));
  return Napi::String::New(info.Env(), text_from(info.Env(), [&](char* buffer, size_t size) {
                             return tg_decision_problem(client_, &result, buffer, size);
                           }));
}

}  // namespace tidegate::node
