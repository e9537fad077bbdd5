/*
 * PCI: configuration space, BARs and INTx, as a conventional PCI 2.1 bus 0 behind the i440FX host
 * bridge.
 *
 * A PCI device embeds struct pci_device as its first member. Its class's class_data is a struct
 * pci_class_info; pci_device_init() (called from realize) fills the standard header from it and
 * finds a slot. Writes to configuration space pass through wmask (writable bits) and w1cmask (write
 * 1 to clear); changes of command and BARs move the regions; everything else reaches
 * config_written().
 */
#ifndef SLIPWAY_HW_PCI_H
#define SLIPWAY_HW_PCI_H

#include "hw/device.h"
#include "memory.h"

enum {
    PCI_VENDOR_ID = 0x00,
    PCI_DEVICE_ID = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION_ID = 0x08,
    PCI_CLASS_PROG = 0x09,
    PCI_CLASS_DEVICE = 0x0a,
    PCI_CACHE_LINE_SIZE = 0x0c,
    PCI_LATENCY_TIMER = 0x0d,
    PCI_HEADER_TYPE = 0x0e,
    PCI_BASE_ADDRESS_0 = 0x10,
    PCI_SUBSYSTEM_VENDOR_ID = 0x2c,
    PCI_SUBSYSTEM_ID = 0x2e,
    PCI_ROM_ADDRESS = 0x30,
    PCI_CAPABILITY_LIST = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,

    PCI_COMMAND_IO = 1,
    PCI_COMMAND_MEMORY = 2,
    PCI_COMMAND_MASTER = 4,
    PCI_COMMAND_SERR = 0x100,
    PCI_COMMAND_INTX_DISABLE = 0x400,
    PCI_STATUS_INTX = 0x08,
    PCI_STATUS_CAP_LIST = 0x10,

    PCI_CAP_ID_VNDR = 0x09,
    PCI_CAP_ID_MSIX = 0x11,
};

struct pci_class_info {
    uint16_t vendor_id, device_id;
    uint8_t revision;
    uint16_t class_id; /* base class << 8 | subclass, e.g. 0x0300 VGA */
    uint8_t prog_if;
    uint16_t subsystem_vendor_id, subsystem_id; /* 0: 0x1af4, 0x1100 as QEMU */
    bool has_intx;                              /* INTA# */
    const char *romfile; /* expansion ROM if the property isn't set; NULL: none */
};

enum pci_bar_type { PCI_BAR_MEM32, PCI_BAR_MEM64, PCI_BAR_MEM_PREFETCH, PCI_BAR_IO };

struct pci_device;
struct pci_bus;
struct pci_hotplug;

struct pci_bar {
    struct mem_region *region; /* the device's; NULL: none */
    enum pci_bar_type type;
    uint64_t size;
};

struct pci_device {
    struct device dev;
    struct pci_bus *bus;
    int devfn; /* slot << 3 | function; 0 or -1 before init: first free slot, or dev.addr ("5.1") */
    uint8_t config[256], wmask[256], w1cmask[256];
    struct pci_bar bars[7]; /* 6: expansion ROM */
    int intx_level;         /* what the device drives */
    bool intx_out;          /* what reaches the PIRQ line */
    uint8_t cap_next;       /* where the next capability goes */
    char *romfile;          /* property romfile; "" = none */
    uint32_t bootindex;
    struct mem_region rom;
    bool rom_is_default; /* the class's, not the property's */
    /* Optional: after the masked write of @len bytes at @reg. */
    void (*config_written)(struct pci_device *d, uint8_t reg, unsigned len);
    /* Optional: a read that depends on state outside config[]. */
    uint32_t (*config_read)(struct pci_device *d, uint8_t reg, unsigned len);
    /* MSI-X, if msix_init was called. */
    struct msix *msix;
};

