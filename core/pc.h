/*
 * Inside the board: what pc.c (wiring) and pc_firmware.c (what the firmware is told) share.
 */
#ifndef SLIPWAY_PC_H
#define SLIPWAY_PC_H

#include "hw/device.h"
#include "memory.h"

struct acpi_pm;
struct fdc;
struct i8257;
struct ide_geometry;
struct machine;
struct mc146818rtc;
struct piix_ide;

enum pc_a20_source { A20_KEYBOARD, A20_PORT92, A20_SOURCES };

/* The board, a device of the machine: owns what no chip owns. */
struct pc {
    struct device dev;
    struct mem_region ram_low, ram_1m, ram_4g; /* windows on m->ram */
    struct mem_region bios, bios_isa;
    const uint8_t *bios_isa_bytes; /* the last 128 KB of the BIOS image */
    bool a20[A20_SOURCES];
    struct piix_ide *ide;
    /* -boot once=: 1 until the first reset (of building), 2 during the first boot, then 0. */
    uint8_t boot_once;
    struct mc146818rtc *rtc;
    struct acpi_pm *pm; /* NULL with acpi=off */
    struct i8257 *dma;
    struct fdc *fdc;
};

/* pc_drives.c: opens the -drives and gives those of IDE their places. */
bool pc_add_drives(struct pc *pc, struct error *err);

/* Sizes, boot order and the like in fw_cfg and CMOS; the last step of building. */
bool pc_describe(struct pc *pc, struct error *err);
/* At a reset: takes -boot once= back after the first boot. */
void pc_reset_boot_order(struct pc *pc);

/* pc_char.c: -serial and -debugcon. */
bool pc_add_chardevs(struct machine *m, struct error *err);

/* pc_devices.c: those of -device. */
bool pc_add_devices(struct machine *m, struct error *err);

#endif
