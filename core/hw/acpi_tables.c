/*
 * RSDP, RSDT and XSDT, FADT (revision 3), FACS, DSDT, MADT and HPET: ACPI 6.4, chapter 5; the
 * loader script: QEMU's docs/specs (linker/loader) and SeaBIOS, romfile_loader.
 *
 * All tables but the RSDP lie in one file, each at a multiple of 16 (the FACS of 64, first).
 * Pointers in them are offsets into that file until the firmware adds the address where it put it;
 * checksums are computed by the firmware afterwards, so the script lists each pointer before any
 * checksum.
 *
 * The DSDT describes: the PCI root with its windows and routing (_PRT through four link devices
 * that set PIIX3's PIRQRC, plus a fixed one for the SCI function), the ISA devices that answer at
 * their ports, processors, HPET, and the sleep states S4 and S5. The power button is a fixed
 * feature (FADT).
 */
#include "hw/acpi_tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/acpi_pm.h"
#include "hw/aml.h"
#include "hw/apic.h"
#include "hw/fw_cfg.h"
#include "hw/hpet.h"
#include "hw/ioapic.h"
#include "hw/pci/hotplug.h"
#include "machine.h"

#define TABLES_FILE "etc/acpi/tables"
#define RSDP_FILE   "etc/acpi/rsdp"
#define LOADER_FILE "etc/table-loader"

/* Where SeaBIOS puts PMBASE when the tables come from fw_cfg. */
#define PM_BASE       0x600u
#define PCI_HOLE_LAST 0xfebfffffu
#define PCI_HOLE64    (2ull << 30)
#define ALIGN         16

/* ---- the loader script ---- */

enum { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER = 2, LOADER_ADD_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_FSEG = 2 };
#define LOADER_ENTRY 128
#define LOADER_NAME  56

struct build {
    struct aml tables; /* the file, as a growing buffer */
    struct aml script;
};

