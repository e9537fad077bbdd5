/*
 * Drives a QEMU without running guest code, through its qtest protocol: port and memory accesses as
 * text lines, plus one QMP channel for screendumps. For tests that do the same accesses on our
 * devices and compare.
 */
#ifndef SLIPWAY_QTEST_H
#define SLIPWAY_QTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qtest;

/* Starts qemu-system-x86_64 -M pc with @args (NULL-terminated) added; NULL: there is no QEMU here.
 * Any later failure of QEMU prints a message and exits with 1. */
struct qtest *qtest_start(const char *const *args);
void qtest_stop(struct qtest *q);

void qtest_out(struct qtest *q, uint16_t port, uint32_t value, unsigned size);
uint32_t qtest_in(struct qtest *q, uint16_t port, unsigned size);
void qtest_write(struct qtest *q, uint64_t addr, uint64_t value, unsigned size);
uint64_t qtest_read(struct qtest *q, uint64_t addr, unsigned size);
void qtest_write_bytes(struct qtest *q, uint64_t addr, const void *buf, size_t len);
void qtest_read_bytes(struct qtest *q, uint64_t addr, void *buf, size_t len);
/* PCI configuration space of bus 0 through ports 0xcf8 and 0xcfc. */
void qtest_pci_write(struct qtest *q, int slot, unsigned reg, uint32_t value);
uint32_t qtest_pci_read(struct qtest *q, int slot, unsigned reg);

/* Level of an interrupt input after qtest_intercept ("ioapic" or "/machine/..."): 0 or 1. */
bool qtest_irq(struct qtest *q, int n);
void qtest_intercept_in(struct qtest *q, const char *qom_path);
/* Drives input @n of a device ("/machine/unattached/device[6]"). */
void qtest_set_irq(struct qtest *q, const char *qom_path, int n, bool level);
/* Virtual time forward by @ns (only with -accel qtest). */
void qtest_clock_step(struct qtest *q, int64_t ns);

/* Runs a QMP command ({"execute": ...}); exits if it fails. */
void qtest_qmp(struct qtest *q, const char *json);
/* The screen as R,G,B bytes, malloc'd. */
uint8_t *qtest_screendump(struct qtest *q, int *width, int *height);

#endif
