// SPDX-License-Identifier: MIT
// A client's figures as text: tidegate_stats.h is the manual.
#include "client/figures.h"
#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

namespace {

template <class Write>
int64_t put_figures(const tg_client* client, char* buffer, size_t size, Write write) {
  if (const int32_t status = ours(client); status < 0) return status;
  if (!buffer && size) return TG_EINVAL;
  return guard([&] {
    const Reading reading = client->core->read();
    const Account account = account_of(*client->core, reading, {TG_VERSION, TG_ABI});
    return put_text(write(account), buffer, size);
  });
}

// What may fail with words.
template <class Write>
int64_t put_answer(tg_client* client, char* buffer, size_t size, tg_error* error, Write write) {
  if (const int32_t status = ours(client); status < 0)
    return fail(error, static_cast<Code>(status), tg_strerror(status));
  if (!buffer && size) return fail(error, Code::kInvalid, "buffer: expected no NULL");
  return guard([&]() -> int64_t {
    const Result<std::string> text = write(*client->core);
    return text ? put_text(*text, buffer, size) : fail(error, text.error());
  });
}

bool is_text(const tg_text& text) { return text.data || !text.size; }

}  // namespace

extern "C" {

int64_t tg_client_report(tg_client* client, char* buffer, size_t size) {
  return put_figures(client, buffer, size, report_json);
}

int64_t tg_client_metrics(tg_client* client, char* buffer, size_t size) {
  return tg_client_metrics_as(client, 0, buffer, size);
}

int64_t tg_client_metrics_as(tg_client* client, uint32_t flags, char* buffer, size_t size) {
  if (flags & ~TG_METRICS_OPENMETRICS) return TG_EINVAL;
  const auto format = flags ? MetricsFormat::kOpenMetrics : MetricsFormat::kPrometheus;
  return put_figures(client, buffer, size,
                     [=](const Account& account) { return metrics_text(account, format); });
}

int64_t tg_client_top(tg_client* client, tg_text limiter, uint32_t by, int32_t n, char* buffer,
                      size_t size, tg_error* error) {
  if ((by != TG_BY_DENIED && by != TG_BY_COST) || n < 0 || !is_text(limiter))
    return fail(error, Code::kInvalid,
                "by: expected TG_BY_DENIED or TG_BY_COST; n: expected 0 or more; limiter: no NULL");
  const auto ranking = by == TG_BY_DENIED ? LimiterFigures::By::kDenied : LimiterFigures::By::kCost;
  return put_answer(client, buffer, size, error, [&](Client& core) {
    return top_text(core, view(limiter), ranking, static_cast<size_t>(n));
  });
}

int64_t tg_client_limited_now(tg_client* client, tg_text limiter, int32_t n, char* buffer,
                              size_t size, tg_error* error) {
  if (n < 0 || !is_text(limiter))
    return fail(error, Code::kInvalid, "n: expected 0 or more; limiter: expected no NULL");
  return put_answer(client, buffer, size, error, [&](Client& core) {
    return limited_text(core, view(limiter), static_cast<size_t>(n));
  });
}

int64_t tg_client_look_up(tg_client* client, const void* key, size_t key_len, char* buffer,
                          size_t size, tg_error* error) {
  if (!key && key_len) return fail(error, Code::kInvalid, "key: expected no NULL");
  if (client && in_hook_of() == client)  // it would wait for itself
    return fail(error, Code::kInvalid, "a client cannot be asked from its own event hook");
  if (const int32_t status = usable(client); status < 0)
    return fail(error, static_cast<Code>(status), tg_strerror(status));
  return put_answer(client, buffer, size, error, [&](Client& core) {
    return look_up_text(core, {static_cast<const char*>(key), key_len});
  });
}

int64_t tg_client_events(tg_client* client, int64_t after, int32_t n, char* buffer, size_t size,
                         tg_error* error) {
  if (after < -1 || n < 0)
    return fail(error, Code::kInvalid, "after: expected -1 or more; n: expected 0 or more");
  return put_answer(client, buffer, size, error,
                    [&](Client& core) { return events_text(core, after, static_cast<size_t>(n)); });
}

int64_t tg_client_series(tg_client* client, tg_text limiter, tg_text period, tg_text step,
                         char* buffer, size_t size, tg_error* error) {
  if (!is_text(limiter) || !is_text(period) || !is_text(step))
    return fail(error, Code::kInvalid, "limiter, period, step: expected no NULL with a length");
  return put_answer(client, buffer, size, error, [&](Client& core) {
    return series_text(core, view(limiter), view(period), view(step));
  });
}

}  // extern "C"
