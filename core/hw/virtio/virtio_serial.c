/*
 * virtio-serial-pci: a console device with several ports (virtio 1.2, 5.3), and the devices
 * virtconsole and virtserialport that plug into it and lead to a chardev.
 *
 * Queues: 0 and 1 carry port 0 (to and from the driver), 2 and 3 control messages, 4 + 2n and 5 +
 * 2n port n + 1. A driver that doesn't know MULTIPORT only has port 0. Otherwise it says
 * DEVICE_READY, is told of each port (PORT_ADD), answers PORT_READY, and is told the port's kind,
 * name and whether someone is at the other end; PORT_OPEN says the same in both directions.
 *
 * To the chardev: an element that the chardev doesn't take whole stays as `tx` until it is writable
 * again. From it: a buffer of the driver's is held as `rx`, and the chardev may only send as much
 * as it holds. Control messages to the driver wait in a bounded list until it offers buffers.
 */
#include "hw/virtio/virtio_serial.h"

#include <stdlib.h>
#include <string.h>

#include "char/char.h"
#include "hw/virtio/virtio.h"
#include "machine.h"

#define MAX_PORTS    31u
#define QUEUE_SIZE   128
#define CONTROL_SIZE 32
#define CONFIG_SIZE  12
#define MESSAGES     256u
#define NAME_MAX_LEN 64u
#define TX_CHUNK     4096u
#define CONFIG_EMERG 8

enum {
    F_MULTIPORT = 1,
    F_EMERG_WRITE = 2,

    CONTROL_RX = 2, /* queue numbers */
    CONTROL_TX = 3,

    DEVICE_READY = 0,
    PORT_ADD = 1,
    PORT_READY = 3,
    CONSOLE_PORT = 4,
    PORT_OPEN = 6,
    PORT_NAME = 7,
};

struct port;

struct message {
    uint32_t id;
    uint16_t event, value;
};

struct virtio_serial {
    struct virtio_device virtio;
    uint32_t max_ports;
    struct port *ports[MAX_PORTS];
    struct message messages[MESSAGES]; /* to the driver */
    unsigned first, waiting;
};

struct port {
    struct device dev;
    struct virtio_serial *bus;
    struct chardev *chr;
    char *name;
    uint32_t nr;
    bool console;
    bool guest_open, host_open;
    struct virtq_elem *rx, *tx;
    uint64_t tx_done;
};

static struct virtqueue *port_queue(struct port *p, bool to_driver)
{
    unsigned n = p->nr == 0 ? 0 : 2 + 2 * p->nr;

    return &p->bus->virtio.queues[n + !to_driver];
}

static bool multiport(const struct virtio_serial *s)
{
    return virtio_has_feature(&s->virtio, F_MULTIPORT);
}

/* ---- control messages ---- */

static void send_messages(struct virtio_serial *s)
{
    struct virtqueue *vq = &s->virtio.queues[CONTROL_RX];
    struct virtq_elem *e;

    while (s->waiting && (e = virtq_pop(vq)) != NULL) {
        const struct message *msg = &s->messages[s->first % MESSAGES];
        uint8_t b[8];
        size_t n;

        pci_set32(b, msg->id);
        pci_set16(b + 4, msg->event);
        pci_set16(b + 6, msg->value);
        n = virtq_write(e, 0, b, sizeof(b));
        if (msg->event == PORT_NAME && s->ports[msg->id]) {
            const char *name = s->ports[msg->id]->name;
            size_t len = strlen(name);

            n += virtq_write(e, n, name, len < NAME_MAX_LEN ? len : NAME_MAX_LEN);
        }
        virtq_push(e, n);
        s->first++;
        s->waiting--;
    }
    virtq_notify(vq);
}

static void tell_driver(struct virtio_serial *s, uint32_t id, uint16_t event, uint16_t value)
{
    /* A driver that takes none of this many has stopped to care. */
    if (!multiport(s) || s->waiting == MESSAGES)
        return;
    s->messages[(s->first + s->waiting++) % MESSAGES] = (struct message){ id, event, value };
    send_messages(s);
}

static void port_ready(struct virtio_serial *s, struct port *p)
{
    if (p->console)
        tell_driver(s, p->nr, CONSOLE_PORT, 1);
    if (p->name && *p->name)
        tell_driver(s, p->nr, PORT_NAME, 1);
    if (p->host_open)
        tell_driver(s, p->nr, PORT_OPEN, 1);
}

