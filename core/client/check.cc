// SPDX-License-Identifier: MIT
#include "client/check.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/time.h"
#include "http/units.h"

namespace tidegate {
namespace {

bool asked(Source source) {
  return source == Source::kMemory || source == Source::kStore || source == Source::kFallback;
}

PolicyView view_of(const RateResult& rate, std::string_view name) {
  return {.name = name,
          .limit = rate.limit,
          .window_us = rate.window_us,
          .capacity = rate.capacity,
          .allowed = (rate.flags & RateResult::kAllowed) != 0,
          .shadow = (rate.flags & RateResult::kShadow) != 0,
          .off = (rate.flags & RateResult::kOff) != 0,
          .remaining = rate.figures.remaining,
          .retry_after_us = rate.figures.retry_after_us,
          .next_us = rate.figures.next_us,
          .reset_after_us = rate.figures.reset_after_us};
}

// Digits below 2^52, as costs are; or -1.
int64_t number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = !text.empty() && end == text.data() + text.size() && text[0] != '-';
  return whole && error == std::errc() && value <= kMaxCost ? value : -1;
}

}  // namespace

void Check::clear() {
  verdict = PolicyVerdict::kLimits;
  caller.clear();
  reason.clear();
  retry_after_us = kNever;
  scope_before.clear();
  afters.clear();
  after_ends.clear();
  parts.clear();
  named.clear();
  keys.clear();
  status = 200;
  fields.clear();
  body.clear();
  scope.clear();
  renew_us = 0;
  limit = 0;
  finish = composed = false;
}

// Is the same limit in a later check, too? Then that one's figures count.
bool Check::said_again(const Call& call, const Charge& charge) const {
  const auto same = [&](const auto& other) {
    return other.handle == charge.handle && other.key == charge.key;
  };
  const Charge* const last = before_.charges.data() + before_.charges.size();
  return std::any_of(&charge + 1, last, same) || std::ranges::any_of(call.parts, same);
}

// The parts of earlier checks, then this one's.
void Check::view(const Call& call) {
  views_.clear();
  names_.clear();
  if (call.decision.allowed || asked(call.decision.source)) {
    size_t several = 0;
    for (const Charge& charge : before_.charges) several += charge.rates() > 1 ? charge.rates() : 0;
    names_.reserve(several);  // views point into it
    for (const Charge& charge : before_.charges) {
      if (!asked(charge.source) || said_again(call, charge)) continue;
      for (size_t i = 0; i < charge.rates(); ++i) {
        const RateResult rate = charge.rate(i);
        std::string_view name = charge.name;
        if (charge.rates() > 1)
          name = names_.emplace_back(std::string(name) + "-" + window_text(rate.window_us));
        views_.push_back(view_of(rate, name));
      }
    }
  }
  first_ = views_.size();
  if (call.decision.allowed && !asked(call.decision.source)) return;
  for (const Part& part : call.parts)
    for (const Rate& rate : part.limiter->rates) {
      const size_t at = views_.size() - first_;
      if (at == call.decision.part_count) return;
      views_.push_back(view_of(call.results[at], rate.policy));
    }
}

// Whose figures the fields that can name only one have: of a denial its own, else the one with the
// least left.
size_t Check::binding(const Call& call) const {
  if (!call.decision.allowed) return first_ + call.decision.binding;
  size_t chosen = views_.size();
  for (size_t i = 0; i < views_.size(); ++i) {
    if (views_[i].shadow || views_[i].off) continue;
    if (chosen == views_.size() || views_[i].remaining < views_[chosen].remaining) chosen = i;
  }
  return chosen == views_.size() ? 0 : chosen;
}

void Check::refuse_banned() {
  status = 403;
  body = R"({"type":"about:blank","title":"Forbidden","status":403,)"
         R"("detail":"This caller is banned.")";
  if (retry_after_us != kNever) {
    const std::string seconds = std::to_string(retry_seconds(retry_after_us));
    fields.append("Retry-After: ").append(seconds).append("\n");
    body.append(R"(,"retry_after":)").append(seconds);
  }
  body += '}';
}

// Into the scope, and what it means for the time until the response is done.
void Check::carry(const Charge& charge, bool denied) {
  append_charge(scope, charge);
  if (!charge.took) return;
  finish |= denied || charge.id.given() || !charge.after.empty();
  if (charge.id.given())
    renew_us = renew_us ? std::min(renew_us, charge.lease_us / 2) : charge.lease_us / 2;
}

