/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_C_REPLAY_H_
#define EXAMPLES_C_REPLAY_H_
/* What the parts of replay tell each other: what was asked for, and what came out. */
#include <stddef.h>
#include <stdint.h>
#include <tidegate.h>

#include "access_log.h"
#include "tally.h"

enum { EXIT_RUN = 1, EXIT_USAGE = 2 }; /* the store failed; what was asked for makes no sense */

typedef enum replay_key { KEY_ADDRESS, KEY_PATH, KEY_USER } replay_key;

typedef struct replay_options {
  const char* file; /* "-": standard input */
  const char *limit, *algorithm, *store, *key_name;
  replay_key key;
  int64_t top;
  int json;
} replay_options;

enum { MALFORMED_SHOWN = 3, LINE_SIZE = 1 << 18 }; /* what is longer is no line of a log */

typedef struct replay_totals {
  int64_t lines, passed, denied; /* lines = passed + denied + malformed */
  int64_t malformed, malformed_lines[MALFORMED_SHOWN];
  int64_t stepped_back;      /* lines whose time lies before that of the line above */
  int64_t first_us, last_us; /* the earliest and the latest time; -1: none */
  int64_t evicted;           /* states dropped for room that still owed something */
  int64_t elapsed_us;
  char name[80], store[512]; /* the limiter's; the URL without its password */
  tg_rate rates[TG_MAX_RATES];
  int32_t rate_count;
} replay_totals;

/* 0, or the exit status after one line on standard error; -1: done (help and version). */
int replay_options_parse(replay_options*, int argc, char** argv);

/* The limiter that the lines run through. 0, or the exit status after one line on standard error.
 */
typedef struct limiter_run limiter_run;
int limiter_run_open(const replay_options*, limiter_run**);
int limiter_run_line(limiter_run*, const access_record*); /* charges the caller, maybe later */
int limiter_run_finish(limiter_run*, replay_totals*);     /* what is left; fills in the totals */
const tally* limiter_run_tally(const limiter_run*);
void limiter_run_free(limiter_run*);

/* The table or the JSON. 0, or the exit status after one line on standard error. */
int report(const replay_options*, const replay_totals*, const tally*);

/* One line "replay: ..." on standard error, whatever bytes the text holds; returns `status`. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
int fail(int status, const char* format, ...);

#endif /* EXAMPLES_C_REPLAY_H_ */
