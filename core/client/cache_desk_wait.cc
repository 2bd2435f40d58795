// SPDX-License-Identifier: MIT
// The desk's calls that wait for somebody else's fill.
#include <algorithm>
#include <vector>

#include "client/cache_desk.h"

namespace tidegate {
namespace {

// When one of those who wait for a fill elsewhere asks again, for all of them: after an eighth of
// the time that it has waited, within these.
constexpr int64_t kAskAgainUs = 5'000, kAskAgainLongestUs = 250'000;

}  // namespace

void CacheDesk::set_due(CacheAsk& ask, int64_t now_us) {
  const int64_t lease_us = std::max<int64_t>(ask.answer.wait_us, 1'000);
  const int64_t eighth_us = (now_us - ask.since_us) / 8;
  const int64_t again_us =
      embedded_ ? lease_us
                : std::min(lease_us, std::clamp(eighth_us, kAskAgainUs, kAskAgainLongestUs));
  ask.due_us = std::min(ask.give_up_us, now_us + again_us);
}

// Somebody else fills. Between the answer and this lock he may have ended: so it is asked again.
CacheDesk::Then CacheDesk::park(Call& call) {
  const MutexGuard guard(mutex_);
  if (shut_) {
    call.fail(Code::kClosed, "the client is closed");
    return Then::kDone;
  }
  CacheAsk& ask = *call.cache;
  const int64_t now_us = timeline_.now_us();
  waiting_.fetch_add(1, std::memory_order_acq_rel);  // finish() looks at it
  if (embedded_) look_up_here(call);
  if (!parks(call)) {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    ask.phase = CacheAsk::Phase::kAnswered;
    count(ask.answer);
    return Then::kDone;
  }
  if (now_us >= ask.give_up_us) {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    ask.answer = {.status = CacheStatus::kMiss, .source = ask.answer.source};
    ask.phase = CacheAsk::Phase::kAnswered;
    count(ask.answer);
    return Then::kDone;
  }
  try {
    insert_parked(call, now_us);
  } catch (...) {
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    throw;
  }
  return Then::kParked;
}

void CacheDesk::insert_parked(Call& call, int64_t now_us) {
  CacheAsk& ask = *call.cache;
  CallList& waiting = parked_[ask.key()];
  ask.sequence = sequence_.fetch_add(1, std::memory_order_acq_rel) + 1;
  ask.phase = CacheAsk::Phase::kParked;
  set_due(ask, now_us);
  waiting.push_back(&call);
}

// Others of this process wait for the same already: it waits with them, and the store is not asked.
bool CacheDesk::joins(Call& call) {
  const MutexGuard guard(mutex_);
  const auto found = parked_.find(call.cache->key());
  if (found == parked_.end() || shut_) return false;
  const CacheAnswer& known = found->second.front()->cache->answer;
  call.cache->answer = {
      .status = CacheStatus::kWait, .source = known.source, .wait_us = known.wait_us};
  insert_parked(call, timeline_.now_us());
  waiting_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void CacheDesk::remove(Call& call) {
  const auto found = parked_.find(call.cache->key());
  found->second.remove(&call);
  if (found->second.empty()) parked_.erase(found);
  waiting_.fetch_sub(1, std::memory_order_relaxed);
}

// It waits no longer: its answer is there.
void CacheDesk::tell(Call& call) {
  remove(call);
  call.cache->phase = CacheAsk::Phase::kAnswered;
  if (call.status == Code::kOk) count(call.cache->answer);
  call.sink->done(&call);
}

void CacheDesk::ask_again(Call& call) {
  CacheAsk& ask = *call.cache;
  if (!embedded_) {
    remove(call);
    ask.phase = CacheAsk::Phase::kAsksAgain;
    call.sink->done(&call);
    return;
  }
  look_up_here(call);
  if (parks(call)) return set_due(ask, timeline_.now_us());
  if (ask.answer.status == CacheStatus::kHit) ask.answer.status = CacheStatus::kShared;
  tell(call);
}

void CacheDesk::give_up(Call& call) {
  call.cache->answer = {.status = CacheStatus::kMiss, .source = call.cache->answer.source};
  tell(call);
}

void CacheDesk::share(Call& waiter, const CacheAsk& from) {
  CacheAnswer& answer = waiter.cache->answer;
  if (from.answer.entry) {  // of a look-up
    answer = from.answer;
    answer.granted = {};
    if (answer.status == CacheStatus::kHit) answer.status = CacheStatus::kShared;
    return tell(waiter);
  }
  answer = {.status = CacheStatus::kShared, .source = from.answer.source, .entry = from.entry};
  answer.born_us = from.answer.born_us;
  answer.age_us = std::max<int64_t>(0, clock_.now_us() - from.answer.born_us);
  answer.fresh_us = std::max<int64_t>(0, from.life.ttl_us - answer.age_us);
  tell(waiter);
}

// The fill failed: what there is to rescue is served, or everybody who waits gets the error.
void CacheDesk::fail(Call& waiter, const CacheAsk& from) {
  CacheAsk& ask = *waiter.cache;
  if (from.answer.retries) return ask_again(waiter);
  if (embedded_) {
    look_up_here(waiter);
    if (parks(waiter)) return set_due(ask, timeline_.now_us());
    const bool nothing = ask.answer.status == CacheStatus::kMiss && !ask.answer.entry;
    if (!nothing) return tell(waiter);
    table_.release(*ask.cache, ask.digest, ask.lease.token, false, clock_.now_us());
  }
  ask.answer = {.status = CacheStatus::kFailed, .source = from.answer.source, .text = from.reason};
  tell(waiter);
}

// A value goes to those who came before it was offered: who came later may have come after a purge
// that it does not know of.
void CacheDesk::wake_for(const Call& call) {
  const CacheAsk& from = *call.cache;
  const bool looked_up = call.op == Op::kCacheGet;
  const bool of_put =
      call.op == Op::kCachePut && from.hands_on &&
      (from.answer.done == CacheDone::kStored || from.answer.done == CacheDone::kRefused);
  const bool handed_on = of_put || looked_up;
  const bool failed =
      call.op == Op::kCacheRelease && from.failed && from.answer.done == CacheDone::kDone;
  const MutexGuard guard(mutex_);
  const auto found = parked_.find(from.key());
  if (found == parked_.end()) return;
  for (Call *waiter = found->second.front(), *next; waiter; waiter = next) {
    next = waiter->next;
    const bool before = waiter->cache->sequence <= from.sequence;
    if (handed_on && before)
      share(*waiter, from);
    else if (failed && before)
      fail(*waiter, from);
    else if (!looked_up)
      ask_again(*waiter);
  }
}

template <class F>
void CacheDesk::each_of(CallSink* sink, F&& f) {
  for (auto key = parked_.begin(), next_key = key; key != parked_.end(); key = next_key) {
    ++next_key;  // `key` goes when its last call does
    for (Call *call = key->second.front(), *next; call; call = next) {
      next = call->next;
      if (!sink || call->sink == sink) f(*call);
    }
  }
}

int64_t CacheDesk::look(CallSink* sink, int64_t now_us) {
  const MutexGuard guard(mutex_);
  each_of(sink, [&](Call& call) TIDEGATE_UNCHECKED_LOCKS {
    if (now_us >= call.cache->give_up_us)
      give_up(call);
    else if (embedded_ && now_us >= call.cache->due_us)
      ask_again(call);
  });
  for (auto key = parked_.begin(), next = key; !embedded_ && key != parked_.end(); key = next) {
    ++next;
    one_asks(key->second, sink, now_us);
  }
  int64_t next_us = 0;
  each_of(sink, [&](Call& call) {
    if (next_us == 0 || call.cache->due_us < next_us) next_us = call.cache->due_us;
  });
  return next_us;
}

// Of those who wait for one key the first asks, and the others may be answered with what it finds.
void CacheDesk::one_asks(CallList& waiting, CallSink* sink, int64_t now_us) {
  Call* asks = nullptr;
  for (Call* call = waiting.front(); call && !asks; call = call->next)
    if (call->sink == sink && now_us >= call->cache->due_us) asks = call;
  if (!asks) return;
  for (Call* call = waiting.front(); call; call = call->next)
    if (call->sink == sink) set_due(*call->cache, now_us);
  ask_again(*asks);  // the last thing: the list may go with it
}

void CacheDesk::heard(std::string_view digest) {
  if (embedded_ || waiting() == 0 || digest.size() != Sha256{}.size()) return;
  const int64_t now_us = timeline_.now_us();
  const MutexGuard guard(mutex_);
  for (auto key = parked_.begin(), next = key; key != parked_.end(); key = next) {
    ++next;
    const Sha256& of = key->first.digest;
    if (digest != std::string_view(reinterpret_cast<const char*>(of.data()), of.size())) continue;
    if (std::ranges::find(ending_, key->first) != ending_.end()) continue;
    std::vector<CallSink*> sinks;
    for (Call* call = key->second.front(); call; call = call->next) {
      call->cache->due_us = std::min(call->cache->due_us, now_us);
      if (std::ranges::find(sinks, call->sink) == sinks.end()) sinks.push_back(call->sink);
    }
    // Each has one that leaves: the list, if it goes, goes with the last of them.
    for (CallSink* sink : sinks) one_asks(key->second, sink, now_us);
  }
}

int32_t CacheDesk::cancel(CallSink* sink, uint64_t user_data) {
  const MutexGuard guard(mutex_);
  int32_t count = 0;
  each_of(sink, [&](Call& call) TIDEGATE_UNCHECKED_LOCKS {
    if (call.user_data != user_data) return;
    call.fail(Code::kCanceled, "canceled");
    tell(call);
    ++count;
  });
  return count;
}

void CacheDesk::forget(CallSink* sink) {
  const MutexGuard guard(mutex_);
  each_of(sink, [&](Call& call) TIDEGATE_UNCHECKED_LOCKS { remove(call); });
}

void CacheDesk::shut() {
  const MutexGuard guard(mutex_);
  shut_ = true;
  each_of(nullptr, [&](Call& call) TIDEGATE_UNCHECKED_LOCKS {
    call.fail(Code::kClosed, "the client is closed");
    tell(call);
  });
}

}  // namespace tidegate
