/*
 * The I/O APIC (82093AA register model, version 0x20 with the EOI register): 24 pins into APIC bus
 * messages.
 */
#ifndef SLIPWAY_HW_IOAPIC_H
#define SLIPWAY_HW_IOAPIC_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct ioapic;
struct machine;

#define IOAPIC_BASE 0xfec00000u
#define IOAPIC_PINS 24

/* Makes it and maps it at IOAPIC_BASE; sets m->ioapic. The machine's device list owns it. */
struct ioapic *ioapic_new(struct machine *m, struct error *err);
/* Level of input pin @pin. */
void ioapic_set_pin(struct ioapic *s, unsigned pin, int level);
/* EOI message of a local APIC for a level-triggered @vector. */
void ioapic_eoi_broadcast(struct ioapic *s, uint8_t vector);
/* Text for "info pic", at most @len bytes. */
size_t ioapic_dump(struct ioapic *s, char *buf, size_t len);

#endif
