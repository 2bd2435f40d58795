/* SPDX-License-Identifier: MIT */
#ifndef EXAMPLES_C_TALLY_H_
#define EXAMPLES_C_TALLY_H_
/*
 * Counts per caller: a hash table from keys to callers. A caller stays where it is until the table
 * is freed, so it can travel through tg_entry.user_data, and its key can be lent to tg_call. One
 * thread.
 *
 *   tally *counts = tally_new();
 *   caller *who = tally_find(counts, "192.0.2.7", 9);
 *   who->requests++;
 */
#include <stddef.h>
#include <stdint.h>

typedef struct caller {
  int64_t requests, denied;
  uint64_t hash;
  size_t size;
  char key[]; /* not closed */
} caller;

typedef struct tally tally;

tally* tally_new(void);                                   /* NULL: no memory */
caller* tally_find(tally*, const char* key, size_t size); /* made if it is new; NULL: no memory */
size_t tally_size(const tally*);
caller* tally_at(const tally*, size_t index); /* in order of first appearance */
/* Who was denied at all, most first and by key on a tie; to be freed. NULL: no memory. */
caller** tally_denied(const tally*, size_t* count);
void tally_free(tally*);

#endif /* EXAMPLES_C_TALLY_H_ */
