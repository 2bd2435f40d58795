// SPDX-License-Identifier: MIT
#include "limiter/decide.h"

#include <algorithm>
#include <limits>

namespace tidegate {
namespace {

bool leg_fits(std::span<Leg> legs, const Leg& leg) {
  return visit(leg.limit->algorithm, legs[leg.slot].view,
               [&](const auto& state) { return fits(*leg.limit, state, leg.total); });
}

Answer leg_ask(std::span<Leg> legs, const Leg& leg, int64_t cost) {
  return visit(leg.limit->algorithm, legs[leg.slot].view,
               [&](const auto& state) { return ask(*leg.limit, state, cost); });
}

// Sets answer.allowed of every leg to whether it fits, and returns whether none blocks.
Verdict judge(std::span<Leg> legs) {
  Verdict verdict;
  for (Leg& leg : legs) {
    leg.answer.allowed = leg_fits(legs, leg);
    leg.answer.renewed = leg.limit->algorithm == Algorithm::kConcurrency && leg.total &&
                         legs[leg.slot].view.slots.held();
    if (leg.answer.allowed) continue;
    if (leg.shadow)
      verdict.would_deny = true;
    else
      verdict.allowed = false;
  }
  return verdict;
}

void answer_as_asked(std::span<Leg> legs) {
  for (Leg& leg : legs) leg.answer = leg_ask(legs, leg, leg.total);
}

int64_t rank_of_wait(const Leg& leg) {
  const int64_t wait = leg.answer.retry_after_us;
  return wait == kNever ? std::numeric_limits<int64_t>::max() : wait;
}

}  // namespace

void prepare(std::span<Leg> legs, bool apart) {
  for (Leg& leg : legs) {
    const bool alone = apart && leg.limit->algorithm == Algorithm::kConcurrency;
    leg.total = 0;
    const auto same =
        alone ? legs.begin() + (&leg - legs.data()) : std::ranges::find(legs, leg.id, &Leg::id);
    leg.slot = static_cast<uint32_t>(same - legs.begin());
    legs[leg.slot].total += leg.cost;
  }
  for (Leg& leg : legs) leg.total = legs[leg.slot].total;
}

Verdict consume(std::span<Leg> legs) {
  Verdict verdict = judge(legs);
  if (!verdict.allowed) {
    answer_as_asked(legs);
    verdict.binding = binding(legs);
    return verdict;
  }
  for (Leg& leg : legs)  // before anything is charged: a shadow that does not fit keeps saying so
    if (!leg.answer.allowed) leg.answer = leg_ask(legs, leg, leg.total);
  for (size_t i = 0; i < legs.size(); ++i) {  // once for each state
    Leg& leg = legs[i];
    if (leg.slot != i || !leg.answer.allowed || leg.total == 0) continue;
    visit(leg.limit->algorithm, leg.view,
          [&](auto& state) { state.charge(*leg.limit, leg.total); });
    leg.changed = true;
  }
  for (Leg& leg : legs) {
    if (!leg.answer.allowed) continue;
    const bool renewed = leg.answer.renewed;
    leg.answer = leg_ask(legs, leg, 0);
    leg.answer.renewed = renewed;
  }
  verdict.binding = binding(legs);
  return verdict;
}

Verdict peek(std::span<Leg> legs) {
  Verdict verdict = judge(legs);
  answer_as_asked(legs);
  verdict.binding = binding(legs);
  return verdict;
}

Verdict debit(std::span<Leg> legs) {
  for (Leg& leg : legs) {
    const int64_t taken = visit(leg.limit->algorithm, legs[leg.slot].view, [&](auto& state) {
      const int64_t fitting = std::min(leg.cost, state.room(*leg.limit));
      if (fitting) state.charge(*leg.limit, fitting);
      return fitting;
    });
    legs[leg.slot].changed |= taken > 0;
    leg.answer.shortfall = leg.cost - taken;
  }
  for (Leg& leg : legs) {
    const int64_t shortfall = leg.answer.shortfall;
    leg.answer = leg_ask(legs, leg, 1);
    leg.answer.shortfall = shortfall;
  }
  const Verdict verdict{.binding = binding(legs)};
  for (Leg& leg : legs) leg.answer.allowed = true;
  return verdict;
}

void refund(std::span<Leg> legs) {
  for (Leg& leg : legs) {
    visit(leg.limit->algorithm, legs[leg.slot].view,
          [&](auto& state) { state.refund(*leg.limit, leg.cost); });
    legs[leg.slot].changed = true;
  }
}

uint32_t binding(std::span<const Leg> legs) {
  const bool all_shadow = std::ranges::all_of(legs, &Leg::shadow);
  const Leg* chosen = nullptr;
  for (const Leg& leg : legs) {
    if (leg.shadow && !all_shadow) continue;
    if (!chosen || (!leg.answer.allowed && chosen->answer.allowed)) {
      chosen = &leg;
    } else if (leg.answer.allowed != chosen->answer.allowed) {
      continue;
    } else if (leg.answer.allowed ? leg.answer.remaining < chosen->answer.remaining
                                  : rank_of_wait(leg) > rank_of_wait(*chosen)) {
      chosen = &leg;
    }
  }
  return chosen ? static_cast<uint32_t>(chosen - legs.data()) : 0;
}

}  // namespace tidegate
