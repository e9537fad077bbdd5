/*
 * The keyboard controller, keyboard and mouse, through their ports.
 */
#include "devtest.h"
#include "hw/i8042.h"
#include "ui/display.h"

#define MS 1000000ll

static uint64_t insns;
static int a20;

static void set_a20(void *opaque, int n, int level)
{
    a20 = level;
}

static void setup(void)
{
    struct irq line = { set_a20, NULL, 0 };
    struct error err;
    board_new();
    m->clock.icount_shift = 0;
    m->clock.icount = &insns;
    m->input = input_new(m);
    if (!i8042_new(m, &m->isa_irq[1], &m->isa_irq[12], &line, &err))
        abort();
}

/* The next byte, waiting for it; -1: none comes. */
static int get(void)
{
    for (int i = 0; i < 20; i++, board_pass(MS)) {
        if (inb(0x64) & 1)
            return inb(0x60);
    }
    return -1;
}

static int ctrl(uint8_t cmd)
{
    outb(0x64, cmd);
    return get();
}

static int kbd(uint8_t value)
{
    outb(0x60, value);
    return get();
}

static int mouse(uint8_t value)
{
    outb(0x64, 0xd4);
    outb(0x60, value);
    return get();
}

static void set_mode(uint8_t mode)
{
    outb(0x64, 0x60);
    outb(0x60, mode);
}

#define CHECK_BYTES(...)                                                                           \
    do {                                                                                           \
        static const int want_bytes[] = { __VA_ARGS__, -1 };                                       \
        for (size_t i_ = 0; i_ < sizeof want_bytes / sizeof want_bytes[0]; i_++)                   \
            CHECK_EQ(get(), want_bytes[i_]);                                                       \
    } while (0)

static void press(uint8_t hid)
{
    input_key(m, hid, true);
    input_key(m, hid, false);
}

static void controller_commands(void)
{
    setup();
    CHECK_EQ(inb(0x64), 0x18);
    CHECK_EQ(ctrl(0xaa), 0x55);
    CHECK_EQ(inb(0x64) & 4, 4);
    CHECK_EQ(ctrl(0xab), 0);
    CHECK_EQ(ctrl(0xa9), 0);
    set_mode(0x47);
    CHECK_EQ(ctrl(0x20), 0x47);
    outb(0x64, 0xa7);
    CHECK_EQ(ctrl(0x20), 0x67);
    outb(0x64, 0xad);
    CHECK_EQ(ctrl(0x20), 0x77);
    outb(0x64, 0x75); /* RAM byte 21 */
    outb(0x60, 0x9c);
    CHECK_EQ(ctrl(0x35), 0x9c);
    outb(0x64, 0xd3); /* as from the mouse */
    outb(0x60, 0x5a);
    CHECK_EQ(inb(0x64) & 0x21, 0x21);
    CHECK_EQ(inb(0x60), 0x5a);
    board_free();
}

static void a20_and_reset(void)
{
    setup();
    CHECK_EQ(a20, 1);
    outb(0x64, 0xd1);
    outb(0x60, 0xcd);
    CHECK_EQ(a20, 0);
    CHECK_EQ(ctrl(0xd0), 0xcd);
    outb(0x64, 0xdf);
    CHECK_EQ(a20, 1);
    outb(0x64, 0xdd);
    CHECK_EQ(a20, 0);
    CHECK(!m->reset_requested);
    outb(0x64, 0xff);
    CHECK(!m->reset_requested);
    outb(0x64, 0xfe);
    CHECK(m->reset_requested);
    board_free();
}

static void keyboard_commands(void)
{
    setup();
    set_mode(0x03);
    CHECK_EQ(kbd(0xff), 0xfa);
    CHECK_EQ(get(), 0xaa);
    CHECK_EQ(kbd(0xf2), 0xfa);
    CHECK_BYTES(0xab, 0x83);
    CHECK_EQ(kbd(0xee), 0xee);
    CHECK_EQ(kbd(0xed), 0xfa);
    CHECK_EQ(kbd(0x07), 0xfa);
    CHECK_EQ(kbd(0xf0), 0xfa);
    CHECK_EQ(kbd(0x00), 0xfa);
    CHECK_EQ(get(), 2);
    CHECK_EQ(kbd(0xfe), 2);
    CHECK_EQ(kbd(0x12), 0xfe); /* no command */
    CHECK_EQ(kbd(0xed), 0xfa);
    CHECK_EQ(kbd(0xf2), 0xfa); /* a command in place of the argument */
    CHECK_BYTES(0xab, 0x83);
    board_free();
}

