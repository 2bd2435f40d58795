/* SPDX-License-Identifier: MIT */
/* clang-format off */
#ifndef TIDEGATE_STATS_H_
#define TIDEGATE_STATS_H_
/*
 * Figures of a client and of each of its limiters, as JSON text: who, how much, how fast. What has
 * a new member has no new function. tidegate.h includes this.
 *
 *   int64_t size = tg_client_top(gate, TG_TEXT("api"), TG_BY_DENIED, 20, text, sizeof text, NULL);
 *   if (size >= (int64_t)sizeof text) ...   (cut: ask again with more room)
 *
 * Conventions are those of tidegate.h. Returned is the length of the text, or a TG_E code, and then
 * `error` (NULL is fine) says what was expected. Texts change between two calls: whoever asks for
 * the length first should take more room than that.
 *
 * What is kept is said by options (tg_options_describe): stats=off|totals|on, stats_bytes, and
 * labels=masked|hashed|clear, by which callers are shown. Counts are exact; those of callers are
 * not where there are more than some thousand. Figures of a limiter are its name's: they stay when
 * it is closed. Beyond 1,000 names they are counted under "other".
 */
#include "tidegate.h"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* tg_client_report (tidegate.h): all figures of the client, and under "limiters" of each limiter:
     {"version", "abi", "allowed", "denied", ..., "decisions": {source: {outcome: count}},
      "limiters": {name: {"allowed", "denied", "would_deny", "cost", "limited", "complete",
                          "decisions"}},
      "durations": {"decisions" | "round_trips": {"count", "sum_us", "p50_us", "p90_us", "p99_us",
                    "max_us", "buckets": [[at most so long in us, how many], ...]}},
      "stats": {"level", "bytes", "refused"}}
   complete: false where stats_bytes left no room for all of what stats=on keeps. */

/* tg_client_metrics (tidegate.h) is the text of Prometheus; this has it in another format. */
#define TG_METRICS_OPENMETRICS 1u
int64_t tg_client_metrics_as(tg_client *, uint32_t flags, char *buffer, size_t size);

/* The callers that a limiter denied most often, or that cost it most (about: one of eight that are
   admitted stands for all), since it was opened: n of 128 at most, heaviest first.
     {"limiter", "by", "callers": [{"caller", "denied" or "cost"}]}
   TG_EHANDLE: no figures of a limiter of that name. */
#define TG_BY_DENIED 1u
#define TG_BY_COST 2u
int64_t tg_client_top(tg_client *, tg_text limiter, uint32_t by, int32_t n, char *buffer,
                      size_t size, tg_error *);

/* Who was denied last and cannot pass yet, most denials first, 256 at most.
     {"limiter", "callers": [{"caller", "denied", "retry_after_us"}]} */
int64_t tg_client_limited_now(tg_client *, tg_text limiter, int32_t n, char *buffer, size_t size,
                              tg_error *);

/* A caller by his key: what each open limiter (the first 1,000 by name) would say to a request of
   cost 1. Peeks: nothing is charged. On a server it waits for the answers, as tg_call does.
     {"caller", "limiters": {name: {"allowed", "source", "denied", "rates": [{"policy", "allowed",
      "limit", "remaining", "retry_after_us", "next_us", "reset_after_us", "window_us",
      "capacity"}]} or {"error"}}, "more": how many limiters were left out} */
int64_t tg_client_look_up(tg_client *, const void *key, size_t key_len, char *buffer, size_t size,
                          tg_error *);

/* The last 1,000 events, to be read any number of times: a caller begins to be limited ("denied":
   20 a second are listed, "unlisted" counts the others), the store is lost or back ("state"),
   states of callers who owed were dropped ("evicted", noticed when events are read).
   after: the "next" of the page before; 0: from the oldest; -1: the last n. Oldest first.
     {"events": [{"id", "wall_us", "kind", "level", "code", "text", "limiter", "caller"}], "next",
      "unlisted"} */
int64_t tg_client_events(tg_client *, int64_t after, int32_t n, char *buffer, size_t size,
                         tg_error *);

/* What happened when: of a limiter, or with an empty name the sum of all. period: "1h" if empty,
   48 h at most; step: "1m" if empty, a multiple of 10 s, beyond an hour of a minute.
     {"limiter", "from_us", "step_us", "allowed": [...], "denied": [...], "cost": [...]}
   The last point is under way. */
int64_t tg_client_series(tg_client *, tg_text limiter, tg_text period, tg_text step, char *buffer,
                         size_t size, tg_error *);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif /* TIDEGATE_STATS_H_ */
