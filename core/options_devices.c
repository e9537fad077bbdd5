/*
 * -device and what describes drives: -drive, -hda and the like. As options_values.c.
 */
#include "options_impl.h"

#include <stdlib.h>
#include <string.h>

#include "hw/device.h"

bool device_option_take(struct device_option *d)
{
    for (struct keyval **kv = &d->props; *kv;) {
        struct keyval *this = *kv;
        char **field = !strcmp(this->key, "driver") ? &d->driver
                       : !strcmp(this->key, "id")   ? &d->id
                                                    : NULL;
        if (!field) {
            kv = &this->next;
            continue;
        }
        option_set_string(field, this->value);
        *kv = this->next;
        this->next = NULL;
        keyval_free(this);
    }
    return d->driver != NULL;
}

bool option_device(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
        device_print_classes();
        p->exit_now = true;
        return true;
    }
    struct device_option *d = calloc(1, sizeof *d), **tail = &p->o->devices;
    if (!d)
        abort();
    while (*tail)
        tail = &(*tail)->next;
    *tail = d;
    if (!keyval_parse(arg, &d->driver, &d->props, opt, err))
        return false;
    if (!device_option_take(d))
        return error_set(err, "%s %s: no device named", opt, arg);
    if (keyval_get(d->props, "help")) {
        const struct device_class *cls = device_class_find(d->driver);
        if (!cls || !cls->bus)
            return error_set(err, "%s: '%s' is not a valid device model name (see -device help)",
                             opt, d->driver);
        device_print_props(cls);
        p->exit_now = true;
    }
    return true;
}

static bool add_drive(struct option_parser *p, const char *opt, struct drive_option *d,
                      struct error *err)
{
    struct drive_option **tail = &p->o->drives;
    int max = d->iface == DRIVE_IDE ? 4 : d->iface == DRIVE_FLOPPY ? 2 : 0;
    bool ok = true;
    for (; *tail; tail = &(*tail)->next) {
        if (d->id && (*tail)->id && !strcmp(d->id, (*tail)->id))
            ok = error_set(err, "%s: there are two drives with id '%s'", opt, d->id);
        if (max && d->index >= 0 && (*tail)->iface == d->iface && (*tail)->index == d->index)
            ok = error_set(err, "%s: there is a drive with index %d already", opt, d->index);
    }
    if (ok && max && d->index >= max)
        ok = error_set(err, "%s: index %d is out of range (0 to %d)", opt, d->index, max - 1);
    if (ok && !d->file && !d->cdrom && d->iface != DRIVE_FLOPPY)
        ok = error_set(err, "%s: file= is missing", opt);
    *tail = d; /* also on failure: options_free has it then */
    return ok;
}

static struct drive_option *new_drive(enum drive_if iface, const char *file, int index)
{
    struct drive_option *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    d->iface = iface;
    d->index = index;
    d->bootindex = -1;
    if (file && *file)
        option_set_string(&d->file, file);
    return d;
}

/* -hda FILE ... -hdd FILE: the letter is the index. */
bool option_hd(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    return add_drive(p, opt, new_drive(DRIVE_IDE, arg, opt[strlen(opt) - 1] - 'a'), err);
}

bool option_fd(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    return add_drive(p, opt, new_drive(DRIVE_FLOPPY, arg, opt[strlen(opt) - 1] - 'a'), err);
}

bool option_cdrom(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    struct drive_option *d = new_drive(DRIVE_IDE, arg, 2);
    d->cdrom = d->readonly = true;
    return add_drive(p, opt, d, err);
}

/* Values that only tune QEMU's I/O and mean nothing here: checked, then dropped. */
static bool check_drive_tuning(const char *opt, const struct keyval *list, struct error *err)
{
    static const struct {
        const char *key;
        const char *words[9];
    } tuning[] = {
        { "cache", { "none", "off", "writeback", "writethrough", "unsafe", "directsync" } },
        { "aio", { "threads", "native", "io_uring" } },
        { "discard", { "ignore", "off", "unmap", "on" } },
        { "werror", { "report", "ignore", "stop", "enospc" } },
        { "rerror", { "report", "ignore", "stop" } },
    };
    for (size_t i = 0; i < sizeof tuning / sizeof tuning[0]; i++) {
        const char *value = keyval_get(list, tuning[i].key);
        if (value && !option_one_of(value, tuning[i].words))
            return error_set(err, "%s: %s=%s: no such mode", opt, tuning[i].key, value);
    }
    return true;
}

bool option_drive(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    static const char *const keys[] = { "file",   "format", "if",        "media",    "id",
                                        "index",  "bus",    "unit",      "snapshot", "readonly",
                                        "cache",  "aio",    "read-only", "discard",  "werror",
                                        "rerror", NULL };
    static const struct {
        const char *name;
        enum drive_if iface;
        int units; /* a bus */
    } ifs[] = { { "ide", DRIVE_IDE, 2 },
                { "floppy", DRIVE_FLOPPY, 2 },
                { "virtio", DRIVE_VIRTIO, 0 },
                { "none", DRIVE_NONE, 0 } };
    struct keyval *list;
    if (!keyval_parse(arg, NULL, &list, opt, err))
        return false;
    struct drive_option *d = new_drive(DRIVE_IDE, keyval_get(list, "file"), -1);
    const char *iface = keyval_get(list, "if"), *media = keyval_get(list, "media");
    const char *format = keyval_get(list, "format"), *id = keyval_get(list, "id");
    int units = 2, bus = -1, unit = -1;
    bool ok = !option_bad_key(opt, list, keys, err) && check_drive_tuning(opt, list, err) &&
              option_int(opt, list, "index", 255, &d->index, err) &&
              option_int(opt, list, "bus", 255, &bus, err) &&
              option_int(opt, list, "unit", 255, &unit, err) &&
              option_bool(opt, list, "snapshot", &d->snapshot, err) &&
              option_bool(opt, list, "readonly", &d->readonly, err) &&
              option_bool(opt, list, "read-only", &d->readonly, err);
    if (ok && iface) {
        size_t i = 0;
        while (i < 4 && strcmp(ifs[i].name, iface))
            i++;
        if (i == 4) {
            ok = error_set(err, "%s: if=%s is not available (use ide, floppy, virtio or none)", opt,
                           iface);
        } else {
            d->iface = ifs[i].iface;
            units = ifs[i].units;
        }
    }
    if (ok && media && strcmp(media, "disk") && strcmp(media, "cdrom"))
        ok = error_set(err, "%s: media=%s: must be disk or cdrom", opt, media);
    if (ok && format && strcmp(format, "raw"))
        ok = error_set(err, "%s: format=%s is not available (use raw)", opt, format);
    if (ok && (bus >= 0 || unit >= 0)) {
        if (d->index >= 0)
            ok = error_set(err, "%s: index= can't be used together with bus= and unit=", opt);
        else if (units && unit >= units)
            ok = error_set(err, "%s: unit=%d is out of range (0 to %d)", opt, unit, units - 1);
        else if (units && (unit >= 0 || d->iface == DRIVE_IDE))
            d->index = (bus > 0 ? bus : 0) * units + (unit > 0 ? unit : 0);
    }
    d->cdrom = media && !strcmp(media, "cdrom");
    d->readonly |= d->cdrom;
    if (format)
        option_set_string(&d->format, format);
    if (id)
        option_set_string(&d->id, id);
    keyval_free(list);
    struct error ignored;
    return add_drive(p, opt, d, ok ? err : &ignored) && ok;
}

bool option_snapshot(struct option_parser *p, const char *opt, const char *arg, struct error *err)
{
    p->snapshot = true;
    return true;
}
