/*
 * A writer of AML (ACPI 6.4, chapter 20), as much of it as the DSDT of a PC needs. Code is appended
 * to a growing buffer; things with a length (devices, methods, packages ...) are opened with a
 * function that returns a mark and closed with aml_end(), which puts the length in. Running out of
 * memory sets failed and makes the rest no-ops.
 *
 * Names are paths as in ASL with dots and an optional leading backslash; segments shorter than four
 * letters are padded.
 */
#ifndef SLIPWAY_HW_AML_H
#define SLIPWAY_HW_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
    uint8_t *buf; /* malloc'd; the caller frees it */
    size_t len, capacity;
    bool failed;
};

void aml_bytes(struct aml *a, const void *data, size_t len);
void aml_byte(struct aml *a, uint8_t v);
void aml_name(struct aml *a, const char *path);
void aml_int(struct aml *a, uint64_t v);
void aml_eisa_id(struct aml *a, const char *id); /* "PNP0A03" */

size_t aml_scope(struct aml *a, const char *path);
size_t aml_device(struct aml *a, const char *name);
size_t aml_processor(struct aml *a, const char *name, uint8_t id);
size_t aml_method(struct aml *a, const char *name, unsigned args, bool serialized);
size_t aml_package(struct aml *a, uint8_t elements);
size_t aml_if(struct aml *a); /* the predicate follows, then the body */
void aml_end(struct aml *a, size_t mark);

/* Name(name, ...): the value follows. The others are whole statements. */
void aml_named(struct aml *a, const char *name);
void aml_name_int(struct aml *a, const char *name, uint64_t v);
void aml_name_eisa(struct aml *a, const char *name, const char *id);
/* Fields of @bits each over bytes of PCI configuration space of the enclosing device. */
void aml_pci_config_fields(struct aml *a, const char *region, uint8_t offset,
                           const char *const *names, unsigned count, unsigned bits);
/* Fields of 32 bits each over I/O ports from @base on. */
void aml_io_fields(struct aml *a, const char *region, uint16_t base, const char *const *names,
                   unsigned count);
void aml_and(struct aml *a, const char *name, uint32_t mask); /* an expression, not stored */
void aml_or_into(struct aml *a, const char *name, uint8_t mask);
void aml_return_int(struct aml *a, uint64_t v);
void aml_return_name(struct aml *a, const char *name);
void aml_store_name(struct aml *a, const char *from, const char *to);
void aml_store_int(struct aml *a, uint64_t v, const char *to);
void aml_notify(struct aml *a, const char *object, unsigned value);

/* A resource template: open, add descriptors, close (writes the end tag). */
struct aml_resources {
    uint8_t bytes[512];
    size_t len;
};
void aml_res_io(struct aml_resources *r, uint16_t base, uint8_t len);
void aml_res_irq(struct aml_resources *r, unsigned irq);
void aml_res_dma(struct aml_resources *r, unsigned channel);
void aml_res_memory32(struct aml_resources *r, uint32_t base, uint32_t len);
/* Level, active high, shared. */
void aml_res_interrupt(struct aml_resources *r, const uint32_t *irqs, unsigned count);
void aml_res_bus(struct aml_resources *r, uint16_t first, uint16_t last);
void aml_res_io_window(struct aml_resources *r, uint16_t first, uint16_t last);
void aml_res_memory_window(struct aml_resources *r, uint32_t first, uint32_t last, bool cacheable);
void aml_res_memory_window64(struct aml_resources *r, uint64_t first, uint64_t last);
/* Writes the template as a buffer. */
void aml_res_write(struct aml *a, const struct aml_resources *r);
/* Name(_CRS, ...) of it. */
void aml_crs(struct aml *a, const struct aml_resources *r);

#endif
