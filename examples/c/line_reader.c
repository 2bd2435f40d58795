/* SPDX-License-Identifier: MIT */
#include "line_reader.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void line_reader_init(line_reader* self, int descriptor) {
  self->descriptor = descriptor;
  self->ended = self->skipping = 0;
  self->start = self->end = 0;
  self->bytes_read = 0;
}

static int fill(line_reader* self) {
  memmove(self->buffer, self->buffer + self->start, self->end - self->start);
  self->end -= self->start;
  self->start = 0;
  for (;;) {
    const ssize_t got =
        read(self->descriptor, self->buffer + self->end, LINE_READER_SIZE - self->end);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return LINE_ERROR;
    self->ended = got == 0;
    self->end += (size_t)got;
    self->bytes_read += got;
    return LINE_OK;
  }
}

int line_reader_next(line_reader* self, const char** line, size_t* size) {
  size_t looked = 0; /* bytes from start on that are known to hold no line feed */
  for (;;) {
    const char* from = self->buffer + self->start;
    const size_t have = self->end - self->start;
    const char* feed = have > looked ? memchr(from + looked, '\n', have - looked) : NULL;
    if (feed != NULL || self->ended) {
      const int skipped = self->skipping;
      *line = from;
      *size = feed != NULL ? (size_t)(feed - from) + 1 : have;
      self->start += *size;
      self->skipping = 0;
      if (skipped) return LINE_TOO_LONG;
      return *size > 0 ? LINE_OK : LINE_END;
    }
    looked = have;
    if (have == LINE_READER_SIZE) {
      self->skipping = 1;
      self->start = self->end = looked = 0;
    }
    if (fill(self) < 0) return LINE_ERROR;
  }
}
