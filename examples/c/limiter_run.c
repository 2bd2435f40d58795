/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "replay.h"

/* Requests of one second go to the library together: one round trip instead of many. */
enum { kBatch = 128 };

struct limiter_run {
  tg_client* client;
  uint64_t limiter;
  replay_key key;
  int is_remote;
  tally* counts;
  int64_t now_us, passed, denied;
  int32_t waiting;
  tg_entry entries[kBatch];
  tg_result results[kBatch];
  char key_buffer[LINE_SIZE + 16];
};

static int set_option(tg_options* options, const char* name, const char* value) {
  tg_error error;
  if (tg_options_set(options, name, value, &error) == TG_OK) return 0;
  return fail(EXIT_USAGE, "%s", error.message);
}

/* A replay keeps its own time, and on a server its own keys. It wants answers, not the policy for
 * days on which there are none; and room for more callers than a service sees at once, unless the
 * URL says how much. */
static int set_options(tg_options* options, const char* url) {
  char name[64];
  snprintf(name, sizeof(name), "replay-%ld-%lld", (long)getpid(), (long long)time(NULL));
  const struct {
    const char *name, *value;
    int is_fixed;
  } settings[] = {
      {"clock", "manual", 1},         {"testing", "1", 1},        {"namespace", name, 1},
      {"on_failure", "closed", 1},    {"timeout_ms", "10000", 0}, {"max_keys", "10000000", 0},
      {"max_bytes", "2147483648", 0},
  };
  for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
    if (!settings[i].is_fixed && strstr(url, settings[i].name) != NULL) continue;
    const int status = set_option(options, settings[i].name, settings[i].value);
    if (status != 0) return status;
  }
  return 0;
}

static int open_client(limiter_run* self, const char* url) {
  tg_options* options = tg_options_new();
  if (options == NULL) return fail(EXIT_RUN, "no memory");
  tg_error error;
  int status = set_options(options, url);
  if (status == 0 && tg_client_open(url, strlen(url), options, &self->client, &error) < 0) {
    status = fail(EXIT_USAGE, "--store: %s", error.message);
  }
  tg_options_free(options);
  return status;
}

/* Opening does no I/O: a store that is away is noticed here, before a million lines are read. */
static int check_store(limiter_run* self) {
  const tg_entry ping = {.op = TG_OP_PING};
  tg_result result;
  const int32_t count = tg_call(self->client, &ping, 1, &result, 1);
  const int32_t status = count < 0 ? count : result.status;
  if (status >= 0) return 0;
  if (count < 0 || result.data_len == 0) return fail(EXIT_RUN, "%s", tg_strerror(status));
  return fail(EXIT_RUN, "%.*s", (int)result.data_len, (const char*)result.data);
}

static int open_limiter(limiter_run* self, const replay_options* options) {
  const tg_limiter_spec spec = {
      .rates = {options->limit, strlen(options->limit)},
      .algorithm = {options->algorithm, strlen(options->algorithm)},
  };
  tg_error error;
  if (tg_limiter_open(self->client, &spec, &self->limiter, &error) == TG_OK) return 0;
  return fail(EXIT_USAGE, "%s", error.message);
}

int limiter_run_open(const replay_options* options, limiter_run** run) {
  limiter_run* self = *run = calloc(1, sizeof(*self));
  if (self == NULL || (self->counts = tally_new()) == NULL) return fail(EXIT_RUN, "no memory");
  self->key = options->key;
  self->is_remote = strncmp(options->store, "memory:", 7) != 0;
  int status = open_client(self, options->store);
  if (status == 0) status = open_limiter(self, options);
  if (status == 0 && self->is_remote) status = check_store(self);
  return status;
}

static int flush(limiter_run* self) {
  if (self->waiting == 0) return 0;
  const int32_t count = tg_call(self->client, self->entries, self->waiting, self->results, kBatch);
  if (count < 0) return fail(EXIT_RUN, "%s", tg_strerror(count));
  self->waiting = 0;
  for (int32_t i = 0; i < count; i++) {
    const tg_result* result = &self->results[i];
    const uint32_t source = TG_SOURCE(result->flags);
    if (result->status < 0) return fail(EXIT_RUN, "%s", tg_strerror(result->status));
    if (source != TG_SOURCE_MEMORY && source != TG_SOURCE_STORE) {
      return fail(EXIT_RUN, "the store stopped answering");
    }
    caller* who = (caller*)(uintptr_t)result->user_data;
    who->requests++;
    if (result->flags & TG_ALLOWED) {
      self->passed++;
    } else {
      self->denied++;
      who->denied++;
    }
  }
  return 0;
}

