/* SPDX-License-Identifier: MIT */
/* clang-format off */
#ifndef TIDEGATE_H_
#define TIDEGATE_H_
/*
 * tidegate: a rate limiter over Valkey/Redis, or embedded in the process. The C ABI.
 *
 *   tg_error error;
 *   tg_client *gate = NULL;
 *   uint64_t api = 0;
 *   if (tg_client_open(NULL, 0, NULL, &gate, &error) < 0) return fail(error.message);
 *   tg_limiter_spec spec = {.rates = TG_TEXT("100/minute burst 20"), .name = TG_TEXT("api")};
 *   if (tg_limiter_open(gate, &spec, &api, &error) < 0) return fail(error.message);
 *   tg_entry entry = {.op = TG_OP_CONSUME, .handle = api, .key = "user:42", .key_len = 7,
 *                     .arg = 1};
 *   tg_result result;
 *   if (tg_call(gate, &entry, 1, &result, 1) == 1 && !(result.flags & TG_ALLOWED))
 *     printf("come back in %lld us\n", (long long)result.parts[result.binding].retry_after_us);
 *   tg_client_free(gate);
 *
 * Conventions
 *   Handles   opaque; every _free accepts NULL. A limiter is a number with a kind and a generation
 *             in it: a stale one, another client's, or one of another kind is TG_EHANDLE and never
 *             another limiter. 0 is none.
 *   Errors    int32_t: 0 or more is fine, negative is a TG_E code, which is never used again for
 *             something else. tg_strerror has its text, tg_error_name and tg_error_kind its name and
 *             kind; functions that take a tg_error (NULL is fine) say there what was wrong, where,
 *             and what was expected. A denial is not an error. Nothing is ever printed.
 *             What tg_call and tg_submit return is about the whole array, and then nothing was run:
 *             TG_EINVAL, TG_ESIZE, TG_ECLOSED, TG_EFORK, TG_ENOMEM, TG_EINTERNAL (tg_check_entries
 *             has the words). Everything else is in the status of the request that it is about.
 *   Strings   (pointer, length), borrowed until the call returns; NULL with length 0: not given.
 *             Text comes out into the caller's buffer, cut to fit and closed with NUL; returned is
 *             the length needed without the NUL (buffer may be NULL when size is 0).
 *   Records   start as {0}; reserved fields must be 0. They only ever grow at the end: the macros
 *             pass the caller's sizes (TG_LAYOUT, sizeof), and the smaller of the two layouts is
 *             used; what an older library does not know must be 0. tg_error and tg_text are frozen.
 *   Lifetime  result.parts and result.data live until the next tg_call on the same thread, or the
 *             next reap or wait on the same ring. A tg_call from within an event hook has answers of
 *             its own.
 *   Threads   client, limiters, options once set: any thread. Ring: submit and cancel from any
 *             thread; reap, wait and flush from one at a time. tg_client_close: any thread, beside
 *             any call. Free: when no other call on that handle is running, a client's after its
 *             rings'.
 *   Fork      in a child all that was opened before answers TG_EFORK, but _free: it closes
 *             descriptors, takes no lock and sends nothing, and the parent is not disturbed. No
 *             descriptor of ours outlives an exec.
 *   Time      microseconds, int64_t. TG_NEVER (-1): no wait is long enough, or unknown.
 */
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

#define TG_ABI 1
#define TG_VERSION "0.1.0"
#define TG_NEVER ((int64_t)-1)
#define TG_MAX_PARTS 16        /* parts of one request */
#define TG_MAX_RATES 8         /* rates of one limiter */
#define TG_MAX_LIMITERS 65536  /* open at a time in one client */
#define TG_MAX_TIMEOUT_US ((int64_t)3600000000) /* an hour: a longer timeout_us is that */
#define TG_MAX_COST ((int64_t)4503599627370495) /* 2^52 - 1 */

