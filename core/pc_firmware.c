/*
 * What the firmware is told about the machine, through fw_cfg and the CMOS RAM.
 *
 * SeaBIOS takes sizes from the e820 file, processors and boot preferences from the numbered items,
 * and the order of boot devices from the file "bootorder" and, for what isn't in it, from the
 * classic CMOS bytes. Layouts: QEMU, docs/specs/fw_cfg and docs/specs/; SeaBIOS,
 * docs/Runtime_config; the CMOS map of the IBM AT with QEMU's extensions.
 */
#include <stdio.h>
#include <string.h>

#include "hw/fw_cfg.h"
#include "hw/ide/ide.h"
#include "hw/mc146818rtc.h"
#include "hw/pci/pci.h"
#include "machine.h"
#include "options.h"
#include "pc.h"

enum { E820_RAM = 1 };
#define E820_ENTRY_SIZE 20

static void put_le(uint8_t *p, uint64_t v, size_t len)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

/* etc/e820: address u64, length u64, type u32. */
static bool add_e820(struct machine *m)
{
    uint8_t table[2 * E820_ENTRY_SIZE] = { 0 };
    size_t len = E820_ENTRY_SIZE;
    put_le(table + 8, m->ram_below_4g, 8);
    put_le(table + 16, E820_RAM, 4);
    if (m->ram_above_4g) {
        put_le(table + len, 1ull << 32, 8);
        put_le(table + len + 8, m->ram_above_4g, 8);
        put_le(table + len + 16, E820_RAM, 4);
        len += E820_ENTRY_SIZE;
    }
    return fw_cfg_add_file(m->fw_cfg, "etc/e820", table, len);
}

static bool add_fw_cfg_items(struct machine *m)
{
    struct fw_cfg *f = m->fw_cfg;
    const struct machine_options *o = m->opt;
    /* S1, S2 and S4's neighbours as QEMU has them; S3 (index 3) is off: there is nothing to wake up
     * from it. */
    static const uint8_t system_states[6] = { 128, 0, 0, 1, 128 + 2, 128 };
    uint8_t uuid[16] = { 0 }, timeout[4];
    if (o->uuid && !parse_uuid(o->uuid, uuid))
        memset(uuid, 0, sizeof uuid);
    put_le(timeout, (uint64_t)(int64_t)o->boot_reboot_timeout, 4);
    bool ok = fw_cfg_add(f, FW_CFG_UUID, uuid, sizeof uuid) &&
              fw_cfg_add_u64(f, FW_CFG_RAM_SIZE, m->ram.size) &&
              fw_cfg_add_u16(f, FW_CFG_NOGRAPHIC, o->nographic) &&
              fw_cfg_add_u16(f, FW_CFG_NB_CPUS, (uint16_t)m->cpu_count) &&
              fw_cfg_add_u16(f, FW_CFG_MAX_CPUS, (uint16_t)m->cpu_count) &&
              fw_cfg_add_u16(f, FW_CFG_BOOT_MENU, o->boot_menu) &&
              fw_cfg_add_u32(f, FW_CFG_IRQ0_OVERRIDE, 1) && fw_cfg_add_u64(f, FW_CFG_NUMA, 0) &&
              add_e820(m) &&
              fw_cfg_add_file(f, "etc/system-states", system_states, sizeof system_states) &&
              fw_cfg_add_file(f, "etc/boot-fail-wait", timeout, sizeof timeout);
    return ok && (!o->boot_strict || fw_cfg_boot_strict(f));
}

/* ---- CMOS ---- */

