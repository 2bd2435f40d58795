/* SPDX-License-Identifier: MIT */
/* clang-format off */
#ifndef TIDEGATE_GUARD_H_
#define TIDEGATE_GUARD_H_
/*
 * The guard: which limits a request meets, and what it is told. tidegate.h includes this.
 *
 *   tg_guard_spec spec = {.policy = TG_TEXT("version: 1\nlimiters: {api: 100/minute}\n"
 *                                           "rules: [{limit: api}]")};
 *   if (tg_guard_open(gate, &spec, &guard, &error) < 0) return fail(error.message);
 *   tg_entry entry = {.op = TG_OP_CHECK, .handle = guard, .value = said, .value_len = size};
 *   if (tg_call(gate, &entry, 1, &result, 1) == 1 && result.status == TG_OK) {
 *     const tg_answer *answer = result.data;
 *     if (answer->status != 200) refuse(answer->status, answer->fields, answer->body);
 *   }
 *
 * Attributes are a list of texts, a name and a value in turn, each behind its length: a uint32_t in
 * the machine's order, then so many bytes (no NUL). Names of letters, digits, _ and - are what a
 * policy sees: method, path, route, host, address, identity, tier, and whatever the application
 * adds. What a policy cannot see begins with "@":
 *   @peer, @forwarded_for   the socket's address and the lines of X-Forwarded-For joined by commas:
 *                           the address, where none is given, as trusted_proxies says
 *   @origin, @requested_method   the values of Origin and Access-Control-Request-Method: an OPTIONS
 *                           with both is a CORS preflight, which is exempt
 *   @exempt                 a path that is exempt, as often as there are such paths
 *   @path                   another spelling of the path for @exempt (below a mount)
 *   @limit or @limiter      a part beside those of the policy: its rates, or an open limiter's
 *                           handle (8 bytes, the machine's order). What follows belongs to it:
 *   @name, @place           a limiter's name; or where it stands (tg_place_name), which is its name
 *                           where it is given none, and may be another's too
 *   @several                not empty: its numbers stand behind the name, since there are others
 *   @algorithm @mode @on_failure @lease    as in tg_limiter_spec
 *   @per                    whom it charges: identity (the default: the caller's key), address, everyone
  @key, @cost             or the key of whom (empty: the address), and how much (1)
 * Limiters made of @limit are kept open, the 1,024 used last.
 */
#include "tidegate.h"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

#define TG_EPOLICY (-18)     /* a policy that does not parse, or says what cannot be */
#define TG_EATTRIBUTE (-19)  /* a request's attribute is a mistake of the application: a tier that
                                there is not, a cost that is no number, more than 16 parts */

/* An entry of this operation: handle is a guard, value the attributes, key a scope or nothing; the
   rest but user_data and timeout_us is 0. Never linked. The result is a decision like any other,
   whose data is a tg_answer. Its source is TG_SOURCE_POLICY where no limiter was asked. */
#define TG_OP_CHECK 7u

#define TG_VERDICT_LIMITS 0u   /* what it met stands in the parts; perhaps none */
#define TG_VERDICT_EXEMPT 1u
#define TG_VERDICT_BANNED 2u

typedef struct tg_answer {
  int32_t status;        /* 200: let it pass; 403 (banned), 429, 503 (the failure policy closed) */
  uint32_t verdict;
  tg_text fields;        /* "Name: value\n" lines, of this and the earlier checks of the request: in
                            place of those that an earlier check set. What the application sends
                            itself stands, and its whole family (RateLimit*, X-RateLimit-*) */
  tg_text body;          /* application/problem+json of a refusal */
  tg_text scope;         /* what was charged and said so far: the key of the next check of the same
                            HTTP request, and for tg_guard_finish. Opaque; of this process */
  tg_text caller;        /* the caller's key: identity, or "@" and the address */
  tg_text reason;        /* of a ban, if the policy gives one; not for the caller */
  int64_t retry_after_us;    /* of a refusal; TG_NEVER */
  int64_t renew_us;      /* above 0: slots are held, to be renewed within that time */
  uint32_t finish;       /* 1: hand the scope to tg_guard_finish when the response is done */
  uint32_t limit;        /* of a refusal: which @limit or @limiter denies, from 1; 0: the policy's */
} tg_answer;

