/* The send queue of the PS/2 devices: shared by ps2_keyboard.c and ps2_mouse.c, of no use to
 * others. */
#ifndef SLIPWAY_HW_PS2_QUEUE_H
#define SLIPWAY_HW_PS2_QUEUE_H

#include "hw/ps2.h"

enum {
    PS2_ACK = 0xfa,
    PS2_RESEND = 0xfe,
    PS2_SELF_TEST_OK = 0xaa,
};

static inline bool ps2_queue_empty(const struct ps2_queue *q)
{
    return q->reply_count == 0 && q->event_count == 0;
}

static inline void ps2_queue_clear_events(struct ps2_queue *q)
{
    q->event_count = 0;
}

static inline void ps2_queue_clear(struct ps2_queue *q)
{
    q->event_count = 0;
    q->reply_count = 0;
}

/* Saved state may hold any counts. */
static inline void ps2_queue_loaded(struct ps2_queue *q)
{
    if (q->reply_count > PS2_REPLY_SIZE || q->event_count > PS2_QUEUE_SIZE)
        ps2_queue_clear(q);
}

/* A reply that finds no room is lost, as on the wire when the host doesn't listen. */
static inline void ps2_queue_reply(struct ps2_queue *q, uint8_t value)
{
    if (q->reply_count < PS2_REPLY_SIZE)
        q->reply[(q->reply_first + q->reply_count++) % PS2_REPLY_SIZE] = value;
}

static inline unsigned ps2_queue_room(const struct ps2_queue *q)
{
    return q->event_count < PS2_QUEUE_SIZE ? PS2_QUEUE_SIZE - q->event_count : 0;
}

/* The caller asked for room. */
static inline void ps2_queue_event(struct ps2_queue *q, uint8_t value)
{
    if (ps2_queue_room(q))
        q->event[(q->event_first + q->event_count++) % PS2_QUEUE_SIZE] = value;
}

static inline uint8_t ps2_queue_take(struct ps2_queue *q)
{
    if (q->reply_count) {
        q->last_sent = q->reply[q->reply_first % PS2_REPLY_SIZE];
        q->reply_first = (q->reply_first + 1) % PS2_REPLY_SIZE;
        q->reply_count--;
    } else if (q->event_count) {
        q->last_sent = q->event[q->event_first % PS2_QUEUE_SIZE];
        q->event_first = (q->event_first + 1) % PS2_QUEUE_SIZE;
        q->event_count--;
    }
    return q->last_sent;
}

#endif
