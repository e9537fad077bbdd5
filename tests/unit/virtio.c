/*
 * Virtio over PCI with a driver of a few lines: legacy and modern interface, blk and rng, MSI-X,
 * event index, indirect tables; and rings that no sane driver would make.
 */
#include "devtest.h"
#include "hw/virtio/virtio.h"
#include "hw/virtio/virtio_blk.h"
#include "hw/virtio/virtio_rng.h"

#define BAR0     0xc000u
#define BAR4     0xe0000000ull
#define BAR1     0xe0010000ull
#define RING     0x100000ull
#define DATA     0x200000ull
#define QSIZE    256u
#define DISK     (1u << 20)
#define MSI_ADDR 0x300000ull

static struct virtio_device *dev;
static struct blk *disk;
static uint16_t avail_next, used_seen;
static uint64_t desc, avail, used;
static bool event_idx;

static void config_write(uint8_t reg, uint32_t v, unsigned len)
{
    pci_config_write(&dev->pci, reg, v, len);
}

static void start_board(const struct device_class *cls, const char *legacy, const char *modern)
{
    struct error err;
    board_new();
    struct device *d = device_new(m, cls);
    disk = NULL;
    if (cls == &virtio_blk_pci_class) {
        static uint8_t image[DISK];
        for (unsigned i = 0; i < DISK; i++)
            image[i] = (uint8_t)(i * 7 + i / 512);
        disk = scratch_disk("vd0", image, DISK, false);
        struct blk **at = NULL;
        for (const struct prop *p = cls->props; p->name; p++)
            if (p->type == PROP_DRIVE)
                at = (struct blk **)((char *)d + p->offset);
        *at = disk;
        device_set_prop(d, "serial", "SERIAL-1", &err);
    }
    device_set_prop(d, "disable-legacy", legacy, &err);
    device_set_prop(d, "disable-modern", modern, &err);
    if (!device_realize(d, &err)) {
        printf("%s\n", err.msg);
        abort();
    }
    dev = (struct virtio_device *)d;
    pci_device_reset(&dev->pci);
    device_reset(d);
    if (dev->pci.bars[0].region)
        config_write(0x10, BAR0, 4);
    if (dev->pci.bars[1].region)
        config_write(0x14, BAR1, 4);
    if (dev->pci.bars[4].region)
        config_write(0x20, (uint32_t)BAR4, 4);
    config_write(PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    avail_next = used_seen = 0;
    event_idx = false;
}

static void stop_board(void)
{
    board_free();
}

static uint32_t mrd(uint64_t off, unsigned size)
{
    return (uint32_t)mem_read(&m->mem, BAR4 + off, size);
}
static void mwr(uint64_t off, uint32_t v, unsigned size)
{
    mem_write(&m->mem, BAR4 + off, v, size);
}

static void clear_rings(void)
{
    static const uint8_t zeros[0x8000];
    dma_write(&m->mem, RING, zeros, sizeof zeros);
}

/* Modern driver up to DRIVER_OK with the features of @want that the device has. */
static void modern_start(uint64_t want, unsigned qsize)
{
    clear_rings();
    desc = RING;
    avail = RING + 0x2000;
    used = RING + 0x4000;
    avail_next = used_seen = 0;
    mwr(0x14, 0, 1);
    mwr(0x14, 3, 1);
    mwr(0x00, 0, 4);
    uint64_t has = mrd(4, 4);
    mwr(0x00, 1, 4);
    has |= (uint64_t)mrd(4, 4) << 32;
    want &= has;
    mwr(0x08, 0, 4);
    mwr(0x0c, (uint32_t)want, 4);
    mwr(0x08, 1, 4);
    mwr(0x0c, (uint32_t)(want >> 32), 4);
    mwr(0x14, 3 | 8, 1);
    mwr(0x16, 0, 2);
    mwr(0x18, qsize, 2);
    mwr(0x20, (uint32_t)desc, 4);
    mwr(0x24, 0, 4);
    mwr(0x28, (uint32_t)avail, 4);
    mwr(0x2c, 0, 4);
    mwr(0x30, (uint32_t)used, 4);
    mwr(0x34, 0, 4);
    mwr(0x1c, 1, 2);
    mwr(0x14, 3 | 8 | 4, 1);
    event_idx = want >> VIRTIO_F_EVENT_IDX & 1;
}

static void legacy_start(uint32_t features)
{
    clear_rings();
    avail_next = used_seen = 0;
    desc = RING;
    avail = RING + 16 * inw(BAR0 + 0xc);
    outb(BAR0 + 0x12, 0);
    outb(BAR0 + 0x12, 3);
    outl(BAR0 + 4, inl(BAR0) & features);
    outw(BAR0 + 0xe, 0);
    unsigned n = inw(BAR0 + 0xc);
    avail = RING + 16 * n;
    used = (avail + 6 + 2 * n + 4095) & ~4095ull;
    outl(BAR0 + 8, (uint32_t)(RING >> 12));
    outb(BAR0 + 0x12, 7);
}

static void put_desc(uint64_t table, unsigned i, uint64_t addr, uint32_t len, uint16_t flags,
                     uint16_t next)
{
    dma_write64(&m->mem, table + 16 * i, addr);
    dma_write32(&m->mem, table + 16 * i + 8, len);
    dma_write16(&m->mem, table + 16 * i + 12, flags);
    dma_write16(&m->mem, table + 16 * i + 14, next);
}

static void offer(uint16_t head, unsigned qsize)
{
    dma_write16(&m->mem, avail + 4 + 2 * (avail_next % qsize), head);
    dma_write16(&m->mem, avail + 2, ++avail_next);
}

static void kick_modern(void)
{
    mwr(0x3000, 0, 2);
    settle();
}

/* One blk request through three descriptors; returns the status byte. */
static uint8_t blk_request(uint32_t type, uint64_t sector, uint32_t len, bool in, bool modern)
{
    unsigned q = modern ? QSIZE : dev->queues[0].num;
    dma_write32(&m->mem, DATA, type);
    dma_write32(&m->mem, DATA + 4, 0);
    dma_write64(&m->mem, DATA + 8, sector);
    mem_write(&m->mem, DATA + 16, 0xee, 1);
    unsigned n = 0;
    put_desc(desc, n++, DATA, 16, 1, 1);
    if (len) {
        put_desc(desc, n, DATA + 0x1000, len, in ? 3 : 1, (uint16_t)(n + 1));
        n++;
    }
    put_desc(desc, n, DATA + 16, 1, 2, 0);
    offer(0, q);
    if (modern)
        kick_modern();
    else {
        outw(BAR0 + 0x10, 0);
        settle();
    }
    return (uint8_t)mem_read(&m->mem, DATA + 16, 1);
}

static bool data_is(uint64_t addr, uint32_t disk_offset, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        if (m->ram.host[addr + i] != (uint8_t)((disk_offset + i) * 7 + (disk_offset + i) / 512))
            return false;
    return true;
}

static void identity(void)
{
    start_board(&virtio_blk_pci_class, "auto", "off");
    CHECK_EQ(pci_config_read(&dev->pci, 0, 4), 0x10011af4);
    CHECK_EQ(pci_config_read(&dev->pci, 0x2c, 4), 0x00021af4);
    CHECK_EQ(pci_config_read(&dev->pci, 8, 4), 0x01000000);
    CHECK_EQ(pci_config_read(&dev->pci, 0x3d, 1), 1);
    stop_board();
    start_board(&virtio_blk_pci_class, "on", "off");
    CHECK_EQ(pci_config_read(&dev->pci, 0, 4), 0x10421af4);
    CHECK_EQ(pci_config_read(&dev->pci, 8, 4), 0x01000001);
    CHECK(!dev->pci.bars[0].region);
    stop_board();
    start_board(&virtio_rng_pci_class, "off", "on");
    CHECK_EQ(pci_config_read(&dev->pci, 0, 4), 0x10051af4);
    CHECK_EQ(pci_config_read(&dev->pci, 8, 4), 0x00ff0000);
    CHECK(!dev->pci.bars[4].region);
    CHECK_EQ(inl(BAR0) >> 24, 0x39);
    stop_board();
}

static void legacy_blk(void)
{
    start_board(&virtio_blk_pci_class, "off", "off");
    legacy_start(0);
    CHECK_EQ(inl(BAR0 + 0x14), DISK / 512);
    CHECK_EQ(blk_request(0, 3, 1024, true, false), 0);
    CHECK(data_is(DATA + 0x1000, 3 * 512, 1024));
    CHECK_EQ(dma_read16(&m->mem, used + 2), 1);
    CHECK_EQ(dma_read32(&m->mem, used + 8), 1025);
    CHECK_EQ(pirq_level[1], 1); /* slot 2 */
    CHECK_EQ(inb(BAR0 + 0x13), 1);
    CHECK_EQ(pirq_level[1], 0);
    CHECK_EQ(inb(BAR0 + 0x13), 0);
    CHECK_EQ(blk_request(1, 8, 512, false, false), 0); /* writes what was read */
    CHECK_EQ(blk_request(0, 8, 512, true, false), 0);
    CHECK(data_is(DATA + 0x1000, 3 * 512, 512));
    CHECK_EQ(blk_request(4, 0, 0, false, false), 0);
    CHECK_EQ(blk_request(8, 0, 20, true, false), 0);
    CHECK(!memcmp(m->ram.host + DATA + 0x1000, "SERIAL-1\0", 9));
    CHECK_EQ(blk_request(99, 0, 0, false, false), 2);
    CHECK_EQ(blk_request(0, DISK / 512, 512, true, false), 1);
    CHECK_EQ(blk_request(0, UINT64_MAX, 512, true, false), 1);
    CHECK_EQ(blk_request(0, 0, 100, true, false), 1);
    CHECK_EQ(blk_request(0, 0, 0, true, false), 0);
    /* PFN 0 resets. */
    outl(BAR0 + 8, 0);
    CHECK_EQ(inb(BAR0 + 0x12), 0);
    stop_board();
}

static void modern_blk(void)
{
    start_board(&virtio_blk_pci_class, "on", "off");
    modern_start(~0ull, QSIZE);
    CHECK_EQ(mrd(0x14, 1), 15);
    CHECK_EQ(mrd(0x2000, 4), DISK / 512);
    CHECK_EQ(mrd(0x2014, 4), 512);
    for (int i = 0; i < 600; i++) { /* more than twice around the ring */
        uint32_t s = rnd() % 1000, n = rnd() % 8 + 1;
        CHECK_EQ(blk_request(0, s, n * 512, true, true), 0);
        CHECK(data_is(DATA + 0x1000, s * 512, n * 512));
        CHECK_EQ(dma_read16(&m->mem, used + 2), avail_next);
    }
    CHECK_EQ(dma_read16(&m->mem, used + 4 + 8 * QSIZE), avail_next); /* avail_event */
    /* A large read comes in chunks. */
    CHECK_EQ(blk_request(0, 0, DISK, true, true), 0);
    CHECK(data_is(DATA + 0x1000, 0, DISK));
    /* DISCARD, WRITE_ZEROES */
    dma_write64(&m->mem, DATA + 0x1000, 16);
    dma_write32(&m->mem, DATA + 0x1008, 4);
    dma_write32(&m->mem, DATA + 0x100c, 1);
    CHECK_EQ(blk_request(13, 0, 16, false, true), 0);
    CHECK_EQ(blk_request(0, 15, 6 * 512, true, true), 0);
    CHECK(data_is(DATA + 0x1000, 15 * 512, 512));
    CHECK(data_is(DATA + 0x1000 + 5 * 512, 20 * 512, 512));
    for (int i = 512; i < 5 * 512; i++)
        CHECK_EQ(m->ram.host[DATA + 0x1000 + i], 0);
    dma_write64(&m->mem, DATA + 0x1000, DISK / 512 - 1);
    dma_write32(&m->mem, DATA + 0x1008, 2);
    dma_write32(&m->mem, DATA + 0x100c, 0);
    CHECK_EQ(blk_request(11, 0, 16, false, true), 1);
    dma_write32(&m->mem, DATA + 0x100c, 1);
    CHECK_EQ(blk_request(11, 0, 16, false, true), 2);
    stop_board();
}

static void features_are_checked(void)
{
    start_board(&virtio_blk_pci_class, "auto", "off");
    mwr(0x14, 0, 1);
    mwr(0x14, 3, 1);
    mwr(0x08, 0, 4);
    mwr(0x0c, 1u << 30, 4); /* not offered */
    mwr(0x08, 1, 4);
    mwr(0x0c, 1, 4);
    mwr(0x14, 11, 1);
    CHECK_EQ(mrd(0x14, 1), 3);
    mwr(0x08, 0, 4);
    mwr(0x0c, 0, 4);
    mwr(0x08, 1, 4);
    mwr(0x0c, 0, 4); /* no VERSION_1 */
    mwr(0x14, 11, 1);
    CHECK_EQ(mrd(0x14, 1), 3);
    mwr(0x0c, 1, 4);
    mwr(0x14, 11, 1);
    CHECK_EQ(mrd(0x14, 1), 11);
    mwr(0x0c, 0, 4); /* too late */
    CHECK_EQ(mrd(0x0c, 4), 1);
    stop_board();
}

static void event_index_suppresses_interrupts(void)
{
    start_board(&virtio_blk_pci_class, "on", "off");
    modern_start(~0ull, QSIZE);
    dma_write16(&m->mem, avail + 4 + 2 * QSIZE, 2); /* used_event: when index 2 was used */
    blk_request(0, 0, 512, true, true);             /* the first one always may */
    mrd(0x1000, 1);
    CHECK_EQ(pirq_level[1], 0);
    blk_request(0, 0, 512, true, true);
    CHECK_EQ(pirq_level[1], 0);
    blk_request(0, 0, 512, true, true);
    CHECK_EQ(pirq_level[1], 1);
    CHECK_EQ(mrd(0x1000, 1), 1);
    blk_request(0, 0, 512, true, true);
    CHECK_EQ(pirq_level[1], 0);
    stop_board();
    start_board(&virtio_blk_pci_class, "on", "off");
    modern_start(1ull << VIRTIO_F_VERSION_1, QSIZE);
    dma_write16(&m->mem, avail, 1); /* NO_INTERRUPT */
    blk_request(0, 0, 512, true, true);
    CHECK_EQ(pirq_level[1], 0);
    dma_write16(&m->mem, avail, 0);
    blk_request(0, 0, 512, true, true);
    CHECK_EQ(pirq_level[1], 1);
    stop_board();
}

static void msix_messages(void)
{
    start_board(&virtio_blk_pci_class, "on", "off");
    uint8_t cap = (uint8_t)pci_config_read(&dev->pci, PCI_CAPABILITY_LIST, 1);
    while (cap && pci_config_read(&dev->pci, cap, 1) != PCI_CAP_ID_MSIX)
        cap = (uint8_t)pci_config_read(&dev->pci, cap + 1u, 1);
    CHECK(cap);
    config_write(cap + 2, 0x8000, 2);
    mem_write(&m->mem, BAR1 + 16, MSI_ADDR, 4);
    mem_write(&m->mem, BAR1 + 20, 0, 4);
    mem_write(&m->mem, BAR1 + 24, 0x1234, 4);
    mem_write(&m->mem, BAR1 + 28, 0, 4);
    modern_start(1ull << VIRTIO_F_VERSION_1, QSIZE);
    mwr(0x16, 0, 2);
    mwr(0x1a, 1, 2);
    CHECK_EQ(mrd(0x1a, 2), 1);
    blk_request(0, 0, 512, true, true);
    CHECK_EQ(dma_read32(&m->mem, MSI_ADDR), 0x1234);
    CHECK_EQ(pirq_level[1], 0);
    mwr(0x1a, 7, 2); /* no such vector */
    CHECK_EQ(mrd(0x1a, 2), 0xffff);
    stop_board();
}

static void indirect_descriptors(void)
{
    start_board(&virtio_blk_pci_class, "on", "off");
    modern_start(~0ull, QSIZE);
    uint64_t table = DATA + 0x8000;
    dma_write32(&m->mem, DATA, 0);
    dma_write64(&m->mem, DATA + 8, 5);
    put_desc(table, 0, DATA, 16, 1, 2);
    put_desc(table, 2, DATA + 0x1000, 512, 3, 1);
    put_desc(table, 1, DATA + 16, 1, 2, 0);
    put_desc(desc, 9, table, 3 * 16, 4, 0);
    mem_write(&m->mem, DATA + 16, 0xee, 1);
    offer(9, QSIZE);
    kick_modern();
    CHECK_EQ(mem_read(&m->mem, DATA + 16, 1), 0);
    CHECK(data_is(DATA + 0x1000, 5 * 512, 512));
    CHECK_EQ(dma_read32(&m->mem, used + 4), 9);
    /* Direct header, then the table with the rest. */
    put_desc(desc, 0, DATA, 16, 1, 1);
    put_desc(desc, 1, table, 2 * 16, 4, 0);
    put_desc(table, 0, DATA + 0x1000, 512, 3, 1);
    put_desc(table, 1, DATA + 16, 1, 2, 0);
    mem_write(&m->mem, DATA + 16, 0xee, 1);
    offer(0, QSIZE);
    kick_modern();
    CHECK_EQ(mem_read(&m->mem, DATA + 16, 1), 0);
    stop_board();
}

/* Each malformed ring stops the device with NEEDS_RESET, and a reset revives it. */
static void hostile_rings(void)
{
    start_board(&virtio_blk_pci_class, "on", "off");
    for (int kind = 0; kind < 11; kind++) {
        modern_start(~0ull, QSIZE);
        uint64_t table = DATA + 0x8000;
        dma_write32(&m->mem, DATA, 0);
        dma_write64(&m->mem, DATA + 8, 0);
        put_desc(desc, 0, DATA, 16, 1, 1);
        put_desc(desc, 1, DATA + 0x1000, 512, 3, 2);
        put_desc(desc, 2, DATA + 16, 1, 2, 0);
        uint16_t head = 0;
        switch (kind) {
        case 0: put_desc(desc, 2, DATA + 16, 1, 3, 1); break;           /* loop */
        case 1: put_desc(desc, 1, DATA + 0x1000, 512, 3, QSIZE); break; /* next out of range */
        case 2: head = QSIZE; break;
        case 3: avail_next = QSIZE; break;                 /* index too far ahead */
        case 4: put_desc(desc, 0, table, 15, 4, 0); break; /* table of no whole descriptor */
        case 5:                                            /* nested */
            put_desc(table, 0, table, 16, 4, 0);
            put_desc(desc, 0, table, 16, 4, 0);
            break;
        case 6: put_desc(desc, 2, DATA + 16, 1, 0, 0); break; /* readable after writable */
        case 7: put_desc(desc, 0, DATA, 8, 1, 1); break;      /* header too short */
        case 8: put_desc(desc, 0, DATA, 16, 0, 0); break;     /* no status byte */
        case 9: put_desc(desc, 0, table, 0, 4, 0); break;
        case 10: /* a self-loop in a huge table */
            put_desc(table, 0, DATA, 16, 1, 0);
            put_desc(desc, 0, table, 0xfffffff0u, 4, 0);
            break;
        }
        offer(head, QSIZE);
        kick_modern();
        CHECK_EQ(mrd(0x14, 1), 15 | 0x40);
        CHECK_EQ(dma_read16(&m->mem, used + 2), 0);
        CHECK_EQ(mrd(0x1000, 1), 3);
    }
    modern_start(~0ull, QSIZE);
    CHECK_EQ(blk_request(0, 1, 512, true, true), 0);
    stop_board();
}

/* Descriptors that point at the device's own registers, or nowhere. */
static void buffers_in_odd_places(void)
{
    start_board(&virtio_blk_pci_class, "on", "off");
    modern_start(~0ull, QSIZE);
    dma_write32(&m->mem, DATA, 0);
    dma_write64(&m->mem, DATA + 8, 0);
    put_desc(desc, 0, DATA, 16, 1, 1);
    put_desc(desc, 1, BAR4, 0x4000, 3, 2);
    put_desc(desc, 2, DATA + 16, 1, 2, 0);
    offer(0, QSIZE);
    kick_modern();
    CHECK_EQ(mem_read(&m->mem, DATA + 16, 1), 0);
    CHECK_EQ(mrd(0x14, 1), 15);
    put_desc(desc, 1, 1ull << 39, 512, 3, 2);
    offer(0, QSIZE);
    kick_modern();
    put_desc(desc, 1, UINT64_MAX - 100, 512, 3, 2);
    offer(0, QSIZE);
    kick_modern();
    CHECK_EQ(dma_read16(&m->mem, used + 2), 3);
    stop_board();
}

static void reset_with_requests_out(void)
{
    start_board(&virtio_blk_pci_class, "on", "off");
    modern_start(~0ull, QSIZE);
    dma_write32(&m->mem, DATA, 0);
    dma_write64(&m->mem, DATA + 8, 0);
    put_desc(desc, 0, DATA, 16, 1, 1);
    put_desc(desc, 1, DATA + 0x1000, 512, 3, 2);
    put_desc(desc, 2, DATA + 16, 1, 2, 0);
    mem_write(&m->mem, DATA + 16, 0xee, 1);
    memset(m->ram.host + DATA + 0x1000, 0xdd, 512);
    for (int i = 0; i < 40; i++) /* more than run at once */
        offer(0, QSIZE);
    mwr(0x3000, 0, 2);
    machine_run_slice(m, 0); /* popped, not completed */
    mwr(0x14, 0, 1);
    settle();
    CHECK_EQ(mem_read(&m->mem, DATA + 16, 1), 0xee);
    CHECK_EQ(m->ram.host[DATA + 0x1000], 0xdd);
    modern_start(~0ull, QSIZE);
    put_desc(desc, 0, DATA, 16, 1, 1);
    put_desc(desc, 1, DATA + 0x1000, 512, 3, 2);
    put_desc(desc, 2, DATA + 16, 1, 2, 0);
    for (int i = 0; i < 40; i++)
        offer(0, QSIZE);
    kick_modern();
    CHECK_EQ(dma_read16(&m->mem, used + 2), 40);
    /* And the machine may go with requests out. */
    offer(0, QSIZE);
    mwr(0x3000, 0, 2);
    machine_run_slice(m, 0);
    stop_board();
}

static void configuration_window(void)
{
    start_board(&virtio_blk_pci_class, "on", "off");
    uint8_t cap = dev->cfg_cap;
    config_write(cap + 4, 4, 1);
    config_write(cap + 8, 0x2000, 4);
    config_write(cap + 12, 4, 4);
    CHECK_EQ(pci_config_read(&dev->pci, cap + 16, 4), DISK / 512);
    config_write(cap + 8, 0x14, 4);
    config_write(cap + 12, 1, 4);
    config_write(cap + 16, 3, 1);
    CHECK_EQ(mrd(0x14, 1), 3);
    config_write(cap + 8, 0xfffffff0, 4);
    config_write(cap + 12, 0xffffffff, 4);
    pci_config_read(&dev->pci, cap + 16, 4);
    stop_board();
}

static void rng_fills_buffers(void)
{
    start_board(&virtio_rng_pci_class, "on", "off");
    modern_start(~0ull, 8);
    put_desc(desc, 0, DATA, 64, 2, 0);
    offer(0, 8);
    kick_modern();
    CHECK_EQ(dma_read32(&m->mem, used + 8), 64);
    int zeros = 0;
    for (int i = 0; i < 64; i++)
        zeros += m->ram.host[DATA + i] == 0;
    CHECK(zeros < 10);
    put_desc(desc, 0, DATA, 0xffffffff, 2, 0);
    offer(0, 8);
    kick_modern();
    CHECK_EQ(dma_read32(&m->mem, used + 16), 4096);
    stop_board();
}

/* Random stores to registers and rings: nothing to check but that we survive. */
static void noise(void)
{
    start_board(&virtio_blk_pci_class, "auto", "off");
    for (int i = 0; i < 60000; i++) {
        uint32_t r = rnd();
        switch (r % 8) {
        case 0: mwr(rnd() % 0x40, rnd() & rnd(), 1u << rnd() % 3); break;
        case 1: mwr(rnd() % 0x4000, rnd(), 1u << rnd() % 3); break;
        case 2: mrd(rnd() % 0x4000, 1u << rnd() % 3); break;
        case 3: outl((uint16_t)(BAR0 + rnd() % 0x20), rnd() & 0x1ff); break;
        case 4:
            put_desc(RING, rnd() % 16, DATA + rnd() % 0x10000, rnd() % 2048, rnd() & 7, rnd() % 20);
            break;
        case 5:
            if (i % 50 == 0)
                modern_start(~0ull, QSIZE);
            else
                offer(rnd() % 18, QSIZE);
            break;
        case 6: kick_modern(); break;
        case 7: dma_write32(&m->mem, DATA + rnd() % 64 * 4, rnd() % 16); break;
        }
    }
    settle();
    stop_board();
}

int main(void)
{
    RUN(identity);
    RUN(legacy_blk);
    RUN(modern_blk);
    RUN(features_are_checked);
    RUN(event_index_suppresses_interrupts);
    RUN(msix_messages);
    RUN(indirect_descriptors);
    RUN(hostile_rings);
    RUN(buffers_in_odd_places);
    RUN(reset_with_requests_out);
    RUN(configuration_window);
    RUN(rng_fills_buffers);
    RUN(noise);
    return test_done();
}
