/*
 * Fuzzer of the e1000 and virtio-net, deeper than nic_fuzz.c goes: set up as their drivers do it,
 * with the modern interface of virtio and all its queues, e1000's context and data descriptors,
 * frames with all kinds of unfinished work and peers that take some of it, so that segmentation,
 * control commands and mergeable buffers are reached. Nothing is checked but that it goes on:
 * sanitizers find wrong accesses, and an alarm what never returns.
 *
 * Usage: nic_rings_fuzz [steps [seed]]. With a seed of 0 the time is the seed.
 */
#include <time.h>

#include "../unit/devtest.h"
#include "../unit/net_peer.h"
#include "hw/net/e1000_int.h"
#include "hw/net/nics.h"
#include "hw/virtio/virtio.h"

#define HANG_S  30
#define ROUND   4000 /* steps of one board */
#define BAR     0xe0000000ull
#define BAR_GAP 0x100000ull
#define IO_BASE 0xc000u
#define IO_GAP  0x400u
#define RINGS   0x100000u /* 64 KB that are full of descriptors */

static const struct device_class *const classes[] = { &e1000_class, &virtio_net_pci_class };

static uint64_t random_state;
static struct net_peer *wire;
static struct device *nic;
static uint8_t frame[NET_FRAME_MAX];

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

static uint64_t random_address(void)
{
    switch (below(6)) {
    case 0: return BAR + below(4) * BAR_GAP + below(0x6000);
    case 1: return RINGS + below(0x10000);
    case 2: return BOARD_RAM - below(64);
    case 3: return (uint64_t)random32() << 32 | random32();
    default: return below(BOARD_RAM);
    }
}

static uint64_t random_value(void)
{
    switch (below(8)) {
    case 0: return below(4);
    case 1: return below(256);
    case 2: return 1ull << below(32);
    case 3: return ~0ull << below(32);
    case 4: return RINGS + (below(0x10000) & ~0xfu);
    case 5: return random_address();
    default: return random32();
    }
}

static void fill_rings(void)
{
    uint32_t at = RINGS + (below(0x10000) & ~0xfu);
    for (unsigned i = 0, n = 1 + below(64); i < n; i++) {
        uint64_t v = below(3) ? random_value() : random_address();
        dma_write(&m->mem, at + 4 * i, &v, below(2) ? 4 : 8);
    }
}

/* ---- the card ---- */

static bool on_pci(void)
{
    return !strcmp(nic->cls->bus, "PCI");
}

static void place_bars(void)
{
    struct pci_device *d = (struct pci_device *)nic;
    for (int n = 0; n < 6; n++) {
        if (!d->bars[n].region)
            continue;
        uint8_t reg = (uint8_t)(PCI_BASE_ADDRESS_0 + 4 * n);
        if (d->bars[n].type == PCI_BAR_IO)
            pci_config_write(d, reg, IO_BASE + (uint32_t)n * IO_GAP, 4);
        else
            pci_config_write(d, reg, (uint32_t)(BAR + (uint64_t)n * BAR_GAP), 4);
    }
    pci_config_write(d, PCI_COMMAND, 7, 2);
}

static void build(const struct device_class *cls)
{
    struct error err = { "" };
    board_new();
    clock_start(&m->clock);
    wire = net_peer_new(m, "n0");
    wire->nc.offloads = below(2) ? 0 : below(32);
    nic = device_new(m, cls);
    bool ok = device_set_prop(nic, "netdev", "n0", &err);
    if (ok && on_pci())
        ok = device_set_prop(nic, "romfile", "", &err);
    if (ok && cls == &virtio_net_pci_class) {
        static const char *const props[] = { "disable-legacy", "disable-modern", "mrg_rxbuf",
                                             "guest_csum" };
        ok = device_set_prop(nic, props[below(4)], below(4) ? "off" : "on", &err);
    }
    if (!ok || !device_realize(nic, &err)) {
        printf("%s\n", err.msg);
        abort();
    }
    if (on_pci())
        place_bars();
}

static void access_card(void)
{
    static uint64_t last;
    unsigned size = 1u << below(3);
    bool io = !on_pci();
    uint64_t at = io ? 0x300 + below(0x20) : 0;
    if (!io) {
        const struct pci_device *d = (const struct pci_device *)nic;
        int n = (int)below(6);
        while (!d->bars[n].region)
            n = (n + 1) % 6;
        io = d->bars[n].type == PCI_BAR_IO;
        uint64_t base = io ? IO_BASE + (unsigned)n * IO_GAP : BAR + (unsigned)n * BAR_GAP;
        uint64_t offset = below(3) ? below(0x100) : below((uint32_t)d->bars[n].size);
        at = below(4) ? base + offset % d->bars[n].size : last;
    }
    last = at;
    if (below(4))
        mem_write(io ? &m->io : &m->mem, at, random_value(), size);
    else
        mem_read(io ? &m->io : &m->mem, at, size);
}

