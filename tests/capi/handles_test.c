/* SPDX-License-Identifier: MIT */
/* Clients, options and limiters: errors at the border, stale handles, use after close, modes,
 * changes, events. */
#include "check.h"

static void unknown_options_list_near_names(void) {
  tg_options* options = tg_options_new();
  tg_error error;
  CHECK_INT(tg_options_set(options, "timeout_msec", "5", &error), TG_EOPTION);
  CHECK(strstr(error.message, "timeout_ms"));
  CHECK_INT(tg_options_set(options, "timeout_ms", "soon", &error), TG_EOPTION);
  CHECK(strstr(error.message, "soon"));
  CHECK_INT(tg_options_set(options, "timeout_ms", "0", &error), TG_EOPTION);
  CHECK_INT(tg_options_set(options, "timeout_ms", "5", NULL), TG_OK);
  CHECK_INT(tg_options_set(NULL, "timeout_ms", "5", &error), TG_EINVAL);
  CHECK_INT(tg_options_set(options, NULL, "5", &error), TG_EINVAL);
  CHECK(tg_options_describe(NULL, 0) > 500);
  tg_options_free(options);
  tg_options_free(NULL);
}

static void each_kind_of_bad_input_has_its_code(void) {
  static const struct {
    const char* url;
    int32_t code;
  } urls[] = {{"http://x", TG_EURL},
              {"redis://", TG_EURL},
              {"redis://h:99999", TG_EURL},
              {"memory://x", TG_EURL},
              {"redis://u:secret@h:port", TG_EURL},
              {"memory://?max_keys=0", TG_EOPTION},
              {"memory://?nonsense=1", TG_EOPTION},
              {"redis://h?clock=manual", TG_EOPTION},
              {"rediss://h?tls_verify=perhaps", TG_EOPTION}};
  for (size_t i = 0; i < sizeof urls / sizeof *urls; ++i) {
    tg_client* client = (tg_client*)1;
    tg_error error;
    CHECK_INT(tg_client_open(urls[i].url, strlen(urls[i].url), NULL, &client, &error),
              urls[i].code);
    CHECK(client == NULL);
    CHECK(error.code == urls[i].code && error.message[0]);
    CHECK(!strstr(error.message, "secret"));
  }
  static const struct {
    const char *rates, *name, *algorithm, *mode, *failure;
    int32_t code;
  } specs[] = {{"", NULL, NULL, NULL, NULL, TG_ERATE},
               {"100", NULL, NULL, NULL, NULL, TG_ERATE},
               {"0/s", NULL, NULL, NULL, NULL, TG_ERATE},
               {"5/fortnight", NULL, NULL, NULL, NULL, TG_ERATE},
               {"5/s burst 9", NULL, "fixed_window", NULL, NULL, TG_ERATE},
               {"5/s; 6/s", NULL, NULL, NULL, NULL, TG_ERATE},
               {"20000/s", NULL, "sliding_log", NULL, NULL, TG_ERATE},
               {"5/s", "a b", NULL, NULL, NULL, TG_ENAME},
               {"5/s", NULL, "magic", NULL, NULL, TG_EINVAL},
               {"5/s", NULL, NULL, "loud", NULL, TG_EINVAL},
               {"5/s", NULL, NULL, NULL, "panic", TG_EOPTION}};
  tg_client* client = open_client("memory://");
  for (size_t i = 0; i < sizeof specs / sizeof *specs; ++i) {
#define TEXT_OF(word) {specs[i].word, specs[i].word ? strlen(specs[i].word) : 0}
    tg_limiter_spec spec = {.rates = TEXT_OF(rates),
                            .name = TEXT_OF(name),
                            .algorithm = TEXT_OF(algorithm),
                            .mode = TEXT_OF(mode),
                            .on_failure = TEXT_OF(failure)};
    uint64_t handle = 7;
    tg_error error;
    CHECK_INT(tg_limiter_open(client, &spec, &handle, &error), specs[i].code);
    CHECK(error.message[0] && handle == 7);
  }
  tg_limiter_spec spec = {.rates = TG_TEXT("5/s")};
  uint64_t handle;
  CHECK_INT(tg_limiter_open_sized(client, &spec, 3, &handle, NULL), TG_ESIZE);
  CHECK_INT(tg_limiter_open(client, NULL, &handle, NULL), TG_EINVAL);
  CHECK_INT(tg_limiter_open(client, &spec, NULL, NULL), TG_EINVAL);
  tg_client_free(client);
}