/* ---- errors ---- */
#define TG_OK 0
#define TG_EINVAL (-1)         /* an argument that cannot be: NULL, a dangling link, mixed ops */
#define TG_ESIZE (-2)          /* a record size that is no version of ours */
#define TG_ERATE (-3)          /* a rate that does not parse, or cannot be enforced exactly */
#define TG_EOPTION (-4)        /* an unknown option, or a value out of its range */
#define TG_EURL (-5)           /* a store URL that does not parse */
#define TG_EKEY (-6)           /* an empty key */
#define TG_ECOST (-7)          /* a cost below 0 or above TG_MAX_COST */
#define TG_EHANDLE (-8)        /* no such limiter (any more) in this client */
#define TG_ENAME (-9)          /* a limiter's name that is not [A-Za-z0-9_.-]{1,64} */
#define TG_ECONFLICT (-10)     /* the name is taken by a limiter with another specification */
#define TG_ECLOSED (-11)       /* the client or ring is closed */
#define TG_EFORK (-12)         /* opened by the parent of this process */
#define TG_ECANCELED (-13)     /* by tg_cancel; a check that was sent may have been charged */
#define TG_EFULL (-14)         /* a stated bound is reached: limiters, specifications, queue */
#define TG_ENOMEM (-15)        /* the system has no memory or descriptor left */
#define TG_EINTERNAL (-16)     /* a bug of ours */
#define TG_EID (-17)           /* slots are taken under an id, and there is none */
#define TG_ESTORE (-32)        /* -32 to -63: the store failed; checks are answered by the policy */
#define TG_ETIMEDOUT (-33)     /* no answer within the deadline; it may have been charged */
#define TG_ECONNECT (-34)      /* no connection: refused, reset, unknown host, known to be away */
#define TG_EAUTH (-35)         /* NOAUTH, WRONGPASS */
#define TG_ETLS (-36)          /* handshake or certificate refused */
#define TG_EPROTOCOL (-37)     /* an answer that makes no sense */
#define TG_ECLUSTER (-38)      /* a cluster-enabled server: not supported yet */
#define TG_EOOM (-39)          /* OOM: maxmemory reached */
#define TG_EREADONLY (-40)     /* READONLY: a replica */
#define TG_ELOADING (-41)      /* LOADING, or MASTERDOWN */
#define TG_EBUSY (-42)         /* BUSY: a script runs away there */
#define TG_ENOPERM (-43)       /* NOPERM: the ACL forbids what is needed */
#define TG_EWRONGTYPE (-44)    /* the key holds something that is no state of ours */

typedef struct tg_error {      /* what went wrong; filled only when a function fails; frozen */
  int32_t code;
  int32_t position;            /* byte offset in the text that was parsed, or -1 */
  char message[504];           /* closed with NUL */
} tg_error;

typedef struct tg_text {       /* frozen */
  const char *data;
  uint64_t size;
} tg_text;
#ifdef __cplusplus
#define TG_TEXT(literal) tg_text{(literal), sizeof(literal) - 1}
#else
#define TG_TEXT(literal) {(literal), sizeof(literal) - 1}
#endif

int32_t tg_abi(void);  /* TG_ABI of the library; never falls, and what worked goes on working */
const char *tg_version(void);              /* TG_VERSION of the library; static */
const char *tg_strerror(int32_t code);     /* one line, static, never NULL */
const char *tg_error_name(int32_t code);   /* "TG_ERATE"; "" for an unknown code; static */
/* "config" (what was asked for cannot be), "handle" (a limiter that is gone), "closed" (client or
   ring, or the parent's), "canceled", "full" (a bound, memory), "store", "internal", "ok"; static */
const char *tg_error_kind(int32_t code);
int32_t tg_is_retriable(int32_t code);     /* 1: the same call may succeed later; 0 */
int32_t tg_is_fatal(int32_t code); /* 1: no call on this handle will succeed again; 0 */

