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

/* ---- caches ---- */
#define TG_MAX_CACHES 1024     /* open at a time in one client */
#define TG_MAX_TAGS 16         /* of an entry, each 1 to 255 bytes */
#define TG_MAX_META 4096       /* bytes of an entry's own metadata */
typedef struct tg_cache_spec { /* empty texts: the default. Times are "1h", "90 s", "0" */
  tg_text name;                /* 1 to 64 of A-Z a-z 0-9 _ . - : what stores and processes share */
  tg_text ttl;                 /* 1h: fresh for so long after its fill began */
  tg_text stale;               /* 0: so long after its ttl it is served while one refreshes it */
  tg_text stale_if_error;      /* 0: so long after its ttl it is served when the fill fails */
  tg_text jitter;              /* 0.1: each ttl is shortened by chance by up to this part */
  tg_text lease;               /* 10s: after so long without a sign of life another may fill */
  tg_text wait;                /* 30s: so long a caller waits for somebody else's fill */
  tg_text retry;               /* 1s: after a failed fill, where there is something to serve */
  tg_text near;                /* 0: so long what is filled while the server is away is kept in the
                                  process (0: 5 s); other entries of a server are not kept there */
  int64_t max_entry;           /* 0: 1 MiB. Larger values are not stored; 64 MiB at most */
} tg_cache_spec;
/* The same name and numbers again: the same handle; other numbers: TG_ECONFLICT. TG_ENAME, TG_ERATE
   (a time), TG_EINVAL, TG_EFULL. All caches of a client share its option cache_bytes. */
int32_t tg_cache_open_sized(tg_client *, const tg_cache_spec *, size_t size, uint64_t *handle,
                            tg_error *);
#define tg_cache_open(client, spec, handle, error) \
  tg_cache_open_sized((client), (spec), sizeof(tg_cache_spec), (handle), (error))
int32_t tg_cache_close(tg_client *, uint64_t handle);  /* its entries stay, for who opens it again */

/* ---- requests: as all others, through tg_call, tg_submit, tg_reap; handle: a cache ----
 * A lease names who fills: 16 bytes that a look-up gives (found->lease), and that the holder's put,
 * release and renew bring as the entry's id.
 */
#define TG_OP_CACHE_GET 16u     /* key: digest. With TG_FILL arg: the longest wait, 0: the cache's */
#define TG_OP_CACHE_PUT 17u     /* key, value; id: its lease, all 0: an explicit set. arg, arg2, arg3:
                                   ttl, stale, stale_if_error in us; 0: the cache's, TG_NEVER: none */
#define TG_OP_CACHE_RELEASE 18u /* key, id; with TG_FAILED value: what to tell who waits here */
#define TG_OP_CACHE_RENEW 19u   /* key, id: the lease runs anew */
#define TG_OP_CACHE_DELETE 20u  /* key */
#define TG_OP_CACHE_PURGE 21u   /* key: a tag. What is born until now counts no more, nor what is
                                   being filled */
#define TG_OP_CACHE_CLEAR 22u   /* the same of the whole cache */
#define TG_OP_CACHE_TAG 23u     /* key: a tag. Linked to a put (TG_LINK), handle 0 */
#define TG_OP_CACHE_META 24u    /* value: metadata. Linked to a put, handle 0, one at most */

#define TG_FILL 65536u          /* entry, get: the caller would make the value, if nobody does */
#define TG_WAIT 131072u         /* entry, get with TG_FILL: it waits for who does */
#define TG_FAILED 262144u       /* entry, release */
#define TG_KIND_FLAGS(kind) ((uint32_t)(kind) << 24)  /* entry, put: comes back in found->kind */
#define TG_KIND_BYTES 0u
#define TG_KIND_TEXT 1u
#define TG_KIND_JSON 2u

/* found->status of a get: */
#define TG_CACHE_HIT 1u        /* fresh: result.data */
#define TG_CACHE_STALE 2u      /* old, and served; with a lease: refresh it */
#define TG_CACHE_RESCUED 3u    /* served because the last fill failed */
#define TG_CACHE_MISS 4u       /* nothing; with a lease: fill it, and result.data (or NULL) is what to
                                  serve if that fails; without: it may be made, but not stored */
#define TG_CACHE_WAITING 5u    /* somebody else fills, for wait_us at most (without TG_WAIT) */
#define TG_CACHE_SHARED 6u     /* was waited for */
#define TG_CACHE_FAILED 7u     /* was waited for, and failed: data says what the release brought */
/* of a put: */
#define TG_CACHE_STORED 16u
#define TG_CACHE_LATE 17u      /* a purge, a delete, another fill came in between: not stored */
#define TG_CACHE_REFUSED 18u   /* too large, no room, or it would live for no time: not stored */
/* of the others: */
#define TG_CACHE_DONE 19u
#define TG_CACHE_NOT 20u       /* release, renew: another's lease by now; delete: nothing was there */

typedef struct tg_found {
  uint32_t size, status;       /* size: of this record, as the library has it */
  uint32_t kind, tag_count;
  int64_t age_us, fresh_us;    /* since it was born; until it is stale */
  int64_t wait_us, born_us;    /* born_us: of the store's clock */
  uint8_t lease[16];           /* all 0: none */
  const void *meta, *tags;     /* tags: each a byte of length, and its bytes */
  uint64_t meta_len, tags_len;
} tg_found;

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif /* TIDEGATE_CACHE_H_ */
