/*
 * Timers and power management as time passes: 8254, HPET, RTC, PM timer, and the DMA controllers.
 * Data sheets 231164 (8254), 231466 (8237A), MC146818A, IA-PC HPET 1.0a, ACPI 6.4 chapter 4.
 */
#include "chipset.h"
#include "hw/i8254.h"
#include "hw/i8257.h"
#include "hw/pci/pci.h"
#include "pc.h"

#define HPET 0xfed00000ull
#define MS   1000000ll

/* Acknowledges everything that waits through the PIC and counts vector @v. */
static int drain(int v)
{
    int n = 0;
    for (int got; (got = ack()) >= 0;) {
        n += got == v;
        out8(0xa0, 0x20);
        out8(0x20, 0x20);
    }
    return n;
}

static int count_for(int64_t ns, int64_t step, int v)
{
    int n = 0;
    for (int64_t t = 0; t < ns; t += step) {
        advance(step);
        n += drain(v);
    }
    return n;
}

/* ---- 8254 ---- */

static void pit_set(unsigned n, unsigned mode, unsigned count)
{
    out8(0x43, (uint8_t)(n << 6 | 0x30 | mode << 1));
    out8((uint16_t)(0x40 + n), (uint8_t)count);
    out8((uint16_t)(0x40 + n), (uint8_t)(count >> 8));
}

static unsigned pit_count(unsigned n)
{
    out8(0x43, (uint8_t)(n << 6));
    unsigned low = in8((uint16_t)(0x40 + n));
    return low | (unsigned)in8((uint16_t)(0x40 + n)) << 8;
}

static void pit_periodic_interrupts_do_not_drift(void)
{
    for (unsigned mode = 2; mode <= 3; mode++) {
        fresh();
        out8(0x21, 0xfe);
        pit_set(0, mode, 1193);
        drain(0x20);
        CHECK_EQ(count_for(10000 * MS, MS / 4, 0x20), 10ull * PIT_HZ / 1193);
    }
}

static void pit_mode4_single_shot(void)
{
    fresh();
    out8(0x21, 0xfe);
    pit_set(0, 4, 11932);
    drain(0x20);
    CHECK_EQ(count_for(9 * MS, MS, 0x20), 0);
    CHECK_EQ(count_for(50 * MS, MS, 0x20), 1);
    pit_set(0, 4, 11932);
    CHECK_EQ(count_for(50 * MS, MS, 0x20), 1);
}

static void pit_channel2_gate_and_output(void)
{
    fresh();
    out8(0x61, 0);
    pit_set(2, 0, 59659);
    advance(100 * MS);
    CHECK_EQ(pit_count(2), 59659); /* the gate holds it */
    out8(0x61, 1);
    int64_t start = clock_now_ns(&m->clock), done = clock_ticks_to_ns(59659, PIT_HZ);
    advance_to(start + done - 1);
    CHECK_EQ(in8(0x61) & 0x20, 0);
    advance_to(start + done);
    CHECK_EQ(in8(0x61) & 0x21, 0x21);
    CHECK_EQ(pit_count(2), 0);
    advance(clock_ticks_to_ns(2, PIT_HZ));
    CHECK_EQ(pit_count(2), 0xfffe); /* wraps and goes on */
    /* A pause in the middle. */
    pit_set(2, 0, 1000);
    advance(clock_ticks_to_ns(400, PIT_HZ));
    out8(0x61, 0);
    advance(MS);
    CHECK_EQ(pit_count(2), 600);
    out8(0x61, 1);
    advance(clock_ticks_to_ns(100, PIT_HZ));
    CHECK_EQ(pit_count(2), 500);
}