/* ---- options: names and values are strings, as in a URL's query; errors list near names ----
   timeout_ms connect_timeout_ms on_failure fallback_share breaker_failures namespace spin_us
   max_keys max_bytes tls_ca tls_cert tls_key ...: tg_options_describe has all, with defaults. */
typedef struct tg_options tg_options;
tg_options *tg_options_new(void);          /* NULL: no memory */
int32_t tg_options_set(tg_options *, const char *name, const char *value, tg_error *);
int64_t tg_options_describe(char *buffer, size_t size);  /* its lines: five columns, by tabs */
void tg_options_free(tg_options *);

/* ---- client ---- */
typedef struct tg_client tg_client;
/* url: memory://, redis://, rediss://, valkey://, valkeys://, unix://; NULL: $TIDEGATE_URL, else
   memory://. No I/O is done. Options (or NULL) win over the URL's query, and may be freed then. */
int32_t tg_client_open(const char *url, size_t len, const tg_options *, tg_client **, tg_error *);
int64_t tg_client_url(const tg_client *, char *buffer, size_t size);   /* password as *** */
/* What is out completes with TG_ECLOSED, and who waits on a ring wakes. Again: TG_ECLOSED. */
int32_t tg_client_close(tg_client *);
void tg_client_free(tg_client *);      /* closes; its rings must have been freed */
/* clock=manual only: TG_EINVAL otherwise; may step back */
int32_t tg_client_set_time(tg_client *, int64_t now_us);

typedef struct tg_stats {      /* since the client was opened; gauges are marked */
  int64_t allowed, denied, would_deny;                             /* decisions */
  int64_t by_memory, by_store, by_fallback, by_fail_open, by_fail_closed;  /* decisions by source */
  int64_t keys, bytes;  /* gauges: states in the process, their memory */
  /* States dropped at max_keys or max_bytes: first those that owe nothing, then those that owe
     little of their capacity; with none of these left, those with the smallest share of it in
     limiters that hold more than theirs: evicted_owing counts callers that start anew too early. */
  int64_t evicted_idle, evicted_harmless, evicted_owing;
  int64_t round_trips, batches, merged, script_loads, connects;
  int64_t breaker_opened, breaker_open, late_replies;              /* breaker_open: gauge, 0 or 1 */
  int64_t timeouts, connect_errors, auth_errors, tls_errors, protocol_errors, cluster_errors;
  int64_t oom_errors, readonly_errors, loading_errors, busy_errors, noperm_errors, wrongtype_errors;
  int64_t other_errors;        /* errors: requests that the failure policy answered, by cause */
  int64_t name_conflicts, events_dropped;
} tg_stats;
int32_t tg_client_stats_sized(tg_client *, tg_stats *, size_t size);
#define tg_client_stats(client, stats) tg_client_stats_sized((client), (stats), sizeof(tg_stats))
/* The same and more as text: one JSON object, and what Prometheus scrapes (tidegate_stats.h). */
int64_t tg_client_report(tg_client *, char *buffer, size_t size);
int64_t tg_client_metrics(tg_client *, char *buffer, size_t size);
#define TG_LOG_INFO 1
#define TG_LOG_WARNING 2
#define TG_LOG_ERROR 3
typedef struct tg_event {      /* the store is lost, is back, names disagree ...: once per change */
  int32_t level, code;         /* TG_LOG_..., and the TG_E code behind it or 0 */
  int64_t wall_us;             /* epoch */
  char text[240];              /* one line; no secret, no caller's key */
} tg_event;
/* The hook runs on the thread that does the I/O, no lock held. It may call anything but its own
   client (TG_EINVAL). It may run until tg_client_on_event(client, NULL, ...) has returned; called
   from within the hook, until the hook returns. */
typedef void (*tg_event_fn)(void *context, const tg_event *);
int32_t tg_client_on_event_sized(tg_client *, tg_event_fn, void *context, size_t size);
/* 1: the oldest of the last 64, whether a hook had it or not; 0: none. */
int32_t tg_client_next_event_sized(tg_client *, tg_event *, size_t size);
#define tg_client_on_event(client, hook, context) \
  tg_client_on_event_sized((client), (hook), (context), sizeof(tg_event))
