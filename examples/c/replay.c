/* SPDX-License-Identifier: MIT */
/*
 * replay: what would this rate limit have done to yesterday's traffic?
 *
 *   replay --limit "100/minute burst 20" access.log
 */
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "line_reader.h"
#include "progress.h"

static int open_log(const char* file, int* descriptor, int64_t* size) {
  struct stat about;
  *size = 0;
  *descriptor = strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
  if (*descriptor < 0 || fstat(*descriptor, &about) != 0) {
    return fail(EXIT_USAGE, "%s: %s", file, strerror(errno));
  }
  if (S_ISDIR(about.st_mode)) return fail(EXIT_USAGE, "%s: %s", file, strerror(EISDIR));
  if (S_ISREG(about.st_mode)) *size = about.st_size;
  return 0;
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

static int run_lines(limiter_run* run, int descriptor, progress* bar, replay_totals* totals) {
  static line_reader reader;
  line_reader_init(&reader, descriptor);
  access_record record;
  const char* line;
  size_t size;
  int64_t above_us = -1;
  for (;;) {
    const int got = line_reader_next(&reader, &line, &size);
    if (got == LINE_END) return 0;
    if (got == LINE_ERROR) return fail(EXIT_USAGE, "cannot read the log: %s", strerror(errno));
    totals->lines++;
    if (totals->lines % 256 == 0) progress_update(bar, reader.bytes_read, totals->lines);
    if (got == LINE_TOO_LONG || !access_log_parse(line, size, &record)) {
      count_malformed(totals);
      continue;
    }
    count_time(totals, record.time_us, &above_us);
    const int status = limiter_run_line(run, &record);
    if (status != 0) return status;
  }
}

static int replay(const replay_options* options) {
  limiter_run* run = NULL;
  replay_totals totals = {.first_us = -1, .last_us = -1};
  progress bar;
  int descriptor = -1;
  int64_t size = 0;
  int status = open_log(options->file, &descriptor, &size);
  if (status == 0) status = limiter_run_open(options, &run);
  if (status == 0) {
    const int64_t started_us = monotonic_us();
    progress_start(&bar, size);
    status = run_lines(run, descriptor, &bar, &totals);
    if (status == 0) status = limiter_run_finish(run, &totals);
    totals.elapsed_us = monotonic_us() - started_us;
    progress_stop(&bar);
  }
  if (status == 0) {
    (options->json ? report_json : report_table)(options, &totals, limiter_run_tally(run));
    if (fflush(stdout) != 0) status = fail(EXIT_RUN, "cannot write: %s", strerror(errno));
  }
  limiter_run_free(run);
  if (descriptor > STDERR_FILENO) close(descriptor);
  return status;
}

int main(int argc, char** argv) {
  replay_options options;
  const int status = replay_options_parse(&options, argc, argv);
  if (status < 0) return 0;
  return status > 0 ? status : replay(&options);
}
