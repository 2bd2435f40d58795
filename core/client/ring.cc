// SPDX-License-Identifier: MIT
#include "client/ring.h"

namespace tidegate {

Result<std::unique_ptr<Ring>> Ring::open(Client& client, int32_t capacity, bool local) {
  if (capacity < 1 || capacity > kMaxCapacity)
    return Error{Code::kInvalid, "ring capacity " + std::to_string(capacity) +
                                     ": expected 1 to " + std::to_string(kMaxCapacity)};
  if (client.closed()) return Error{Code::kClosed, "the client is closed"};
  auto reactor = Reactor::make();
  if (!reactor) return reactor.error();
  return std::unique_ptr<Ring>(new Ring(client, std::move(*reactor), capacity, local));
}

Ring::Ring(Client& client, std::unique_ptr<Reactor> reactor, int32_t capacity, bool local)
    : client_(client),
      reactor_(std::move(reactor)),
      capacity_(static_cast<size_t>(capacity)),
      local_(local) {}

Ring::~Ring() = default;

Call* Ring::take_free() {
  std::scoped_lock lock(mutex_);
  if (Call* call = free_.pop_front()) return call;
  if (pool_.size() == capacity_) return nullptr;
  pool_.push_back(std::make_unique<Call>());
  return pool_.back().get();
}

bool Ring::submit(const Request& request) {
  Call* call = take_free();
  if (!call) return false;
  call->user_data = request.user_data;
  call->op = request.op;
  call->refund_to = request.refund_to;
  call->timeout_us = request.timeout_us;
  call->status = Code::kOk;
  call->decision = {};
  call->text.clear();
  if (client_.closed()) {
    call->fail(Code::kClosed, "the client is closed");
    done(call);
    return true;
  }
  if (auto status = client_.resolve(request.parts); !status) {
    call->fail(status.error().code, status.error().message);
    done(call);
    return true;
  }
  call->take(request.parts);
  answer_here(call);
  return true;
}

void Ring::answer_here(Call* call) {
  call->decision = client_.decide_here(call->op, call->parts, call->room_for_results());
  done(call);
}

void Ring::done(Call* call) {
  bool first;
  {
    std::scoped_lock lock(mutex_);
    first = ready_.empty();
    ready_.push_back(call);
  }
  if (first) reactor_->wake();
}

void Ring::flush() {}

std::span<Call* const> Ring::reap(size_t most) {
  while (reactor_->poll(0)) {
  }
  bool leftovers;
  {
    std::scoped_lock lock(mutex_);
    for (Call* call : reaped_) free_.push_back(call);
    reaped_.clear();
    while (reaped_.size() < most && !ready_.empty()) reaped_.push_back(ready_.pop_front());
    leftovers = !ready_.empty();
  }
  if (leftovers) reactor_->wake();
  return reaped_;
}

std::span<Call* const> Ring::wait(size_t most, int64_t timeout_us) {
  const int64_t end_us = timeout_us < 0 ? 0 : monotonic_us() + timeout_us;
  while (true) {
    const auto reaped = reap(most);
    if (!reaped.empty() || most == 0) return reaped;
    int64_t left_us = -1;
    if (timeout_us >= 0 && (left_us = end_us - monotonic_us()) <= 0) return reaped;
    reactor_->poll(left_us < 0 ? -1 : static_cast<int>(ceil_div(left_us, 1'000)));
  }
}

int32_t Ring::cancel(uint64_t) { return 0; }

}  // namespace tidegate
