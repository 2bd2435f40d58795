// SPDX-License-Identifier: MIT
#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

namespace {

int32_t read_limiter(const tg_limiter_spec* spec, size_t size, LimiterSpec& out, tg_error* error) {
  using Spec = tg_limiter_spec;
  Spec ours{};
  if (const int32_t status = read_spec(spec, size, "tg_limiter_spec",
                                       {&Spec::rates, &Spec::name, &Spec::algorithm, &Spec::mode,
                                        &Spec::on_failure, &Spec::lease},
                                       ours, error);
      status < 0)
    return status;
  out = {view(ours.rates), view(ours.name),       view(ours.algorithm),
         view(ours.mode),  view(ours.on_failure), view(ours.lease)};
  return TG_OK;
}

template <size_t N>
void put_word(std::string_view word, char (&out)[N]) {
  put_text(word, out, N);
}

}  // namespace

extern "C" {

int32_t tg_limiter_open_sized(tg_client* client, const tg_limiter_spec* spec, size_t size,
                              uint64_t* handle, tg_error* error) {
  return guard([&]() -> int32_t {
    if (const int32_t status = usable(client); status < 0)
      return fail(error, static_cast<Code>(status), tg_strerror(status));
    if (!handle) return fail(error, Code::kInvalid, "handle: expected no NULL");
    LimiterSpec asked;
    if (const int32_t status = read_limiter(spec, size, asked, error); status < 0) return status;
    auto opened = client->core->limiters().open(asked);
    if (!opened) return fail(error, opened.error());
    *handle = *opened;
    return TG_OK;
  });
}

int32_t tg_limiter_change_sized(tg_client* client, uint64_t handle, const tg_limiter_spec* spec,
                                size_t size, tg_error* error) {
  return guard([&]() -> int32_t {
    if (const int32_t status = usable(client); status < 0)
      return fail(error, static_cast<Code>(status), tg_strerror(status));
    LimiterSpec asked;
    if (const int32_t status = read_limiter(spec, size, asked, error); status < 0) return status;
    auto changed = client->core->limiters().change(handle, asked);
    return changed ? TG_OK : fail(error, changed.error());
  });
}

int32_t tg_limiter_close(tg_client* client, uint64_t handle) {
  if (const int32_t status = usable(client); status < 0) return status;
  return guard([&] {
    auto closed = client->core->limiters().close(handle);
    return closed ? TG_OK : static_cast<int32_t>(closed.error().code);
  });
}

int32_t tg_limiter_rates_sized(tg_client* client, uint64_t handle, tg_rate* rates, size_t size,
                               int32_t max) {
  if (const int32_t status = ours(client); status < 0) return status;
  if (max < 0 || (!rates && max)) return TG_EINVAL;
  if (size < sizeof(int64_t) || size > 4'096) return TG_ESIZE;
  const Visits::Visit visit(client->core->limiters().visits());
  const LimiterConfig* config = client->core->limiters().find(handle);
  if (!config) return TG_EHANDLE;
  char* out = reinterpret_cast<char*>(rates);
  for (const Rate& rate : config->rates) {
    if (max-- <= 0) break;
    tg_rate made{};
    made.limit = rate.limit.limit;
    made.window_us = rate.limit.window_us;
    made.burst = rate.limit.burst;
    made.capacity = rate.limit.capacity;
    made.overdraft = rate.limit.overdraft;
    put_word(algorithm_name(rate.limit.algorithm), made.algorithm);
    put_word(mode_name(config->mode), made.mode);
    put_word(on_failure_name(config->on_failure), made.on_failure);
    std::memset(out, 0, size);
    std::memcpy(out, &made, std::min(size, sizeof made));
    out += size;
  }
  return static_cast<int32_t>(config->rates.size());
}

int64_t tg_limiter_name(tg_client* client, uint64_t handle, int32_t rate, char* buffer,
                        size_t size) {
  if (const int32_t status = ours(client); status < 0) return status;
  const Visits::Visit visit(client->core->limiters().visits());
  const LimiterConfig* config = client->core->limiters().find(handle);
  if (!config) return TG_EHANDLE;
  if (rate < -1 || rate >= static_cast<int32_t>(config->rates.size())) return TG_EINVAL;
  return put_text(rate < 0 ? config->name : config->rates[static_cast<size_t>(rate)].policy, buffer,
                  size);
}

}  // extern "C"
