/*
 * The board that QEMU calls `pc`: i440FX, PIIX3 and the ISA devices of a PC, wired.
 *
 * Memory: RAM up to PC_HOLE (3.5 GB) sits below 4 GB as a whole; more is split at PC_SPLIT (3 GB)
 * and goes on above 4 GB. The host bridge maps it and shadows the BIOS area; the BIOS ROM ends at 4
 * GB and its last 128 KB are seen again below 1 MB. Interrupts: piix3 takes an ISA line to the 8259
 * pair and to the I/O APIC; the 8259's output goes to the local APIC's LINT0.
 */
#include "pc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/acpi_pm.h"
#include "hw/acpi_tables.h"
#include "hw/apic.h"
#include "hw/fw_cfg.h"
#include "hw/hpet.h"
#include "hw/i8042.h"
#include "hw/i8254.h"
#include "hw/i8257.h"
#include "hw/i8259.h"
#include "hw/ide/ide.h"
#include "hw/ioapic.h"
#include "hw/linuxboot.h"
#include "hw/mc146818rtc.h"
#include "hw/pci/hotplug.h"
#include "hw/pci/i440fx.h"
#include "hw/pci/piix3.h"
#include "hw/port92.h"
#include "hw/vga.h"
#include "hw/vmport.h"
#include "machine.h"
#include "net/net.h"
#include "options.h"

#define KB                1024ull
#define PC_HOLE           0xe0000000ull
#define PC_SPLIT          0xc0000000ull
#define FOUR_GB           0x100000000ull
#define BIOS_MAX          (16 * 1024 * KB)
#define BIOS_ISA_WINDOW   (128 * KB)
#define PIIX3_IDE_DEVFN   ((1 << 3) | 1)
#define RAM_PRIORITY      0
#define BIOS_PRIORITY     0 /* see i440fx.h */
#define BIOS_ISA_PRIORITY 1

static void pc_unrealize(struct device *d)
{
    struct pc *pc = (struct pc *)d;
    mem_region_free(&pc->ram_low);
    mem_region_free(&pc->ram_1m);
    mem_region_free(&pc->ram_4g);
    mem_region_free(&pc->bios_isa);
    mem_region_free(&pc->bios);
}

static void pc_reset(struct device *d)
{
    pc_reset_boot_order((struct pc *)d);
}

static const struct field pc_fields[] = {
    FIELD_BOOL(struct pc, a20, 1),
    FIELD_(struct pc, boot_once, FIELD_U8, 1, 0, FIELD_NORESET),
    FIELD_END,
};

static const struct device_class pc_class = {
    .name = "pc",
    .desc = "mainboard",
    .size = sizeof(struct pc),
    .fields = pc_fields,
    .unrealize = pc_unrealize,
    .reset = pc_reset,
};

/* ---- memory ---- */

/* All but 0xa0000-0xfffff, which the host bridge opens as the guest programs it. */
static void map_ram(struct pc *pc)
{
    struct machine *m = pc->dev.machine;
    uint64_t size = m->ram.size;
    m->ram_below_4g = size >= PC_HOLE ? PC_SPLIT : size;
    m->ram_above_4g = size - m->ram_below_4g;

    uint64_t low = m->ram_below_4g < 640 * KB ? m->ram_below_4g : 640 * KB;
    mem_region_init_alias(&pc->ram_low, "ram-low", &m->ram, 0, low);
    mem_region_add(&m->mem, &pc->ram_low, 0, RAM_PRIORITY);
    if (m->ram_below_4g > 1024 * KB) {
        mem_region_init_alias(&pc->ram_1m, "ram-1m", &m->ram, 1024 * KB,
                              m->ram_below_4g - 1024 * KB);
        mem_region_add(&m->mem, &pc->ram_1m, 1024 * KB, RAM_PRIORITY);
    }
    if (m->ram_above_4g) {
        mem_region_init_alias(&pc->ram_4g, "ram-4g", &m->ram, m->ram_below_4g, m->ram_above_4g);
        mem_region_add(&m->mem, &pc->ram_4g, FOUR_GB, RAM_PRIORITY);
    }
}

static bool map_bios(struct pc *pc, struct error *err)
{
    struct machine *m = pc->dev.machine;
    const char *name = m->opt->bios ? m->opt->bios : "bios-256k.bin";
    size_t size;
    uint8_t *image = machine_load_file(m, name, &size, err);
    if (!image)
        return error_prepend(err, "bios");
    bool ok = false;
    if (size == 0 || size % (64 * KB) || size > BIOS_MAX)
        error_set(err, "bios '%s': %zu bytes: must be a multiple of 64 KB, up to 16 MB", name,
                  size);
    else if (!mem_region_init_rom(&pc->bios, "bios", size, NULL))
        error_set(err, "bios '%s': out of memory", name);
    else
        ok = true;
    if (ok) {
        uint64_t window = size < BIOS_ISA_WINDOW ? size : BIOS_ISA_WINDOW;
        memcpy(pc->bios.host, image, size);
        mem_region_add(&m->mem, &pc->bios, FOUR_GB - size, BIOS_PRIORITY);
        mem_region_init_alias(&pc->bios_isa, "bios-isa", &pc->bios, size - window, window);
        mem_region_add(&m->mem, &pc->bios_isa, 1024 * KB - window, BIOS_ISA_PRIORITY);
        if (window == BIOS_ISA_WINDOW)
            pc->bios_isa_bytes = pc->bios_isa.host;
    }
    free(image);
    return ok;
}

/* ---- lines ---- */

static void set_pic_output(void *opaque, int n, int level)
{
    apic_set_pic_level(opaque, level);
}

