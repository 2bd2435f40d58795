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
static_assert(offsetof(tg_part, capacity) == offsetof(RateResult, capacity));
static_assert(TG_ALLOWED == RateResult::kAllowed && TG_SHADOW == RateResult::kShadow &&
              TG_OFF == RateResult::kOff);
static_assert(static_cast<uint32_t>(Source::kFailClosed) == TG_SOURCE_FAIL_CLOSED);

constexpr size_t kMostRecord = 4'096;

// An entry in our layout: the caller's own where the sizes agree.
const tg_entry* entry_at(const void* entries, int32_t at, const Layout& layout, tg_entry& copy) {
  const char* from = static_cast<const char*>(entries) + static_cast<size_t>(at) * layout.entry;
  if (layout.entry == sizeof(tg_entry)) return reinterpret_cast<const tg_entry*>(from);
  copy = {};
  std::memcpy(&copy, from, std::min(layout.entry, sizeof copy));
  for (size_t i = sizeof copy; i < layout.entry; ++i)
    if (from[i]) return nullptr;  // asks for something this version does not know
  return &copy;
}

}  // namespace

bool Layout::valid() const {
  return entry >= offsetof(tg_entry, arg2) && part >= offsetof(tg_part, retry_after_us) &&
         result >= offsetof(tg_result, data) && entry <= kMostRecord && part <= kMostRecord &&
         result <= kMostRecord;
}

int32_t read_request(const void* entries, int32_t at, int32_t n, const Layout& layout,
                     ShapedRequest& shaped) {
  shaped.entries = 0;
  for (bool linked = true; linked; ++shaped.entries) {
    if (at + shaped.entries >= n) return TG_EINVAL;  // a dangling link
    if (shaped.entries == TG_MAX_PARTS) return TG_EINVAL;
    tg_entry copy;
    const tg_entry* entry = entry_at(entries, at + shaped.entries, layout, copy);
    if (!entry || !well_formed(*entry, shaped.entries == 0)) return TG_EINVAL;
    if (shaped.entries == 0) {
      shaped.request.user_data = entry->user_data;
      shaped.request.op = static_cast<Op>(entry->op);
      shaped.request.refund_to = static_cast<Source>(TG_SOURCE(entry->flags));
      shaped.request.timeout_us = entry->timeout_us;
    } else if (static_cast<Op>(entry->op) != shaped.request.op) {
      return TG_EINVAL;
    }
    Part& part = shaped.parts[shaped.entries];
    part.limiter = nullptr;
    part.handle = entry->handle;
    part.key = {static_cast<const char*>(entry->key), entry->key_len};
    part.cost = entry->arg;
    linked = entry->flags & TG_LINK;
  }
  const bool ping = shaped.request.op == Op::kPing;
  shaped.request.parts = {shaped.parts, ping ? 0 : static_cast<size_t>(shaped.entries)};
  return TG_OK;
}

size_t scratch_needed(const Call& call, const Layout& layout) {
  return layout.same_parts() ? 0 : call.decision.part_count * layout.part;
}

void put_result(const Call& call, const Layout& layout, std::vector<char>& scratch, char* out) {
  tg_result result{};
  if (call.status == Code::kOk) {
    put_decision(call.decision, call.user_data, call.results.data(), result);
    if (!layout.same_parts()) {
      const size_t at = scratch.size();
      scratch.resize(at + scratch_needed(call, layout));  // reserved by the caller: does not move
      char* part = scratch.data() + at;
      result.parts = reinterpret_cast<const tg_part*>(part);
      for (uint32_t i = 0; i < call.decision.part_count; ++i, part += layout.part)
        std::memcpy(part, &call.results[i], std::min(layout.part, sizeof(tg_part)));
    }
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
