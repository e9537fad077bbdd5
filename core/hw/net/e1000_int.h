/*
 * What the files of the e1000 share: registers by their names in the manual and the device's state.
 *
 *   e1000.c       PCI device, register file, interrupts, life
 *   e1000_phy.c   EEPROM, PHY and the state of the link
 *   e1000_rx.c    receive filter, descriptors, delays of the receive interrupt
 *   e1000_tx.c    transmit descriptors, checksum and segmentation offload
 *   e1000_stats.c statistics registers
 *
 * Document: Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual
 * (8254x), "SDM" below.
 */
#ifndef SLIPWAY_HW_E1000_INT_H
#define SLIPWAY_HW_E1000_INT_H

#include "clock.h"
#include "hw/pci/pci.h"
#include "net/net.h"

enum {
    CTRL = 0x0000,
    CTRL_DUP = 0x0004,
    STATUS = 0x0008,
    EECD = 0x0010,
    EERD = 0x0014,
    CTRL_EXT = 0x0018,
    FLA = 0x001c,
    MDIC = 0x0020,
    FCAL = 0x0028,
    FCAH = 0x002c,
    FCT = 0x0030,
    VET = 0x0038,
    ICR = 0x00c0,
    ITR = 0x00c4,
    ICS = 0x00c8,
    IMS = 0x00d0,
    IMC = 0x00d8,
    RCTL = 0x0100,
    FCTTV = 0x0170,
    TXCW = 0x0178,
    TCTL = 0x0400,
    TIPG = 0x0410,
    AIT = 0x0458,
    LEDCTL = 0x0e00,
    PBA = 0x1000,
    FCRTL = 0x2160,
    FCRTH = 0x2168,
    RDFH = 0x2410,
    RDFT = 0x2418,
    RDFHS = 0x2420,
    RDFTS = 0x2428,
    RDFPC = 0x2430,
    RDBAL = 0x2800,
    RDBAH = 0x2804,
    RDLEN = 0x2808,
    RDH = 0x2810,
    RDT = 0x2818,
    RDTR = 0x2820,
    RXDCTL = 0x2828,
    RADV = 0x282c,
    RSRPD = 0x2c00,
    TXDMAC = 0x3000,
    TDFH = 0x3410,
    TDFT = 0x3418,
    TDFHS = 0x3420,
    TDFTS = 0x3428,
    TDFPC = 0x3430,
    TDBAL = 0x3800,
    TDBAH = 0x3804,
    TDLEN = 0x3808,
    TDH = 0x3810,
    TDT = 0x3818,
    TIDV = 0x3820,
    TXDCTL = 0x3828,
    TADV = 0x382c,
    TSPMT = 0x3830,
    STATS_FIRST = 0x4000,
    STATS_LAST = 0x40fc,
    RXCSUM = 0x5000,
    MTA = 0x5200,
    MTA_LAST = 0x53fc,
    RA = 0x5400, /* RAL(0), RAH(0), RAL(1) ... */
    RA_LAST = 0x547c,
    VFTA = 0x5600,
    VFTA_LAST = 0x57fc,
    WUC = 0x5800,
    WUFC = 0x5808,
    WUS = 0x5810,
    MANC = 0x5820,
    IPAV = 0x5838,
    IP4AT = 0x5840,
    IP6AT = 0x5880,
    WUPL = 0x5900,
    WUPM = 0x5a00,
    FFLT = 0x5f00,
    FFMT = 0x9000,
    FFVT = 0x9800,
    PBM = 0x10000,

    CTRL_RST = 1 << 26,
    CTRL_VME = 1 << 30,
    STATUS_LU = 2,

    ICR_TXDW = 1,
    ICR_TXQE = 2,
    ICR_LSC = 4,
    ICR_RXDMT0 = 0x10,
    ICR_RXT0 = 0x80,
    ICR_MDAC = 0x200,
    ICR_TXD_LOW = 0x8000,
    ICR_SRPD = 0x10000,

    RCTL_EN = 2,
    RCTL_SBP = 4,
    RCTL_UPE = 8,
    RCTL_MPE = 0x10,
    RCTL_LPE = 0x20,
    RCTL_LBM = 0xc0,
    RCTL_LBM_MAC = 0x40,
    RCTL_BAM = 0x8000,
    RCTL_VFE = 1 << 18,
    RCTL_CFIEN = 1 << 19,
    RCTL_CFI = 1 << 20,
    RCTL_BSEX = 1 << 25,
    RCTL_SECRC = 1 << 26,

    TCTL_EN = 2,
    TCTL_PSP = 8,

    RXCSUM_IPOFLD = 0x100,
    RXCSUM_TUOFLD = 0x200,

    MII_CTRL = 0,
    MII_LOOPBACK = 0x4000,

    E1000_PHY_REGS = 32,
    E1000_EEPROM_WORDS = 64,
    E1000_MMIO_SIZE = 0x20000,
    E1000_IO_SIZE = 0x40,
    E1000_FCS = 4,
    E1000_FRAME_MIN = 60,   /* without FCS */
    E1000_FRAME_MAX = 1518, /* with a VLAN tag */
    E1000_LONG_MAX = 16384 - E1000_FCS,
    E1000_TX_HEADROOM = 4, /* for a VLAN tag */
};

/* A context descriptor's contents (SDM 3.3.6). */
struct e1000_context {
    uint8_t ipcss, ipcso, tucss, tucso, tucmd, hdrlen;
    uint16_t ipcse, tucse, mss;
};