/* tg_caller_key names callers as the middleware does: an identity by itself, an address as
 * "@203.0.113.7", IPv6 by its /64. A host's name, which a log may hold in place of an address, is
 * "@unknown" to it, and stays itself here. */
static caller* find_caller(limiter_run* self, log_slice user, log_slice address) {
  char* key = self->key_buffer;
  const size_t room = sizeof(self->key_buffer);
  int64_t size =
      tg_caller_key(NULL, address.data, address.size, NULL, 0, user.data, user.size, key, room);
  if (size < 1 || size >= (int64_t)room) return NULL;
  if (user.size == 0 && size == 8 && memcmp(key, "@unknown", 8) == 0) {
    memcpy(key + 1, address.data, address.size);
    size = 1 + (int64_t)address.size;
  }
  const int is_bare = self->key == KEY_ADDRESS; /* there are no identities to tell addresses from */
  return tally_find(self->counts, key + is_bare, (size_t)(size - is_bare));
}

static caller* find_by_key(limiter_run* self, const access_record* record) {
  const log_slice nobody = {record->user.data, 0};
  switch (self->key) {
    case KEY_PATH:
      if (record->path.size == 0) return tally_find(self->counts, "-", 1);
      return tally_find(self->counts, record->path.data, record->path.size);
    case KEY_USER:
      return find_caller(self, record->user, record->address);
    default:
      return find_caller(self, nobody, record->address);
  }
}

int limiter_run_line(limiter_run* self, const access_record* record) {
  if (record->time_us != self->now_us || self->waiting == kBatch) {
    const int status = flush(self);
    if (status != 0) return status;
  }
  if (record->time_us != self->now_us) {
    const int32_t code = tg_client_set_time(self->client, record->time_us);
    if (code < 0) return fail(EXIT_RUN, "%s", tg_strerror(code));
    self->now_us = record->time_us;
  }
  caller* who = find_by_key(self, record);
  if (who == NULL) return fail(EXIT_RUN, "no memory");
  self->entries[self->waiting++] = (tg_entry){
      .user_data = (uintptr_t)who,
      .op = TG_OP_CONSUME,
      .handle = self->limiter,
      .key = who->key,
      .key_len = (uint32_t)who->size,
      .arg = 1,
  };
  return 0;
}

/* Leaves a server as it was found: the states of a replay are of no use to anybody. */
static void forget_all(limiter_run* self) {
  const size_t size = tally_size(self->counts);
  for (size_t at = 0; at < size;) {
    int32_t count = 0;
    for (; count < kBatch && at < size; count++, at++) {
      const caller* who = tally_at(self->counts, at);
      self->entries[count] = (tg_entry){.op = TG_OP_RESET,
                                        .handle = self->limiter,
                                        .key = who->key,
                                        .key_len = (uint32_t)who->size};
    }
    if (tg_call(self->client, self->entries, count, self->results, kBatch) < 0) return;
  }
}

int limiter_run_finish(limiter_run* self, replay_totals* totals) {
  const int status = flush(self);
  if (status != 0) return status;
  if (self->is_remote) forget_all(self);
  tg_stats stats;
  if (tg_client_stats(self->client, &stats) == TG_OK) {
    totals->evicted = stats.evicted_harmless + stats.evicted_owing;
  }
  totals->passed = self->passed;
  totals->denied = self->denied;
  tg_limiter_name(self->client, self->limiter, -1, totals->name, sizeof(totals->name));
  tg_client_url(self->client, totals->store, sizeof(totals->store));
  totals->rate_count = tg_limiter_rates(self->client, self->limiter, totals->rates, TG_MAX_RATES);
  return 0;
}

const tally* limiter_run_tally(const limiter_run* self) { return self->counts; }

void limiter_run_free(limiter_run* self) {
  if (self == NULL) return;
  tg_client_free(self->client);
  tally_free(self->counts);
  free(self);
}
