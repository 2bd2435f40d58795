// SPDX-License-Identifier: MIT
// Random replies to prepared programs: kProtocol with no call touched, or an answer for every call
// that keeps within its limits. Never a crash.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "client/client.h"
#include "store/valkey/limiter_run.h"

using namespace tidegate;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

constexpr uint64_t kUntouched = 77;

// Calls of every algorithm and operation: alone, of several parts, merged, with shadows and several
// rates.
class Prepared {
 public:
  Prepared() : client_(std::move(*Client::open("redis://127.0.0.1:1", Options{}))) {
    for (const char* algorithm :
         {"token_bucket", "fixed_window", "sliding_window", "sliding_log"}) {
      open({.rates = "5/60s", .algorithm = algorithm});
      open({.rates = "3/1s; 20/3600s", .algorithm = algorithm});
      open({.rates = "4/60s", .algorithm = algorithm, .mode = "shadow"});
    }
  }

  void check(std::string_view reply, uint8_t which) {
    calls_.clear();
    program_.clear();
    for (size_t i = 0; i < 12; ++i) {
      if (which < 12 && which != i) continue;
      for (const Op op : {Op::kConsume, Op::kConsume, Op::kPeek, Op::kRefund, Op::kReset})
        add(op, {{i, 1}});
      add(Op::kConsume, {{i, 2}, {(i + 4) % 12, 1}, {i, 1}});
    }
    static_cast<void>(program_.command(false, 0, 0));
    if (which & 128) program_.abandon(0);
    const bool ok = program_.answer(reply).ok();
    for (size_t at = 0; at < calls_.size(); ++at) {
      const Call& call = *calls_[at];
      const bool skipped = (which & 128) && at == 0;
      if (!ok || skipped) {
        require(call.status == Code::kOk && call.decision.part_count == kUntouched);
      } else if (call.status == Code::kOk && (call.op == Op::kConsume || call.op == Op::kPeek)) {
        require(call.decision.source == Source::kStore);
        require(call.decision.binding < call.decision.part_count);
      } else {
        require(call.status == Code::kOk || call.status == Code::kWrongType);
      }
    }
  }

 private:
  struct Asked {
    size_t limiter;
    int64_t cost;
  };

  void open(LimiterSpec spec) {
    const std::string name = "l" + std::to_string(handles_.size());
    spec.name = name;
    handles_.push_back(*client_->limiters().open(spec));
  }

  void add(Op op, std::initializer_list<Asked> asked) {
    auto call = std::make_unique<Call>();
    std::vector<Part> parts;
    for (const Asked& one : asked)
      parts.push_back({.handle = handles_[one.limiter], .key = "key", .cost = one.cost});
    require(client_->resolve(parts) == Code::kOk);
    call->op = op;
    call->take(parts);
    require(client_->prepare(call.get()));
    call->decision.part_count = kUntouched;
    if (program_.add(call.get())) calls_.push_back(std::move(call));
  }

  std::unique_ptr<Client> client_;
  std::vector<uint64_t> handles_;
  LimiterRun program_;
  std::vector<std::unique_ptr<Call>> calls_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Prepared prepared;
  if (size == 0) return 0;
  prepared.check({reinterpret_cast<const char*>(data + 1), size - 1}, data[0]);
  return 0;
}
