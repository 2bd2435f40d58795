// SPDX-License-Identifier: MIT
#include "internal.h"

using namespace tidegate;
using namespace tidegate::capi;

namespace {

constexpr size_t kMostSpecBytes = 4'096;

std::string_view view(const tg_text& text) { return {text.data, text.size}; }

// The caller's specification in our layout. TG_ESIZE; TG_EINVAL where it asks for what we do not
// know.
int32_t read_spec(const tg_limiter_spec* spec, size_t size, LimiterSpec& out, tg_error* error) {
  if (!spec) return fail(error, Code::kInvalid, "spec: expected no NULL");
  if (size < sizeof(tg_text) || size > kMostSpecBytes)
    return fail(error, Code::kSize, "tg_limiter_spec of " + std::to_string(size) + " bytes");
  tg_limiter_spec ours{};
  std::memcpy(&ours, spec, std::min(size, sizeof ours));
  const char* bytes = reinterpret_cast<const char*>(spec);
  if (size > sizeof ours &&
      std::any_of(bytes + sizeof ours, bytes + size, [](char c) { return c; }))
    return fail(error, Code::kInvalid, "tg_limiter_spec has fields this version does not know");
  for (const tg_text* text :
       {&ours.rates, &ours.name, &ours.algorithm, &ours.mode, &ours.on_failure, &ours.lease})
    if (!text->data && text->size)
      return fail(error, Code::kInvalid, "a text of tg_limiter_spec is NULL and has a size");
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
    if (const int32_t status = read_spec(spec, size, asked, error); status < 0) return status;
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
    if (const int32_t status = read_spec(spec, size, asked, error); status < 0) return status;
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
