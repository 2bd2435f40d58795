/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "replay.h"
#include "utf8.h"

enum { kKeyShown = 60 };

/* A terminal gets nothing but text: what is not printable is shown as \xNN, what is too long ends
 * in "...". */
static int show_key(const caller* who, char* text, size_t size) {
  size_t used = 0, at = 0;
  int columns = 0;
  while (at < who->size && columns < kKeyShown && used + 8 < size) {
    const size_t length = utf8_length(who->key + at, who->size - at);
    const unsigned char byte = (unsigned char)who->key[at];
    const int is_control = length == 1 && (byte < ' ' || byte == 0x7f);
    const int is_c1 = length == 2 && byte == 0xc2 && (unsigned char)who->key[at + 1] < 0xa0;
    if (length == 0 || is_control || is_c1) {
      used += (size_t)snprintf(text + used, size - used, "\\x%02x", byte);
      at++;
      columns += 4;
    } else {
      for (size_t i = 0; i < length; i++) text[used++] = who->key[at++];
      columns++;
    }
  }
  text[used] = '\0';
  if (at == who->size) return columns;
  snprintf(text + used, size - used, "...");
  return columns + 3;
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

void report_time(int64_t time_us, char* text, size_t size) {
  const time_t seconds = (time_t)(time_us / 1000000);
  struct tm parts;
  if (gmtime_r(&seconds, &parts) == NULL ||
      strftime(text, size, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
    text[0] = '\0';
  }
}

static void print_summary(const replay_options* options, const replay_totals* totals) {
  char first[32], last[32];
  printf("%-12s %s, %s, by %s, %s\n", "limit", options->limit, totals->rates[0].algorithm,
         options->key_name, totals->store);
  print_number("lines", totals->lines);
  if (totals->first_us >= 0) {
    report_time(totals->first_us, first, sizeof(first));
    report_time(totals->last_us, last, sizeof(last));
    printf("  %s to %s", first, last);
  }
  putchar('\n');
  print_share("passed", totals->passed, totals->passed + totals->denied);
  print_share("denied", totals->denied, totals->passed + totals->denied);
  if (totals->malformed > 0) {
    print_number("malformed", totals->malformed);
    for (int i = 0; i < MALFORMED_SHOWN && i < totals->malformed; i++) {
      printf("%s%" PRId64,
             i > 0                   ? ", "
             : totals->malformed > 1 ? "  lines "
                                     : "  line ",
             totals->malformed_lines[i]);
    }
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

void report_table(const replay_options* options, const replay_totals* totals, const tally* counts) {
  const size_t room = (size_t)options->top;
  caller** top = calloc(room + 1, sizeof(*top));
  if (top == NULL) return;
  print_summary(options, totals);
  print_number("callers", (int64_t)tally_size(counts));
  const double seconds = (double)totals->elapsed_us / 1e6;
  printf("\n%-12s %13.2f  %.0f lines/s\n", "seconds", seconds,
         seconds > 0 ? (double)totals->lines / seconds : 0);

  const size_t count = tally_top(counts, top, room);
  char text[kKeyShown * 4 + 16];
  int width = 6;
  for (size_t i = 0; i < count; i++) {
    const int columns = show_key(top[i], text, sizeof(text));
    if (columns > width) width = columns;
  }
  if (count > 0)
    printf("\n%-*s %10s %10s %9s\n", width, "CALLER", "REQUESTS", "DENIED", "DENIED %");
  for (size_t i = 0; i < count; i++) {
    const int columns = show_key(top[i], text, sizeof(text));
    printf("%s%*s %10" PRId64 " %10" PRId64 " %9.1f\n", text, width - columns, "", top[i]->requests,
           top[i]->denied, (double)top[i]->denied * 100 / (double)top[i]->requests);
  }
  free(top);
}
