/* SPDX-License-Identifier: MIT */
/*
 * accesslog: a plausible access log, the same for the same arguments on every machine (integers
 * only).
 *
 *   accesslog --lines 1000000 --seed 7 --abusers 5 >access.log
 *
 * Some 20,000 visitors, few of them busy, more by day than by night; and a few abusers who come in
 * bursts of hundreds of requests a minute. Their addresses are printed on standard error, one a
 * line. No address is anybody's: visitors live in 10.0.0.0/8 and 2001:db8::/32, abusers in
 * 203.0.113.0/24.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { kVisitors = 20000, kMaxAbusers = 64, kMeanGapUs = 86400, kSecondUs = 1000000 };

typedef struct abuser {
  int64_t next_us;
  int left, address; /* requests left in this burst; the last number of 203.0.113.x */
} abuser;

typedef struct generator {
  uint64_t state;
  uint64_t weights[kVisitors]; /* added up */
  abuser abusers[kMaxAbusers];
  int abuser_count;
} generator;

/* splitmix64 */
static uint64_t next_random(generator* self) {
  uint64_t z = (self->state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static int64_t below(generator* self, int64_t limit) {
  return (int64_t)(next_random(self) % (uint64_t)limit);
}

/* The n-th busiest visitor comes in proportion to 1 / (n + 10): Zipf's law with its peak cut off.
 */
static void init_weights(generator* self) {
  uint64_t sum = 0;
  for (int i = 0; i < kVisitors; i++) self->weights[i] = sum += (UINT64_C(1) << 32) / (10 + i);
}

static int pick_visitor(generator* self) {
  const uint64_t at = next_random(self) % self->weights[kVisitors - 1];
  int low = 0, high = kVisitors - 1;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (self->weights[middle] > at) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

/* The gap to the next visit, in hundredths of the day's mean, hour by hour. */
static int64_t next_gap_us(generator* self, int64_t now_us) {
  static const int kHours[24] = {40,  28,  21,  18,  19,  27,  45,  75,  110, 135, 147, 152,
                                 150, 148, 146, 143, 140, 141, 147, 155, 152, 132, 98,  71};
  const int hour = (int)(now_us / kSecondUs / 3600 % 24);
  return 1 + below(self, INT64_C(2) * kMeanGapUs * 100 / kHours[hour]);
}

static void start_bursts(generator* self, int64_t start_us, int64_t lines) {
  const int64_t span_us = lines * kMeanGapUs;
  for (int i = 0; i < self->abuser_count; i++) {
    abuser* one = &self->abusers[i];
    one->address = 7 + i * 3;
    one->left = 100 + (int)below(self, 500);
    one->next_us = start_us + below(self, span_us / 10 + 1);
  }
}

/* Four to twenty requests a second while a burst lasts, then a long pause: about one line in a
 * hundred is his. */
static void plan_next(generator* self, abuser* one) {
  one->next_us += 50000 + below(self, 200000);
  if (--one->left > 0) return;
  one->left = 100 + (int)below(self, 500);
  one->next_us += one->left * (INT64_C(4000000) + below(self, 9000000));
}

static void format_visitor(int visitor, char* address, size_t size) {
  const uint32_t mixed = (uint32_t)visitor * 2654435761u;
  if (visitor % 9 == 4) {
    snprintf(address, size, "2001:db8:%x:%x::%x", visitor, mixed >> 20, (mixed >> 8) & 0xffff);
  } else { /* the visitor's number is in the first two, so that no two share an address */
    snprintf(address, size, "10.%d.%d.%d", visitor >> 8, visitor & 255,
             1 + (int)(mixed >> 24) % 254);
  }
}

static const char* pick_path(generator* self, char* path, size_t size) {
  static const char* const kPages[] = {
      "/",          "/favicon.ico",       "/static/app.css", "/login", "/static/app.js",
      "/api/items", "/api/search?q=tide", "/about"};
  const int64_t dice = below(self, 100);
  if (dice < 55) return kPages[dice % 8];
  const int64_t item = below(self, 1 + below(self, 5000));
  snprintf(path, size, dice < 85 ? "/api/items/%" PRId64 : "/images/%" PRId64 ".webp", item);
  return path;
}

static void print_line(generator* self, int64_t now_us, const char* address, const char* user,
                       int agent) {
  static const char* const kAgents[] = {
      "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
      "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
      "curl/8.5.0", "python-requests/2.32.3"};
  static const int kStatuses[] = {200, 200, 200, 200, 200, 200, 200, 200, 200, 200,
                                  200, 304, 304, 301, 302, 404, 404, 403, 500, 200};
  static int64_t second = -1;
  static char when[40];
  char path[64];
  if (now_us / kSecondUs != second) {
    second = now_us / kSecondUs;
    const time_t seconds = (time_t)second;
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(when, sizeof(when), "%d/%b/%Y:%H:%M:%S +0000", &parts);
  }
  const char* target = pick_path(self, path, sizeof(path));
  const int status = kStatuses[below(self, 20)];
  const int64_t bytes = status == 304 ? 0 : 180 + below(self, 1 + below(self, 60000));
  printf("%s - %s [%s] \"%s %s HTTP/1.1\" %d %" PRId64 " \"-\" \"%s\"\n", address, user, when,
         below(self, 12) == 0 ? "POST" : "GET", target, status, bytes, kAgents[agent]);
}

static void generate(generator* self, int64_t start_us, int64_t lines) {
  char address[64], user[32];
  int64_t next_us = start_us + next_gap_us(self, start_us);
  start_bursts(self, start_us, lines);
  for (int64_t i = 0; i < lines; i++) {
    abuser* first = NULL;
    for (int a = 0; a < self->abuser_count; a++) {
      abuser* one = &self->abusers[a];
      if (one->next_us < next_us && (first == NULL || one->next_us < first->next_us)) first = one;
    }
    if (first != NULL) {
      snprintf(address, sizeof(address), "203.0.113.%d", first->address);
      print_line(self, first->next_us, address, "-", 3 + first->address % 2);
      plan_next(self, first);
      continue;
    }
    const int visitor = pick_visitor(self);
    format_visitor(visitor, address, sizeof(address));
    snprintf(user, sizeof(user), visitor % 5 == 0 ? "user%d" : "-", visitor);
    print_line(self, next_us, address, user, visitor % 3);
    next_us += next_gap_us(self, next_us);
  }
}

static const char kHelp[] =
    "usage: accesslog [--lines N] [--seed N] [--abusers N] [--start EPOCH]\n"
    "\n"
    "Writes an access log in combined format: 11.6 lines a second on average from EPOCH on. The\n"
    "addresses of the abusers go to standard error, one a line.\n"
    "\n"
    "  --lines N      0 to 1000000000 (default 1000000, about a day)\n"
    "  --seed N       another log (default 7)\n"
    "  --abusers N    0 to 64 (default 5)\n"
    "  --start EPOCH  seconds since 1970 (default 1767571200, 2026-01-05)\n";

static int parse_number(const char* text, int64_t most, int64_t* value) {
  char* end = NULL;
  *value = strtoll(text, &end, 10);
  if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && *value <= most) return 1;
  fprintf(stderr, "accesslog: \"%s\": expected a number from 0 to %" PRId64 "\n", text, most);
  return 0;
}

int main(int argc, char** argv) {
  static const struct option kOptions[] = {
      {"lines", required_argument, NULL, 0},   {"seed", required_argument, NULL, 1},
      {"abusers", required_argument, NULL, 2}, {"start", required_argument, NULL, 3},
      {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0}};
  static const int64_t kMost[] = {1000000000, INT64_MAX, kMaxAbusers, 4000000000};
  static generator self;
  int64_t values[] = {1000000, 7, 5, 1767571200};
  for (int option; (option = getopt_long(argc, argv, ":", kOptions, NULL)) != -1;) {
    if (option == 'h') return fputs(kHelp, stdout) < 0;
    if (option == '?' || option == ':') {
      fprintf(stderr, "accesslog: %s: %s (--help)\n", argv[optind - 1],
              option == '?' ? "unknown option" : "needs a value");
      return 2;
    }
    if (!parse_number(optarg, kMost[option], &values[option])) return 2;
  }
  if (optind < argc) {
    fprintf(stderr, "accesslog: unknown argument %s (--help)\n", argv[optind]);
    return 2;
  }
  static char buffer[1 << 16];
  setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
  self.state = (uint64_t)values[1];
  self.abuser_count = (int)values[2];
  init_weights(&self);
  generate(&self, values[3] * kSecondUs, values[0]);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fputs("accesslog: cannot write\n", stderr);
    return 1;
  }
  for (int i = 0; i < self.abuser_count; i++) {
    fprintf(stderr, "203.0.113.%d\n", self.abusers[i].address);
  }
  return 0;
}
