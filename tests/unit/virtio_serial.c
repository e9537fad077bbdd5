/*
 * virtio-serial with a driver of a few lines: the handshake over the control queues, data in both
 * directions with back-pressure, a driver without MULTIPORT, emergency writes; and drivers that
 * send nonsense. The chardevs at the other end are played by the test.
 */
#include "hw/virtio/virtio_serial.h"

#include "char/char_impl.h"
#include "devtest.h"
#include "hw/virtio/virtio.h"

#define BAR4  0xe0000000ull
#define RINGS 0x100000ull
#define DATA  0x400000ull
#define SLOTS 32u /* entries of every queue; slot n's buffer is buffer(queue, n) */
#define BYTES 64u

#define RX(port) ((port) ? 2 + 2 * (port) : 0u)
#define TX(port) (RX(port) + 1)
enum { CONTROL_RX = 2, CONTROL_TX = 3 };
enum {
    DEVICE_READY,
    PORT_ADD,
    PORT_REMOVE,
    PORT_READY,
    CONSOLE_PORT,
    RESIZE,
    PORT_OPEN,
    PORT_NAME
};

/* ---- what is at the other end ---- */

static char sent[4096];
static size_t sent_len, room;

static size_t fake_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    size_t n = len < room ? len : room;
    n = n < sizeof sent - sent_len ? n : sizeof sent - sent_len;
    memcpy(sent + sent_len, buf, n);
    sent_len += n;
    room -= n;
    return n;
}

static void fake_nothing(struct chardev *c)
{
}

static const struct chr_backend fake = { fake_write, fake_nothing, fake_nothing };

static struct chardev *new_line(const char *label, bool open)
{
    struct chardev *c = chr_alloc(m, label);
    c->ops = &fake;
    c->open = open;
    return c;
}

/* How much of @text the port took. */
static size_t type(struct chardev *c, const char *text)
{
    size_t done = 0, left = strlen(text);
    while (left) {
        size_t n = chr_backend_room(c);
        n = n < left ? n : left;
        if (!n)
            break;
        chr_backend_input(c, (const uint8_t *)text + done, n);
        done += n;
        left -= n;
    }
    return done;
}

/* ---- board: a console on port 0, a named port 1, a port 2 that leads nowhere ---- */

static struct virtio_device *dev;
static struct chardev *console, *agent;
static uint16_t offered[VIRTIO_MAX_QUEUES], seen[VIRTIO_MAX_QUEUES];

static struct device *add(const struct device_class *cls, const char *chardev, const char *name,
                          const char *nr)
{
    struct error err;
    struct device *d = device_new(m, cls);
    if ((chardev && !device_set_prop(d, "chardev", chardev, &err)) ||
        (name && !device_set_prop(d, "name", name, &err)) ||
        (nr && !device_set_prop(d, "nr", nr, &err)) || !device_realize(d, &err)) {
        printf("%s\n", err.msg);
        abort();
    }
    return d;
}

