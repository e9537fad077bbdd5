/*
 * fw_cfg: QEMU's firmware configuration device, through which SeaBIOS learns what the machine is
 * and loads kernels, tables and option ROMs. Items are byte strings, selected by a 16-bit key;
 * named files have keys from 0x20 up and a directory. QEMU, docs/specs/fw_cfg.
 */
#ifndef SLIPWAY_HW_FW_CFG_H
#define SLIPWAY_HW_FW_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct machine;
struct fw_cfg;

/* Keys of the items that have no file name. */
enum {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_DEVICE = 0x0c,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_ENTRY = 0x10,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_ADDR = 0x13,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16,
    FW_CFG_SETUP_SIZE = 0x17,
    FW_CFG_SETUP_DATA = 0x18,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_ACPI_TABLES = 0x8000,
    FW_CFG_SMBIOS_ENTRIES = 0x8001,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
    FW_CFG_E820_TABLE = 0x8003,
    FW_CFG_HPET = 0x8004,
};

/* The device with its signature and id, at ports 0x510-0x51b; the machine owns it. NULL: out of
 * memory. */
struct fw_cfg *fw_cfg_new(struct machine *m);

/* Adds (or replaces) an item; the bytes are copied. False: out of memory or out of keys. */
bool fw_cfg_add(struct fw_cfg *f, uint16_t key, const void *data, size_t len);
bool fw_cfg_add_u16(struct fw_cfg *f, uint16_t key, uint16_t v);
bool fw_cfg_add_u32(struct fw_cfg *f, uint16_t key, uint32_t v);
bool fw_cfg_add_u64(struct fw_cfg *f, uint16_t key, uint64_t v);
/* @data (malloc'd) becomes the device's, also on failure. */
bool fw_cfg_add_owned(struct fw_cfg *f, uint16_t key, void *data, size_t len);

/* Named files, at most 55 characters of @name. */
bool fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, size_t len);
/* The bytes of a file, NULL if there is none: to look at or to change in place. */
uint8_t *fw_cfg_find_file(struct fw_cfg *f, const char *name, size_t *len);

/* Puts an OpenFirmware path ("/pci@i0cf8/ide@1,1/drive@0/disk@0") into the file "bootorder", sorted
 * by @index; paths of equal index stay in the order of the calls. */
bool fw_cfg_add_boot_path(struct fw_cfg *f, int index, const char *path);
/* -boot strict=on: what isn't in the list doesn't boot. */
bool fw_cfg_boot_strict(struct fw_cfg *f);

#endif
