/*
 * Input dispatch: from viewers, monitor and tests to the keyboard and pointer devices of a machine.
 *
 * Devices stand in a line; each event goes to the first that can take it. A device comes in at the
 * end, gets to the front when its driver starts (input_activate) and back to the end when the
 * driver is gone: with a tablet whose driver runs, absolute positions go there; without, the PS/2
 * mouse gets motion. What a device doesn't say about itself follows from its operations.
 *
 * The dispatcher remembers which keys are down, so that a viewer that loses the focus can let go of
 * them all. sendkey combinations are pressed at once and released by a timer; further ones wait in
 * a ring of 64 and start when the one before has ended.
 */
#include "ui/display.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "machine.h"

#define COMBO_RING      64
#define DEFAULT_HOLD_MS 100
#define GAP_NS          10000000ll /* between two combinations */
#define NS_PER_MS       1000000ll
#define ABS_RANGE       0x7fff
#define FALLBACK_WIDTH  640
#define FALLBACK_HEIGHT 480

struct combo {
    uint8_t hids[INPUT_COMBO_MAX];
    int count, hold_ms;
};

struct input {
    struct machine *machine;
    struct input_handler *handlers; /* in the order in which they are asked */
    int last_id;
    struct input_listener *listeners;
    bool down[256];
    unsigned buttons;
    bool have_abs;
    int abs_x, abs_y;
    struct combo ring[COMBO_RING];
    unsigned ring_first, ring_count;
    bool combo_held; /* ring[ring_first] is pressed */
    struct timer combo_timer;
};

static void combo_step(void *opaque);

struct input *input_new(struct machine *m)
{
    struct input *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->machine = m;
    timer_init(&in->combo_timer, &m->clock, combo_step, in);
    return in;
}

void input_free(struct input *in)
{
    if (!in)
        return;
    timer_del(&in->combo_timer);
    free(in);
}

/* ---- devices ---- */

static bool is_pointer(const struct input_handler *h)
{
    return h->ops->pointer_abs || h->ops->pointer_rel;
}

static struct input_handler *pointer_of(const struct input *in)
{
    struct input_handler *h = in->handlers;
    while (h && !is_pointer(h))
        h = h->next;
    return h;
}

static struct input_handler **place_of(struct input *in, const struct input_handler *h)
{
    struct input_handler **at = &in->handlers;
    while (*at && *at != h)
        at = &(*at)->next;
    return at;
}

/* Takes @h out of the line, and unless @add is false puts it in again, first or last. */
static void move(struct machine *m, struct input_handler *h, bool add, bool first)
{
    struct input *in = m->input;
    if (!in)
        return;
    bool was_abs = input_pointer_is_abs(m);
    struct input_handler **at = place_of(in, h);
    if (*at)
        *at = h->next;
    if (add) {
        at = first ? &in->handlers : place_of(in, NULL);
        h->next = *at;
        *at = h;
    }
    if (was_abs == input_pointer_is_abs(m))
        return;
    for (struct input_listener *l = in->listeners; l; l = l->next)
        l->pointer_changed(l->opaque);
}

void input_register(struct machine *m, struct input_handler *h)
{
    if (m->input)
        h->id = ++m->input->last_id;
    move(m, h, true, false);
}

void input_unregister(struct machine *m, struct input_handler *h)
{
    move(m, h, false, false);
}

void input_activate(struct machine *m, struct input_handler *h)
{
    move(m, h, true, true);
}

void input_deactivate(struct machine *m, struct input_handler *h)
{
    move(m, h, true, false);
}

const struct input_handler *input_next_mouse(struct machine *m, const struct input_handler *h)
{
    h = h ? h->next : m->input ? m->input->handlers : NULL;
    while (h && !is_pointer(h))
        h = h->next;
    return h;
}

bool input_set_mouse(struct machine *m, int id, struct error *err)
{
    struct input_handler *h = m->input ? m->input->handlers : NULL;
    while (h && h->id != id)
        h = h->next;
    if (!h)
        return error_set(err, "Mouse at index '%d' not found", id);
    if (!is_pointer(h))
        return error_set(err, "Input device '%s' is not a mouse", h->name);
    input_activate(m, h);
    return true;
}

void input_listen(struct machine *m, struct input_listener *l)
{
    if (!m->input)
        return;
    l->next = m->input->listeners;
    m->input->listeners = l;
}

void input_unlisten(struct machine *m, struct input_listener *l)
{
    struct input_listener **at = m->input ? &m->input->listeners : NULL;
    while (at && *at && *at != l)
        at = &(*at)->next;
    if (at && *at)
        *at = l->next;
}

/* ---- events ---- */

void input_key(struct machine *m, uint8_t hid, bool down)
{
    struct input *in = m->input;
    if (!in || !hid || (!down && !in->down[hid]))
        return;
    in->down[hid] = down;
    struct input_handler *h = in->handlers;
    while (h && !h->ops->key)
        h = h->next;
    if (h)
        h->ops->key(h->opaque, hid, down);
}

