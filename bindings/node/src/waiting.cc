// SPDX-License-Identifier: MIT
#include "waiting.h"

#include "addon.h"

namespace tidegate::node {
namespace {

class Waiting final : public Napi::AsyncWorker {
 public:
  Waiting(Napi::Env env, Napi::Object gate, Work work)
      : AsyncWorker(env, "tidegate"),
        promise_(Napi::Promise::Deferred::New(env)),
        gate_(Napi::Persistent(gate)),
        work_(std::move(work)) {}

  Napi::Promise promise() const { return promise_.Promise(); }

 private:
  void Execute() override { status_ = work_(out_, error_); }
  void OnOK() override {
    try {
      settle();
    } catch (const Napi::Error&) {
      // The environment is going down, where no JavaScript runs any more: nobody waits.
    }
  }
  void OnError(const Napi::Error& error) override { promise_.Reject(error.Value()); }

  void settle() {
    if (status_ >= 0) return promise_.Resolve(Napi::String::New(Env(), out_));
    const auto code = static_cast<int32_t>(status_);
    try {
      raise(Env(), code, error_.message[0] ? error_.message : tg_strerror(code), error_.position);
    } catch (const Napi::Error& error) {
      promise_.Reject(error.Value());
    }
  }

  const Napi::Promise::Deferred promise_;
  Napi::ObjectReference gate_;
  const Work work_;
  std::string out_;
  tg_error error_{.position = -1};
  int64_t status_ = 0;
};

}  // namespace

Napi::Value wait_for(Napi::Env env, Napi::Object gate, Work work) {
  auto* waiting = new Waiting(env, gate, std::move(work));  // it deletes itself
  const Napi::Promise promise = waiting->promise();
  waiting->Queue();
  return promise;
}

}  // namespace tidegate::node
