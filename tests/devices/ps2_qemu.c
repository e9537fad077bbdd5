/*
 * The keyboard controller with keyboard and mouse against QEMU's: the same commands to both and the
 * same answers; every key that has a name, in all scan code sets; mouse packets. QEMU runs a BIOS
 * that only halts, because it drops input while stopped.
 */
#include <stdlib.h>
#include <unistd.h>

#include "../unit/devtest.h"
#include "hw/i8042.h"
#include "qtest.h"
#include "ui/display.h"

#define BIOS_SIZE 65536
#define MAX_BYTES 64

static struct qtest *qemu;
static uint64_t insns;

struct bytes {
    int count;
    uint8_t data[MAX_BYTES], aux[MAX_BYTES];
};

/* All that the controllers have to say now. */
static void drain_ours(struct bytes *b)
{
    b->count = 0;
    for (int quiet = 0; quiet < 3; quiet++) {
        board_pass(20000000);
        uint8_t status = inb(0x64);
        if ((status & 1) && b->count < MAX_BYTES) {
            b->aux[b->count] = (status & 0x20) != 0;
            b->data[b->count++] = inb(0x60);
            quiet = 0;
        }
    }
}

static void drain_qemu(struct bytes *b)
{
    b->count = 0;
    for (uint32_t status; (status = qtest_in(qemu, 0x64, 1)) & 1 && b->count < MAX_BYTES;) {
        b->aux[b->count] = (status & 0x20) != 0;
        b->data[b->count++] = (uint8_t)qtest_in(qemu, 0x60, 1);
    }
}

static void print_bytes(const char *who, const struct bytes *b)
{
    printf("  %s:", who);
    for (int i = 0; i < b->count; i++)
        printf(" %02x%s", b->data[i], b->aux[i] ? "(aux)" : "");
    printf("\n");
}

static bool same_bytes(const char *what)
{
    struct bytes ours, theirs;
    drain_ours(&ours);
    drain_qemu(&theirs);
    if (ours.count == theirs.count && !memcmp(ours.data, theirs.data, (size_t)ours.count) &&
        !memcmp(ours.aux, theirs.aux, (size_t)ours.count))
        return true;
    printf("%s:\n", what);
    print_bytes("ours", &ours);
    print_bytes("QEMU", &theirs);
    return false;
}

static void out(uint16_t port, uint8_t value)
{
    outb(port, value);
    qtest_out(qemu, port, value, 1);
}

static void key(const char *name, uint8_t hid, bool down)
{
    char json[256];
    snprintf(json, sizeof json,
             "{\"execute\": \"input-send-event\", \"arguments\": {\"events\": [{\"type\": \"key\", "
             "\"data\": {\"down\": %s, \"key\": {\"type\": \"qcode\", \"data\": \"%s\"}}}]}}",
             down ? "true" : "false", name);
    qtest_qmp(qemu, json);
    input_key(m, hid, down);
}

static void move(int dx, int dy)
{
    char json[256];
    snprintf(json, sizeof json,
             "{\"execute\": \"input-send-event\", \"arguments\": {\"events\": ["
             "{\"type\": \"rel\", \"data\": {\"axis\": \"x\", \"value\": %d}}, "
             "{\"type\": \"rel\", \"data\": {\"axis\": \"y\", \"value\": %d}}]}}",
             dx, dy);
    qtest_qmp(qemu, json);
    input_pointer_rel(m, dx, dy, 0, 0);
}

static void reset_both(void)
{
    struct bytes b;
    out(0x64, 0x60);
    out(0x60, 0x00);
    out(0x60, 0xff);
    drain_ours(&b);
    drain_qemu(&b);
    out(0x64, 0xd4);
    out(0x60, 0xff);
    drain_ours(&b);
    drain_qemu(&b);
}

static void controller(void)
{
    static const uint8_t commands[] = { 0xaa, 0xab, 0xa9, 0x20, 0xa7, 0x20, 0xa8,
                                        0x20, 0xad, 0x20, 0xae, 0x20, 0xc0, 0xd0 };
    char what[64];
    reset_both();
    for (unsigned i = 0; i < sizeof commands; i++) {
        out(0x64, commands[i]);
        snprintf(what, sizeof what, "controller command %02x", commands[i]);
        CHECK(same_bytes(what));
    }
    for (unsigned cmd = 0xd2; cmd <= 0xd3; cmd++) {
        out(0x64, (uint8_t)cmd);
        out(0x60, 0xa5);
        CHECK(same_bytes("buffer write"));
    }
}

static void keyboard_commands(void)
{
    static const uint8_t commands[] = { 0xf2, 0xee, 0xed, 0x02, 0xf0, 0x00, 0xf0, 0x01,
                                        0xf0, 0x00, 0xf0, 0x03, 0xf0, 0x00, 0xf3, 0x20,
                                        0xf4, 0xf5, 0xf6, 0xf0, 0x00, 0xff };
    char what[64];
    reset_both();
    for (unsigned i = 0; i < sizeof commands; i++) {
        out(0x60, commands[i]);
        snprintf(what, sizeof what, "keyboard byte %02x (%u)", commands[i], i);
        CHECK(same_bytes(what));
    }
}

