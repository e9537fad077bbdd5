/*
 * Snapshot overlay: the sectors that the guest wrote, kept in memory over a file that stays as it
 * was.
 *
 * An open-addressing hash table maps a 4 KB cluster number to its bytes and to a mask of which of
 * its eight sectors are valid, so that no write needs the base's contents. A cluster that is all
 * zeros has no bytes. Clusters are never removed; memory is bounded by the disk's size.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "block/block_int.h"

#define CLUSTER    4096u
#define SECTORS    (CLUSTER / BLK_SECTOR)
#define ALL_VALID  ((1u << SECTORS) - 1)
#define FIRST_SIZE 256u

struct cluster {
    uint64_t key;  /* cluster number + 1; 0: free entry */
    uint8_t *data; /* NULL: valid sectors are zeros */
    uint8_t valid; /* bit n: sector n was written */
};

struct overlay {
    struct cluster *table;
    size_t size, used; /* size: power of two */
};

static size_t hash(uint64_t key)
{
    return (size_t)((key * 0x9e3779b97f4a7c15ull) >> 20);
}

static struct cluster *find(const struct overlay *o, uint64_t number)
{
    size_t i = hash(number + 1) & (o->size - 1);

    while (o->table[i].key && o->table[i].key != number + 1)
        i = (i + 1) & (o->size - 1);
    return &o->table[i];
}

static bool grow(struct overlay *o)
{
    struct overlay bigger = { calloc(o->size * 2, sizeof(struct cluster)), o->size * 2, o->used };

    if (!bigger.table)
        return false;
    for (size_t i = 0; i < o->size; i++)
        if (o->table[i].key)
            *find(&bigger, o->table[i].key - 1) = o->table[i];
    free(o->table);
    *o = bigger;
    return true;
}

/* Finds or makes the entry of cluster @number; NULL: no memory. */
static struct cluster *get(struct overlay *o, uint64_t number)
{
    struct cluster *c = find(o, number);

    if (c->key)
        return c;
    if (o->used >= o->size / 4 * 3) {
        if (!grow(o))
            return NULL;
        c = find(o, number);
    }
    c->key = number + 1;
    o->used++;
    return c;
}

struct overlay *overlay_new(void)
{
    struct overlay *o = malloc(sizeof(*o));

    if (!o)
        return NULL;
    *o = (struct overlay){ calloc(FIRST_SIZE, sizeof(struct cluster)), FIRST_SIZE, 0 };
    if (!o->table) {
        free(o);
        return NULL;
    }
    return o;
}

void overlay_free(struct overlay *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->size; i++)
        free(o->table[i].data);
    free(o->table);
    free(o);
}

/* Writes @len bytes of @buf (NULL: zeros). */
static int store(struct overlay *o, uint64_t offset, const uint8_t *buf, size_t len)
{
    while (len) {
        unsigned in = offset % CLUSTER;
        size_t n = len < CLUSTER - in ? len : CLUSTER - in;
        unsigned mask = ((1u << (n / BLK_SECTOR)) - 1) << (in / BLK_SECTOR);
        struct cluster *c = get(o, offset / CLUSTER);

        if (!c)
            return -ENOMEM;
        if (!buf && mask == ALL_VALID) {
            free(c->data);
            c->data = NULL;
        } else if (!c->data && (buf || c->valid != ALL_VALID)) {
            c->data = calloc(1, CLUSTER);
            if (!c->data)
                return -ENOMEM;
        }
        if (buf)
            memcpy(c->data + in, buf, n);
        else if (c->data)
            memset(c->data + in, 0, n);
        c->valid |= (uint8_t)mask;
        offset += n;
        len -= n;
        if (buf)
            buf += n;
    }
    return 0;
}

int overlay_write(struct overlay *o, uint64_t offset, const uint8_t *buf, size_t len)
{
    return store(o, offset, buf, len);
}

int overlay_write_zeroes(struct overlay *o, uint64_t offset, size_t len)
{
    return store(o, offset, NULL, len);
}

void overlay_patch(const struct overlay *o, uint64_t offset, uint8_t *buf, size_t len)
{
    for (size_t done = 0; done < len; done += BLK_SECTOR) {
        uint64_t at = offset + done;
        const struct cluster *c = find(o, at / CLUSTER);
        unsigned in = at % CLUSTER;

        if (!c->key || !(c->valid >> (in / BLK_SECTOR) & 1))
            continue;
        if (c->data)
            memcpy(buf + done, c->data + in, BLK_SECTOR);
        else
            memset(buf + done, 0, BLK_SECTOR);
    }
}

bool overlay_each(const struct overlay *o, overlay_fn *fn, void *opaque)
{
    for (size_t i = 0; i < o->size; i++)
        if (o->table[i].key &&
            !fn(opaque, o->table[i].key - 1, o->table[i].valid, o->table[i].data))
            return false;
    return true;
}

bool overlay_add(struct overlay *o, uint64_t number, uint8_t valid, const uint8_t *data)
{
    struct cluster *c = get(o, number);

    if (!c)
        return false;
    if (data && !c->data && !(c->data = malloc(CLUSTER)))
        return false;
    if (data)
        memcpy(c->data, data, CLUSTER);
    c->valid = valid;
    return true;
}
