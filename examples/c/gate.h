/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_C_GATE_H_
#define EXAMPLES_C_GATE_H_
/* What the parts of gate share: a line "KEY [COST]" in, a line "allowed remaining=9 ..." out. Under
 * a policy the line in is a request's attributes: "method=POST path=/report identity=k_1". */
#include <stddef.h>
#include <stdint.h>
#include <tidegate.h>

enum { GATE_LINE = 1024, GATE_ANSWER = 1536 };

typedef struct gate {
  tg_client* client;
  uint64_t limiter;
  uint64_t guard; /* 0: no policy */
} gate;

/* 1 and an entry whose key points into the line, and whose attributes are valid until the next
 * call; 0 and an answer that says what is wrong with it. */
int gate_parse(const gate*, const char* line, size_t size, tg_entry*, char answer[GATE_ANSWER]);

/* The same of a line of attributes. */
int gate_parse_attributes(const gate*, const char* line, size_t size, tg_entry*,
                          char answer[GATE_ANSWER]);

/* What a policy says besides: " status=429 policy="report";q=5;w=60" */
void gate_format_policy(const tg_answer*, char* text, size_t size);

/* The answer's length, line feed included. */
size_t gate_format(const gate*, const tg_result*, char answer[GATE_ANSWER]);

/* Serves the same lines over TCP at HOST:PORT until the process is ended. Returns the exit status.
 */
int gate_listen(const gate*, const char* address);

#endif /* EXAMPLES_C_GATE_H_ */