static void handle_control(struct virtio_serial *s, const uint8_t *b)
{
    uint32_t id = pci_get32(b);
    uint16_t event = pci_get16(b + 4), value = pci_get16(b + 6);
    struct port *p = id < s->max_ports ? s->ports[id] : NULL;

    if (event == DEVICE_READY && value) {
        for (uint32_t i = 0; i < s->max_ports; i++)
            if (s->ports[i])
                tell_driver(s, i, PORT_ADD, 1);
    } else if (event == PORT_READY && value && p) {
        port_ready(s, p);
    } else if (event == PORT_OPEN && p) {
        p->guest_open = value;
        if (value && p->chr)
            chr_accept_input(p->chr);
    }
}

/* ---- data ---- */

static void send_to_chardev(struct port *p)
{
    struct virtqueue *vq = port_queue(p, false);

    while (p->tx || (p->tx = virtq_pop(vq)) != NULL) {
        uint8_t buf[TX_CHUNK];
        size_t n, taken;

        n = virtq_read(p->tx, p->tx_done, buf, sizeof(buf));
        taken = n && p->chr ? chr_write(p->chr, buf, n) : n;
        p->tx_done += taken;
        if (taken < n)
            break; /* writable() comes */
        if (n == 0 || p->tx_done >= p->tx->out_len) {
            virtq_push(p->tx, 0);
            p->tx = NULL;
            p->tx_done = 0;
        }
    }
    virtq_notify(vq);
}

static size_t port_can_receive(void *opaque)
{
    struct port *p = opaque;

    if (!p->bus || (multiport(p->bus) && !p->guest_open))
        return 0;
    while (!p->rx && (p->rx = virtq_pop(port_queue(p, true))) != NULL && p->rx->in_len == 0) {
        virtq_push(p->rx, 0); /* nothing goes into it: on to the next */
        p->rx = NULL;
    }
    return p->rx && p->rx->in_len < SIZE_MAX ? (size_t)p->rx->in_len : 0;
}

static void port_receive(void *opaque, const uint8_t *buf, size_t len)
{
    struct port *p = opaque;

    if (!p->rx)
        return;
    virtq_push(p->rx, virtq_write(p->rx, 0, buf, len));
    p->rx = NULL;
    virtq_notify(port_queue(p, true));
}

static void port_event(void *opaque, enum chr_event e)
{
    struct port *p = opaque;

    if (!p->bus || (e != CHR_EVENT_OPENED && e != CHR_EVENT_CLOSED))
        return;
    p->host_open = e == CHR_EVENT_OPENED;
    tell_driver(p->bus, p->nr, PORT_OPEN, p->host_open);
}

static void port_writable(void *opaque)
{
    struct port *p = opaque;

    if (p->bus && virtq_ready(port_queue(p, false)))
        send_to_chardev(p);
}

static void serial_handle(struct virtio_device *d, struct virtqueue *vq)
{
    struct virtio_serial *s = (struct virtio_serial *)d;
    unsigned n = vq->index;
    struct virtq_elem *e;
    struct port *p;

    if (n == CONTROL_RX) {
        send_messages(s);
        return;
    }
    if (n == CONTROL_TX) {
        while ((e = virtq_pop(vq)) != NULL) {
            uint8_t b[8];

            if (virtq_read(e, 0, b, sizeof(b)) == sizeof(b))
                handle_control(s, b);
            virtq_push(e, 0);
        }
        virtq_notify(vq);
        return;
    }
    p = s->ports[n < 2 ? 0 : n / 2 - 1];
    if (n & 1) {
        if (p) {
            send_to_chardev(p);
            return;
        }
        while ((e = virtq_pop(vq)) != NULL) /* nobody is there */
            virtq_push(e, 0);
        virtq_notify(vq);
    } else if (p && p->chr) {
        chr_accept_input(p->chr);
    }
}

/* ---- the controller ---- */

static uint64_t serial_features(struct virtio_device *d)
{
    return 1ull << F_MULTIPORT | 1ull << F_EMERG_WRITE;
}

static void serial_get_config(struct virtio_device *d)
{
    struct virtio_serial *s = (struct virtio_serial *)d;

    memset(d->config, 0, CONFIG_SIZE);
    pci_set32(d->config + 4, s->max_ports);
}

