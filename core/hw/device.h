/*
 * What every device is: a class (static tables: properties, saved fields, operations) and an
 * instance.
 *
 * Fields are declared once, as a table of offsets with reset values; that one table does reset,
 * snapshot and the monitor's views, so they can't disagree. Work that a table can't express
 * (recomputing a timer, raising a line) goes in reset() and post_load(), which run after the table
 * was applied.
 *
 * On-board devices are made by the board (core/machine.c or pc.c) through their typed constructor,
 * e.g. i8254_new(); devices of -device are found by class name, their properties set from text,
 * then realized. The device list of the machine owns all instances.
 */
#ifndef SLIPWAY_HW_DEVICE_H
#define SLIPWAY_HW_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "hw/irq.h"

struct machine;
struct device;

enum field_type {
    FIELD_BOOL,
    FIELD_U8,
    FIELD_U16,
    FIELD_U32,
    FIELD_U64,
    FIELD_I64,
    FIELD_BYTES,   /* count bytes, reset to 0 */
    FIELD_TIMER,   /* struct timer: saved as its deadline, reset = deleted */
    FIELD_POINTER, /* pointer to count bytes, or NULL: saved if it isn't NULL; reset leaves them */
};

/* NORESET fields are saved but keep their value at reset (RTC CMOS, configuration that outlives a
 * reset). */
enum { FIELD_NORESET = 1 };

struct field {
    const char *name;
    enum field_type type;
    uint8_t flags;
    uint32_t offset;
    uint32_t count; /* elements */
    uint64_t reset; /* value of each element after reset */
};

#define FIELD_(T, m, ty, sz, rst, fl)                                                              \
    {                                                                                              \
        .name = #m, .type = ty, .flags = fl, .offset = offsetof(T, m),                             \
        .count = sizeof(((T *)0)->m) / (sz), .reset = rst                                          \
    }
#define FIELD_BOOL(T, m, rst)  FIELD_(T, m, FIELD_BOOL, sizeof(bool), rst, 0)
#define FIELD_U8(T, m, rst)    FIELD_(T, m, FIELD_U8, 1, rst, 0)
#define FIELD_U16(T, m, rst)   FIELD_(T, m, FIELD_U16, 2, rst, 0)
#define FIELD_U32(T, m, rst)   FIELD_(T, m, FIELD_U32, 4, rst, 0)
#define FIELD_U64(T, m, rst)   FIELD_(T, m, FIELD_U64, 8, rst, 0)
#define FIELD_I64(T, m, rst)   FIELD_(T, m, FIELD_I64, 8, rst, 0)
#define FIELD_BYTES(T, m)      FIELD_(T, m, FIELD_BYTES, 1, 0, 0)
#define FIELD_KEEP_BYTES(T, m) FIELD_(T, m, FIELD_BYTES, 1, 0, FIELD_NORESET)
#define FIELD_TIMER(T, m)      FIELD_(T, m, FIELD_TIMER, sizeof(struct timer), 0, 0)
/* @m points to @n bytes that the device allocated. */
#define FIELD_POINTER(T, m, n)                                                                     \
    {                                                                                              \
        .name = #m, .type = FIELD_POINTER, .flags = FIELD_NORESET, .offset = offsetof(T, m),       \
        .count = n                                                                                 \
    }
#define FIELD_END                                                                                  \
    {                                                                                              \
        NULL, 0, 0, 0, 0, 0                                                                        \
    }

enum prop_type {
    PROP_BOOL,
    PROP_U32,
    PROP_U64,
    PROP_SIZE,
    PROP_STRING,
    PROP_DRIVE,
    PROP_CHARDEV,
    PROP_MAC
};

/* A property of -device NAME,prop=value. Strings are owned by the device; PROP_DRIVE and
 * PROP_CHARDEV resolve the id to struct blk * and struct chardev *. PROP_BOOL takes
 * on/off/yes/no/true/false. */
struct prop {
    const char *name; /* QEMU's name */
    enum prop_type type;
    uint32_t offset;
    const char *def; /* default, as text; NULL: zero */
    const char *help;
};
#define PROP_END                                                                                   \
    {                                                                                              \
        NULL, 0, 0, NULL, NULL                                                                     \
    }

struct device_class {
    const char *name; /* QEMU's name: "isa-debug-exit" */
    const char *desc;
    size_t size;     /* of the instance; struct device is its first member */
    const char *bus; /* "PCI", "ISA", "virtio", NULL: on-board only (not for -device) */
    const struct field *fields;
    const struct prop *props;
    bool (*realize)(struct device *d, struct error *err);
    void (*unrealize)(struct device *d);
    void (*reset)(struct device *d);
    void (*post_load)(struct device *d);
    /* Before state is saved or replaced: brings what is under way and in no field back to where the
     * fields have it. Optional. */
    void (*quiesce)(struct device *d);
    /* An interrupt controller: others drive its inputs while they are loaded, so its fields are
     * loaded once more after all of them. */
    bool routes_lines;
    const void *class_data; /* for a bus's own per-class data, e.g. struct pci_class_info */
};

/* Another name of a class for -device, with a property that it stands for (@prop may be NULL). */
struct device_alias {
    const char *name;
    const struct device_class *cls;
    const char *prop, *value;
};
extern const struct device_alias device_aliases[]; /* classes.c; ended by a NULL name */

struct device {
    const struct device_class *cls;
    struct machine *machine;
    char *id;   /* of -device id=, may be NULL; owned */
    char *addr; /* where on its bus, for info qtree; owned */
    bool realized;
    struct device *next;
};

/* Allocates an instance with property defaults, not yet realized. NULL only when out of memory. */
struct device *device_new(struct machine *m, const struct device_class *cls);
/* "52:54:00:12:34:56", with colons or dashes. */
bool parse_mac(const char *text, uint8_t mac[6]);
bool device_set_prop(struct device *d, const char *name, const char *value, struct error *err);
/* Runs cls->realize, then a reset, and puts it on the machine's list. On failure frees @d and fills
 * @err. */
bool device_realize(struct device *d, struct error *err);
void device_reset(struct device *d);
/* Takes @d out of use and frees it; it must not be on the machine's list (machine_free does that
 * for all). */
void device_free(struct device *d);
/* The fields of a table in the struct at @base as bytes, little-endian; stores at most @len of them
 * and returns how many there are. fields_load() takes what that gave. */
size_t fields_save(const struct field *fields, const void *base, uint8_t *buf, size_t len);
void fields_load(const struct field *fields, void *base, const uint8_t *buf);
/* All fields as bytes; stores at most @len of them and returns how many there are. */
size_t device_save(const struct device *d, uint8_t *buf, size_t len);
/* Restores what device_save gave, then runs post_load. */
bool device_load(struct device *d, const uint8_t *buf, size_t len, struct error *err);

/* All classes that -device can make, NULL-terminated (core/hw/classes.c). */
extern const struct device_class *const device_classes[];
const struct device_class *device_class_find(const char *name);
const struct device_alias *device_alias_find(const char *name);
/* What -device help and -device NAME,help print (pc_devices.c). */
void device_print_classes(void);
void device_print_props(const struct device_class *cls);

#endif
