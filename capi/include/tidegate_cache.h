/* SPDX-License-Identifier: MIT */
/* clang-format off */
#ifndef TIDEGATE_CACHE_H_
#define TIDEGATE_CACHE_H_
/*
 * tidegate: the cache. Part of tidegate.h, which includes it; its conventions hold here too.
 */
#include "tidegate.h"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* ---- keys: the bytes by which every language names the same entry; pure, any thread ----
 *
 * values + tg_cache_key, or a request + tg_request_key: key parts. Those, a cache's name and a scope
 * + tg_cache_digest: the 32 bytes that are an entry's identity, and the key of every request below.
 * The first two write bytes, without a NUL, cut to fit, and return how many there are.
 */
#define TG_CACHE_DIGEST_BYTES 32

/* values: a call's arguments, one after another, each a letter and what follows it (sizes and counts
   4 bytes, numbers 8, least byte first):
     z none   t true   f false   i integer of 64 bits   d double   n size, decimal digits ("-12")
     s size, UTF-8   x size, bytes   l count, values   m count, pairs of a name (s) and a value
   A number is its exact value: 1, 1.0 and n"1" are one. TG_EKEY: no argument, NaN or an infinity,
   text that is not UTF-8, a name twice, lists and maps deeper than 64, a form that is none. */
int64_t tg_cache_key(const void *values, size_t values_len, void *buffer, size_t size, tg_error *);

typedef struct tg_field {      /* a header that is part of the key; frozen */
  tg_text name, value;         /* value.data NULL: the request does not have it */
} tg_field;
#define TG_REQUEST_NOT_JSON 1u /* flags: the media type says that the body is no JSON */
typedef struct tg_request {
  tg_text method;              /* a token; its case does not count */
  tg_text route, provider, model;  /* data NULL: absent, which an empty one is not */
  tg_text body;                /* empty: none. Else its canonical JSON, or where it has none its bytes */
  const tg_field *fields;      /* of one name: joined */
  const tg_text *leave_out;    /* members of the body (top level) that do not count. NULL: those of
                                  stream_options, user, metadata; the list is part of the key */
  uint32_t field_count, leave_out_count, flags, reserved;
} tg_request;
int64_t tg_request_key_sized(const tg_request *, size_t record_size, void *buffer, size_t size,
                             tg_error *);
#define tg_request_key(request, buffer, size, error) \
  tg_request_key_sized((request), sizeof(tg_request), (buffer), (size), (error))

/* scope: a tenant, never matched across. NULL: what all callers share; "" is a scope. TG_ENAME. */
int32_t tg_cache_digest(const char *cache, size_t cache_len, const char *scope, size_t scope_len,
                        const void *key, size_t key_len, uint8_t *digest, tg_error *);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif /* TIDEGATE_CACHE_H_ */
