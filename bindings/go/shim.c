/* SPDX-License-Identifier: MIT */
#include "shim.h"

#include <stdlib.h>
#include <string.h>

static int32_t entries_of(const tgo_request* request, const char* keys, tg_entry* entries) {
  if (request->count < 1 || request->count > TG_MAX_PARTS) return TG_EINVAL;
  memset(entries, 0, (size_t)request->count * sizeof *entries);
  for (int32_t i = 0; i < request->count; ++i) {
    tg_entry* entry = &entries[i];
    entry->op = request->op;
    entry->flags = request->flags | (i + 1 < request->count ? TG_LINK : 0);
    entry->handle = request->part[i].handle;
    entry->key = keys;
    entry->key_len = request->part[i].key_len;
    entry->arg = request->part[i].cost;
    memcpy(entry->id, request->part[i].id, sizeof entry->id);
    keys += entry->key_len;
  }
  entries[0].user_data = request->user_data;
  entries[0].timeout_us = request->timeout_us;
  return request->count;
}

int32_t tgo_call(tg_client* client, const tgo_request* request, const char* keys,
                 tgo_answer* answer) {
  tg_entry entries[TG_MAX_PARTS];
  tg_result result;
  const int32_t n = entries_of(request, keys, entries);
  if (n < 0) return n;
  const int32_t done = tg_call(client, entries, n, &result, 1);
  if (done < 0) return done;
  if (done != 1 || result.part_count > TG_MAX_PARTS * TG_MAX_RATES) return TG_EINTERNAL;
  answer->status = result.status;
  answer->flags = result.flags;
  answer->part_count = result.part_count;
  answer->binding = result.binding;
  answer->text_len = 0;
  if (result.part_count) memcpy(answer->parts, result.parts, result.part_count * sizeof(tg_part));
  if (result.data) {
    const size_t fits = sizeof answer->text;
    answer->text_len = (uint32_t)(result.data_len < fits ? result.data_len : fits);
    memcpy(answer->text, result.data, answer->text_len);
  }
  return TG_OK;
}

int32_t tgo_submit(tg_ring* ring, const tgo_request* request, const char* keys) {
  tg_entry entries[TG_MAX_PARTS];
  const int32_t n = entries_of(request, keys, entries);
  return n < 0 ? n : tg_submit(ring, entries, n);
}

int32_t tgo_reap(tg_ring* ring, tg_result* results, int32_t max) {
  return tg_reap(ring, results, max);
}

int32_t tgo_wait(tg_ring* ring, tg_result* results, int32_t max, int64_t timeout_us) {
  return tg_ring_wait(ring, results, max, timeout_us);
}

static tg_limiter_spec spec_of(const tgo_spec* from, const char* text) {
  tg_limiter_spec spec = {{0}};
  tg_text* fields[6] = {&spec.rates, &spec.name,       &spec.algorithm,
                        &spec.mode,  &spec.on_failure, &spec.lease};
  for (int i = 0; i < 6; ++i) {
    fields[i]->data = text;
    fields[i]->size = from->size[i];
    text += from->size[i];
  }
  return spec;
}

int32_t tgo_limiter_open(tg_client* client, const tgo_spec* from, const char* text,
                         uint64_t* handle, tg_error* error) {
  const tg_limiter_spec spec = spec_of(from, text);
  return tg_limiter_open(client, &spec, handle, error);
}

int32_t tgo_limiter_change(tg_client* client, uint64_t handle, const tgo_spec* from,
                           const char* text, tg_error* error) {
  const tg_limiter_spec spec = spec_of(from, text);
  return tg_limiter_change(client, handle, &spec, error);
}

static tg_entry entry_of(const tgo_check* check, const char* scope, const char* attributes) {
  tg_entry entry = {0};
  entry.op = TG_OP_CHECK;
  entry.user_data = check->user_data;
  entry.handle = check->handle;
  entry.timeout_us = check->timeout_us;
  entry.key = check->scope_size ? scope : NULL;
  entry.key_len = check->scope_size;
  entry.value = check->attributes_size ? attributes : NULL;
  entry.value_len = check->attributes_size;
  return entry;
}

int32_t tgo_check_call(tg_client* client, const tgo_check* check, const char* scope,
                       const char* attributes, tg_result* result) {
  const tg_entry entry = entry_of(check, scope, attributes);
  const int32_t done = tg_call(client, &entry, 1, result, 1);
  return done < 0 ? done : done == 1 ? TG_OK : TG_EINTERNAL;
}

