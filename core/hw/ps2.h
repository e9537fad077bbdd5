/*
 * PS/2 keyboard and mouse: the devices at the end of the two serial lines of a keyboard controller
 * (i8042.c). Embedded in the controller's struct; the controller's field table includes theirs
 * (PS2_*_FIELDS).
 */
#ifndef SLIPWAY_HW_PS2_H
#define SLIPWAY_HW_PS2_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "hw/device.h"

#define PS2_QUEUE_SIZE 16 /* events: what a keyboard's buffer holds */
#define PS2_REPLY_SIZE 8  /* answers to commands: the longest has 5 bytes */

/* What a device has to send: answers go before events. */
struct ps2_queue {
    uint8_t reply[PS2_REPLY_SIZE], reply_first, reply_count;
    uint8_t event[PS2_QUEUE_SIZE], event_first, event_count;
    uint8_t last_sent; /* for the resend command */
};

struct ps2_keyboard {
    struct ps2_queue queue;
    uint8_t command; /* that waits for its argument, 0: none */
    uint8_t leds;    /* bit 0 scroll, 1 num, 2 caps */
    uint8_t set;     /* scan code set 1..3 */
    uint8_t typematic;
    bool scanning;
    bool ctrl, shift, alt;       /* held: they change the codes of Print Screen and Pause */
    uint8_t set3_break[32];      /* set 3: bit per code, break codes are sent */
    void (*ready)(void *opaque); /* something to send */
    void *opaque;
};

struct ps2_mouse {
    struct ps2_queue queue;
    uint8_t command;
    uint8_t type; /* 0 standard, 3 IntelliMouse, 4 Explorer: the id it answers */
    uint8_t sample_rate, resolution;
    uint8_t knock; /* the last two sample rates: how drivers switch the wheel on */
    uint8_t buttons, reported_buttons;
    bool reporting, remote, wrap, scale21;
    int64_t dx, dy, dz; /* motion not yet reported, y up */
    struct timer sample_timer;
    void (*ready)(void *opaque);
    void *opaque;
};

void ps2_keyboard_init(struct ps2_keyboard *k, void (*ready)(void *opaque), void *opaque);
void ps2_keyboard_reset(struct ps2_keyboard *k); /* power-on, without the self-test result */
void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t value); /* a byte from the host */
bool ps2_keyboard_has_data(const struct ps2_keyboard *k);
uint8_t ps2_keyboard_read(struct ps2_keyboard *k);
void ps2_keyboard_key(struct ps2_keyboard *k, uint8_t hid, bool down);

void ps2_mouse_init(struct ps2_mouse *m, struct clock *clock, void (*ready)(void *opaque),
                    void *opaque);
void ps2_mouse_reset(struct ps2_mouse *m);
void ps2_mouse_write(struct ps2_mouse *m, uint8_t value);
bool ps2_mouse_has_data(const struct ps2_mouse *m);
uint8_t ps2_mouse_read(struct ps2_mouse *m);
/* @dy is downwards (screen), @dz towards the user. */
void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, unsigned buttons);
/* Saved state was loaded: makes it plausible. */
void ps2_mouse_loaded(struct ps2_mouse *m);

/* The controller's translation of set 2 to set 1 (one byte, without the F0 prefix). */
uint8_t ps2_translate(uint8_t code);

#define PS2_QUEUE_FIELDS(T, q)                                                                     \
    FIELD_BYTES(T, q.reply), FIELD_U8(T, q.reply_first, 0), FIELD_U8(T, q.reply_count, 0),         \
        FIELD_BYTES(T, q.event), FIELD_U8(T, q.event_first, 0), FIELD_U8(T, q.event_count, 0),     \
        FIELD_U8(T, q.last_sent, 0)
#define PS2_KEYBOARD_FIELDS(T, k)                                                                  \
    PS2_QUEUE_FIELDS(T, k.queue), FIELD_U8(T, k.command, 0), FIELD_U8(T, k.leds, 0),               \
        FIELD_U8(T, k.set, 2), FIELD_U8(T, k.typematic, 0x2b), FIELD_BOOL(T, k.scanning, true),    \
        FIELD_BOOL(T, k.ctrl, false), FIELD_BOOL(T, k.shift, false), FIELD_BOOL(T, k.alt, false),  \
        FIELD_BYTES(T, k.set3_break)
#define PS2_MOUSE_FIELDS(T, m)                                                                     \
    PS2_QUEUE_FIELDS(T, m.queue), FIELD_U8(T, m.command, 0), FIELD_U8(T, m.type, 0),               \
        FIELD_U8(T, m.sample_rate, 100), FIELD_U8(T, m.resolution, 2), FIELD_U8(T, m.knock, 0),    \
        FIELD_U8(T, m.buttons, 0), FIELD_U8(T, m.reported_buttons, 0),                             \
        FIELD_BOOL(T, m.reporting, false), FIELD_BOOL(T, m.remote, false),                         \
        FIELD_BOOL(T, m.wrap, false), FIELD_BOOL(T, m.scale21, false), FIELD_I64(T, m.dx, 0),      \
        FIELD_I64(T, m.dy, 0), FIELD_I64(T, m.dz, 0), FIELD_TIMER(T, m.sample_timer)

#endif
