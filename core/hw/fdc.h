/*
 * Floppy disk controller (82078, compatible to 8272A and 82077AA) with two drives, at ports
 * 0x3f0-0x3f5 and 0x3f7, IRQ 6 and DMA channel 2.
 *
 * The board makes it with fdc_new() and attaches drives; drive and medium type follow from the
 * image's size.
 */
#ifndef SLIPWAY_HW_FDC_H
#define SLIPWAY_HW_FDC_H

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct blk;
struct device_class;
struct fdc;
struct i8257;
struct machine;

#define FDC_DRIVES 2

/* Drive types as the CMOS (register 0x10) encodes them. */
enum fdc_drive_type {
    FDC_NONE = 0,
    FDC_360K = 1,
    FDC_1200K = 2,
    FDC_720K = 3,
    FDC_1440K = 4,
    FDC_2880K = 5
};

struct fdc_geometry {
    uint8_t tracks, heads, sectors; /* sectors of 512 bytes a track */
    uint8_t rate;                   /* data rate code: 0 500, 1 300, 2 250 kbit/s, 3 1 Mbit/s */
    uint8_t drive;                  /* enum fdc_drive_type that takes it */
};

extern const struct device_class fdc_class;

/* @dma: the controller whose channel 2 we use; NULL: none (only non-DMA transfers work). */
struct fdc *fdc_new(struct machine *m, struct i8257 *dma, struct error *err);
/* Adds drive @unit (0 = A:), with @blk in it (NULL: empty); before the machine runs. The caller
 * owns @blk. */
bool fdc_attach(struct fdc *f, unsigned unit, struct blk *blk, struct error *err);
/* Changes the medium (NULL: takes it out); sets the disk change line. */
bool fdc_set_medium(struct fdc *f, unsigned unit, struct blk *blk, struct error *err);
/* For CMOS register 0x10. */
enum fdc_drive_type fdc_drive_type(const struct fdc *f, unsigned unit);

/* The format of a medium of @size bytes: the known one of this size, or the smallest that holds it.
 * fdc_media.c */
const struct fdc_geometry *fdc_guess_geometry(uint64_t size);

#endif
