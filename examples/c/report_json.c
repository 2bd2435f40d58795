/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"
#include "utf8.h"

static void print_json_text(const char* text, size_t size) {
  putchar('"');
  for (size_t at = 0; at < size;) {
    const unsigned char byte = (unsigned char)text[at];
    const size_t length = utf8_length(text + at, size - at);
    if (length == 0) {
      fputs("\\ufffd", stdout);
    } else if (byte < ' ' || byte == 0x7f) {
      printf("\\u%04x", byte);
    } else {
      if (byte == '"' || byte == '\\') putchar('\\');
      fwrite(text + at, 1, length, stdout);
    }
    at += length > 0 ? length : 1;
  }
  putchar('"');
}

static void print_json_field(const char* name, const char* text) {
  printf("  \"%s\": ", name);
  print_json_text(text, strlen(text));
  puts(",");
}

static void print_json_number(const char* name, int64_t value) {
  printf("  \"%s\": %" PRId64 ",\n", name, value);
}

static void print_json_time(const char* name, int64_t time_us) {
  char text[32];
  if (time_us < 0) {
    printf("  \"%s\": null,\n", name);
    return;
  }
  report_time(time_us, text, sizeof(text));
  print_json_field(name, text);
}

void report_json(const replay_options* options, const replay_totals* totals, const tally* counts) {
  const size_t room = (size_t)options->top;
  caller** top = calloc(room + 1, sizeof(*top));
  if (top == NULL) return;
  puts("{");
  print_json_field("version", tg_version());
  print_json_field("limit", options->limit);
  print_json_field("name", totals->name);
  print_json_field("algorithm", totals->rates[0].algorithm);
  print_json_field("key", options->key_name);
  print_json_field("store", totals->store);
  print_json_number("lines", totals->lines);
  print_json_number("passed", totals->passed);
  print_json_number("denied", totals->denied);
  print_json_number("malformed", totals->malformed);
  printf("  \"malformed_lines\": [");
  for (int i = 0; i < MALFORMED_SHOWN && i < totals->malformed; i++) {
    printf("%s%" PRId64, i > 0 ? ", " : "", totals->malformed_lines[i]);
  }
  puts("],");
  print_json_number("stepped_back", totals->stepped_back);
  print_json_time("first", totals->first_us);
  print_json_time("last", totals->last_us);
  print_json_number("callers", (int64_t)tally_size(counts));
  print_json_number("evicted", totals->evicted);
  print_json_number("elapsed_us", totals->elapsed_us);
  printf("  \"top\": [");
  const size_t count = tally_top(counts, top, room);
  for (size_t i = 0; i < count; i++) {
    printf("%s\n    {\"caller\": ", i > 0 ? "," : "");
    print_json_text(top[i]->key, top[i]->size);
    printf(", \"requests\": %" PRId64 ", \"denied\": %" PRId64 "}", top[i]->requests,
           top[i]->denied);
  }
  puts(count > 0 ? "\n  ]\n}" : "]\n}");
  free(top);
}
