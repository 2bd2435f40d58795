/* SPDX-License-Identifier: MIT */
/* A request's attributes out of a line, and what a policy answers into one. */
#include <stdio.h>
#include <string.h>

#include "gate.h"

static char* append(char* to, const char* text, size_t size) {
  const uint32_t length = (uint32_t)size;
  memcpy(to, &length, sizeof(length));
  memcpy(to + sizeof(length), text, size);
  return to + sizeof(length) + size;
}

static size_t word_size(const char* at, const char* end) {
  size_t size = 0;
  while (at + size < end && strchr(" \t\r\n", at[size]) == NULL) size++;
  return size;
}

int gate_parse_attributes(const gate* self, const char* line, size_t size, tg_entry* entry,
                          char answer[GATE_ANSWER]) {
  /* A name and a value take 8 bytes more than their word, which has 3 of the line or more. Gate is
     one thread, and who is given an entry submits it before the next line. */
  static char said[4 * GATE_LINE];
  char* to = said;
  for (const char *at = line, *end = line + size; at < end; at++) {
    const size_t word = word_size(at, end);
    if (word == 0) continue;
    const char* equals = memchr(at, '=', word);
    /* Names with "@" are for adapters: they open limits. */
    if (equals == NULL || equals == at || *at == '@') {
      to = said;
      break;
    }
    to = append(to, at, (size_t)(equals - at));
    to = append(to, equals + 1, word - (size_t)(equals + 1 - at));
    at += word - 1;
  }
  if (to == said) {
    snprintf(answer, GATE_ANSWER, "error expected NAME=VALUE ..., such as path=/report\n");
    return 0;
  }
  *entry = (tg_entry){
      .op = TG_OP_CHECK, .handle = self->guard, .value = said, .value_len = (uint32_t)(to - said)};
  return 1;
}

void gate_format_policy(const tg_answer* answer, char* text, size_t size) {
  static const char kField[] = "RateLimit-Policy: ";
  const char *at = answer->fields.data, *const end = at + answer->fields.size;
  size_t used = (size_t)snprintf(text, size, " status=%d", (int)answer->status);
  for (const char* next; at < end; at = next) {
    const char* feed = memchr(at, '\n', (size_t)(end - at));
    next = feed != NULL ? feed + 1 : end;
    if ((size_t)(next - at) < sizeof(kField) || memcmp(at, kField, sizeof(kField) - 1) != 0) {
      continue;
    }
    used += (size_t)snprintf(text + used, size - used, " policy=");
    for (at += sizeof(kField) - 1; at < next && used + 1 < size; at++) {
      if (*at != ' ' && *at != '\n') text[used++] = *at; /* one word */
    }
    text[used] = '\0';
    return;
  }
}
