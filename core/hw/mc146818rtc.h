/*
 * The real-time clock and CMOS memory (MC146818A) of a PC at 0x70/0x71.
 */
#ifndef SLIPWAY_HW_MC146818RTC_H
#define SLIPWAY_HW_MC146818RTC_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "hw/irq.h"

struct machine;
struct mc146818rtc;

/* CMOS bytes with a meaning for SeaBIOS. */
enum {
    CMOS_SHUTDOWN = 0x0f,
    CMOS_FLOPPY_TYPES = 0x10, /* high nibble A, low B: 0 none, 2 1.2M, 4 1.44M, 5 2.88M */
    CMOS_DISK_TYPES = 0x12,
    CMOS_EQUIPMENT = 0x14,
    CMOS_CENTURY = 0x32,
    CMOS_BOOT_ORDER_3 = 0x38,
    CMOS_DISK_TRANSLATION = 0x39,
    CMOS_BOOT_ORDER_12 = 0x3d,
    CMOS_CPUS = 0x5f,
};

/* Starts with the time that -rtc says (m->opt->rtc_base, rtc_clock) and with memory sizes, boot
 * order, number of CPUs and equipment in CMOS (m->ram_below_4g, ram_above_4g and the options must
 * be set). @irq: IRQ 8, or the HPET's legacy input. The machine's device list owns it. */
struct mc146818rtc *mc146818rtc_new(struct machine *m, struct irq irq, struct error *err);
void mc146818rtc_set_cmos(struct mc146818rtc *s, uint8_t index, uint8_t value);
uint8_t mc146818rtc_get_cmos(const struct mc146818rtc *s, uint8_t index);
/* @alarm rises when an enabled alarm goes off, whatever becomes of the interrupt. */
void mc146818rtc_set_alarm(struct mc146818rtc *s, struct irq alarm);
/* CMOS types of the two floppy drives, which also go into the equipment byte. */
void mc146818rtc_set_floppies(struct mc146818rtc *s, uint8_t type_a, uint8_t type_b);

#endif
