/*
 * 82371AB (PIIX4) function 3: Intel data sheet 290562, the ACPI 1.0 fixed register blocks, and
 * QEMU's placement of GPE0 at 0xafe0.
 *
 * The I/O block at PMBASE (configuration 0x40, enabled by PMREGMISC 0x80 bit 0): PM1 status and
 * enable, PM1 control and the 24-bit PM timer. The timer is virtual time in 3.579545 MHz ticks; its
 * status bit is set each time bit 23 toggles, found by comparing with overflow, the next tick count
 * at which it does. A host timer exists only while that status would interrupt.
 *
 * SCI is level-triggered and high while any enabled status bit of PM1 or GPE0 is set. A write with
 * SLP_EN enters a sleep state: type 0 is S5 and type 2 S4, both power-off; type 1 is S3, which an
 * enabled power button or RTC alarm ends; others are not offered by our tables and wake at once.
 *
 * 0xb2/0xb3 are APMC/APMS: the command 0xf1 or 0xf0 turns SCI_EN on or off as the BIOS's SMI
 * handler would; other commands raise an SMI if DEVACTB (0x58 bit 25) allows.
 *
 * SMBus host registers answer as a bus without devices does: a started command ends with a device
 * error.
 */
#include "hw/acpi_pm.h"

#include <string.h>

#include "clock.h"
#include "cpu/cpu.h"
#include "hw/pci/pci.h"
#include "log.h"
#include "machine.h"
#include "memory.h"

#define REG_PMBASE    0x40
#define REG_DEVACTB   0x58
#define REG_PMREGMISC 0x80
#define REG_SMBBASE   0x90
#define REG_SMBHSTCFG 0xd2
#define APMC_EN       0x02 /* in byte 3 of DEVACTB */

#define PM1_TMR    0x0001u
#define PM1_BM     0x0010u
#define PM1_GBL    0x0020u
#define PM1_PWRBTN 0x0100u
#define PM1_SLPBTN 0x0200u
#define PM1_RTC    0x0400u
#define PM1_WAK    0x8000u
#define PM1_STATUS (PM1_TMR | PM1_BM | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC | PM1_WAK)
#define PM1_ENABLE (PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC)
#define CNT_SCI_EN 0x0001u
#define CNT_SLP_EN 0x2000u

#define TIMER_TOGGLE (1u << 23)
#define TIMER_MASK   0xffffffu

#define SMB_BASE       0xb100
#define SMB_HST_STS    0
#define SMB_HST_CNT    2
#define SMB_STS_INTR   0x02
#define SMB_STS_DEVERR 0x04
#define SMB_STS_W1C    0x1e
#define SMB_CNT_START  0x40

enum { SLEEP_S5 = 0, SLEEP_S3 = 1, SLEEP_S4 = 2 };

struct acpi_pm {
    struct pci_device pci;
    bool smm;
    uint16_t pm1_status, pm1_enable, pm1_control;
    uint64_t overflow; /* tick count at which bit 23 toggles next */
    uint16_t gpe_status, gpe_enable;
    uint16_t wake_event; /* PM1 status bit that ends S3; outlives the reset in between */
    uint8_t apmc, apms;
    uint8_t smb[16];
    struct timer timer;
    struct mem_region pm_io, gpe_io, apm_io, smb_io;
};

static const struct field acpi_pm_fields[] = {
    PCI_DEVICE_FIELDS,
    FIELD_U16(struct acpi_pm, pm1_status, 0),
    FIELD_U16(struct acpi_pm, pm1_enable, 0),
    FIELD_U16(struct acpi_pm, pm1_control, 0),
    FIELD_U64(struct acpi_pm, overflow, 0),
    FIELD_U16(struct acpi_pm, gpe_status, 0),
    FIELD_U16(struct acpi_pm, gpe_enable, 0),
    FIELD_U8(struct acpi_pm, apmc, 0),
    FIELD_U8(struct acpi_pm, apms, 0),
    FIELD_BYTES(struct acpi_pm, smb),
    FIELD_TIMER(struct acpi_pm, timer),
    FIELD_END,
};

/* ---- PM timer and SCI ---- */

