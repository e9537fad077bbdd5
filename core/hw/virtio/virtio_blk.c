/*
 * virtio-blk-pci: a disk (virtio 1.2, 5.2).
 *
 * An element is a request: 16 bytes of header, data, one status byte. Up to MAX_REQUESTS run at
 * once, each moving its data through a buffer of its own of at most CHUNK bytes, chunk after chunk;
 * elements beyond that stay in the ring until one finishes. A reset makes running requests stale:
 * they finish for no one.
 */
#include "hw/virtio/virtio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "hw/ide/ide.h"
#include "hw/virtio/virtio_blk.h"
#include "log.h"
#include "machine.h"

#define SECTOR       512u
#define QUEUE_SIZE   256
#define MAX_REQUESTS 32
#define CHUNK        (256u << 10)
#define HEADER_SIZE  16
#define SEGMENT_SIZE 16
#define MAX_DISCARD  0x3fffffu /* sectors */
#define MAX_ZEROES   0x20000u
#define CONFIG_SIZE  60
#define CONFIG_WCE   32
#define ID_SIZE      20

enum {
    F_SEG_MAX = 2,
    F_GEOMETRY = 4,
    F_RO = 5,
    F_BLK_SIZE = 6,
    F_FLUSH = 9,
    F_TOPOLOGY = 10,
    F_CONFIG_WCE = 11,
    F_DISCARD = 13,
    F_WRITE_ZEROES = 14,

    T_IN = 0,
    T_OUT = 1,
    T_FLUSH = 4,
    T_GET_ID = 8,
    T_DISCARD = 11,
    T_WRITE_ZEROES = 13,

    S_OK = 0,
    S_IOERR = 1,
    S_UNSUPP = 2,
};

struct request;

struct virtio_blk {
    struct virtio_device virtio;
    struct blk *blk;
    char *serial;
    bool write_cache;
    unsigned running;
};

struct request {
    struct virtio_blk *s;
    struct virtq_elem *elem;
    uint32_t type;
    uint64_t offset;      /* bytes, on the disk */
    uint64_t done, total; /* bytes of data */
    uint32_t chunk;
    uint8_t *buf;
};

static void next_chunk(struct request *r);

static uint64_t get64(const uint8_t *p)
{
    return pci_get32(p) | (uint64_t)pci_get32(p + 4) << 32;
}

static void finish(struct request *r, uint8_t status)
{
    struct virtio_blk *s = r->s;
    struct virtq_elem *e = r->elem;
    struct virtqueue *vq = e->vq;

    virtq_write(e, e->in_len - 1, &status, 1);
    virtq_push(e, (r->type == T_IN || r->type == T_GET_ID ? r->done : 0) + 1);
    virtq_notify(vq);
    free(r->buf);
    free(r);
    if (s->running-- == MAX_REQUESTS)
        virtio_kick(vq); /* others may have waited */
}

static void flushed(void *opaque, int ret)
{
    finish(opaque, ret < 0 ? S_IOERR : S_OK);
}

/* All data of a write is with the block layer; without write cache it has to be on the medium, too.
 */
static void data_done(struct request *r)
{
    if (r->type != T_IN && !r->s->write_cache)
        blk_flush(r->s->blk, flushed, r);
    else
        finish(r, S_OK);
}

static void chunk_done(void *opaque, int ret)
{
    struct request *r = opaque;

    if (ret < 0) {
        finish(r, S_IOERR);
        return;
    }
    if (r->type == T_IN)
        virtq_write(r->elem, r->done, r->buf, r->chunk);
    r->done += r->chunk;
    if (virtq_stale(r->elem) || r->done == r->total)
        data_done(r);
    else
        next_chunk(r);
}

static void next_chunk(struct request *r)
{
    uint64_t left = r->total - r->done;

    r->chunk = left < CHUNK ? (uint32_t)left : CHUNK;
    if (r->type == T_IN) {
        blk_read(r->s->blk, r->offset + r->done, r->buf, r->chunk, chunk_done, r);
    } else {
        virtq_read(r->elem, HEADER_SIZE + r->done, r->buf, r->chunk);
        blk_write(r->s->blk, r->offset + r->done, r->buf, r->chunk, chunk_done, r);
    }
}

