/*
 * MC146818A: Motorola data sheet; CMOS usage of PCs beyond it as SeaBIOS reads it.
 *
 * The clock isn't stepped. RTC time is a reference clock (the host's real time, or virtual time
 * with -rtc clock=vm and under -icount) plus offset_ns; registers are computed when they are read.
 * A guest that sets the time changes the offset. While B.SET holds updates, or the divider is held
 * in reset, the registers are plain memory and become the time when the hold ends.
 *
 * Flags of register C are brought up to date by sync(): update-ended and alarm from the seconds
 * that passed since last_second, periodic from the periods since last_period (of virtual time, so
 * they don't drift). Timers exist only to raise an enabled interrupt, and none is armed while one
 * is pending: only reading C makes the next one visible.
 */
#include "hw/mc146818rtc.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "cpu/cpu.h"
#include "hw/device.h"
#include "host/host.h"
#include "log.h"
#include "machine.h"
#include "memory.h"
#include "options.h"

#define RTC_HZ      32768
#define UIP_NS      244141 /* the update-in-progress bit goes up so long before the second ends */
#define ALARM_ANY   0xc0   /* alarm bytes from here on match everything */
#define DAY_SECONDS 86400

enum {
    REG_SECONDS = 0,
    REG_SECONDS_ALARM,
    REG_MINUTES,
    REG_MINUTES_ALARM,
    REG_HOURS,
    REG_HOURS_ALARM,
    REG_WEEKDAY,
    REG_DAY,
    REG_MONTH,
    REG_YEAR,
    REG_A,
    REG_B,
    REG_C,
    REG_D,
    REG_PS2_CENTURY = 0x37,
};

#define A_UIP  0x80
#define A_DV   0x70
#define A_RS   0x0f
#define B_SET  0x80
#define B_PIE  0x40
#define B_AIE  0x20
#define B_UIE  0x10
#define B_SQWE 0x08
#define B_DM   0x04 /* binary, not BCD */
#define B_24   0x02
#define C_IRQF 0x80
#define C_PF   0x40
#define C_AF   0x20
#define C_UF   0x10
#define D_VRT  0x80

struct mc146818rtc {
    struct device dev;
    uint8_t index;
    uint8_t cmos[128];
    int64_t offset_ns;   /* RTC time (since 1970, in the zone of the RTC) = reference + offset */
    int64_t last_second; /* up to here seconds are accounted for in register C */
    uint64_t last_period;
    bool use_host_clock;
    struct irq irq, alarm;
    struct timer timer;
    struct mem_region io;
};

static const struct field rtc_fields[] = {
    FIELD_U8(struct mc146818rtc, index, 0),
    FIELD_KEEP_BYTES(struct mc146818rtc, cmos),
    FIELD_(struct mc146818rtc, offset_ns, FIELD_I64, 8, 0, FIELD_NORESET),
    FIELD_(struct mc146818rtc, last_second, FIELD_I64, 8, 0, FIELD_NORESET),
    FIELD_(struct mc146818rtc, last_period, FIELD_U64, 8, 0, FIELD_NORESET),
    FIELD_TIMER(struct mc146818rtc, timer),
    FIELD_END,
};

/* ---- calendar ---- */

struct calendar {
    int year, month, day, weekday; /* month 1-12, weekday 0 = Sunday */
    int hour, minute, second;
};

/* Days from 1970-01-01 in the Gregorian calendar; the year starts in March so that the leap day
 * comes last. */