int32_t tgo_check_submit(tg_ring* ring, const tgo_check* check, const char* scope,
                         const char* attributes) {
  const tg_entry entry = entry_of(check, scope, attributes);
  return tg_submit(ring, &entry, 1);
}

int32_t tgo_guard_open(tg_client* client, const tgo_guard_spec* from, const char* text,
                       uint64_t* handle, tg_error* error) {
  tg_guard_spec spec = {{0}};
  tg_text* fields[4] = {&spec.policy, &spec.file, &spec.headers, &spec.trusted_proxies};
  for (int i = 0; i < 4; ++i) {
    fields[i]->data = text;
    fields[i]->size = from->size[i];
    text += from->size[i];
  }
  spec.ipv6_prefix = from->ipv6_prefix;
  return tg_guard_open(client, &spec, handle, error);
}

int32_t tgo_finish(const char* scope, size_t size, int32_t status, const char* attributes,
                   size_t attributes_size, uint32_t flags, tgo_settlement* out, int32_t max) {
  tg_entry few[TG_MAX_PARTS];
  tg_entry* const entries = max > TG_MAX_PARTS ? calloc((size_t)max, sizeof *entries) : few;
  if (!entries) return TG_ENOMEM;
  const int32_t n =
      tg_guard_finish(scope, size, status, attributes, attributes_size, flags, entries, max);
  for (int32_t i = 0; i < n && i < max; ++i) {
    const tg_entry* entry = &entries[i];
    out[i].handle = entry->handle;
    out[i].cost = entry->arg;
    out[i].op = entry->op;
    out[i].flags = entry->flags;
    out[i].key_at = (uint32_t)((const char*)entry->key - scope);
    out[i].key_len = entry->key_len;
    memcpy(out[i].id, entry->id, sizeof entry->id);
  }
  if (entries != few) free(entries);
  return n;
}

int32_t tgo_ring_open(tg_client* client, int32_t capacity, tg_ring** ring, tg_error* error) {
  return tg_ring_open(client, capacity, 0, ring, error);
}

int32_t tgo_stats(tg_client* client, tg_stats* stats) { return tg_client_stats(client, stats); }

int64_t tgo_series(tg_client* client, const uint64_t sizes[3], const char* text, char* buffer,
                   size_t size, tg_error* error) {
  tg_text words[3];
  for (int i = 0; i < 3; ++i) {
    words[i].data = text;
    words[i].size = sizes[i];
    text += sizes[i];
  }
  return tg_client_series(client, words[0], words[1], words[2], buffer, size, error);
}

static tg_text text_of(const char* data, size_t size) {
  const tg_text text = {data, size};
  return text;
}

int64_t tgo_top(tg_client* client, const char* limiter, size_t limiter_size, uint32_t by, int32_t n,
                char* buffer, size_t size, tg_error* error) {
  return tg_client_top(client, text_of(limiter, limiter_size), by, n, buffer, size, error);
}

int64_t tgo_limited_now(tg_client* client, const char* limiter, size_t limiter_size, int32_t n,
                        char* buffer, size_t size, tg_error* error) {
  return tg_client_limited_now(client, text_of(limiter, limiter_size), n, buffer, size, error);
}

static void raise_flag(void* flag, const tg_event* event) {
  (void)event;
  __atomic_store_n((int32_t*)flag, 1, __ATOMIC_SEQ_CST);
}

int32_t tgo_watch_events(tg_client* client, int32_t* flag) {
  return tg_client_on_event(client, raise_flag, flag);
}

static tg_result result_of(uint32_t flags, uint32_t binding, const tg_part* parts, uint32_t count) {
  tg_result result = {0};
  result.flags = flags;
  result.part_count = count;
  result.binding = binding;
  result.parts = parts;
  return result;
}

int32_t tgo_status(uint32_t flags) {
  const tg_result result = result_of(flags, 0, NULL, 0);
  return tg_decision_status(&result);
}

int32_t tgo_headers(tg_client* client, uint32_t flags, uint32_t binding, const tg_part* parts,
                    uint32_t count, uint32_t styles, int64_t wall_us, char* buffer, size_t size) {
  const tg_result result = result_of(flags, binding, parts, count);
  return tg_decision_headers(client, &result, styles, wall_us, buffer, size);
}

int32_t tgo_problem(tg_client* client, uint32_t flags, uint32_t binding, const tg_part* parts,
                    uint32_t count, char* buffer, size_t size) {
  const tg_result result = result_of(flags, binding, parts, count);
  return tg_decision_problem(client, &result, buffer, size);
}
