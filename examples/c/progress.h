/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_C_PROGRESS_H_
#define EXAMPLES_C_PROGRESS_H_
/*
 * A progress bar on standard error: only where that is a terminal, and only for what takes long
 * enough to be looked at.
 */
#include <stdint.h>

typedef struct progress {
  int shown, enabled;
  int64_t total; /* bytes, or 0 where nobody knows: a pipe */
  int64_t started_us, next_us;
} progress;

void progress_start(progress*, int64_t total);
void progress_update(progress*, int64_t done, int64_t lines); /* cheap; draws ten times a second */
void progress_stop(progress*);                                /* wipes the bar */
int64_t monotonic_us(void);

#endif /* EXAMPLES_C_PROGRESS_H_ */
