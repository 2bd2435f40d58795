/* SPDX-License-Identifier: MIT */
/* Lines and what the parser makes of them, as a table. */
#include "access_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME "[10/Oct/2000:13:55:36 -0700]"
#define TAIL " \"GET / HTTP/1.0\" 200 5"
#define AT(time) "a - - [" time "]" TAIL

typedef struct good_line {
  const char *title, *line;
  const char *address, *user, *method, *target, *path;
  int64_t seconds, bytes;
  int32_t status;
} good_line;

static const good_line kGood[] = {
    {"common format", "127.0.0.1 - frank " TIME " \"GET /a.gif HTTP/1.0\" 200 2326", "127.0.0.1",
     "frank", "GET", "/a.gif", "/a.gif", 971211336, 2326, 200},
    {"combined format", "::1 - - " TIME " \"GET /a?b=1 HTTP/1.1\" 404 - \"http://r/\" \"x \\\"y\"",
     "::1", "", "GET", "/a?b=1", "/a", 971211336, -1, 404},
    {"carriage return and line feed end a line", "h id u " TIME TAIL "\r\n", "h", "u", "GET", "/",
     "/", 971211336, 5, 200},
    {"a line feed ends a line", "h id u " TIME TAIL "\n", "h", "u", "GET", "/", "/", 971211336, 5,
     200},
    {"a user with blanks and brackets", "h - a b]c " TIME TAIL, "h", "a b]c", "GET", "/", "/",
     971211336, 5, 200},
    {"an empty user in quotes is none", "h - \"\" " TIME TAIL, "h", "", "GET", "/", "/", 971211336,
     5, 200},
    {"no request was read", "h - - " TIME " \"-\" 408 0", "h", "", "", "", "", 971211336, 0, 408},
    {"an empty request", "h - - " TIME " \"\" 400 0", "h", "", "", "", "", 971211336, 0, 400},
    {"what was sent is no HTTP", "h - - " TIME " \"\\x16\\x03\\x01\" 400 0", "h", "", "", "", "",
     971211336, 0, 400},
    {"HTTP/0.9 has no protocol", "h - - " TIME " \"GET /old\" 200 0", "h", "", "GET", "/old",
     "/old", 971211336, 0, 200},
    {"a quote that is escaped", "h - - " TIME " \"GET /a\\\"b HTTP/1.1\" 200 0", "h", "", "GET",
     "/a\\\"b", "/a\\\"b", 971211336, 0, 200},
    {"a path with blanks", "h - - " TIME " \"GET /a b HTTP/1.1\" 200 0", "h", "", "GET", "/a b",
     "/a b", 971211336, 0, 200},
    {"only a query", "h - - " TIME " \"GET ?q HTTP/1.1\" 200 0", "h", "", "GET", "?q", "",
     971211336, 0, 200},
    {"east of Greenwich", AT("01/Jan/1970:01:00:00 +0100"), "a", "", "GET", "/", "/", 0, 5, 200},
    {"a half-hour zone", AT("01/Jan/2026:05:30:00 +0530"), "a", "", "GET", "/", "/", 1767225600, 5,
     200},
    {"a leap day", AT("29/Feb/2024:00:00:00 +0000"), "a", "", "GET", "/", "/", 1709164800, 5, 200},
    {"a leap second", AT("31/Dec/2016:23:59:60 +0000"), "a", "", "GET", "/", "/", 1483228800, 5,
     200},
    {"the last second", AT("31/Dec/2099:23:59:59 +0000"), "a", "", "GET", "/", "/", 4102444799, 5,
     200},
};

