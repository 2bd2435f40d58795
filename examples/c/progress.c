/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { kWidth = 30, kPatienceUs = 300000, kEveryUs = 100000 };

int64_t monotonic_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void progress_start(progress* self, int64_t total) {
  *self = (progress){.total = total, .started_us = monotonic_us()};
  self->enabled = isatty(STDERR_FILENO);
  self->next_us = self->started_us + kPatienceUs;
}

void progress_update(progress* self, int64_t done, int64_t lines) {
  if (!self->enabled) return;
  const int64_t now = monotonic_us();
  if (now < self->next_us) return;
  self->next_us = now + kEveryUs;
  self->shown = 1;
  const double per_second = (double)lines * 1e6 / (double)(now - self->started_us);
  if (self->total <= 0) {
    fprintf(stderr, "\r\033[K%lld lines, %.0f/s", (long long)lines, per_second);
    return;
  }
  const int64_t share = done < self->total ? done * 100 / self->total : 100;
  char bar[kWidth + 1];
  memset(bar, '.', kWidth);
  memset(bar, '#', (size_t)(share * kWidth / 100));
  bar[kWidth] = '\0';
  fprintf(stderr, "\r\033[K[%s] %3d %%  %lld lines, %.0f/s", bar, (int)share, (long long)lines,
          per_second);
}

void progress_stop(progress* self) {
  if (self->shown) fputs("\r\033[K", stderr);
  self->shown = 0;
}
