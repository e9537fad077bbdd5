/*
 * Input dispatch: from viewers, monitor and tests to the keyboard and pointer devices of a machine.
 *
 * Keys travel as HID usages of page 7 (USB HID Usage Tables 1.12, section 10), which are also SDL's
 * scancodes. Names are QEMU's (its QKeyCode), so that sendkey scripts work. One table holds both.
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

static const struct key_name {
    const char *name;
    uint8_t hid;
} key_names[] = {
    { "a", 0x04 },
    { "b", 0x05 },
    { "c", 0x06 },
    { "d", 0x07 },
    { "e", 0x08 },
    { "f", 0x09 },
    { "g", 0x0a },
    { "h", 0x0b },
    { "i", 0x0c },
    { "j", 0x0d },
    { "k", 0x0e },
    { "l", 0x0f },
    { "m", 0x10 },
    { "n", 0x11 },
    { "o", 0x12 },
    { "p", 0x13 },
    { "q", 0x14 },
    { "r", 0x15 },
    { "s", 0x16 },
    { "t", 0x17 },
    { "u", 0x18 },
    { "v", 0x19 },
    { "w", 0x1a },
    { "x", 0x1b },
    { "y", 0x1c },
    { "z", 0x1d },
    { "1", 0x1e },
    { "2", 0x1f },
    { "3", 0x20 },
    { "4", 0x21 },
    { "5", 0x22 },
    { "6", 0x23 },
    { "7", 0x24 },
    { "8", 0x25 },
    { "9", 0x26 },
    { "0", 0x27 },
    { "ret", 0x28 },
    { "esc", 0x29 },
    { "backspace", 0x2a },
    { "tab", 0x2b },
    { "spc", 0x2c },
    { "minus", 0x2d },
    { "equal", 0x2e },
    { "bracket_left", 0x2f },
    { "bracket_right", 0x30 },
    { "backslash", 0x31 },
    { "semicolon", 0x33 },
    { "apostrophe", 0x34 },
    { "grave_accent", 0x35 },
    { "comma", 0x36 },
    { "dot", 0x37 },
    { "slash", 0x38 },
    { "caps_lock", 0x39 },
    { "f1", 0x3a },
    { "f2", 0x3b },
    { "f3", 0x3c },
    { "f4", 0x3d },
    { "f5", 0x3e },
    { "f6", 0x3f },
    { "f7", 0x40 },
    { "f8", 0x41 },
    { "f9", 0x42 },
    { "f10", 0x43 },
    { "f11", 0x44 },
    { "f12", 0x45 },
    { "print", 0x46 },
    { "sysrq", 0x46 },
    { "scroll_lock", 0x47 },
    { "pause", 0x48 },
    { "insert", 0x49 },
    { "home", 0x4a },
    { "pgup", 0x4b },
    { "delete", 0x4c },
    { "end", 0x4d },
    { "pgdn", 0x4e },
    { "right", 0x4f },
    { "left", 0x50 },
    { "down", 0x51 },
    { "up", 0x52 },
    { "num_lock", 0x53 },
    { "kp_divide", 0x54 },
    { "kp_multiply", 0x55 },
    { "asterisk", 0x55 },
    { "kp_subtract", 0x56 },
    { "kp_add", 0x57 },
    { "kp_enter", 0x58 },
    { "kp_1", 0x59 },
    { "kp_2", 0x5a },
    { "kp_3", 0x5b },
    { "kp_4", 0x5c },
    { "kp_5", 0x5d },
    { "kp_6", 0x5e },
    { "kp_7", 0x5f },
    { "kp_8", 0x60 },
    { "kp_9", 0x61 },
    { "kp_0", 0x62 },
    { "kp_decimal", 0x63 },
    { "less", 0x64 },
    { "compose", 0x65 },
    { "menu", 0x65 },
    { "power", 0x66 },
    { "kp_equals", 0x67 },
    { "f13", 0x68 },
    { "f14", 0x69 },
    { "f15", 0x6a },
    { "f16", 0x6b },
    { "f17", 0x6c },
    { "f18", 0x6d },
    { "f19", 0x6e },
    { "f20", 0x6f },
    { "f21", 0x70 },
    { "f22", 0x71 },
    { "f23", 0x72 },
    { "f24", 0x73 },
    { "open", 0x74 },
    { "help", 0x75 },
    { "props", 0x76 },
    { "front", 0x77 },
    { "stop", 0x78 },
    { "again", 0x79 },
    { "undo", 0x7a },
    { "cut", 0x7b },
    { "copy", 0x7c },
    { "paste", 0x7d },
    { "find", 0x7e },
    { "audiomute", 0x7f },
    { "volumeup", 0x80 },
    { "volumedown", 0x81 },
    { "kp_comma", 0x85 },
    { "ro", 0x87 },
    { "katakanahiragana", 0x88 },
    { "hiragana", 0x88 },
    { "yen", 0x89 },
    { "henkan", 0x8a },
    { "muhenkan", 0x8b },
    { "lang1", 0x90 },
    { "lang2", 0x91 },
    { "ctrl", 0xe0 },
    { "shift", 0xe1 },
    { "alt", 0xe2 },
    { "meta_l", 0xe3 },
    { "ctrl_r", 0xe4 },
    { "shift_r", 0xe5 },
    { "alt_r", 0xe6 },
    { "meta_r", 0xe7 },
};
#define KEY_NAME_COUNT (sizeof key_names / sizeof key_names[0])

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
    const struct input_ops *keyboard, *pointer;
    void *keyboard_opaque, *pointer_opaque;
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

void input_attach_keyboard(struct machine *m, const struct input_ops *ops, void *opaque)
{
    m->input->keyboard = ops;
    m->input->keyboard_opaque = opaque;
}

void input_attach_pointer(struct machine *m, const struct input_ops *ops, void *opaque)
{
    m->input->pointer = ops;
    m->input->pointer_opaque = opaque;
}

void input_key(struct machine *m, uint8_t hid, bool down)
{
    struct input *in = m->input;
    if (!in || !hid || (!down && !in->down[hid]))
        return;
    in->down[hid] = down;
    if (in->keyboard && in->keyboard->key)
        in->keyboard->key(in->keyboard_opaque, hid, down);
}

void input_pointer_rel(struct machine *m, int dx, int dy, int dz, unsigned buttons)
{
    struct input *in = m->input;
    if (!in)
        return;
    in->buttons = buttons;
    in->have_abs = false;
    if (in->pointer && in->pointer->pointer_rel)
        in->pointer->pointer_rel(in->pointer_opaque, dx, dy, dz, buttons);
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
    if (in->pointer && in->pointer->pointer_abs) {
        in->pointer->pointer_abs(in->pointer_opaque, x, y, dz, buttons);
    } else if (in->pointer && in->pointer->pointer_rel) {
        const struct display_surface *s = m->display ? display_surface(m->display) : NULL;
        int width = s ? s->width : FALLBACK_WIDTH, height = s ? s->height : FALLBACK_HEIGHT;
        int dx = in->have_abs ? abs_to_pixels(in->abs_x, x, width) : 0;
        int dy = in->have_abs ? abs_to_pixels(in->abs_y, y, height) : 0;
        in->pointer->pointer_rel(in->pointer_opaque, dx, dy, dz, buttons);
    }
    in->have_abs = true;
    in->abs_x = x;
    in->abs_y = y;
}

bool input_pointer_is_abs(struct machine *m)
{
    return m->input && m->input->pointer && m->input->pointer->pointer_abs;
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

uint8_t input_hid_of_name(const char *name)
{
    for (size_t i = 0; i < KEY_NAME_COUNT; i++) {
        if (strcmp(key_names[i].name, name) == 0)
            return key_names[i].hid;
    }
    return 0;
}

const char *input_name_of_hid(uint8_t hid)
{
    for (size_t i = 0; i < KEY_NAME_COUNT; i++) {
        if (key_names[i].hid == hid)
            return key_names[i].name;
    }
    return NULL;
}

int input_parse_combo(const char *text, uint8_t hids[INPUT_COMBO_MAX], struct error *err)
{
    int count = 0;
    for (const char *p = text;;) {
        size_t len = strcspn(p, "-");
        char name[32];
        if (len >= sizeof name || count == INPUT_COMBO_MAX) {
            error_set(err, "key '%s': too long", text);
            return 0;
        }
        memcpy(name, p, len);
        name[len] = 0;
        hids[count] = input_hid_of_name(name);
        if (!hids[count++]) {
            error_set(err, "key '%s' is unknown", name);
            return 0;
        }
        if (!p[len])
            return count;
        p += len + 1;
    }
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
