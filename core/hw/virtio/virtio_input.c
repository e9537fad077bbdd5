/*
 * virtio-keyboard-pci, virtio-mouse-pci, virtio-tablet-pci: Linux's input events in buffers of the
 * driver (virtio 1.2, 5.8; numbers of events from Linux's input-event-codes.h). Names, ids and
 * abilities as QEMU's devices of these names have them.
 *
 * Configuration: the driver writes what it asks for (select, subsel) and reads the answer; size 0
 * means "no such thing". Queue 0 holds buffers of 8 bytes, one an event; queue 1 brings what the
 * driver has for us, the keyboard's lights, which nobody sees here.
 *
 * What happened waits in the device until the driver has room for all events of a report: a
 * keyboard's keys in a ring, a pointer's state as the difference to what was reported. So a slow
 * driver misses motion on the way, but no release of a key or button. While the driver runs
 * (DRIVER_OK) the device is the first in the line of the input dispatcher.
 */
#include "hw/virtio/virtio_input.h"

#include <string.h>

#include "hw/virtio/virtio.h"
#include "ui/display.h"

/* Configuration */
enum { CFG_SELECT = 0, CFG_SUBSEL = 1, CFG_SIZE = 2, CFG_DATA = 8, CFG_DATA_MAX = 128 };
enum {
    SELECT_NAME = 0x01,
    SELECT_SERIAL = 0x02,
    SELECT_DEVIDS = 0x03,
    SELECT_EV_BITS = 0x11,
    SELECT_ABS_INFO = 0x12,
};

/* Events */
enum { EV_SYN = 0, EV_KEY = 1, EV_REL = 2, EV_ABS = 3, EV_LED = 0x11, EV_REP = 0x14 };
enum { REL_X = 0, REL_Y = 1, REL_WHEEL = 8 };
enum { ABS_X = 0, ABS_Y = 1, ABS_MAX = 0x7fff };
enum { LED_COUNT = 3 };
enum { BTN_GEAR_DOWN = 0x150, BTN_GEAR_UP = 0x151 };
static const uint16_t buttons_evdev[] = { 0x110, 0x111, 0x112, 0x113, 0x114 };
#define BUTTON_COUNT (sizeof buttons_evdev / sizeof buttons_evdev[0])

#define BUS_VIRTUAL 6
#define VENDOR      0x0627
#define QUEUE_SIZE  64
#define EVENT_SIZE  8
#define KEYS        64 /* that wait; a power of two */
#define MOTION_KEEP 4096
#define WHEEL_KEEP  64
#define NOTCHES     4 /* in one report, where a notch is a button */
/* X, Y, wheel, buttons and the end: no report has more. */
#define REPORT_MAX (3 + 2 * NOTCHES + (int)BUTTON_COUNT)

enum kind { KIND_KEYBOARD = 1, KIND_MOUSE = 2, KIND_TABLET = 3 };

struct virtio_input {
    struct virtio_device virtio;
    struct input_handler handler;
    bool active; /* the driver runs */
    uint8_t select, subsel;
    /* Keyboard: keys that wait: evdev number, bit 8: down. */
    uint16_t keys[KEYS];
    uint8_t key_first, key_count;
    /* Pointers: mouse x, y: motion not yet reported; tablet: where it is. */
    int32_t x, y, reported_x, reported_y, wheel;
    uint8_t buttons, reported_buttons;
    /* Properties */
    char *serial;
    bool wheel_axis;
};

/* Per class, after what the transport wants to know. */
struct input_info {
    struct virtio_class virtio;
    enum kind kind; /* also the product's number */
    const char *name;
    const struct input_ops *ops;
};

static const struct input_info *info_of(const struct virtio_input *s)
{
    return s->virtio.pci.dev.cls->class_data;
}

/* ---- configuration ---- */

static unsigned set_bit(uint8_t *data, unsigned bit, unsigned size)
{
    data[bit / 8] |= (uint8_t)(1 << bit % 8);
    return bit / 8 + 1 > size ? bit / 8 + 1 : size;
}