/* A byte written to emerg_wr goes out at once, without any queue. */
static void serial_set_config(struct virtio_device *d, unsigned offset, unsigned len)
{
    struct virtio_serial *s = (struct virtio_serial *)d;
    struct port *p = NULL;

    for (unsigned i = 0; i < s->max_ports && !p; i++)
        if (s->ports[i] && s->ports[i]->console)
            p = s->ports[i];
    if (offset == CONFIG_EMERG && p && p->chr)
        chr_write(p->chr, d->config + CONFIG_EMERG, 1);
}

/* Forgets the elements that are under way. */
static void drop_elements(struct port *p)
{
    if (p->rx)
        virtq_free(p->rx);
    if (p->tx)
        virtq_free(p->tx);
    p->rx = p->tx = NULL;
    p->tx_done = 0;
}

static void serial_reset(struct virtio_device *d)
{
    struct virtio_serial *s = (struct virtio_serial *)d;

    s->first = s->waiting = 0;
    for (unsigned i = 0; i < MAX_PORTS; i++) {
        struct port *p = s->ports[i];

        if (!p)
            continue;
        drop_elements(p);
        p->guest_open = false;
    }
}

static bool serial_realize(struct device *dev, struct error *err)
{
    struct virtio_serial *s = (struct virtio_serial *)dev;

    if (s->max_ports == 0 || s->max_ports > MAX_PORTS)
        return error_set(err, "device '%s': max_ports is %u, not 1 to %u", dev->cls->name,
                         s->max_ports, MAX_PORTS);
    if (!virtio_init(&s->virtio, CONFIG_SIZE, err))
        return false;
    for (unsigned i = 0; i < 2 * (s->max_ports + 1); i++)
        virtio_add_queue(&s->virtio,
                         i == CONTROL_RX || i == CONTROL_TX ? CONTROL_SIZE : QUEUE_SIZE);
    return true;
}

static void serial_unrealize(struct device *dev)
{
    struct virtio_serial *s = (struct virtio_serial *)dev;

    for (unsigned i = 0; i < MAX_PORTS; i++)
        if (s->ports[i]) {
            drop_elements(s->ports[i]);
            s->ports[i]->bus = NULL;
        }
    virtio_unrealize(&s->virtio);
}

/* What is held goes back into the rings; of a half-sent element tx_done tells how far it got. */
static void serial_quiesce(struct device *dev)
{
    struct virtio_serial *s = (struct virtio_serial *)dev;

    for (unsigned i = 0; i < MAX_PORTS; i++) {
        struct port *p = s->ports[i];

        if (p && p->rx)
            virtq_unpop(p->rx);
        if (p && p->tx)
            virtq_unpop(p->tx);
        if (p)
            p->rx = p->tx = NULL;
    }
}

static void serial_post_load(struct device *dev)
{
    struct virtio_serial *s = (struct virtio_serial *)dev;

    /* Nothing of a saved state may index outside of a table. */
    s->first %= MESSAGES;
    if (s->waiting > MESSAGES)
        s->waiting = 0;
    for (unsigned i = 0; i < MESSAGES; i++)
        if (s->messages[i].id >= MAX_PORTS)
            s->messages[i].id = 0;
    virtio_device_post_load(dev);
}

#define QUEUE(n) VIRTQUEUE_FIELDS(struct virtio_serial, n)
#define QUEUES8(n)                                                                                 \
    QUEUE(n), QUEUE((n) + 1), QUEUE((n) + 2), QUEUE((n) + 3), QUEUE((n) + 4), QUEUE((n) + 5),      \
        QUEUE((n) + 6), QUEUE((n) + 7)

static const struct field serial_fields[] = {
    VIRTIO_FIELDS(struct virtio_serial),
    QUEUES8(0),
    QUEUES8(8),
    QUEUES8(16),
    QUEUES8(24),
    QUEUES8(32),
    QUEUES8(40),
    QUEUES8(48),
    QUEUES8(56),
    FIELD_BYTES(struct virtio_serial, messages),
    FIELD_U32(struct virtio_serial, first, 0),
    FIELD_U32(struct virtio_serial, waiting, 0),
    FIELD_END,
};

static const struct prop serial_props[] = {
    { "max_ports", PROP_U32, offsetof(struct virtio_serial, max_ports), "31",
      "number of ports, 1 to 31" },
    VIRTIO_PROPS(struct virtio_serial, "2"),
    PROP_END,
};