static void put(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static void script_allocate(struct build *b, const char *file, uint32_t align, uint8_t zone)
{
    uint8_t e[LOADER_ENTRY] = { LOADER_ALLOCATE };
    strcpy((char *)e + 4, file);
    put(e + 4 + LOADER_NAME, align, 4);
    e[8 + LOADER_NAME] = zone;
    aml_bytes(&b->script, e, sizeof e);
}

/* The @size bytes at @offset of @in get the address of the tables added. */
static void script_pointer(struct build *b, const char *in, size_t offset, uint8_t size)
{
    uint8_t e[LOADER_ENTRY] = { LOADER_ADD_POINTER };
    strcpy((char *)e + 4, in);
    strcpy((char *)e + 4 + LOADER_NAME, TABLES_FILE);
    put(e + 4 + 2 * LOADER_NAME, offset, 4);
    e[8 + 2 * LOADER_NAME] = size;
    aml_bytes(&b->script, e, sizeof e);
}

static void script_checksum(struct build *b, const char *in, size_t at, size_t start, size_t len)
{
    uint8_t e[LOADER_ENTRY] = { LOADER_ADD_CHECKSUM };
    strcpy((char *)e + 4, in);
    put(e + 4 + LOADER_NAME, at, 4);
    put(e + 8 + LOADER_NAME, start, 4);
    put(e + 12 + LOADER_NAME, len, 4);
    aml_bytes(&b->script, e, sizeof e);
}

/* ---- tables ---- */

static void number(struct build *b, uint64_t v, unsigned bytes)
{
    uint8_t p[8];
    put(p, v, bytes);
    aml_bytes(&b->tables, p, bytes);
}

static void align_to(struct build *b, size_t n)
{
    while (!b->tables.failed && b->tables.len % n)
        aml_byte(&b->tables, 0);
}

/* Opens a table with its header; length and checksum come later. Returns where it starts. */
static size_t table(struct build *b, const char *signature, uint8_t revision)
{
    align_to(b, ALIGN);
    size_t start = b->tables.len;
    aml_bytes(&b->tables, signature, 4);
    number(b, 0, 4);
    number(b, revision, 1);
    number(b, 0, 1);
    aml_bytes(&b->tables,
              "SLIPWY"
              "SLIPWYPC",
              14); /* OEM ID, table ID */
    number(b, 1, 4);
    aml_bytes(&b->tables, "SLPW", 4);
    number(b, 1, 4);
    return start;
}

static void table_end(struct build *b, size_t start)
{
    if (!b->tables.failed)
        put(b->tables.buf + start + 4, b->tables.len - start, 4);
}

/* A pointer to offset @target of the file. */
static void pointer(struct build *b, size_t target, uint8_t size)
{
    script_pointer(b, TABLES_FILE, b->tables.len, size);
    number(b, target, size);
}

/* Generic address structure of an I/O port block. */
static void io_address(struct build *b, unsigned bits, uint64_t address)
{
    number(b, address ? 1 : 0, 1);
    number(b, bits, 1);
    number(b, 0, 2);
    number(b, address, 8);
}

static size_t add_facs(struct build *b)
{
    align_to(b, 64);
    size_t start = b->tables.len;
    aml_bytes(&b->tables, "FACS", 4);
    number(b, 64, 4);
    for (int i = 0; i < 56 / 8; i++)
        number(b, 0, 8);
    return start;
}

static size_t add_fadt(struct build *b, size_t facs, size_t dsdt)
{
    enum {
        WBINVD = 1 << 0,
        PROC_C1 = 1 << 2,
        NO_SLEEP_BUTTON = 1 << 5,
        RTC_NOT_FIXED = 1 << 6,
        RESET_REGISTER = 1 << 10,
    };
    size_t start = table(b, "FACP", 3);
    pointer(b, facs, 4);
    pointer(b, dsdt, 4);
    number(b, 0, 1);
    number(b, 1, 1); /* desktop */
    number(b, ACPI_SCI_IRQ, 2);
    number(b, ACPI_SMI_CMD, 4);
    number(b, ACPI_ENABLE, 1);
    number(b, ACPI_DISABLE, 1);
    number(b, 0, 2);
    number(b, PM_BASE, 4); /* PM1a event, PM1b, PM1a control, PM1b, PM2, timer, GPE0, GPE1 */
    number(b, 0, 4);
    number(b, PM_BASE + 4, 4);
    number(b, 0, 8);
    number(b, PM_BASE + 8, 4);
    number(b, ACPI_GPE0_BASE, 4);
    number(b, 0, 4);
    number(b, 4, 1); /* their lengths: event, control, PM2, timer, GPE0, GPE1, its base, _CST */
    number(b, 2, 1);
    number(b, 0, 1);
    number(b, 4, 1);
    number(b, 4, 1);
    number(b, 0, 3);
    number(b, 0xfff, 2); /* no C2, no C3 */
    number(b, 0xfff, 2);
    number(b, 0, 6);    /* flush size and stride, duty cycle */
    number(b, 0, 2);    /* no day and month alarm */
    number(b, 0x32, 1); /* century in CMOS */
    number(b, 3, 2);    /* legacy devices, 8042 */
    number(b, 0, 1);
    number(b, WBINVD | PROC_C1 | NO_SLEEP_BUTTON | RTC_NOT_FIXED | RESET_REGISTER, 4);
    io_address(b, 8, 0xcf9);
    number(b, 0x06, 1);
    number(b, 0, 3);
    number(b, 0, 8); /* the FACS has its 32-bit pointer only: both would make two of it */
    pointer(b, dsdt, 8);
    io_address(b, 32, PM_BASE);
    io_address(b, 0, 0);
    io_address(b, 16, PM_BASE + 4);
    io_address(b, 0, 0);
    io_address(b, 0, 0);
    io_address(b, 32, PM_BASE + 8);
    io_address(b, 32, ACPI_GPE0_BASE);
    io_address(b, 0, 0);
    table_end(b, start);
    return start;
}

static size_t add_madt(struct build *b, struct machine *m)
{
    static const uint8_t level_irqs[] = { 5, 9, 10, 11 };
    size_t start = table(b, "APIC", 3);
    number(b, APIC_DEFAULT_BASE, 4);
    number(b, 1, 4); /* the 8259s are there too */
    for (int i = 0; i < m->cpu_count; i++) {
        number(b, 0x0800, 2); /* local APIC */
        number(b, (uint64_t)i, 1);
        number(b, (uint64_t)m->cpus[i]->index, 1);
        number(b, 1, 4);
    }
    number(b, 0x0c01, 2); /* I/O APIC, ID 0, first interrupt 0 */
    number(b, 0, 2);
    number(b, IOAPIC_BASE, 4);
    number(b, 0, 4);
    number(b, 0x0a02, 2); /* ISA IRQ 0 is pin 2 */
    number(b, 0, 2);
    number(b, 2, 4);
    number(b, 0, 2);
    for (size_t i = 0; i < sizeof level_irqs; i++) {
        number(b, 0x0a02, 2);
        number(b, 0, 1);
        number(b, level_irqs[i], 1);
        number(b, level_irqs[i], 4);
        number(b, 0x0d, 2); /* level, active high */
    }
    number(b, 0x0604, 2); /* NMI on LINT1 of every CPU */
    number(b, 0xff, 1);
    number(b, 0, 2);
    number(b, 1, 1);
    table_end(b, start);
    return start;
}

static size_t add_hpet(struct build *b)
{
    size_t start = table(b, "HPET", 1);
    number(b, 0x8086a201, 4);
    number(b, 0, 4); /* memory */
    number(b, HPET_BASE, 8);
    number(b, 0, 1);
    number(b, 100, 2); /* least tick in periodic mode */
    number(b, 0, 1);
    table_end(b, start);
    return start;
}

/* ---- DSDT ---- */

/* Looks at the regions themselves: while the board is being built the flat view isn't there yet. */
static bool answers(const struct mem_space *space, uint64_t addr)
{
    for (const struct mem_region *r = space->regions; r; r = r->next)
        if (r->enabled && addr >= r->base && addr - r->base < r->size)
            return true;
    return false;
}

static bool port_answers(const struct machine *m, uint16_t port)
{
    return answers(&m->io, port);
}

static bool has_hpet(const struct machine *m)
{
    return answers(&m->mem, HPET_BASE);
}

static void add_windows(struct aml *a, struct machine *m)
{
    struct aml_resources r = { .len = 0 };
    uint64_t above = ((1ull << 32) + m->ram_above_4g + (1ull << 30) - 1) & ~((1ull << 30) - 1);
    aml_res_bus(&r, 0, 0xff);
    aml_res_io(&r, 0xcf8, 8);
    aml_res_io_window(&r, 0x0000, 0x0cf7);
    aml_res_io_window(&r, 0x0d00, 0xffff);
    aml_res_memory_window(&r, 0xa0000, 0xbffff, true);
    aml_res_memory_window(&r, (uint32_t)m->ram_below_4g, PCI_HOLE_LAST, false);
    aml_res_memory_window64(&r, above, above + PCI_HOLE64 - 1);
    aml_crs(a, &r);
}

static void add_routing(struct aml *a)
{
    static const char *const links[5] = { "\\_SB.PCI0.ISA.LNKA", "\\_SB.PCI0.ISA.LNKB",
                                          "\\_SB.PCI0.ISA.LNKC", "\\_SB.PCI0.ISA.LNKD",
                                          "\\_SB.PCI0.ISA.LNKS" };
    aml_named(a, "_PRT");
    size_t all = aml_package(a, 128);
    for (unsigned slot = 0; slot < 32; slot++)
        for (unsigned pin = 0; pin < 4; pin++) {
            size_t one = aml_package(a, 4);
            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            /* Slot 1 INTA# is the power management function, wired to the SCI. */
            aml_name(a, links[slot == 1 && pin == 0 ? 4 : (slot + pin - 1) & 3]);
            aml_int(a, 0);
            aml_end(a, one);
        }
    aml_end(a, all);
}

/* A link device: _PRS lists what PIRQRC may be set to, _CRS shows and _SRS sets the register @reg.
 */
static void add_link(struct aml *a, const char *name, const char *reg, unsigned uid)
{
    static const uint32_t possible[] = { 5, 10, 11 }, none[] = { 0 };
    struct aml_resources r = { .len = 0 }, current = { .len = 0 };
    aml_res_interrupt(&r, possible, 3);
    aml_res_interrupt(&current, none, 1);
    size_t dev = aml_device(a, name);
    aml_name_eisa(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", uid);
    aml_named(a, "_PRS");
    aml_res_write(a, &r);

    size_t method = aml_method(a, "_STA", 0, false);
    size_t block = aml_if(a);
    aml_and(a, reg, 0x80);
    aml_return_int(a, 0x09);
    aml_end(a, block);
    aml_return_int(a, 0x0b);
    aml_end(a, method);

    method = aml_method(a, "_DIS", 0, false);
    aml_or_into(a, reg, 0x80);
    aml_end(a, method);

    method = aml_method(a, "_CRS", 0, true);
    aml_named(a, "BUF0");
    aml_res_write(a, &current);
    aml_byte(a, 0x8a); /* CreateDWordField */
    aml_name(a, "BUF0");
    aml_int(a, 5);
    aml_name(a, "IRQW");
    block = aml_if(a);
    aml_byte(a, 0x92); /* LNot */
    aml_and(a, reg, 0x80);
    aml_store_name(a, reg, "IRQW");
    aml_end(a, block);
    aml_return_name(a, "BUF0");
    aml_end(a, method);

    method = aml_method(a, "_SRS", 1, true);
    aml_byte(a, 0x8a);
    aml_byte(a, 0x68); /* Arg0 */
    aml_int(a, 5);
    aml_name(a, "IRQW");
    aml_store_name(a, "IRQW", reg);
    aml_end(a, method);
    aml_end(a, dev);
}

/* The link of the SCI: always IRQ 9. */
static void add_sci_link(struct aml *a)
{
    static const uint32_t sci[] = { ACPI_SCI_IRQ };
    struct aml_resources r = { .len = 0 };
    aml_res_interrupt(&r, sci, 1);
    size_t dev = aml_device(a, "LNKS");
    aml_name_eisa(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", 4);
    aml_named(a, "_PRS");
    aml_res_write(a, &r);
    size_t method = aml_method(a, "_STA", 0, false);
    aml_return_int(a, 0x0b);
    aml_end(a, method);
    method = aml_method(a, "_DIS", 0, false);
    aml_end(a, method);
    method = aml_method(a, "_CRS", 0, false);
    aml_return_name(a, "_PRS");
    aml_end(a, method);
    method = aml_method(a, "_SRS", 1, false);
    aml_end(a, method);
    aml_end(a, dev);
}

static void isa_device(struct aml *a, const char *name, const char *hid, int uid,
                       const struct aml_resources *r)
{
    size_t dev = aml_device(a, name);
    aml_name_eisa(a, "_HID", hid);
    if (uid >= 0)
        aml_name_int(a, "_UID", (uint64_t)uid);
    aml_crs(a, r);
    aml_end(a, dev);
}

static void add_isa_devices(struct aml *a, struct machine *m)
{
    static const struct {
        uint16_t port;
        uint8_t irq;
    } com[4] = { { 0x3f8, 4 }, { 0x2f8, 3 }, { 0x3e8, 4 }, { 0x2e8, 3 } };
    struct aml_resources r;
    if (port_answers(m, 0x64)) {
        r.len = 0;
        aml_res_io(&r, 0x60, 1);
        aml_res_io(&r, 0x64, 1);
        aml_res_irq(&r, 1);
        isa_device(a, "KBD", "PNP0303", -1, &r);
        r.len = 0;
        aml_res_irq(&r, 12);
        isa_device(a, "MOU", "PNP0F13", -1, &r);
    }
    if (port_answers(m, 0x3f4)) {
        r.len = 0;
        aml_res_io(&r, 0x3f2, 4);
        aml_res_io(&r, 0x3f7, 1);
        aml_res_irq(&r, 6);
        aml_res_dma(&r, 2);
        isa_device(a, "FDC0", "PNP0700", -1, &r);
    }
    for (int i = 0; i < 4; i++) {
        char name[5] = { 'C', 'O', 'M', (char)('1' + i), 0 };
        if (!port_answers(m, com[i].port))
            continue;
        r.len = 0;
        aml_res_io(&r, com[i].port, 8);
        aml_res_irq(&r, com[i].irq);
        isa_device(a, name, "PNP0501", i + 1, &r);
    }
    r.len = 0;
    aml_res_io(&r, 0x70, 2);
    aml_res_irq(&r, 8);
    isa_device(a, "RTC", "PNP0B00", -1, &r);
}

static void sleep_state(struct aml *a, const char *name, unsigned type)
{
    aml_named(a, name);
    size_t p = aml_package(a, 4);
    aml_int(a, type);
    aml_int(a, type);
    aml_int(a, 0);
    aml_int(a, 0);
    aml_end(a, p);
}

static size_t add_dsdt(struct build *b, struct machine *m)
{
    static const char *const pirq[4] = { "PRQA", "PRQB", "PRQC", "PRQD" };
    static const char *const link[4] = { "LNKA", "LNKB", "LNKC", "LNKD" };
    size_t start = table(b, "DSDT", 1);
    struct aml *a = &b->tables;
    size_t sb = aml_scope(a, "\\_SB");

    size_t pci = aml_device(a, "PCI0");
    aml_name_eisa(a, "_HID", "PNP0A03");
    aml_name_int(a, "_UID", 0);
    add_windows(a, m);
    add_routing(a);
    size_t isa = aml_device(a, "ISA");
    aml_name_int(a, "_ADR", 0x00010000);
    aml_pci_config_fields(a, "PIRQ", 0x60, pirq, 4, 8);
    for (unsigned i = 0; i < 4; i++)
        add_link(a, link[i], pirq[i], i);
    add_sci_link(a);
    add_isa_devices(a, m);
    aml_end(a, isa);
    pci_hotplug_add_slots(a);
    aml_end(a, pci);

    if (has_hpet(m)) {
        struct aml_resources r = { .len = 0 };
        aml_res_memory32(&r, HPET_BASE, 0x400);
        size_t hpet = aml_device(a, "HPET");
        aml_name_eisa(a, "_HID", "PNP0103");
        aml_crs(a, &r);
        aml_end(a, hpet);
    }
    for (int i = 0; i < m->cpu_count; i++) {
        char name[8];
        snprintf(name, sizeof name, "C%03X", (unsigned)i & 0xfff);
        aml_end(a, aml_processor(a, name, (uint8_t)i));
    }
    aml_end(a, sb);

    pci_hotplug_add_event(a);
    sleep_state(a, "\\_S3", 1);
    sleep_state(a, "\\_S4", 2);
    sleep_state(a, "\\_S5", 0);
    table_end(b, start);
    return start;
}

/* ---- all of it ---- */

static size_t add_root(struct build *b, const char *signature, uint8_t pointer_size,
                       const size_t *tables, size_t count)
{
    size_t start = table(b, signature, 1);
    for (size_t i = 0; i < count; i++)
        pointer(b, tables[i], pointer_size);
    table_end(b, start);
    return start;
}

static bool build_all(struct build *b, struct machine *m)
{
    size_t described[4], count = 0, sums[8], sum_count = 0;
    script_allocate(b, RSDP_FILE, 16, ZONE_FSEG);
    script_allocate(b, TABLES_FILE, 64, ZONE_HIGH);
    size_t facs = add_facs(b);
    size_t dsdt = sums[sum_count++] = add_dsdt(b, m);
    described[count++] = add_fadt(b, facs, dsdt);
    described[count++] = add_madt(b, m);
    if (has_hpet(m))
        described[count++] = add_hpet(b);
    for (size_t i = 0; i < count; i++)
        sums[sum_count++] = described[i];
    size_t rsdt = sums[sum_count++] = add_root(b, "RSDT", 4, described, count);
    size_t xsdt = sums[sum_count++] = add_root(b, "XSDT", 8, described, count);
    if (b->tables.failed)
        return false;

    uint8_t rsdp[36] = "RSD PTR ";
    memcpy(rsdp + 9, "SLIPWY", 6);
    rsdp[15] = 2;
    put(rsdp + 16, rsdt, 4);
    put(rsdp + 20, sizeof rsdp, 4);
    put(rsdp + 24, xsdt, 8);
    script_pointer(b, RSDP_FILE, 16, 4);
    script_pointer(b, RSDP_FILE, 24, 8);
    for (size_t i = 0; i < sum_count; i++) {
        const uint8_t *len = b->tables.buf + sums[i] + 4;
        script_checksum(b, TABLES_FILE, sums[i] + 9, sums[i],
                        (size_t)(len[0] | len[1] << 8 | len[2] << 16));
    }
    script_checksum(b, RSDP_FILE, 8, 0, 20);
    script_checksum(b, RSDP_FILE, 32, 0, sizeof rsdp);
    return !b->script.failed && fw_cfg_add_file(m->fw_cfg, RSDP_FILE, rsdp, sizeof rsdp) &&
           fw_cfg_add_file(m->fw_cfg, TABLES_FILE, b->tables.buf, b->tables.len) &&
           fw_cfg_add_file(m->fw_cfg, LOADER_FILE, b->script.buf, b->script.len);
}

bool acpi_tables_add(struct machine *m, struct error *err)
{
    struct build b = { .tables = { .buf = NULL }, .script = { .buf = NULL } };
    bool ok = build_all(&b, m);
    free(b.tables.buf);
    free(b.script.buf);
    return ok || error_set(err, "out of memory");
}
