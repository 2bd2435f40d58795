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
constexpr size_t kLimiters = 15;

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
    open({.rates = "5 at once"});
    open({.rates = "2 at once; 20/3600s overdraft 9", .lease = "1s"});
    open({.rates = "3 at once", .mode = "shadow"});
  }

  void check(std::string_view reply, uint8_t which) {
    calls_.clear();
    program_.clear();
    for (size_t i = 0; i < kLimiters; ++i) {
      if (which < kLimiters && which != i) continue;
      for (const Op op :
           {Op::kConsume, Op::kConsume, Op::kPeek, Op::kDebit, Op::kDebit, Op::kRefund, Op::kReset})
        add(op, {{i, 1}});
      add(Op::kDebit, {{i, kMaxCost}});
      add(Op::kConsume, {{i, 2}, {(i + 4) % kLimiters, 1}, {i, 1}});
      add(Op::kDebit, {{i, 2}, {(i + 7) % kLimiters, 1}, {i, 1}});
    }
    static_cast<void>(program_.command(false, 0, 0));
    if (which & 128) program_.abandon(0);
    const bool ok = program_.answer(reply).ok();
    for (size_t at = 0; at < calls_.size(); ++at) {
      const Call& call = *calls_[at];
      const bool skipped = (which & 128) && at == 0;
      if (!ok || skipped) {
        require(call.status == Code::kOk && call.decision.part_count == kUntouched);
      } else if (call.status == Code::kOk && operation(call.op).decides) {
        require(call.decision.source == Source::kStore);
        require(call.decision.binding < call.decision.part_count);
        for (uint32_t part = 0; part < call.decision.part_count; ++part) sound(call, part);
      } else {
        require(call.status == Code::kOk || call.status == Code::kWrongType);
      }
    }
  }

 private:
  static void sound(const Call& call, uint32_t part) {
    const RateResult& result = call.results[part];
    require(result.figures.remaining >= 0 && result.figures.remaining <= result.capacity);
    require(result.figures.retry_after_us >= kNever && result.figures.next_us >= 0 &&
            result.figures.reset_after_us >= 0);
    require(result.shortfall >= 0 && (call.op == Op::kDebit || result.shortfall == 0));
    require(!(result.flags & RateResult::kRenewed) || call.op == Op::kConsume);
    if (call.op == Op::kDebit) require(result.flags & RateResult::kAllowed);
  }

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
      parts.push_back(
          {.handle = handles_[one.limiter], .key = "key", .cost = one.cost, .id = {{7, 0}}});
    require(client_->resolve(op, parts) == Code::kOk);
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
