/*
 * virtio-keyboard-pci, virtio-mouse-pci and virtio-tablet-pci with a driver of a few lines, and the
 * input dispatcher's choice between them and a PS/2 mouse.
 */
#include "devtest.h"
#include "hw/virtio/virtio.h"
#include "hw/virtio/virtio_input.h"
#include "ui/display.h"

#define BAR4   0xe0000000ull
#define RING   0x100000ull
#define BUF    0x200000ull
#define QSIZE  16u
#define COMMON 0x0000u
#define CONFIG 0x2000u

static struct virtio_device *dev;
static unsigned offered, seen;
static int ps2_dx, ps2_dy;
static unsigned ps2_buttons;

static void ps2_motion(void *opaque, int dx, int dy, int dz, unsigned buttons)
{
    ps2_dx += dx;
    ps2_dy += dy;
    ps2_buttons = buttons;
}
static const struct input_ops ps2_ops = { .pointer_rel = ps2_motion };
static struct input_handler ps2;

static uint32_t mrd(uint64_t off, unsigned size)
{
    return (uint32_t)mem_read(&m->mem, BAR4 + off, size);
}
static void mwr(uint64_t off, uint32_t v, unsigned size)
{
    mem_write(&m->mem, BAR4 + off, v, size);
}

static void setup(const struct device_class *cls)
{
    struct error err;
    board_new();
    m->input = input_new(m);
    ps2 = (struct input_handler){ .name = "PS/2", .ops = &ps2_ops };
    input_register(m, &ps2);
    ps2_dx = ps2_dy = 0;
    ps2_buttons = 0;
    struct device *d = device_new(m, cls);
    if (!device_realize(d, &err))
        abort();
    dev = (struct virtio_device *)d;
    pci_device_reset(&dev->pci);
    device_reset(d);
    pci_config_write(&dev->pci, 0x20, (uint32_t)BAR4, 4);
    pci_config_write(&dev->pci, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

static void teardown(void)
{
    board_free();
}

/* Offers @n more buffers of 8 bytes. */
static void offer(unsigned n)
{
    while (n--) {
        unsigned i = offered++ % QSIZE;
        uint64_t d = RING + 16 * i;
        dma_write64(&m->mem, d, BUF + 8 * i);
        dma_write32(&m->mem, d + 8, 8);
        dma_write32(&m->mem, d + 12, 2);
        dma_write16(&m->mem, RING + 0x1000 + 4 + 2 * i, (uint16_t)i);
    }
    dma_write16(&m->mem, RING + 0x1002, (uint16_t)offered);
    mwr(0x3000, 0, 2);
    settle();
}

static void start_driver(unsigned buffers)
{
    offered = seen = 0;
    mwr(COMMON + 0x14, 0, 1);
    mwr(COMMON + 0x14, 3, 1);
    mwr(COMMON + 0x08, 1, 4);
    mwr(COMMON + 0x0c, 1, 4); /* VERSION_1 */
    mwr(COMMON + 0x14, 11, 1);
    CHECK_EQ(mrd(COMMON + 0x14, 1), 11);
    for (unsigned q = 0; q < 2; q++) {
        mwr(COMMON + 0x16, q, 2);
        CHECK_EQ(mrd(COMMON + 0x18, 2), 64);
        mwr(COMMON + 0x18, QSIZE, 2);
        for (unsigned i = 0; i < 3; i++)
            mwr(COMMON + 0x20 + 8 * i, (uint32_t)RING + 0x4000 * q + 0x1000 * i, 4);
        mwr(COMMON + 0x1c, 1, 2);
    }
    mwr(COMMON + 0x14, 15, 1);
    offer(buffers);
}

static unsigned used_index(void)
{
    return dma_read16(&m->mem, RING + 0x2002);
}

/* The next event: type << 48 | code << 32 | value; ~0: there is none. */
static uint64_t next_event(void)
{
    if (used_index() == (seen & 0xffff))
        return UINT64_MAX;
    uint64_t used = RING + 0x2004 + 8 * (seen++ % QSIZE);
    if (dma_read32(&m->mem, used + 4) != 8)
        return 0;
    uint64_t at = BUF + 8ull * dma_read32(&m->mem, used);
    return (uint64_t)dma_read16(&m->mem, at) << 48 | (uint64_t)dma_read16(&m->mem, at + 2) << 32 |
           dma_read32(&m->mem, at + 4);
}

#define EVENT(type, code, value)                                                                   \
    ((uint64_t)(type) << 48 | (uint64_t)(code) << 32 | (uint32_t)(value))
#define SYN  0
#define KEY  1
#define REL  2
#define ABS  3
#define NONE UINT64_MAX
#define CHECK_EVENTS(...)                                                                          \
    do {                                                                                           \
        static const uint64_t want_events[] = { __VA_ARGS__ };                                     \
        for (size_t i_ = 0; i_ < sizeof want_events / sizeof want_events[0]; i_++)                 \
            CHECK_EQ(next_event(), want_events[i_]);                                               \
        CHECK_EQ(next_event(), NONE);                                                              \
    } while (0)

static unsigned ask(uint8_t select, uint8_t subsel)
{
    mwr(CONFIG, select, 1);
    mwr(CONFIG + 1, subsel, 1);
    return mrd(CONFIG + 2, 1);
}

static void tablet_says_what_it_is(void)
{
    setup(&virtio_tablet_pci_class);
    CHECK_EQ(pci_config_read(&dev->pci, 0, 4), 0x10521af4);
    CHECK(!dev->pci.bars[0].region);
    CHECK_EQ(ask(1, 0), 19);
    CHECK_EQ(mrd(CONFIG + 8, 4), 0x554d4551); /* QEMU */
    CHECK_EQ(ask(3, 0), 8);
    CHECK_EQ(mrd(CONFIG + 8, 4), 0x06270006);
    CHECK_EQ(mrd(CONFIG + 12, 4), 0x00020003);
    CHECK_EQ(ask(0x12, 1), 20);
    CHECK_EQ(mrd(CONFIG + 12, 4), 0x7fff);
    CHECK_EQ(ask(0x12, 2), 0);
    CHECK_EQ(mrd(CONFIG + 12, 4), 0);
    CHECK_EQ(ask(0x11, 3), 1);
    CHECK_EQ(mrd(CONFIG + 8, 1), 3);
    CHECK_EQ(ask(0x77, 0), 0);
    /* The answer can't be written. */
    mwr(CONFIG + 2, 0xff, 1);
    mwr(CONFIG + 0x86, 0xffff, 2);
    CHECK_EQ(mrd(CONFIG + 2, 1), 0);
    CHECK_EQ(mrd(CONFIG + 0x86, 2), 0);
    CHECK_EQ(mrd(CONFIG, 1), 0x77);
    teardown();
}

static void tablet_reports_positions(void)
{
    setup(&virtio_tablet_pci_class);
    input_pointer_abs(m, 5, 5, 0, 0); /* no driver yet: not for us */
    CHECK(!input_pointer_is_abs(m));
    start_driver(QSIZE);
    CHECK(input_pointer_is_abs(m));
    input_pointer_abs(m, 0x1234, 0x7fff, 0, 0);
    CHECK_EVENTS(EVENT(ABS, 0, 0x1234), EVENT(ABS, 1, 0x7fff), EVENT(SYN, 0, 0));
    input_pointer_abs(m, 0x1234, 0x10, 0, 1);
    CHECK_EVENTS(EVENT(ABS, 1, 0x10), EVENT(KEY, 0x110, 1), EVENT(SYN, 0, 0));
    input_pointer_abs(m, 0x1234, 0x10, 2, 2);
    CHECK_EVENTS(EVENT(REL, 8, -2), EVENT(KEY, 0x110, 0), EVENT(KEY, 0x111, 1), EVENT(SYN, 0, 0));
    input_pointer_abs(m, 0x1234, 0x10, 0, 2); /* nothing new */
    CHECK_EQ(next_event(), NONE);
    input_release_all(m);
    CHECK_EVENTS(EVENT(KEY, 0x111, 0), EVENT(SYN, 0, 0));
    CHECK_EQ(ps2_dx, 0);
    /* Motion, as mouse_move of the monitor has it: for the mouse. */
    input_pointer_rel(m, 3, 4, 0, 0);
    CHECK_EQ(next_event(), NONE);
    CHECK_EQ(ps2_dx, 3);
    /* The driver goes. */
    mwr(COMMON + 0x14, 0, 1);
    CHECK(!input_pointer_is_abs(m));
    input_pointer_rel(m, 3, 4, 0, 1);
    CHECK_EQ(ps2_dx, 6);
    CHECK_EQ(ps2_buttons, 1);
    teardown();
}

static void releases_wait_for_room(void)
{
    setup(&virtio_tablet_pci_class);
    start_driver(4);
    input_pointer_abs(m, 1, 1, 0, 1); /* four events: just fits */
    input_pointer_abs(m, 2, 2, 0, 1);
    input_pointer_abs(m, 3, 3, 1, 0);
    CHECK_EVENTS(EVENT(ABS, 0, 1), EVENT(ABS, 1, 1), EVENT(KEY, 0x110, 1), EVENT(SYN, 0, 0));
    offer(3); /* not enough: whole reports only */
    CHECK_EQ(next_event(), NONE);
    offer(2);
    CHECK_EVENTS(EVENT(ABS, 0, 3), EVENT(ABS, 1, 3), EVENT(REL, 8, -1), EVENT(KEY, 0x110, 0),
                 EVENT(SYN, 0, 0));
    CHECK(!(mrd(COMMON + 0x14, 1) & 0x40));
    teardown();
}

static void mouse_reports_motion(void)
{
    setup(&virtio_mouse_pci_class);
    CHECK_EQ(ask(0x11, 2), 2);
    CHECK_EQ(mrd(CONFIG + 8, 2), 0x103);
    start_driver(3);
    CHECK(!input_pointer_is_abs(m));
    input_pointer_rel(m, 5, -7, 0, 0);
    input_pointer_rel(m, 1, 1, 0, 0); /* no room: adds up */
    input_pointer_rel(m, INT32_MAX, 1, 0, 0);
    input_pointer_rel(m, INT32_MIN, 1, 0, 0);
    CHECK_EVENTS(EVENT(REL, 0, 5), EVENT(REL, 1, -7), EVENT(SYN, 0, 0));
    offer(3);
    CHECK_EVENTS(EVENT(REL, 0, -4096), EVENT(REL, 1, 3), EVENT(SYN, 0, 0));
    CHECK_EQ(ps2_dx, 0);
    teardown();
}

static void wheel_as_buttons(void)
{
    struct error err;
    setup(&virtio_mouse_pci_class);
    CHECK(device_set_prop(&dev->pci.dev, "wheel-axis", "off", &err));
    CHECK_EQ(ask(0x11, 2), 1);
    CHECK_EQ(ask(3, 0), 8);
    CHECK_EQ(mrd(CONFIG + 12, 4), 0x00010002);
    start_driver(QSIZE);
    input_pointer_rel(m, 0, 0, -1, 0);
    CHECK_EVENTS(EVENT(KEY, 0x151, 1), EVENT(KEY, 0x151, 0), EVENT(SYN, 0, 0));
    teardown();
}

static void keyboard_keeps_keys_for_later(void)
{
    setup(&virtio_keyboard_pci_class);
    CHECK_EQ(ask(0x11, 0x11), 1);
    CHECK_EQ(mrd(CONFIG + 8, 1), 7);
    start_driver(2);
    CHECK(!input_pointer_is_abs(m));
    input_key(m, 0x04, true); /* a */
    input_key(m, 0x04, false);
    input_key(m, 0x32, true); /* no key of Linux's */
    input_key(m, 0xe6, true); /* right Alt */
    CHECK_EVENTS(EVENT(KEY, 30, 1), EVENT(SYN, 0, 0));
    offer(4);
    CHECK_EVENTS(EVENT(KEY, 30, 0), EVENT(SYN, 0, 0), EVENT(KEY, 100, 1), EVENT(SYN, 0, 0));
    for (int i = 0; i < 300; i++) /* more than can wait */
        input_key(m, 0x04, !(i & 1));
    offer(2);
    CHECK_EVENTS(EVENT(KEY, 30, 1), EVENT(SYN, 0, 0));
    teardown();
}

static void status_queue_gives_back(void)
{
    setup(&virtio_keyboard_pci_class);
    start_driver(2);
    dma_write64(&m->mem, RING + 0x4000, BUF + 0x1000);
    dma_write32(&m->mem, RING + 0x4008, 8);
    dma_write32(&m->mem, RING + 0x400c, 0);
    dma_write16(&m->mem, RING + 0x5004, 0);
    dma_write16(&m->mem, RING + 0x5002, 1);
    mwr(0x3004, 1, 2);
    settle();
    CHECK_EQ(dma_read16(&m->mem, RING + 0x6002), 1);
    teardown();
}

static void state_is_saved(void)
{
    static uint8_t state[8192];
    struct error err;
    setup(&virtio_tablet_pci_class);
    start_driver(3);
    input_pointer_abs(m, 7, 8, 0, 0);
    input_pointer_abs(m, 9, 8, 0, 1); /* waits */
    size_t len = device_save(&dev->pci.dev, state, sizeof state);
    CHECK(len <= sizeof state);
    mwr(COMMON + 0x14, 0, 1);
    CHECK(!input_pointer_is_abs(m));
    CHECK(device_load(&dev->pci.dev, state, len, &err));
    CHECK(input_pointer_is_abs(m));
    offered = seen = 3;
    offer(3);
    CHECK_EVENTS(EVENT(ABS, 0, 9), EVENT(KEY, 0x110, 1), EVENT(SYN, 0, 0));
    /* A state that nobody saved. */
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < len; i++)
            state[i] = (uint8_t)rnd();
        device_load(&dev->pci.dev, state, len, &err);
        input_pointer_abs(m, (int)rnd(), (int)rnd(), (int)rnd(), rnd());
        input_key(m, (uint8_t)rnd(), rnd() & 1);
        settle();
    }
    teardown();
}

