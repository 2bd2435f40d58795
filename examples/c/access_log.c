/* SPDX-License-Identifier: MIT */
#include "access_log.h"

#include <string.h>

enum { kFirstYear = 1970, kLastYear = 2099, kTimeSize = 26 };

/* What is left of the line: every function below takes its part from the front, or answers 0. */
typedef struct cursor {
  const char *at, *end;
} cursor;

static int take_char(cursor* in, char wanted) {
  if (in->at == in->end || *in->at != wanted) return 0;
  in->at++;
  return 1;
}

static int take_word(cursor* in, log_slice* word) {
  const char* start = in->at;
  while (in->at < in->end && *in->at > ' ' && *in->at < 0x7f) in->at++;
  *word = (log_slice){start, (size_t)(in->at - start)};
  return word->size > 0 && take_char(in, ' ');
}

static int take_digits(cursor* in, int count, int* value) {
  *value = 0;
  if (in->end - in->at < count) return 0;
  for (int i = 0; i < count; i++, in->at++) {
    if (*in->at < '0' || *in->at > '9') return 0;
    *value = *value * 10 + (*in->at - '0');
  }
  return 1;
}

/* Servers write a user's name as it was sent, blanks included: it ends where the time begins. */
static int take_user(cursor* in, log_slice* user) {
  const char* start = in->at;
  for (const char* at = start; in->end - at >= 2; at++) {
    if (at[0] != ' ' || at[1] != '[') continue;
    *user = (log_slice){start, (size_t)(at - start)};
    in->at = at + 1;
    const int none = user->size == 0 || (user->size == 1 && start[0] == '-') ||
                     (user->size == 2 && memcmp(start, "\"\"", 2) == 0);
    if (none) user->size = 0;
    return 1;
  }
  return 0;
}

static int take_month(cursor* in, int* month) {
  static const char kNames[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (in->end - in->at < 3) return 0;
  for (*month = 1; *month <= 12; ++*month) {
    if (memcmp(in->at, kNames + 3 * (*month - 1), 3) != 0) continue;
    in->at += 3;
    return 1;
  }
  return 0;
}

static int days_in_month(int year, int month) {
  static const int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return kDays[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01: years begin in March here, so that the odd day comes last. */
static int64_t days_since_epoch(int year, int month, int day) {
  const int64_t y = month <= 2 ? year - 1 : year;
  const int64_t m = month <= 2 ? month + 9 : month - 3;
  return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* [10/Oct/2000:13:55:36 -0700] */
static int take_time(cursor* in, int64_t* time_us) {
  int day, month, year, hour, minute, second, zone_hour, zone_minute;
  if (!take_char(in, '[') || in->end - in->at < kTimeSize) return 0;
  if (!take_digits(in, 2, &day) || !take_char(in, '/')) return 0;
  if (!take_month(in, &month) || !take_char(in, '/')) return 0;
  if (!take_digits(in, 4, &year) || !take_char(in, ':')) return 0;
  if (!take_digits(in, 2, &hour) || !take_char(in, ':')) return 0;
  if (!take_digits(in, 2, &minute) || !take_char(in, ':')) return 0;
  if (!take_digits(in, 2, &second) || !take_char(in, ' ')) return 0;
  const int west = *in->at == '-';
  if (!take_char(in, west ? '-' : '+')) return 0;
  if (!take_digits(in, 2, &zone_hour) || !take_digits(in, 2, &zone_minute)) return 0;
  if (!take_char(in, ']')) return 0;

  if (year < kFirstYear || year > kLastYear) return 0;
  if (day < 1 || day > days_in_month(year, month)) return 0;
  if (hour > 23 || minute > 59 || second > 60) return 0; /* 60: a leap second */
  if (zone_hour > 23 || zone_minute > 59) return 0;
  const int64_t zone = (zone_hour * 60 + zone_minute) * 60;
  const int64_t local =
      days_since_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
  *time_us = (west ? local + zone : local - zone) * 1000000;
  return *time_us >= 0;
}

/* "GET /path?query HTTP/1.1"; also "-", and whatever else was sent, where there is then no path. */
static int take_request(cursor* in, access_record* record) {
  if (!take_char(in, '"')) return 0;
  const char* start = in->at;
  while (in->at < in->end && *in->at != '"') {
    if (*in->at == '\\' && in->end - in->at > 1) in->at++;
    in->at++;
  }
  const char* stop = in->at;
  if (!take_char(in, '"')) return 0;

  record->method = record->target = record->path = (log_slice){start, 0};
  const char* blank = memchr(start, ' ', (size_t)(stop - start));
  if (blank == NULL || blank == start) return 1;
  const char* target = blank + 1;
  const char* last = stop; /* the protocol follows the last blank; HTTP/0.9 has none */
  while (last > target && last[-1] != ' ') last--;
  const char* target_end = last > target ? last - 1 : stop;
  const size_t size = (size_t)(target_end - target);
  const char* query = memchr(target, '?', size);
  record->method = (log_slice){start, (size_t)(blank - start)};
  record->target = (log_slice){target, size};
  record->path = (log_slice){target, query != NULL ? (size_t)(query - target) : size};
  return 1;
}

static int take_bytes(cursor* in, int64_t* bytes) {
  if (take_char(in, '-')) {
    *bytes = -1;
    return 1;
  }
  const char* start = in->at;
  *bytes = 0;
  for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++) {
    if (in->at - start >= 18) return 0;
    *bytes = *bytes * 10 + (*in->at - '0');
  }
  return in->at > start;
}

int access_log_parse(const char* line, size_t size, access_record* record) {
  if (size > 0 && line[size - 1] == '\n') size--;
  if (size > 0 && line[size - 1] == '\r') size--;
  if (size == 0) return 0;
  cursor in = {line, line + size};
  log_slice identity;
  int status;
  if (!take_word(&in, &record->address)) return 0;
  if (!take_word(&in, &identity)) return 0;
  if (!take_user(&in, &record->user)) return 0;
  if (!take_time(&in, &record->time_us) || !take_char(&in, ' ')) return 0;
  if (!take_request(&in, record) || !take_char(&in, ' ')) return 0;
  if (!take_digits(&in, 3, &status) || !take_char(&in, ' ')) return 0;
  if (!take_bytes(&in, &record->bytes)) return 0;
  record->status = status;
  return in.at == in.end || *in.at == ' '; /* combined format, or more: not our concern */
}