static unsigned key_bits(enum kind kind, uint8_t *data)
{
    unsigned size = 0;
    for (unsigned hid = 1; kind == KIND_KEYBOARD && hid < 256; hid++) {
        unsigned key = input_evdev_of_hid((uint8_t)hid);
        if (key)
            size = set_bit(data, key, size);
    }
    if (kind == KIND_KEYBOARD)
        return size;
    for (unsigned i = 0; i < BUTTON_COUNT; i++)
        size = set_bit(data, buttons_evdev[i], size);
    size = set_bit(data, BTN_GEAR_DOWN, size);
    return set_bit(data, BTN_GEAR_UP, size);
}

/* What the device knows of a type of events; returns the bytes used in @data, 0: nothing. */
static unsigned event_bits(const struct virtio_input *s, unsigned type, uint8_t *data)
{
    enum kind kind = info_of(s)->kind;
    unsigned size = 0;
    switch (type) {
    case EV_KEY: return key_bits(kind, data);
    case EV_REL:
        if (kind == KIND_MOUSE)
            size = set_bit(data, REL_Y, set_bit(data, REL_X, size));
        if (kind != KIND_KEYBOARD && s->wheel_axis)
            size = set_bit(data, REL_WHEEL, size);
        return size;
    case EV_ABS: return kind == KIND_TABLET ? set_bit(data, ABS_Y, set_bit(data, ABS_X, 0)) : 0;
    case EV_LED:
        data[0] = kind == KIND_KEYBOARD ? (1 << LED_COUNT) - 1 : 0;
        return kind == KIND_KEYBOARD;
    case EV_REP: return kind == KIND_KEYBOARD; /* an empty byte means: the driver may repeat */
    default: return 0;
    }
}

static unsigned put_string(uint8_t *data, const char *text, size_t len)
{
    len = len < CFG_DATA_MAX ? len : CFG_DATA_MAX;
    memcpy(data, text, len);
    return (unsigned)len;
}

static unsigned answer(const struct virtio_input *s, uint8_t *data)
{
    const struct input_info *info = info_of(s);
    switch (s->select) {
    case SELECT_NAME: /* with its zero, as in QEMU */
        return s->subsel ? 0 : put_string(data, info->name, strlen(info->name) + 1);
    case SELECT_SERIAL:
        return s->subsel || !s->serial ? 0 : put_string(data, s->serial, strlen(s->serial));
    case SELECT_DEVIDS:
        if (s->subsel)
            return 0;
        pci_set16(data, BUS_VIRTUAL);
        pci_set16(data + 2, VENDOR);
        pci_set16(data + 4, (uint16_t)info->kind);
        pci_set16(data + 6, info->kind != KIND_KEYBOARD && s->wheel_axis ? 2 : 1);
        return 8;
    case SELECT_EV_BITS: return event_bits(s, s->subsel, data);
    case SELECT_ABS_INFO:
        if (info->kind != KIND_TABLET || s->subsel > ABS_Y)
            return 0;
        pci_set32(data + 4, ABS_MAX); /* min, max, fuzz, flat, res */
        return 20;
    default: return 0;
    }
}

/* The driver wrote: only the question stays. */
static void input_set_config(struct virtio_device *d, unsigned offset, unsigned len)
{
    struct virtio_input *s = (struct virtio_input *)d;
    s->select = d->config[CFG_SELECT];
    s->subsel = d->config[CFG_SUBSEL];
}

static void input_get_config(struct virtio_device *d)
{
    struct virtio_input *s = (struct virtio_input *)d;
    memset(d->config, 0, CFG_DATA + CFG_DATA_MAX);
    d->config[CFG_SELECT] = s->select;
    d->config[CFG_SUBSEL] = s->subsel;
    d->config[CFG_SIZE] = (uint8_t)answer(s, d->config + CFG_DATA);
}