static void start_board(void)
{
    board_new();
    console = new_line("console", true);
    agent = new_line("agent", false);
    sent_len = 0;
    room = sizeof sent;
    dev = (struct virtio_device *)add(&virtio_serial_pci_class, NULL, NULL, NULL);
    add(&virtconsole_class, "console", NULL, NULL);
    add(&virtserialport_class, "agent", "org.example.agent", NULL);
    add(&virtserialport_class, NULL, NULL, "2");
    pci_device_reset(&dev->pci);
    board_reset();
    pci_config_write(&dev->pci, 0x20, (uint32_t)BAR4, 4);
    pci_config_write(&dev->pci, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

static void stop_board(void)
{
    console->open = agent->open = false; /* nobody reads what may still be queued */
    board_free();
}

/* ---- driver ---- */

static uint32_t mrd(uint64_t off, unsigned size)
{
    return (uint32_t)mem_read(&m->mem, BAR4 + off, size);
}

static void mwr(uint64_t off, uint32_t v, unsigned size)
{
    mem_write(&m->mem, BAR4 + off, v, size);
}

static uint64_t ring(unsigned q)
{
    return RINGS + 0x4000 * q;
}

static uint64_t buffer(unsigned q, unsigned slot)
{
    return DATA + 0x4000 * q + BYTES * slot;
}

static void driver_start(bool multiport)
{
    static const uint8_t zeros[0x4000];
    mwr(0x14, 0, 1);
    mwr(0x14, 3, 1);
    mwr(0x08, 0, 4);
    mwr(0x0c, multiport ? 1u << 1 : 0, 4);
    mwr(0x08, 1, 4);
    mwr(0x0c, 1, 4);
    mwr(0x14, 11, 1);
    for (unsigned q = 0; q < 8; q++) {
        dma_write(&m->mem, ring(q), zeros, sizeof zeros);
        offered[q] = seen[q] = 0;
        mwr(0x16, q, 2);
        mwr(0x18, SLOTS, 2);
        mwr(0x20, (uint32_t)ring(q), 4);
        mwr(0x24, 0, 4);
        mwr(0x28, (uint32_t)ring(q) + 0x1000, 4);
        mwr(0x2c, 0, 4);
        mwr(0x30, (uint32_t)ring(q) + 0x2000, 4);
        mwr(0x34, 0, 4);
        mwr(0x1c, 1, 2);
    }
    mwr(0x14, 15, 1);
    settle();
}

static void kick(unsigned q)
{
    mwr(0x3000 + 4 * q, q, 2);
    settle();
}

/* Offers a buffer of @len bytes, to be read (@text) or written (NULL) by the device. */
static void offer(unsigned q, const void *text, size_t len)
{
    unsigned slot = offered[q] % SLOTS;
    if (text)
        dma_write(&m->mem, buffer(q, slot), text, len);
    dma_write64(&m->mem, ring(q) + 16 * slot, buffer(q, slot));
    dma_write32(&m->mem, ring(q) + 16 * slot + 8, (uint32_t)len);
    dma_write32(&m->mem, ring(q) + 16 * slot + 12, text ? 0 : 2);
    dma_write16(&m->mem, ring(q) + 0x1004 + 2 * slot, (uint16_t)slot);
    dma_write16(&m->mem, ring(q) + 0x1002, ++offered[q]);
}

static unsigned used(unsigned q)
{
    return dma_read16(&m->mem, ring(q) + 0x2002);
}

/* Takes the next used buffer of @q: its contents (a string), NULL if there is none. */
static const char *take(unsigned q)
{
    static char text[BYTES + 1];
    if (used(q) == seen[q])
        return NULL;
    uint64_t at = ring(q) + 0x2004 + 8 * (seen[q]++ % SLOTS);
    uint32_t slot = dma_read32(&m->mem, at), len = dma_read32(&m->mem, at + 4);
    if (slot >= SLOTS || len > BYTES)
        return "(impossible)";
    dma_read(&m->mem, buffer(q, slot), text, len);
    text[len] = 0;
    return text;
}

static void control(uint32_t port, uint16_t event, uint16_t value)
{
    uint8_t b[8];
    pci_set32(b, port);
    pci_set16(b + 4, event);
    pci_set16(b + 6, value);
    offer(CONTROL_TX, b, sizeof b);
    kick(CONTROL_TX);
}

/* The next message from the device as text: "port event value[ name]". */
static const char *message(void)
{
    static char text[BYTES * 2];
    const char *b = take(CONTROL_RX);
    if (!b)
        return "none";
    const uint8_t *u = (const uint8_t *)b;
    snprintf(text, sizeof text, "%u %u %u%s%s", pci_get32(u), pci_get16(u + 4), pci_get16(u + 6),
             b[8] && pci_get16(u + 4) == PORT_NAME ? " " : "",
             pci_get16(u + 4) == PORT_NAME ? b + 8 : "");
    return text;
}

static void offer_control_buffers(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        /* the device ends a name with the buffer's end: clear what was there */
        static const uint8_t zeros[BYTES];
        dma_write(&m->mem, buffer(CONTROL_RX, offered[CONTROL_RX] % SLOTS), zeros, BYTES);
        offer(CONTROL_RX, NULL, BYTES);
    }
    kick(CONTROL_RX);
}

/* ---- cases ---- */

static void handshake_names_kinds_and_who_is_there(void)
{
    start_board();
    CHECK_EQ(mrd(0x12, 2), 64);                  /* queues */
    CHECK_EQ(mrd(0x2000 + 4, 4), 31);            /* max_nr_ports */
    CHECK_EQ(mrd(0x04, 4) & 7, 1 << 1 | 1 << 2); /* MULTIPORT, EMERG_WRITE, no SIZE */
    driver_start(true);
    offer_control_buffers(16);
    CHECK_STR(message(), "none"); /* until the driver is ready */
    control(0, DEVICE_READY, 1);
    CHECK_STR(message(), "0 1 1");
    CHECK_STR(message(), "1 1 1");
    CHECK_STR(message(), "2 1 1");
    CHECK_STR(message(), "none");
    control(0, PORT_READY, 1);
    CHECK_STR(message(), "0 4 1"); /* a console, open at once */
    CHECK_STR(message(), "0 6 1");
    CHECK_STR(message(), "none");
    control(1, PORT_READY, 1);
    CHECK_STR(message(), "1 7 1 org.example.agent"); /* nobody there yet */
    CHECK_STR(message(), "none");
    control(2, PORT_READY, 1);
    CHECK_STR(message(), "none");
    chr_backend_event(agent, CHR_EVENT_OPENED);
    CHECK_STR(message(), "1 6 1");
    chr_backend_event(agent, CHR_EVENT_CLOSED);
    CHECK_STR(message(), "1 6 0");
    CHECK_STR(message(), "none");
    CHECK_EQ(used(CONTROL_TX), 4);
    stop_board();
}

static void messages_wait_for_buffers(void)
{
    start_board();
    driver_start(true);
    control(0, DEVICE_READY, 1);
    for (int i = 0; i < 1000; i++) /* more than are kept */
        chr_backend_event(agent, i % 2 ? CHR_EVENT_CLOSED : CHR_EVENT_OPENED);
    offer_control_buffers(3);
    CHECK_STR(message(), "0 1 1");
    CHECK_STR(message(), "1 1 1");
    CHECK_STR(message(), "2 1 1");
    CHECK_STR(message(), "none");
    unsigned n = 0;
    offer_control_buffers(1);
    while (strcmp(message(), "none")) {
        n++;
        offer_control_buffers(1);
    }
    CHECK_EQ(n, 253); /* 256 in all */
    stop_board();

    /* A buffer too small for a message gets what fits; too small for a name, the start of it. */
    start_board();
    driver_start(true);
    offer(CONTROL_RX, NULL, 12);
    control(1, PORT_READY, 1);
    CHECK_STR(message(), "1 7 1 org.");
    offer(CONTROL_RX, NULL, 3);
    chr_backend_event(agent, CHR_EVENT_OPENED);
    CHECK_EQ(used(CONTROL_RX), 2);
    stop_board();
}

static void data_goes_both_ways_with_back_pressure(void)
{
    start_board();
    driver_start(true);
    /* To the host: what the chardev doesn't take yet stays with the device. */
    static const char filler[CHR_QUEUE_SIZE];
    room = 0;
    CHECK_EQ(chr_write(console, (const uint8_t *)filler, sizeof filler), CHR_QUEUE_SIZE);
    offer(TX(0), "first ", 6);
    offer(TX(0), "second", 6);
    kick(TX(0));
    CHECK_EQ(used(TX(0)), 0);
    while (console->queue_len || used(TX(0)) < 2) {
        sent_len = 0;
        room = 1000;
        size_t before = console->queue_len;
        chr_backend_writable(console);
        CHECK(console->queue_len < before || used(TX(0)) == 2);
    }
    CHECK(sent_len >= 12 && !memcmp(sent + sent_len - 12, "first second", 12));
    CHECK_EQ(used(TX(0)), 2);
    CHECK_EQ(dma_read32(&m->mem, ring(TX(0)) + 0x2008), 0); /* nothing written to them */

    /* To the guest: only into a port that the driver opened, only as much as it has buffers. */
    CHECK_EQ(type(console, "early"), 0);
    offer(RX(0), NULL, 4);
    offer(RX(0), NULL, 4);
    kick(RX(0));
    CHECK_EQ(type(console, "early"), 0);
    control(0, PORT_OPEN, 1);
    CHECK_EQ(type(console, "0123456789"), 8);
    CHECK_STR(take(RX(0)), "0123");
    CHECK_STR(take(RX(0)), "4567");
    CHECK(!take(RX(0)));
    offer(RX(0), NULL, 4);
    kick(RX(0));
    CHECK_EQ(type(console, "89"), 2);
    CHECK_STR(take(RX(0)), "89");
    control(0, PORT_OPEN, 0);
    offer(RX(0), NULL, 4);
    kick(RX(0));
    CHECK_EQ(type(console, "late"), 0);
    /* Data for a port that leads nowhere, or to nobody, is gone and its buffers come back. */
    offer(TX(2), "lost", 4);
    kick(TX(2));
    CHECK_EQ(used(TX(2)), 1);
    offer(TX(1), "lost", 4);
    kick(TX(1));
    CHECK_EQ(used(TX(1)), 1);
    stop_board();
}

static void driver_without_multiport_has_port_0(void)
{
    start_board();
    driver_start(false);
    offer_control_buffers(4);
    control(0, DEVICE_READY, 1);
    chr_backend_event(agent, CHR_EVENT_OPENED);
    CHECK_STR(message(), "none");
    offer(RX(0), NULL, 16);
    kick(RX(0));
    CHECK_EQ(type(console, "hello"), 5);
    CHECK_STR(take(RX(0)), "hello");
    offer(TX(0), "world", 5);
    kick(TX(0));
    CHECK_EQ(sent_len, 5);
    CHECK(!memcmp(sent, "world", 5));
    stop_board();
}

static void emergency_write_needs_no_driver(void)
{
    start_board();
    mwr(0x2000 + 8, 'E', 4);
    CHECK_EQ(sent_len, 1);
    CHECK_EQ(sent[0], 'E');
    stop_board();
}

/* Buffers that the device keeps across a reset of the driver, or at the end of the machine. */
static void reset_forgets_what_is_under_way(void)
{
    static const char filler[CHR_QUEUE_SIZE];
    start_board();
    for (int round = 0; round < 3; round++) {
        driver_start(true);
        room = 0;
        chr_write(console, (const uint8_t *)filler, sizeof filler);
        offer(TX(0), "kept", 4);
        kick(TX(0));
        control(0, PORT_OPEN, 1);
        offer(RX(0), NULL, 8);
        kick(RX(0));
        CHECK_EQ(chr_backend_room(console), 8); /* held for it */
        CHECK_EQ(used(TX(0)), 0);
        if (round == 2)
            break;
        mwr(0x14, 0, 1);
        CHECK_EQ(chr_backend_room(console), 0); /* closed */
        sent_len = 0;
        room = sizeof sent;
        chr_backend_writable(console);
        CHECK_EQ(used(TX(0)), 0);
        console->queue_len = 0;
    }
    stop_board();
}

static void nonsense_from_the_driver(void)
{
    start_board();
    driver_start(true);
    offer_control_buffers(SLOTS);
    /* Ports, events and values that don't exist. */
    for (unsigned i = 0; i < 3000; i++) {
        static const uint32_t ports[] = { 3, 30, 31, 32, 0x7fffffff, 0x80000000, UINT32_MAX };
        control(ports[i % 7], (uint16_t)(i < 300 ? i % 10 : rnd()), (uint16_t)rnd());
    }
    CHECK_EQ(mrd(0x14, 1), 15);
    while (strcmp(message(), "none")) /* each DEVICE_READY among them asked for the ports again */
        offer_control_buffers(1);
    /* Messages of no or few bytes, and long ones. */
    offer(CONTROL_TX, "", 0);
    offer(CONTROL_TX, "1234567", 7);
    offer(CONTROL_TX, "\0\0\0\0\0\0\1\0........................", 32);
    kick(CONTROL_TX);
    CHECK_STR(message(), "0 1 1"); /* the last one is DEVICE_READY */
    CHECK_EQ(mrd(0x14, 1), 15);
    /* A receive queue of buffers that can't be written: they come back, and the next one is used.
     */
    control(0, PORT_OPEN, 1);
    offer(RX(0), "x", 1);
    offer(RX(0), "x", 1);
    offer(RX(0), NULL, 8);
    kick(RX(0));
    CHECK_EQ(type(console, "input"), 5);
    CHECK_EQ(used(RX(0)), 3);
    /* A transmit queue of buffers that can only be written. */
    offer(TX(0), NULL, 8);
    offer(TX(0), "out", 3);
    kick(TX(0));
    CHECK_EQ(used(TX(0)), 2);
    CHECK(sent_len == 3 && !memcmp(sent, "out", 3));
    CHECK_EQ(mrd(0x14, 1), 15);
    /* Broken rings: the device stops until it is reset, whichever queue it is. */
    static const unsigned queues[] = { RX(0), TX(0), CONTROL_RX, CONTROL_TX, RX(1), TX(1) };
    for (unsigned i = 0; i < 6; i++) {
        unsigned q = queues[i];
        driver_start(true);
        control(1, PORT_OPEN, 1);
        control(0, PORT_OPEN, 1);
        offer(q, NULL, 8);
        dma_write16(&m->mem, ring(q) + 0x1002 + 2 * offered[q], SLOTS); /* a head out of range */
        kick(q);
        if (q == RX(0) || q == RX(1))
            type(q == RX(0) ? console : agent, "x");
        if (q == CONTROL_RX)
            control(0, DEVICE_READY, 1);
        CHECK_EQ(mrd(0x14, 1), 0x4f);
        chr_backend_event(agent, CHR_EVENT_OPENED);
        chr_backend_writable(console);
        CHECK_EQ(type(console, "x"), 0);
    }
    driver_start(true);
    offer_control_buffers(2);
    control(0, DEVICE_READY, 1);
    CHECK_STR(message(), "0 1 1");
    stop_board();
}

static void ports_are_checked(void)
{
    static const struct {
        const struct device_class *cls;
        const char *nr, *message;
    } cases[] = {
        { &virtserialport_class, "0", "port 0 is reserved for a virtconsole" },
        { &virtserialport_class, "1", "port 1 is taken" },
        { &virtconsole_class, "31", "the bus has 31 ports only" },
    };
    start_board();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err;
        struct device *d = device_new(m, cases[i].cls);
        CHECK(device_set_prop(d, "nr", cases[i].nr, &err));
        CHECK(!device_realize(d, &err));
        CHECK(strstr(err.msg, cases[i].message));
    }
    stop_board();
}

int main(void)
{
    RUN(handshake_names_kinds_and_who_is_there);
    RUN(messages_wait_for_buffers);
    RUN(data_goes_both_ways_with_back_pressure);
    RUN(driver_without_multiport_has_port_0);
    RUN(emergency_write_needs_no_driver);
    RUN(reset_forgets_what_is_under_way);
    RUN(nonsense_from_the_driver);
    RUN(ports_are_checked);
    return test_done();
}
