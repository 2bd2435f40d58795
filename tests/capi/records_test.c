/* SPDX-License-Identifier: MIT */
/* Entries and results: what is well formed, how they are linked, and records smaller and larger
 * than ours. */
#include <stddef.h>

#include "check.h"

static void a_zeroed_entry_is_refused(void) {
  tg_client* client = open_client("memory://");
  tg_entry entry = {0};
  tg_result result;
  CHECK_INT(tg_call(client, &entry, 1, &result, 1), TG_EINVAL);
  tg_client_free(client);
}

static void whatever_is_reserved_must_be_zero(void) {
  tg_client* client = open_client("memory://");
  const tg_entry good = entry_of(open_limiter(client, "5/minute", NULL), "k");
  tg_entry bad[8];
  tg_result result;
  for (size_t i = 0; i < 8; ++i) bad[i] = good;
  bad[0].value = "x";
  bad[1].value_len = 1;
  bad[2].arg2 = 1;
  bad[3].arg3 = -1;
  bad[4].flags = TG_SOURCE_FLAGS(TG_SOURCE_STORE);
  bad[5].flags = 1u << 30;
  bad[6].op = 99;
  bad[7].timeout_us = -1;
  for (size_t i = 0; i < 8; ++i) CHECK_INT(tg_call(client, &bad[i], 1, &result, 1), TG_EINVAL);
  CHECK_INT(tg_call(client, &good, 1, &result, 1), 1);
  CHECK_INT(result.parts[0].remaining, 4);
  tg_client_free(client);
}

static void null_where_something_must_be_is_refused(void) {
  tg_client* client = open_client("memory://");
  tg_entry entry = entry_of(open_limiter(client, "5/minute", NULL), "k");
  tg_result result;
  CHECK_INT(tg_call(NULL, &entry, 1, &result, 1), TG_EINVAL);
  CHECK_INT(tg_call(client, NULL, 1, &result, 1), TG_EINVAL);
  CHECK_INT(tg_call(client, &entry, 1, NULL, 1), TG_EINVAL);
  CHECK_INT(tg_call(client, &entry, -1, &result, 1), TG_EINVAL);
  CHECK_INT(tg_call(client, &entry, 1, &result, -1), TG_EINVAL);
  CHECK_INT(tg_call(client, &entry, 0, &result, 0), 0);
  entry.key = NULL;
  CHECK_INT(tg_call(client, &entry, 1, &result, 1), TG_EINVAL);
  tg_client_free(client);
}

static void an_empty_key_and_a_bad_cost_are_that_requests_errors(void) {
  tg_client* client = open_client("memory://");
  const uint64_t api = open_limiter(client, "5/minute", "api");
  tg_entry entries[4] = {entry_of(api, ""), entry_of(api, "k"), entry_of(api, "k"),
                         entry_of(api, "k")};
  tg_result results[4];
  entries[1].arg = -1;
  entries[2].arg = TG_MAX_COST + 1;
  for (uint64_t i = 0; i < 4; ++i) entries[i].user_data = i + 10;
  CHECK_INT(tg_call(client, entries, 4, results, 4), 4);
  CHECK_INT(results[0].status, TG_EKEY);
  CHECK_INT(results[1].status, TG_ECOST);
  CHECK_INT(results[2].status, TG_ECOST);
  CHECK_INT(results[3].status, TG_OK);
  CHECK(results[1].data_len > 0 && memchr(results[1].data, '-', results[1].data_len));
  for (uint64_t i = 0; i < 4; ++i) CHECK_INT(results[i].user_data, i + 10);
  CHECK_INT(results[0].flags, 0);
  CHECK_INT(results[3].parts[0].remaining, 4);
  tg_client_free(client);
}

static void one_to_sixteen_linked_entries_are_one_request(void) {
  for (int32_t n = 1; n <= 17; ++n) {
    tg_client* client = open_client("memory://");
    tg_entry entries[17];
    tg_result results[2];
    char names[17][16];
    for (int32_t i = 0; i < n; ++i) {
      snprintf(names[i], sizeof names[i], "l%d", i);
      entries[i] = entry_of(open_limiter(client, "2/minute", names[i]), "k");
      entries[i].flags = i + 1 < n ? TG_LINK : 0;
    }
    if (n == 17) {
      CHECK_INT(tg_call(client, entries, n, results, 2), TG_EINVAL);
    } else {
      CHECK_INT(tg_call(client, entries, n, results, 2), 1);
      CHECK_INT(results[0].part_count, n);
      CHECK(results[0].flags & TG_ALLOWED);
      entries[n - 1].arg = 2; /* one part does not fit: nothing is taken from any */
      CHECK_INT(tg_call(client, entries, n, results, 2), 1);
      CHECK(!(results[0].flags & TG_ALLOWED));
      CHECK_INT(results[0].binding, n - 1);
      for (int32_t i = 0; i < n; ++i) CHECK_INT(results[0].parts[i].remaining, 1);
    }
    tg_client_free(client);
  }
}

static void dangling_links_and_mixed_operations_run_nothing(void) {
  tg_client* client = open_client("memory://");
  const uint64_t api = open_limiter(client, "5/minute", "api");
  tg_entry entries[3] = {entry_of(api, "a"), entry_of(api, "b"), entry_of(api, "c")};
  tg_result results[3];
  entries[2].flags = TG_LINK;
  CHECK_INT(tg_call(client, entries, 3, results, 3), TG_EINVAL);
  entries[2].flags = 0;
  entries[1].flags = TG_LINK;
  entries[2].op = TG_OP_PEEK;
  CHECK_INT(tg_call(client, entries, 3, results, 3), TG_EINVAL);
  entries[1].flags = 0;
  CHECK_INT(tg_call(client, entries, 3, results, 2), TG_EINVAL); /* three requests, room for two */
  CHECK_INT(tg_call(client, entries, 3, results, 3), 3);
  CHECK_INT(results[0].parts == NULL ? -1 : results[0].parts[0].remaining,
            4); /* none of it had run */
  tg_client_free(client);
}