/* ---- reports ---- */

struct report {
    uint8_t events[REPORT_MAX][EVENT_SIZE];
    int count;
};

static void add(struct report *r, unsigned type, unsigned code, int32_t value)
{
    uint8_t *e = r->events[r->count++];
    pci_set16(e, (uint16_t)type);
    pci_set16(e + 2, (uint16_t)code);
    pci_set32(e + 4, (uint32_t)value);
}

/* All of it, or nothing if the driver has no room. */
static bool deliver(struct virtio_input *s, struct report *r)
{
    struct virtqueue *vq = &s->virtio.queues[0];
    struct virtq_elem *e[REPORT_MAX];
    int n = 0;
    add(r, EV_SYN, 0, 0);
    while (n < r->count && (e[n] = virtq_pop(vq)) != NULL)
        n++;
    if (n < r->count) {
        while (n > 0)
            virtq_unpop(e[--n]);
        return false;
    }
    for (int i = 0; i < n; i++)
        virtq_push(e[i], virtq_write(e[i], 0, r->events[i], EVENT_SIZE));
    virtq_notify(vq);
    return true;
}

static void flush_keys(struct virtio_input *s)
{
    while (s->key_count) {
        struct report r = { .count = 0 };
        uint16_t key = s->keys[s->key_first % KEYS];
        add(&r, EV_KEY, key & 0xff, key >> 8);
        if (!deliver(s, &r))
            return;
        s->key_first = (uint8_t)((s->key_first + 1) % KEYS);
        s->key_count--;
    }
}

static void add_wheel(struct virtio_input *s, struct report *r, int32_t *left)
{
    *left = 0;
    if (s->wheel_axis) {
        if (s->wheel)
            add(r, EV_REL, REL_WHEEL, -s->wheel);
        return;
    }
    unsigned button = s->wheel > 0 ? BTN_GEAR_DOWN : BTN_GEAR_UP;
    int32_t n = s->wheel > 0 ? s->wheel : -s->wheel, now = n < NOTCHES ? n : NOTCHES;
    for (int32_t i = 0; i < now; i++) {
        add(r, EV_KEY, button, 1);
        add(r, EV_KEY, button, 0);
    }
    *left = s->wheel > 0 ? n - now : now - n;
}

static void flush_pointer(struct virtio_input *s)
{
    bool mouse = info_of(s)->kind == KIND_MOUSE;
    unsigned type = mouse ? EV_REL : EV_ABS;
    struct report r = { .count = 0 };
    int32_t wheel_left;
    if (s->x != s->reported_x)
        add(&r, type, ABS_X, s->x);
    if (s->y != s->reported_y)
        add(&r, type, ABS_Y, s->y);
    add_wheel(s, &r, &wheel_left);
    for (unsigned i = 0; i < BUTTON_COUNT; i++) {
        if ((s->buttons ^ s->reported_buttons) & 1 << i)
            add(&r, EV_KEY, buttons_evdev[i], s->buttons >> i & 1);
    }
    if (!r.count || !deliver(s, &r))
        return;
    if (mouse)
        s->x = s->y = 0;
    s->reported_x = s->x;
    s->reported_y = s->y;
    s->reported_buttons = s->buttons;
    s->wheel = wheel_left;
}

static void flush(struct virtio_input *s)
{
    if (info_of(s)->kind == KIND_KEYBOARD)
        flush_keys(s);
    else
        flush_pointer(s);
}

static void input_handle_queue(struct virtio_device *d, struct virtqueue *vq)
{
    struct virtq_elem *e;
    if (vq->index == 0) {
        flush((struct virtio_input *)d);
        return;
    }
    while ((e = virtq_pop(vq)) != NULL)
        virtq_push(e, 0);
    virtq_notify(vq);
}

/* ---- what the dispatcher hands in ---- */

