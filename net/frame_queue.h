/*
 * Frames with their lengths (framing.h) between a client and something that is no byte stream of
 * the host's: WebSockets, channels of a relay, BroadcastChannels.
 */
#ifndef SLIPWAY_NET_FRAME_QUEUE_H
#define SLIPWAY_NET_FRAME_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/coalesce.h"

struct machine;
struct net_client;
struct net_frame;

/* From the outside: what the guest has no room for waits. All zeros but @nc: empty. */
struct frame_inbox {
    struct net_client *nc; /* who sends the frames on */
    size_t taken;          /* bytes that were passed on or dropped; the owner sets it back */
    uint8_t *data;         /* from start to end: what waits */
    size_t start, end, size;
    size_t begun; /* behind the last whole frame */
    struct net_coalescer large;
    unsigned resets;
    bool pumping;
};

/* Takes in @len bytes, passes on what is complete and keeps the rest. While more than @most bytes
 * wait, frames that the guest doesn't take are dropped and counted. False: there is a length that
 * can't be one, or no memory; then nothing more can be made of the stream. Not while frames are
 * being passed on. */
bool frame_inbox_put(struct frame_inbox *in, const uint8_t *data, size_t len, size_t most);
/* The guest may have room again. */
void frame_inbox_pump(struct frame_inbox *in);
/* How many bytes wait. */
size_t frame_inbox_waiting(const struct frame_inbox *in);
/* Forgets what waits. Allowed while it passes on. */
void frame_inbox_reset(struct frame_inbox *in);
void frame_inbox_free(struct frame_inbox *in);
/* How many of @len bytes are whole frames, none of them empty. */
size_t frames_whole(const uint8_t *data, size_t len);

enum { FRAME_OUTBOX_SIZE = 256 << 10 };

/* To the outside: frames are collected, and sent by a bottom half before the CPU goes on. */
struct frame_outbox {
    struct machine *machine;
    void (*send)(void *opaque, const uint8_t *data, size_t len);
    void *opaque;
    uint8_t *data; /* FRAME_OUTBOX_SIZE bytes */
    size_t len;
    bool scheduled;
};

/* False: no memory. */
bool frame_outbox_init(struct frame_outbox *out, struct machine *m,
                       void (*send)(void *opaque, const uint8_t *data, size_t len), void *opaque);
/* Does @f fit without something being sent first? */
bool frame_outbox_fits(const struct frame_outbox *out, const struct net_frame *f);
void frame_outbox_add(struct frame_outbox *out, const struct net_frame *f);
/* Sends what was collected. */
void frame_outbox_free(struct frame_outbox *out);

#endif
