/*
 * The drives of the command line and their places.
 *
 * Every -drive is opened first; then those with an index take their unit, and the others the free
 * units in order, as QEMU does. Units of IDE: primary master, primary slave, secondary master,
 * secondary slave. A drive without file is an empty CD or floppy drive. if=none waits for a
 * -device, if=virtio makes one. There is a floppy drive A, perhaps empty, unless -nodefaults says
 * otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "hw/fdc.h"
#include "hw/fw_cfg.h"
#include "hw/ide/ide.h"
#include "hw/mc146818rtc.h"
#include "hw/virtio/virtio_blk.h"
#include "machine.h"
#include "options.h"
#include "pc.h"

/* What QEMU calls a drive that has no id: ide0-hd1, ide1-cd0, floppy0. */
static const char *label(const struct drive_option *o, int n, char *buf, size_t len)
{
    n = n < 0 ? 0 : n;
    if (o->id)
        return o->id;
    switch (o->iface) {
    case DRIVE_IDE: snprintf(buf, len, "ide%d-%s%d", n / 2, o->cdrom ? "cd" : "hd", n % 2); break;
    case DRIVE_FLOPPY: snprintf(buf, len, "floppy%d", n); break;
    case DRIVE_VIRTIO: snprintf(buf, len, "virtio%d", n); break;
    default: snprintf(buf, len, "none%d", n); break;
    }
    return buf;
}

static bool name_drive(struct drive *d, int unit)
{
    char buf[32];
    d->unit = unit;
    free(d->name);
    d->name = strdup(label(d->opt, unit, buf, sizeof buf));
    return d->name != NULL;
}

static bool open_drives(struct machine *m, struct error *err)
{
    for (const struct drive_option *o = m->opt->drives; o; o = o->next) {
        struct blk *blk = NULL;
        char name[32];
        if (o->file) {
            struct blk_options b = { .id = label(o, o->index, name, sizeof name),
                                     .file = o->file,
                                     .format = o->format,
                                     .readonly = o->readonly,
                                     .snapshot = o->snapshot };
            blk = blk_open(m, &b, err);
            if (!blk)
                return false;
        }
        struct drive *d = machine_add_drive(m, o, blk);
        if (!d)
            blk_close(blk);
        if (d && blk)
            d->file = strdup(o->file);
        if (!d || !name_drive(d, o->index) || (blk && !d->file))
            return error_set(err, "out of memory");
    }
    return true;
}

/* Gives each drive of interface @iface a unit of @units; fails if there are more than that. */
static bool place(struct machine *m, enum drive_if iface, const char *name, struct drive **unit,
                  int units, struct error *err)
{
    char buf[32];
    for (struct drive *d = m->drives; d; d = d->next)
        if (d->opt->iface == iface && d->opt->index >= 0) {
            if (d->opt->index >= units || unit[d->opt->index])
                return error_set(err, "drive '%s': %s unit %d is taken or doesn't exist",
                                 label(d->opt, d->opt->index, buf, sizeof buf), name,
                                 d->opt->index);
            unit[d->opt->index] = d;
        }
    for (struct drive *d = m->drives; d; d = d->next)
        if (d->opt->iface == iface && d->opt->index < 0) {
            int n = 0;
            while (n < units && unit[n])
                n++;
            if (n == units)
                return error_set(err, "drive '%s': all %d %s units are taken",
                                 label(d->opt, d->opt->index, buf, sizeof buf), units, name);
            unit[n] = d;
        }
    return true;
}

static bool add_ide_drives(struct pc *pc, struct error *err)
{
    struct machine *m = pc->dev.machine;
    struct drive *unit[IDE_UNITS] = { 0 };
    if (!place(m, DRIVE_IDE, "IDE", unit, IDE_UNITS, err))
        return false;
    for (int n = 0; n < IDE_UNITS; n++) {
        struct drive *d = unit[n];
        if (!d)
            continue;
        struct ide_unit u = { .blk = d->blk, .cdrom = d->opt->cdrom };
        if (!piix_ide_attach(pc->ide, (unsigned)n, &u, err))
            return false;
        d->used = true;
        if (!name_drive(d, n))
            return error_set(err, "out of memory");
        if (d->opt->bootindex >= 0) {
            char path[64];
            snprintf(path, sizeof path, "/pci@i0cf8/ide@1,1/drive@%d/disk@%d", n / 2, n % 2);
            if (!fw_cfg_add_boot_path(m->fw_cfg, d->opt->bootindex, path))
                return error_set(err, "out of memory");
        }
    }
    return true;
}

