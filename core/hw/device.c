/*
 * Devices by table: instances from classes, properties from text, reset and saved state from the
 * field table.
 *
 * Life: device_new() (defaults) -> device_set_prop()* -> device_realize() (claims resources, goes
 * on the machine's list, is reset) -> device_reset()* -> device_free(). Saved state is a byte
 * string: for each field of the table in order its elements, little-endian, without names; the
 * snapshot that holds it names the class.
 */
#include "hw/device.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "char/char.h"
#include "clock.h"
#include "machine.h"
#include "options.h"

/* ---- properties ---- */

static void *at(struct device *d, uint32_t offset)
{
    return (char *)d + offset;
}

static const struct prop *find_prop(const struct device_class *cls, const char *name)
{
    for (const struct prop *p = cls->props; p && p->name; p++)
        if (!strcmp(p->name, name))
            return p;
    return NULL;
}

static bool parse_uint(const char *s, uint64_t max, uint64_t *v)
{
    char *end;
    if (*s < '0' || *s > '9')
        return false;
    unsigned long long n = strtoull(s, &end, 0);
    *v = n;
    return !*end && n <= max;
}

bool parse_mac(const char *s, uint8_t mac[6])
{
    unsigned b[6];
    int used = 0;
    if (sscanf(s, "%2x%*1[:-]%2x%*1[:-]%2x%*1[:-]%2x%*1[:-]%2x%*1[:-]%2x%n", &b[0], &b[1], &b[2],
               &b[3], &b[4], &b[5], &used) != 6 ||
        s[used])
        return false;
    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)b[i];
    return true;
}

static bool bad_value(struct device *d, const struct prop *p, const char *value, const char *want,
                      struct error *err)
{
    return error_set(err, "device '%s': property '%s': '%s' is not %s", d->cls->name, p->name,
                     value, want);
}

static bool set_prop(struct device *d, const struct prop *p, const char *value, struct error *err)
{
    void *to = at(d, p->offset);
    uint64_t n;
    switch (p->type) {
    case PROP_BOOL: return parse_bool(value, to) || bad_value(d, p, value, "'on' or 'off'", err);
    case PROP_U32:
        if (!parse_uint(value, UINT32_MAX, &n))
            return bad_value(d, p, value, "a number of up to 32 bits", err);
        *(uint32_t *)to = (uint32_t)n;
        return true;
    case PROP_U64:
        if (!parse_uint(value, UINT64_MAX, &n))
            return bad_value(d, p, value, "a number", err);
        *(uint64_t *)to = n;
        return true;
    case PROP_SIZE:
        if (!parse_size(value, 0, &n))
            return bad_value(d, p, value, "a size such as 64M", err);
        *(uint64_t *)to = n;
        return true;
    case PROP_STRING: {
        char *copy = strdup(value);
        if (!copy)
            return error_set(err, "device '%s': out of memory", d->cls->name);
        free(*(char **)to);
        *(char **)to = copy;
        return true;
    }
    case PROP_DRIVE: {
        struct drive *drive = machine_find_drive(d->machine, value);
        if (!drive)
            return bad_value(d, p, value, "the id of a -drive", err);
        if (drive->used)
            return error_set(err, "device '%s': drive '%s' is already in use", d->cls->name, value);
        drive->used = true;
        *(struct blk **)to = drive->blk;
        return true;
    }
    case PROP_CHARDEV: {
        struct chardev *c = chr_find(d->machine, value);
        if (!c)
            return bad_value(d, p, value, "the id of a -chardev", err);
        *(struct chardev **)to = c;
        return true;
    }
    case PROP_MAC:
        return parse_mac(value, to) ||
               bad_value(d, p, value, "a MAC address such as 52:54:00:12:34:56", err);
    }
    return false;
}

bool device_set_prop(struct device *d, const char *name, const char *value, struct error *err)
{
    const struct prop *p = find_prop(d->cls, name);
    if (!p)
        return error_set(err, "device '%s': there is no property '%s'", d->cls->name, name);
    return set_prop(d, p, value, err);
}

/* ---- life ---- */

struct device *device_new(struct machine *m, const struct device_class *cls)
{
    assert(cls->size >= sizeof(struct device));
    struct device *d = calloc(1, cls->size);
    if (!d)
        return NULL;
    d->cls = cls;
    d->machine = m;
    for (const struct prop *p = cls->props; p && p->name; p++) {
        struct error err;
        if (p->def && !set_prop(d, p, p->def, &err)) {
            assert(!"the default of a property doesn't parse");
            device_free(d);
            return NULL;
        }
    }
    return d;
}

bool device_realize(struct device *d, struct error *err)
{
    if (d->cls->realize && !d->cls->realize(d, err)) {
        device_free(d);
        return false;
    }
    d->realized = true;
    machine_add_device(d->machine, d);
    device_reset(d);
    return true;
}

void device_free(struct device *d)
{
    if (!d)
        return;
    if (d->realized && d->cls->unrealize)
        d->cls->unrealize(d);
    for (const struct field *f = d->cls->fields; f && f->name; f++)
        if (f->type == FIELD_TIMER)
            for (uint32_t i = 0; i < f->count; i++) {
                struct timer *t = (struct timer *)at(d, f->offset) + i;
                if (t->clock)
                    timer_del(t);
            }
    for (const struct prop *p = d->cls->props; p && p->name; p++) {
        if (p->type == PROP_STRING)
            free(*(char **)at(d, p->offset));
        if (p->type == PROP_DRIVE)
            for (struct drive *drive = d->machine->drives; drive; drive = drive->next)
                if (drive->blk && drive->blk == *(struct blk **)at(d, p->offset))
                    drive->used = false;
    }
    free(d->id);
    free(d->addr);
    free(d);
}

