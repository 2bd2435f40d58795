/* SPDX-License-Identifier: MIT */
/*
 * replay: what would this rate limit have done to yesterday's traffic?
 *
 *   replay --limit "100/minute burst 20" access.log
 */
#include "replay.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static int64_t monotonic_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int open_log(const char* file, FILE** log) {
  struct stat about;
  *log = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
  if (*log == NULL || fstat(fileno(*log), &about) != 0) {
    return fail(EXIT_USAGE, "%s: %s", file, strerror(errno));
  }
  return S_ISDIR(about.st_mode) ? fail(EXIT_USAGE, "%s: %s", file, strerror(EISDIR)) : 0;
}

/* A line with any bytes in it, and its line feed if it has one. Returns its size, which is more
 * than LINE_SIZE where the line did not fit, and 0 at the end. */
static size_t read_line(FILE* log, char* line) {
  size_t size = 0;
  for (int c; (c = getc_unlocked(log)) != EOF;) {
    if (size < LINE_SIZE) line[size] = (char)c;
    size++;
    if (c == '\n') break;
  }
  return size;
}

static void count_malformed(replay_totals* totals) {
  if (totals->malformed < MALFORMED_SHOWN) {
    totals->malformed_lines[totals->malformed] = totals->lines;
  }
  totals->malformed++;
}

static void count_time(replay_totals* totals, int64_t time_us, int64_t* above_us) {
  if (time_us < *above_us) totals->stepped_back++;
  *above_us = time_us;
  if (totals->first_us < 0 || time_us < totals->first_us) totals->first_us = time_us;
  if (time_us > totals->last_us) totals->last_us = time_us;
}

static int run_lines(limiter_run* run, FILE* log, replay_totals* totals) {
  static char line[LINE_SIZE];
  access_record record;
  int64_t above_us = -1;
  for (size_t size; (size = read_line(log, line)) > 0;) {
    totals->lines++;
    if (size > LINE_SIZE || !access_log_parse(line, size, &record)) {
      count_malformed(totals);
      continue;
    }
    count_time(totals, record.time_us, &above_us);
    const int status = limiter_run_line(run, &record);
    if (status != 0) return status;
  }
  return ferror(log) ? fail(EXIT_USAGE, "cannot read the log: %s", strerror(errno)) : 0;
}

static int replay(const replay_options* options) {
  limiter_run* run = NULL;
  replay_totals totals = {.first_us = -1, .last_us = -1};
  FILE* log = NULL;
  int status = open_log(options->file, &log);
  if (status == 0) status = limiter_run_open(options, &run);
  if (status == 0) {
    const int64_t started_us = monotonic_us();
    status = run_lines(run, log, &totals);
    if (status == 0) status = limiter_run_finish(run, &totals);
    totals.elapsed_us = monotonic_us() - started_us;
  }
  if (status == 0) status = report(options, &totals, limiter_run_tally(run));
  if (status == 0 && fflush(stdout) != 0) {
    status = fail(EXIT_RUN, "cannot write: %s", strerror(errno));
  }
  limiter_run_free(run);
  if (log != NULL && log != stdin) fclose(log);
  return status;
}

int main(int argc, char** argv) {
  replay_options options;
  const int status = replay_options_parse(&options, argc, argv);
  if (status < 0) return 0;
  return status > 0 ? status : replay(&options);
}
