/*
 * Split virtqueues, device side (virtio 1.2, 2.7): descriptor chains with indirect tables, used
 * ring, notification suppression by flags and by event index.
 *
 * The rings are in guest memory and hostile. What is checked: the available index may be ahead by
 * at most the queue's size; heads and next indices are below the size of their table; a chain has
 * at most VIRTIO_QUEUE_MAX descriptors, so a loop ends; indirect tables come last, are not nested
 * and hold whole descriptors; readable come before writable buffers; no more elements are out than
 * the queue has entries. A violation stops the device (virtio_error) until it is reset.
 */
#include <stdlib.h>
#include <string.h>

#include "hw/virtio/virtio.h"

enum {
    DESC_F_NEXT = 1,
    DESC_F_WRITE = 2,
    DESC_F_INDIRECT = 4,
    AVAIL_F_NO_INTERRUPT = 1,
};

#define DESC_SIZE 16u

struct desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

static uint16_t read16(const struct virtqueue *vq, uint64_t addr)
{
    uint8_t b[2];

    virtio_dma_read(vq->dev, addr, b, sizeof(b));
    return pci_get16(b);
}

static void write16(const struct virtqueue *vq, uint64_t addr, uint16_t v)
{
    uint8_t b[2];

    pci_set16(b, v);
    virtio_dma_write(vq->dev, addr, b, sizeof(b));
}

static struct desc read_desc(const struct virtqueue *vq, uint64_t table, unsigned index)
{
    uint8_t b[DESC_SIZE];

    virtio_dma_read(vq->dev, table + index * DESC_SIZE, b, sizeof(b));
    return (struct desc){ pci_get32(b) | (uint64_t)pci_get32(b + 4) << 32, pci_get32(b + 8),
                          pci_get16(b + 12), pci_get16(b + 14) };
}

static uint16_t avail_idx(const struct virtqueue *vq)
{
    return read16(vq, vq->avail + 2);
}

bool virtq_ready(const struct virtqueue *vq)
{
    const struct virtio_device *d = vq->dev;

    return vq->enabled && !d->broken && (d->status & VIRTIO_STATUS_DRIVER_OK);
}

bool virtq_empty(struct virtqueue *vq)
{
    return !virtq_ready(vq) || avail_idx(vq) == vq->last_avail;
}

/* Walks the chain from @head; NULL if it is malformed (the device is broken then). */
static struct virtq_elem *map_chain(struct virtqueue *vq, uint16_t head)
{
    static const unsigned first = 8;
    uint64_t table = vq->desc;
    unsigned max = vq->num, index = head, capacity = first, count = 0;
    bool indirect = false;
    struct virtq_elem *e = malloc(sizeof(*e) + capacity * sizeof(struct virtq_seg));

    if (!e)
        return NULL;
    *e = (struct virtq_elem){ .vq = vq, .generation = vq->dev->generation, .head = head };
    for (;;) {
        struct desc d = read_desc(vq, table, index);

        if (d.flags & DESC_F_INDIRECT) {
            if (indirect || d.len == 0 || d.len % DESC_SIZE) {
                virtio_error(vq->dev, "queue %u: bad indirect table of %u bytes", vq->index, d.len);
                goto fail;
            }
            indirect = true;
            table = d.addr;
            max = d.len / DESC_SIZE;
            index = 0;
            continue;
        }
        if (count == VIRTIO_QUEUE_MAX) {
            virtio_error(vq->dev, "queue %u: chain of more than %u descriptors, or a loop",
                         vq->index, VIRTIO_QUEUE_MAX);
            goto fail;
        }
        if (count == capacity) {
            struct virtq_elem *bigger;

            capacity *= 2;
            bigger = realloc(e, sizeof(*e) + capacity * sizeof(struct virtq_seg));
            if (!bigger)
                goto fail;
            e = bigger;
        }
        e->segs[count++] = (struct virtq_seg){ d.addr, d.len };
        if (d.flags & DESC_F_WRITE) {
            e->in_count++;
            e->in_len += d.len;
        } else if (e->in_count) {
            goto bad_order;
        } else {
            e->out_count++;
            e->out_len += d.len;
        }
        if (!(d.flags & DESC_F_NEXT))
            return e;
        if (d.next >= max) {
            virtio_error(vq->dev, "queue %u: descriptor %u of %u", vq->index, d.next, max);
            goto fail;
        }
        index = d.next;
    }
bad_order:
    virtio_error(vq->dev, "queue %u: descriptors out of order", vq->index);
fail:
    free(e);
    return NULL;
}

struct virtq_elem *virtq_pop(struct virtqueue *vq)
{
    struct virtq_elem *e;
    uint16_t ahead, head;