static const char* const kBad[] = {
    "",
    "\n",
    "\r\n",
    " ",
    "a",
    "a - -",
    "a - - " TIME,
    "a - - " TIME " \"GET / HTTP/1.0",
    "a - - " TIME " \"GET / HTTP/1.0\\\" 200 5",
    "a - - " TIME " \"GET / HTTP/1.0\" 20 5",
    "a - - " TIME " \"GET / HTTP/1.0\" 2000 5",
    "a - - " TIME " \"GET / HTTP/1.0\" 200",
    "a - - " TIME " \"GET / HTTP/1.0\" 200 x",
    "a - - " TIME " \"GET / HTTP/1.0\" 200 5x",
    "a - - " TIME " \"GET / HTTP/1.0\" 200 1234567890123456789",
    " a - - " TIME TAIL,
    "\x01 - - " TIME TAIL,
    "\xff - - " TIME TAIL,
    AT("00/Oct/2000:13:55:36 -0700"),
    AT("31/Sep/2000:13:55:36 -0700"),
    AT("29/Feb/2023:13:55:36 -0700"),
    AT("29/Feb/1900:13:55:36 -0700"),
    AT("10/oct/2000:13:55:36 -0700"),
    AT("10/Oct/2000:24:55:36 -0700"),
    AT("10/Oct/2000:13:60:36 -0700"),
    AT("10/Oct/2000:13:55:61 -0700"),
    AT("10/Oct/2000:13:55:36 0700"),
    AT("10/Oct/2000:13:55:36 -2400"),
    AT("10/Oct/2000:13:55:36 -0760"),
    AT("10/Oct/2000:13:55:36"),
    AT("01/Jan/1970:00:00:00 +0100"),
    AT("01/Jan/2100:00:00:00 +0000"),
    AT("1/Jan/2000:00:00:00 +0000 "),
};

static int failures;

static void check(int is_true, const char* title, const char* what) {
  if (is_true) return;
  failures++;
  printf("%s: %s\n", title, what);
}

static int equals(log_slice slice, const char* text) {
  return slice.size == strlen(text) && memcmp(slice.data, text, slice.size) == 0;
}

/* A copy without a byte to spare: a sanitizer sees a parser that looks beyond. */
static int parse(const char* line, size_t size, char** copy, access_record* record) {
  *copy = malloc(size > 0 ? size : 1);
  memcpy(*copy, line, size);
  return access_log_parse(*copy, size, record);
}

static void check_good(const good_line* want) {
  access_record record;
  char* copy;
  const int is_good = parse(want->line, strlen(want->line), &copy, &record);
  check(is_good, want->title, "does not parse");
  if (is_good) {
    check(equals(record.address, want->address), want->title, "address");
    check(equals(record.user, want->user), want->title, "user");
    check(equals(record.method, want->method), want->title, "method");
    check(equals(record.target, want->target), want->title, "target");
    check(equals(record.path, want->path), want->title, "path");
    check(record.time_us == want->seconds * 1000000, want->title, "time");
    check(record.bytes == want->bytes, want->title, "bytes");
    check(record.status == want->status, want->title, "status");
  }
  free(copy);
}

static void check_bad(const char* line, size_t size) {
  access_record record;
  char* copy;
  check(!parse(line, size, &copy, &record), line, "should not parse");
  free(copy);
}

/* Wherever a line is cut, nothing beyond the cut is read, and only a cut in the number of bytes
 * goes unnoticed. */
static void check_cuts(void) {
  const char* line = "a - - " TIME " \"GET / HTTP/1.0\" 200 2326";
  for (size_t size = 0; size < strlen(line) - 3; size++) check_bad(line, size);
}

int main(void) {
  const size_t good = sizeof(kGood) / sizeof(kGood[0]), bad = sizeof(kBad) / sizeof(kBad[0]);
  for (size_t i = 0; i < good; i++) check_good(&kGood[i]);
  for (size_t i = 0; i < bad; i++) check_bad(kBad[i], strlen(kBad[i]));
  check_bad("\0 - - " TIME TAIL, 6 + strlen(TIME TAIL));
  check_bad("a\0b - - " TIME TAIL, 8 + strlen(TIME TAIL));
  check_cuts();
  printf("%zu lines, %d failures\n", good + bad, failures);
  return failures > 0;
}