static void keys_in_all_sets(void)
{
    setup();
    set_mode(0x43); /* translated: set 1 */
    press(0x04);
    CHECK_BYTES(0x1e, 0x9e);
    press(0x52); /* up */
    CHECK_BYTES(0xe0, 0x48, 0xe0, 0xc8);
    press(0x40); /* F7, the one code above 0x80 */
    CHECK_BYTES(0x41, 0xc1);
    input_key(m, 0x48, true); /* Pause */
    CHECK_BYTES(0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5);
    input_key(m, 0x48, false);
    CHECK_EQ(get(), -1);
    press(0x46); /* Print Screen */
    CHECK_BYTES(0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa);
    set_mode(0x03); /* as the keyboard sends: set 2 */
    press(0x04);
    CHECK_BYTES(0x1c, 0xf0, 0x1c);
    CHECK_EQ(kbd(0xf0), 0xfa);
    CHECK_EQ(kbd(0x01), 0xfa);
    press(0x52);
    CHECK_BYTES(0xe0, 0x48, 0xe0, 0xc8);
    CHECK_EQ(kbd(0xf0), 0xfa);
    CHECK_EQ(kbd(0x03), 0xfa);
    press(0x04); /* no break codes but for some keys */
    press(0xe0);
    CHECK_BYTES(0x1c, 0x11, 0xf0, 0x11);
    CHECK_EQ(kbd(0xf8), 0xfa);
    press(0x04);
    CHECK_BYTES(0x1c, 0xf0, 0x1c);
    board_free();
}

/* Every key that has a name gives codes, and releases what it pressed. */
static void every_key_has_codes(void)
{
    setup();
    set_mode(0x43);
    for (int hid = 4; hid < 0x65; hid++) {
        input_key(m, (uint8_t)hid, true);
        CHECK(get() > 0);
        while (get() >= 0) {
        }
        input_key(m, (uint8_t)hid, false);
        int last = -1, v;
        while ((v = get()) >= 0)
            last = v;
        CHECK(hid == 0x48 ? last == -1 : last >= 0x80);
    }
    board_free();
}

static void byte_stays_until_the_next_arrives(void)
{
    setup();
    set_mode(0x43);
    press(0x04);
    CHECK_EQ(isa_level[1], 1);
    CHECK_EQ(isa_edges[1], 1);
    CHECK_EQ(inb(0x60), 0x1e);
    CHECK_EQ(isa_level[1], 0);
    CHECK_EQ(inb(0x60), 0x1e); /* a chained handler */
    board_pass(MS);
    CHECK_EQ(isa_edges[1], 2);
    CHECK_EQ(inb(0x60), 0x9e);
    set_mode(0x42); /* no interrupt */
    press(0x04);
    board_pass(MS);
    CHECK_EQ(isa_edges[1], 2);
    CHECK_EQ(inb(0x64) & 0x21, 1);
    board_free();
}

/* A host that doesn't read: whole sequences are kept, the rest is one overrun code. */
static void keyboard_queue_is_bounded(void)
{
    setup();
    set_mode(0x13);
    for (int i = 0; i < 100; i++)
        press(0x04);
    set_mode(0x03);
    int count = 0, overruns = 0, v;
    while ((v = get()) >= 0) {
        count++;
        overruns += v == 0;
        CHECK(v == 0x1c || v == 0xf0 || v == 0);
    }
    CHECK_EQ(count, 16);
    CHECK(overruns >= 1);
    board_free();
}

static void mouse_packets(void)
{
    setup();
    set_mode(0x03);
    CHECK_EQ(mouse(0xff), 0xfa);
    CHECK_BYTES(0xaa, 0x00);
    input_pointer_rel(m, 5, 5, 0, 0); /* not enabled */
    CHECK_EQ(get(), -1);
    CHECK_EQ(mouse(0xf6), 0xfa);
    CHECK_EQ(mouse(0xf4), 0xfa);
    board_pass(MS);
    input_pointer_rel(m, 5, 7, 0, 1); /* down on the screen is negative */
    CHECK_EQ(isa_level[12], 1);
    CHECK_BYTES(0x29, 5, 0xf9);
    input_pointer_rel(m, -300, 0, 0, 0); /* more than nine bits: two packets */
    CHECK_BYTES(0x18, 0x01, 0, 0x18, 0xd3, 0);
    CHECK_EQ(mouse(0xe9), 0xfa);
    CHECK_BYTES(0x20, 2, 100);
    board_free();
}

static void mouse_click_between_samples_is_seen(void)
{
    setup();
    set_mode(0x03);
    CHECK_EQ(mouse(0xf4), 0xfa);
    input_pointer_rel(m, 1, 0, 0, 0);
    input_pointer_rel(m, 0, 0, 0, 1);
    input_pointer_rel(m, 0, 0, 0, 0);
    CHECK_BYTES(8, 1, 0, 9, 0, 0, 8, 0, 0);
    board_free();
}

static void knock(const uint8_t *rates)
{
    for (int i = 0; i < 3; i++) {
        mouse(0xf3);
        mouse(rates[i]);
    }
}