static int64_t days_of(int64_t year, int month, int day)
{
    year += (month - 1) / 12;
    month = (month - 1) % 12 + 1;
    if (month <= 2)
        year--;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct calendar calendar_of(int64_t seconds)
{
    int64_t days = seconds / DAY_SECONDS, rest = seconds % DAY_SECONDS;
    if (rest < 0) {
        rest += DAY_SECONDS;
        days--;
    }
    struct calendar t = { .hour = (int)(rest / 3600),
                          .minute = (int)(rest / 60 % 60),
                          .second = (int)(rest % 60) };
    t.weekday = (int)(((days + 4) % 7 + 7) % 7);
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t of_era = days - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    t.day = (int)(of_year - (153 * month + 2) / 5 + 1);
    t.month = (int)(month < 10 ? month + 3 : month - 9);
    t.year = (int)(year + era * 400 + (t.month <= 2));
    return t;
}

static int64_t seconds_of(const struct calendar *t)
{
    return days_of(t->year, t->month, t->day) * DAY_SECONDS + t->hour * 3600 + t->minute * 60 +
           t->second;
}

/* ---- registers <-> time ---- */

static uint8_t encode(const struct mc146818rtc *s, int v)
{
    return (uint8_t)(s->cmos[REG_B] & B_DM ? v : v / 10 << 4 | v % 10);
}

static int decode(const struct mc146818rtc *s, uint8_t v)
{
    return s->cmos[REG_B] & B_DM ? v : (v >> 4) * 10 + (v & 15);
}

static uint8_t encode_hour(const struct mc146818rtc *s, int hour)
{
    if (s->cmos[REG_B] & B_24)
        return encode(s, hour);
    return (uint8_t)(encode(s, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0));
}

static int decode_hour(const struct mc146818rtc *s, uint8_t v)
{
    if (s->cmos[REG_B] & B_24)
        return decode(s, v);
    return decode(s, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

static bool divider_held(const struct mc146818rtc *s)
{
    return (s->cmos[REG_A] & A_DV) > 0x20;
}

static bool held(const struct mc146818rtc *s)
{
    return (s->cmos[REG_B] & B_SET) || divider_held(s);
}

static int64_t reference_ns(struct mc146818rtc *s)
{
    return s->use_host_clock ? host_realtime_ns() : clock_now_ns(&s->dev.machine->clock);
}

static int64_t rtc_ns(struct mc146818rtc *s)
{
    return reference_ns(s) + s->offset_ns;
}

static int64_t floor_seconds(int64_t ns)
{
    return ns / NS_PER_SEC - (ns % NS_PER_SEC < 0);
}

static void time_to_registers(struct mc146818rtc *s, int64_t seconds)
{
    struct calendar t = calendar_of(seconds);
    s->cmos[REG_SECONDS] = encode(s, t.second);
    s->cmos[REG_MINUTES] = encode(s, t.minute);
    s->cmos[REG_HOURS] = encode_hour(s, t.hour);
    s->cmos[REG_WEEKDAY] = encode(s, t.weekday + 1);
    s->cmos[REG_DAY] = encode(s, t.day);
    s->cmos[REG_MONTH] = encode(s, t.month);
    s->cmos[REG_YEAR] = encode(s, t.year % 100);
    s->cmos[CMOS_CENTURY] = encode(s, t.year / 100);
}

/* The registers become the time; @fraction_ns is how far into that second it is. */
static void registers_to_time(struct mc146818rtc *s, int64_t fraction_ns)
{
    struct calendar t = {
        .second = decode(s, s->cmos[REG_SECONDS]),
        .minute = decode(s, s->cmos[REG_MINUTES]),
        .hour = decode_hour(s, s->cmos[REG_HOURS]),
        .day = decode(s, s->cmos[REG_DAY]),
        .month = decode(s, s->cmos[REG_MONTH]),
        .year = decode(s, s->cmos[REG_YEAR]) + 100 * decode(s, s->cmos[CMOS_CENTURY]),
    };
    /* What a signed 64-bit count of ns can hold; nothing but garbage lies outside. */
    if (t.month < 1)
        t.month = 1;
    if (t.year < 1800)
        t.year = 1800;
    if (t.year > 2200)
        t.year = 2200;
    int64_t seconds = seconds_of(&t);
    s->offset_ns = seconds * NS_PER_SEC + fraction_ns - reference_ns(s);
    s->last_second = seconds;
}

/* ---- flags and interrupt ---- */

static bool alarm_matches(const struct mc146818rtc *s, int64_t seconds)
{
    int64_t of_day = ((seconds % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
    const uint8_t *c = s->cmos;
    return (c[REG_SECONDS_ALARM] >= ALARM_ANY ||
            c[REG_SECONDS_ALARM] == encode(s, (int)(of_day % 60))) &&
           (c[REG_MINUTES_ALARM] >= ALARM_ANY ||
            c[REG_MINUTES_ALARM] == encode(s, (int)(of_day / 60 % 60))) &&
           (c[REG_HOURS_ALARM] >= ALARM_ANY ||
            c[REG_HOURS_ALARM] == encode_hour(s, (int)(of_day / 3600)));
}

/* Length of the periodic interrupt in RTC_HZ ticks, 0: off. */
static unsigned period_ticks(const struct mc146818rtc *s)
{
    unsigned rate = s->cmos[REG_A] & A_RS;
    if (rate == 0 || divider_held(s))
        return 0;
    return 1u << ((rate <= 2 ? rate + 7 : rate) - 1);
}

static uint64_t period_number(struct mc146818rtc *s)
{
    unsigned ticks = period_ticks(s);
    return ticks ? clock_ticks(clock_now_ns(&s->dev.machine->clock), RTC_HZ) / ticks : 0;
}

static void sync(struct mc146818rtc *s)
{
    if (!held(s)) {
        int64_t now = floor_seconds(rtc_ns(s)), t = s->last_second;
        if (now > t) {
            s->cmos[REG_C] |= C_UF;
            if (now - t > DAY_SECONDS)
                t = now - DAY_SECONDS;
            while (t < now && !(s->cmos[REG_C] & C_AF))
                if (alarm_matches(s, ++t))
                    s->cmos[REG_C] |= C_AF;
        }
        s->last_second = now;
    }
    uint64_t period = period_number(s);
    if (period != s->last_period)
        s->cmos[REG_C] |= C_PF;
    s->last_period = period;
}

static void update_irq(struct mc146818rtc *s)
{
    uint8_t *c = &s->cmos[REG_C];
    bool on = *c & s->cmos[REG_B] & (C_PF | C_AF | C_UF);
    *c = (uint8_t)((*c & ~C_IRQF) | (on ? C_IRQF : 0));
    irq_set(&s->irq, on);
    irq_set(&s->alarm, (*c & s->cmos[REG_B] & C_AF) != 0);
}

static void arm(struct mc146818rtc *s)
{
    int64_t now = clock_now_ns(&s->dev.machine->clock), at = INT64_MAX;
    uint8_t enabled = s->cmos[REG_B] & ~s->cmos[REG_C];
    if (!(s->cmos[REG_C] & C_IRQF)) {
        if ((enabled & B_PIE) && period_ticks(s))
            at = clock_ticks_to_ns((period_number(s) + 1) * period_ticks(s), RTC_HZ);
        if ((enabled & (B_AIE | B_UIE)) && !held(s)) {
            int64_t ns = rtc_ns(s);
            int64_t next = now + NS_PER_SEC - (ns - floor_seconds(ns) * NS_PER_SEC);
            if (next < at)
                at = next;
        }
    }
    if (at == INT64_MAX)
        timer_del(&s->timer);
    else
        timer_mod(&s->timer, at);
}

static void changed(struct mc146818rtc *s)
{
    update_irq(s);
    arm(s);
}

static void timer_expired(void *opaque)
{
    struct mc146818rtc *s = opaque;
    sync(s);
    changed(s);
}

/* ---- ports ---- */

static bool is_time(unsigned i)
{
    return i <= REG_YEAR ? i != REG_SECONDS_ALARM && i != REG_MINUTES_ALARM && i != REG_HOURS_ALARM
                         : i == CMOS_CENTURY;
}

static void write_control(struct mc146818rtc *s, unsigned reg, uint8_t v)
{
    bool was_held = held(s), divider_was_held = divider_held(s);
    sync(s);
    if (!was_held)
        time_to_registers(s, floor_seconds(rtc_ns(s)));
    int64_t ns = rtc_ns(s);
    int64_t fraction = ns - floor_seconds(ns) * NS_PER_SEC;
    if (reg == REG_A) {
        s->cmos[REG_A] = v & (uint8_t)~A_UIP;
        s->last_period = period_number(s);
    } else {
        if (v & B_SET)
            v &= (uint8_t)~B_UIE;
        s->cmos[REG_B] = v;
    }
    /* The first update comes half a second after the divider starts. */
    if (was_held && !held(s))
        registers_to_time(s, divider_was_held ? NS_PER_SEC / 2 : fraction);
    changed(s);
}

static void cmos_write(struct mc146818rtc *s, unsigned i, uint8_t v)
{
    if (i == REG_PS2_CENTURY)
        i = CMOS_CENTURY;
    if (i == REG_A || i == REG_B) {
        write_control(s, i, v);
    } else if (i == REG_C || i == REG_D) {
        return;
    } else if (is_time(i) && !held(s)) {
        sync(s);
        int64_t ns = rtc_ns(s), seconds = floor_seconds(ns);
        time_to_registers(s, seconds);
        s->cmos[i] = v;
        if (i != REG_WEEKDAY)
            registers_to_time(s, ns - seconds * NS_PER_SEC);
        changed(s);
    } else {
        s->cmos[i] = v;
    }
}

static uint8_t cmos_read(struct mc146818rtc *s, unsigned i)
{
    if (i == REG_PS2_CENTURY)
        i = CMOS_CENTURY;
    if (is_time(i) && !held(s))
        time_to_registers(s, floor_seconds(rtc_ns(s)));
    switch (i) {
    case REG_A: {
        int64_t ns = rtc_ns(s);
        bool soon = ns - floor_seconds(ns) * NS_PER_SEC >= NS_PER_SEC - UIP_NS;
        return s->cmos[REG_A] | (!held(s) && soon ? A_UIP : 0);
    }
    case REG_C: {
        sync(s);
        update_irq(s);
        uint8_t v = s->cmos[REG_C];
        s->cmos[REG_C] = 0;
        changed(s);
        return v;
    }
    case REG_D: return D_VRT;
    default: return s->cmos[i];
    }
}

static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned size)
{
    struct mc146818rtc *s = opaque;
    return offset == 0 ? 0xff : cmos_read(s, s->index);
}

static void rtc_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct mc146818rtc *s = opaque;
    if (offset == 0)
        s->index = value & 0x7f; /* bit 7 masks NMI, of which this board has none */
    else
        cmos_write(s, s->index, (uint8_t)value);
}

static const struct mem_ops rtc_ops = { rtc_read, rtc_write, 1, 1 };

/* ---- what the firmware finds ---- */

void mc146818rtc_set_cmos(struct mc146818rtc *s, uint8_t index, uint8_t value)
{
    s->cmos[index & 0x7f] = value;
}

uint8_t mc146818rtc_get_cmos(const struct mc146818rtc *s, uint8_t index)
{
    return s->cmos[index & 0x7f];
}

void mc146818rtc_set_alarm(struct mc146818rtc *s, struct irq alarm)
{
    s->alarm = alarm;
}

void mc146818rtc_set_floppies(struct mc146818rtc *s, uint8_t type_a, uint8_t type_b)
{
    int count = (type_a != 0) + (type_b != 0);
    s->cmos[CMOS_FLOPPY_TYPES] = (uint8_t)(type_a << 4 | (type_b & 15));
    /* coprocessor, PS/2 mouse, floppies */
    s->cmos[CMOS_EQUIPMENT] = (uint8_t)(0x02 | 0x04 | (count ? 1 | (count - 1) << 6 : 0));
}

static void set16(struct mc146818rtc *s, unsigned i, uint64_t v)
{
    if (v > 0xffff)
        v = 0xffff;
    s->cmos[i] = (uint8_t)v;
    s->cmos[i + 1] = (uint8_t)(v >> 8);
}

static unsigned boot_code(char c)
{
    switch (c) {
    case 'a':
    case 'b': return 1;
    case 'c': return 2;
    case 'd': return 3;
    case 'n':
    case 'o':
    case 'p': return 4;
    default: return 0;
    }
}

static void fill_cmos(struct mc146818rtc *s)
{
    struct machine *m = s->dev.machine;
    uint64_t below = m->ram_below_4g, above = m->ram_above_4g;
    set16(s, 0x15, below < 640 << 10 ? below >> 10 : 640);
    uint64_t extended = below > 1 << 20 ? (below - (1 << 20)) >> 10 : 0;
    set16(s, 0x17, extended);
    set16(s, 0x30, extended);
    set16(s, 0x34, below > 16 << 20 ? (below - (16 << 20)) >> 16 : 0);
    set16(s, 0x5b, (above >> 16) & 0xffff);
    s->cmos[0x5d] = (uint8_t)(above >> 32);
    s->cmos[CMOS_CPUS] = (uint8_t)(m->cpu_count > 0 ? m->cpu_count - 1 : 0);
    const char *order = m->opt->boot_order && *m->opt->boot_order ? m->opt->boot_order : "cad";
    unsigned code[3] = { 0, 0, 0 };
    for (int i = 0; i < 3 && order[i]; i++)
        code[i] = boot_code(order[i]);
    s->cmos[CMOS_BOOT_ORDER_12] = (uint8_t)(code[1] << 4 | code[0]);
    s->cmos[CMOS_BOOT_ORDER_3] = (uint8_t)(code[2] << 4);
    mc146818rtc_set_floppies(s, 0, 0);
}

/* The time that -rtc base= asks for, in seconds. */
static int64_t base_seconds(const char *base)
{
    int64_t now = host_realtime_ns() / NS_PER_SEC;
    struct calendar t = { 0 };
    if (base && !strcmp(base, "localtime")) {
        time_t host = (time_t)now;
        struct tm local;
        if (localtime_r(&host, &local)) {
            t = (struct calendar){ .year = local.tm_year + 1900,
                                   .month = local.tm_mon + 1,
                                   .day = local.tm_mday,
                                   .hour = local.tm_hour,
                                   .minute = local.tm_min,
                                   .second = local.tm_sec };
            return seconds_of(&t);
        }
    } else if (base && sscanf(base, "%d-%d-%dT%d:%d:%d", &t.year, &t.month, &t.day, &t.hour,
                              &t.minute, &t.second) >= 3) {
        return seconds_of(&t);
    }
    return now;
}

/* ---- life ---- */

static void rtc_reset(struct device *d)
{
    struct mc146818rtc *s = (struct mc146818rtc *)d;
    s->cmos[REG_B] &= (uint8_t) ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    s->cmos[REG_C] = 0;
    changed(s);
}

static void rtc_post_load(struct device *d)
{
    struct mc146818rtc *s = (struct mc146818rtc *)d;
    /* A saved state may hold any numbers; these can be added to any time. */
    if (s->offset_ns > INT64_MAX / 2 || s->offset_ns < INT64_MIN / 2)
        s->offset_ns = 0;
    if (s->last_second > INT32_MAX * 1000ll || s->last_second < INT32_MIN * 1000ll)
        s->last_second = 0;
    changed(s);
}

static bool rtc_realize(struct device *d, struct error *err)
{
    struct mc146818rtc *s = (struct mc146818rtc *)d;
    struct machine_options *opt = d->machine->opt;
    timer_init(&s->timer, &d->machine->clock, timer_expired, s);
    s->use_host_clock = opt->icount_shift < 0 && !(opt->rtc_clock && !strcmp(opt->rtc_clock, "vm"));
    s->cmos[REG_A] = 0x26;
    s->cmos[REG_B] = B_24;
    s->last_second = base_seconds(opt->rtc_base);
    int64_t fraction = host_realtime_ns() % NS_PER_SEC;
    s->offset_ns =
        s->last_second * NS_PER_SEC + (s->use_host_clock ? fraction : 0) - reference_ns(s);
    fill_cmos(s);
    mem_region_init_io(&s->io, "rtc", 2, &rtc_ops, s);
    mem_region_add(&d->machine->io, &s->io, 0x70, 0);
    return true;
}

static void rtc_unrealize(struct device *d)
{
    struct mc146818rtc *s = (struct mc146818rtc *)d;
    mem_region_remove(&s->io);
}

static const struct device_class rtc_class = {
    .name = "mc146818rtc",
    .desc = "Real-time clock and CMOS memory",
    .size = sizeof(struct mc146818rtc),
    .fields = rtc_fields,
    .realize = rtc_realize,
    .unrealize = rtc_unrealize,
    .reset = rtc_reset,
    .post_load = rtc_post_load,
};

struct mc146818rtc *mc146818rtc_new(struct machine *m, struct irq irq, struct error *err)
{
    struct mc146818rtc *s = (struct mc146818rtc *)device_new(m, &rtc_class);
    if (!s) {
        error_set(err, "mc146818rtc: out of memory");
        return NULL;
    }
    s->irq = irq;
    return device_realize(&s->dev, err) ? s : NULL;
}