static uint64_t pm_ticks(struct acpi_pm *s)
{
    return clock_ticks(clock_now_ns(&s->pci.dev.machine->clock), ACPI_PM_TIMER_HZ);
}

static void next_overflow(struct acpi_pm *s)
{
    s->overflow = (pm_ticks(s) + TIMER_TOGGLE) & ~(uint64_t)(TIMER_TOGGLE - 1);
}

static void sync_timer(struct acpi_pm *s)
{
    if (pm_ticks(s) >= s->overflow)
        s->pm1_status |= PM1_TMR;
}

static void update_sci(struct acpi_pm *s)
{
    sync_timer(s);
    bool sci = (s->pm1_status & s->pm1_enable & PM1_ENABLE) || (s->gpe_status & s->gpe_enable);
    irq_set(&s->pci.dev.machine->isa_irq[ACPI_SCI_IRQ], sci);
    if ((s->pm1_enable & PM1_TMR) && !(s->pm1_status & PM1_TMR))
        timer_mod(&s->timer, clock_ticks_to_ns(s->overflow, ACPI_PM_TIMER_HZ));
    else
        timer_del(&s->timer);
}

static void timer_expired(void *opaque)
{
    update_sci(opaque);
}

/* Ends S3 if we are in it and the event may. */
static void wake(struct acpi_pm *s, uint16_t event)
{
    struct machine *m = s->pci.dev.machine;
    if ((m->suspended || m->suspend_requested) && (s->pm1_enable & event)) {
        s->wake_event = event;
        machine_request_wakeup(m);
    }
}

static void power_button(void *opaque)
{
    struct acpi_pm *s = opaque;
    s->pm1_status |= PM1_PWRBTN;
    update_sci(s);
    wake(s, PM1_PWRBTN);
}

void acpi_pm_rtc_alarm(struct acpi_pm *s)
{
    wake(s, PM1_RTC);
}

void acpi_pm_woken(struct acpi_pm *s)
{
    s->pm1_status |= PM1_WAK | s->wake_event;
    s->wake_event = 0;
    update_sci(s);
}

void acpi_pm_raise_gpe(struct acpi_pm *s, unsigned bit)
{
    s->gpe_status |= (uint16_t)(1u << bit);
    update_sci(s);
}

/* ---- PM1 ---- */

static void enter_sleep(struct acpi_pm *s, unsigned type)
{
    struct machine *m = s->pci.dev.machine;
    switch (type) {
    case SLEEP_S5:
    case SLEEP_S4: machine_request_shutdown(m, SHUTDOWN_GUEST, 0); break;
    case SLEEP_S3: machine_request_suspend(m); break;
    default:
        log_mask(LOG_UNIMP, "acpi: sleep type %u isn't offered; waking at once", type);
        s->pm1_status |= PM1_WAK;
        update_sci(s);
    }
}

/* The block byte by byte; wider accesses are put together from it. */
static uint64_t pm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct acpi_pm *s = opaque;
    sync_timer(s);
    uint32_t timer = (uint32_t)pm_ticks(s) & TIMER_MASK;
    uint8_t block[16] = { 0 };
    pci_set16(block, s->pm1_status);
    pci_set16(block + 2, s->pm1_enable);
    pci_set16(block + 4, s->pm1_control);
    pci_set32(block + 8, timer);
    uint64_t v = 0;
    for (unsigned i = 0; i < size && offset + i < sizeof block; i++)
        v |= (uint64_t)block[offset + i] << (8 * i);
    return v;
}

static void write_register(struct acpi_pm *s, unsigned reg, uint16_t v, uint16_t mask)
{
    switch (reg) {
    case 0: {
        uint16_t clear = v & mask & PM1_STATUS;
        sync_timer(s);
        if (clear & s->pm1_status & PM1_TMR)
            next_overflow(s);
        s->pm1_status &= (uint16_t)~clear;
        update_sci(s);
        break;
    }
    case 2:
        s->pm1_enable = (uint16_t)((s->pm1_enable & ~mask) | (v & mask & PM1_ENABLE));
        update_sci(s);
        break;
    case 4:
        /* SCI_EN is the BIOS's, but QEMU's guests may write it and so may ours. */
        s->pm1_control = (uint16_t)((s->pm1_control & ~mask) | (v & mask & ~CNT_SLP_EN));
        if (v & mask & CNT_SLP_EN)
            enter_sleep(s, s->pm1_control >> 10 & 7);
        break;
    default: break; /* the timer is read-only */
    }
}