/* QEMU 7.2 has no F13 to F24. It has codes for the keys of a Sun keyboard and for Korean ones,
 * which we don't. In set 3 we have IBM's codes for the keypad's divide and subtract, QEMU those of
 * the main keys, and none for "ro". */
static bool is_left_out(int set, int hid)
{
    bool f13 = hid >= 0x68 && hid <= 0x73, sun = hid >= 0x74 && hid <= 0x7e;
    return f13 || sun || hid == 0x90 || hid == 0x91 ||
           (set == 3 && (hid == 0x54 || hid == 0x56 || hid == 0x87));
}

static void keys(int set, uint8_t mode)
{
    char what[64];
    reset_both();
    out(0x64, 0x60);
    out(0x60, mode);
    out(0x60, 0xf0);
    CHECK(same_bytes("f0"));
    out(0x60, (uint8_t)set);
    CHECK(same_bytes("set"));
    if (set == 3) {
        struct bytes ack;
        outb(0x60, 0xf8); /* break codes of all keys: QEMU always sends them */
        drain_ours(&ack);
    }
    unsigned differ = 0;
    for (int hid = 4; hid < 256; hid++) {
        const char *name = input_name_of_hid((uint8_t)hid);
        if (!name || is_left_out(set, hid))
            continue;
        for (int down = 1; down >= 0; down--) {
            key(name, (uint8_t)hid, down);
            snprintf(what, sizeof what, "set %d, %s %s", set, name, down ? "down" : "up");
            differ += !same_bytes(what);
        }
    }
    CHECK_EQ(differ, 0);
}

static void keys_translated(void)
{
    keys(2, 0x40);
}

static void keys_set_1(void)
{
    keys(1, 0x00);
}

static void keys_set_2(void)
{
    keys(2, 0x00);
}

static void keys_set_3(void)
{
    keys(3, 0x00);
}

static void mouse_bytes(const uint8_t *bytes, unsigned count)
{
    char what[64];
    for (unsigned i = 0; i < count; i++) {
        out(0x64, 0xd4);
        out(0x60, bytes[i]);
        snprintf(what, sizeof what, "mouse byte %02x (%u)", bytes[i], i);
        CHECK(same_bytes(what));
    }
}

static void mouse_commands(void)
{
    static const uint8_t commands[] = { 0xf2, 0xe9, 0xe8, 3,    0xe7, 0xe9, 0xf3,
                                        40,   0xe9, 0xf0, 0xe9, 0xeb, 0xea, 0xee,
                                        0x12, 0xec, 0xf4, 0xe9, 0xf6, 0xe9, 0xff };
    reset_both();
    mouse_bytes(commands, sizeof commands);
}

static void mouse_motion(void)
{
    static const uint8_t enable[] = { 0xf4 }, wheel[] = { 0xf3, 200, 0xf3, 100, 0xf3, 80, 0xf2 },
                         explorer[] = { 0xf3, 200, 0xf3, 200, 0xf3, 80, 0xf2 };
    reset_both();
    mouse_bytes(enable, 1);
    move(5, 9);
    CHECK(same_bytes("move"));
    move(-100, -3);
    CHECK(same_bytes("move back"));
    mouse_bytes(wheel, sizeof wheel);
    move(1, 1);
    CHECK(same_bytes("with wheel"));
    mouse_bytes(explorer, sizeof explorer);
    move(-1, -1);
    CHECK(same_bytes("explorer"));
}

/* 64 KB of ROM whose reset vector halts. */
static void write_bios(char *path)
{
    static uint8_t rom[BIOS_SIZE];
    static const uint8_t code[] = { 0xfa, 0xf4, 0xeb, 0xfd };
    int fd = mkstemp(path);
    memcpy(rom + BIOS_SIZE - 16, code, sizeof code);
    if (fd < 0 || write(fd, rom, sizeof rom) != (ssize_t)sizeof rom)
        abort();
    close(fd);
}

int main(void)
{
    char path[] = "/tmp/slipway-bios-XXXXXX";
    write_bios(path);
    const char *args[] = { "-bios", path, NULL };
    qemu = qtest_start(args);
    unlink(path);
    if (!qemu) {
        printf("no QEMU here: skipped\n");
        return 77;
    }
    qtest_qmp(qemu, "{\"execute\": \"cont\"}");

    struct error err;
    struct irq none = { NULL, NULL, 0 };
    board_new();
    m->clock.icount_shift = 0;
    m->clock.icount = &insns;
    m->input = input_new(m);
    if (!i8042_new(m, &none, &none, &none, &err))
        abort();

    RUN(controller);
    RUN(keyboard_commands);
    RUN(keys_translated);
    RUN(keys_set_1);
    RUN(keys_set_2);
    RUN(keys_set_3);
    RUN(mouse_commands);
    RUN(mouse_motion);

    qtest_stop(qemu);
    board_free();
    return test_done();
}
