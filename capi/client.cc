// SPDX-License-Identifier: MIT
#include <cstddef>
#include <utility>

#include "base/stripe.h"
#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

const tg_client*& tidegate::capi::in_hook_of() {
  static thread_local const tg_client* mine TIDEGATE_STATIC_TLS = nullptr;
  return mine;
}

namespace {

// The event in the caller's layout.
void put_event(const Event& event, tg_event* out, size_t size) {
  tg_event ours{};
  ours.level = static_cast<int32_t>(event.level);
  ours.code = static_cast<int32_t>(event.code);
  ours.wall_us = event.wall_us;
  put_text(event.text, ours.text, sizeof ours.text);
  if (size > sizeof ours)
    std::memset(reinterpret_cast<char*>(out) + sizeof ours, 0, size - sizeof ours);
  std::memcpy(out, &ours, std::min(size, sizeof ours));
  if (size < sizeof ours) reinterpret_cast<char*>(out)[size - 1] = '\0';  // the text is cut
}

constexpr size_t kLeastEvent = offsetof(tg_event, text) + 1, kMostEvent = 4'096;

void call_hook(void* context, const Event& event) {
  auto* client = static_cast<tg_client*>(context);
  tg_event_fn hook;
  void* hook_context;
  size_t size;
  {
    std::scoped_lock lock(client->hook_mutex);
    hook = client->hook;
    hook_context = client->hook_context;
    size = client->hook_size;
  }
  if (!hook) return;
  union {
    tg_event event;
    char bytes[kMostEvent];
  } out;
  put_event(event, &out.event, size);
  const tg_client* const outer = std::exchange(in_hook_of(), client);
  hook(hook_context, &out.event);
  in_hook_of() = outer;
}

// A figure that tg_stats has no field for is in the texts of report.cc only.
#define TIDEGATE_PUT(figure)                                       \
  [&](auto& out) {                                                 \
    if constexpr (requires { out.figure; }) out.figure = r.figure; \
  }(stats);
#define TIDEGATE_PUT_GAUGE(figure, ...) TIDEGATE_PUT(figure)
#define TIDEGATE_PUT_COUNTER(counter, figure, ...) TIDEGATE_PUT(figure)
tg_stats read_stats(const Client& client) {
  const Reading r = client.read();
  tg_stats stats{};
  TIDEGATE_DECISIONS(TIDEGATE_PUT)
  TIDEGATE_GAUGES(TIDEGATE_PUT_GAUGE)
  TIDEGATE_COUNTERS(TIDEGATE_PUT_COUNTER)
  return stats;
}

}  // namespace

extern "C" {

int32_t tg_client_open(const char* url, size_t url_len, const tg_options* options,
                       tg_client** client, tg_error* error) {
  return guard([&]() -> int32_t {
    if (!client || (!url && url_len))
      return fail(error, Code::kInvalid, "client, and url where url_len > 0: expected no NULL");
    *client = nullptr;
    static const Options kDefaults;
    auto opened = Client::open(url ? std::optional<std::string_view>({url, url_len}) : std::nullopt,
                               options ? options->core : kDefaults);
    if (!opened) return fail(error, opened.error());
    auto made = std::make_unique<tg_client>();
    made->core = std::move(*opened);
    *client = made.release();
    return TG_OK;
  });
}

int64_t tg_client_url(const tg_client* client, char* buffer, size_t size) {
  if (const int32_t status = ours(client); status < 0) return status;
  return guard([&] { return put_text(client->core->url().redacted(), buffer, size); });
}

int32_t tg_client_close(tg_client* client) {
  if (const int32_t status = ours(client); status < 0) return status;
  return guard([&] { return client->core->close() ? TG_OK : TG_ECLOSED; });
}

void tg_client_free(tg_client* client) { free_handle(client); }

int32_t tg_client_set_time(tg_client* client, int64_t now_us) {
  if (const int32_t status = usable(client); status < 0) return status;
  if (!client->core->clock().manual() || now_us < 0 || now_us >= kExact) return TG_EINVAL;
  client->core->clock().set(now_us);
  return TG_OK;
}

int32_t tg_client_stats_sized(tg_client* client, tg_stats* stats, size_t size) {
  if (const int32_t status = ours(client); status < 0) return status;
  if (!stats) return TG_EINVAL;
  if (size < sizeof stats->allowed || size > 65'536) return TG_ESIZE;
  return guard([&] {
    const tg_stats read = read_stats(*client->core);
    std::memset(stats, 0, size);
    std::memcpy(stats, &read, std::min(size, sizeof read));
    return TG_OK;
  });
}

int32_t tg_client_on_event_sized(tg_client* client, tg_event_fn hook, void* context, size_t size) {
  if (const int32_t status = usable(client); status < 0) return status;
  if (size < kLeastEvent || size > kMostEvent) return TG_ESIZE;
  return guard([&] {
    {
      std::scoped_lock lock(client->hook_mutex);
      client->hook = hook;
      client->hook_context = context;
      client->hook_size = size;
    }
    client->core->events().set_hook(hook ? call_hook : nullptr, client);
    return TG_OK;
  });
}

int32_t tg_client_next_event_sized(tg_client* client, tg_event* event, size_t size) {
  if (const int32_t status = ours(client); status < 0) return status;
  if (!event) return TG_EINVAL;
  if (size < kLeastEvent || size > kMostEvent) return TG_ESIZE;
  return guard([&]() -> int32_t {
    Event next;
    if (!client->core->events().next(next)) return 0;
    put_event(next, event, size);
    return 1;
  });
}

}  // extern "C"