static void key_event(void *opaque, uint8_t hid, bool down)
{
    struct virtio_input *s = opaque;
    uint8_t key = input_evdev_of_hid(hid);
    if (!s->active || !key || s->key_count == KEYS)
        return;
    s->keys[(s->key_first + s->key_count++) % KEYS] = (uint16_t)(key | down << 8);
    flush_keys(s);
}

static int32_t clamp(int64_t v, int32_t limit)
{
    return (int32_t)(v > limit ? limit : v < -limit ? -limit : v);
}

static void buttons_and_wheel(struct virtio_input *s, int dz, unsigned buttons)
{
    buttons &= (1u << BUTTON_COUNT) - 1;
    /* A second change of buttons must not hide the first. */
    if (s->buttons != s->reported_buttons && buttons != s->buttons)
        flush_pointer(s);
    s->buttons = (uint8_t)buttons;
    s->wheel = clamp((int64_t)s->wheel + dz, WHEEL_KEEP);
    flush_pointer(s);
}

static void motion_event(void *opaque, int dx, int dy, int dz, unsigned buttons)
{
    struct virtio_input *s = opaque;
    if (!s->active)
        return;
    s->x = clamp((int64_t)s->x + dx, MOTION_KEEP);
    s->y = clamp((int64_t)s->y + dy, MOTION_KEEP);
    buttons_and_wheel(s, dz, buttons);
}

static void position_event(void *opaque, int x, int y, int dz, unsigned buttons)
{
    struct virtio_input *s = opaque;
    if (!s->active)
        return;
    s->x = clamp(x, ABS_MAX);
    s->y = clamp(y, ABS_MAX);
    buttons_and_wheel(s, dz, buttons);
}

/* ---- life ---- */

static void input_set_status(struct virtio_device *d)
{
    struct virtio_input *s = (struct virtio_input *)d;
    bool active = (d->status & VIRTIO_STATUS_DRIVER_OK) != 0;
    if (active && !s->active)
        input_activate(d->pci.dev.machine, &s->handler);
    else if (!active && s->active)
        input_deactivate(d->pci.dev.machine, &s->handler);
    s->active = active;
}

static void input_reset(struct virtio_device *d)
{
    struct virtio_input *s = (struct virtio_input *)d;
    input_set_status(d);
    s->select = s->subsel = 0;
    s->key_first = s->key_count = 0;
    s->x = s->y = s->reported_x = s->reported_y = s->wheel = 0;
    s->buttons = s->reported_buttons = 0;
}

static bool input_realize(struct device *dev, struct error *err)
{
    struct virtio_input *s = (struct virtio_input *)dev;
    if (!virtio_init(&s->virtio, CFG_DATA + CFG_DATA_MAX, err))
        return false;
    virtio_add_queue(&s->virtio, QUEUE_SIZE);
    virtio_add_queue(&s->virtio, QUEUE_SIZE);
    s->handler.name = info_of(s)->name;
    s->handler.ops = info_of(s)->ops;
    s->handler.opaque = s;
    input_register(dev->machine, &s->handler);
    return true;
}

static void input_unrealize(struct device *dev)
{
    struct virtio_input *s = (struct virtio_input *)dev;
    virtio_unrealize(&s->virtio);
    input_unregister(dev->machine, &s->handler);
}

static void input_post_load(struct device *dev)
{
    struct virtio_input *s = (struct virtio_input *)dev;
    s->key_first %= KEYS;
    if (s->key_count > KEYS)
        s->key_count = 0;
    s->x = clamp(s->x, ABS_MAX);
    s->y = clamp(s->y, ABS_MAX);
    s->wheel = clamp(s->wheel, WHEEL_KEEP);
    virtio_device_post_load(dev);
    input_set_status(&s->virtio);
}

