/*
 * Fuzzer of the NICs: a board with one NIC and the test as its driver and as its peer. Registers
 * get random accesses, memory is full of things that look like descriptors and point at one
 * another, at the NIC's own registers and at nothing; frames of any length come in, the peer is
 * full at times, the link goes down, time passes, state is saved and loaded. Each case begins with
 * what a driver would do to start the NIC, with a few values wrong, so that the rings are in use.
 *
 * Nothing is checked but that it goes on: sanitizers find wrong accesses, an alarm what never
 * returns.
 *
 * Usage: nic_fuzz [cases a model [seed [model]]]. With a seed of 0 the time is the seed.
 */
#include <time.h>

#include "../unit/devtest.h"
#include "../unit/net_peer.h"
#include "hw/net/nics.h"

#define OPERATIONS 3000 /* a case */
#define HANG_S     20
#define PORT       0xc000u
#define MMIO       0xe0000000u
#define MAC        "\x52\x54\x00\x12\x34\x56"
#define AREA       0x10000u /* where rings are, mostly */
#define AREA_SIZE  0x8000u

static const struct device_class *const models[] = {
    &ne2k_isa_class, &ne2k_pci_class,      &pcnet_class,          &rtl8139_class,
    &e1000_class,    &e1000_82544gc_class, &virtio_net_pci_class,
};
static uint64_t random_state;
static struct net_peer *wire;
static struct device *nic;
static uint32_t port, ports, mmio_size;
static uint64_t frames_in, frames_out;

static uint32_t random32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

static uint32_t below(uint32_t n)
{
    return random32() % n;
}

/* Numbers that mean something to a NIC. */
static uint32_t random_value(void)
{
    switch (below(8)) {
    case 0: return below(8);
    case 1: return below(256);
    case 2: return 1u << below(32);
    case 3: return UINT32_MAX << below(32);
    case 4: return AREA + below(AREA_SIZE) / 16 * 16;
    case 5: return AREA + (below(AREA_SIZE) & ~0xfffu);
    case 6: return MMIO + below(mmio_size | 1);
    default: return random32();
    }
}

/* Words with an owner bit at one end or the other, sizes that fit a frame, and addresses. */
static uint32_t descriptor_word(void)
{
    static const uint32_t flags[] = { 0x80000000, 0xb0000000, 0x83000000, 0x82000000,
                                      0xf0000000, 0xb8000000, 0x80008000, 0x0b000000 };
    switch (below(6)) {
    case 0: return flags[below(8)] | below(2000);
    case 1: return flags[below(8)] | (0xf000 | (-below(1600) & 0xfff));
    case 2: return flags[below(8)] | below(65536);
    case 3: return below(1600);
    default: return random_value();
    }
}

static void fill_area(void)
{
    uint32_t at = AREA + (below(4) ? below(AREA_SIZE) & ~15u : 0);
    for (unsigned i = 0, n = 1 + below(256); i < n; i++)
        mem_write(&m->mem, at + 4 * i, descriptor_word(), 4);
}

/* ---- starting it ---- */

/* @v, or now and then something else. */
static uint32_t about(uint32_t v)
{
    return below(12) ? v : random_value();
}

static void out(unsigned reg, uint32_t v, unsigned size)
{
    mem_write(&m->io, port + reg, about(v), size);
}

static void start_ne2000(void)
{
    static const uint8_t page0[][2] = { { 0, 0x21 }, { 0xe, 0x49 }, { 0xc, 0x0c }, { 0xd, 0 },
                                        { 1, 0x46 }, { 2, 0x80 },   { 3, 0x7f },   { 4, 0x40 },
                                        { 7, 0xff }, { 0xf, 0x3f }, { 5, 200 },    { 6, 2 },
                                        { 0, 0x61 } };
    for (size_t i = 0; i < sizeof page0 / sizeof page0[0]; i++)
        out(page0[i][0], page0[i][1], 1);
    for (unsigned i = 0; i < 6; i++)
        out(1 + i, (uint8_t)MAC[i], 1);
    out(7, 0x46, 1);
    out(0, 0x22, 1);
}

static void start_pcnet(void)
{
    unsigned style = below(4);
    uint8_t b[28] = { 0 };
    b[0] = below(4) ? 0 : (uint8_t)random32();
    b[1] = below(4) ? 0 : (uint8_t)random32();
    b[2] = b[3] = (uint8_t)(below(16) << 4);
    memcpy(b + (style ? 4 : 2), MAC, 6);
    pci_set32(b + (style ? 20 : 16), about(AREA) | (style ? 0 : below(8) << 29));
    pci_set32(b + (style ? 24 : 20), about(AREA + 0x2000) | (style ? 0 : below(8) << 29));
    dma_write(&m->mem, 0x1000, b, sizeof b);
    out(0x12, 20, 2);
    out(0x16, style, 2);
    out(0x12, 1, 2);
    out(0x10, 0x1000, 2);
    out(0x12, 2, 2);
    out(0x10, 0, 2);
    out(0x12, 0, 2);
    out(0x10, 1, 2);
    out(0x10, 0x0142, 2);
}

