// SPDX-License-Identifier: MIT
#include <cstddef>
#include <string>

#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

namespace {

// A caller's result as the core's HTTP functions see it, with the names that live only here.
struct Seen {
  std::vector<std::string> names;
  std::vector<PolicyView> policies;
  DecisionView decision;
};

tg_result result_of(const tg_result& result, const Layout& layout) {
  tg_result ours{};
  std::memcpy(&ours, &result, std::min(layout.result, sizeof ours));
  return ours;
}

tg_part part_at(const tg_result& result, uint32_t i, const Layout& layout) {
  tg_part part{};
  const char* from = reinterpret_cast<const char*>(result.parts) + i * layout.part;
  std::memcpy(&part, from, std::min(layout.part, sizeof part));
  return part;
}

PolicyView view_of(const tg_part& part) {
  PolicyView view;
  view.limit = part.limit;
  view.window_us = part.window_us;
  view.capacity = part.capacity;
  view.allowed = part.flags & TG_ALLOWED;
  view.shadow = part.flags & TG_SHADOW;
  view.off = part.flags & TG_OFF;
  view.remaining = part.remaining;
  view.retry_after_us = part.retry_after_us;
  view.next_us = part.next_us;
  view.reset_after_us = part.reset_after_us;
  return view;
}

// A limiter with several rates names each by its window; which it has is seen from the parts
// themselves.
bool has_several(const std::vector<tg_part>& parts, uint64_t handle) {
  return std::any_of(parts.begin(), parts.end(),
                     [&](const tg_part& part) { return part.handle == handle && part.rate > 0; });
}

int32_t see(tg_client* client, const tg_result* result, uint64_t packed, Seen& seen) {
  if (const int32_t status = capi::ours(client); status < 0) return status;
  if (!result) return TG_EINVAL;
  const Layout layout(packed);
  if (!layout.valid()) return TG_ESIZE;
  const tg_result ours = result_of(*result, layout);
  if (ours.status < 0 || (ours.part_count && (!ours.parts || ours.binding >= ours.part_count)) ||
      ours.part_count > kMaxLegs || TG_SOURCE(ours.flags) > TG_SOURCE_NEAR)
    return TG_EINVAL;
  std::vector<tg_part> parts(ours.part_count);
  for (uint32_t i = 0; i < ours.part_count; ++i) parts[i] = part_at(ours, i, layout);
  seen.names.reserve(parts.size());
  const Visits::Visit visit(client->core->limiters().visits());
  for (const tg_part& part : parts) {
    const LimiterConfig* config = client->core->limiters().find(part.handle);
    if (!config) return TG_EHANDLE;
    if (part.window_us < 1) return TG_EINVAL;
    seen.names.push_back(config->name);
    if (has_several(parts, part.handle)) seen.names.back() += "-" + window_text(part.window_us);
    seen.policies.push_back(view_of(part));
    seen.policies.back().name = seen.names.back();
  }
  seen.decision = {(ours.flags & TG_ALLOWED) != 0, static_cast<Source>(TG_SOURCE(ours.flags)),
                   ours.binding, seen.policies};
  return TG_OK;
}

}  // namespace

extern "C" {

int32_t tg_decision_status_sized(const tg_result* result, uint64_t packed) {
  if (!result) return TG_EINVAL;
  const Layout layout(packed);
  if (!layout.valid()) return TG_ESIZE;
  const tg_result ours = result_of(*result, layout);
  if (ours.status < 0) return TG_EINVAL;
  return http_status(ours.flags & TG_ALLOWED, static_cast<Source>(TG_SOURCE(ours.flags)));
}

int32_t tg_decision_headers_sized(tg_client* client, const tg_result* result, uint32_t flags,
                                  int64_t wall, char* buffer, size_t size, uint64_t layout) {
  return guard([&]() -> int32_t {
    if (flags & ~(TG_HEADERS_STANDARD | TG_HEADERS_LEGACY | TG_HEADERS_LEGACY_DELTA) || wall < 0)
      return TG_EINVAL;
    Seen seen;
    if (const int32_t status = see(client, result, layout, seen); status < 0) return status;
    const HeaderStyle style{(flags & TG_HEADERS_STANDARD) != 0, (flags & TG_HEADERS_LEGACY) != 0,
                            (flags & TG_HEADERS_LEGACY_DELTA) != 0};
    const std::string text = http_headers(seen.decision, style, wall ? wall : wall_us());
    return static_cast<int32_t>(put_text(text, buffer, size));
  });
}

int32_t tg_decision_problem_sized(tg_client* client, const tg_result* result, char* buffer,
                                  size_t size, uint64_t layout) {
  return guard([&]() -> int32_t {
    Seen seen;
    if (const int32_t status = see(client, result, layout, seen); status < 0) return status;
    return static_cast<int32_t>(put_text(http_problem(seen.decision), buffer, size));
  });
}

}  // extern "C"