#define tg_client_next_event(client, event) \
  tg_client_next_event_sized((client), (event), sizeof(tg_event))

/* ---- limiters ---- */
typedef struct tg_limiter_spec {  /* empty texts: the default, or in tg_limiter_change: as it was */
  tg_text rates;               /* "100/minute burst 20 overdraft 5; 1000/hour", "5 at once" */
  tg_text name;                /* default: from the numbers, 100-per-60s-burst-20 */
  tg_text algorithm;           /* token_bucket (gcra), fixed_window, sliding_window, sliding_log */
  tg_text mode;                /* enforce (default), shadow, off */
  tg_text on_failure;          /* local, open, closed; default: the client's */
  tg_text lease;               /* of slots: "30s" (the default); 1ms to 1 day */
} tg_limiter_spec;
typedef struct tg_rate {
  int64_t limit, window_us, burst, capacity;   /* burst 0: none given; slots: window is the lease */
  char algorithm[24], mode[12], on_failure[12];
  int64_t overdraft;           /* tokens beyond the capacity that debits may leave owing */
} tg_rate;
/* The same name and specification again: the same handle; another specification: TG_ECONFLICT.
   An unknown algorithm or mode is TG_EINVAL, an unknown on_failure TG_EOPTION, a lease TG_ERATE. */
int32_t tg_limiter_open_sized(tg_client *, const tg_limiter_spec *, size_t size, uint64_t *handle,
                              tg_error *);
/* New numbers at once, for the same states; another algorithm or window starts anew. */
int32_t tg_limiter_change_sized(tg_client *, uint64_t handle, const tg_limiter_spec *, size_t size,
                                tg_error *);
int32_t tg_limiter_close(tg_client *, uint64_t handle);  /* the handle is stale from here on */
/* Returns how many it has. */
int32_t tg_limiter_rates_sized(tg_client *, uint64_t handle, tg_rate *, size_t size, int32_t max);
/* rate -1: the limiter's name; else that rate's policy name (name-60s where there are several). */
int64_t tg_limiter_name(tg_client *, uint64_t handle, int32_t rate, char *buffer, size_t size);
#define tg_limiter_open(client, spec, handle, error) \
  tg_limiter_open_sized((client), (spec), sizeof(tg_limiter_spec), (handle), (error))
#define tg_limiter_change(client, handle, spec, error) \
  tg_limiter_change_sized((client), (handle), (spec), sizeof(tg_limiter_spec), (error))
#define tg_limiter_rates(client, handle, rates, max) \
  tg_limiter_rates_sized((client), (handle), (rates), sizeof(tg_rate), (max))

/* ---- requests and their results ---- */
/* One request: entries of one operation joined by TG_LINK, rates and slots mixed as you like. */
#define TG_OP_CONSUME 1u       /* take the costs, all or nothing; under an id: take or renew slots */
#define TG_OP_PEEK 2u          /* would it be allowed? writes nothing */
#define TG_OP_REFUND 3u        /* give arg tokens back, never beyond untouched; not idempotent. Of
                                  slots: all that the id holds, whatever arg is; may be repeated */
#define TG_OP_RESET 4u         /* forget the states; arg is not read */
#define TG_OP_PING 5u          /* ask the store; no handle, no key, never linked: status and data */
#define TG_OP_DEBIT 6u         /* charge what was used already: never denied; see shortfall */

#define TG_LINK 1u             /* entry: the next entry belongs to the same request */
#define TG_ALLOWED 1u          /* result, part */
#define TG_WOULD_DENY 2u       /* result: a shadow part did not fit */
#define TG_SHADOW 4u           /* part: does not block, and callers do not see it */
#define TG_OFF 8u              /* part: its limiter is off; figures unknown */
#define TG_RENEWED 64u         /* part: the id held its slots already; none were taken */
#define TG_SOURCE(flags) (((flags) >> 8) & 15u)      /* result: who decided */
/* Entry of a refund or debit: to whom, as a decision's source said. One that was not asked, or
   that this client has not: nothing happens there, and status is TG_OK. */