static void pm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct acpi_pm *s = opaque;
    if (offset & 1) {
        write_register(s, (unsigned)offset & ~1u, (uint16_t)(value << 8), 0xff00);
        return;
    }
    write_register(s, (unsigned)offset, (uint16_t)value, size == 1 ? 0x00ff : 0xffff);
    if (size == 4)
        write_register(s, (unsigned)offset + 2, (uint16_t)(value >> 16), 0xffff);
}

static uint64_t gpe_read(void *opaque, uint64_t offset, unsigned size)
{
    struct acpi_pm *s = opaque;
    uint16_t v = offset & 2 ? s->gpe_enable : s->gpe_status;
    return v >> (8 * (offset & 1)) & 0xff;
}

static void gpe_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct acpi_pm *s = opaque;
    unsigned shift = 8 * (offset & 1);
    uint16_t v = (uint16_t)((value & 0xff) << shift), mask = (uint16_t)(0xff << shift);
    if (offset & 2)
        s->gpe_enable = (uint16_t)((s->gpe_enable & ~mask) | v);
    else
        s->gpe_status &= (uint16_t)~v;
    update_sci(s);
}

/* ---- APM ---- */

static uint64_t apm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct acpi_pm *s = opaque;
    return offset ? s->apms : s->apmc;
}

static void apm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct acpi_pm *s = opaque;
    struct machine *m = s->pci.dev.machine;
    if (offset) {
        s->apms = (uint8_t)value;
        return;
    }
    s->apmc = (uint8_t)value;
    if (s->apmc == ACPI_ENABLE)
        s->pm1_control |= CNT_SCI_EN;
    else if (s->apmc == ACPI_DISABLE)
        s->pm1_control &= (uint16_t)~CNT_SCI_EN;
    if (s->smm && (s->pci.config[REG_DEVACTB + 3] & APMC_EN))
        for (int i = 0; i < m->cpu_count; i++)
            cpu_raise_intr(m->cpus[i], CPU_INTR_SMI);
}

/* ---- SMBus ---- */

static uint64_t smb_read(void *opaque, uint64_t offset, unsigned size)
{
    struct acpi_pm *s = opaque;
    return s->smb[offset];
}

static void smb_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct acpi_pm *s = opaque;
    uint8_t v = (uint8_t)value;
    if (offset == SMB_HST_STS) {
        s->smb[SMB_HST_STS] &= (uint8_t) ~(v & SMB_STS_W1C);
    } else if (offset == SMB_HST_CNT) {
        s->smb[SMB_HST_CNT] = v & (uint8_t)~SMB_CNT_START;
        if (v & SMB_CNT_START)
            s->smb[SMB_HST_STS] |= SMB_STS_DEVERR;
    } else {
        s->smb[offset] = v;
    }
}

static const struct mem_ops pm_ops = { pm_read, pm_write, 1, 4 };
static const struct mem_ops gpe_ops = { gpe_read, gpe_write, 1, 1 };
static const struct mem_ops apm_ops = { apm_read, apm_write, 1, 1 };
static const struct mem_ops smb_ops = { smb_read, smb_write, 1, 1 };

/* ---- configuration ---- */

static void update_io(struct acpi_pm *s)
{
    struct mem_space *io = &s->pci.dev.machine->io;
    const uint8_t *c = s->pci.config;
    uint16_t base = pci_get16(c + REG_PMBASE) & 0xffc0;
    mem_transaction_begin(io);
    uint16_t smbus = pci_get16(c + REG_SMBBASE) & 0xfff0;
    mem_region_set_base(&s->pm_io, base);
    mem_region_set_enabled(&s->pm_io, base && (c[REG_PMREGMISC] & 1));
    mem_region_set_base(&s->smb_io, smbus);
    mem_region_set_enabled(&s->smb_io, smbus && (c[REG_SMBHSTCFG] & 1));
    mem_transaction_end(io);
}

