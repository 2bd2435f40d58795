// SPDX-License-Identifier: MIT
// The client's figures, as the text that the core makes of them: figures.js reads it.
#include "gate.h"
#include "waiting.h"

namespace tidegate::node {
namespace {

tg_text text(const std::string& from) { return {from.data(), from.size()}; }

// Texts may have grown until they are asked for again. Returns a TG_E code, or TG_OK.
template <class Ask>
int32_t read(Ask ask, std::string& out) {
  constexpr size_t kMore = 16'384;
  out.resize(kMore);
  while (true) {
    const int64_t size = ask(out.data(), out.size());
    if (size < 0) return static_cast<int32_t>(size);
    if (static_cast<size_t>(size) < out.size()) {
      out.resize(static_cast<size_t>(size));
      return TG_OK;
    }
    out.resize(static_cast<size_t>(size) + static_cast<size_t>(size) / 8 + kMore);
  }
}

}  // namespace

// (what, limiter, by or period, step, after, n) => the text
Napi::Value Gate::figures(const Napi::CallbackInfo& info) {
  const std::string what = info[0].ToString(), limiter = info[1].ToString(),
                    word = info[2].ToString(), step = info[3].ToString();
  const int64_t after = info[4].ToNumber().Int64Value();
  const int32_t n = info[5].ToNumber().Int32Value();
  tg_error error{};
  std::string out;
  const int32_t status = read(
      [&](char* to, size_t size) {
        if (what == "report") return tg_client_report(client_, to, size);
        if (what == "metrics") return tg_client_metrics_as(client_, 0, to, size);
        if (what == "openmetrics")
          return tg_client_metrics_as(client_, TG_METRICS_OPENMETRICS, to, size);
        if (what == "limited")
          return tg_client_limited_now(client_, text(limiter), n, to, size, &error);
        if (what == "events") return tg_client_events(client_, after, n, to, size, &error);
        if (what == "series")
          return tg_client_series(client_, text(limiter), text(word), text(step), to, size, &error);
        const uint32_t by = word == "cost" ? TG_BY_COST : word == "denied" ? TG_BY_DENIED : 0;
        return tg_client_top(client_, text(limiter), by, n, to, size, &error);
      },
      out);
  if (status < 0 && error.code < 0) raise(info.Env(), error);
  if (status < 0) raise(info.Env(), status, tg_strerror(status));
  return Napi::String::New(info.Env(), out);
}

// (key) => the promise of the text
Napi::Value Gate::look_up(const Napi::CallbackInfo& info) {
  std::string key;
  if (info[0].IsString()) {
    key = info[0].As<Napi::String>();
  } else {
    const auto bytes = info[0].As<Napi::Uint8Array>();
    key.assign(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
  }
  return wait_for(info.Env(), self_.Value(),
                  [client = client_, key](std::string& out, tg_error& error) -> int64_t {
                    return read(
                        [&](char* to, size_t size) {
                          return tg_client_look_up(client, key.data(), key.size(), to, size,
                                                   &error);
                        },
                        out);
                  });
}

}  // namespace tidegate::node