static void limiters_are_interned_by_name(void) {
  tg_client* client = open_client("memory://");
  const uint64_t one = open_limiter(client, "5/minute", "api");
  CHECK_INT(open_limiter(client, "5 per 60s", "api"), one);
  CHECK(open_limiter(client, "5/minute", "other") != one);
  CHECK_INT(open_limiter(client, "5/minute", NULL), open_limiter(client, "5/min", NULL));
  tg_limiter_spec spec = {.rates = TG_TEXT("6/minute"), .name = TG_TEXT("api")};
  uint64_t handle = 0;
  tg_error error;
  CHECK_INT(tg_limiter_open(client, &spec, &handle, &error), TG_ECONFLICT);
  CHECK(strstr(error.message, "api"));
  char name[64];
  CHECK_INT(tg_limiter_name(client, open_limiter(client, "5/minute", NULL), -1, name, sizeof name),
            9);
  CHECK(strcmp(name, "5-per-60s") == 0);
  const uint64_t two = open_limiter(client, "5/minute; 50/hour", "both");
  CHECK_INT(tg_limiter_name(client, two, 1, name, sizeof name), 10);
  CHECK(strcmp(name, "both-3600s") == 0);
  CHECK_INT(tg_limiter_name(client, two, 2, name, sizeof name), TG_EINVAL);
  tg_rate rates[TG_MAX_RATES];
  CHECK_INT(tg_limiter_rates(client, two, rates, TG_MAX_RATES), 2);
  CHECK_INT(rates[1].window_us, 3600000000LL);
  CHECK(strcmp(rates[0].algorithm, "token_bucket") == 0 && strcmp(rates[0].mode, "enforce") == 0);
  tg_client_free(client);
}

static void a_stale_limiter_is_an_error_never_another(void) {
  tg_client *client = open_client("memory://"), *stranger = open_client("memory://");
  const uint64_t old = open_limiter(client, "5/minute", "old");
  tg_entry entry = entry_of(old, "k");
  tg_result result;
  CHECK_INT(tg_limiter_close(client, old), TG_OK);
  CHECK_INT(tg_limiter_close(client, old), TG_EHANDLE);
  const uint64_t fresh = open_limiter(client, "9/minute", "fresh"); /* the slot is used again */
  CHECK(fresh != old);
  CHECK_INT(tg_call(client, &entry, 1, &result, 1), 1);
  CHECK_INT(result.status, TG_EHANDLE);
  CHECK_INT(tg_limiter_name(client, old, -1, NULL, 0), TG_EHANDLE);
  tg_limiter_spec spec = {.rates = TG_TEXT("6/minute")};
  CHECK_INT(tg_limiter_change(client, old, &spec, NULL), TG_EHANDLE);
  entry.handle = fresh;
  CHECK_INT(tg_call(stranger, &entry, 1, &result, 1), 1);
  CHECK_INT(result.status, TG_EHANDLE);
  entry.handle = 0;
  CHECK_INT(tg_call(client, &entry, 1, &result, 1), 1);
  CHECK_INT(result.status, TG_EHANDLE);
  tg_client_free(stranger);
  tg_client_free(client);
}

static void a_change_keeps_the_past(void) {
  tg_client* client = open_client("memory://");
  const uint64_t api = open_limiter(client, "5/hour", "api");
  tg_entry entry = entry_of(api, "k");
  tg_result result;
  entry.arg = 5;
  CHECK_INT(tg_call(client, &entry, 1, &result, 1), 1);
  tg_limiter_spec spec = {.rates = TG_TEXT("8/hour")};
  CHECK_INT(tg_limiter_change(client, api, &spec, NULL), TG_OK);
  entry.arg = 1;
  CHECK_INT(tg_call(client, &entry, 1, &result, 1), 1);
  CHECK_INT(result.parts[0].limit, 8);
  CHECK_INT(result.parts[0].remaining, 2);
  tg_limiter_spec rename = {.name = TG_TEXT("new")};
  CHECK_INT(tg_limiter_change(client, api, &rename, NULL), TG_ENAME);
  tg_limiter_spec off = {.mode = TG_TEXT("off")};
  CHECK_INT(tg_limiter_change(client, api, &off, NULL), TG_OK);
  CHECK_INT(tg_call(client, &entry, 1, &result, 1), 1);
  CHECK(result.flags & TG_ALLOWED);
  CHECK(result.parts[0].flags & TG_OFF);
  CHECK_INT(result.parts[0].remaining, TG_NEVER);
  tg_limiter_spec shadow = {.mode = TG_TEXT("shadow")};
  CHECK_INT(tg_limiter_change(client, api, &shadow, NULL), TG_OK);
  entry.arg = 3;
  CHECK_INT(tg_call(client, &entry, 1, &result, 1), 1);
  CHECK((result.flags & (TG_ALLOWED | TG_WOULD_DENY)) == (TG_ALLOWED | TG_WOULD_DENY));
  tg_client_free(client);
}

