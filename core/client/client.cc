// SPDX-License-Identifier: MIT
#include "client/client.h"

#include <pthread.h>

#include <cstdlib>

namespace tidegate {
namespace {

const int registered = pthread_atfork(nullptr, nullptr, [] { fork_generation.fetch_add(1); });

}  // namespace

Result<std::unique_ptr<Client>> Client::open(std::optional<std::string_view> url,
                                             const Options& options) {
  static_cast<void>(registered);
  if (!url) {
    const char* from_environment = std::getenv("TIDEGATE_URL");
    url = from_environment && *from_environment ? from_environment : "memory://";
  }
  auto parsed = parse_store_url(*url);
  if (!parsed) return parsed.error();
  Options merged = parsed->options;
  merged.override_with(options);
  if (auto status = check_store(*parsed, merged); !status) return status.error();
  return std::unique_ptr<Client>(new Client(std::move(*parsed), std::move(merged)));
}

Client::Client(StoreUrl url, Options options)
    : url_(std::move(url)),
      options_(std::move(options)),
      fork_generation_(fork_generation),
      fingerprint_(options_.testing ? 1 : 0),
      clock_(options_.manual_clock),
      limiters_({options_.name_space, options_.on_failure, options_.fallback_share}, fingerprint_,
                [this](std::span<const Limiters::ConfigPtr> gone) { engine_.let_go(gone); }),
      engine_({options_.max_keys, options_.max_bytes}, fingerprint_, clock_, recorder_) {
  if (embedded()) return;
  const int64_t probe_us = (options_.timeout_ms + options_.connect_timeout_ms) * 1'000;
  store_.reset(new StoreContext{url_,
                                options_,
                                fingerprint_,
                                clock_,
                                engine_,
                                recorder_,
                                recorder_.counters(),
                                events_,
                                Breaker(options_.breaker_failures, probe_us),
                                TlsContext(),
                                {},
                                {}});
}

Client::~Client() { close(); }

void Client::abandon() {
  if (driver_) driver_->abandon();
}

bool Client::close() {
  if (closed_.exchange(true, std::memory_order_acq_rel)) return false;
  std::scoped_lock lock(mutex_);
  for (Channel* channel : channels_) channel->shut();
  return true;
}

void Client::enroll(Channel* channel) {
  std::scoped_lock lock(mutex_);
  channels_.push_back(channel);
  if (closed()) channel->shut();
}

void Client::dismiss(Channel* channel) {
  std::scoped_lock lock(mutex_);
  std::erase(channels_, channel);
}

Code Client::resolve(std::span<Part> parts) const {
  for (Part& part : parts)
    if (const Code code = resolve(part); code != Code::kOk) return code;
  return Code::kOk;
}

std::string Client::why(Code code, std::span<const Part> parts) {
  for (const Part& part : parts) {
    if (!part.limiter) break;
    const std::string of = " for limiter '" + part.limiter->name + "': expected ";
    if (code == Code::kKey && part.key.empty()) return "an empty key" + of + "1 byte or more";
    if (code == Code::kCost && (part.cost < 0 || part.cost > kMaxCost))
      return "cost " + std::to_string(part.cost) + of + "0 to " + std::to_string(kMaxCost);
  }
  return "no such limiter in this client: it was closed, or opened by another";
}

Decision Client::decide_here(Op op, std::span<const Part> parts, RateResult* results) {
  if (op == Op::kConsume && parts.size() == 1 && parts[0].limiter->simple())
    return consume_here(parts[0], results[0]);
  return engine_.decide(op, parts, NumbersFor::kStore, Source::kMemory, results);
}

Reading Client::read() const {
  Reading now = recorder_.read();
  const MemoryStats memory = engine_.stats();
  now.keys = memory.keys;
  now.bytes = memory.bytes;
  now.evicted_idle = memory.evicted_idle;
  now.evicted_harmless = memory.evicted_harmless;
  now.evicted_owing = memory.evicted_owing;
  now.breaker_open = breaker_open() ? 1 : 0;
  now.store_up = !store_ || !(store_->lost.load(std::memory_order_relaxed) || breaker_open());
  now.events_dropped = events_.dropped();
  return now;
}

bool Client::prepare(Call* call) {
  if (call->op == Op::kPing) return true;
  const bool elsewhere = call->op == Op::kRefund && call->refund_to != Source::kNone &&
                         call->refund_to != Source::kStore;
  if (elsewhere) {  // what the policy allowed without asking took nothing that could be given back
    if (call->refund_to == Source::kFallback)
      engine_.decide(call->op, call->parts, NumbersFor::kFallback, Source::kFallback, nullptr);
    call->decision = {.source = call->refund_to};
    return false;
  }
  size_t most = 0;
  for (const Part& part : call->parts) most += part.limiter->rates.size();
  call->legs.resize(most);
  call->legs.resize(make_legs(call->parts, NumbersFor::kStore, fingerprint_, call->legs.data()));
  if (call->op == Op::kReset)
    engine_.decide(call->op, call->parts, NumbersFor::kFallback, Source::kFallback, nullptr);
  if (!call->legs.empty()) return true;
  call->decision = engine_.decide(call->op, call->parts, NumbersFor::kStore, Source::kStore,
                                  call->room_for_results());
  return false;
}

void Client::run(std::span<Call* const> calls) {
  SyncDriver* driver;
  {
    std::scoped_lock lock(mutex_);
    if (!driver_) {
      auto made = SyncDriver::make(*store_);
      if (!made) {
        for (Call* call : calls) call->fail(made.error().code, made.error().message);
        return;
      }
      driver_ = std::move(*made);
      channels_.push_back(&driver_->channel());
      if (closed()) driver_->channel().shut();
    }
    driver = driver_.get();
  }
  driver->run(calls);
}

}  // namespace tidegate
