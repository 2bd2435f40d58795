// SPDX-License-Identifier: MIT
// The reply of a run: what the program saw, from which the answers are worked out.
#include "store/valkey/limiter_run.h"

namespace tidegate {

struct LimiterRun::Reader {
  std::string_view left;
  bool ok = true;

  int64_t number(size_t bytes) {
    if (left.size() < bytes) {
      ok = false;
      return 0;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<unsigned char>(left[i]);
    left.remove_prefix(bytes);
    return static_cast<int64_t>(value);
  }
};

namespace {

constexpr size_t kMostLogEntries = 3;  // a leg is told of at most so many

Error nonsense(std::string_view what) {
  return {Code::kProtocol,
          "the store's answer to the program makes no sense: " + std::string(what)};
}

// No state of ours has numbers whose products with its limit's could exceed 64 bits.
bool plausible(const Numbers& limit, const State& state) {
  const int64_t scale = limit.algorithm == Algorithm::kSlidingWindow ? limit.ticks : 1;
  const int64_t most = kExact / scale;
  const int64_t stamp =
      kExact / (limit.algorithm == Algorithm::kTokenBucket ? limit.tick_us : scale);
  return state.a <= most && state.b <= stamp && state.c <= most;
}

// Slots that are held are so by somebody who leaves after now, and not later than he may; and a
// cost that does not fit will fit.
bool plausible(const Numbers& limit, const Slots& seen, int64_t cost) {
  const int64_t latest_us = seen.now_us + limit.window_us + kMaxSkewUs;
  const auto lives = [&](int64_t until_us) {
    return until_us > seen.now_us && until_us <= latest_us;
  };
  if (seen.used + seen.own_slots > kMaxSlots) return false;
  if (seen.used ? !lives(seen.first_us) || !lives(seen.last_us) || seen.first_us > seen.last_us
                : seen.first_us || seen.last_us)
    return false;
  if (seen.held() ? !lives(seen.own_until_us) || !seen.own_slots : seen.own_slots != 0)
    return false;
  return seen.fit_us ? lives(seen.fit_us) && !seen.held()
                     : fits(limit, seen, cost) || cost > limit.capacity;
}

}  // namespace

// Loads the view of a leg from what the program saw.
Status LimiterRun::read_leg(Reader& reader, Leg& leg, int64_t now_us) {
  switch (leg.limit->algorithm) {
    case Algorithm::kTokenBucket:
    case Algorithm::kFixedWindow:
    case Algorithm::kSlidingWindow: {
      State state;
      state.a = reader.number(7);
      state.b = reader.number(7);
      if (leg.limit->algorithm == Algorithm::kSlidingWindow) state.c = reader.number(7);
      if (!plausible(*leg.limit, state)) return nonsense("a state's numbers");
      leg.view = view_at(*leg.limit, state, now_us);
      return Nothing{};
    }
    case Algorithm::kSlidingLog: {
      const int64_t count = reader.number(1);
      if (!reader.ok || count > static_cast<int64_t>(kMostLogEntries)) return nonsense("log");
      const LogEntry* first = log_entries_.data() + log_entries_.size();
      for (int64_t n = 0; n < count; ++n) {
        const int64_t time_us = reader.number(7);
        log_entries_.push_back({time_us, reader.number(7)});
      }
      leg.view.log = SlidingLog::at(*leg.limit, {first, static_cast<size_t>(count), 0}, now_us);
      return Nothing{};
    }
    case Algorithm::kConcurrency: {
      Slots& seen = leg.view.slots = {.used = reader.number(2)};
      seen.first_us = reader.number(7);
      seen.last_us = reader.number(7);
      seen.own_until_us = reader.number(7);
      seen.own_slots = reader.number(2);
      seen.fit_us = reader.number(7);
      seen.now_us = now_us;
      return Nothing{};
    }
  }
  __builtin_unreachable();
}

// Loads the views of one item's legs from what the program saw of them.
Status LimiterRun::read(Reader& reader, Item& item, int64_t now_us) {
  const int64_t status = reader.number(1);
  if (!reader.ok || status > 1) return nonsense("status");
  item.foreign = status == 1;
  if (item.foreign) return Nothing{};
  const int64_t passed = reader.number(4);
  if (!operation(item.op).decides) return Nothing{};
  if (passed > item.times) return nonsense("passed more often than asked");
  for (uint32_t i = 0; i < item.legs; ++i) {
    Leg& leg = legs_[item.first_leg + i];
    if (leg.slot != i) continue;
    if (auto status_of_leg = read_leg(reader, leg, now_us); !status_of_leg) return status_of_leg;
    if (!reader.ok) return nonsense("it ends early");
    if (leg.limit->algorithm == Algorithm::kConcurrency &&
        !plausible(*leg.limit, leg.view.slots, item.op == Op::kDebit ? 1 : leg.total))
      return nonsense("holders of slots");
  }
  return Nothing{};
}

// Works out the answer of one call, as if those before it had just run.
Verdict LimiterRun::decide(const Carried& carried, const Item& item, std::span<Leg> legs) {
  switch (item.op) {
    case Op::kPeek:
      return peek(legs);
    case Op::kDebit:
      for (size_t i = 0; i < legs.size(); ++i) legs[i].cost = costs_[carried.first_cost + i];
      return debit(legs);
    case Op::kConsume:
    case Op::kRefund:
    case Op::kReset:
    case Op::kPing:
    case Op::kCheck:
    case Op::kCommand:
    case Op::kCacheGet:  // no limiter's
    case Op::kCachePut:
    case Op::kCacheRelease:
    case Op::kCacheRenew:
    case Op::kCacheDelete:
    case Op::kCachePurge:
    case Op::kCacheClear:
      break;
  }
  return consume(legs);
}

Status LimiterRun::answer(std::string_view reply) {
  Reader reader{reply};
  const int64_t now_us = reader.number(7);
  if (now_us > kExact) return nonsense("time");
  log_entries_.clear();
  log_entries_.reserve(legs_.size() * kMostLogEntries);  // views point into it
  for (Item& item : items_)
    if (auto status = read(reader, item, now_us); !status) return status;
  if (!reader.left.empty()) return nonsense("bytes are left over");

  for (const Carried& carried : carried_) {
    const Item& item = items_[carried.item];
    Call* call = carried.call;
    if (item.foreign) {
      if (call) call->fail(Code::kWrongType, "a key in the store holds something that is no state");
      continue;
    }
    if (!operation(item.op).decides) {
      if (call) call->decision = {.source = Source::kStore};
      continue;
    }
    const std::span<Leg> legs(legs_.data() + item.first_leg, item.legs);
    const Verdict verdict = decide(carried, item, legs);
    if (!call) continue;
    call->decision =
        answer_from(call->parts, legs, verdict, Source::kStore, call->room_for_results());
  }
  return Nothing{};
}

}  // namespace tidegate
