/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "replay.h"

enum { kShown = 60, kJson = 1 };

/* Bytes that are no printable ASCII as %NN, as a URL has them; in JSON with its own escapes too.
 * Returns the columns, at most `most` and those of "...". */
static int print_text(const char* text, size_t size, int most, int is_json) {
  int columns = 0;
  for (size_t at = 0; at < size; at++) {
    const unsigned char byte = (unsigned char)text[at];
    if (columns >= most) return columns + printf("...");
    if (byte < ' ' || byte >= 0x7f) {
      columns += printf("%%%02X", byte);
    } else {
      columns += printf(is_json && strchr("\"\\", byte) != NULL ? "\\%c" : "%c", byte);
    }
  }
  return columns;
}

static void print_number(const char* name, int64_t value) {
  char digits[32], text[48];
  const int size = snprintf(digits, sizeof(digits), "%" PRId64, value);
  int used = 0;
  for (int i = 0; i < size; i++) {
    if (i > 0 && (size - i) % 3 == 0) text[used++] = ',';
    text[used++] = digits[i];
  }
  text[used] = '\0';
  printf("%-12s %13s", name, text);
}

static void print_share(const char* name, int64_t value, int64_t of) {
  print_number(name, value);
  if (of > 0) printf("  %5.1f %%", (double)value * 100 / (double)of);
  putchar('\n');
}

/* 2026-01-05T00:00:00Z */
static void format_time(int64_t time_us, char* text, size_t size) {
  const time_t seconds = (time_t)(time_us / 1000000);
  struct tm parts;
  if (gmtime_r(&seconds, &parts) == NULL ||
      strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
    text[0] = '\0';
  }
}

static void print_malformed(const replay_totals* totals) {
  for (int i = 0; i < MALFORMED_SHOWN && i < totals->malformed; i++) {
    printf("%s%" PRId64, i > 0 ? ", " : "", totals->malformed_lines[i]);
  }
}

static void print_summary(const replay_options* options, const replay_totals* totals) {
  char first[32], last[32];
  printf("%-12s %s, %s, by %s, %s\n", "limit", options->limit, totals->rates[0].algorithm,
         options->key_name, totals->store);
  print_number("lines", totals->lines);
  if (totals->first_us >= 0) {
    format_time(totals->first_us, first, sizeof(first));
    format_time(totals->last_us, last, sizeof(last));
    printf("  %s to %s", first, last);
  }
  putchar('\n');
  print_share("passed", totals->passed, totals->passed + totals->denied);
  print_share("denied", totals->denied, totals->passed + totals->denied);
  if (totals->malformed > 0) {
    print_number("malformed", totals->malformed);
    printf(totals->malformed > 1 ? "  lines " : "  line ");
    print_malformed(totals);
    puts(totals->malformed > MALFORMED_SHOWN ? " ..." : "");
  }
  if (totals->stepped_back > 0) {
    print_number("back in time", totals->stepped_back);
    puts("  lines earlier than the line above");
  }
  if (totals->evicted > 0) {
    print_number("evicted", totals->evicted);
    puts("  states, for room: more may have passed than would have");
  }
}

static void print_table(const replay_options* options, const replay_totals* totals, size_t callers,
                        caller* const* top, size_t count) {
  print_summary(options, totals);
  print_number("callers", (int64_t)callers);
  const double seconds = (double)totals->elapsed_us / 1e6;
  printf("\n%-12s %13.2f  %.0f lines/s\n", "seconds", seconds,
         seconds > 0 ? (double)totals->lines / seconds : 0);
  if (count > 0) printf("\n%10s %10s %9s  %s\n", "REQUESTS", "DENIED", "DENIED %", "CALLER");
  for (size_t i = 0; i < count; i++) {
    printf("%10" PRId64 " %10" PRId64 " %9.1f  ", top[i]->requests, top[i]->denied,
           (double)top[i]->denied * 100 / (double)top[i]->requests);
    print_text(top[i]->key, top[i]->size, kShown, !kJson);
    putchar('\n');
  }
}

static void print_json_text(const char* name, const char* text) {
  printf("  \"%s\": \"", name);
  print_text(text, strlen(text), INT32_MAX, kJson);
  puts("\",");
}

static void print_json_time(const char* name, int64_t time_us) {
  char text[32];
  format_time(time_us, text, sizeof(text));
  printf(time_us < 0 ? "  \"%s\": null,\n" : "  \"%s\": \"%s\",\n", name, text);
}

static void print_json(const replay_options* options, const replay_totals* totals, size_t callers,
                       caller* const* top, size_t count) {
  const struct {
    const char* name;
    int64_t value;
  } numbers[] = {{"lines", totals->lines},      {"passed", totals->passed},
                 {"denied", totals->denied},    {"malformed", totals->malformed},
                 {"callers", (int64_t)callers}, {"stepped_back", totals->stepped_back},
                 {"evicted", totals->evicted},  {"elapsed_us", totals->elapsed_us}};
  puts("{");
  print_json_text("version", tg_version());
  print_json_text("limit", options->limit);
  print_json_text("name", totals->name);
  print_json_text("algorithm", totals->rates[0].algorithm);
  print_json_text("key", options->key_name);
  print_json_text("store", totals->store);
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
    printf("  \"%s\": %" PRId64 ",\n", numbers[i].name, numbers[i].value);
  }
  print_json_time("first", totals->first_us);
  print_json_time("last", totals->last_us);
  printf("  \"malformed_lines\": [");
  print_malformed(totals);
  printf("],\n  \"top\": [");
  for (size_t i = 0; i < count; i++) {
    printf("%s\n    {\"caller\": \"", i > 0 ? "," : "");
    print_text(top[i]->key, top[i]->size, INT32_MAX, kJson);
    printf("\", \"requests\": %" PRId64 ", \"denied\": %" PRId64 "}", top[i]->requests,
           top[i]->denied);
  }
  puts(count > 0 ? "\n  ]\n}" : "]\n}");
}

int report(const replay_options* options, const replay_totals* totals, const tally* counts) {
  size_t count = 0;
  caller** top = tally_denied(counts, &count);
  if (top == NULL) return fail(EXIT_RUN, "no memory");
  if (count > (size_t)options->top) count = (size_t)options->top;
  (options->json ? print_json : print_table)(options, totals, tally_size(counts), top, count);
  free(top);
  return 0;
}
