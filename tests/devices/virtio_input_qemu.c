/*
 * virtio-keyboard-pci, virtio-mouse-pci and virtio-tablet-pci beside QEMU's: identity, every answer
 * of the configuration space, and the events in the driver's buffers for the same input.
 */
#include "both.h"
#include "hw/virtio/virtio_input.h"
#include "ui/display.h"

#define SLOT          3
#define BAR4          0xe0000000u
#define RING          0x100000u
#define BUF           0x200000u
#define QSIZE         32u
#define FIRST_NEW_KEY 176
#define HID_F13       0x68
#define HID_F24       0x73
#define CONFIG        (BAR4 + 0x2000)
#define NOTIFY        (BAR4 + 0x3000)

static struct pci_device *dev;
static unsigned offered;

static void wr(uint64_t addr, uint32_t v, unsigned size)
{
    qtest_write(qemu, addr, v, size);
    mem_write(&m->mem, addr, v, size);
    settle();
}

static uint32_t rd(uint64_t addr, unsigned size, uint32_t mask)
{
    uint32_t theirs = (uint32_t)qtest_read(qemu, addr, size);
    uint32_t ours = (uint32_t)mem_read(&m->mem, addr, size);
    if ((theirs ^ ours) & mask)
        DIFFER("0x%llx is 0x%x, QEMU's 0x%x", (unsigned long long)addr, ours, theirs);
    return ours;
}

static void config(unsigned reg, uint32_t v)
{
    qtest_pci_write(qemu, SLOT, reg, v);
    pci_config_write(dev, (uint8_t)reg, v, 4);
}

static void identity(void)
{
    for (unsigned reg = 0; reg < 0x30; reg += 8) {
        uint32_t theirs = qtest_pci_read(qemu, SLOT, reg),
                 ours = pci_config_read(dev, (uint8_t)reg, 4);
        if (theirs != ours && (reg == 0 || reg == 8))
            DIFFER("configuration 0x%02x is 0x%08x, QEMU's 0x%08x", reg, ours, theirs);
    }
}

/* QEMU's keyboard has keys that HID's page of keys doesn't know; ours must be among them, but for
 * F13 to F24. */
static void answers(bool keyboard)
{
    for (unsigned select = 0; select < 0x20; select++)
        for (unsigned subsel = 0; subsel < 0x20; subsel++) {
            bool keys = keyboard && select == 0x11 && subsel == 1;
            static char where[32];
            snprintf(where, sizeof where, "select 0x%02x,0x%02x", select, subsel);
            step = where;
            wr(CONFIG, select, 1);
            wr(CONFIG + 1, subsel, 1);
            unsigned size = rd(CONFIG + 2, 1, keys ? 0 : 0xff);
            for (unsigned i = 0; i < size; i++) {
                if (!keys) {
                    rd(CONFIG + 8 + i, 1, 0xff);
                    continue;
                }
                uint8_t theirs = (uint8_t)qtest_read(qemu, CONFIG + 8 + i, 1);
                uint8_t ours = (uint8_t)mem_read(&m->mem, CONFIG + 8 + i, 1);
                if (i * 8 < FIRST_NEW_KEY && (ours & ~theirs))
                    DIFFER("keys %u: 0x%02x, QEMU's 0x%02x", i * 8, ours, theirs);
            }
        }
}

static void offer(unsigned n)
{
    while (n--) {
        unsigned i = offered++ % QSIZE;
        uint8_t d[16] = { 0 };
        pci_set32(d, BUF + 8 * i);
        pci_set32(d + 8, 8);
        d[12] = 2;
        poke(RING + 16 * i, d, sizeof d);
        uint8_t head[2] = { (uint8_t)i, 0 };
        poke(RING + 0x1004 + 2 * i, head, 2);
    }
    uint8_t index[2] = { (uint8_t)offered, (uint8_t)(offered >> 8) };
    poke(RING + 0x1002, index, 2);
    wr(NOTIFY, 0, 2);
}

static void start(void)
{
    step = "start";
    static const uint8_t zeros[0x3000];
    offered = 0;
    poke(RING, zeros, sizeof zeros);
    poke(BUF, zeros, 8 * QSIZE);
    rd(BAR4 + 0x12, 2, 0xffff);
    wr(BAR4 + 0x14, 0, 1);
    wr(BAR4 + 0x14, 3, 1);
    wr(BAR4 + 0x08, 1, 4);
    wr(BAR4 + 0x0c, 1, 4);
    wr(BAR4 + 0x14, 11, 1);
    rd(BAR4 + 0x14, 1, 0xff);
    wr(BAR4 + 0x16, 0, 2);
    rd(BAR4 + 0x18, 2, 0xffff);
    wr(BAR4 + 0x18, QSIZE, 2);
    for (unsigned i = 0; i < 3; i++) {
        wr(BAR4 + 0x20 + 8 * i, RING + 0x1000 * i, 4);
        wr(BAR4 + 0x24 + 8 * i, 0, 4);
    }
    wr(BAR4 + 0x1c, 1, 2);
    wr(BAR4 + 0x14, 15, 1);
    rd(BAR4 + 0x14, 1, 0xff);
    offer(QSIZE - 1);
}

