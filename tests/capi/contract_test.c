/* SPDX-License-Identifier: MIT */
/* What tidegate.h says of errors, events and hooks. */
#include <stddef.h>

#include "check.h"

static void every_code_has_a_name_a_kind_and_a_text(void) {
  const int32_t codes[] = {
      TG_OK,    TG_EINVAL,  TG_ESIZE,     TG_ERATE,     TG_EOPTION, TG_EURL,      TG_EKEY,
      TG_ECOST, TG_EHANDLE, TG_ENAME,     TG_ECONFLICT, TG_ECLOSED, TG_EFORK,     TG_ECANCELED,
      TG_EFULL, TG_ENOMEM,  TG_EINTERNAL, TG_EID,       TG_ESTORE,  TG_ETIMEDOUT, TG_ECONNECT,
      TG_EAUTH, TG_ETLS,    TG_EPROTOCOL, TG_ECLUSTER,  TG_EOOM,    TG_EREADONLY, TG_ELOADING,
      TG_EBUSY, TG_ENOPERM, TG_EWRONGTYPE};
  const char* kinds = " ok config handle closed canceled full store internal ";
  for (size_t i = 0; i < sizeof codes / sizeof *codes; ++i) {
    char kind[32];
    snprintf(kind, sizeof kind, " %s ", tg_error_kind(codes[i]));
    CHECK(strncmp(tg_error_name(codes[i]), "TG_", 3) == 0);
    CHECK(strstr(kinds, kind) != NULL);
    CHECK(strcmp(tg_strerror(codes[i]), "an unknown code") != 0);
    CHECK_INT(strcmp(kind, " store ") == 0, codes[i] <= TG_ESTORE && codes[i] >= -63);
    for (size_t j = 0; j < i; ++j)
      CHECK(strcmp(tg_error_name(codes[i]), tg_error_name(codes[j])) != 0);
  }
  CHECK(strcmp(tg_error_name(-999), "") == 0);
  CHECK(strcmp(tg_error_kind(TG_EHANDLE), "handle") == 0);
}

static void what_is_refused_is_said_in_words(void) {
  tg_client* client = open_client("memory://");
  const tg_entry good = entry_of(open_limiter(client, "5/minute", NULL), "k");
  tg_entry two[2] = {good, good};
  tg_result results[2];
  tg_error error = {0};
  CHECK_INT(tg_check_entries(two, 2, &error), 2);
  two[0].flags = TG_LINK;
  CHECK_INT(tg_check_entries(two, 2, &error), 1);
  struct {
    const char* word; /* what the message must name */
    tg_entry first, second;
  } bad[] = {
      {"op 99", {.op = 99}, good},
      {"timeout_us -1", {.op = TG_OP_PEEK, .timeout_us = -1}, good},
      {"arg2", {.op = TG_OP_PEEK, .arg2 = 1}, good},
      {"source", {.op = TG_OP_CONSUME, .flags = TG_SOURCE_FLAGS(TG_SOURCE_STORE)}, good},
      {"key NULL", {.op = TG_OP_PEEK, .key_len = 3}, good},
      {"entry 1: TG_LINK", good, {.op = TG_OP_CONSUME, .flags = TG_LINK}},
      {"entry 1: another operation", {.op = TG_OP_CONSUME, .flags = TG_LINK}, {.op = TG_OP_PEEK}},
      {"ping", {.op = TG_OP_PING, .arg = 1}, good},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
    const tg_entry pair[2] = {bad[i].first, bad[i].second};
    error.message[0] = 0;
    CHECK_INT(tg_check_entries(pair, 2, &error), TG_EINVAL);
    if (!strstr(error.message, bad[i].word))
      fprintf(stderr, "%s: not in: %s\n", bad[i].word, error.message);
    CHECK(strstr(error.message, bad[i].word) != NULL);
    CHECK_INT(tg_call(client, pair, 2, results, 2), TG_EINVAL);
  }
  tg_client_free(client);
}

static void an_event_has_the_size_that_its_reader_knows(void) {
  tg_client* client = open_client("redis://127.0.0.1:1?timeout_ms=50");
  tg_entry ping = {.op = TG_OP_PING};
  tg_result result;
  CHECK_INT(tg_call(client, &ping, 1, &result, 1), 1);
  struct {
    tg_event event;
    char more[64];
  } larger;
  memset(&larger, 0x5a, sizeof larger);
  CHECK_INT(tg_client_next_event_sized(client, &larger.event, sizeof larger), 1);
  CHECK(larger.event.text[0] && larger.event.level >= TG_LOG_INFO);
  for (size_t i = 0; i < sizeof larger.more; ++i) CHECK_INT(larger.more[i], 0);
  tg_event event;
  CHECK_INT(tg_client_next_event_sized(client, &event, 8), TG_ESIZE);
  CHECK_INT(tg_client_next_event_sized(client, NULL, sizeof event), TG_EINVAL);
  tg_client_free(client);
}

struct nested {
  tg_client *own, *other;
  uint64_t limiter;
  int calls, own_status;
};

static void ask_another(void* context, const tg_event* event) {
  struct nested* nested = context;
  tg_entry entry = entry_of(nested->limiter, "from the hook");
  entry.user_data = 222;
  tg_result result;
  CHECK(event->text[0]);
  CHECK_INT(tg_call(nested->other, &entry, 1, &result, 1), 1);
  CHECK_INT(result.user_data, 222);
  CHECK_INT(result.parts[0].limit, 777);
  entry.flags = TG_LINK; /* the slow way too: two parts */
  tg_entry two[2] = {entry, entry};
  two[1].flags = 0;
  CHECK_INT(tg_call(nested->other, two, 2, &result, 1), 1);
  CHECK_INT(result.part_count, 2);
  tg_entry ping = {.op = TG_OP_PING};
  nested->own_status = tg_call(nested->own, &ping, 1, &result, 1);
  ++nested->calls;
}

static void a_hook_may_ask_another_client(void) {
  struct nested nested = {.own = open_client("redis://127.0.0.1:1?timeout_ms=50"),
                          .other = open_client("memory://")};
  nested.limiter = open_limiter(nested.other, "777/minute", "b");
  CHECK_INT(tg_client_on_event(nested.own, ask_another, &nested), TG_OK);
  const uint64_t five = open_limiter(nested.own, "5/minute", "a");
  tg_entry entries[2] = {entry_of(five, "k"), entry_of(five, "l")};
  entries[0].user_data = 1000;
  entries[1].user_data = 1001;
  tg_result results[2];
  CHECK_INT(tg_call(nested.own, entries, 2, results, 2), 2);
  CHECK(nested.calls > 0);
  CHECK_INT(nested.own_status, TG_EINVAL);
  for (int i = 0; i < 2; ++i) {
    CHECK_INT(results[i].user_data, 1000 + i);
    CHECK_INT(results[i].part_count, 1);
    CHECK_INT(results[i].parts[0].limit, 5);
    CHECK_INT(TG_SOURCE(results[i].flags), TG_SOURCE_FALLBACK);
  }
  CHECK_INT(tg_client_on_event(nested.own, NULL, NULL), TG_OK);
  tg_client_free(nested.own);
  tg_client_free(nested.other);
}

int main(void) {
  const struct test tests[] = {
      {"every code has a name, a kind and a text", every_code_has_a_name_a_kind_and_a_text},
      {"what is refused is said in words", what_is_refused_is_said_in_words},
      {"an event has the size that its reader knows", an_event_has_the_size_that_its_reader_knows},
      {"a hook may ask another client", a_hook_may_ask_another_client},
  };
  return run_tests(tests, sizeof tests / sizeof *tests);
}