static void start_rtl8139(void)
{
    out(0x37, 0x10, 1);
    out(0xe0, below(2) ? 0x6b : 0, 2);
    out(0x20, AREA, 4);
    out(0x24, 0, 4);
    out(0xe4, AREA + 0x2000, 4);
    out(0xe8, 0, 4);
    out(0x30, AREA + 0x4000, 4);
    out(0x37, 0x0c, 1);
    out(0x44, 0xf90e | below(4) << 11, 4);
    out(0x40, 0x03000700 | (below(4) ? 0 : 3u << 17), 4);
    out(0x3c, 0xffff, 2);
}

static void e1000(unsigned reg, uint32_t v)
{
    mem_write(&m->mem, MMIO + reg, about(v), 4);
}

static void start_e1000(void)
{
    e1000(0x0100, below(4) ? 0x0400801a : random32());
    e1000(0x2800, AREA);
    e1000(0x2808, 0x800);
    e1000(0x2818, below(128));
    e1000(0x3800, AREA + 0x2000);
    e1000(0x3808, 0x800);
    e1000(0x0400, 0x0003f0fa);
    e1000(0x00d0, 0xffffffff);
    e1000(0x3818, below(128));
}

/* Legacy virtio: features, two queues in the area, driver OK. */
static void start_virtio(void)
{
    out(0x12, 0, 1);
    out(0x12, 3, 1);
    out(4, mem_read(&m->io, port, 4) & random32(), 4);
    for (unsigned q = 0; q < 3; q++) {
        out(0xe, q, 2);
        out(8, (AREA >> 12) + 4 * q, 4);
    }
    out(0x12, 7, 1);
}

static void start(void)
{
    const struct device_class *c = nic->cls;
    if (c == &ne2k_isa_class || c == &ne2k_pci_class)
        start_ne2000();
    else if (c == &pcnet_class)
        start_pcnet();
    else if (c == &rtl8139_class)
        start_rtl8139();
    else if (c == &virtio_net_pci_class)
        start_virtio();
    else
        start_e1000();
}

/* What makes it look at its transmit ring. */
static void kick(void)
{
    const struct device_class *c = nic->cls;
    if (c == &ne2k_isa_class || c == &ne2k_pci_class) {
        out(5, below(256), 1);
        out(0, 0x26, 1);
    } else if (c == &pcnet_class) {
        out(0x12, 0, 2);
        out(0x10, 0x0048, 2);
    } else if (c == &rtl8139_class) {
        out(0xd9, 0xc0, 1);
        out(0x10 + 4 * below(4), below(2000), 4);
    } else if (c == &virtio_net_pci_class) {
        out(0x10, below(3), 2);
    } else {
        e1000(0x3818, below(128));
        e1000(0x2818, below(128));
    }
}

/* ---- one operation ---- */

static void access_ports(void)
{
    static uint32_t last;
    uint32_t at = below(3) ? last : port + below(ports);
    unsigned size = 1u << below(3);
    last = at;
    if (below(3))
        mem_write(&m->io, at, random_value(), size);
    else
        mem_read(&m->io, at, size);
}

static void access_mmio(void)
{
    static uint32_t last = MMIO;
    uint32_t at =
        below(3) ? last : MMIO + (below(2) ? below(mmio_size) : below(64) * 256) % mmio_size;
    unsigned size = 1u << below(4);
    last = at;
    if (below(3))
        mem_write(&m->mem, at & ~(size - 1), random_value(), size);
    else
        mem_read(&m->mem, at & ~(size - 1), size);
}

static void frame_comes(void)
{
    static uint8_t f[NET_FRAME_MAX];
    static const char *const to[] = { MAC, "\xff\xff\xff\xff\xff\xff", "\x33\x33\x00\x00\x00\x01",
                                      "\x52\x54\x00\x99\x99\x99" };
    struct net_frame nf = { .data = f };
    nf.len = below(4) ? 14 + below(1600) : below(8) ? below(64) : below(NET_FRAME_MAX);
    for (int i = 0; i < 32; i++)
        f[12 + below(80)] = (uint8_t)random32();
    memcpy(f, to[below(4)], 6);
    if (below(2))
        memcpy(f + 12, "\x08\x00\x45", 3);
    else if (below(2))
        memcpy(f + 12, "\x81\x00", 2);
    if (below(8) == 0) {
        nf.off.needs_csum = true;
        nf.off.csum_start = (uint16_t)below(100);
        nf.off.csum_offset = (uint16_t)below(40);
        nf.off.gso = (uint8_t)below(4);
        nf.off.gso_size = (uint16_t)below(1500);
    }
    net_send(&wire->nc, &nf);
}

