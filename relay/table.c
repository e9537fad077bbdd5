/*
 * Open addressing with linear probing, at most three quarters full. Removal moves later entries of
 * the run up, so there are no marks of what was deleted. Keys come from clients: they are mixed
 * with a secret of the process, so that nobody can choose keys that fall into one run.
 */
#include "relay/table.h"

#include <stdlib.h>
#include <sys/random.h>

static uint64_t mix(uint64_t key)
{
    static uint64_t secret;
    if (!secret && getrandom(&secret, sizeof secret, 0) != sizeof secret)
        secret = 0x9e3779b97f4a7c15;
    key ^= secret;
    key = (key ^ key >> 32) * 0xd6e8feb86659fd93u; /* Rivest's and Pelle Evensen's kind of mixer */
    key = (key ^ key >> 32) * 0xd6e8feb86659fd93u;
    return key ^ key >> 32;
}

/* Where @key is, or the free slot where it would be. */
static size_t find(const struct table *t, uint64_t key)
{
    size_t i = mix(key) & (t->room - 1);
    while (t->slots[i].value && t->slots[i].key != key)
        i = (i + 1) & (t->room - 1);
    return i;
}

void *table_get(const struct table *t, uint64_t key)
{
    return t->n ? t->slots[find(t, key)].value : NULL;
}

static bool grow(struct table *t)
{
    struct table larger = { .room = t->room ? 2 * t->room : 8 };
    larger.slots = calloc(larger.room, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < t->room; i++) {
        if (t->slots[i].value)
            larger.slots[find(&larger, t->slots[i].key)] = t->slots[i];
    }
    larger.n = t->n;
    free(t->slots);
    *t = larger;
    return true;
}

bool table_put(struct table *t, uint64_t key, void *value)
{
    if (t->n >= t->room / 4 * 3 && !grow(t))
        return false;
    size_t i = find(t, key);
    t->n += !t->slots[i].value;
    t->slots[i] = (struct table_slot){ key, value };
    return true;
}

void table_remove(struct table *t, uint64_t key)
{
    if (!t->n)
        return;
    size_t hole = find(t, key), mask = t->room - 1;
    if (!t->slots[hole].value)
        return;
    for (size_t i = (hole + 1) & mask; t->slots[i].value; i = (i + 1) & mask) {
        size_t home = mix(t->slots[i].key) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            t->slots[hole] = t->slots[i];
            hole = i;
        }
    }
    t->slots[hole].value = NULL;
    if (!--t->n)
        table_free(t);
}

bool table_count(struct table *t, uint64_t key, int change)
{
    uintptr_t n = (uintptr_t)table_get(t, key) + (uintptr_t)change;
    if (n)
        return table_put(t, key, (void *)n);
    table_remove(t, key);
    return true;
}

void table_free(struct table *t)
{
    free(t->slots);
    *t = (struct table){ 0 };
}
