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

/* Raises *flag when there is an event to fetch; Go looks at it without a crossing. */
int32_t tgo_watch_events(tg_client* client, int32_t* flag);

int32_t tgo_status(uint32_t flags);
int32_t tgo_headers(tg_client* client, uint32_t flags, uint32_t binding, const tg_part* parts,
                    uint32_t count, uint32_t styles, int64_t wall_us, char* buffer, size_t size);
int32_t tgo_problem(tg_client* client, uint32_t flags, uint32_t binding, const tg_part* parts,
                    uint32_t count, char* buffer, size_t size);

#endif /* TIDEGATE_GO_SHIM_H_ */
