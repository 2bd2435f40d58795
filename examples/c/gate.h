/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_C_GATE_H_
#define EXAMPLES_C_GATE_H_
/* What the parts of gate share: a line "KEY [COST]" in, a line "allowed remaining=9 ..." out. */
#include <stddef.h>
#include <stdint.h>
#include <tidegate.h>

enum { GATE_LINE = 1024, GATE_ANSWER = 768 };

typedef struct gate {
  tg_client* client;
  uint64_t limiter;
} gate;

/* 1 and an entry whose key points into the line; 0 and an answer that says what is wrong with it.
 */
int gate_parse(const gate*, const char* line, size_t size, tg_entry*, char answer[GATE_ANSWER]);

/* The answer's length, line feed included. */
size_t gate_format(const tg_result*, char answer[GATE_ANSWER]);

/* Serves the same lines over TCP at HOST:PORT until the process is ended. Returns the exit status.
 */
int gate_listen(const gate*, const char* address);

#endif /* EXAMPLES_C_GATE_H_ */
