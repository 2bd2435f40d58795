/* SPDX-License-Identifier: MIT */
/*
 * What Go calls in one crossing each: requests and answers as flat records without pointers, so
 * that nothing of Go's is kept by C, and C's per-thread results are copied before the goroutine can
 * move to another thread.
 */
#ifndef TIDEGATE_GO_SHIM_H_
#define TIDEGATE_GO_SHIM_H_
#include <tidegate.h>

typedef struct tgo_request {
  uint64_t user_data;
  uint32_t op, flags;
  int64_t timeout_us;
  int32_t count, reserved;
  struct {
    uint64_t handle;
    int64_t cost;
    uint32_t key_len, reserved;
    uint8_t id[16];
  } part[TG_MAX_PARTS];
} tgo_request;

typedef struct tgo_answer {
  int32_t status;
  uint32_t flags, part_count, binding, text_len;
  tg_part parts[TG_MAX_PARTS * TG_MAX_RATES];
  char text[256];
} tgo_answer;

/* keys: the parts' keys, one behind the other. */
int32_t tgo_call(tg_client* client, const tgo_request* request, const char* keys,
                 tgo_answer* answer);
int32_t tgo_submit(tg_ring* ring, const tgo_request* request, const char* keys);
int32_t tgo_reap(tg_ring* ring, tg_result* results, int32_t max);
int32_t tgo_wait(tg_ring* ring, tg_result* results, int32_t max, int64_t timeout_us);

typedef struct tgo_spec { /* sizes in one text: rates, name, algorithm, mode, on_failure, lease */
  uint32_t size[6];
} tgo_spec;
int32_t tgo_limiter_open(tg_client* client, const tgo_spec* spec, const char* text,
                         uint64_t* handle, tg_error* error);
int32_t tgo_limiter_change(tg_client* client, uint64_t handle, const tgo_spec* spec,
                           const char* text, tg_error* error);
int32_t tgo_ring_open(tg_client* client, int32_t capacity, tg_ring** ring, tg_error* error);
int32_t tgo_stats(tg_client* client, tg_stats* stats);

/* A guard's check: the scope and the attributes stand beside it. The result is the library's: it
   and what it points to live as long as tg_call's or tg_submit's do. */
typedef struct tgo_check {
  uint64_t user_data, handle;
  int64_t timeout_us;
  uint32_t scope_size, attributes_size;
} tgo_check;
int32_t tgo_check_call(tg_client* client, const tgo_check* check, const char* scope,
                       const char* attributes, tg_result* result);
int32_t tgo_check_submit(tg_ring* ring, const tgo_check* check, const char* scope,
                         const char* attributes);
typedef struct tgo_guard_spec { /* sizes in one text: policy, file, headers, trusted_proxies */
  uint64_t size[4];
  int64_t ipv6_prefix;
} tgo_guard_spec;
int32_t tgo_guard_open(tg_client* client, const tgo_guard_spec* spec, const char* text,
                       uint64_t* handle, tg_error* error);
/* What settles a scope, of which the keys are parts: at most max; returns how many there are. */
typedef struct tgo_settlement {
  uint64_t handle;
  int64_t cost;
  uint32_t op, flags, key_at, key_len;
  uint8_t id[16];
} tgo_settlement;
int32_t tgo_finish(const char* scope, size_t size, int32_t status, const char* attributes,
                   size_t attributes_size, uint32_t flags, tgo_settlement* out, int32_t max);

/* sizes: of limiter, period and step, in one text. */
int64_t tgo_series(tg_client* client, const uint64_t sizes[3], const char* text, char* buffer,
                   size_t size, tg_error* error);
int64_t tgo_top(tg_client* client, const char* limiter, size_t limiter_size, uint32_t by, int32_t n,
                char* buffer, size_t size, tg_error* error);
int64_t tgo_limited_now(tg_client* client, const char* limiter, size_t limiter_size, int32_t n,
                        char* buffer, size_t size, tg_error* error);

/* Raises *flag when there is an event to fetch; Go looks at it without a crossing. */
int32_t tgo_watch_events(tg_client* client, int32_t* flag);

int32_t tgo_status(uint32_t flags);
int32_t tgo_headers(tg_client* client, uint32_t flags, uint32_t binding, const tg_part* parts,
                    uint32_t count, uint32_t styles, int64_t wall_us, char* buffer, size_t size);
int32_t tgo_problem(tg_client* client, uint32_t flags, uint32_t binding, const tg_part* parts,
                    uint32_t count, char* buffer, size_t size);

#endif /* TIDEGATE_GO_SHIM_H_ */