/* The bus: made by the host bridge. map_irq: (slot, pin 0..3) -> one of the 4 PIRQ lines. */
struct pci_bus {
    struct machine *machine;
    struct pci_device *devices[256]; /* by devfn */
    struct irq pirq[4];              /* to the south bridge */
    int pirq_count[4];               /* asserted sources of each */
    struct pci_hotplug *hotplug;     /* hotplug.h; NULL: none */
};

/* Standard header from cls->class_data, slot allocation (d->devfn or first free from 2 up). */
bool pci_device_init(struct pci_device *d, struct error *err);
/* The device's IDs changed after pci_device_init: a default ROM has to name them. */
void pci_ids_changed(struct pci_device *d);
/* To be called from unrealize: takes BARs, interrupt, MSI-X and ROM away and frees the slot. */
void pci_device_exit(struct pci_device *d);
/* Command, BARs, interrupt line, MSI-X. The host bridge calls it for each device of the bus at
 * reset, before the devices' own reset(); calling it again is harmless. */
void pci_device_reset(struct pci_device *d);
/* To be called from post_load. */
void pci_device_post_load(struct pci_device *d);
/* Declares BAR @n; @region is initialised by the caller (RAM or IO), @size a power of two, type as
 * it says. */
void pci_register_bar(struct pci_device *d, int n, enum pci_bar_type type,
                      struct mem_region *region);
/* Where BAR @n is mapped now. */
#define PCI_BAR_UNMAPPED UINT64_MAX
uint64_t pci_bar_address(const struct pci_device *d, int n);
/* Adds a capability of @len bytes in total; returns its offset. */
uint8_t pci_add_capability(struct pci_device *d, uint8_t id, uint8_t len);
void pci_set_irq(struct pci_device *d, int level); /* INTA#, honours INTX_DISABLE */
uint32_t pci_config_read(struct pci_device *d, uint8_t reg, unsigned len);
void pci_config_write(struct pci_device *d, uint8_t reg, uint32_t value, unsigned len);

/* Bus-master access; honours PCI_COMMAND_MASTER (reads give 0xff bytes without it). */
void pci_dma_read(struct pci_device *d, uint64_t addr, void *buf, size_t len);
void pci_dma_write(struct pci_device *d, uint64_t addr, const void *buf, size_t len);

/* MSI-X with @vectors entries, table and PBA in a memory BAR of their own (@bar). PCI Local
 * Bus 3.0, 6.8.2. */
bool msix_init(struct pci_device *d, unsigned vectors, int bar, struct error *err);
bool msix_enabled(struct pci_device *d);
void msix_notify(struct pci_device *d, unsigned vector);
/* For pci.c. */
void msix_config_written(struct pci_device *d, uint8_t reg, unsigned len);
void msix_reset(struct pci_device *d);
void msix_free(struct pci_device *d);

/* Lines for the tables of a PCI device's class: saved fields (reset by pci_device_reset),
 * properties. */
#define PCI_DEVICE_FIELDS                                                                          \
    {                                                                                              \
        "config", FIELD_BYTES, FIELD_NORESET, offsetof(struct pci_device, config), 256, 0          \
    }
#define PCI_DEVICE_PROPS                                                                           \
    { "romfile", PROP_STRING, offsetof(struct pci_device, romfile), NULL,                          \
      "expansion ROM (\"\": none)" },                                                              \
    {                                                                                              \
        "bootindex", PROP_U32, offsetof(struct pci_device, bootindex), "4294967295", "boot order"  \
    }

static inline uint16_t pci_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t pci_get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline void pci_set16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void pci_set32(uint8_t *p, uint32_t v)
{
    pci_set16(p, (uint16_t)v);
    pci_set16(p + 2, (uint16_t)(v >> 16));
}

/* Saved state of MSI-X (config[] is saved with the device): so many bytes, 0 without it. */
size_t msix_state_size(const struct pci_device *d);
void msix_save(const struct pci_device *d, uint8_t *buf);
void msix_load(struct pci_device *d, const uint8_t *buf);

#endif