static void time_passes(void)
{
    /* What is due within the next moments is due now. */
    if (m->clock.count && below(2)) {
        struct timer *t = m->clock.heap[0];
        if (t->expire_ns < clock_now_ns(&m->clock) + NS_PER_SEC)
            timer_mod(t, 0);
    }
    clock_run_timers(&m->clock);
    /* Not settle(): a ring whose descriptors stay the NIC's never does. */
    for (int i = 0; i < 3; i++)
        machine_run_slice(m, 0);
}

static void save_and_load(void)
{
    size_t len = device_save(nic, NULL, 0);
    uint8_t *buf = malloc(len);
    device_save(nic, buf, len);
    /* sometimes a state that no NIC was ever in; not its PCI configuration */
    for (unsigned i = 0; below(2) && i < 8; i++)
        buf[(len > 300 ? 256 : 0) + below((uint32_t)(len > 300 ? len - 256 : len))] =
            (uint8_t)random32();
    device_load(nic, buf, len, NULL);
    free(buf);
}

static void one_operation(void)
{
    switch (below(20)) {
    case 0: fill_area(); break;
    case 1:
        wire->room = below(3) ? SIZE_MAX : below(4);
        net_accept(&wire->nc);
        break;
    case 2: time_passes(); break;
    case 3:
        if (below(8) == 0)
            net_set_link(&wire->nc, below(2));
        break;
    case 4:
        if (below(8) == 0)
            save_and_load();
        break;
    case 5:
        if (below(6) == 0)
            start();
        break;
    case 6: kick(); break;
    case 7:
    case 8:
    case 9:
    case 10: frame_comes(); break;
    default:
        if (mmio_size && (below(2) || !ports))
            access_mmio();
        else if (ports)
            access_ports();
        break;
    }
}

/* ---- a case ---- */

static void build(const struct device_class *cls)
{
    struct error err = { "" };
    bool pci = !strcmp(cls->bus, "PCI");
    board_new();
    clock_start(&m->clock);
    wire = net_peer_new(m, "n0");
    nic = device_new(m, cls);
    if (!device_set_prop(nic, "netdev", "n0", &err) ||
        (pci && !device_set_prop(nic, "romfile", "", &err)) || !device_realize(nic, &err)) {
        printf("%s\n", err.msg);
        exit(1);
    }
    port = 0x300;
    ports = 32;
    mmio_size = 0;
    if (!pci)
        return;
    struct pci_device *d = (struct pci_device *)nic;
    ports = 0;
    pci_device_reset(d);
    for (int i = 0; i < 6; i++) {
        const struct pci_bar *b = &d->bars[i];
        uint32_t at =
            b->type == PCI_BAR_IO ? PORT : MMIO + (mmio_size ? 0x100000u * (unsigned)i : 0);
        if (!b->region)
            continue;
        if (b->type == PCI_BAR_IO) {
            port = PORT;
            ports = (uint32_t)b->size;
        } else if (!mmio_size) {
            mmio_size = (uint32_t)b->size;
        }
        pci_config_write(d, (uint8_t)(PCI_BASE_ADDRESS_0 + 4 * i), at, 4);
    }
    pci_config_write(d, PCI_COMMAND, 7, 2);
}

static void one_case(const struct device_class *cls)
{
    build(cls);
    for (int i = 0; i < 20; i++)
        fill_area();
    start();
    for (int i = 0; i < OPERATIONS; i++)
        one_operation();
    frames_in += wire->nc.peer ? wire->nc.peer->stats.frames : 0;
    frames_out += wire->count;
    board_free();
}

int main(int argc, char **argv)
{
    uint64_t cases = argc > 1 ? strtoull(argv[1], NULL, 0) : 25;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    if (!seed)
        seed = (uint64_t)time(NULL);
    for (size_t k = 0; k < sizeof models / sizeof models[0]; k++) {
        if (argc > 3 && strcmp(argv[3], models[k]->name))
            continue;
        frames_in = frames_out = 0;
        for (uint64_t i = 0; i < cases; i++) {
            alarm(HANG_S);
            random_state = (seed * 1000 + i + 1) * 0x9e3779b97f4a7c15ull | 1;
            one_case(models[k]);
        }
        printf("%s: %llu frames in, %llu out\n", models[k]->name, (unsigned long long)frames_in,
               (unsigned long long)frames_out);
    }
    printf("%llu cases of %d operations a model, seed %llu\n", (unsigned long long)cases,
           OPERATIONS, (unsigned long long)seed);
    return 0;
}
