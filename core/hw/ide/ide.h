/*
 * IDE: the PIIX3's IDE function (PCI 8086:7010) with two channels of two drives, ATA disks and
 * ATAPI CD drives.
 *
 * The board makes the controller with piix3_ide_new() and then attaches drives; unit 0..3 is
 * primary master, primary slave, secondary master, secondary slave. Interrupts go to the machine's
 * ISA lines 14 and 15.
 */
#ifndef SLIPWAY_HW_IDE_H
#define SLIPWAY_HW_IDE_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "hw/device.h"

struct blk;
struct machine;
struct piix_ide;

#define IDE_UNITS 4

struct ide_unit {
    struct blk
        *blk; /* NULL: CD drive without medium (a disk needs one); the caller keeps ownership */
    bool cdrom;
    const char *serial; /* NULL: "SL00001" and so on; at most 20 characters */
    const char *model;  /* NULL: default; at most 40 characters */
};

/* How the BIOS should translate a disk's geometry, in the encoding of CMOS register 0x39. */
enum ide_translation { IDE_TRANS_NONE, IDE_TRANS_LBA, IDE_TRANS_LARGE };

struct ide_geometry {
    uint32_t cylinders, heads, sectors;
    enum ide_translation translation;
};

extern const struct device_class piix3_ide_class;

/* Makes the controller at @devfn and puts it on the machine's list. NULL: @err says why. */
struct piix_ide *piix3_ide_new(struct machine *m, int devfn, struct error *err);
/* Attaches a drive; before the machine runs. */
bool piix_ide_attach(struct piix_ide *s, unsigned unit, const struct ide_unit *u,
                     struct error *err);
/* Puts @blk (NULL: nothing) into the CD drive @unit, as a person at the tray would; the guest sees
 * a medium change. The caller keeps ownership of old and new. False if @unit isn't a CD drive or a
 * guest locked it and !@force. */
bool piix_ide_set_medium(struct piix_ide *s, unsigned unit, struct blk *blk, bool force,
                         struct error *err);
/* Geometry of the disk at @unit for the CMOS; false if there is no disk. */
bool piix_ide_geometry(const struct piix_ide *s, unsigned unit, struct ide_geometry *g);

/* The default geometry of a disk of @sectors (virtio-blk reports it, too). */
void ide_guess_geometry(uint64_t sectors, struct ide_geometry *g);

#endif
