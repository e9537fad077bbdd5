/*
 * ne2k_pci: the NE2000 on PCI, a Realtek RTL8029. An I/O BAR of 256 ports, of which the first 32
 * answer.
 */
#include "hw/net/ne2000.h"
#include "hw/net/nics.h"
#include "hw/pci/pci.h"

#define BAR_SIZE 256

struct ne2k_pci {
    struct pci_device pci;
    struct mem_region ports;
    struct ne2000 ne;
};

static void set_irq(struct ne2000 *ne, int level)
{
    pci_set_irq((struct pci_device *)ne->nic->device, level);
}

static bool ne2k_pci_realize(struct device *d, struct error *err)
{
    struct ne2k_pci *s = (struct ne2k_pci *)d;
    if (!pci_device_init(&s->pci, err))
        return false;
    mem_region_init_io(&s->ports, "ne2000", BAR_SIZE, &ne2000_port_ops, &s->ne);
    pci_register_bar(&s->pci, 0, PCI_BAR_IO, &s->ports);
    s->ne.set_irq = set_irq;
    if (!ne2000_init(&s->ne, d, "ne2k_pci", err)) {
        pci_device_exit(&s->pci);
        return false;
    }
    return true;
}

static void ne2k_pci_unrealize(struct device *d)
{
    struct ne2k_pci *s = (struct ne2k_pci *)d;
    ne2000_exit(&s->ne);
    pci_device_exit(&s->pci);
}

static void ne2k_pci_reset(struct device *d)
{
    ne2000_reset(&((struct ne2k_pci *)d)->ne);
}

static void ne2k_pci_post_load(struct device *d)
{
    pci_device_post_load((struct pci_device *)d);
    ne2000_post_load(&((struct ne2k_pci *)d)->ne);
}

static const struct field ne2k_pci_fields[] = { PCI_DEVICE_FIELDS,
                                                NE2000_FIELDS(struct ne2k_pci, ne), FIELD_END };

static const struct prop ne2k_pci_props[] = {
    PCI_DEVICE_PROPS,
    NIC_PROPS(struct ne2k_pci, ne.conf),
    PROP_END,
};

static const struct pci_class_info ne2k_pci_info = {
    .vendor_id = 0x10ec,
    .device_id = 0x8029,
    .class_id = 0x0200,
    .has_intx = true,
    .romfile = "pxe-ne2k_pci.rom",
};

const struct device_class ne2k_pci_class = {
    .name = "ne2k_pci",
    .desc = "NE2000 (PCI, RTL8029)",
    .size = sizeof(struct ne2k_pci),
    .bus = "PCI",
    .fields = ne2k_pci_fields,
    .props = ne2k_pci_props,
    .realize = ne2k_pci_realize,
    .unrealize = ne2k_pci_unrealize,
    .reset = ne2k_pci_reset,
    .post_load = ne2k_pci_post_load,
    .class_data = &ne2k_pci_info,
};