static void start_transfer(struct request *r, uint64_t sector)
{
    uint64_t size = blk_size(r->s->blk);

    r->total = r->type == T_IN ? r->elem->in_len - 1 : r->elem->out_len - HEADER_SIZE;
    if (r->total % SECTOR || sector > size / SECTOR || r->total > size - sector * SECTOR ||
        (r->type == T_OUT && blk_readonly(r->s->blk))) {
        r->total = 0;
        finish(r, S_IOERR);
        return;
    }
    if (r->total == 0) {
        finish(r, S_OK);
        return;
    }
    r->offset = sector * SECTOR;
    r->buf = malloc(r->total < CHUNK ? (size_t)r->total : CHUNK);
    if (!r->buf)
        finish(r, S_IOERR);
    else
        next_chunk(r);
}

/* DISCARD and WRITE_ZEROES: one segment. */
static void start_range(struct request *r)
{
    struct blk *blk = r->s->blk;
    uint64_t size = blk_size(blk) / SECTOR, sector;
    uint8_t seg[SEGMENT_SIZE];
    uint32_t count, flags;
    bool discard = r->type == T_DISCARD;

    if (r->elem->out_len != HEADER_SIZE + SEGMENT_SIZE) {
        finish(r, S_UNSUPP);
        return;
    }
    virtq_read(r->elem, HEADER_SIZE, seg, sizeof(seg));
    sector = get64(seg);
    count = pci_get32(seg + 8);
    flags = pci_get32(seg + 12);
    if ((flags & ~1u) || (discard && flags))
        finish(r, S_UNSUPP);
    else if (blk_readonly(blk) || count > (discard ? MAX_DISCARD : MAX_ZEROES) || sector > size ||
             count > size - sector)
        finish(r, S_IOERR);
    else if (discard)
        blk_discard(blk, sector * SECTOR, (size_t)count * SECTOR, flushed, r);
    else
        blk_write_zeroes(blk, sector * SECTOR, (size_t)count * SECTOR, flushed, r);
}

static void get_id(struct request *r)
{
    char id[ID_SIZE + 1] = { 0 };
    size_t n = r->elem->in_len - 1 < ID_SIZE ? (size_t)r->elem->in_len - 1 : ID_SIZE;

    snprintf(id, sizeof(id), "%s", r->s->serial ? r->s->serial : "");
    r->done = virtq_write(r->elem, 0, id, n);
    finish(r, S_OK);
}

static bool start_request(struct virtio_blk *s, struct virtq_elem *e)
{
    uint8_t header[HEADER_SIZE];
    struct request *r;

    if (e->out_len < HEADER_SIZE || e->in_len < 1) {
        virtio_error(&s->virtio, "request of %llu + %llu bytes", (unsigned long long)e->out_len,
                     (unsigned long long)e->in_len);
        virtq_free(e);
        return false;
    }
    r = calloc(1, sizeof(*r));
    if (!r) {
        virtq_unpop(e);
        return false;
    }
    virtq_read(e, 0, header, sizeof(header));
    r->s = s;
    r->elem = e;
    r->type = pci_get32(header);
    s->running++;
    switch (r->type) {
    case T_IN:
    case T_OUT: start_transfer(r, get64(header + 8)); break;
    case T_FLUSH: blk_flush(s->blk, flushed, r); break;
    case T_GET_ID: get_id(r); break;
    case T_DISCARD:
    case T_WRITE_ZEROES: start_range(r); break;
    default:
        log_mask(LOG_UNIMP, "virtio-blk: request type %u", r->type);
        finish(r, S_UNSUPP);
        break;
    }
    return true;
}

static void blk_handle(struct virtio_device *d, struct virtqueue *vq)
{
    struct virtio_blk *s = (struct virtio_blk *)d;
    struct virtq_elem *e;

    while (s->running < MAX_REQUESTS && (e = virtq_pop(vq)) != NULL)
        if (!start_request(s, e))
            break;
}

static uint64_t blk_features(struct virtio_device *d)
{
    struct virtio_blk *s = (struct virtio_blk *)d;
    uint64_t f = 1ull << F_SEG_MAX | 1ull << F_GEOMETRY | 1ull << F_BLK_SIZE | 1ull << F_FLUSH |
                 1ull << F_TOPOLOGY | 1ull << F_CONFIG_WCE;

    if (blk_readonly(s->blk))
        return f | 1ull << F_RO;
    return f | 1ull << F_DISCARD | 1ull << F_WRITE_ZEROES;
}

/* A driver that can't flush gets a write-through disk. */
static void blk_set_features(struct virtio_device *d)
{
    struct virtio_blk *s = (struct virtio_blk *)d;

    if (!virtio_has_feature(d, F_CONFIG_WCE))
        s->write_cache = virtio_has_feature(d, F_FLUSH);
}

