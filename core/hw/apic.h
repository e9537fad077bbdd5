/*
 * The local APIC of one CPU (SDM vol. 3, chapter 11): what the CPU, the interrupt controllers and
 * MSI need of it.
 *
 * The CPU sees it through c->intr (CPU_INTR_HARD while an interrupt can be taken, NMI, SMI, INIT,
 * SIPI) and c->ack_interrupt, which apic_new() installs; CR8, IA32_APIC_BASE, IA32_TSC_DEADLINE and
 * the x2APIC MSRs go through the functions below.
 */
#ifndef SLIPWAY_HW_APIC_H
#define SLIPWAY_HW_APIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct apic;
struct cpu;
struct machine;

#define APIC_DEFAULT_BASE 0xfee00000u

/* Delivery modes of LVT, ICR, IOAPIC entries and MSI data. */
enum apic_delivery {
    APIC_FIXED = 0,
    APIC_LOWEST = 1,
    APIC_SMI = 2,
    APIC_NMI = 4,
    APIC_INIT = 5,
    APIC_SIPI = 6,
    APIC_EXTINT = 7,
};

/* Makes the local APIC of @c (sets c->apic and c->ack_interrupt) with ID c->index and maps its
 * page. The machine's device list owns it. */
struct apic *apic_new(struct machine *m, struct cpu *c, struct error *err);

/* ---- CPU side ---- */
/* IA32_APIC_BASE. Setting returns false where hardware raises #GP (reserved bits, illegal x2APIC
 * transition). */
uint64_t apic_get_base(const struct apic *a);
bool apic_set_base(struct apic *a, uint64_t value);
/* The task priority register, 8 bits; CR8 is bits 7:4 of it. */
uint8_t apic_get_tpr(const struct apic *a);
void apic_set_tpr(struct apic *a, uint8_t tpr);
static inline uint64_t apic_get_cr8(const struct apic *a)
{
    return apic_get_tpr(a) >> 4;
}
static inline void apic_set_cr8(struct apic *a, uint64_t cr8)
{
    apic_set_tpr(a, (uint8_t)((cr8 & 15) << 4));
}
/* IA32_TSC_DEADLINE (0x6e0). Writes outside TSC-deadline mode are ignored, reads then give 0. */
uint64_t apic_get_tsc_deadline(struct apic *a);
void apic_set_tsc_deadline(struct apic *a, uint64_t tsc);
/* The guest wrote IA32_TSC or IA32_TSC_ADJUST: the deadline in virtual time has moved. */
void apic_tsc_changed(struct apic *a);
/* MSRs 0x800-0x8ff. False: #GP (not in x2APIC mode, no such register, reserved bits). */
bool apic_msr_read(struct apic *a, uint32_t msr, uint64_t *value);
bool apic_msr_write(struct apic *a, uint32_t msr, uint64_t value);
/* CPUID says x2APIC: allows IA32_APIC_BASE.EXTD. Off at first. */
void apic_allow_x2apic(struct apic *a, bool allow);
/* Vector of the start-up IPI behind CPU_INTR_SIPI: the CPU starts at vector << 12. */
uint8_t apic_sipi_vector(const struct apic *a);

/* ---- the board's side ---- */
/* Level of the 8259 pair's INT output (to every CPU's LINT0, and to INTR# while the APIC is
 * disabled). @ack is the INTA cycle: returns the vector. */
void apic_connect_pic(struct machine *m, int (*ack)(void *opaque), void *opaque);
void apic_set_pic_level(struct machine *m, int level);
/* An NMI on every CPU's LINT1 (monitor "nmi", NMI sources of the board). */
void apic_pulse_lint1(struct machine *m);
/* A message on the APIC bus. @dest: 8 bits, 0xff = broadcast; @logical: destination mode. */
void apic_bus_deliver(struct machine *m, uint8_t dest, bool logical, unsigned delivery,
                      uint8_t vector, bool level_triggered);
/* What a memory write of @data to the MSI window at @addr does (also reached through plain
 * dma_write32()). */
void apic_deliver_msi(struct machine *m, uint64_t addr, uint32_t data);

/* Text for "info lapic", at most @len bytes. */
size_t apic_dump(struct apic *a, char *buf, size_t len);

#endif