const struct device_class *device_class_find(const char *name)
{
    for (size_t i = 0; device_classes[i]; i++)
        if (!strcmp(device_classes[i]->name, name))
            return device_classes[i];
    const struct device_alias *a = device_alias_find(name);
    return a ? a->cls : NULL;
}

const struct device_alias *device_alias_find(const char *name)
{
    for (const struct device_alias *a = device_aliases; a->name; a++)
        if (!strcmp(a->name, name))
            return a;
    return NULL;
}

/* ---- fields ---- */

static size_t element_size(enum field_type type)
{
    switch (type) {
    case FIELD_BOOL: return sizeof(bool);
    case FIELD_U8:
    case FIELD_BYTES: return 1;
    case FIELD_U16: return 2;
    case FIELD_U32: return 4;
    case FIELD_U64:
    case FIELD_I64: return 8;
    case FIELD_TIMER: return sizeof(struct timer);
    case FIELD_POINTER: return 0; /* its bytes are elsewhere */
    }
    return 0;
}

static void put_element(enum field_type type, void *to, uint64_t v)
{
    switch (type) {
    case FIELD_BOOL: *(bool *)to = v != 0; break;
    case FIELD_U8:
    case FIELD_BYTES: *(uint8_t *)to = (uint8_t)v; break;
    case FIELD_U16: *(uint16_t *)to = (uint16_t)v; break;
    case FIELD_U32: *(uint32_t *)to = (uint32_t)v; break;
    case FIELD_U64: *(uint64_t *)to = v; break;
    case FIELD_I64: *(int64_t *)to = (int64_t)v; break;
    case FIELD_TIMER: {
        struct timer *t = to;
        if (!t->clock)
            break;
        if ((int64_t)v < 0)
            timer_del(t);
        else
            timer_mod(t, (int64_t)v);
        break;
    }
    case FIELD_POINTER: break;
    }
}

static uint64_t get_element(enum field_type type, const void *from)
{
    switch (type) {
    case FIELD_BOOL: return *(const bool *)from;
    case FIELD_U8:
    case FIELD_BYTES: return *(const uint8_t *)from;
    case FIELD_U16: return *(const uint16_t *)from;
    case FIELD_U32: return *(const uint32_t *)from;
    case FIELD_U64: return *(const uint64_t *)from;
    case FIELD_I64: return (uint64_t) * (const int64_t *)from;
    case FIELD_TIMER: return (uint64_t)((const struct timer *)from)->expire_ns;
    case FIELD_POINTER: break;
    }
    return 0;
}

static size_t saved_size(enum field_type type)
{
    return type == FIELD_TIMER ? 8 : element_size(type);
}

void device_reset(struct device *d)
{
    for (const struct field *f = d->cls->fields; f && f->name; f++) {
        if (f->flags & FIELD_NORESET)
            continue;
        char *p = at(d, f->offset);
        uint64_t v = f->type == FIELD_TIMER ? (uint64_t)-1 : f->reset;
        for (uint32_t i = 0; i < f->count; i++, p += element_size(f->type))
            put_element(f->type, p, v);
    }
    if (d->cls->reset)
        d->cls->reset(d);
}

size_t fields_save(const struct field *fields, const void *base, uint8_t *buf, size_t len)
{
    size_t n = 0;
    for (const struct field *f = fields; f && f->name; f++) {
        const char *p = (const char *)base + f->offset;
        if (f->type == FIELD_POINTER) {
            const uint8_t *bytes = *(uint8_t *const *)p;
            size_t count = bytes ? f->count : 0;
            if (count && n < len)
                memcpy(buf + n, bytes, count < len - n ? count : len - n);
            n += count;
            continue;
        }
        size_t bytes = saved_size(f->type);
        for (uint32_t i = 0; i < f->count; i++, p += element_size(f->type), n += bytes) {
            uint64_t v = get_element(f->type, p);
            for (size_t b = 0; b < bytes && n + b < len; b++)
                buf[n + b] = (uint8_t)(v >> (8 * b));
        }
    }
    return n;
}

void fields_load(const struct field *fields, void *base, const uint8_t *buf)
{
    for (const struct field *f = fields; f && f->name; f++) {
        char *p = (char *)base + f->offset;
        if (f->type == FIELD_POINTER) {
            uint8_t *bytes = *(uint8_t **)p;
            if (bytes) {
                memcpy(bytes, buf, f->count);
                buf += f->count;
            }
            continue;
        }
        size_t bytes = saved_size(f->type);
        for (uint32_t i = 0; i < f->count; i++, p += element_size(f->type), buf += bytes) {
            uint64_t v = 0;
            for (size_t b = 0; b < bytes; b++)
                v |= (uint64_t)buf[b] << (8 * b);
            put_element(f->type, p, v);
        }
    }
}

size_t device_save(const struct device *d, uint8_t *buf, size_t len)
{
    return fields_save(d->cls->fields, d, buf, len);
}

bool device_load(struct device *d, const uint8_t *buf, size_t len, struct error *err)
{
    size_t need = device_save(d, NULL, 0);
    if (len != need)
        return error_set(err, "device '%s': saved state has %zu bytes, not %zu", d->cls->name, len,
                         need);
    fields_load(d->cls->fields, d, buf);
    if (d->cls->post_load)
        d->cls->post_load(d);
    return true;
}
