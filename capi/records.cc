// SPDX-License-Identifier: MIT
// Records in the caller's layout: entries in, results out.
#include <cstddef>

#include "internal.h"

namespace tidegate::capi {
namespace {

static_assert(sizeof(tg_part) == sizeof(RateResult));
static_assert(offsetof(tg_part, rate) == offsetof(RateResult, rate));
static_assert(offsetof(tg_part, remaining) == offsetof(RateResult, figures.remaining));
static_assert(offsetof(tg_part, reset_after_us) == offsetof(RateResult, figures.reset_after_us));
static_assert(offsetof(tg_part, shortfall) == offsetof(RateResult, shortfall));
static_assert(TG_ALLOWED == RateResult::kAllowed && TG_SHADOW == RateResult::kShadow &&
              TG_OFF == RateResult::kOff && TG_RENEWED == RateResult::kRenewed);
static_assert(static_cast<uint32_t>(Source::kNear) == TG_SOURCE_NEAR);
static_assert(static_cast<uint32_t>(Op::kDebit) == TG_OP_DEBIT);
static_assert(static_cast<uint32_t>(Op::kCheck) == TG_OP_CHECK);
static_assert(static_cast<uint32_t>(PolicyVerdict::kLimits) == TG_VERDICT_LIMITS &&
              static_cast<uint32_t>(PolicyVerdict::kExempt) == TG_VERDICT_EXEMPT &&
              static_cast<uint32_t>(PolicyVerdict::kBanned) == TG_VERDICT_BANNED);

constexpr size_t kMostRecord = 4'096;

}  // namespace

const tg_entry* entry_at(const void* entries, int32_t at, const Layout& layout, tg_entry& copy) {
  const char* from = static_cast<const char*>(entries) + static_cast<size_t>(at) * layout.entry;
  if (layout.entry == sizeof(tg_entry)) return reinterpret_cast<const tg_entry*>(from);
  copy = {};
  std::memcpy(&copy, from, std::min(layout.entry, sizeof copy));
  for (size_t i = sizeof copy; i < layout.entry; ++i)
    if (from[i]) return nullptr;
  return &copy;
}

bool Layout::valid() const {
  return entry >= offsetof(tg_entry, arg2) && part >= offsetof(tg_part, retry_after_us) &&
         result >= offsetof(tg_result, data) && entry <= kMostRecord && part <= kMostRecord &&
         result <= kMostRecord;
}

std::string why_malformed(const tg_entry& entry, bool first) {
  if (!is_operation(entry.op))
    return "op " + std::to_string(entry.op) + ": expected TG_OP_CONSUME to TG_OP_CHECK";
  if (entry.op == TG_OP_CHECK)
    return first
               ? "a check: expected flags, arg, arg2 and arg3 of 0, a timeout of 0 or more, and no "
                 "NULL with a length"
               : "a check cannot be linked to";
  const bool back = entry.op == TG_OP_REFUND || entry.op == TG_OP_DEBIT;
  if (!back && entry.flags & ~TG_LINK)
    return "flags " + std::to_string(entry.flags) +
           ": expected 0 or TG_LINK (a source belongs to "
           "refunds and debits)";
  if (entry.flags & ~(TG_LINK | TG_SOURCE_FLAGS(15u)) || TG_SOURCE(entry.flags) > TG_SOURCE_NEAR)
    return "flags " + std::to_string(entry.flags) + ": expected TG_LINK, TG_SOURCE_FLAGS";
  if (entry.timeout_us < 0)
    return "timeout_us " + std::to_string(entry.timeout_us) + ": expected 0 (the client's) or more";
  if (!entry.key && entry.key_len) return "key NULL with key_len " + std::to_string(entry.key_len);
  if (entry.value || entry.value_len || entry.arg2 | entry.arg3)
    return "value, value_len, arg2, arg3 are reserved: expected 0";
  if (entry.op == TG_OP_PING && !first) return "a ping cannot be linked to";
  if (entry.op == TG_OP_PING) return "a ping: expected no link, handle 0, no key, arg 0";
  return {};
}

int32_t read_request(const void* entries, int32_t at, int32_t n, const Layout& layout,
                     ShapedRequest& shaped, std::string* why) {
  shaped.entries = 0;
  shaped.request.cache = nullptr;
  const auto refuse = [&](int32_t entry, std::string text) {
    if (why) *why = "entry " + std::to_string(entry) + ": " + std::move(text);
    return TG_EINVAL;
  };
  for (bool linked = true; linked; ++shaped.entries) {
    const int32_t here = at + shaped.entries;
    if (here >= n) return refuse(here - 1, "TG_LINK, and no entry follows");
    if (shaped.entries == TG_MAX_PARTS)
      return refuse(here, "a request has at most " + std::to_string(TG_MAX_PARTS) + " parts");
    tg_entry copy;
    const tg_entry* entry = entry_at(entries, here, layout, copy);
    const bool first = shaped.entries == 0;
    if (entry && first && entry->op >= TG_OP_CACHE_GET && entry->op <= TG_OP_CACHE_META)
        [[unlikely]]
      return read_cache_request(entries, at, n, layout, shaped, why);
    if (!entry || !well_formed(*entry, first)) [[unlikely]]
      return refuse(here, entry ? why_malformed(*entry, first)
                                : "has fields that this version does not know");
    if (first) {
      shaped.request.user_data = entry->user_data;
      shaped.request.op = static_cast<Op>(entry->op);
      shaped.request.refund_to = static_cast<Source>(TG_SOURCE(entry->flags));
      shaped.request.timeout_us = entry->timeout_us;
    } else if (static_cast<Op>(entry->op) != shaped.request.op) {
      return refuse(here, "another operation than the entry that it is linked to");
    }
    if (shaped.request.op == Op::kCheck) {
      shaped.request.guard = entry->handle;
      shaped.request.scope = {static_cast<const char*>(entry->key), entry->key_len};
      shaped.request.attributes = {static_cast<const char*>(entry->value), entry->value_len};
    }
    Part& part = shaped.parts[shaped.entries];
    part = {.handle = entry->handle,
            .key = {static_cast<const char*>(entry->key), entry->key_len},
            .cost = entry->arg,
            .id = holder_id(*entry)};
    linked = entry->flags & TG_LINK;
  }
  const bool none = shaped.request.op == Op::kPing || shaped.request.op == Op::kCheck;
  shaped.request.parts = {shaped.parts, none ? 0 : static_cast<size_t>(shaped.entries)};
  return TG_OK;
}

namespace {

size_t aligned(size_t size) { return (size + 7) / 8 * 8; }

tg_text text_of(std::string_view text) { return {text.data(), text.size()}; }

// A check's answer, behind what is in `scratch`.
void put_answer_record(Call& call, std::vector<char>& scratch, tg_result& result) {
  auto& check = static_cast<Check&>(*call.extra);
  if (!check.composed) check.compose(call);
  tg_answer answer{};
  answer.status = check.status;
  answer.verdict = static_cast<uint32_t>(check.verdict);
  answer.fields = text_of(check.fields);
  answer.body = text_of(check.body);
  answer.scope = text_of(check.scope);
  answer.caller = text_of(check.caller);
  answer.reason = text_of(check.reason);
  answer.retry_after_us = check.retry_after_us;
  answer.renew_us = check.renew_us;
  answer.finish = check.finish;
  answer.limit = check.limit;
  const size_t at = scratch.size();
  scratch.resize(at + aligned(sizeof answer));
  std::memcpy(scratch.data() + at, &answer, sizeof answer);
  result.data = scratch.data() + at;
  result.data_len = sizeof answer;
}

}  // namespace

size_t scratch_needed(const Call& call, const Layout& layout) {
  if (call.is_cache()) return sizeof(tg_found) + alignof(tg_found);
  return (layout.same_parts() ? 0 : aligned(call.decision.part_count * layout.part)) +
         (call.checked ? aligned(sizeof(tg_answer)) : 0);
}

void put_result(Call& call, const Layout& layout, std::vector<char>& scratch, char* out) {
  tg_result result{};
  if (call.status == Code::kOk && call.is_cache()) {
    put_found(call, scratch, result);
  } else if (call.status == Code::kOk) {
    put_decision(call.decision, call.user_data, call.results.data(), result);
    if (!layout.same_parts()) {
      const size_t at = scratch.size();
      // Reserved by the caller: does not move.
      scratch.resize(at + aligned(call.decision.part_count * layout.part));
      char* part = scratch.data() + at;
      result.parts = reinterpret_cast<const tg_part*>(part);
      for (uint32_t i = 0; i < call.decision.part_count; ++i, part += layout.part)
        std::memcpy(part, &call.results[i], std::min(layout.part, sizeof(tg_part)));
    }
    if (call.checked) put_answer_record(call, scratch, result);
  } else {
    result.user_data = call.user_data;
    result.status = static_cast<int32_t>(call.status);
    result.data = call.text.data();
    result.data_len = call.text.size();
  }
  if (layout.result > sizeof result)
    std::memset(out + sizeof result, 0, layout.result - sizeof result);
  std::memcpy(out, &result, std::min(layout.result, sizeof result));
}

}  // namespace tidegate::capi
