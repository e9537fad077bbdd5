/*
 * Frames on their way: net_send() and the queue in front of each client.
 *
 * A frame goes straight to the receiver if nothing waits for it already, it isn't inside receive()
 * just now, and (NICs) the machine runs; otherwise it waits, a copy, in the receiver's queue. The
 * queue is bounded by frames and bytes, but an empty one takes any frame; so once net_can_send()
 * said yes, net_send() can't be refused, whatever receive() answers. That is what lets the filters
 * see each frame exactly once, although a sender that was refused comes again with the same frame.
 *
 * A frame with unfinished work for a receiver that can't do it is cut while it is delivered; a
 * queued one remembers how many of its pieces have gone (struct waiting.piece), so it needs no more
 * memory than it came with.
 *
 * Order: a client's frames arrive in the order in which net_send() took them.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/net_impl.h"

struct waiting {
    struct waiting *next;
    struct net_offload off;
    size_t len;
    unsigned piece; /* the next one, if the frame has to be cut */
    uint8_t data[];
};

struct net_queue {
    struct waiting *first, **end;
    size_t frames, bytes;
};

/* ---- one frame ---- */

/* Hands @f, from piece *@piece on, to @nc. False: refused; *@piece says where to go on. */
static bool hand_over(struct net_client *nc, const struct net_frame *f, unsigned *piece)
{
    bool ok = true;
    nc->receiving = true;
    nc->streaming = false;
    if (!net_offload_needed(nc, f)) {
        struct net_frame plain = *f;
        if (!(nc->offloads & NET_OFFLOAD_CSUM))
            plain.off = (struct net_offload){ .csum_valid = f->off.csum_valid };
        ok = nc->ops->receive(nc, &plain);
        if (ok) {
            nc->stats.frames++;
            nc->stats.bytes += f->len;
        }
        nc->receiving = false;
        return ok;
    }
    uint8_t *buf = malloc(f->len);
    if (!buf)
        abort();
    for (;; ++*piece) {
        struct net_frame finished = { .data = buf, .off.csum_valid = true };
        finished.len = net_offload_finish(f, *piece, buf);
        if (!finished.len) {
            nc->stats.dropped += *piece == 0;
            break;
        }
        ok = nc->ops->receive(nc, &finished);
        if (!ok)
            break;
        nc->stats.frames++;
        nc->stats.bytes += finished.len;
    }
    free(buf);
    nc->receiving = false;
    return ok;
}

/* ---- the queue ---- */

bool net_has_room(const struct net_client *nc, size_t len)
{
    const struct net_queue *q = nc->queue;
    return !q || !q->frames || (q->frames < NET_QUEUE_FRAMES && q->bytes + len <= NET_QUEUE_BYTES);
}

static void append(struct net_client *nc, const struct net_frame *f, unsigned piece)
{
    struct net_queue *q = nc->queue;
    if (!q) {
        q = nc->queue = calloc(1, sizeof *q);
        if (!q)
            abort();
        q->end = &q->first;
    }
    struct waiting *w = malloc(sizeof *w + f->len);
    if (!w)
        abort();
    *w = (struct waiting){ .off = f->off, .len = f->len, .piece = piece };
    memcpy(w->data, f->data, f->len);
    *q->end = w;
    q->end = &w->next;
    q->frames++;
    q->bytes += f->len;
    nc->stats.waited++;
}

static void remove_first(struct net_queue *q)
{
    struct waiting *w = q->first;
    q->first = w->next;
    if (!q->first)
        q->end = &q->first;
    q->frames--;
    q->bytes -= w->len;
    free(w);
}

size_t net_queue_length(const struct net_client *nc)
{
    return nc->queue ? nc->queue->frames : 0;
}

void net_purge(struct net_client *nc)
{
    while (nc->queue && nc->queue->first) {
        nc->stats.dropped++;
        remove_first(nc->queue);
    }
    net_wake_sender(nc);
}

void net_queue_free(struct net_client *nc)
{
    while (nc->queue && nc->queue->first)
        remove_first(nc->queue);
    free(nc->queue);
    nc->queue = NULL;
}

void net_wake_sender(struct net_client *nc)
{
    struct net_client *sender = nc->peer;
    if (!net_has_room(nc, NET_FRAME_MAX))
        return;
    if (sender && sender->blocked) {
        sender->blocked = false;
        if (sender->ops->writable)
            sender->ops->writable(sender);
    }
    if (nc->filters)
        net_filters_wake(nc);
    if (nc->peer && nc->peer->filters)
        net_filters_wake(nc->peer);
}

static bool held_back(const struct net_client *nc)
{
    return nc->ops->nic && nc->machine->net->held;
}

static void run_deferred(void *opaque)
{
    struct net_client *nc = opaque;
    nc->deferred = false;
    net_accept(nc);
}

void net_queue_cancel(struct net_client *nc)
{
    if (nc->deferred)
        machine_cancel_deferred(nc->machine, run_deferred, nc);
    nc->deferred = false;
}

void net_accept(struct net_client *nc)
{
    struct net_queue *q = nc->queue;
    if (nc->receiving) {
        nc->accept_again = true;
        return;
    }
    for (int left = NET_BURST; q && q->first && !held_back(nc); left--) {
        if (!left) {
            if (!nc->deferred)
                machine_defer(nc->machine, run_deferred, nc);
            nc->deferred = true;
            break;
        }
        struct waiting *w = q->first;
        struct net_frame f = { .data = w->data, .len = w->len, .off = w->off };
        nc->accept_again = false;
        if (hand_over(nc, &f, &w->piece))
            remove_first(q);
        else if (!nc->accept_again)
            break;
    }
    net_wake_sender(nc);
}

/* ---- sending ---- */

void net_deliver(struct net_client *nc, const struct net_frame *f)
{
    unsigned piece = 0;
    if (nc->receiving || net_queue_length(nc) || held_back(nc)) {
        append(nc, f, 0);
        return;
    }
    nc->accept_again = false;
    bool refused = !hand_over(nc, f, &piece);
    if (refused) {
        /* What came for it during receive() was sent later than this one. */
        struct net_queue *q = nc->queue, later = { 0 };
        if (q && q->first) {
            later = *q;
            *q = (struct net_queue){ .end = &q->first };
        }
        append(nc, f, piece);
        if (later.first) {
            q = nc->queue;
            *q->end = later.first;
            q->end = later.end;
            q->frames += later.frames;
            q->bytes += later.bytes;
        }
    }
    if (net_queue_length(nc) && (!refused || nc->accept_again))
        net_accept(nc);
}

bool net_can_send(struct net_client *nc, size_t len)
{
    if (!nc->peer || net_has_room(nc->peer, len))
        return true;
    nc->blocked = true;
    return false;
}

bool net_send(struct net_client *nc, const struct net_frame *f)
{
    struct net_client *peer = nc->peer;
    if (!peer || !f->len || f->len > NET_FRAME_MAX) {
        nc->stats.unsent++;
        return true;
    }
    nc->streaming = true;
    if (nc->link_down || peer->link_down) {
        peer->stats.dropped++;
        return true;
    }
    if (!net_can_send(nc, f->len))
        return false;
    if ((nc->filters || peer->filters) && net_filter_frame(nc, peer, f))
        return true;
    net_deliver(peer, f);
    return true;
}