static void pit_counts(void)
{
    fresh();
    pit_set(0, 3, 1000);
    advance(clock_ticks_to_ns(100, PIT_HZ));
    CHECK_EQ(pit_count(0), 800); /* by two */
    advance(clock_ticks_to_ns(400, PIT_HZ));
    CHECK_EQ(pit_count(0), 1000); /* second half */
    out8(0x43, 0xe2);             /* status */
    CHECK_EQ(in8(0x40), 0x36);    /* output low, count loaded */
    pit_set(0, 3, 500);           /* from the next period on */
    out8(0x43, 0x31);             /* BCD, mode 0 */
    out8(0x40, 0x00);
    out8(0x40, 0x10);
    advance(clock_ticks_to_ns(1, PIT_HZ));
    CHECK_EQ(pit_count(0), 0x0999);
    out8(0x43, 0x34); /* mode 2 takes a new count at the end of the period */
    out8(0x40, 0xe8);
    out8(0x40, 0x03);
    advance(clock_ticks_to_ns(2500, PIT_HZ));
    CHECK_EQ(pit_count(0), 500);
    out8(0x40, 0x64);
    out8(0x40, 0x00);
    CHECK_EQ(pit_count(0), 500);
    advance(clock_ticks_to_ns(510, PIT_HZ));
    CHECK_EQ(pit_count(0), 90);
}

/* ---- HPET ---- */

static void hpet_periodic(void)
{
    fresh();
    out8(0x21, 0xfe);
    out8(0xa1, 0xff);
    write32(HPET + 0x10, 0);
    write32(HPET + 0xf0, 0);
    write32(HPET + 0x100, 0x14c);
    write32(HPET + 0x108, 100000);
    write32(HPET + 0x108, 100000);
    drain(0x20);
    write32(HPET + 0x10, 3);
    CHECK_EQ(count_for(1000 * MS, MS / 4, 0x20), 1000);
    CHECK_EQ(mem_read(&m->mem, HPET + 0xf0, 8), 100000000);
    write32(HPET + 0x10, 2);
    CHECK_EQ(count_for(10 * MS, MS, 0x20), 0);
    CHECK_EQ(mem_read(&m->mem, HPET + 0xf0, 8), 100000000);
}

/* Linux leaves its periodic timer running with the interrupt disabled: that must not wake the host.
 */
static void hpet_timer_that_nobody_sees(void)
{
    fresh();
    out8(0x21, 0xfe);
    out8(0xa1, 0xff);
    write32(HPET + 0x100, 0x14c);
    write32(HPET + 0x108, 100000);
    write32(HPET + 0x108, 100000);
    drain(0x20);
    write32(HPET + 0x10, 3);
    CHECK_EQ(count_for(10 * MS, MS / 4, 0x20), 10);
    write32(HPET + 0x100, 0x108);
    CHECK(clock_deadline_ns(&m->clock) > clock_now_ns(&m->clock) + 5 * MS);
    CHECK_EQ(read32(HPET + 0x108), 1100000);
    advance(MS);
    CHECK_EQ(read32(HPET + 0x108), 1200000);
    advance(7 * MS / 2);
    CHECK_EQ(count_for(10 * MS, MS / 4, 0x20), 0);
    write32(HPET + 0x100, 0x10c);
    CHECK_EQ(read32(HPET + 0x108), 2500000);
    CHECK_EQ(count_for(10 * MS, MS / 4, 0x20), 10);
    CHECK_EQ(read32(HPET + 0x108), 3500000);
}

static void hpet_cuts_pit_off(void)
{
    fresh();
    out8(0x21, 0xfe);
    pit_set(0, 2, 1193);
    write32(HPET + 0x10, 3);
    drain(0x20);
    CHECK_EQ(count_for(10 * MS, MS, 0x20), 0);
    write32(HPET + 0x10, 1);
    drain(0x20);
    CHECK_EQ(count_for(100 * MS, MS / 4, 0x20), 100);
}

static void hpet_one_shot_and_level(void)
{
    fresh();
    pit_set(0, 0, 0); /* its output, on the same pin, is low for 55 ms */
    ioapic_entry(2, 0x8044);
    write32(HPET + 0x10, 1);
    write32(HPET + 0x140, 0x406 | 0x100); /* pin 2, level, 32 bits */
    advance(10 - clock_now_ns(&m->clock) % 10);
    uint32_t now = read32(HPET + 0xf0);
    write32(HPET + 0x148, now + 1000);
    advance(9999);
    CHECK(!intr());
    advance(1);
    CHECK_EQ(ack(), 0x44);
    CHECK_EQ(read32(HPET + 0x20), 4);
    apic_eoi();
    CHECK_EQ(ack(), 0x44); /* until status is cleared */
    write32(HPET + 0x20, 4);
    apic_eoi();
    CHECK(!intr());
    write32(HPET + 0x148, read32(HPET + 0xf0) - 5); /* just missed */
    advance(1);
    CHECK_EQ(ack(), 0x44);
    write32(HPET + 0x20, 4);
    apic_eoi();
}

