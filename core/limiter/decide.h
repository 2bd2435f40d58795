// SPDX-License-Identifier: MIT
// The one function of every engine: given each rate's state as of now, what is the answer, and what
// is charged. tests/conformance/model.py (class Store) is its specification.
//
// A Leg is one rate of one part of a request. Its maker fills id, holder, limit, cost and shadow,
// and calls prepare(); an engine loads the view of each leg that is its own slot, calls consume,
// peek, debit or refund, and keeps the views that changed. Pure, allocation-free, any thread.
#pragma once

#include <cstdint>
#include <span>

#include "base/fingerprint.h"
#include "limiter/fixed_window.h"
#include "limiter/sliding_log.h"
#include "limiter/sliding_window.h"
#include "limiter/slots.h"
#include "limiter/token_bucket.h"

namespace tidegate {

// What a rate has left, and the waits. kNever where nobody knows.
struct Figures {
  int64_t remaining = kNever;       // tokens that could be spent now
  int64_t retry_after_us = kNever;  // the least wait after which this cost fits; 0 when allowed
  int64_t next_us = kNever;         // the least wait after which remaining grows; 0 when it is full
  int64_t reset_after_us = kNever;  // the wait after which nothing of the past is left
};

// One rate's view of a request, after it if it was charged.
struct Answer : Figures {
  bool allowed = false;
  bool renewed = false;   // by a consume: he held slots already, and his lease runs anew
  int64_t shortfall = 0;  // of a debit: tokens that did not fit
};

// A state as of one instant; which member counts is the limit's algorithm.
union View {
  TokenBucket bucket;
  FixedWindow fixed;
  SlidingWindow sliding;
  SlidingLog log;
  Slots slots;
};

struct Leg {
  Fingerprint id{};                // whose state: (limiter's name, algorithm, window, key)
  HolderId holder{};               // in whose name, where it is of slots; else none
  const Numbers* limit = nullptr;  // outlives every engine that is asked about it
  int64_t cost = 0;
  int64_t total = 0;  // with the costs of all legs of the same state; prepare() fills it
  uint32_t slot =
      0;  // the leg that holds the state: this one's index, or an earlier one's; prepare() too
  bool shadow = false;
  bool changed = false;  // out: charged or refunded (said of the leg that is the slot)
  Answer answer{};
  View view{};
};

struct Verdict {
  bool allowed = true;
  bool would_deny = false;  // a shadow leg did not fit
  uint32_t binding = 0;     // the leg that speaks for the request
};

// Calls f with the member of the view that the algorithm means.
template <class V, class F>
decltype(auto) visit(Algorithm algorithm, V& view, F&& f) {
  switch (algorithm) {
    case Algorithm::kTokenBucket:
      return f(view.bucket);
    case Algorithm::kFixedWindow:
      return f(view.fixed);
    case Algorithm::kSlidingWindow:
      return f(view.sliding);
    case Algorithm::kSlidingLog:
      return f(view.log);
    case Algorithm::kConcurrency:
      return f(view.slots);
  }
  __builtin_unreachable();
}

// Is a state of it three integers?
constexpr bool is_plain(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kTokenBucket:
    case Algorithm::kFixedWindow:
    case Algorithm::kSlidingWindow:
      return true;
    case Algorithm::kSlidingLog:
    case Algorithm::kConcurrency:
      return false;
  }
  __builtin_unreachable();
}

// The view of a state that is_plain().
inline View view_at(const Numbers& limit, const State& state, int64_t now_us) {
  switch (limit.algorithm) {
    case Algorithm::kTokenBucket:
      return {.bucket = TokenBucket::at(limit, state, now_us)};
    case Algorithm::kFixedWindow:
      return {.fixed = FixedWindow::at(limit, state, now_us)};
    case Algorithm::kSlidingWindow:
      return {.sliding = SlidingWindow::at(limit, state, now_us)};
    case Algorithm::kSlidingLog:
    case Algorithm::kConcurrency:
      break;
  }
  __builtin_unreachable();
}

inline bool far_ahead(const Numbers& limit, const State& state, int64_t now_us) {
  switch (limit.algorithm) {
    case Algorithm::kTokenBucket:
      return TokenBucket::far_ahead(limit, state, now_us);
    case Algorithm::kFixedWindow:
      return FixedWindow::far_ahead(limit, state, now_us);
    case Algorithm::kSlidingWindow:
      return SlidingWindow::far_ahead(limit, state, now_us);
    case Algorithm::kSlidingLog:
    case Algorithm::kConcurrency:
      break;
  }
  __builtin_unreachable();
}

// May `cost` be taken from a state now? Asking for nothing is always allowed.
template <class Algo>
bool fits(const Numbers& limit, const Algo& state, int64_t cost) {
  return cost == 0 || (cost <= limit.capacity && state.fits(limit, cost));
}
// Whoever holds slots may have them again.
inline bool fits(const Numbers& limit, const Slots& state, int64_t cost) {
  return cost == 0 || state.held() || (cost <= limit.capacity && state.fits(limit, cost));
}

template <class Algo>
Figures figures_of(const Numbers& limit, const Algo& state, int64_t cost) {
  const int64_t remaining = state.remaining(limit);
  const int64_t retry = cost > limit.capacity ? kNever : cost ? state.wait(limit, cost) : 0;
  const int64_t next = remaining >= limit.capacity ? 0
                       : cost == remaining + 1     ? retry
                                                   : state.wait(limit, remaining + 1);
  return {remaining, retry, next, state.reset_after(limit)};
}

inline Figures figures_of(const Numbers& limit, const Slots& state, int64_t cost) {
  const int64_t retry = cost == 0 || state.held() ? 0
                        : cost > limit.capacity   ? kNever
                                                  : state.wait(limit, cost);
  return {state.remaining(limit), retry, state.next(), state.reset_after()};
}

template <class Algo>
Answer ask(const Numbers& limit, const Algo& state, int64_t cost) {
  const Figures figures = figures_of(limit, state, cost);
  return {figures, figures.retry_after_us == 0};
}

// The single leg of the most frequent request: consume(), without the loops.
template <class Algo>
bool consume_one(const Numbers& limit, Algo& state, int64_t cost, Figures& figures) {
  const bool fit = fits(limit, state, cost);
  if (fit && cost) state.charge(limit, cost);
  figures = figures_of(limit, state, fit ? 0 : cost);
  return fit;
}

// Fills slot and total: the costs of equal states add up, and each leg sees the sum, under the
// first one's id. `apart` (of refunds and debits): each leg of slots stands for itself, under its
// own. O(legs^2), legs <= 128.
void prepare(std::span<Leg> legs, bool apart = false);
// All or nothing. A denied request changes no view; a shadow leg that does not fit is not charged.
Verdict consume(std::span<Leg> legs);
// Would it be allowed? Changes nothing.
Verdict peek(std::span<Leg> legs);
// Charges what has been used already, as far as it fits, each leg for itself, and is never denied.
// The answers are those of peeks of cost 1, for which views of slots are looked at. Prepared apart.
Verdict debit(std::span<Leg> legs);
// Gives the costs back, never beyond untouched. Prepared apart.
void refund(std::span<Leg> legs);
// Among the legs that can block (all, if every leg is a shadow): the denying one with the longest
// wait, else the one with the fewest tokens remaining; the first on a tie.
uint32_t binding(std::span<const Leg> legs);

}  // namespace tidegate
