/* SPDX-License-Identifier: MIT */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

enum { kChunk = 1 << 20, kFirstSlots = 1 << 12 };

/* Callers live in chunks that never move; slots hold 1 + their index in `callers`, 0 is free. */
typedef struct chunk {
  struct chunk* next;
  size_t used, size;
  _Alignas(16) char bytes[];
} chunk;

struct tally {
  chunk* chunks;
  caller** callers;
  size_t count, room;
  uint32_t* slots;
  size_t slot_count; /* a power of two, at least twice the callers */
};

static uint64_t hash_of(const char* key, size_t size) {
  uint64_t hash = 0x9e3779b97f4a7c15u ^ size;
  while (size > 0) {
    uint64_t word = 0;
    const size_t take = size < 8 ? size : 8;
    memcpy(&word, key, take);
    hash = (hash ^ word) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 32;
    key += take;
    size -= take;
  }
  return hash;
}

tally* tally_new(void) {
  tally* self = calloc(1, sizeof(*self));
  if (self == NULL) return NULL;
  self->slot_count = kFirstSlots;
  self->slots = calloc(self->slot_count, sizeof(*self->slots));
  if (self->slots != NULL) return self;
  free(self);
  return NULL;
}

static caller* allocate(tally* self, size_t key_size) {
  const size_t need = (sizeof(caller) + key_size + 15) & ~(size_t)15;
  chunk* last = self->chunks;
  if (last == NULL || last->size - last->used < need) {
    const size_t size = need > kChunk ? need : kChunk;
    chunk* fresh = malloc(sizeof(chunk) + size);
    if (fresh == NULL) return NULL;
    fresh->next = last;
    fresh->used = 0;
    fresh->size = size;
    self->chunks = last = fresh;
  }
  caller* made = (caller*)(void*)(last->bytes + last->used);
  last->used += need;
  return made;
}

static size_t free_slot(const tally* self, uint64_t hash) {
  size_t slot = hash & (self->slot_count - 1);
  while (self->slots[slot] != 0) slot = (slot + 1) & (self->slot_count - 1);
  return slot;
}

static int grow_slots(tally* self) {
  uint32_t* fresh = calloc(self->slot_count * 2, sizeof(*fresh));
  if (fresh == NULL) return 0;
  free(self->slots);
  self->slots = fresh;
  self->slot_count *= 2;
  for (size_t i = 0; i < self->count; i++) {
    self->slots[free_slot(self, self->callers[i]->hash)] = (uint32_t)(i + 1);
  }
  return 1;
}

static caller* add(tally* self, const char* key, size_t size, uint64_t hash) {
  if (self->count == UINT32_MAX - 1) return NULL;
  if (self->count == self->room) {
    const size_t room = self->room > 0 ? self->room * 2 : kFirstSlots;
    caller** more = realloc(self->callers, room * sizeof(*more));
    if (more == NULL) return NULL;
    self->callers = more;
    self->room = room;
  }
  if ((self->count + 1) * 2 > self->slot_count && !grow_slots(self)) return NULL;
  caller* made = allocate(self, size);
  if (made == NULL) return NULL;
  *made = (caller){.hash = hash, .size = size};
  if (size > 0) memcpy(made->key, key, size);
  self->callers[self->count++] = made;
  self->slots[free_slot(self, hash)] = (uint32_t)self->count;
  return made;
}

caller* tally_find(tally* self, const char* key, size_t size) {
  const uint64_t hash = hash_of(key, size);
  const size_t mask = self->slot_count - 1;
  for (size_t slot = hash & mask; self->slots[slot] != 0; slot = (slot + 1) & mask) {
    caller* known = self->callers[self->slots[slot] - 1];
    if (known->hash != hash || known->size != size) continue;
    if (size == 0 || memcmp(known->key, key, size) == 0) return known;
  }
  return add(self, key, size, hash);
}

size_t tally_size(const tally* self) { return self->count; }

caller* tally_at(const tally* self, size_t index) { return self->callers[index]; }

static int comes_before(const caller* a, const caller* b) {
  if (a->denied != b->denied) return a->denied > b->denied;
  const int order = memcmp(a->key, b->key, a->size < b->size ? a->size : b->size);
  return order != 0 ? order < 0 : a->size < b->size;
}

static int compare(const void* a, const void* b) {
  const caller *left = *(caller* const*)a, *right = *(caller* const*)b;
  return comes_before(left, right) ? -1 : 1;
}

/* top[0] is the least of those kept: a heap, so that a newcomer is compared with it alone. */
static void sift_down(caller** top, size_t count, size_t at) {
  for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
    if (child + 1 < count && comes_before(top[child], top[child + 1])) child++;
    if (!comes_before(top[at], top[child])) return;
    caller* moved = top[at];
    top[at] = top[child];
    top[child] = moved;
    at = child;
  }
}

size_t tally_top(const tally* self, caller** top, size_t max) {
  size_t count = 0;
  if (max == 0) return 0;
  for (size_t i = 0; i < self->count; i++) {
    caller* who = self->callers[i];
    if (who->denied == 0) continue;
    if (count < max) {
      top[count++] = who;
      if (count == max) {
        for (size_t at = max / 2; at-- > 0;) sift_down(top, max, at);
      }
    } else if (comes_before(who, top[0])) {
      top[0] = who;
      sift_down(top, max, 0);
    }
  }
  qsort(top, count, sizeof(*top), compare);
  return count;
}

void tally_free(tally* self) {
  if (self == NULL) return;
  while (self->chunks != NULL) {
    chunk* next = self->chunks->next;
    free(self->chunks);
    self->chunks = next;
  }
  free(self->callers);
  free(self->slots);
  free(self);
}
