/*
 * A whole machine whose CPU never runs and whose time the test moves: for tests of the chipset.
 * Nothing happens between two calls; advance() runs each timer at its exact moment.
 */
#ifndef SLIPWAY_CHIPSET_TEST_H
#define SLIPWAY_CHIPSET_TEST_H

#include <stdlib.h>

#include "cpu/cpu.h"
#include "machine.h"
#include "options.h"
#include "test.h"

#define APIC 0xfee00000u

static struct machine *m;

static inline bool chipset_start(void)
{
    static char *argv[] = {
        "slipway",     "-display", "none", "-vga", "none",
        "-nodefaults", "-m",       "16",   "-rtc", "base=2023-12-31T23:59:50,clock=vm",
        NULL
    };
    static struct machine_options opt;
    struct error err;
    bool exit_now;
    if (!options_parse(&opt, (int)(sizeof argv / sizeof argv[0]) - 1, argv, &exit_now, &err) ||
        !(m = machine_new(&opt, &err)))
        printf("%s\n", err.msg);
    return m != NULL;
}

static inline void advance_to(int64_t ns)
{
    for (int64_t next; (next = clock_deadline_ns(&m->clock)) <= ns;) {
        if (next > m->clock.stopped_ns)
            m->clock.stopped_ns = next;
        clock_run_timers(&m->clock);
    }
    m->clock.stopped_ns = ns;
}

static inline void advance(int64_t ns)
{
    advance_to(clock_now_ns(&m->clock) + ns);
}

static inline void out8(uint16_t port, uint8_t v)
{
    mem_write(&m->io, port, v, 1);
}

static inline uint8_t in8(uint16_t port)
{
    return (uint8_t)mem_read(&m->io, port, 1);
}

static inline void write32(uint64_t addr, uint32_t v)
{
    mem_write(&m->mem, addr, v, 4);
}

static inline uint32_t read32(uint64_t addr)
{
    return (uint32_t)mem_read(&m->mem, addr, 4);
}

static inline void config32(unsigned devfn, unsigned reg, uint32_t v)
{
    mem_write(&m->io, 0xcf8, 0x80000000u | devfn << 8 | reg, 4);
    mem_write(&m->io, 0xcfc, v, 4);
}

/* What the CPU does: is an interrupt waiting, which (-1: none); end of interrupt. */
static inline bool intr(void)
{
    return (m->cpus[0]->intr & CPU_INTR_HARD) != 0;
}

static inline int ack(void)
{
    struct cpu *c = m->cpus[0];
    return intr() ? c->ack_interrupt(c->ack_opaque) : -1;
}

static inline void apic_eoi(void)
{
    write32(APIC + 0xb0, 0);
}

/* All devices at reset, PIC initialised to vectors 0x20 and 0x28 with everything masked, local APIC
 * on. */
static inline void fresh(void)
{
    machine_reset(m);
    m->cpus[0]->intr = 0;
    for (int c = 0; c < 2; c++) {
        uint16_t port = c ? 0xa0 : 0x20;
        out8(port, 0x11);
        out8(port + 1, c ? 0x28 : 0x20);
        out8(port + 1, c ? 2 : 4);
        out8(port + 1, 1);
        out8(port + 1, 0xff);
    }
    write32(APIC + 0xf0, 0x1ff);
}

static inline void ioapic_entry(unsigned pin, uint64_t e)
{
    write32(0xfec00000, 0x11 + 2 * pin);
    write32(0xfec00010, (uint32_t)(e >> 32));
    write32(0xfec00000, 0x10 + 2 * pin);
    write32(0xfec00010, (uint32_t)e);
}

static inline uint32_t ioapic_low(unsigned pin)
{
    write32(0xfec00000, 0x10 + 2 * pin);
    return read32(0xfec00010);
}

#endif