/* A caller compiled against an older header, or a newer one: other sizes, the same meaning. */
static void records_of_other_sizes_are_understood(void) {
  tg_client* client = open_client("memory://");
  const uint64_t api = open_limiter(client, "5/minute; 100/hour", "api");
  struct {
    tg_entry ours;
    uint64_t newer;
  } large_entries[2] = {{entry_of(api, "k"), 0}, {entry_of(api, "k"), 0}};
  struct {
    tg_part ours;
    uint64_t newer;
  }* large_part;
  struct {
    tg_result ours;
    uint64_t newer[2];
  } large_results[2];
  const uint64_t large = sizeof large_entries[0] | (uint64_t)sizeof *large_part << 16 |
                         (uint64_t)sizeof large_results[0] << 32;
  memset(large_results, 0xff, sizeof large_results);
  CHECK_INT(tg_call_sized(client, &large_entries[0].ours, 2, &large_results[0].ours, 2, large), 2);
  CHECK_INT(large_results[1].newer[1], 0);
  large_part = (void*)(uintptr_t)large_results[1].ours.parts;
  CHECK_INT(large_part[0].ours.remaining, 3);
  CHECK_INT(large_part[1].ours.remaining, 98);
  CHECK_INT(large_part[1].newer, 0);
  large_entries[0].newer = 1; /* asks for something we do not know */
  CHECK_INT(tg_call_sized(client, &large_entries[0].ours, 1, &large_results[0].ours, 1, large),
            TG_EINVAL);

  enum {
    kEntry = offsetof(tg_entry, arg2),
    kPart = offsetof(tg_part, retry_after_us),
    kResult = offsetof(tg_result, data)
  };
  const tg_entry entry = entry_of(api, "k");
  char small_result[kResult + 8];
  memset(small_result, 0x55, sizeof small_result);
  const uint64_t small = (uint64_t)kEntry | (uint64_t)kPart << 16 | (uint64_t)kResult << 32;
  CHECK_INT(tg_call_sized(client, &entry, 1, (tg_result*)(void*)small_result, 1, small), 1);
  tg_result seen = {0};
  memcpy(&seen, small_result, kResult);
  CHECK_INT(small_result[kResult], 0x55); /* nothing is written behind the caller's record */
  int64_t remaining;
  memcpy(&remaining, (const char*)seen.parts + kPart + offsetof(tg_part, remaining),
         sizeof remaining);
  CHECK_INT(remaining, 97);
  CHECK_INT(tg_call_sized(client, &entry, 1, (tg_result*)(void*)small_result, 1, 8), TG_ESIZE);
  tg_client_free(client);
}

static void keys_may_be_any_bytes_and_of_any_length(void) {
  tg_client* client = open_client("memory://");
  tg_entry entry = entry_of(open_limiter(client, "3/minute", "api"), "k");
  static char key[10000];
  tg_result result;
  memset(key, 'x', sizeof key);
  const uint32_t lengths[] = {1, 512, 513, 10000};
  for (size_t i = 0; i < 4; ++i) {
    entry.key = key;
    entry.key_len = lengths[i];
    CHECK_INT(tg_call(client, &entry, 1, &result, 1), 1);
    CHECK_INT(result.parts[0].remaining, 2); /* each its own state */
  }
  entry.key = "a\0b";
  entry.key_len = 3;
  CHECK_INT(tg_call(client, &entry, 1, &result, 1), 1);
  entry.key = "a\0c";
  CHECK_INT(tg_call(client, &entry, 1, &result, 1), 1);
  CHECK_INT(result.parts[0].remaining, 2);
  tg_client_free(client);
}

static void the_results_of_a_call_live_until_the_next_on_the_thread(void) {
  tg_client* client = open_client("memory://");
  const uint64_t api = open_limiter(client, "1000/minute", "api");
  tg_entry entries[200];
  tg_result results[200];
  for (int i = 0; i < 200; ++i) entries[i] = entry_of(api, "k");
  CHECK_INT(tg_call(client, entries, 200, results, 200), 200);
  for (int i = 0; i < 200; ++i) CHECK_INT(results[i].parts[0].remaining, 999 - i);
  tg_client_free(client);
}

int main(void) {
  static const struct test tests[] = {
      {"a zeroed entry is refused", a_zeroed_entry_is_refused},
      {"whatever is reserved must be zero", whatever_is_reserved_must_be_zero},
      {"NULL where something must be is refused", null_where_something_must_be_is_refused},
      {"an empty key and a bad cost are that request's errors",
       an_empty_key_and_a_bad_cost_are_that_requests_errors},
      {"1 to 16 linked entries are one request", one_to_sixteen_linked_entries_are_one_request},
      {"dangling links and mixed operations run nothing",
       dangling_links_and_mixed_operations_run_nothing},
      {"records of other sizes are understood", records_of_other_sizes_are_understood},
      {"keys may be any bytes and of any length", keys_may_be_any_bytes_and_of_any_length},
      {"the results of a call live until the next on the thread",
       the_results_of_a_call_live_until_the_next_on_the_thread},
  };
  return run_tests(tests, sizeof tests / sizeof *tests);
}