/* ---- RTC ---- */

static uint8_t cmos(uint8_t i)
{
    out8(0x70, i);
    return in8(0x71);
}

static void set_cmos(uint8_t i, uint8_t v)
{
    out8(0x70, i);
    out8(0x71, v);
}

static void
rtc_set(const uint8_t when[7]) /* BCD: century, year, month, day, hour, minute, second */
{
    set_cmos(0x0b, 0x82);
    static const uint8_t reg[7] = { 0x32, 9, 8, 7, 4, 2, 0 };
    for (int i = 0; i < 7; i++)
        set_cmos(reg[i], when[i]);
    set_cmos(0x0b, 0x02);
}

static void rtc_calendar(void)
{
    fresh();
    rtc_set((uint8_t[]){ 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58 });
    advance(3000 * MS);
    CHECK_EQ(cmos(0x32), 0x20);
    CHECK_EQ(cmos(9), 0x00);
    CHECK_EQ(cmos(8), 0x01);
    CHECK_EQ(cmos(7), 0x01);
    CHECK_EQ(cmos(6), 7); /* a Saturday */
    CHECK_EQ(cmos(0), 0x01);
    rtc_set((uint8_t[]){ 0x20, 0x24, 0x02, 0x28, 0x23, 0x59, 0x59 });
    advance(1000 * MS);
    CHECK_EQ(cmos(7), 0x29);
    rtc_set((uint8_t[]){ 0x21, 0x00, 0x02, 0x28, 0x23, 0x59, 0x59 });
    advance(1000 * MS);
    CHECK_EQ(cmos(8), 0x03); /* 2100 is no leap year */
    rtc_set((uint8_t[]){ 0x20, 0x24, 0x07, 0x01, 0x13, 0x00, 0x00 });
    set_cmos(0x0b, 0x00); /* 12 hours */
    CHECK_EQ(cmos(4), 0x81);
    set_cmos(0x0b, 0x06); /* binary */
    CHECK_EQ(cmos(9), 24);
    CHECK_EQ(cmos(4), 13);
    set_cmos(0x0b, 0x02);
}

static void rtc_update_in_progress(void)
{
    fresh();
    rtc_set((uint8_t[]){ 0x20, 0x24, 0x07, 0x01, 0x13, 0x00, 0x00 });
    uint8_t s = cmos(0);
    while (cmos(0) == s)
        advance(1000);
    CHECK_EQ(cmos(0x0a) & 0x80, 0);
    advance(1000 * MS - 500000);
    CHECK_EQ(cmos(0x0a) & 0x80, 0);
    advance(400000);
    CHECK_EQ(cmos(0x0a) & 0x80, 0x80);
}

static int rtc_interrupts(int64_t ns, int64_t step, uint8_t *flags)
{
    int n = 0;
    *flags = 0;
    for (int64_t t = 0; t < ns; t += step) {
        advance(step);
        if (drain(0x28)) {
            n++;
            *flags |= cmos(0x0c);
        }
    }
    return n;
}

static void rtc_periodic_update_alarm(void)
{
    uint8_t flags;
    fresh();
    out8(0x21, 0xfb);
    out8(0xa1, 0xfe);
    set_cmos(0x0a, 0x26);
    set_cmos(0x0b, 0x42);
    cmos(0x0c);
    int n = rtc_interrupts(4000 * MS, MS / 8, &flags);
    CHECK(n >= 4095 && n <= 4097);
    CHECK_EQ(flags & 0xc0, 0xc0);
    set_cmos(0x0b, 0x12);
    cmos(0x0c);
    CHECK_EQ(rtc_interrupts(5000 * MS, 10 * MS, &flags), 5);
    CHECK_EQ(flags & 0x90, 0x90);
    set_cmos(0x0b, 0x02);
    rtc_set((uint8_t[]){ 0x20, 0x24, 0x07, 0x01, 0x13, 0x10, 0x20 });
    set_cmos(1, 0x30);
    set_cmos(3, 0xff);
    set_cmos(5, 0x13);
    set_cmos(0x0b, 0x22);
    cmos(0x0c);
    CHECK_EQ(rtc_interrupts(9 * 1000 * MS, 10 * MS, &flags), 0);
    CHECK_EQ(rtc_interrupts(3 * 1000 * MS, 10 * MS, &flags), 1);
    CHECK_EQ(flags & 0xa0, 0xa0);
    CHECK_EQ(rtc_interrupts(60 * 1000 * MS, 10 * MS, &flags), 1); /* the minute doesn't matter */
    set_cmos(0x0b, 0x02);
}