typedef struct tg_guard_spec {
  tg_text policy;          /* YAML or JSON (policies, below); empty: no rules of its own */
  tg_text file;            /* or a file with one: read now, and again when it has changed */
  tg_text headers;         /* of standard, legacy, legacy-delta, by commas; "none"; default:
                              standard,legacy */
  tg_text trusted_proxies; /* a count, or networks by commas; default: the client's option */
  int64_t ipv6_prefix;     /* 1 to 128; 0: the client's option */
} tg_guard_spec;
/* A faulty policy is TG_EPOLICY: `error` has line, column, member, and what was expected. */
int32_t tg_guard_open_sized(tg_client *, const tg_guard_spec *, size_t size, uint64_t *handle,
                            tg_error *);
#define tg_guard_open(client, spec, handle, error) \
  tg_guard_open_sized((client), (spec), sizeof(tg_guard_spec), (handle), (error))
/* Another policy in place of the one it has, at once, for the states that are there. A faulty one
   changes nothing. */
int32_t tg_guard_replace(tg_client *, uint64_t guard, const char *policy, size_t size, tg_error *);
int32_t tg_guard_close(tg_client *, uint64_t guard);   /* its limiters stay open */

/* The response is done (or a check of the request was denied: then all that the scope's other
   checks took is given back). Writes the entries that settle what was charged, refunds and debits,
   each a request of its own; their keys point into the scope. Run them behind the answer, with
   tg_call or tg_submit. status: the response's. attributes: for what rules `settle`. With
   TG_FINISH_RENEW: the entries that renew the slots instead. Returns how many there are;
   those beyond max are not written. */
#define TG_FINISH_RENEW 1u
#define TG_FINISH_DENIED 2u    /* somebody else denied it: all that the scope took is given back */
int32_t tg_guard_finish_sized(const void *scope, size_t size, int32_t status, const void *attributes,
                              size_t attributes_size, uint32_t flags, tg_entry *entries, int32_t max,
                              uint64_t layout);
#define tg_guard_finish(scope, size, status, attributes, attributes_size, flags, entries, max)   \
  tg_guard_finish_sized((scope), (size), (status), (attributes), (attributes_size), (flags),     \
                        (entries), (max), TG_LAYOUT)

/* What applies to a request and why, as JSON: rules, the caller's entries, the parts with their
   present state. Asks the store as a peek does, and waits for it. */
int64_t tg_guard_explain(tg_client *, uint64_t guard, const void *attributes, size_t size,
                         char *buffer, size_t buffer_size, tg_error *);

/* The live document over all policies of this client (with a server: of all processes there): its
   limiters, tiers and callers, each perhaps with an end ("until"). A patch is such a document; an
   entry takes the place of the one of its name, null takes it away. TG_EDIT_REPLACE: all else goes.
   Names that the guard's policy has not are refused. who: for the audit stream
   (<namespace>:1:{policy}:audit, the last 10,000). Waits for the store. Returns the new version. */
#define TG_EDIT_REPLACE 1u
int64_t tg_guard_edit(tg_client *, uint64_t guard, uint32_t flags, const char *patch, size_t size,
                      const char *who, size_t who_size, tg_error *);
/* {"version": 12, "live": {...}}, as this client has it: at most a second old. */
int64_t tg_client_live(tg_client *, char *buffer, size_t size);

/* Pure functions; JSON text. What is wrong with a policy: a list, empty where nothing is, of
   {"path", "line", "column", "message"}. */
int64_t tg_policy_validate(const char *policy, size_t size, char *buffer, size_t buffer_size);
/* Of a live document over a policy: a list of the places that name limiters and tiers which the
   policy has not, and which are left out. */
int64_t tg_policy_ignored(const char *policy, size_t size, const char *live, size_t live_size,
                          char *buffer, size_t buffer_size, tg_error *);
/* What applies to a request by a policy and a live document (or nothing) over it, at a time (epoch):
   verdict, parts, rules. TG_EPOLICY with the fault. */
int64_t tg_policy_resolve(const char *policy, size_t size, const char *live, size_t live_size,
                          const void *attributes, size_t attributes_size, int64_t now_us,
                          char *buffer, size_t buffer_size, tg_error *);
/* What a limit without a name is called where it stands: "POST.login", below a mount
   "v1.GET.items-id", "everything" for nothing at all. HEAD is GET's,
   methods that callers make up are OTHER. template: as the framework writes it; NULL:
   it does not tell ("unmatched"). Returns the length. */
int64_t tg_place_name(const char *mount, size_t mount_size, const char *method, size_t method_size,
                      const char *route, size_t route_size, char *buffer, size_t buffer_size);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif /* TIDEGATE_GUARD_H_ */
