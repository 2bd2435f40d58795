// SPDX-License-Identifier: MIT
#include "client/ring.h"

namespace tidegate {

Result<std::unique_ptr<Ring>> Ring::open(Client& client, int32_t capacity, bool local) {
  if (capacity < 1 || capacity > kMaxCapacity)
    return Error{Code::kInvalid, "ring capacity " + std::to_string(capacity) + ": expected 1 to " +
                                     std::to_string(kMaxCapacity)};
  if (client.closed()) return Error{Code::kClosed, "the client is closed"};
  auto reactor = Reactor::make();
  if (!reactor) return reactor.error();
  return std::unique_ptr<Ring>(new Ring(client, std::move(*reactor), capacity, local));
}

Ring::Ring(Client& client, std::unique_ptr<Reactor> reactor, int32_t capacity, bool local)
    : client_(client),
      reactor_(std::move(reactor)),
      capacity_(static_cast<size_t>(capacity)),
      local_(local) {
  if (!client.store()) return;
  channel_ = std::make_unique<Channel>(*client.store(), *reactor_);
  channel_->arm(!local_);  // its host may sleep before it ever reaps
  client.enroll(channel_.get());
}

Ring::~Ring() {
  if (!channel_) return;
  client_.dismiss(channel_.get());
  channel_.reset();  // before the calls that it knows
}

Call* Ring::take_free() {
  std::scoped_lock lock(mutex_);
  if (out_ == capacity_) return nullptr;
  ++out_;
  if (Call* call = free_.pop_front()) return call;
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
  Code code;
  {
    const Visits::Visit visit(client_.limiters().visits());
    code = client_.resolve(request.parts);
    if (code == Code::kOk)
      call->take(request.parts);
    else
      call->fail(code, Client::why(code, request.parts));
  }
  if (code == Code::kOk)
    start(call);
  else
    done(call);
  return true;
}

void Ring::start(Call* call) {
  call->sink = this;
  {
    std::scoped_lock lock(mutex_);
    call->out = true;
  }
  if (!channel_) {
    call->decision = client_.decide_here(call->op, call->parts, call->room_for_results());
    done(call);
  } else if (client_.prepare(call)) {
    channel_->submit(call, local_);
  } else {
    done(call);
  }
}

void Ring::done(Call* call) {
  bool first;
  {
    std::scoped_lock lock(mutex_);
    first = ready_.empty() && !reaping_;
    call->out = false;
    ready_.push_back(call);
  }
  if (first) reactor_->wake();
}

void Ring::flush() {
  if (channel_) channel_->send_queued();
}

std::span<Call* const> Ring::reap(size_t most) { return take_done(most, !local_); }

std::span<Call* const> Ring::take_done(size_t most, bool sleeps) {
  if (channel_) {
    {
      std::scoped_lock lock(mutex_);
      reaping_ = true;
    }
    channel_->pump();
    channel_->arm(sleeps);
  } else {
    while (reactor_->poll(0)) {
    }
  }
  bool leftovers;
  {
    std::scoped_lock lock(mutex_);
    reaping_ = false;
    for (Call* call : reaped_) free_.push_back(call);
    reaped_.clear();
    while (reaped_.size() < most && !ready_.empty()) reaped_.push_back(ready_.pop_front());
    out_ -= reaped_.size();
    leftovers = !ready_.empty();
  }
  if (leftovers) reactor_->wake();
  return reaped_;
}

std::span<Call* const> Ring::wait(size_t most, int64_t timeout_us) {
  const int64_t end_us = timeout_us < 0 ? 0 : monotonic_us() + timeout_us;
  while (true) {
    const auto reaped = take_done(most, false);  // disarmed: this thread comes back
    if (!reaped.empty() || most == 0) return reaped;
    int64_t left_us = -1;
    if (timeout_us >= 0 && (left_us = end_us - monotonic_us()) <= 0) return reaped;
    if (channel_) channel_->arm(!local_);
    reactor_->poll(left_us < 0 ? -1 : static_cast<int>(ceil_div(left_us, 1'000)));
  }
}

int32_t Ring::cancel(uint64_t user_data) {
  if (!channel_) return 0;  // everything is done as soon as it is submitted
  std::scoped_lock lock(mutex_);
  int32_t count = 0;
  for (const auto& call : pool_) {
    if (!call->out || call->user_data != user_data) continue;
    call->out = false;  // it is on its way back: not twice
    channel_->cancel(call.get());
    ++count;
  }
  return count;
}

}  // namespace tidegate
