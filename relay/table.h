/*
 * A hash table from numbers of 64 bits to pointers. An empty one has no memory.
 */
#ifndef SLIPWAY_RELAY_TABLE_H
#define SLIPWAY_RELAY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_slot {
    uint64_t key;
    void *value; /* NULL: free */
};

struct table {
    struct table_slot *slots;
    size_t room, n; /* room: 0 or a power of two */
};

/* NULL: not there. */
void *table_get(const struct table *t, uint64_t key);
/* Puts or replaces; @value isn't NULL. false: no memory. */
bool table_put(struct table *t, uint64_t key, void *value);
void table_remove(struct table *t, uint64_t key);
/* A table of numbers, 0 where there is none: adds @change to that of @key. false: no memory. */
bool table_count(struct table *t, uint64_t key, int change);
void table_free(struct table *t);

#endif