/* ---- drivers ---- */

static void e1000_set(uint32_t r, uint32_t v)
{
    mem_write(&m->mem, BAR + r, v, 4);
}

/* Descriptors with lengths and commands that make sense, addresses that needn't. */
static void e1000_descriptor(uint64_t at)
{
    uint32_t d[4];
    uint64_t addr = random_address();
    memcpy(d, &addr, 8);
    d[2] = below(4) ? below(2000) : random32();
    d[2] =
        (d[2] & 0xfffff) | (below(3) ? 1u << 20 : 0) | (below(256) | (below(3) ? 0x20u : 0)) << 24;
    d[3] = below(2) ? random32() : below(128) << 8 | below(3000) << 16;
    if (below(3) == 0) /* a context: small offsets */
        for (int i = 0; i < 8; i++)
            ((uint8_t *)d)[i] = (uint8_t)below(80);
    dma_write(&m->mem, at, d, 16);
}

static void drive_e1000(void)
{
    static const uint32_t regs[] = { TDT,  RDT,  TDT,    RDT, TDH,   RDH,   CTRL, RCTL,
                                     TCTL, RDTR, RXCSUM, ITR, TDLEN, RDLEN, IMS,  ICR };
    switch (below(8)) {
    case 0:
        e1000_set(TDBAL, RINGS);
        e1000_set(TDBAH, 0);
        e1000_set(TDLEN, (1 + below(64)) * 128);
        e1000_set(TCTL, TCTL_EN | below(16));
        break;
    case 1:
        e1000_set(RDBAL, RINGS + (below(2) ? 0x8000 : 0));
        e1000_set(RDBAH, 0);
        e1000_set(RDLEN, (1 + below(64)) * 128);
        e1000_set(RCTL, RCTL_EN | random32());
        break;
    case 2:
    case 3:
    case 4: e1000_descriptor(RINGS + 16ull * below(4096)); break;
    case 5: mem_read(&m->mem, BAR + regs[below(16)], 4); break;
    default: e1000_set(regs[below(16)], below(2) ? below(512) : (uint32_t)random_value()); break;
    }
}

/* Modern interface, BAR 4; three rings with random descriptors. */
static void drive_virtio(void)
{
    const uint64_t common = BAR + 4 * BAR_GAP, notify = common + 0x3000;
    struct virtio_device *d = (struct virtio_device *)nic;
    unsigned q = below(3);
    uint64_t ring = RINGS + q * 0x4000u;
    switch (below(8)) {
    case 0:
        mem_write(&m->mem, common + 0x14, 0, 1);
        mem_write(&m->mem, common + 0x14, 3, 1);
        for (uint32_t i = 0; i < 2; i++) {
            mem_write(&m->mem, common + 0x08, i, 4);
            uint32_t all = (uint32_t)(d->host_features >> (32 * i));
            mem_write(&m->mem, common + 0x0c, i || below(2) ? all : all & random32(), 4);
        }
        mem_write(&m->mem, common + 0x14, 11, 1);
        for (unsigned i = 0; i < 3; i++) {
            uint64_t base = RINGS + i * 0x4000u;
            mem_write(&m->mem, common + 0x16, i, 2);
            mem_write(&m->mem, common + 0x18, 64, 2);
            mem_write(&m->mem, common + 0x20, base, 4);
            mem_write(&m->mem, common + 0x28, base + 0x1000, 4);
            mem_write(&m->mem, common + 0x30, base + 0x2000, 4);
            mem_write(&m->mem, common + 0x1c, 1, 2);
        }
        mem_write(&m->mem, common + 0x14, 15, 1);
        break;
    case 1:
    case 2: {
        /* A chain of a few descriptors that mostly is one. */
        unsigned i = below(64), n = 1 + below(4);
        for (unsigned k = 0; k < n; k++, i = (i + 1) % 64) {
            uint8_t e[16];
            uint64_t addr = random_address();
            memcpy(e, &addr, 8);
            pci_set32(e + 8, below(4) ? 1 + below(2000) : random32());
            bool in = q == 0 || (q == 2 && k + 1 == n);
            pci_set16(e + 12, (uint16_t)((k + 1 < n) | (in ? 2 : 0) | (below(32) ? 0 : 4)));
            pci_set16(e + 14, (uint16_t)(below(32) ? (i + 1) % 64 : below(100)));
            dma_write(&m->mem, ring + 16 * i, e, 16);
        }
        break;
    }
    case 3: {
        uint64_t out = below(BOARD_RAM - 64); /* a control command */
        uint8_t c[16];
        for (unsigned i = 0; i < sizeof c; i++)
            c[i] = (uint8_t)below(7);
        dma_write(&m->mem, out, c, sizeof c);
        dma_write64(&m->mem, RINGS + 2 * 0x4000 + 16 * below(64), out);
        break;
    }
    default: {
        struct virtqueue *vq = &d->queues[q];
        uint16_t idx = (uint16_t)(vq->last_avail + below(below(16) ? 8 : 100));
        for (unsigned i = 0; i < 8; i++)
            dma_write16(&m->mem, ring + 0x1004 + 2 * ((vq->last_avail + i) % 64),
                        (uint16_t)below(below(64) ? 64 : 70));
        dma_write16(&m->mem, ring + 0x1002, idx);
        mem_write(&m->mem, notify + 4 * q, q, 2);
        break;
    }
    }
}

