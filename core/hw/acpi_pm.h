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
/* Makes function 01.3; SCI goes to m->isa_irq[9]; the machine's power button is ours. @smm: the CPU
 * has system management mode; without it the firmware is told that SMIs are taken already. The
 * machine's device list owns it. */
struct acpi_pm *acpi_pm_new(struct machine *m, bool smm, struct error *err);

#endif