void Check::write_scope(const Call& call) {
  const bool denied = !call.decision.allowed;
  begin_scope(scope, denied);
  for (const Charge& charge : before_.charges) carry(charge, denied);
  if (denied) return;  // it took nothing
  size_t rate = 0;
  for (size_t i = 0; i < call.parts.size(); ++i) {
    const Part& part = call.parts[i];
    const size_t rates = std::min(part.limiter->rates.size(), call.decision.part_count - rate);
    const RateResult* const results = call.results.data() + rate;
    rate += rates;
    const uint32_t begins = i ? after_ends[i - 1] : 0;
    Charge charge{.handle = part.handle,
                  .cost = part.cost,
                  .id = part.limiter->has_slots ? part.id : HolderId{},
                  .lease_us = part.limiter->lease_us,
                  .source = call.decision.source,
                  .took = part.cost > 0 && asked(call.decision.source),
                  .name = part.limiter->name,
                  .key = part.key,
                  .after = std::string_view(afters).substr(begins, after_ends[i] - begins),
                  .figures = {reinterpret_cast<const char*>(results), rates * sizeof(RateResult)}};
    for (size_t r = 0; r < rates; ++r)
      charge.took &=
          (results[r].flags & RateResult::kAllowed) && !(results[r].flags & RateResult::kOff);
    carry(charge, denied);
  }
}

// Of the part that the binding rate is of.
uint32_t Check::denying(const Call& call) const {
  size_t rates = 0;
  for (size_t i = 0; i < call.parts.size() && i < named.size(); ++i) {
    rates += call.parts[i].limiter->rates.size();
    if (call.decision.binding < rates) return named[i];
  }
  return 0;
}

void Check::compose(const Call& call) {
  composed = true;
  before_.read(scope_before);  // prepare() has seen that it is one
  if (verdict == PolicyVerdict::kExempt && before_.charges.empty()) {
    scope = scope_before;
    return;
  }
  if (verdict == PolicyVerdict::kBanned) {
    refuse_banned();
    begin_scope(scope, true);
    for (const Charge& charge : before_.charges) {
      append_charge(scope, charge);
      finish |= charge.took;
    }
    return;
  }
  view(call);
  status = http_status(call.decision.allowed, call.decision.source);
  // What an earlier check was told is said also where this one asked nobody.
  const bool only_before = call.decision.allowed && first_ > 0 && !asked(call.decision.source);
  const DecisionView seen{.allowed = call.decision.allowed,
                          .source = only_before ? Source::kStore : call.decision.source,
                          .binding = binding(call),
                          .parts = views_};
  append_http_headers(fields, seen, style, style.legacy ? wall_us() : 0);
  if (!call.decision.allowed) {
    const DecisionView own{.allowed = false,
                           .source = call.decision.source,
                           .binding = call.decision.binding,
                           .parts = std::span(views_).subspan(first_)};
    body = http_problem(own);
    if (own.binding < own.parts.size()) retry_after_us = own.parts[own.binding].retry_after_us;
    limit = denying(call);
  }
  write_scope(call);
}

bool settle(std::string_view bytes, Settle how, int32_t status, std::string_view attributes,
            std::vector<Settlement>& out) {
  static thread_local Scope scope;
  static thread_local std::vector<Attribute> said;
  out.clear();
  if (!scope.read(bytes) || !read_attributes(attributes, said)) return false;
  for (const Charge& charge : scope.charges) {
    if (!charge.took) continue;
    Part part{.handle = charge.handle, .key = charge.key, .cost = charge.cost, .id = charge.id};
    if (how == Settle::kRenew) {
      if (charge.id.given()) out.push_back({Op::kConsume, part, Source::kNone});
      continue;
    }
    const AfterView after = AfterView::read(charge.after);
    int64_t used = charge.cost;
    if (scope.denied || how == Settle::kDenied ||
        (!charge.after.empty() && !after.counts(status))) {
      used = 0;
    } else if (charge.id.given()) {  // slots go; rates beside them stay charged
      part.cost = 0;
      out.push_back({Op::kRefund, part, charge.source});
    } else if (!after.settle.empty()) {
      for (const Attribute& attribute : said)
        if (attribute.name == after.settle)
          if (const int64_t told = number(attribute.value); told >= 0) used = told;
    }
    if (used == charge.cost) continue;
    part.cost = std::abs(charge.cost - used);
    out.push_back({used < charge.cost ? Op::kRefund : Op::kDebit, part, charge.source});
  }
  return true;
}

bool read_attributes(std::string_view bytes, std::vector<Attribute>& out) {
  out.clear();
  const auto take = [&bytes](std::string_view& text) {
    uint32_t size = 0;
    if (bytes.size() < sizeof size) return false;
    std::memcpy(&size, bytes.data(), sizeof size);
    if (size > bytes.size() - sizeof size) return false;
    text = bytes.substr(sizeof size, size);
    bytes.remove_prefix(sizeof size + size);
    return true;
  };
  while (!bytes.empty()) {
    Attribute attribute;
    if (out.size() == kMostAttributes || !take(attribute.name) || !take(attribute.value))
      return false;
    out.push_back(attribute);
  }
  return true;
}

}  // namespace tidegate
