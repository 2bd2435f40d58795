/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_C_LINE_READER_H_
#define EXAMPLES_C_LINE_READER_H_
/*
 * Lines from a descriptor, with any bytes in them, in memory of a fixed size: a line longer than
 * the buffer is reported as too long and skipped. The last line needs no line feed. One thread.
 */
#include <stddef.h>
#include <stdint.h>

enum { LINE_READER_SIZE = 1 << 18 };

#define LINE_END 0      /* no more lines */
#define LINE_OK 1       /* a line, with its line feed if it has one; it lives until the next call */
#define LINE_TOO_LONG 2 /* a line that was skipped */
#define LINE_ERROR (-1) /* errno says what */

typedef struct line_reader {
  int descriptor, ended, skipping;
  size_t start, end;  /* what has been read and not given out */
  int64_t bytes_read; /* for the progress */
  char buffer[LINE_READER_SIZE];
} line_reader;

void line_reader_init(line_reader*, int descriptor);
int line_reader_next(line_reader*, const char** line, size_t* size);

#endif /* EXAMPLES_C_LINE_READER_H_ */
