/* SPDX-License-Identifier: MIT */
#include "tally.h"

#include <stdlib.h>
#include <string.h>

enum { kFirstSlots = 1 << 12 };

/* Slots hold 1 + an index in `callers`, which has room for half as many; 0 is free. */
struct tally {
  caller** callers;
  uint32_t* slots;
  size_t count, slot_count; /* a power of two */
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

static size_t free_slot(const tally* self, uint64_t hash) {
  size_t slot = hash & (self->slot_count - 1);
  while (self->slots[slot] != 0) slot = (slot + 1) & (self->slot_count - 1);
  return slot;
}

static int grow(tally* self) {
  const size_t slot_count = self->slot_count > 0 ? self->slot_count * 2 : kFirstSlots;
  caller** callers = realloc(self->callers, slot_count / 2 * sizeof(*callers));
  if (callers != NULL) self->callers = callers;
  uint32_t* slots = calloc(slot_count, sizeof(*slots));
  if (callers == NULL || slots == NULL || slot_count > UINT32_MAX) {
    free(slots);
    return 0;
  }
  free(self->slots);
  self->slots = slots;
  self->slot_count = slot_count;
  for (size_t i = 0; i < self->count; i++) {
    self->slots[free_slot(self, self->callers[i]->hash)] = (uint32_t)(i + 1);
  }
  return 1;
}

tally* tally_new(void) {
  tally* self = calloc(1, sizeof(*self));
  if (self != NULL && grow(self)) return self;
  tally_free(self);
  return NULL;
}

static caller* add(tally* self, const char* key, size_t size, uint64_t hash) {
  if (self->count == self->slot_count / 2 && !grow(self)) return NULL;
  caller* made = malloc(sizeof(*made) + size);
  if (made == NULL) return NULL;
  *made = (caller){.hash = hash, .size = size};
  memcpy(made->key, key, size);
  self->callers[self->count++] = made;
  self->slots[free_slot(self, hash)] = (uint32_t)self->count;
  return made;
}

caller* tally_find(tally* self, const char* key, size_t size) {
  const uint64_t hash = hash_of(key, size);
  const size_t mask = self->slot_count - 1;
  for (size_t slot = hash & mask; self->slots[slot] != 0; slot = (slot + 1) & mask) {
    caller* known = self->callers[self->slots[slot] - 1];
    if (known->hash == hash && known->size == size && memcmp(known->key, key, size) == 0) {
      return known;
    }
  }
  return add(self, key, size, hash);
}

size_t tally_size(const tally* self) { return self->count; }

caller* tally_at(const tally* self, size_t index) { return self->callers[index]; }

static int compare(const void* a, const void* b) {
  const caller *left = *(caller* const*)a, *right = *(caller* const*)b;
  if (left->denied != right->denied) return left->denied > right->denied ? -1 : 1;
  const size_t common = left->size < right->size ? left->size : right->size;
  const int order = memcmp(left->key, right->key, common);
  return order != 0 ? order : left->size < right->size ? -1 : 1;
}

caller** tally_denied(const tally* self, size_t* count) {
  caller** denied = malloc((self->count + 1) * sizeof(*denied));
  *count = 0;
  if (denied == NULL) return NULL;
  for (size_t i = 0; i < self->count; i++) {
    if (self->callers[i]->denied > 0) denied[(*count)++] = self->callers[i];
  }
  qsort(denied, *count, sizeof(*denied), compare);
  return denied;
}

void tally_free(tally* self) {
  if (self == NULL) return;
  for (size_t i = 0; i < self->count; i++) free(self->callers[i]);
  free(self->callers);
  free(self->slots);
  free(self);
}