static void mouse_wheel_and_side_buttons(void)
{
    static const uint8_t wheel[] = { 200, 100, 80 }, explorer[] = { 200, 200, 80 };
    setup();
    set_mode(0x03);
    knock(wheel);
    CHECK_EQ(mouse(0xf2), 0xfa);
    CHECK_EQ(get(), 3);
    CHECK_EQ(mouse(0xf4), 0xfa);
    input_pointer_rel(m, 0, 0, -1, 0);
    CHECK_BYTES(8, 0, 0, 0xff);
    knock(explorer);
    CHECK_EQ(mouse(0xf2), 0xfa);
    CHECK_EQ(get(), 4);
    input_pointer_rel(m, 0, 0, 1, 0x10);
    CHECK_BYTES(8, 0, 0, 0x21);
    board_free();
}

static void mouse_remote_and_wrap(void)
{
    setup();
    set_mode(0x03);
    CHECK_EQ(mouse(0xf0), 0xfa);
    CHECK_EQ(mouse(0xf4), 0xfa);
    input_pointer_rel(m, 3, 0, 0, 2);
    CHECK_EQ(get(), -1);
    CHECK_EQ(mouse(0xeb), 0xfa);
    CHECK_BYTES(0x0a, 3, 0);
    CHECK_EQ(mouse(0xee), 0xfa);
    CHECK_EQ(mouse(0x42), 0x42);
    CHECK_EQ(mouse(0xec), 0xfa);
    CHECK_EQ(mouse(0xf2), 0xfa);
    CHECK_EQ(get(), 0);
    board_free();
}

static void absolute_positions_become_motion(void)
{
    setup();
    set_mode(0x03);
    CHECK_EQ(mouse(0xf4), 0xfa);
    input_pointer_abs(m, 0x4000, 0x4000, 0, 0);
    CHECK_EQ(get(), -1);
    input_pointer_abs(m, 0x4000 + 0x200, 0x4000, 0, 0); /* a 64th of 640 pixels */
    CHECK_BYTES(8, 10, 0);
    board_free();
}

static void sendkey_presses_and_releases(void)
{
    uint8_t hids[INPUT_COMBO_MAX];
    struct error err;
    setup();
    set_mode(0x43);
    CHECK_EQ(input_parse_combo("ctrl-alt-delete", hids, &err), 3);
    CHECK(input_send_combo(m, hids, 3, 50));
    CHECK_EQ(input_parse_combo("a", hids, &err), 1);
    CHECK(input_send_combo(m, hids, 1, 0));
    CHECK_BYTES(0x1d, 0x38, 0xe0, 0x53);
    board_pass(45 * MS);
    CHECK_BYTES(0xe0, 0xd3, 0xb8, 0x9d, 0x1e);
    board_pass(100 * MS);
    CHECK_BYTES(0x9e);
    CHECK_EQ(input_parse_combo("ctrl-nokey", hids, &err), 0);
    CHECK_STR(err.msg, "key 'nokey' is unknown");
    CHECK_EQ(input_parse_combo("", hids, &err), 0);
    board_free();
}

static void release_all_lets_go(void)
{
    setup();
    set_mode(0x43);
    input_key(m, 0xe2, true);
    CHECK_BYTES(0x38);
    input_release_all(m);
    CHECK_BYTES(0xb8);
    input_release_all(m);
    CHECK_EQ(get(), -1);
    board_free();
}

/* Anything may be written at any time. */
static void fuzz(void)
{
    uint32_t seed = 42;
    setup();
    for (int i = 0; i < 300000; i++) {
        seed = seed * 1664525u + 1013904223u;
        uint8_t value = (uint8_t)(seed >> 16);
        switch (seed >> 28) {
        case 0:
        case 1:
        case 2: outb(0x64, value); break;
        case 3:
        case 4:
        case 5: outb(0x60, value); break;
        case 6: outb(0x64, 0xd4); break;
        case 7: input_key(m, value, seed & 0x100); break;
        case 8:
            input_pointer_rel(m, (int)seed >> 16, (int)seed >> 8, value - 128, seed >> 9 & 31);
            break;
        case 9: input_pointer_abs(m, (int)seed, (int)(seed * 7), 0, 0); break;
        case 10: board_pass(value * 10000); break;
        case 11: inb(0x64); break;
        default: inb(0x60);
        }
    }
    board_reset();
    CHECK_EQ(ctrl(0xaa), 0x55);
    board_free();
}

int main(void)
{
    RUN(controller_commands);
    RUN(a20_and_reset);
    RUN(keyboard_commands);
    RUN(keys_in_all_sets);
    RUN(every_key_has_codes);
    RUN(byte_stays_until_the_next_arrives);
    RUN(keyboard_queue_is_bounded);
    RUN(mouse_packets);
    RUN(mouse_click_between_samples_is_seen);
    RUN(mouse_wheel_and_side_buttons);
    RUN(mouse_remote_and_wrap);
    RUN(absolute_positions_become_motion);
    RUN(sendkey_presses_and_releases);
    RUN(release_all_lets_go);
    RUN(fuzz);
    return test_done();
}