#define TG_SOURCE_FLAGS(source) ((uint32_t)(source) << 8)
#define TG_SOURCE_NONE 0u
#define TG_SOURCE_MEMORY 1u
#define TG_SOURCE_STORE 2u
#define TG_SOURCE_FALLBACK 3u
#define TG_SOURCE_FAIL_OPEN 4u
#define TG_SOURCE_FAIL_CLOSED 5u
#define TG_SOURCE_POLICY 6u    /* a ban, an exemption */
#define TG_SOURCE_NEAR 7u      /* a copy in this process */

typedef struct tg_entry {      /* one part of a request; copied by submit */
  uint64_t user_data;          /* of the request's first part: comes back untouched; need not be
                                  unique, but tg_cancel takes all that are equal */
  uint32_t op, flags;          /* TG_OP_...; TG_LINK, TG_SOURCE_FLAGS */
  uint64_t handle;             /* a limiter, a guard or a cache */
  const void *key;             /* 1 byte or more, any bytes; above 512 its SHA-256 stands for it */
  uint32_t key_len, value_len; /* value: of a guard's check, of a cache's requests */
  const void *value;
  int64_t arg, arg2, arg3;     /* arg: the cost, 0 to TG_MAX_COST; the others: a cache's */
  int64_t timeout_us;          /* of the first part; 0: the client's; TG_EINVAL below 0 */
  uint8_t id[16];              /* whose slots: a shorter id is padded with 0; all 0: none */
} tg_entry;

typedef struct tg_part {       /* one rate of one part, in the order of the request */
  uint64_t handle;
  uint32_t rate, flags;        /* rate: which of the limiter's; TG_ALLOWED, TG_SHADOW, TG_OFF */
  int64_t limit, remaining;    /* remaining: tokens that could be spent now */
  int64_t retry_after_us;      /* the least wait after which this cost would fit; 0 when allowed */
  int64_t next_us;             /* the least wait after which remaining grows; 0: it is full */
  int64_t reset_after_us;      /* the wait after which nothing of the past is left */
  int64_t window_us, capacity;
  int64_t shortfall;           /* of a debit: tokens of the cost that did not fit */
} tg_part;

typedef struct tg_result {     /* one per request */
  uint64_t user_data;
  int32_t status;              /* 0, or a TG_E code: then data is a line of text about it */
  uint32_t flags;              /* TG_ALLOWED, TG_WOULD_DENY; TG_SOURCE() */
  uint32_t part_count, binding;    /* binding: the part that speaks for the request */
  const tg_part *parts;        /* of consume and peek; -1 where no engine was asked */
  const void *data;
  uint64_t data_len;
  const struct tg_found *found;    /* of a cache's requests (tidegate_cache.h); else NULL */
} tg_result;

#define TG_LAYOUT \
  ((uint64_t)sizeof(tg_entry) | (uint64_t)sizeof(tg_part) << 16 | (uint64_t)sizeof(tg_result) << 32)

/* Would tg_call and tg_submit take these entries? How many requests they are, or TG_EINVAL or
   TG_ESIZE, and then `error` says which entry, which field, and what was expected. */
int32_t tg_check_entries_sized(const tg_entry *, int32_t n, tg_error *, uint64_t layout);
#define tg_check_entries(entries, n, error) \
  tg_check_entries_sized((entries), (n), (error), TG_LAYOUT)
/* Runs whole requests and waits for them; the embedded store answers inline. Returns how many
   results were written, in order. TG_EINVAL or TG_ESIZE: nothing was run (more than max requests
   or TG_MAX_PARTS, a dangling TG_LINK, mixed operations, a reserved field that is not 0). */
