/*
 * PCI hot-plug through ACPI, as QEMU's pc machine has it: the registers at 0xae00 and the AML that
 * goes with them.
 */
#ifndef SLIPWAY_HW_PCI_HOTPLUG_H
#define SLIPWAY_HW_PCI_HOTPLUG_H

#include "hw/irq.h"
#include "hw/pci/pci.h"

struct aml;
struct pci_hotplug;

#define PCI_HOTPLUG_GPE 1 /* bit of GPE0 */

/* Makes the controller of m->pci; @event: pulsed when the guest should look. The machine's device
 * list owns it. */
struct pci_hotplug *pci_hotplug_new(struct machine *m, struct irq event, struct error *err);
/* @d was realized while the machine was there already: the guest is told. */
void pci_hotplug_added(struct pci_device *d);
/* Asks the guest to let go of @d; when it ejects it (or at a reset) the device is removed. False:
 * asked before, or it can't be unplugged. */
bool pci_hotplug_remove(struct pci_device *d, struct error *err);
/* When the machine is reset, before its devices are: carries out what was asked for. */
void pci_hotplug_before_reset(struct machine *m);
/* The slots, inside the scope of the PCI root; then the handler of the event, outside of it. */
void pci_hotplug_add_slots(struct aml *a);
void pci_hotplug_add_event(struct aml *a);

#endif
