/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "gate.h"

static int is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static int parse_cost(const char* text, size_t size, int64_t* cost) {
  *cost = 0;
  if (size == 0 || size > 15) return 0;
  for (size_t i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') return 0;
    *cost = *cost * 10 + (text[i] - '0');
  }
  return 1;
}

int gate_parse(const gate* self, const char* line, size_t size, tg_entry* entry,
               char answer[GATE_ANSWER]) {
  if (self->guard != 0) return gate_parse_attributes(self, line, size, entry, answer);
  const char *at = line, *end = line + size;
  const char* words[3];
  size_t sizes[3], count = 0;
  while (count < 3) {
    while (at < end && is_blank(*at)) at++;
    if (at == end) break;
    words[count] = at;
    while (at < end && !is_blank(*at)) at++;
    sizes[count] = (size_t)(at - words[count]);
    count++;
  }
  int64_t cost = 1;
  if (count < 1 || count > 2 || (count == 2 && !parse_cost(words[1], sizes[1], &cost))) {
    snprintf(answer, GATE_ANSWER, "error expected KEY [COST]\n");
    return 0;
  }
  *entry = (tg_entry){.op = TG_OP_CONSUME,
                      .handle = self->limiter,
                      .key = words[0],
                      .key_len = (uint32_t)sizes[0],
                      .arg = cost};
  return 1;
}

static void format_seconds(int64_t us, char* text, size_t size) {
  if (us == TG_NEVER) {
    snprintf(text, size, "never");
  } else {
    snprintf(text, size, "%.3f", (double)us / 1e6);
  }
}

static int format_decision(const gate* self, const tg_result* result, char* answer) {
  static const char* const kSources[] = {"none",      "memory",      "store", "fallback",
                                         "fail_open", "fail_closed", "policy"};
  const uint32_t source = TG_SOURCE(result->flags);
  char remaining[32] = "unknown", retry_after[32] = "unknown", policy[GATE_ANSWER / 2] = "";
  const int is_allowed = (result->flags & TG_ALLOWED) != 0;
  const tg_part* part = result->part_count > 0 ? &result->parts[result->binding] : NULL;
  if (part != NULL && part->remaining >= 0) {
    snprintf(remaining, sizeof(remaining), "%lld", (long long)part->remaining);
  }
  if (part != NULL) format_seconds(part->retry_after_us, retry_after, sizeof(retry_after));
  if (self->guard != 0) gate_format_policy(result->data, policy, sizeof(policy));
  return snprintf(answer, GATE_ANSWER, "%s%s remaining=%s retry_after=%s source=%s",
                  is_allowed ? "allowed" : "denied", policy, remaining, retry_after,
                  source <= TG_SOURCE_POLICY ? kSources[source] : "unknown");
}

size_t gate_format(const gate* self, const tg_result* result, char answer[GATE_ANSWER]) {
  int size;
  if (result->status >= 0) {
    size = format_decision(self, result, answer);
  } else if (result->data_len == 0) {
    size = snprintf(answer, GATE_ANSWER, "error %s", tg_strerror(result->status));
  } else {
    size = snprintf(answer, GATE_ANSWER, "error %.*s", (int)result->data_len,
                    (const char*)result->data);
  }
  const size_t length = size < GATE_ANSWER - 1 ? (size_t)size : GATE_ANSWER - 2;
  answer[length] = '\n';
  answer[length + 1] = '\0';
  return length + 1;
}