/* ---- the wire ---- */

static void send_frame(void)
{
    static const uint16_t types[] = { 0x0800, 0x86dd, 0x8100, 0x0806 };
    size_t len = below(4) ? 14 + below(1600) : below(sizeof frame);
    struct net_frame f = { frame, len, { 0 } };
    for (unsigned i = 0; i < 64 && i < len; i++)
        frame[i] = (uint8_t)random32();
    if (len >= 34 && below(2)) {
        uint16_t type = types[below(4)];
        memcpy(frame, "\x52\x54\x00\x12\x34\x56", 6);
        frame[12] = (uint8_t)(type >> 8);
        frame[13] = (uint8_t)type;
        frame[14] = type == 0x86dd ? 0x60 : 0x45;
        frame[23] = below(2) ? 6 : 17;
    }
    if (below(3) == 0) {
        f.off.needs_csum = below(2);
        f.off.csum_valid = below(2);
        f.off.gso = (uint8_t)below(5);
        f.off.gso_ecn = below(2);
        f.off.gso_size = (uint16_t)random_value();
        f.off.hdr_len = (uint16_t)below(200);
        f.off.csum_start = (uint16_t)(below(4) ? 14 + below(60) : random32());
        f.off.csum_offset = (uint16_t)(below(4) ? 16 : random32());
    }
    net_send(&wire->nc, &f);
}

static void reload(void)
{
    struct error err;
    size_t size = device_save(nic, NULL, 0);
    uint8_t *state = malloc(size);
    device_save(nic, state, size);
    for (unsigned i = below(64); i > 0; i--)
        state[below((uint32_t)size)] ^= (uint8_t)(1u << below(8));
    device_load(nic, state, size, &err);
    free(state);
    if (on_pci())
        place_bars();
}

static void step(void)
{
    switch (below(32)) {
    case 0: fill_rings(); break;
    case 1: net_accept(&wire->nc); break;
    case 2: wire->room = below(2) ? SIZE_MAX : below(20); break;
    case 3:
        if (below(16) == 0)
            net_set_link(below(2) ? &wire->nc : (struct net_client *)wire->nc.peer, below(3));
        break;
    case 4:
        if (below(64) == 0) {
            device_reset(nic);
            if (on_pci())
                place_bars();
        }
        break;
    case 5:
        if (below(64) == 0)
            reload();
        break;
    case 6:
        if (on_pci() && below(8) == 0) {
            pci_config_write((struct pci_device *)nic, (uint8_t)(below(64) * 4), random32(), 4);
            place_bars();
        }
        break;
    case 7:
    case 8:
    case 9:
    case 10:
    case 11: send_frame(); break;
    case 12:
    case 13:
    case 14: machine_run_slice(m, 0); break;
    case 15: clock_run_timers(&m->clock); break;
    case 16:
    case 17:
    case 18: access_card(); break;
    default:
        if (nic->cls == &e1000_class)
            drive_e1000();
        else if (nic->cls == &virtio_net_pci_class && below(64))
            drive_virtio();
        else
            access_card();
        break;
    }
}

int main(int argc, char **argv)
{
    uint64_t steps = argc > 1 ? strtoull(argv[1], NULL, 0) : 600000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, received = 0, sent = 0;
    if (!seed)
        seed = (uint64_t)time(NULL);
    for (uint64_t done = 0; done < steps; done += ROUND) {
        random_state = (seed + done / ROUND) * 0x9e3779b97f4a7c15ull | 1;
        build(classes[done / ROUND % (sizeof classes / sizeof classes[0])]);
        for (unsigned i = 0; i < ROUND; i++) {
            if (i % 100 == 0)
                alarm(HANG_S);
            if (i % 1000 == 0)
                net_peer_clear(wire);
            step();
        }
        received += wire->nc.peer->stats.frames;
        sent += wire->nc.stats.frames;
        board_free();
    }
    printf("%llu steps, seed %llu: %llu frames to cards, %llu from them\n",
           (unsigned long long)steps, (unsigned long long)seed, (unsigned long long)received,
           (unsigned long long)sent);
    return 0;
}
