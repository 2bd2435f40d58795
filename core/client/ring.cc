// SPDX-License-Identifier: MIT
#include "client/ring.h"

#include <algorithm>
#include <bit>
#include <limits>

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
      from_(local ? Channel::From::kPump : Channel::From::kAnyThread),
      after_reap_(local ? Then::kComesBack : Then::kSleeps) {
  if (client.store()) {
    channel_ = std::make_unique<Channel>(*client.store(), *reactor_);
    const MutexGuard guard(mutex_);
    buckets_.resize(std::bit_ceil(capacity_));
    if (after_reap_ == Then::kSleeps) channel_->arm();  // its host may sleep before it ever reaps
  }
  client.enroll(*this);
}

Ring::~Ring() {
  client_.dismiss(*this);
  client_.desk().forget(this);
  channel_.reset();  // before the calls that it knows
}

void Ring::client_closed() {
  if (channel_) channel_->shut();
  reactor_->wake();
}

Call* Ring::take_free() {
  const MutexGuard guard(mutex_);
  if (out_ == capacity_) return nullptr;
  Call* call = free_.pop_front();
  if (!call) {
    pool_.push_back(std::make_unique<Call>());
    call = pool_.back().get();
  }
  ++out_;
  return call;
}

// Finds the limiters, and holds them. False: the call is answered already, or has failed.
bool Ring::take(Call& call, const Request& request) {
  if (request.cache) {
    call.pins.clear();
    call.parts.clear();
    call.legs.clear();
    return client_.desk().take(call, *request.cache);
  }
  const Visits::Visit visit(client_.limiters().visits());
  if (request.op == Op::kCheck) {
    if (!client_.take_check(call, request.guard, request.attributes, request.scope)) return false;
    call.take(static_cast<const Check&>(*call.extra).parts);
    return true;
  }
  const Code code = client_.resolve(request.op, request.parts);
  if (code == Code::kOk)
    call.take(request.parts);
  else
    call.fail(code, Client::why(code, request.parts));
  return code == Code::kOk;
}

bool Ring::submit(const Request& request) {
  Call* call = take_free();
  if (!call) return false;
  call->user_data = request.user_data;
  call->op = request.op;
  call->refund_to = request.refund_to;
  call->timeout_us = request.timeout_us;
  call->status = Code::kOk;
  call->checked = false;
  call->decision = {};
  call->text.clear();
  try {
    if (client_.closed()) {
      call->fail(Code::kClosed, "the client is closed");
      done(call);
    } else if (take(*call, request)) {
      start(call);
    } else {
      done(call);
    }
  } catch (const std::bad_alloc&) {  // nobody else has it yet
    call->fail_bare(Code::kNoMemory);
    done(call);
  }
  return true;
}

void Ring::start(Call* call) {
  call->sink = this;
  if (call->is_cache()) return start_cache(call);
  if (!channel_) {
    call->decision = client_.decide_here(call->op, call->parts, call->room_for_results());
    return done(call);
  }
  if (!client_.prepare(call)) return done(call);
  send(call);
}

void Ring::send(Call* call) {
  {
    const MutexGuard guard(mutex_);
    expect(call);
  }
  channel_->submit(call, from_);
}

// A call that waits may be answered, and reaped, before begin() has returned.
void Ring::start_cache(Call* call) {
  switch (client_.desk().begin(*call)) {
    case CacheDesk::Then::kDone:
      return done(call);
    case CacheDesk::Then::kParked:
      look_us_.store(kLookNow, std::memory_order_release);
      return reactor_->wake();
    case CacheDesk::Then::kSend:
      return send(call);
  }
}

// The store has answered a cache's call. True: it waits for somebody else's fill now.
bool Ring::waits_on(Call* call) noexcept {
  bool canceled;
  {
    const MutexGuard guard(mutex_);
    canceled = !call->out;
    forget(call);
  }
  if (canceled) call->cache->waits = false;
  try {
    if (client_.desk().settle(*call) == CacheDesk::Then::kParked) {
      look_us_.store(kLookNow, std::memory_order_release);
      reactor_->wake();
      return true;
    }
  } catch (const std::bad_alloc&) {
    call->fail_bare(Code::kNoMemory);
  }
  if (canceled && call->cache->answer.status == CacheStatus::kWait)
    call->fail_bare(Code::kCanceled);
  return false;
}

void Ring::ask_again() {
  if (!channel_) return;  // the embedded store's are asked again where they wait
  CallList again;
  {
    const MutexGuard guard(mutex_);
    again.splice(again_);
  }
  while (Call* call = again.pop_front()) {
    try {
      start_cache(call);
    } catch (const std::bad_alloc&) {
      call->fail_bare(Code::kNoMemory);
      call->cache->phase = CacheAsk::Phase::kAnswered;
      done(call);
    }
  }
}

void Ring::heard(std::string_view message) noexcept {
  try {
    client_.desk().heard(message);
  } catch (const std::bad_alloc&) {  // they learn by asking
  }
}