/* ---- power management ---- */

static void pm_setup(void)
{
    fresh();
    config32(0x0b, 0x40, 0x601);
    config32(0x0b, 0x80, 1);
    ioapic_entry(9, 0x8049);
}

static void pm_timer(void)
{
    pm_setup();
    uint32_t t = (uint32_t)mem_read(&m->io, 0x608, 4);
    advance(1000 * MS);
    uint32_t d = ((uint32_t)mem_read(&m->io, 0x608, 4) - t) & 0xffffff;
    CHECK(d == 3579545 || d == 3579546);
    mem_write(&m->io, 0x600, 1, 2);
    mem_write(&m->io, 0x602, 1, 2);
    int toggles = 0;
    for (int i = 0; i < 100; i++) {
        advance(100 * MS);
        if (ack() == 0x49) {
            CHECK_EQ(mem_read(&m->io, 0x600, 2), 1);
            toggles++;
            mem_write(&m->io, 0x600, 1, 2);
            apic_eoi();
        }
    }
    CHECK(toggles == 4 || toggles == 5); /* 10 s of 2.34 s each */
    mem_write(&m->io, 0x602, 0, 2);
}

static void pm_power_button_and_sleep(void)
{
    pm_setup();
    mem_write(&m->io, 0x602, 0x100, 2);
    m->powerdown(m->powerdown_opaque);
    CHECK_EQ(ack(), 0x49);
    CHECK_EQ(mem_read(&m->io, 0x600, 2) & 0x100, 0x100);
    mem_write(&m->io, 0x600, 0x100, 2);
    apic_eoi();
    CHECK(!intr());
    CHECK(!m->shutdown_requested);
    mem_write(&m->io, 0x604, 0x2000, 2);
    CHECK(m->shutdown_requested);
    CHECK_EQ(m->requested_cause, SHUTDOWN_GUEST);
    m->shutdown_requested = false;
}

static void resets(void)
{
    fresh();
    m->reset_requested = false;
    out8(0xcf9, 2);
    CHECK(!m->reset_requested);
    out8(0xcf9, 6);
    CHECK(m->reset_requested);
    m->reset_requested = false;
    out8(0x92, 0);
    CHECK(!m->reset_requested);
    out8(0x92, 1);
    CHECK(m->reset_requested);
    m->reset_requested = false;
}

/* ---- DMA ---- */

static struct i8257 *dma_of_board(void)
{
    for (struct device *d = m->devices; d; d = d->next)
        if (!strcmp(d->cls->name, "i8257"))
            return (struct i8257 *)d;
    return NULL;
}

static void dma_program(uint8_t mode, uint32_t addr, unsigned count)
{
    out8(0xd6, 0xc0); /* channel 4: cascade */
    out8(0xd4, 0);
    out8(0x0a, 6);
    out8(0x0c, 0);
    out8(0x0b, mode);
    out8(0x04, (uint8_t)addr);
    out8(0x04, (uint8_t)(addr >> 8));
    out8(0x81, (uint8_t)(addr >> 16));
    out8(0x05, (uint8_t)(count - 1));
    out8(0x05, (uint8_t)((count - 1) >> 8));
    out8(0x0a, 2);
}

