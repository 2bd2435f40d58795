// SPDX-License-Identifier: MIT
#include "client/client.h"

#include <pthread.h>

#include <cstdlib>

namespace tidegate {
namespace {

std::atomic<uint64_t> generation{1};

const int registered = pthread_atfork(nullptr, nullptr, [] { generation.fetch_add(1); });

}  // namespace

uint64_t fork_generation() { return generation.load(std::memory_order_relaxed); }

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
      fork_generation_(tidegate::fork_generation()),
      fingerprint_(options_.testing ? 1 : 0),
      clock_(options_.manual_clock),
      limiters_({options_.name_space, options_.on_failure, options_.fallback_share}, fingerprint_),
      engine_({options_.max_keys, options_.max_bytes}, fingerprint_, clock_) {}

Client::~Client() { close(); }

bool Client::forked() const { return fork_generation_ != tidegate::fork_generation(); }

bool Client::close() { return !closed_.exchange(true, std::memory_order_acq_rel); }

Status Client::resolve(std::span<Part> parts) const {
  for (Part& part : parts) {
    part.limiter = limiters_.find(part.handle);
    if (!part.limiter) [[unlikely]]
      return Error{Code::kHandle, "no such limiter in this client: it was closed, or opened by another"};
    if (part.key.empty()) [[unlikely]]
      return Error{Code::kKey, "an empty key for limiter '" + part.limiter->name +
                                   "': expected 1 byte or more"};
    if (part.cost < 0 || part.cost > kMaxCost) [[unlikely]]
      return Error{Code::kCost, "cost " + std::to_string(part.cost) + " for limiter '" +
                                    part.limiter->name + "': expected 0 to " +
                                    std::to_string(kMaxCost)};
  }
  return Nothing{};
}

Decision Client::decide_here(Op op, std::span<const Part> parts, PartResult* results) {
  const Decision decision =
      engine_.decide(op, parts, Engine::kOwn, Source::kMemory, results);
  if (op == Op::kConsume) {
    counters_.add(decision.allowed ? Counter::kAllowed : Counter::kDenied);
    counters_.add(Counter::kByMemory);
    if (decision.would_deny) counters_.add(Counter::kWouldDeny);
  }
  return decision;
}

void Client::run(std::span<Call* const> calls) {
  for (Call* call : calls) call->fail(Code::kStore, "stores are not linked in yet");
}

}  // namespace tidegate