static const struct field input_fields[] = {
    VIRTIO_FIELDS(struct virtio_input),
    VIRTQUEUE_FIELDS(struct virtio_input, 0),
    VIRTQUEUE_FIELDS(struct virtio_input, 1),
    FIELD_U8(struct virtio_input, select, 0),
    FIELD_U8(struct virtio_input, subsel, 0),
    FIELD_U16(struct virtio_input, keys, 0),
    FIELD_U8(struct virtio_input, key_first, 0),
    FIELD_U8(struct virtio_input, key_count, 0),
    FIELD_U32(struct virtio_input, x, 0),
    FIELD_U32(struct virtio_input, y, 0),
    FIELD_U32(struct virtio_input, reported_x, 0),
    FIELD_U32(struct virtio_input, reported_y, 0),
    FIELD_U32(struct virtio_input, wheel, 0),
    FIELD_U8(struct virtio_input, buttons, 0),
    FIELD_U8(struct virtio_input, reported_buttons, 0),
    FIELD_END,
};

#define SERIAL_PROP                                                                                \
    {                                                                                              \
        "serial", PROP_STRING, offsetof(struct virtio_input, serial), NULL, "serial number"        \
    }
#define WHEEL_PROP                                                                                 \
    {                                                                                              \
        "wheel-axis", PROP_BOOL, offsetof(struct virtio_input, wheel_axis), "on",                  \
            "the wheel is an axis, not two buttons"                                                \
    }

static const struct prop keyboard_props[] = {
    SERIAL_PROP,
    VIRTIO_PROPS(struct virtio_input, "2"),
    PROP_END,
};

static const struct prop pointer_props[] = {
    WHEEL_PROP,
    SERIAL_PROP,
    VIRTIO_PROPS(struct virtio_input, "2"),
    PROP_END,
};

static const struct input_ops keyboard_ops = { .key = key_event };
static const struct input_ops mouse_ops = { .pointer_rel = motion_event };
static const struct input_ops tablet_ops = { .pointer_abs = position_event };

#define VIRTIO_INPUT(class)                                                                        \
    {                                                                                              \
        .pci = { .vendor_id = 0x1af4,                                                              \
                 .device_id = 0x1040 + VIRTIO_ID_INPUT,                                            \
                 .class_id = class,                                                                \
                 .has_intx = true },                                                               \
        .virtio_id = VIRTIO_ID_INPUT, .modern_only = true, .get_config = input_get_config,         \
        .set_config = input_set_config, .handle_queue = input_handle_queue,                        \
        .set_status = input_set_status, .reset = input_reset                                       \
    }

static const struct input_info keyboard_info = {
    VIRTIO_INPUT(0x0900),
    KIND_KEYBOARD,
    "QEMU Virtio Keyboard",
    &keyboard_ops,
};
static const struct input_info mouse_info = {
    VIRTIO_INPUT(0x0902),
    KIND_MOUSE,
    "QEMU Virtio Mouse",
    &mouse_ops,
};
static const struct input_info tablet_info = {
    VIRTIO_INPUT(0x0980),
    KIND_TABLET,
    "QEMU Virtio Tablet",
    &tablet_ops,
};

#define VIRTIO_INPUT_CLASS(text, description, properties, info)                                    \
    {                                                                                              \
        .name = text, .desc = description, .size = sizeof(struct virtio_input), .bus = "PCI",      \
        .fields = input_fields, .props = properties, .realize = input_realize,                     \
        .unrealize = input_unrealize, .reset = virtio_device_reset, .post_load = input_post_load,  \
        .class_data = &(info)                                                                      \
    }

const struct device_class virtio_keyboard_pci_class =
    VIRTIO_INPUT_CLASS("virtio-keyboard-pci", "virtio keyboard", keyboard_props, keyboard_info);
const struct device_class virtio_mouse_pci_class =
    VIRTIO_INPUT_CLASS("virtio-mouse-pci", "virtio mouse", pointer_props, mouse_info);
const struct device_class virtio_tablet_pci_class = VIRTIO_INPUT_CLASS(
    "virtio-tablet-pci", "virtio tablet: absolute positions", pointer_props, tablet_info);
