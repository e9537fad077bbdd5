/*
 * Direct boot: -kernel, -initrd and -append without a disk. The parts go into fw_cfg items, and an
 * option ROM of ours loads and starts them.
 */
#ifndef SLIPWAY_HW_LINUXBOOT_H
#define SLIPWAY_HW_LINUXBOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct fw_cfg;
struct machine;

/* Loads m->opt->kernel (a Linux bzImage or a multiboot image), ->initrd and ->append into
 * m->fw_cfg. Messages name the file. */
bool linuxboot_load(struct machine *m, struct error *err);

/* linuxboot_multiboot.c: is there a multiboot header in the first 8 KB? Then *@at is its offset. */
bool multiboot_find_header(const uint8_t *image, size_t size, size_t *at);
/* Does the work for such an image; @image stays the caller's. */
bool multiboot_load(struct machine *m, const uint8_t *image, size_t size, size_t header,
                    struct error *err);
/* Adds a ROM as genroms/@name, first in the boot order. */
bool linuxboot_add_rom(struct fw_cfg *f, const char *name, const uint8_t *rom, size_t size);

/* The assembled ROMs (linuxboot.asm, linuxboot_multiboot.asm), without checksum. */
extern const uint8_t linuxboot_rom[], multiboot_rom[];
extern const size_t linuxboot_rom_size, multiboot_rom_size;

#endif