static void config_written(struct pci_device *d, uint8_t reg, unsigned len)
{
    d->config[REG_PMBASE] |= 1; /* I/O addresses */
    d->config[REG_SMBBASE] |= 1;
    if (reg + len > REG_PMBASE)
        update_io((struct acpi_pm *)d);
}

/* ---- life ---- */

static void acpi_pm_reset(struct device *d)
{
    struct acpi_pm *s = (struct acpi_pm *)d;
    uint8_t *c = s->pci.config;
    memset(c + 0x40, 0, 0xc0);
    c[REG_PMBASE] = 1;
    /* Without SMM: SeaBIOS takes APMC_EN as "the handler is installed already". */
    c[REG_DEVACTB + 3] = s->smm ? 0 : APMC_EN;
    c[0x5f] = 0x90; /* what the board has: parallel port, two serial ports, floppy */
    c[0x63] = 0x60;
    c[0x67] = 0x08;
    c[REG_SMBBASE] = (SMB_BASE & 0xff) | 1;
    c[REG_SMBBASE + 1] = SMB_BASE >> 8;
    c[REG_SMBHSTCFG] = 0x09;
    next_overflow(s);
    update_io(s);
    update_sci(s);
}

static void acpi_pm_post_load(struct device *d)
{
    struct acpi_pm *s = (struct acpi_pm *)d;
    update_io(s);
    update_sci(s);
}

static bool acpi_pm_realize(struct device *d, struct error *err)
{
    struct acpi_pm *s = (struct acpi_pm *)d;
    struct machine *m = d->machine;
    s->pci.config_written = config_written;
    if (!pci_device_init(&s->pci, err))
        return false;
    pci_set16(s->pci.config + PCI_STATUS, 0x0280); /* fast back-to-back, medium DEVSEL# */
    timer_init(&s->timer, &m->clock, timer_expired, s);
    mem_region_init_io(&s->pm_io, "piix4-pm", 64, &pm_ops, s);
    mem_region_init_io(&s->gpe_io, "acpi-gpe0", 4, &gpe_ops, s);
    mem_region_init_io(&s->apm_io, "apm-io", 2, &apm_ops, s);
    mem_region_init_io(&s->smb_io, "pm-smbus", sizeof s->smb, &smb_ops, s);
    mem_region_set_enabled(&s->pm_io, false);
    mem_region_add(&m->io, &s->pm_io, 0, 0);
    mem_region_add(&m->io, &s->gpe_io, ACPI_GPE0_BASE, 0);
    mem_region_add(&m->io, &s->apm_io, ACPI_SMI_CMD, 0);
    mem_region_add(&m->io, &s->smb_io, SMB_BASE, 0);
    machine_set_powerdown_handler(m, power_button, s);
    return true;
}

static void acpi_pm_unrealize(struct device *d)
{
    struct acpi_pm *s = (struct acpi_pm *)d;
    machine_set_powerdown_handler(d->machine, NULL, NULL);
    mem_region_remove(&s->pm_io);
    mem_region_remove(&s->gpe_io);
    mem_region_remove(&s->apm_io);
    mem_region_remove(&s->smb_io);
    pci_device_exit(&s->pci);
}

static const struct pci_class_info acpi_pm_info = {
    .vendor_id = 0x8086,
    .device_id = 0x7113,
    .revision = 3,
    .class_id = 0x0680,
    .has_intx = true,
};

static const struct device_class acpi_pm_class = {
    .name = "PIIX4_PM",
    .desc = "PIIX4 power management",
    .size = sizeof(struct acpi_pm),
    .fields = acpi_pm_fields,
    .realize = acpi_pm_realize,
    .unrealize = acpi_pm_unrealize,
    .reset = acpi_pm_reset,
    .post_load = acpi_pm_post_load,
    .class_data = &acpi_pm_info,
};

struct acpi_pm *acpi_pm_new(struct machine *m, bool smm, struct error *err)
{
    struct acpi_pm *s = (struct acpi_pm *)device_new(m, &acpi_pm_class);
    if (!s) {
        error_set(err, "PIIX4_PM: out of memory");
        return NULL;
    }
    s->smm = smm;
    s->pci.devfn = 1 << 3 | 3;
    return device_realize(&s->pci.dev, err) ? s : NULL;
}