static const struct virtio_class serial_info = {
    .pci = { .vendor_id = 0x1af4, .device_id = 0x1003, .class_id = 0x0780, .has_intx = true },
    .virtio_id = VIRTIO_ID_CONSOLE,
    .features = serial_features,
    .handle_queue = serial_handle,
    .get_config = serial_get_config,
    .set_config = serial_set_config,
    .reset = serial_reset,
};

const struct device_class virtio_serial_pci_class = {
    .name = "virtio-serial-pci",
    .desc = "virtio console with several ports",
    .size = sizeof(struct virtio_serial),
    .bus = "PCI",
    .fields = serial_fields,
    .props = serial_props,
    .realize = serial_realize,
    .unrealize = serial_unrealize,
    .reset = virtio_device_reset,
    .post_load = serial_post_load,
    .quiesce = serial_quiesce,
    .class_data = &serial_info,
};

/* ---- ports ---- */

/* The controller that was made last, as QEMU takes it. */
static struct virtio_serial *find_bus(struct machine *m)
{
    struct virtio_serial *s = NULL;

    for (struct device *d = m->devices; d; d = d->next)
        if (d->cls == &virtio_serial_pci_class)
            s = (struct virtio_serial *)d;
    return s;
}

static bool port_realize(struct device *dev, struct error *err)
{
    struct port *p = (struct port *)dev;
    struct virtio_serial *s = find_bus(dev->machine);

    p->console = dev->cls == &virtconsole_class;
    if (!s)
        return error_set(err, "device '%s': there is no virtio-serial-pci before it",
                         dev->cls->name);
    if (p->nr == UINT32_MAX) {
        /* Port 0 is a console's: drivers without MULTIPORT expect it there. */
        p->nr = p->console ? 0 : 1;
        while (p->nr < s->max_ports && s->ports[p->nr])
            p->nr++;
    }
    if (p->nr >= s->max_ports)
        return error_set(err, "device '%s': the bus has %u ports only", dev->cls->name,
                         s->max_ports);
    if (p->nr == 0 && !p->console)
        return error_set(err, "device '%s': port 0 is reserved for a virtconsole", dev->cls->name);
    if (s->ports[p->nr])
        return error_set(err, "device '%s': port %u is taken", dev->cls->name, p->nr);
    p->bus = s;
    s->ports[p->nr] = p;
    if (p->chr) {
        const struct chr_frontend fe = { .can_receive = port_can_receive,
                                         .receive = port_receive,
                                         .event = port_event,
                                         .writable = port_writable,
                                         .opaque = p };

        p->host_open = chr_connected(p->chr);
        chr_attach(p->chr, &fe);
    }
    return true;
}

static void port_unrealize(struct device *dev)
{
    struct port *p = (struct port *)dev;

    if (p->chr)
        chr_attach(p->chr, NULL);
    if (p->bus) {
        drop_elements(p);
        p->bus->ports[p->nr] = NULL;
    }
}

/* What the other end has waited with until now. */
static void port_post_load(struct device *dev)
{
    struct port *p = (struct port *)dev;

    if (p->chr)
        chr_accept_input(p->chr);
}

static const struct field port_fields[] = {
    FIELD_BOOL(struct port, guest_open, 0),
    FIELD_U64(struct port, tx_done, 0),
    FIELD_END,
};

static const struct prop port_props[] = {
    { "chardev", PROP_CHARDEV, offsetof(struct port, chr), NULL, "id of the -chardev" },
    { "name", PROP_STRING, offsetof(struct port, name), "", "what the guest finds the port by" },
    { "nr", PROP_U32, offsetof(struct port, nr), "4294967295",
      "number of the port; default: the first free" },
    PROP_END,
};

const struct device_class virtconsole_class = {
    .name = "virtconsole",
    .desc = "console port of virtio-serial",
    .size = sizeof(struct port),
    .bus = "virtio-serial-bus",
    .fields = port_fields,
    .props = port_props,
    .realize = port_realize,
    .unrealize = port_unrealize,
    .post_load = port_post_load,
};

const struct device_class virtserialport_class = {
    .name = "virtserialport",
    .desc = "named port of virtio-serial",
    .size = sizeof(struct port),
    .bus = "virtio-serial-bus",
    .fields = port_fields,
    .props = port_props,
    .realize = port_realize,
    .unrealize = port_unrealize,
    .post_load = port_post_load,
};
