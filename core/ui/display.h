/*
 * Display and input, between devices and whoever shows them (SDL window, browser canvas,
 * screendump, none).
 *
 * The graphics device owns a surface (32 bits a pixel, memory order B,G,R,X) and draws into it when
 * asked: display_update() calls its update(), which redraws what changed and reports rectangles.
 * Nobody looking = no call = no cost. In text mode the device also gives the cells (character,
 * attribute), for screen readers and tests.
 *
 * Input goes the other way: keys as HID usage ids (page 7), pointer as relative motion or absolute
 * position.
 */
#ifndef SLIPWAY_DISPLAY_H
#define SLIPWAY_DISPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct machine;

struct display_surface {
    int width, height, stride; /* pixels, pixels, bytes */
    uint32_t *pixels;
};

struct display_text {
    int columns, rows;
    const uint16_t *cells;  /* character | attribute << 8 */
    int cursor_x, cursor_y; /* -1: hidden */
};

struct display_device_ops {
    /* Redraw what changed since last time into its surface; calls display_dirty for each rectangle.
     */
    void (*update)(void *opaque);
    /* The next update redraws all. */
    void (*invalidate)(void *opaque);
    /* Text mode: fills @t and returns true; graphics mode: false. */
    bool (*text)(void *opaque, struct display_text *t);
};

struct display_listener {
    void (*resized)(void *opaque, const struct display_surface *s);
    void (*dirty)(void *opaque, int x, int y, int w, int h);
    void *opaque;
    struct display_listener *next;
};

struct display; /* one per machine, m->display */

struct display *display_new(struct machine *m);
/* Device side. */
void display_attach(struct display *d, const struct display_device_ops *ops, void *opaque);
/* (Re)allocates the surface; contents undefined, all dirty. */
struct display_surface *display_resize(struct display *d, int width, int height);
void display_dirty(struct display *d, int x, int y, int w, int h);
/* Viewer side. */
void display_listen(struct display *d, struct display_listener *l);
void display_unlisten(struct display *d, struct display_listener *l);
void display_update(struct display *d);
const struct display_surface *display_surface(struct display *d);
bool display_text(struct display *d, struct display_text *t);
void display_free(struct display *d);
/* The text screen as UTF-8, one line a row with trailing blanks cut, malloc'd; NULL in graphics
 * modes (ui/text.c). */
char *display_text_dump(struct display *d);
/* Writes the current screen as "ppm" or "png" (NULL: ppm). */
bool display_screendump(struct display *d, const char *path, const char *format, struct error *err);

/* Input: viewer side. @hid: HID usage (page 7); buttons: bit 0 left, 1 right, 2 middle, 3 and 4
 * side. */
void input_key(struct machine *m, uint8_t hid, bool down);
void input_pointer_rel(struct machine *m, int dx, int dy, int dz, unsigned buttons);
/* x, y in 0..0x7fff of the screen. */
void input_pointer_abs(struct machine *m, int x, int y, int dz, unsigned buttons);
/* Does the pointer device take absolute positions? If not, viewers grab the mouse and send motion;
 * absolute positions that come all the same are turned into motion. */
bool input_pointer_is_abs(struct machine *m);
/* Where the pointer was put last, and what is pressed. */
struct input_pointer {
    int x, y;
    unsigned buttons;
};
struct input_pointer input_pointer(struct machine *m);
/* Lets go of all keys and buttons that are down (focus lost). */
void input_release_all(struct machine *m);
/* One key by QEMU's name ("ret", "a", "kp_enter"), as sendkey takes them; 0 if unknown. */
uint8_t input_hid_of_name(const char *name);
/* QEMU's name of a key; NULL if it has none. */
const char *input_name_of_hid(uint8_t hid);
#define INPUT_COMBO_MAX 16
/* "ctrl-alt-delete" -> HID usages in @hids. Returns their number; 0: @err names the unknown key. */
int input_parse_combo(const char *text, uint8_t hids[INPUT_COMBO_MAX], struct error *err);
/* Presses @count keys, and lets go of them in reverse order after @hold_ms of virtual time (0: 100
 * ms). Combinations wait for each other, up to 64; false: too many wait. */
bool input_send_combo(struct machine *m, const uint8_t *hids, int count, int hold_ms);

/* The number of a key in Linux's input events; 0 if it has none. */
uint8_t input_evdev_of_hid(uint8_t hid);

/* Input: who wants to know that input_pointer_is_abs() has changed. */
struct input_listener {
    void (*pointer_changed)(void *opaque);
    void *opaque;
    struct input_listener *next;
};
void input_listen(struct machine *m, struct input_listener *l);
void input_unlisten(struct machine *m, struct input_listener *l);

/* Input: device side. A pointer has one of the two pointer operations. */
struct input_ops {
    void (*key)(void *opaque, uint8_t hid, bool down);
    void (*pointer_rel)(void *opaque, int dx, int dy, int dz, unsigned buttons);
    void (*pointer_abs)(void *opaque, int x, int y, int dz, unsigned buttons);
};
struct input_handler {
    const char *name; /* as "info mice" has it */
    const struct input_ops *ops;
    void *opaque;
    int id; /* below: the dispatcher's */
    struct input_handler *next;
};
/* @h belongs to the device and stays where it is until input_unregister(), which is harmless if it
 * isn't registered. Events go to the first handler in the line that can take them. */
void input_register(struct machine *m, struct input_handler *h); /* last in the line */
void input_unregister(struct machine *m, struct input_handler *h);
void input_activate(struct machine *m, struct input_handler *h);   /* to the front */
void input_deactivate(struct machine *m, struct input_handler *h); /* to the end */
/* The pointers in the order of the line; @h NULL: the first, which gets the events. */
const struct input_handler *input_next_mouse(struct machine *m, const struct input_handler *h);
/* Makes the pointer with this id the first one. */
bool input_set_mouse(struct machine *m, int id, struct error *err);

/* Made with the machine (m->input), before any device attaches. */
struct input *input_new(struct machine *m);
void input_free(struct input *in);

#endif