/* The same event for both; then rings and buffers are the same. */
static void send(const char *events)
{
    static char text[512];
    step = events;
    snprintf(text, sizeof text,
             "{\"execute\": \"input-send-event\", \"arguments\": {\"events\": [%s]}}", events);
    qtest_qmp(qemu, text);
}

static void compare(void)
{
    settle();
    qtest_in(qemu, 0x80, 1);
    compare_memory(RING + 0x2000, 4 + 8 * QSIZE);
    compare_memory(BUF, 8 * QSIZE);
    offer(dma_read16(&m->mem, RING + 0x2002) + QSIZE - 1 - offered);
}

#define ABS_EVENT(axis, value)                                                                     \
    "{\"type\": \"abs\", \"data\": {\"axis\": \"" axis "\", \"value\": " value "}}"
#define REL_EVENT(axis, value)                                                                     \
    "{\"type\": \"rel\", \"data\": {\"axis\": \"" axis "\", \"value\": " value "}}"
#define BTN_EVENT(button, down)                                                                    \
    "{\"type\": \"btn\", \"data\": {\"button\": \"" button "\", \"down\": " down "}}"

static void buttons(bool absolute)
{
    static const char *const names[] = { "left", "right", "middle", "side", "extra" };
    for (unsigned i = 0; i < 10; i++) {
        char event[128];
        snprintf(event, sizeof event,
                 "{\"type\": \"btn\", \"data\": {\"button\": \"%s\", \"down\": %s}}", names[i / 2],
                 i & 1 ? "false" : "true");
        send(event);
        unsigned state = i & 1 ? 0 : 1u << i / 2;
        if (absolute)
            input_pointer_abs(m, 0x7fff, 77, 0, state);
        else
            input_pointer_rel(m, 0, 0, 0, state);
        compare();
    }
    /* QEMU lets go of a button that it has never pressed, too, if it is told to. */
    send(BTN_EVENT("wheel-up", "true"));
    input_pointer_rel(m, 0, 0, -1, 0);
    compare();
    send(BTN_EVENT("wheel-down", "true"));
    input_pointer_rel(m, 0, 0, 1, 0);
    compare();
}

static void tablet_events(void)
{
    send(ABS_EVENT("x", "1000") "," ABS_EVENT("y", "2000"));
    input_pointer_abs(m, 1000, 2000, 0, 0);
    compare();
    send(ABS_EVENT("x", "32767") "," ABS_EVENT("y", "77"));
    input_pointer_abs(m, 32767, 77, 0, 0);
    compare();
    buttons(true);
}

static void mouse_events(void)
{
    send(REL_EVENT("x", "5") "," REL_EVENT("y", "-300"));
    input_pointer_rel(m, 5, -300, 0, 0);
    compare();
    buttons(false);
}

static void keyboard_events(void)
{
    for (unsigned hid = 1; hid < 256; hid++) {
        const char *name = input_name_of_hid((uint8_t)hid);
        if (!name || (hid >= HID_F13 && hid <= HID_F24))
            continue;
        for (int down = 1; down >= 0; down--) {
            char event[160];
            snprintf(event, sizeof event,
                     "{\"type\": \"key\", \"data\": {\"key\": {\"type\": \"qcode\", \"data\": "
                     "\"%s\"}, \"down\": %s}}",
                     name, down ? "true" : "false");
            send(event);
            input_key(m, (uint8_t)hid, down);
            compare();
        }
    }
}

static bool run(const struct device_class *cls, void (*events)(void))
{
    static char device[64];
    char path[] = "/tmp/slipway-bios-XXXXXX";
    static uint8_t hlt[65536];
    struct error err;
    int fd = mkstemp(path);
    memset(hlt, 0xf4, sizeof hlt);
    if (fd < 0 || write(fd, hlt, sizeof hlt) != (ssize_t)sizeof hlt)
        abort();
    close(fd);
    snprintf(device, sizeof device, "%s,addr=3", cls->name);
    const char *args[] = { "-m", "16", "-device", device, "-bios", path, NULL };
    qemu = qtest_start(args);
    unlink(path);
    if (!qemu)
        return false;
    qtest_qmp(qemu, "{\"execute\": \"cont\"}");
    board_new();
    m->input = input_new(m);
    dev = (struct pci_device *)device_new(m, cls);
    if (!dev || !device_realize(&dev->dev, &err))
        abort();
    pci_device_reset(dev);
    device_reset(&dev->dev);
    step = cls->name;
    identity();
    config(0x20, BAR4);
    config(0x24, 0);
    config(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    answers(cls == &virtio_keyboard_pci_class);
    start();
    events();
    qtest_stop(qemu);
    board_free();
    return true;
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!run(&virtio_tablet_pci_class, tablet_events)) {
        printf("no QEMU here: skipped\n");
        return 77;
    }
    run(&virtio_mouse_pci_class, mouse_events);
    run(&virtio_keyboard_pci_class, keyboard_events);
    printf("%d differences\n", differences);
    return differences != 0;
}