    if (!virtq_ready(vq))
        return NULL;
    ahead = (uint16_t)(avail_idx(vq) - vq->last_avail);
    if (ahead == 0)
        return NULL;
    if (ahead > vq->num) {
        virtio_error(vq->dev, "queue %u: available index is %u ahead of %u entries", vq->index,
                     ahead, vq->num);
        return NULL;
    }
    if (vq->inuse >= vq->num) {
        virtio_error(vq->dev, "queue %u: more than %u elements are out", vq->index, vq->num);
        return NULL;
    }
    head = read16(vq, vq->avail + 4 + 2u * (vq->last_avail & (vq->num - 1u)));
    if (head >= vq->num) {
        virtio_error(vq->dev, "queue %u: head %u of %u", vq->index, head, vq->num);
        return NULL;
    }
    e = map_chain(vq, head);
    if (!e)
        return NULL;
    vq->last_avail++;
    vq->inuse++;
    if (virtio_has_feature(vq->dev, VIRTIO_F_EVENT_IDX))
        write16(vq, vq->used + 4 + 8u * vq->num,
                vq->last_avail); /* avail_event: tell us about the next one */
    return e;
}

size_t virtq_read(const struct virtq_elem *e, uint64_t offset, void *buf, size_t len)
{
    size_t done = 0;

    for (unsigned i = 0; i < e->out_count && done < len; i++) {
        const struct virtq_seg *s = &e->segs[i];

        if (offset >= s->len) {
            offset -= s->len;
        } else {
            size_t n = s->len - offset < len - done ? (size_t)(s->len - offset) : len - done;

            virtio_dma_read(e->vq->dev, s->addr + offset, (uint8_t *)buf + done, n);
            done += n;
            offset = 0;
        }
    }
    return done;
}

size_t virtq_write(const struct virtq_elem *e, uint64_t offset, const void *buf, size_t len)
{
    size_t done = 0;

    if (virtq_stale(e))
        return 0; /* the memory isn't ours any more */
    for (unsigned i = e->out_count; i < (unsigned)e->out_count + e->in_count && done < len; i++) {
        const struct virtq_seg *s = &e->segs[i];

        if (offset >= s->len) {
            offset -= s->len;
        } else {
            size_t n = s->len - offset < len - done ? (size_t)(s->len - offset) : len - done;

            virtio_dma_write(e->vq->dev, s->addr + offset, (const uint8_t *)buf + done, n);
            done += n;
            offset = 0;
        }
    }
    return done;
}

void virtq_push(struct virtq_elem *e, uint64_t written)
{
    struct virtqueue *vq = e->vq;

    if (!virtq_stale(e) && vq->enabled) {
        uint8_t entry[8];

        pci_set32(entry, e->head);
        pci_set32(entry + 4, written > UINT32_MAX ? UINT32_MAX : (uint32_t)written);
        virtio_dma_write(vq->dev, vq->used + 4 + 8u * (vq->used_idx & (vq->num - 1u)), entry,
                         sizeof(entry));
        vq->used_idx++;
        write16(vq, vq->used + 2, vq->used_idx);
        vq->inuse--;
        /* A lap of the index since the last interrupt makes the comparison in virtq_notify
         * meaningless. */
        if ((uint16_t)(vq->used_idx - vq->signalled_used) == 0)
            vq->signalled_valid = false;
    }
    free(e);
}

void virtq_unpop(struct virtq_elem *e)
{
    if (!virtq_stale(e)) {
        e->vq->last_avail--;
        e->vq->inuse--;
    }
    free(e);
}

void virtq_free(struct virtq_elem *e)
{
    if (!virtq_stale(e))
        e->vq->inuse--;
    free(e);
}

static bool should_notify(struct virtqueue *vq)
{
    uint16_t old = vq->signalled_used, now = vq->used_idx, event;
    bool valid = vq->signalled_valid;

    if (virtio_has_feature(vq->dev, VIRTIO_F_NOTIFY_ON_EMPTY) && !vq->inuse && virtq_empty(vq))
        return true;
    if (!virtio_has_feature(vq->dev, VIRTIO_F_EVENT_IDX))
        return !(read16(vq, vq->avail) & AVAIL_F_NO_INTERRUPT);
    vq->signalled_used = now;
    vq->signalled_valid = true;
    event = read16(vq, vq->avail + 4 + 2u * vq->num);
    return !valid || (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

void virtq_notify(struct virtqueue *vq)
{
    if (virtq_ready(vq) && should_notify(vq))
        virtio_interrupt(vq->dev, 1, vq->vector);
}
