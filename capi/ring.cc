// SPDX-License-Identifier: MIT
#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

struct tg_ring {
  std::unique_ptr<Ring> core;
  Layout layout;
  std::vector<char> scratch;
  tg_ring* next_kept = nullptr;  // free_handle
};

namespace {

int32_t put_results(tg_ring& ring, std::span<Call* const> calls, tg_result* results) {
  size_t needed = 0;
  for (const Call* call : calls) needed += scratch_needed(*call, ring.layout);
  ring.scratch.clear();
  ring.scratch.reserve(needed);
  char* out = reinterpret_cast<char*>(results);
  for (Call* call : calls) {
    put_result(*call, ring.layout, ring.scratch, out);
    out += ring.layout.result;
  }
  return static_cast<int32_t>(calls.size());
}

}  // namespace

extern "C" {

int32_t tg_ring_open_sized(tg_client* client, int32_t capacity, uint32_t flags, tg_ring** ring,
                           tg_error* error, uint64_t packed) {
  return guard([&]() -> int32_t {
    if (const int32_t status = capi::usable(client); status < 0)
      return fail(error, static_cast<Code>(status), tg_strerror(status));
    if (!ring || flags & ~TG_RING_LOCAL)
      return fail(error, Code::kInvalid,
                  "ring: expected no NULL; flags: expected TG_RING_LOCAL or 0");
    *ring = nullptr;
    const Layout layout(packed);
    if (!layout.valid()) return fail(error, Code::kSize, tg_strerror(TG_ESIZE));
    auto opened = Ring::open(*client->core, capacity, flags & TG_RING_LOCAL);
    if (!opened) return fail(error, opened.error());
    *ring = new tg_ring{std::move(*opened), layout, {}, nullptr};
    return TG_OK;
  });
}

intptr_t tg_ring_fd(tg_ring* ring) {
  const int32_t status = ours(ring);
  return status < 0 ? status : ring->core->fd();
}

int32_t tg_submit(tg_ring* ring, const tg_entry* entries, int32_t n) {
  return guard([&]() -> int32_t {
    if (const int32_t status = ours(ring); status < 0) return status;
    if (n < 0 || (n && !entries)) return TG_EINVAL;
    ShapedRequest shaped;
    for (int32_t at = 0; n > 1 && at < n; at += shaped.entries)  // all of it, before any of it runs
      if (const int32_t status = read_request(entries, at, n, ring->layout, shaped); status < 0)
        return status;
    int32_t taken = 0;
    while (taken < n) {
      if (const int32_t status = read_request(entries, taken, n, ring->layout, shaped); status < 0)
        return status;
      if (!ring->core->submit(shaped.request)) break;
      taken += shaped.entries;
    }
    return taken;
  });
}

int32_t tg_ring_flush(tg_ring* ring) {
  return guard([&]() -> int32_t {
    if (const int32_t status = ours(ring); status < 0) return status;
    ring->core->flush();
    return TG_OK;
  });
}

int32_t tg_reap(tg_ring* ring, tg_result* results, int32_t max) {
  return guard([&]() -> int32_t {
    if (const int32_t status = ours(ring); status < 0) return status;
    if (max < 0 || (max && !results)) return TG_EINVAL;
    return put_results(*ring, ring->core->reap(static_cast<size_t>(max)), results);
  });
}

int32_t tg_ring_wait(tg_ring* ring, tg_result* results, int32_t max, int64_t timeout_us) {
  return guard([&]() -> int32_t {
    if (const int32_t status = ours(ring); status < 0) return status;
    if (max < 1 || !results || timeout_us < -1) return TG_EINVAL;
    const auto done = ring->core->wait(static_cast<size_t>(max), timeout_us);
    if (done.empty() && ring->core->finished()) return TG_ECLOSED;
    return put_results(*ring, done, results);
  });
}

int32_t tg_cancel(tg_ring* ring, uint64_t user_data) {
  return guard([&]() -> int32_t {
    if (const int32_t status = ours(ring); status < 0) return status;
    return ring->core->cancel(user_data);
  });
}

void tg_ring_free(tg_ring* ring) { capi::free_handle(ring); }

}  // extern "C"
