// SPDX-License-Identifier: MIT
#include "client/client.h"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>

#include "store/valkey/failure.h"

namespace tidegate {
namespace {

// The costs of one state add up under the first part's id.
bool taken_by_nobody(std::span<const Part> parts) {
  for (size_t i = 0; i < parts.size(); ++i) {
    const Part& part = parts[i];
    if (!part.limiter->has_slots || part.cost == 0) continue;
    const auto same = [&](const Part& other) {
      return other.limiter->name == part.limiter->name && other.key == part.key;
    };
    if (!std::ranges::find_if(parts, same)->id.given()) return true;
  }
  return false;
}

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
  const char* const strictest = std::getenv("TIDEGATE_MODE");
  auto mode = strictest && *strictest ? parse_mode(strictest) : Result<Mode>(Mode::kEnforce);
  if (!mode) return Error{Code::kOption, "$TIDEGATE_MODE: " + mode.error().message};
  return std::unique_ptr<Client>(new Client(std::move(*parsed), std::move(merged), *mode));
}

Client::Client(StoreUrl url, Options options, Mode mode)
    : url_(std::move(url)),
      options_(std::move(options)),
      fork_generation_(fork_generation),
      fingerprint_(options_.testing ? 1 : 0),
      clock_(options_.manual_clock),
      limiters_(
          {options_.name_space, options_.on_failure, options_.fallback_share, mode}, fingerprint_,
          [this](std::span<const Limiters::ConfigPtr> gone) { engine_.let_go(gone); },
          [this](const LimiterConfig& config) {
            config.figures = recorder_.figures_of(config.name);
          }),
      recorder_({static_cast<StatsLevel>(options_.stats), static_cast<LabelMode>(options_.labels),
                 options_.stats_bytes},
                &fingerprint_),
      engine_({options_.max_keys, options_.max_bytes}, fingerprint_, clock_, recorder_),
      cache_table_(options_.cache_bytes, options_.manual_clock),
      desk_({cache_table_, caches_, clock_, timeline_, recorder_.counters(), embedded()}),
      guards_({limiters_, options_, clock_, recorder_.counters(), events_}),
      live_(*this) {
  if (embedded()) return;
  store_.reset(new StoreContext{url_, options_, clock_, timeline_, engine_, recorder_,
                                recorder_.counters(), events_, HostNames::of_system()});
}

Client::~Client() { close(); }

// A forked child: another thread of the parent's may have had the lock.
void Client::abandon() TIDEGATE_UNCHECKED_LOCKS {
  if (driver_) driver_->abandon();
}

bool Client::close() {
  if (closed_.exchange(true, std::memory_order_acq_rel)) return false;
  desk_.shut();
  MutexGuard guard(mutex_);
  if (driver_) driver_->channel().shut();
  for (Window* window : windows_) window->client_closed();
  guard.unlock();
  live_.stop();
  guard.lock();
  return true;
}

void Client::enroll(Window& window) {
  const MutexGuard guard(mutex_);
  windows_.push_back(&window);
  if (closed()) window.client_closed();
}

void Client::dismiss(Window& window) {
  const MutexGuard guard(mutex_);
  std::erase(windows_, &window);
}

Code Client::resolve(Op op, std::span<Part> parts) const {
  bool slots = false;
  for (Part& part : parts) {
    if (const Code code = resolve(part); code != Code::kOk) return code;
    slots |= part.limiter->has_slots;
  }
  return slots && op == Op::kConsume && taken_by_nobody(parts) ? Code::kId : Code::kOk;
}

std::string Client::why(Code code, std::span<const Part> parts) {
  for (const Part& part : parts) {
    if (!part.limiter) break;
    if (code == Code::kId && part.limiter->has_slots && !part.id.given())
      return "slots of limiter '" + part.limiter->name +
             "' are taken under an id: expected 1 to 16 "
             "bytes";
    const std::string of = " for limiter '" + part.limiter->name + "': expected ";
    if (code == Code::kKey && part.key.empty()) return "an empty key" + of + "1 byte or more";
    if (code == Code::kCost && (part.cost < 0 || part.cost > kMaxCost))
      return "cost " + std::to_string(part.cost) + of + "0 to " + std::to_string(kMaxCost);
  }
  return "no such limiter in this client: it was closed, or opened by another";
}

Result<uint64_t> Client::open_guard(const GuardSpec& spec) {
  auto opened = guards_.open(spec);
  // Limits of code alone are no policy that others could say something about.
  if (opened && ((store_ && !spec.policy.empty()) || !spec.file.empty())) live_.follow();
  return opened;
}

bool Client::take_check(Call& call, uint64_t guard, std::string_view attributes,
                        std::string_view scope) {
  const Guard* const found = guards_.find(guard);
  if (!found) {
    call.fail(Code::kHandle, "no such guard in this client: it was closed, or opened by another");
    return false;
  }
  if (!call.extra) call.extra = std::make_unique<Check>();
  auto& check = static_cast<Check&>(*call.extra);
  if (const Code code = found->prepare(attributes, scope, check, call.text); code != Code::kOk) {
    const std::string why = std::move(call.text);
    call.fail(code, why);
    return false;
  }
  call.checked = true;
  call.op = Op::kConsume;
  if (!check.parts.empty()) return true;
  call.parts.clear();
  call.decision = {.allowed = check.verdict != PolicyVerdict::kBanned, .source = Source::kPolicy};
  if (check.verdict != PolicyVerdict::kLimits)
    recorder_.answered_by_policy(check.verdict == PolicyVerdict::kBanned);
  return false;
}

Decision Client::decide_here(Op op, std::span<const Part> parts, RateResult* results) {
  if (op == Op::kConsume && parts.size() == 1 && parts[0].limiter->simple())
    return consume_here(parts[0], results[0]);
  return engine_.decide(op, parts, NumbersFor::kStore, Source::kMemory, results);
}

void Client::note_evictions() {
  const int64_t owing = engine_.stats().evicted_owing;
  const int64_t before = evictions_noted_.exchange(owing);
  if (owing <= before || options_.stats != static_cast<int64_t>(StatsLevel::kOn)) return;
  recorder_.context().history.add(
      Level::kWarning, Code::kOk, wall_us(),
      std::to_string(owing - before) +
          " states of callers who owed were dropped for want of room: max_keys or max_bytes",
      Happening::Kind::kEvicted);
}

Reading Client::read() const {
  Reading now = recorder_.read();
  const MemoryStats memory = engine_.stats();
  now.keys = memory.keys;
  now.bytes = memory.bytes;
  now.evicted_idle = memory.evicted_idle;
  now.evicted_harmless = memory.evicted_harmless;
  now.evicted_owing = memory.evicted_owing;
  const CacheStats caches = cache_table_.stats(clock_.now_us());
  now.cache_entries = caches.entries;
  now.cache_bytes = caches.bytes;
  now.cache_evicted = caches.evicted;
  now.breaker_open = breaker_open() ? 1 : 0;
  now.store_up = !store_ || !(store_->health.lost() || breaker_open());
  now.events_dropped = events_.dropped();
  return now;
}

bool Client::prepare(Call* call) {
  if (operation(call->op).family != Family::kLimiter) return true;
  const bool elsewhere = operation(call->op).goes_to_source && call->refund_to != Source::kNone &&
                         call->refund_to != Source::kStore;
  if (elsewhere) {
    // What the policy allowed without asking took nothing that could be given back, and is nowhere
    // that it could be charged.
    RateResult* const results = call->room_for_results();
    call->decision = call->refund_to == Source::kFallback
                         ? engine_.decide(call->op, call->parts, NumbersFor::kFallback,
                                          Source::kFallback, results)
                     : operation(call->op).decides
                         ? answer_without_store(call->parts, true, 0, call->refund_to, results)
                         : Decision{.source = call->refund_to};
    return false;
  }
  size_t most = 0;
  for (const Part& part : call->parts) most += part.limiter->rates.size();
  call->legs.resize(most);
  call->legs.resize(
      make_legs(call->op, call->parts, NumbersFor::kStore, fingerprint_, call->legs.data()));
  if (call->op == Op::kReset)
    engine_.decide(call->op, call->parts, NumbersFor::kFallback, Source::kFallback, nullptr);
  if (!call->legs.empty()) return true;
  call->decision = engine_.decide(call->op, call->parts, NumbersFor::kStore, Source::kStore,
                                  call->room_for_results());
  return false;
}

SyncDriver* Client::driver(Error& why) {
  const MutexGuard guard(mutex_);
  if (driver_) return driver_.get();
  auto made = SyncDriver::make(*store_);
  if (!made) {
    why = made.error();
    return nullptr;
  }
  driver_ = std::move(*made);
  if (closed()) driver_->channel().shut();
  return driver_.get();
}

void Client::run(std::span<Call* const> calls) {
  Error why;
  if (SyncDriver* found = driver(why)) return found->run(calls);
  for (Call* call : calls) {
    call->deadline_us = 0;  // it was not submitted
    answer_by_policy(*store_, call, why.code, why.message);
  }
}

}  // namespace tidegate
