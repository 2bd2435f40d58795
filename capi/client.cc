// SPDX-License-Identifier: MIT
#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

namespace {

void put_event(const Event& event, tg_event& out) {
  out.level = static_cast<int32_t>(event.level);
  out.code = static_cast<int32_t>(event.code);
  out.wall_us = event.wall_us;
  put_text(event.text, out.text, sizeof out.text);
}

void call_hook(void* context, const Event& event) {
  auto* client = static_cast<tg_client*>(context);
  tg_event_fn hook;
  void* hook_context;
  {
    std::scoped_lock lock(client->hook_mutex);
    hook = client->hook;
    hook_context = client->hook_context;
  }
  tg_event out{};
  put_event(event, out);
  if (hook) hook(hook_context, &out);
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
  if (!client) return TG_EINVAL;
  return guard([&] { return put_text(client->core->url().redacted(), buffer, size); });
}

int32_t tg_client_close(tg_client* client) {
  if (!client) return TG_EINVAL;
  if (client->core->forked()) return TG_EFORK;
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
  if (!client || !stats) return TG_EINVAL;
  if (client->core->forked()) return TG_EFORK;
  if (size < sizeof stats->allowed || size > 65'536) return TG_ESIZE;
  return guard([&] {
    const tg_stats read = read_stats(*client->core);
    std::memset(stats, 0, size);
    std::memcpy(stats, &read, std::min(size, sizeof read));
    return TG_OK;
  });
}

int32_t tg_client_on_event(tg_client* client, tg_event_fn hook, void* context) {
  if (const int32_t status = usable(client); status < 0) return status;
  return guard([&] {
    {
      std::scoped_lock lock(client->hook_mutex);
      client->hook = hook;
      client->hook_context = context;
    }
    client->core->events().set_hook(hook ? call_hook : nullptr, client);
    return TG_OK;
  });
}

int32_t tg_client_next_event(tg_client* client, tg_event* event) {
  if (!client || !event) return TG_EINVAL;
  if (client->core->forked()) return TG_EFORK;
  return guard([&]() -> int32_t {
    Event next;
    if (!client->core->events().next(next)) return 0;
    put_event(next, *event);
    return 1;
  });
}

}  // extern "C"
