// SPDX-License-Identifier: MIT
// The client's figures, as the text that the core makes of them: figures.js reads it.
#include <memory>

#include "gate.h"

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

// What a promise is made of: a thread of libuv's waits for the store. The gate's object stays as
// long, and with it the client.
class LookUp : public Napi::AsyncWorker {
 public:
  LookUp(Napi::Env env, Napi::Object gate, tg_client* client, std::string key)
      : AsyncWorker(env, "tidegate.lookUp"),
        promise_(Napi::Promise::Deferred::New(env)),
        gate_(Napi::Persistent(gate)),
        client_(client),
        key_(std::move(key)) {}

  Napi::Promise promise() const { return promise_.Promise(); }

  void Execute() override {
    status_ = read(
        [this](char* to, size_t size) {
          return tg_client_look_up(client_, key_.data(), key_.size(), to, size, &error_);
        },
        text_);
  }
  void OnOK() override {
    if (status_ == TG_OK) return promise_.Resolve(Napi::String::New(Env(), text_));
    try {
      raise(Env(), error_);
    } catch (const Napi::Error& error) {
      promise_.Reject(error.Value());
    }
  }

 private:
  Napi::Promise::Deferred promise_;
  Napi::ObjectReference gate_;
  tg_client* const client_;
  const std::string key_;
  int32_t status_ = TG_OK;
  tg_error error_{};
  std::string text_;
};

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
  auto work = std::make_unique<LookUp>(info.Env(), self_.Value(), client_, std::move(key));
  const Napi::Promise promise = work->promise();
  work->Queue();
  static_cast<void>(work.release());  // it deletes itself
  return promise;
}

}  // namespace tidegate::node