static void after_close_everything_says_so(void) {
  tg_client* client = open_client("memory://?clock=manual");
  const uint64_t api = open_limiter(client, "5/minute", "api");
  tg_entry entry = entry_of(api, "k");
  tg_result result;
  tg_stats stats;
  CHECK_INT(tg_client_close(client), TG_OK);
  CHECK_INT(tg_client_close(client), TG_ECLOSED);
  CHECK_INT(tg_call(client, &entry, 1, &result, 1), TG_ECLOSED);
  CHECK_INT(tg_client_set_time(client, 1), TG_ECLOSED);
  tg_limiter_spec spec = {.rates = TG_TEXT("5/s")};
  uint64_t handle;
  tg_ring* ring;
  CHECK_INT(tg_limiter_open(client, &spec, &handle, NULL), TG_ECLOSED);
  CHECK_INT(tg_ring_open(client, 8, 0, &ring, NULL), TG_ECLOSED);
  CHECK_INT(tg_client_stats(client, &stats), TG_OK); /* figures are still to be had */
  CHECK_INT(tg_is_fatal(TG_ECLOSED), 1);
  CHECK_INT(tg_is_fatal(TG_ETIMEDOUT), 0);
  CHECK_INT(tg_is_retriable(TG_ETIMEDOUT), 1);
  CHECK_INT(tg_is_retriable(TG_ERATE), 0);
  tg_client_free(client);
  tg_client_free(NULL);
}

static void statistics_count_and_fit_older_records(void) {
  tg_client* client = open_client("memory://");
  tg_entry entry = entry_of(open_limiter(client, "2/hour", "api"), "k");
  tg_result result;
  tg_stats stats;
  for (int i = 0; i < 3; ++i) tg_call(client, &entry, 1, &result, 1);
  CHECK_INT(tg_client_stats(client, &stats), TG_OK);
  CHECK_INT(stats.allowed, 2);
  CHECK_INT(stats.denied, 1);
  CHECK_INT(stats.by_memory, 3);
  CHECK_INT(stats.keys, 1);
  CHECK(stats.bytes > 0);
  int64_t two[3] = {0, 0, 77};
  CHECK_INT(tg_client_stats_sized(client, (tg_stats*)two, 16), TG_OK);
  CHECK(two[0] == 2 && two[1] == 1 && two[2] == 77);
  CHECK_INT(tg_client_stats_sized(client, &stats, 1), TG_ESIZE);
  tg_client_free(client);
}

static void a_url_never_shows_its_password(void) {
  tg_client* client = open_client("redis://app:hunter2@127.0.0.1:1?timeout_ms=50");
  char text[200];
  CHECK(tg_client_url(client, text, sizeof text) > 0);
  CHECK(strstr(text, "app:***@127.0.0.1") && !strstr(text, "hunter2"));
  char cut[6] = "zzzzz";
  CHECK_INT(tg_client_url(client, cut, sizeof cut), strlen(text));
  CHECK(strlen(cut) == 5);
  tg_client_free(client);
}

static void the_clock_is_set_by_hand_only_where_it_was_asked_for(void) {
  tg_client *client = open_client("memory://"), *manual = open_client("memory://?clock=manual");
  CHECK_INT(tg_client_set_time(client, 5), TG_EINVAL);
  CHECK_INT(tg_client_set_time(manual, -1), TG_EINVAL);
  CHECK_INT(tg_client_set_time(manual, 1000000000), TG_OK);
  tg_entry entry = entry_of(open_limiter(manual, "1/s", "api"), "k");
  tg_result result;
  CHECK_INT(tg_call(manual, &entry, 1, &result, 1), 1);
  CHECK_INT(tg_call(manual, &entry, 1, &result, 1), 1);
  CHECK_INT(result.parts[0].retry_after_us, 1000000);
  CHECK_INT(tg_client_set_time(manual, 1001000000), TG_OK);
  CHECK_INT(tg_call(manual, &entry, 1, &result, 1), 1);
  CHECK(result.flags & TG_ALLOWED);
  CHECK_INT(tg_client_set_time(manual, 0), TG_OK); /* far back: nobody is locked out for long */
  CHECK_INT(tg_call(manual, &entry, 1, &result, 1), 1);
  CHECK(result.parts[0].retry_after_us <= 1000000);
  tg_client_free(manual);
  tg_client_free(client);
}

static void every_code_has_a_text_of_its_own(void) {
  for (int32_t code = 0; code > -45; --code) {
    if (code < -16 && code > -32) continue;
    CHECK(strcmp(tg_strerror(code), tg_strerror(-999)) != 0);
  }
  CHECK_INT(tg_abi(), TG_ABI);
  CHECK(strcmp(tg_version(), TG_VERSION) == 0);
}

int main(void) {
  static const struct test tests[] = {
      {"unknown options list near names", unknown_options_list_near_names},
      {"each kind of bad input has its code", each_kind_of_bad_input_has_its_code},
      {"limiters are interned by name", limiters_are_interned_by_name},
      {"a stale limiter is an error, never another", a_stale_limiter_is_an_error_never_another},
      {"a change keeps the past", a_change_keeps_the_past},
      {"after close everything says so", after_close_everything_says_so},
      {"statistics count, and fit older records", statistics_count_and_fit_older_records},
      {"a URL never shows its password", a_url_never_shows_its_password},
      {"the clock is set by hand only where it was asked for",
       the_clock_is_set_by_hand_only_where_it_was_asked_for},
      {"every code has a text of its own", every_code_has_a_text_of_its_own},
  };
  return run_tests(tests, sizeof tests / sizeof *tests);
}