void input_pointer_rel(struct machine *m, int dx, int dy, int dz, unsigned buttons)
{
    struct input *in = m->input;
    if (!in)
        return;
    in->buttons = buttons;
    struct input_handler *h = pointer_of(in);
    if (!h)
        return;
    if (h->ops->pointer_rel) {
        in->have_abs = false;
        h->ops->pointer_rel(h->opaque, dx, dy, dz, buttons);
        return;
    }
    /* Buttons and wheel are the tablet's, motion is for whoever knows it. */
    h->ops->pointer_abs(h->opaque, in->abs_x, in->abs_y, dz, buttons);
    if (!dx && !dy)
        return;
    while (h && !h->ops->pointer_rel)
        h = h->next;
    if (h)
        h->ops->pointer_rel(h->opaque, dx, dy, 0, 0);
}

/* Pixels that a change from @from to @to of 0..0x7fff means on a screen of @extent pixels. */
static int abs_to_pixels(int from, int to, int extent)
{
    return (int)((int64_t)to * extent / ABS_RANGE - (int64_t)from * extent / ABS_RANGE);
}

void input_pointer_abs(struct machine *m, int x, int y, int dz, unsigned buttons)
{
    struct input *in = m->input;
    if (!in)
        return;
    x = x < 0 ? 0 : x > ABS_RANGE ? ABS_RANGE : x;
    y = y < 0 ? 0 : y > ABS_RANGE ? ABS_RANGE : y;
    in->buttons = buttons;
    struct input_handler *h = pointer_of(in);
    if (h && h->ops->pointer_abs) {
        h->ops->pointer_abs(h->opaque, x, y, dz, buttons);
    } else if (h) {
        const struct display_surface *s = m->display ? display_surface(m->display) : NULL;
        int width = s ? s->width : FALLBACK_WIDTH, height = s ? s->height : FALLBACK_HEIGHT;
        int dx = in->have_abs ? abs_to_pixels(in->abs_x, x, width) : 0;
        int dy = in->have_abs ? abs_to_pixels(in->abs_y, y, height) : 0;
        h->ops->pointer_rel(h->opaque, dx, dy, dz, buttons);
    }
    in->have_abs = true;
    in->abs_x = x;
    in->abs_y = y;
}

bool input_pointer_is_abs(struct machine *m)
{
    const struct input_handler *h = m->input ? pointer_of(m->input) : NULL;
    return h && h->ops->pointer_abs;
}

struct input_pointer input_pointer(struct machine *m)
{
    const struct input *in = m->input;
    return in ? (struct input_pointer){ in->abs_x, in->abs_y, in->buttons }
              : (struct input_pointer){ 0, 0, 0 };
}

void input_release_all(struct machine *m)
{
    struct input *in = m->input;
    if (!in)
        return;
    for (int hid = 0; hid < 256; hid++) {
        if (in->down[hid])
            input_key(m, (uint8_t)hid, false);
    }
    if (in->buttons)
        input_pointer_rel(m, 0, 0, 0, 0);
}

static void combo_press(struct input *in)
{
    const struct combo *c = &in->ring[in->ring_first];
    for (int i = 0; i < c->count; i++)
        input_key(in->machine, c->hids[i], true);
    in->combo_held = true;
    timer_mod(&in->combo_timer, clock_now_ns(&in->machine->clock) + c->hold_ms * NS_PER_MS);
}

/* The timer of sendkey: ends the running combination, or starts the next one after the gap. */
static void combo_step(void *opaque)
{
    struct input *in = opaque;
    if (!in->ring_count)
        return;
    if (!in->combo_held) {
        combo_press(in);
        return;
    }
    const struct combo *c = &in->ring[in->ring_first];
    for (int i = c->count - 1; i >= 0; i--)
        input_key(in->machine, c->hids[i], false);
    in->combo_held = false;
    in->ring_first = (in->ring_first + 1) % COMBO_RING;
    in->ring_count--;
    if (in->ring_count)
        timer_mod(&in->combo_timer, clock_now_ns(&in->machine->clock) + GAP_NS);
}

bool input_send_combo(struct machine *m, const uint8_t *hids, int count, int hold_ms)
{
    struct input *in = m->input;
    if (!in || count < 1 || count > INPUT_COMBO_MAX || in->ring_count == COMBO_RING)
        return false;
    struct combo *c = &in->ring[(in->ring_first + in->ring_count) % COMBO_RING];
    memcpy(c->hids, hids, (size_t)count);
    c->count = count;
    c->hold_ms = hold_ms > 0 ? hold_ms : DEFAULT_HOLD_MS;
    in->ring_count++;
    /* Waits by itself if another is held or in its gap. */
    if (in->ring_count == 1 && !in->combo_held)
        combo_press(in);
    return true;
}