static void the_line_can_be_changed(void)
{
    struct error err;
    setup(&virtio_tablet_pci_class);
    start_driver(QSIZE);
    const struct input_handler *first = input_next_mouse(m, NULL);
    CHECK_STR(first->name, "QEMU Virtio Tablet");
    CHECK_STR(input_next_mouse(m, first)->name, "PS/2");
    CHECK(!input_next_mouse(m, input_next_mouse(m, first)));
    CHECK(input_set_mouse(m, ps2.id, &err));
    CHECK(!input_pointer_is_abs(m));
    CHECK(!input_set_mouse(m, 77, &err));
    input_unregister(m, &ps2);
    input_unregister(m, &ps2);
    CHECK(input_pointer_is_abs(m));
    teardown();
}

static void hostile_rings_stop_it(void)
{
    setup(&virtio_tablet_pci_class);
    for (int round = 0; round < 300; round++) {
        start_driver(0);
        for (int i = 0; i < 40; i++)
            dma_write32(&m->mem, RING + (rnd() % 0x3000 & ~3u),
                        rnd() & 1   ? rnd()
                        : rnd() % 3 ? (uint32_t)BAR4
                                    : 0xffff);
        offer(rnd() % 20);
        for (int i = 0; i < 10; i++) {
            input_pointer_abs(m, (int)(rnd() & 0x7fff), 1, (int)(rnd() % 3), rnd());
            settle();
        }
    }
    teardown();
}

int main(void)
{
    RUN(tablet_says_what_it_is);
    RUN(tablet_reports_positions);
    RUN(releases_wait_for_room);
    RUN(mouse_reports_motion);
    RUN(wheel_as_buttons);
    RUN(keyboard_keeps_keys_for_later);
    RUN(status_queue_gives_back);
    RUN(state_is_saved);
    RUN(the_line_can_be_changed);
    RUN(hostile_rings_stop_it);
    return test_done();
}
