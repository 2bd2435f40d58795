/* SPDX-License-Identifier: MIT */
/* The pure-C suite's few words: a table of tests, CHECK, and what most tests open. */
#ifndef TIDEGATE_TESTS_CAPI_CHECK_H_
#define TIDEGATE_TESTS_CAPI_CHECK_H_

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tidegate.h>

extern int check_failures;

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      ++check_failures;                                                         \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
    }                                                                           \
  } while (0)

#define CHECK_INT(got, expected)                                                            \
  do {                                                                                      \
    long long got_ = (long long)(got), expected_ = (long long)(expected);                   \
    if (got_ != expected_) {                                                                \
      ++check_failures;                                                                     \
      fprintf(stderr, "%s:%d: %s is %lld, expected %lld\n", __FILE__, __LINE__, #got, got_, \
              expected_);                                                                   \
    }                                                                                       \
  } while (0)

struct test {
  const char* title;
  void (*run)(void);
};

/* Runs them all, says which failed, ends with "N passed, N failed"; the exit status. */
int run_tests(const struct test* tests, size_t count);

/* An embedded client with this query ("" for none); aborts where it cannot be had. */
tg_client* open_client(const char* url);
/* A limiter; aborts where it cannot be had. */
uint64_t open_limiter(tg_client* client, const char* rates, const char* name);
/* A consume of 1 for a key. */
tg_entry entry_of(uint64_t limiter, const char* key);
/* The server's URL: a real one is started for the first caller, and stopped at exit. NULL: there is
 * none to start. */
const char* server_url(void);

#endif
