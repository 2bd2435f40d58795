// SPDX-License-Identifier: MIT
#include "client/cache_desk.h"

#include <algorithm>
#include <random>

#include "base/text.h"

namespace tidegate {
namespace {

// What the process keeps of what it fills itself while the store is away.
constexpr int64_t kAwayUs = 5'000'000;

uint64_t mixed(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
  return x ^ x >> 31;
}

uint64_t random_seed() {
  std::random_device system;
  return uint64_t{system()} << 32 | system();
}

int64_t chosen(int64_t given, int64_t usual) {
  return given == 0 ? usual : given == CacheRequest::kNone ? 0 : given;
}

bool has_key(Op op) { return op != Op::kCachePurge && op != Op::kCacheClear; }

// The first thing that is wrong with a request; an empty message: nothing.
Error check(Op op, const CacheRequest& request) {
  constexpr int64_t kMostLifeUs = 366LL * 86'400'000'000;
  const size_t digest_size = Sha256{}.size();
  const auto wrong = [](Code code, std::string message) { return Error{code, std::move(message)}; };
  if (has_key(op) && request.key.size() != digest_size)
    return wrong(Code::kKey, "a key of " + std::to_string(request.key.size()) +
                                 " bytes: expected the 32 that tg_cache_digest makes");
  if (op == Op::kCachePurge && (request.key.empty() || request.key.size() > kMaxTagBytes))
    return wrong(Code::kKey, "a tag of " + std::to_string(request.key.size()) +
                                 " bytes: expected 1 to " + std::to_string(kMaxTagBytes));
  if (op != Op::kCachePut) return {Code::kOk, {}};
  for (size_t i = 0; i < request.tag_count; ++i)
    if (request.tags[i].empty() || request.tags[i].size() > kMaxTagBytes)
      return wrong(Code::kKey, "a tag of " + std::to_string(request.tags[i].size()) +
                                   " bytes: expected 1 to " + std::to_string(kMaxTagBytes));
  if (request.meta.size() > kMaxMetaBytes)
    return wrong(Code::kInvalid, "metadata of " + std::to_string(request.meta.size()) +
                                     " bytes: expected at most " + std::to_string(kMaxMetaBytes));
  for (const int64_t us : {request.life.ttl_us, request.life.stale_us, request.life.error_us})
    if (us < CacheRequest::kNone || us > kMostLifeUs)
      return wrong(Code::kInvalid, "a lifetime of " + std::to_string(us) +
                                       " us: expected 0 (the cache's), TG_NEVER (none), or at "
                                       "most 366 days");
  return {Code::kOk, {}};
}

}  // namespace

CacheDesk::CacheDesk(const Parts& parts)
    : table_(parts.table),
      caches_(parts.caches),
      clock_(parts.clock),
      timeline_(parts.timeline),
      counters_(parts.counters),
      embedded_(parts.embedded),
      seed_(random_seed()) {}

// Odd where the lease is the process's own, even where it is a store's; never 0.
uint64_t CacheDesk::new_token() {
  const uint64_t number = tokens_.fetch_add(1, std::memory_order_relaxed) + 1;
  const uint64_t token = mixed(seed_ + number * 0x9e3779b97f4a7c15ULL);
  return embedded_ ? token | 1 : std::max<uint64_t>(token & ~uint64_t{1}, 2);
}

bool CacheDesk::take(Call& call, const CacheRequest& request) {
  const Cache* cache = caches_.find(request.handle);
  if (!cache) {
    call.fail(Code::kHandle, "no such cache in this client: it was closed, or opened by another");
    return false;
  }
  if (const Error wrong = check(call.op, request); wrong.code != Code::kOk) {
    call.fail(wrong.code, wrong.message);
    return false;
  }
  if (!call.cache) call.cache = std::make_unique<CacheAsk>();
  CacheAsk& ask = *call.cache;
  ask.cache = cache;
  ask.answer = {};
  ask.entry = {};
  ask.tag.clear();
  ask.reason.clear();
  ask.phase = CacheAsk::Phase::kAsks;
  ask.give_up_us = ask.due_us = 0;
  ask.fills = request.fills;
  ask.waits = request.waits && request.fills;
  ask.failed = request.failed;
  ask.lease = request.lease;
  if (has_key(call.op))
    std::copy(request.key.begin(), request.key.end(), ask.digest.begin());
  else
    ask.tag = request.key;
  const CacheConfig& config = *cache->config;
  if (call.op == Op::kCacheGet && ask.fills) ask.lease = {new_token(), 0};
  ask.since_us = ask.waits ? timeline_.now_us() : 0;
  if (ask.waits)
    ask.give_up_us = ask.since_us + std::min(request.wait_us > 0 ? request.wait_us : config.wait_us,
                                             kMaxTimeoutUs);
  if (call.op == Op::kCacheRelease && ask.failed)
    ask.reason = request.value.substr(0, kMaxMetaBytes);
  if (call.op != Op::kCachePut) return true;
  const Lifetimes& usual = config.numbers.life;
  ask.life = config.jittered(
      {chosen(request.life.ttl_us, usual.ttl_us), chosen(request.life.stale_us, usual.stale_us),
       chosen(request.life.error_us, usual.error_us)},
      new_token());
  // What is too large lives for no time: the filler has it, and who waits, but nobody else.
  if (request.value.size() > static_cast<size_t>(config.max_entry)) ask.life = {};
  ask.hands_on = request.value.size() <= static_cast<size_t>(kMaxEntryBytes);
  ask.entry =
      make_entry({request.kind, ask.digest, std::span(request.tags).first(request.tag_count),
                  request.meta, ask.hands_on ? request.value : std::string_view()});
  return true;
}

CacheDesk::Then CacheDesk::begin(Call& call) {
  CacheAsk& ask = *call.cache;
  const bool first = ask.phase == CacheAsk::Phase::kAsks;
  ask.phase = CacheAsk::Phase::kAsks;
  ask.answer = {};
  if (!embedded_ && first && ask.waits && waiting() > 0 && joins(call)) return Then::kParked;
  if (call.op == Op::kCacheGet && ask.fills && !embedded_) ask.lease = {new_token(), 0};
  ask.sequence = sequence_.load(std::memory_order_acquire);
  const bool held_here = ask.lease.token % 2 == 1;  // since the store was away
  if (!embedded_ && !held_here) {
    if (waiting() > 0) begin_end(call);
    return Then::kSend;
  }
  answer_here(call);
  return parks(call) ? park(call) : finish(call);
}

void CacheDesk::begin_end(const Call& call) {
  if (call.op != Op::kCachePut && call.op != Op::kCacheRelease) return;
  const MutexGuard guard(mutex_);
  if (ending_.size() == kMostEnding) ending_.erase(ending_.begin());
  ending_.push_back(call.cache->key());
  ending_count_.store(ending_.size(), std::memory_order_relaxed);
}

void CacheDesk::end_ended(const Call& call) {
  const MutexGuard guard(mutex_);
  const auto found = std::ranges::find(ending_, call.cache->key());
  if (found != ending_.end()) ending_.erase(found);
  ending_count_.store(ending_.size(), std::memory_order_relaxed);
}

CacheDesk::Then CacheDesk::settle(Call& call) {
  const bool ends = call.op == Op::kCachePut || call.op == Op::kCacheRelease;
  if (ends && ending_count_.load(std::memory_order_relaxed) > 0) end_ended(call);
  const bool answered = call.status == Code::kOk;
  const bool away = call.status <= Code::kStore;
  if (answered || away) also_here(call);
  if (!answered && !(away && answer_away(call))) {
    call.cache->phase = CacheAsk::Phase::kAnswered;
    return Then::kDone;
  }
  return parks(call) ? park(call) : finish(call);
}

// What is wiped in the store is wiped here too, whether the store heard of it or not.
void CacheDesk::also_here(const Call& call) {
  const CacheAsk& ask = *call.cache;
  const int64_t now_us = clock_.now_us();
  if (call.op == Op::kCacheDelete) table_.erase(*ask.cache, ask.digest, now_us);
  if (call.op == Op::kCachePurge) table_.purge(*ask.cache, ask.tag, now_us);
  if (call.op == Op::kCacheClear) table_.clear(*ask.cache, now_us);
}

// The store is away: as if nothing were there, but what the process has itself. What else was to be
// changed there is not, and its caller hears why.
bool CacheDesk::answer_away(Call& call) {
  CacheAsk& ask = *call.cache;
  if (call.op != Op::kCacheGet && call.op != Op::kCachePut) return false;
  call.status = Code::kOk;
  call.text.clear();
  if (call.op == Op::kCacheGet) {
    ask.lease.token |= 1;
    look_up_here(call);
  } else {
    put_here(call);
  }
  ask.answer.source = Source::kFallback;
  return true;
}

void CacheDesk::answer_here(Call& call) {
  CacheAsk& ask = *call.cache;
  const int64_t now_us = clock_.now_us();
  const auto done = [&](bool yes) { ask.answer.done = yes ? CacheDone::kDone : CacheDone::kNot; };
  ask.answer.source = embedded_ ? Source::kMemory : Source::kFallback;
  switch (call.op) {
    case Op::kCacheGet:
      return look_up_here(call);
    case Op::kCachePut:
      return put_here(call);
    case Op::kCacheRelease:
      return done(table_.release(*ask.cache, ask.digest, ask.lease.token, ask.failed, now_us));
    case Op::kCacheRenew:
      return done(table_.renew(*ask.cache, ask.digest, ask.lease.token, now_us));
    case Op::kCacheDelete:
      return done(table_.erase(*ask.cache, ask.digest, now_us));
    case Op::kCachePurge:
      table_.purge(*ask.cache, ask.tag, now_us);
      return done(true);
    case Op::kCacheClear:
      table_.clear(*ask.cache, now_us);
      return done(true);
    case Op::kConsume:
    case Op::kPeek:
    case Op::kRefund:
    case Op::kReset:
    case Op::kPing:
    case Op::kDebit:
    case Op::kCheck:
    case Op::kCommand:
      return call.fail(Code::kInternal, "no operation of a cache");
  }
}

void CacheDesk::look_up_here(Call& call) {
  CacheAsk& ask = *call.cache;
  const int64_t now_us = clock_.now_us();
  CacheTable::Found found =
      table_.get(*ask.cache, ask.digest, ask.fills ? ask.lease.token : 0, now_us);
  CacheAnswer& answer = ask.answer;
  answer = {};
  answer.status = found.seen.status;
  answer.source = Source::kMemory;
  answer.wait_us = found.seen.wait_us;
  if (found.seen.granted) answer.granted = {ask.lease.token, found.lease_born};
  if (!found.seen.shows_entry) return;
  answer.entry = std::move(found.entry);
  answer.born_us = found.times.born;
  answer.age_us = std::max<int64_t>(0, now_us - found.times.born);
  answer.fresh_us = std::max<int64_t>(0, found.times.fresh_until - now_us);
}

void CacheDesk::put_here(Call& call) {
  CacheAsk& ask = *call.cache;
  const int64_t now_us = clock_.now_us();
  if (!embedded_) {
    const int64_t near_us = ask.cache->config->near_us;
    ask.life = {std::min(ask.life.ttl_us, near_us > 0 ? near_us : kAwayUs), 0, 0};
  }
  switch (table_.put(*ask.cache, ask.digest, {ask.lease.token, ask.lease.born, ask.life}, ask.entry,
                     now_us)) {
    case PutStatus::kStored:
      ask.answer.done = CacheDone::kStored;
      break;
    case PutStatus::kLate:
      ask.answer.done = CacheDone::kLate;
      break;
    case PutStatus::kRefused:
      ask.answer.done = CacheDone::kRefused;
      break;
  }
  ask.answer.born_us = ask.lease.token ? ask.lease.born : now_us;
}

// The call is answered; who waits for what it did is told.
CacheDesk::Then CacheDesk::finish(Call& call) {
  CacheAsk& ask = *call.cache;
  ask.phase = CacheAsk::Phase::kAnswered;
  count(ask.answer);
  if (call.op == Op::kCachePurge) counters_.add(Counter::kCachePurges);
  if (call.op == Op::kCacheClear) counters_.add(Counter::kCacheClears);
  // One who asked again has found what the others wait for.
  const bool found = call.op == Op::kCacheGet && !embedded_ && ask.answer.entry &&
                     ask.answer.status != CacheStatus::kMiss;
  if (call.op == Op::kCachePut || call.op == Op::kCacheRelease || found) {
    // Written, so that either it is before park()'s, which then finds what was stored, or behind
    // it.
    if (waiting_.fetch_add(0, std::memory_order_acq_rel) > 0) wake_for(call);
    ask.entry = {};
  }
  return Then::kDone;
}

void CacheDesk::count(const CacheAnswer& answer) {
  switch (answer.status) {
    case CacheStatus::kNone:
    case CacheStatus::kWait:
    case CacheStatus::kFailed:
      break;
    case CacheStatus::kHit:
      return counters_.add(Counter::kCacheHits);
    case CacheStatus::kStale:
      return counters_.add(Counter::kCacheStale);
    case CacheStatus::kRescued:
      return counters_.add(Counter::kCacheRescued);
    case CacheStatus::kMiss:
      return counters_.add(Counter::kCacheMisses);
    case CacheStatus::kShared:
      return counters_.add(Counter::kCacheShared);
  }
  if (answer.done == CacheDone::kStored) counters_.add(Counter::kCacheStored);
  if (answer.done == CacheDone::kLate) counters_.add(Counter::kCacheLate);
  if (answer.done == CacheDone::kRefused) counters_.add(Counter::kCacheRefused);
}

}  // namespace tidegate
