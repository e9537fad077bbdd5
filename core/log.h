/*
 * The -d / -D log. Each category is a bit of log_mask; testing the bit costs a load, so hot paths
 * ask log_on() first. Guest mistakes go to LOG_GUEST_ERRORS, which is rate-limited: a guest that
 * does one thing wrong a million times can't fill a disk.
 */
#ifndef SLIPWAY_LOG_H
#define SLIPWAY_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

enum log_category {
    LOG_IN_ASM = 1 << 0,       /* in_asm: guest code as it is decoded */
    LOG_INT = 1 << 1,          /* int: interrupts and exceptions */
    LOG_MMU = 1 << 2,          /* mmu: page walks that fault, TLB flushes */
    LOG_UNIMP = 1 << 3,        /* unimp: what the emulator doesn't implement */
    LOG_GUEST_ERRORS = 1 << 4, /* guest_errors: what a guest does wrong */
    LOG_CPU_RESET = 1 << 5,    /* cpu_reset: resets, triple faults and INIT, with the registers */
    LOG_EXEC = 1 << 6,         /* exec: every block that runs (large) */
    LOG_LOCKSTEP = 1 << 7,     /* lockstep: translated code is checked against the interpreter */
};

extern uint32_t log_mask_bits;

static inline bool log_on(uint32_t category)
{
    return (log_mask_bits & category) != 0;
}

/* Writes one line (printf style; no trailing newline needed) if @category is on. */
void log_mask(uint32_t category, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* -d: comma-separated category names ("int,guest_errors"); -D: file instead of stderr. */
bool log_set_categories(const char *list, struct error *err);
bool log_set_file(const char *path, struct error *err);
/* Prints the categories with their descriptions (-d help). */
void log_print_help(void);

#endif