/* Type 47 and its parameters for each disk of the primary channel, translation for all four. */
static void describe_disks(struct pc *pc)
{
    enum { TYPE_USER = 47, TYPE_EXTENDED = 15 };
    static const uint8_t type_at[2] = { 0x19, 0x1a }, info_at[2] = { 0x1b, 0x24 };
    uint8_t types = 0, translation = 0;
    for (unsigned unit = 0; unit < IDE_UNITS; unit++) {
        struct ide_geometry g;
        if (!piix_ide_geometry(pc->ide, unit, &g))
            continue;
        translation |= (uint8_t)(g.translation << (2 * unit));
        if (unit > 1)
            continue;
        uint8_t low = (uint8_t)g.cylinders, high = (uint8_t)(g.cylinders >> 8);
        const uint8_t info[9] = { low,
                                  high,
                                  (uint8_t)g.heads,
                                  0xff, /* write precompensation: none */
                                  0xff,
                                  (uint8_t)(0xc0 | (g.heads > 8) << 3),
                                  low, /* landing zone */
                                  high,
                                  (uint8_t)g.sectors };
        types |= (uint8_t)(TYPE_EXTENDED << (unit == 0 ? 4 : 0));
        mc146818rtc_set_cmos(pc->rtc, type_at[unit], TYPE_USER);
        for (unsigned i = 0; i < sizeof info; i++)
            mc146818rtc_set_cmos(pc->rtc, (uint8_t)(info_at[unit] + i), info[i]);
    }
    mc146818rtc_set_cmos(pc->rtc, CMOS_DISK_TYPES, types);
    mc146818rtc_set_cmos(pc->rtc, CMOS_DISK_TRANSLATION, translation);
}

static unsigned boot_code(char c)
{
    return c == 'a' || c == 'b' ? 1 : c == 'c' ? 2 : c == 'd' ? 3 : c >= 'n' && c <= 'p' ? 4 : 0;
}

static void set_boot_order(struct pc *pc, const char *order)
{
    unsigned code[3] = { 0, 0, 0 };
    for (int i = 0; i < 3 && order[i]; i++)
        code[i] = boot_code(order[i]);
    mc146818rtc_set_cmos(pc->rtc, CMOS_BOOT_ORDER_12, (uint8_t)(code[1] << 4 | code[0]));
    mc146818rtc_set_cmos(pc->rtc, CMOS_BOOT_ORDER_3, (uint8_t)(code[2] << 4));
}

void pc_reset_boot_order(struct pc *pc)
{
    const char *order = pc->dev.machine->opt->boot_order;
    if (pc->boot_once == 2)
        set_boot_order(pc, order && *order ? order : "cad");
    pc->boot_once = pc->boot_once == 1 ? 2 : 0;
}

/* ---- boot order by bootindex ---- */

enum { PCI_BASE_CLASS_STORAGE = 0x01, PCI_BASE_CLASS_NETWORK = 0x02 };

/* Only classes with the property have a value in the field; the others' is 0. */
static bool has_bootindex(const struct pci_device *d)
{
    for (const struct prop *p = d->dev.cls->props; p && p->name; p++)
        if (!strcmp(p->name, "bootindex"))
            return true;
    return false;
}

/* The OpenFirmware path of a PCI device, as SeaBIOS spells it. */
static bool add_pci_boot_path(struct machine *m, const struct pci_device *d)
{
    char path[64], function[4] = "";
    unsigned base_class = d->config[PCI_CLASS_DEVICE + 1];
    if (d->devfn & 7)
        snprintf(function, sizeof function, ",%x", (unsigned)d->devfn & 7);
    if (base_class == PCI_BASE_CLASS_NETWORK)
        snprintf(path, sizeof path, "/pci@i0cf8/ethernet@%x%s/ethernet-phy@0",
                 (unsigned)d->devfn >> 3, function);
    else if (base_class == PCI_BASE_CLASS_STORAGE)
        snprintf(path, sizeof path, "/pci@i0cf8/scsi@%x%s/disk@0,0", (unsigned)d->devfn >> 3,
                 function);
    else
        return true;
    return fw_cfg_add_boot_path(m->fw_cfg, (int)d->bootindex, path);
}

static bool add_boot_paths(struct machine *m)
{
    for (int devfn = 0; devfn < 256; devfn++) {
        const struct pci_device *d = m->pci->devices[devfn];
        if (d && has_bootindex(d) && d->bootindex <= INT32_MAX && !add_pci_boot_path(m, d))
            return false;
    }
    return true;
}

bool pc_describe(struct pc *pc, struct error *err)
{
    struct machine *m = pc->dev.machine;
    describe_disks(pc);
    if (m->opt->boot_once) {
        set_boot_order(pc, m->opt->boot_once);
        pc->boot_once = 1;
    }
    return (add_fw_cfg_items(m) && add_boot_paths(m)) || error_set(err, "out of memory");
}
