/*
 * A board for device tests: RAM at 0, PCI bus 0, interrupt lines that only remember their level. No
 * CPU: the test is the driver.
 */
#ifndef SLIPWAY_DEVTEST_H
#define SLIPWAY_DEVTEST_H

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "block/block.h"
#include "hw/pci/pci.h"
#include "machine.h"
#include "options.h"
#include "test.h"

#define BOARD_RAM (16u << 20)

static struct machine_options board_opt;
static struct machine *m;
static struct pci_bus board_bus;
static struct pci_device board_bridge; /* only takes slot 0 */
static int isa_level[16], isa_edges[16], pirq_level[4];

static inline void board_isa(void *opaque, int n, int level)
{
    if (level && !isa_level[n])
        isa_edges[n]++;
    isa_level[n] = level;
}

static inline void board_pirq(void *opaque, int n, int level)
{
    pirq_level[n] = level;
}

static inline void board_new(void)
{
    m = calloc(1, sizeof *m);
    m->opt = &board_opt;
    m->deferred_end = &m->deferred;
    m->state = RUN_STATE_PAUSED; /* a slice is one round of bottom halves */
    mem_space_init(&m->mem, "memory", 1ull << 40);
    mem_space_init(&m->io, "I/O", 0x10000);
    clock_init(&m->clock);
    mem_region_init_ram(&m->ram, "ram", BOARD_RAM, NULL);
    mem_region_add(&m->mem, &m->ram, 0, 0);
    memset(&board_bus, 0, sizeof board_bus);
    board_bus.machine = m;
    board_bus.devices[0] = &board_bridge;
    for (int i = 0; i < 4; i++)
        board_bus.pirq[i] = (struct irq){ board_pirq, NULL, i };
    for (int i = 0; i < 16; i++)
        m->isa_irq[i] = (struct irq){ board_isa, NULL, i };
    memset(isa_level, 0, sizeof isa_level);
    memset(isa_edges, 0, sizeof isa_edges);
    memset(pirq_level, 0, sizeof pirq_level);
    m->pci = &board_bus;
}

/* Runs bottom halves until none is pending. */
static inline void settle(void)
{
    do
        machine_run_slice(m, 0);
    while (m->deferred);
}

/* Virtual time forward (icount); timers run at their times. */
static inline void board_pass(int64_t ns)
{
    int64_t end = clock_now_ns(&m->clock) + ns;
    while (clock_deadline_ns(&m->clock) <= end) {
        clock_warp_to(&m->clock, clock_deadline_ns(&m->clock));
        clock_run_timers(&m->clock);
    }
    clock_warp_to(&m->clock, end);
}

static inline void board_reset(void)
{
    for (struct device *d = m->devices; d; d = d->next)
        device_reset(d);
}

static inline void board_free(void)
{
    machine_free(m);
    m = NULL;
}

static inline uint8_t inb(uint16_t port)
{
    return (uint8_t)mem_read(&m->io, port, 1);
}
static inline uint16_t inw(uint16_t port)
{
    return (uint16_t)mem_read(&m->io, port, 2);
}
static inline uint32_t inl(uint16_t port)
{
    return (uint32_t)mem_read(&m->io, port, 4);
}
static inline void outb(uint16_t port, uint8_t v)
{
    mem_write(&m->io, port, v, 1);
}
static inline void outw(uint16_t port, uint16_t v)
{
    mem_write(&m->io, port, v, 2);
}
static inline void outl(uint16_t port, uint32_t v)
{
    mem_write(&m->io, port, v, 4);
}

/* A disk image in a temporary file that is gone with the board. */
static inline struct blk *scratch_disk(const char *id, const void *contents, size_t size,
                                       bool readonly)
{
    char path[] = "/tmp/slipway-test-XXXXXX";
    int fd = mkstemp(path);
    struct blk_options o = { id, path, "raw", readonly, false };
    struct error err;
    if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
        (contents && write(fd, contents, size) != (ssize_t)size))
        abort();
    close(fd);
    struct blk *b = blk_open(m, &o, &err);
    if (!b) {
        printf("%s\n", err.msg);
        abort();
    }
    unlink(path);
    static struct drive_option none;
    machine_add_drive(m, &none, b);
    return b;
}

/* A small generator: the same cases on each run. */
static inline uint32_t rnd(void)
{
    static uint32_t x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    return x ^= x << 5;
}

#endif