void Ring::look_at_waiting() {
  const int64_t due_us = look_us_.load(std::memory_order_acquire);
  if (due_us == 0) return;
  const int64_t now_us = client_.timeline().now_us();
  if (now_us < due_us) return;
  look_us_.store(0, std::memory_order_release);  // before the look: who comes later says so again
  const int64_t next_us = client_.desk().look(this, now_us);
  int64_t nothing = 0;
  if (next_us != 0 && channel_) {
    try {
      channel_->listen(*this);
    } catch (const std::bad_alloc&) {  // it learns by asking
    }
  }
  if (next_us == 0 || !look_us_.compare_exchange_strong(nothing, next_us)) return;
  if (channel_)
    channel_->look_at(next_us);
  else
    reactor_->set_timer(next_us);
}

Call*& Ring::bucket(uint64_t user_data) {
  const uint64_t mixed = (user_data ^ user_data >> 32) * 0x9e3779b97f4a7c15ULL;
  return buckets_[(mixed >> 40) & (buckets_.size() - 1)];
}

void Ring::expect(Call* call) {
  call->sequence.store(call->sequence.load(std::memory_order_relaxed) + 1,
                       std::memory_order_relaxed);
  call->out = true;
  Call*& head = bucket(call->user_data);
  call->bucket_previous = nullptr;
  call->bucket_next = head;
  if (head) head->bucket_previous = call;
  head = call;
}

void Ring::forget(Call* call) {
  if (!call->out) return;
  call->out = false;
  (call->bucket_previous ? call->bucket_previous->bucket_next : bucket(call->user_data)) =
      call->bucket_next;
  if (call->bucket_next) call->bucket_next->bucket_previous = call->bucket_previous;
}

void Ring::done(Call* call) noexcept {
  using Phase = CacheAsk::Phase;
  const bool cache = call->is_cache() && call->cache;
  if (cache && call->cache->phase == Phase::kAsks && waits_on(call)) return;
  const bool again = cache && call->cache->phase == Phase::kAsksAgain;
  bool first;
  {
    const MutexGuard guard(mutex_);
    first = (ready_.empty() && again_.empty()) && !reaping_;
    forget(call);
    (again ? again_ : ready_).push_back(call);
  }
  if (first) reactor_->wake();
}

void Ring::flush() {
  if (channel_) channel_->send_queued();
}

std::span<Call* const> Ring::reap(size_t most) { return take_done(most, after_reap_); }

std::span<Call* const> Ring::take_done(size_t most, Then then) {
  look_at_waiting();
  ask_again();
  if (channel_) {
    {
      const MutexGuard guard(mutex_);
      reaping_ = true;
    }
    channel_->pump();
    if (then == Then::kSleeps)
      channel_->arm();
    else
      channel_->disarm();
  } else {
    while (reactor_->poll(0)) {
    }
  }
  bool leftovers;
  {
    const MutexGuard guard(mutex_);
    reaping_ = false;
    for (Call* call : reaped_) {
      if (call->cache) call->cache->let_go();
      free_.push_back(call);
    }
    reaped_.clear();
    reaped_.reserve(std::min(most, ready_.size()));  // where that fails, nothing is lost
    while (reaped_.size() < most && !ready_.empty()) reaped_.push_back(ready_.pop_front());
    out_ -= reaped_.size();
    leftovers = !ready_.empty() || !again_.empty();
  }
  if (leftovers) reactor_->wake();
  return reaped_;
}

bool Ring::finished() const {
  if (!client_.closed()) return false;
  const MutexGuard guard(mutex_);
  return out_ == 0;
}

std::span<Call* const> Ring::wait(size_t most, int64_t timeout_us) {
  constexpr int64_t kNoEnd = std::numeric_limits<int64_t>::max();
  const Timeline& timeline = client_.timeline();
  const int64_t start_us = timeline.now_us();
  const int64_t end_us =
      timeout_us < 0 || timeout_us > kNoEnd - start_us ? kNoEnd : start_us + timeout_us;
  while (true) {
    const auto reaped = take_done(most, Then::kComesBack);
    if (!reaped.empty() || most == 0 || finished()) return reaped;
    const int64_t left_us = end_us - timeline.now_us();
    if (left_us <= 0) return reaped;
    if (channel_ && after_reap_ == Then::kSleeps) channel_->arm();
    reactor_->poll(static_cast<int>(ceil_div(std::min(left_us, kMaxTimeoutUs), 1'000)));
  }
}

int32_t Ring::cancel(uint64_t user_data) {
  int32_t count = client_.desk().waiting() ? client_.desk().cancel(this, user_data) : 0;
  if (!channel_) return count;  // everything else is done as soon as it is submitted
  const MutexGuard guard(mutex_);
  for (Call *call = again_.front(), *next; call; call = next) {
    next = call->next;
    if (call->user_data != user_data) continue;
    again_.remove(call);
    call->fail_bare(Code::kCanceled);
    ready_.push_back(call);
    ++count;
  }
  if (count) reactor_->wake();
  for (Call *call = bucket(user_data), *next; call; call = next) {
    next = call->bucket_next;
    if (call->user_data != user_data) continue;
    forget(call);  // it is on its way back: not twice
    channel_->cancel(call);
    ++count;
  }
  return count;
}

}  // namespace tidegate