int32_t tg_call_sized(tg_client *, const tg_entry *, int32_t n, tg_result *, int32_t max, uint64_t);
#define tg_call(client, entries, n, results, max) \
  tg_call_sized((client), (entries), (n), (results), (max), TG_LAYOUT)

/* ---- ring: one event loop's window onto a client ---- */
typedef struct tg_ring tg_ring;
#define TG_RING_LOCAL 1u       /* only the reaping thread submits; it flushes before it sleeps */
/* capacity: requests that may be out at once, 1 to 65536. */
int32_t tg_ring_open_sized(tg_client *, int32_t capacity, uint32_t flags, tg_ring **, tg_error *,
                           uint64_t);
#define tg_ring_open(client, capacity, flags, ring, error) \
  tg_ring_open_sized((client), (capacity), (flags), (ring), (error), TG_LAYOUT)
intptr_t tg_ring_fd(tg_ring *);  /* poll this for reading, level- or edge-triggered; then reap */
/* Returns how many entries it took, whole requests only: fewer (0 too) when the ring is full. Each
   request taken yields exactly one result: success, error, deadline, cancel, close. No blocking. */
int32_t tg_submit(tg_ring *, const tg_entry *, int32_t n);
int32_t tg_ring_flush(tg_ring *);          /* sends what is queued; the end of a loop's tick */
int32_t tg_reap(tg_ring *, tg_result *, int32_t max);  /* does the I/O; max were done: reap again */
/* -1: no end. TG_ECLOSED: the client is closed, and all that was out has been returned. */
int32_t tg_ring_wait(tg_ring *, tg_result *, int32_t max, int64_t timeout_us);
int32_t tg_cancel(tg_ring *, uint64_t user_data);  /* returns how many come back so */
void tg_ring_free(tg_ring *);              /* what is out is dropped; before tg_client_free */

/* ---- HTTP: what every middleware sends, and whom it charges ---- */
#define TG_HEADERS_STANDARD 1u      /* RateLimit-*: draft-ietf-httpapi-ratelimit-headers-10 */
#define TG_HEADERS_LEGACY 2u        /* X-RateLimit-Limit, -Remaining, -Reset in epoch seconds */
#define TG_HEADERS_LEGACY_DELTA 4u  /* the same, -Reset in seconds from now */
/* 200, 429, or 503 where the policy closed. */
int32_t tg_decision_status_sized(const tg_result *, uint64_t layout);
#define tg_decision_status(result) tg_decision_status_sized((result), TG_LAYOUT)
/* One "Name: value\n" a line; wall_us: epoch, 0: now. */
int32_t tg_decision_headers_sized(tg_client *, const tg_result *, uint32_t flags, int64_t wall_us,
                                  char *buffer, size_t size, uint64_t layout);
/* RFC 9457 application/problem+json of a refusal; "" for a result that is none. */
int32_t tg_decision_problem_sized(tg_client *, const tg_result *, char *buffer, size_t size,
                                  uint64_t layout);
#define tg_decision_headers(client, result, flags, wall_us, buffer, size) \
  tg_decision_headers_sized((client), (result), (flags), (wall_us), (buffer), (size), TG_LAYOUT)
#define tg_decision_problem(client, result, buffer, size) \
  tg_decision_problem_sized((client), (result), (buffer), (size), TG_LAYOUT)
/* A caller's key: his identity, or where that is empty his address as "@203.0.113.7". peer: his
   socket's address; forwarded_for: the X-Forwarded-For lines joined by commas, believed as the
   options trusted_proxies and ipv6_prefix say (NULL: not at all). Returns the length. */
int64_t tg_caller_key(const tg_options *, const char *peer, size_t peer_len,
                      const char *forwarded_for, size_t forwarded_len, const char *identity,
                      size_t identity_len, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#include "tidegate_guard.h"
#include "tidegate_stats.h"
#include "tidegate_cache.h"
#endif /* TIDEGATE_H_ */
