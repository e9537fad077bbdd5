/*
 * A drive's part of a machine's saved state: its overlay. A record is the number of a 4 KB cluster
 * (8 bytes, little-endian), the mask of its valid sectors, a byte that is 1 if its contents follow
 * (0: zeros), six of padding, and the contents.
 */
#include <stdlib.h>
#include <string.h>

#include "block/block_int.h"

#define CLUSTER 4096u
#define HEADER  16u

struct out {
    bool (*write)(void *opaque, const void *data, size_t len);
    void *opaque;
    uint64_t size;
};

bool blk_has_overlay(const struct blk *b)
{
    return b->overlay != NULL;
}

static bool save_cluster(void *opaque, uint64_t number, uint8_t valid, const uint8_t *data)
{
    struct out *o = opaque;
    uint8_t header[HEADER] = { 0 };

    o->size += HEADER + (data ? CLUSTER : 0);
    if (!o->write)
        return true;
    for (int i = 0; i < 8; i++)
        header[i] = (uint8_t)(number >> (8 * i));
    header[8] = valid;
    header[9] = data != NULL;
    return o->write(o->opaque, header, sizeof header) &&
           (!data || o->write(o->opaque, data, CLUSTER));
}

uint64_t blk_overlay_size(const struct blk *b)
{
    struct out o = { NULL, NULL, 0 };

    overlay_each(b->overlay, save_cluster, &o);
    return o.size;
}

bool blk_overlay_save(const struct blk *b,
                      bool (*write)(void *opaque, const void *data, size_t len), void *opaque)
{
    struct out o = { write, opaque, 0 };

    return overlay_each(b->overlay, save_cluster, &o);
}

struct overlay *blk_overlay_make(const struct blk *b, uint64_t size,
                                 bool (*read)(void *opaque, void *data, size_t len), void *opaque)
{
    struct overlay *o = overlay_new();
    uint64_t clusters = (b->size + CLUSTER - 1) / CLUSTER;

    while (o && size) {
        uint8_t header[HEADER], data[CLUSTER];
        uint64_t number = 0;
        bool ok = size >= HEADER && read(opaque, header, HEADER);

        for (int i = 0; ok && i < 8; i++)
            number |= (uint64_t)header[i] << (8 * i);
        size -= ok ? HEADER : 0;
        ok = ok && number < clusters && header[9] <= 1;
        if (ok && header[9]) {
            ok = size >= CLUSTER && read(opaque, data, CLUSTER);
            size -= ok ? CLUSTER : 0;
        }
        if (!ok || !overlay_add(o, number, header[8], header[9] ? data : NULL)) {
            overlay_free(o);
            return NULL;
        }
    }
    return o;
}

void blk_overlay_set(struct blk *b, struct overlay *o)
{
    if (b) {
        struct overlay *old = b->overlay;

        b->overlay = o;
        o = old;
    }
    overlay_free(o);
}
