/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_C_ACCESS_LOG_H_
#define EXAMPLES_C_ACCESS_LOG_H_
/*
 * One line of an access log, common or combined format, as a record:
 *
 *   192.0.2.7 - frank [10/Oct/2000:13:55:36 -0700] "GET /a?b=1 HTTP/1.0" 200 2326 "referer" "agent"
 *
 * A pure function: nothing is allocated, and the slices point into the line, which may hold any
 * bytes and need not be closed. Any thread.
 *
 *   access_record record;
 *   if (access_log_parse(line, size, &record)) count(record.address, record.time_us);
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct log_slice {
  const char* data;
  size_t size;
} log_slice;

typedef struct access_record {
  log_slice address; /* or a host's name: printable, without blanks, never empty */
  log_slice user;    /* empty where the log has "-" or "\"\"" */
  log_slice method;  /* empty, as target and path, where no request was read: "-" */
  log_slice target;  /* as it was asked for, escapes untouched */
  log_slice path;    /* the target without its query */
  int64_t time_us;   /* epoch, the zone taken into account; 1970 to 2099 */
  int64_t bytes;     /* -1 where the log has "-" */
  int32_t status;    /* 0 to 999 */
} access_record;

/* 1 and the record, or 0 where the line is no such line (the record is then undefined). A line
   feed, or carriage return and line feed, at the end of the line is ignored. What follows the size
   is not looked at. O(size). */
int access_log_parse(const char* line, size_t size, access_record* record);

#ifdef __cplusplus
}
#endif
#endif /* EXAMPLES_C_ACCESS_LOG_H_ */