/* The packet that is being put together from descriptors. Its bytes start at
 * buf[E1000_TX_HEADROOM]. */
struct e1000_tx {
    struct e1000_context ctx[2]; /* of plain packets, of segmentation */
    uint8_t buf[E1000_TX_HEADROOM + NET_FRAME_MAX];
    uint8_t header[256]; /* segmentation: the packet's, as the driver gave it */
    uint32_t len;        /* bytes in buf */
    uint32_t desc_done;  /* bytes taken of the descriptor at TDH */
    uint32_t seg_at;     /* segmentation: next piece of payload to go, from the header's end */
    uint32_t seq_done;   /* payload bytes of the packet that went before those in buf */
    uint16_t segs_done;
    uint16_t special;
    uint8_t popts, css, cso;
    bool started; /* a descriptor of it was seen */
    bool tse, vle, ic;
    bool bad;     /* too long, or nonsense: isn't sent */
    bool sending; /* what is in buf is ready to go ... */
    bool last;    /* ... and is the packet's end */
    bool csum;    /* the peer fills in the checksum */
    uint8_t gso;  /* enum net_gso: the peer segments */
};

/* The serial EEPROM's side of EECD (SDM 5.3; the chip is a 93C46). */
struct e1000_eeprom {
    uint16_t word[E1000_EEPROM_WORDS];
    uint32_t in;   /* bits clocked in since CS rose */
    uint16_t out;  /* bits that are still to come, first one at the top */
    uint8_t count; /* of bits clocked in */
    bool started, reading, write_enabled, data_out;
};

struct e1000 {
    struct pci_device pci;
    struct nic_conf conf;
    struct nic *nic;
    struct mem_region mmio, io;
    uint32_t reg[E1000_MMIO_SIZE / 4];
    uint32_t io_addr;
    uint16_t phy[E1000_PHY_REGS];
    struct e1000_eeprom eeprom;
    struct e1000_tx tx;
    struct timer link_timer;             /* autonegotiation takes its time */
    struct timer itr_timer;              /* while pending, no new interrupt */
    struct timer rx_timer, rx_abs_timer; /* RDTR, RADV */
    struct timer tx_timer, tx_abs_timer; /* TIDV, TADV */
    bool rx_held;                        /* receive() refused a frame: the queue waits for us */
    bool tx_blocked;                     /* net_send() refused ours */
    bool work_pending;                   /* the bottom half is on its way */
    uint8_t in_dma;                      /* our own bus accesses: registers are closed */
};

static inline uint32_t *e1000_reg(struct e1000 *s, uint32_t r)
{
    return &s->reg[r / 4];
}
static inline uint32_t e1000_get(const struct e1000 *s, uint32_t r)
{
    return s->reg[r / 4];
}

/* What a class of the family is. */
struct e1000_class {
    struct pci_class_info pci;
    uint16_t phy_id2;
};

/* ---- e1000.c ---- */
void e1000_dma_read(struct e1000 *s, uint64_t addr, void *buf, size_t len);
void e1000_dma_write(struct e1000 *s, uint64_t addr, const void *buf, size_t len);
/* Sets causes in ICR and interrupts, if the mask and throttling let it. */
void e1000_set_cause(struct e1000 *s, uint32_t causes);
/* Has e1000_tx_run and net_accept called from a bottom half, as far as there is work. */
void e1000_schedule(struct e1000 *s);

/* ---- e1000_phy.c ---- */
void e1000_phy_init(struct e1000 *s); /* realize: EEPROM contents, timer */
void e1000_phy_reset(struct e1000 *s);
void e1000_mdic_write(struct e1000 *s, uint32_t v);
uint32_t e1000_eecd_read(const struct e1000 *s);
void e1000_eecd_write(struct e1000 *s, uint32_t v);
uint32_t e1000_eerd_read(const struct e1000 *s);
/* The cable was plugged or pulled. */
void e1000_link_changed(struct net_client *nc);
static inline bool e1000_link_is_up(const struct e1000 *s)
{
    return e1000_get(s, STATUS) & STATUS_LU;
}

/* ---- e1000_rx.c ---- */
void e1000_rx_init(struct e1000 *s);
bool e1000_receive(struct net_client *nc, const struct net_frame *f);
/* A frame of our own, by loopback; lost if there is no room. */
void e1000_rx_loopback(struct e1000 *s, const uint8_t *frame, size_t len);
/* RDT was written: is there room for what waits? */
void e1000_rx_room(struct e1000 *s);
/* RDTR was written with FPD: the delayed interrupt now. */
void e1000_rx_flush(struct e1000 *s);

/* ---- e1000_tx.c ---- */
void e1000_tx_init(struct e1000 *s);
void e1000_tx_reset(struct e1000 *s);
/* Works on the ring, for a bounded time; goes on by itself. */
void e1000_tx_run(struct e1000 *s);

/* ---- e1000_stats.c ---- */
uint32_t e1000_stats_read(struct e1000 *s, uint32_t r);
/* A frame of @len bytes (without FCS) came in, or went out. */
void e1000_count_rx(struct e1000 *s, const uint8_t *frame, size_t len);
void e1000_count_tx(struct e1000 *s, const uint8_t *frame, size_t len);
enum e1000_counter { COUNT_MPC, COUNT_RNBC, COUNT_RUC, COUNT_ROC, COUNT_TSCTC };
void e1000_count(struct e1000 *s, enum e1000_counter c);

#endif