static void dma_transfer(void)
{
    fresh();
    struct i8257 *s = dma_of_board();
    CHECK(s != NULL);
    uint8_t buf[600], got[600] = { 0 };
    bool tc;
    for (size_t i = 0; i < sizeof buf; i++)
        buf[i] = (uint8_t)(i * 7);
    CHECK_EQ(i8257_transfer(s, 2, buf, 512, true, &tc), 0); /* masked */
    dma_program(0x46, 0x21234, 512);
    CHECK_EQ(i8257_transfer(s, 2, buf, 512, false, &tc), 0); /* the other direction */
    CHECK_EQ(i8257_transfer(s, 2, buf, 200, true, &tc), 200);
    CHECK(!tc);
    CHECK_EQ(i8257_transfer(s, 2, buf + 200, 400, true, &tc), 312); /* terminal count */
    CHECK(tc);
    dma_read(&m->mem, 0x21234, got, 512);
    CHECK(!memcmp(buf, got, 512));
    CHECK_EQ(in8(0x08) & 0x0f, 4);
    CHECK_EQ(in8(0x08) & 0x0f, 0);
    CHECK_EQ(i8257_transfer(s, 2, buf, 1, true, &tc), 0); /* masked itself */
    /* From memory with auto-initialise, across the end of a page: wraps within it. */
    dma_program(0x5a, 0x2ff00, 512);
    mem_write(&m->mem, 0x2ffff, 0xaa, 1);
    mem_write(&m->mem, 0x20000, 0xbb, 1);
    CHECK_EQ(i8257_transfer(s, 2, got, 600, false, &tc), 512);
    CHECK(tc && got[255] == 0xaa && got[256] == 0xbb);
    CHECK_EQ(i8257_transfer(s, 2, got, 600, false, &tc), 512);
}

/* ---- anything at all ---- */

static void random_accesses(void)
{
    static const uint16_t ports[][2] = { { 0x00, 0x10 },  { 0x20, 2 },   { 0x40, 4 },
                                         { 0x61, 1 },     { 0x70, 2 },   { 0x80, 16 },
                                         { 0xa0, 2 },     { 0xb2, 2 },   { 0xc0, 32 },
                                         { 0xf0, 1 },     { 0x4d0, 2 },  { 0xcf8, 8 },
                                         { 0x600, 0x40 }, { 0xafe0, 4 }, { 0xb100, 16 } };
    static const uint64_t pages[] = { 0xfec00000, 0xfed00000, 0xfee00000 };
    uint32_t seed = 1;
    fresh();
    config32(0x0b, 0x40, 0x601);
    config32(0x0b, 0x80, 1);
    for (int i = 0; i < 300000; i++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t r = seed >> 8, v = seed * 2654435761u;
        unsigned size = 1u << (r & 3) % 3;
        if ((r & 0x300000) == 0) {
            static const uint8_t functions[] = { 0x00, 0x08, 0x09, 0x0b };
            config32(functions[r & 3], r >> 4 & 0xfc, v);
        } else if (r & 8) {
            uint64_t a = pages[(r >> 4) % 3] + ((r >> 6) & 0x3fc);
            if (r & 0x10000)
                mem_write(&m->mem, a, v, 4);
            else
                mem_read(&m->mem, a, 4);
        } else {
            const uint16_t *p = ports[(r >> 4) % 15];
            uint16_t port = (uint16_t)(p[0] + (r >> 9) % p[1]);
            if (r & 0x10000)
                mem_write(&m->io, port, v, size);
            else
                mem_read(&m->io, port, size);
        }
        if ((r & 0x70000) == 0)
            advance(r & 0xffff);
        ack();
    }
    m->shutdown_requested = m->reset_requested = false;
    fresh();
    CHECK(!intr());
    CHECK_EQ(mem_read(&m->mem, 0xffff0, 1), 0xea); /* the BIOS is back at the reset vector */
}

int main(void)
{
    if (!chipset_start())
        return 1;
    RUN(pit_periodic_interrupts_do_not_drift);
    RUN(pit_mode4_single_shot);
    RUN(pit_channel2_gate_and_output);
    RUN(pit_counts);
    RUN(hpet_periodic);
    RUN(hpet_timer_that_nobody_sees);
    RUN(hpet_cuts_pit_off);
    RUN(hpet_one_shot_and_level);
    RUN(rtc_calendar);
    RUN(rtc_update_in_progress);
    RUN(rtc_periodic_update_alarm);
    RUN(pm_timer);
    RUN(pm_power_button_and_sleep);
    RUN(resets);
    RUN(dma_transfer);
    RUN(random_accesses);
    machine_free(m);
    return test_done();
}