static int ack_pic(void *opaque)
{
    return i8259_ack(opaque);
}

static bool add_interrupt_controllers(struct machine *m, struct error *err)
{
    struct irq output = { set_pic_output, m, 0 };
    if (!apic_new(m, m->cpus[0], err) || !i8259_new(m, output, err) || !ioapic_new(m, err))
        return false;
    apic_connect_pic(m, ack_pic, m->pic);
    return true;
}

/* Address bit 20 passes if either the keyboard controller or port 92h says so. */
static void set_a20(void *opaque, int source, int level)
{
    struct pc *pc = opaque;
    pc->a20[source] = level != 0;
    cpu_set_a20(pc->dev.machine->cpus[0], pc->a20[A20_KEYBOARD] || pc->a20[A20_PORT92]);
}

/* The shutdown codes in CMOS after which a BIOS jumps through 40:67 instead of starting anew: 5
 * and 0xa, or comes back from a block move, 9. */
static bool resumes_after_init(void *opaque)
{
    const struct pc *pc = opaque;
    uint8_t code = mc146818rtc_get_cmos(pc->rtc, CMOS_SHUTDOWN);
    return code == 0x05 || code == 0x09 || code == 0x0a;
}

/* ---- the devices ---- */

static void raise_hotplug_event(void *opaque, int gpe, int level)
{
    acpi_pm_raise_gpe(opaque, (unsigned)gpe);
}

static void rtc_alarm(void *opaque, int n, int level)
{
    struct pc *pc = opaque;
    if (level)
        acpi_pm_rtc_alarm(pc->pm);
}

/* From S3: the shutdown code tells SeaBIOS to resume the guest. */
static void woken(void *opaque)
{
    struct pc *pc = opaque;
    mc146818rtc_set_cmos(pc->rtc, CMOS_SHUTDOWN, 0xfe);
    acpi_pm_woken(pc->pm);
}

static bool add_acpi(struct pc *pc, struct error *err)
{
    struct machine *m = pc->dev.machine;
    pc->pm = acpi_pm_new(m, true, err);
    struct irq event = { raise_hotplug_event, pc->pm, PCI_HOTPLUG_GPE };
    struct irq alarm = { rtc_alarm, pc, 0 };
    if (!pc->pm || !pci_hotplug_new(m, event, err))
        return false;
    mc146818rtc_set_alarm(pc->rtc, alarm);
    machine_set_wakeup_handler(m, woken, pc);
    return true;
}

static bool add_isa_devices(struct pc *pc, struct error *err)
{
    struct machine *m = pc->dev.machine;
    struct irq a20_keyboard = { set_a20, pc, A20_KEYBOARD };
    struct irq a20_port92 = { set_a20, pc, A20_PORT92 };
    struct irq pit = m->isa_irq[0], rtc = m->isa_irq[8];
    if (!m->opt->no_hpet) {
        struct hpet *hpet = hpet_new(m, err);
        if (!hpet)
            return false;
        pit = hpet_legacy_input(hpet, HPET_LEGACY_PIT);
        rtc = hpet_legacy_input(hpet, HPET_LEGACY_RTC);
    }
    pc->rtc = mc146818rtc_new(m, rtc, err);
    pc->dma = i8257_new(m, err);
    if (pc->rtc)
        machine_set_resume_test(m, resumes_after_init, pc);
    if (!pc->rtc || !pc->dma || !i8254_new(m, pit, err))
        return false;
    struct i8042 *keyboard = i8042_new(m, &m->isa_irq[1], &m->isa_irq[12], &a20_keyboard, err);
    return keyboard && (m->opt->no_vmport || vmport_new(m, keyboard, err)) &&
           port92_new(m, a20_port92, err) && (m->opt->no_acpi || add_acpi(pc, err));
}

/* In QEMU's order: -vga is slot 2, the first free one. */
static bool add_vga(struct machine *m, struct error *err)
{
    return !m->opt->vga || strcmp(m->opt->vga, "std") || vga_pci_new(m, err);
}

static bool add_ide(struct pc *pc, struct error *err)
{
    pc->ide = piix3_ide_new(pc->dev.machine, PIIX3_IDE_DEVFN, err);
    return pc->ide != NULL;
}

bool pc_build(struct machine *m, struct error *err)
{
    struct pc *pc = (struct pc *)device_new(m, &pc_class);
    if (!pc || !device_realize(&pc->dev, err))
        return error_set(err, "out of memory");
    m->board = pc;
    m->fw_cfg = fw_cfg_new(m);
    if (!m->fw_cfg)
        return error_set(err, "out of memory");
    map_ram(pc);
    /* One step a line, in the order of the bus slots. */
    if (!map_bios(pc, err))
        return false;
    if (!net_init_netdevs(m, err))
        return false;
    if (!add_interrupt_controllers(m, err))
        return false;
    if (!i440fx_new(m, pc->bios_isa_bytes, err))
        return false;
    if (!piix3_new(m, err))
        return false;
    if (!add_vga(m, err))
        return false;
    if (!add_isa_devices(pc, err))
        return false;
    if (!pc_add_chardevs(m, err))
        return false;
    if (!add_ide(pc, err))
        return false;
    if (!pc_add_drives(pc, err))
        return false;
    if (!net_init_nics(m, err))
        return false;
    if (!pc_add_devices(m, err))
        return false;
    net_check_peers(m);
    if (m->opt->kernel && !linuxboot_load(m, err))
        return false;
    if (!m->opt->no_acpi && !acpi_tables_add(m, err))
        return false;
    return pc_describe(pc, err);
}
