/*
 * PIIX4 power management (function 3 of the south bridge): the ACPI fixed hardware, GPE0, the SMI
 * command port and the SMBus host registers.
 */
#ifndef SLIPWAY_HW_ACPI_PM_H
#define SLIPWAY_HW_ACPI_PM_H

#include <stdbool.h>

#include "error.h"

struct acpi_pm;
struct machine;

#define ACPI_PM_TIMER_HZ 3579545
#define ACPI_GPE0_BASE   0xafe0
#define ACPI_SMI_CMD     0xb2
#define ACPI_ENABLE      0xf1 /* values for the SMI command port */
#define ACPI_DISABLE     0xf0
#define ACPI_SCI_IRQ     9

/* Sets a bit of GPE0's status. */
void acpi_pm_raise_gpe(struct acpi_pm *s, unsigned bit);
/* The alarm of the real-time clock, which ends S3 if that is enabled; while the PC is awake, it
 * only interrupts. */
void acpi_pm_rtc_alarm(struct acpi_pm *s);
/* After the reset that ends S3: the status says so, and why. */
void acpi_pm_woken(struct acpi_pm *s);
/* Makes function 01.3; SCI goes to m->isa_irq[9]; the machine's power button is ours. @smm: the CPU
 * has system management mode; without it the firmware is told that SMIs are taken already. The
 * machine's device list owns it. */
struct acpi_pm *acpi_pm_new(struct machine *m, bool smm, struct error *err);

#endif