/* Drive A, when nothing says anything about it. */
static const struct drive_option default_floppy = { .iface = DRIVE_FLOPPY, .bootindex = -1 };

static bool add_floppies(struct pc *pc, struct error *err)
{
    struct machine *m = pc->dev.machine;
    struct drive *unit[FDC_DRIVES] = { 0 };
    if (!place(m, DRIVE_FLOPPY, "floppy", unit, FDC_DRIVES, err))
        return false;
    pc->fdc = fdc_new(m, pc->dma, err);
    if (!pc->fdc)
        return false;
    for (int n = 0; n < FDC_DRIVES; n++) {
        struct drive *d = unit[n];
        if (!d && (n > 0 || m->opt->nodefaults))
            continue;
        if (!d)
            d = machine_add_drive(m, &default_floppy, NULL);
        if (!d || !name_drive(d, n))
            return error_set(err, "out of memory");
        if (!fdc_attach(pc->fdc, (unsigned)n, d->blk, err))
            return false;
        d->used = true;
        if (d->opt->bootindex >= 0) {
            char path[64];
            snprintf(path, sizeof path, "/pci@i0cf8/isa@1/fdc@03f0/floppy@%d", n);
            if (!fw_cfg_add_boot_path(m->fw_cfg, d->opt->bootindex, path))
                return error_set(err, "out of memory");
        }
    }
    mc146818rtc_set_floppies(pc->rtc, (uint8_t)fdc_drive_type(pc->fdc, 0),
                             (uint8_t)fdc_drive_type(pc->fdc, 1));
    return true;
}

static bool add_virtio_drives(struct machine *m, struct error *err)
{
    for (struct drive *d = m->drives; d; d = d->next) {
        if (d->opt->iface != DRIVE_VIRTIO)
            continue;
        if (!d->blk)
            return error_set(err, "drive '%s': a virtio disk needs a file",
                             d->opt->id ? d->opt->id : "virtio");
        d->used = true;
        if (!virtio_blk_new(m, d->blk, d->opt->bootindex, err))
            return false;
    }
    return true;
}

bool pc_add_drives(struct pc *pc, struct error *err)
{
    return open_drives(pc->dev.machine, err) && add_ide_drives(pc, err) && add_floppies(pc, err) &&
           add_virtio_drives(pc->dev.machine, err);
}

/* ---- change of media ---- */

static struct drive *find_removable(struct machine *m, const char *name, struct error *err)
{
    struct drive *d = m->drives;
    while (d && strcmp(d->name, name))
        d = d->next;
    if (!d) {
        error_set(err, "Device '%.100s' not found", name);
    } else if (!(d->opt->iface == DRIVE_IDE && d->opt->cdrom) && d->opt->iface != DRIVE_FLOPPY) {
        error_set(err, "Device '%.100s' is not removable", name);
        d = NULL;
    }
    return d;
}

bool machine_change_medium(struct machine *m, const char *drive, const char *file,
                           const char *format, const char *mode, bool force, struct error *err)
{
    struct pc *pc = m->board;
    struct drive *d = find_removable(m, drive, err);
    if (!d)
        return false;
    bool readonly = d->opt->cdrom || d->opt->readonly;
    if (!strcmp(mode, "read-only"))
        readonly = true;
    else if (!strcmp(mode, "read-write"))
        readonly = false;
    else if (strcmp(mode, "retain"))
        return error_set(err, "Invalid parameter '%.100s'", mode);
    if (format && strcmp(format, "raw"))
        return error_set(err, "Unknown driver '%.100s'", format);
    struct blk *blk = NULL;
    char *kept = NULL;
    if (file) {
        struct blk_options b = { .id = d->name,
                                 .file = file,
                                 .format = format,
                                 .readonly = readonly,
                                 .snapshot = d->opt->snapshot };
        blk = blk_open(m, &b, err);
        kept = strdup(file);
    }
    bool ok = !file || (blk && kept);
    if (file && blk && !kept)
        error_set(err, "out of memory");
    unsigned unit = (unsigned)d->unit;
    if (ok)
        ok = d->opt->iface == DRIVE_FLOPPY ? fdc_set_medium(pc->fdc, unit, blk, err)
                                           : piix_ide_set_medium(pc->ide, unit, blk, force, err);
    struct blk *out = ok ? d->blk : blk;
    if (ok) {
        free(d->file);
        d->file = kept;
        d->blk = blk;
    } else {
        free(kept);
    }
    blk_close(out);
    return ok;
}