static void blk_get_config(struct virtio_device *d)
{
    struct virtio_blk *s = (struct virtio_blk *)d;
    uint64_t sectors = blk_size(s->blk) / SECTOR;
    struct ide_geometry g;
    uint8_t *c = d->config;

    ide_guess_geometry(sectors, &g);
    memset(c, 0, CONFIG_SIZE);
    pci_set32(c, (uint32_t)sectors);
    pci_set32(c + 4, (uint32_t)(sectors >> 32));
    pci_set32(c + 12, QUEUE_SIZE - 2); /* seg_max: header and status take two */
    pci_set16(c + 16, (uint16_t)g.cylinders);
    c[18] = (uint8_t)g.heads;
    c[19] = (uint8_t)g.sectors;
    pci_set32(c + 20, SECTOR);
    pci_set16(c + 26, 1); /* min_io_size, blocks */
    c[CONFIG_WCE] = s->write_cache;
    pci_set16(c + 34, 1); /* num_queues */
    if (blk_readonly(s->blk))
        return;
    pci_set32(c + 36, MAX_DISCARD);
    pci_set32(c + 40, 1); /* segments */
    pci_set32(c + 44, 1); /* alignment */
    pci_set32(c + 48, MAX_ZEROES);
    pci_set32(c + 52, 1);
    c[56] = 1; /* write_zeroes_may_unmap */
}

static void blk_set_config(struct virtio_device *d, unsigned offset, unsigned len)
{
    struct virtio_blk *s = (struct virtio_blk *)d;

    if (offset <= CONFIG_WCE && offset + len > CONFIG_WCE)
        s->write_cache = d->config[CONFIG_WCE] & 1;
}

static void blk_device_reset(struct virtio_device *d)
{
    ((struct virtio_blk *)d)->write_cache = true;
}

static bool blk_realize(struct device *dev, struct error *err)
{
    struct virtio_blk *s = (struct virtio_blk *)dev;

    if (!s->blk)
        return error_set(err, "device '%s': property 'drive' is not set", dev->cls->name);
    if (!virtio_init(&s->virtio, CONFIG_SIZE, err))
        return false;
    virtio_add_queue(&s->virtio, QUEUE_SIZE);
    return true;
}

static void blk_unrealize(struct device *dev)
{
    blk_drain(((struct virtio_blk *)dev)->blk);
    virtio_unrealize((struct virtio_device *)dev);
}

static const struct field blk_fields[] = {
    VIRTIO_FIELDS(struct virtio_blk),
    VIRTQUEUE_FIELDS(struct virtio_blk, 0),
    FIELD_BOOL(struct virtio_blk, write_cache, 1),
    FIELD_END,
};

static const struct prop blk_props[] = {
    { "drive", PROP_DRIVE, offsetof(struct virtio_blk, blk), NULL, "id of the -drive" },
    { "serial", PROP_STRING, offsetof(struct virtio_blk, serial), "",
      "serial number, up to 20 characters" },
    VIRTIO_PROPS(struct virtio_blk, "2"),
    PROP_END,
};

static const struct virtio_class blk_info = {
    .pci = { .vendor_id = 0x1af4, .device_id = 0x1001, .class_id = 0x0100, .has_intx = true },
    .virtio_id = VIRTIO_ID_BLOCK,
    .features = blk_features,
    .set_features = blk_set_features,
    .handle_queue = blk_handle,
    .get_config = blk_get_config,
    .set_config = blk_set_config,
    .reset = blk_device_reset,
};

const struct device_class virtio_blk_pci_class = {
    .name = "virtio-blk-pci",
    .desc = "virtio disk",
    .size = sizeof(struct virtio_blk),
    .bus = "PCI",
    .fields = blk_fields,
    .props = blk_props,
    .realize = blk_realize,
    .unrealize = blk_unrealize,
    .reset = virtio_device_reset,
    .post_load = virtio_device_post_load,
    .class_data = &blk_info,
};

bool virtio_blk_new(struct machine *m, struct blk *blk, int bootindex, struct error *err)
{
    struct device *d = device_new(m, &virtio_blk_pci_class);

    if (!d)
        return error_set(err, "virtio-blk-pci: out of memory");
    ((struct virtio_blk *)d)->blk = blk;
    if (bootindex >= 0)
        ((struct pci_device *)d)->bootindex = (uint32_t)bootindex;
    return device_realize(d, err);
}
