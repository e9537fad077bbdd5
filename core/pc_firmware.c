/*
 * What the firmware is told about the machine, through fw_cfg and the CMOS RAM.
 *
 * SeaBIOS takes sizes from the e820 file, processors and boot preferences from the numbered items,
 * and the order of boot devices from the file "bootorder" and, for what isn't in it, from the
 * classic CMOS bytes. Layouts: QEMU, docs/specs/fw_cfg and docs/specs/; SeaBIOS,
 * docs/Runtime_config; the CMOS map of the IBM AT with QEMU's extensions.
 */
#include <string.h>

#include "hw/fw_cfg.h"
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

/* 36 characters of text to 16 bytes, in the order of the text. */
static bool parse_uuid(const char *text, uint8_t out[16])
{
    size_t n = 0;
    int high = -1;
    for (; *text && n < 16; text++) {
        int digit;
        if (*text >= '0' && *text <= '9')
            digit = *text - '0';
        else if ((*text | 32) >= 'a' && (*text | 32) <= 'f')
            digit = (*text | 32) - 'a' + 10;
        else if (*text == '-')
            continue;
        else
            return false;
        if (high < 0) {
            high = digit;
        } else {
            out[n++] = (uint8_t)(high << 4 | digit);
            high = -1;
        }
    }
    return n == 16;
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

bool pc_describe(struct pc *pc, struct error *err)
{
    return add_fw_cfg_items(pc->dev.machine) || error_set(err, "out of memory");
}
