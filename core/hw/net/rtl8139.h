/*
 * Realtek RTL8139C+: what its two files share. rtl8139.c has registers, EEPROM, PHY and timer;
 * rtl8139_ring.c moves frames.
 */
#ifndef SLIPWAY_HW_NET_RTL8139_H
#define SLIPWAY_HW_NET_RTL8139_H

#include "clock.h"
#include "hw/pci/pci.h"
#include "net/net.h"

enum {
    RTL_CR_BUFE = 0x01,
    RTL_CR_TE = 0x04,
    RTL_CR_RE = 0x08,
    RTL_CR_RST = 0x10,

    RTL_ISR_ROK = 0x0001,
    RTL_ISR_TOK = 0x0004,
    RTL_ISR_LINK = 0x0020,
    RTL_ISR_TDU = 0x0080,
    RTL_ISR_SW = 0x0100,
    RTL_ISR_TIMEOUT = 0x4000,

    RTL_TSD_SIZE = 0x1fff,
    RTL_TSD_OWN = 0x2000,
    RTL_TSD_TUN = 0x4000,
    RTL_TSD_TOK = 0x8000,

    RTL_TCR_LOOPBACK = 3 << 17,

    RTL_RCR_AAP = 0x01, /* accept: all physical addresses, */
    RTL_RCR_APM = 0x02, /* my physical address, */
    RTL_RCR_AM = 0x04,  /* multicast, */
    RTL_RCR_AB = 0x08,  /* broadcast */
    RTL_RCR_WRAP = 0x80,

    RTL_CPCR_TX = 0x01,
    RTL_CPCR_RX = 0x02,
    RTL_CPCR_RX_CHECKSUM = 0x20,
    RTL_CPCR_RX_VLAN = 0x40,

    RTL_EEPROM_WORDS = 64,
    RTL_VLAN_TAG_LEN = 4,
};

/* The tally counters, in the order of the dump. */
struct rtl8139_tally {
    uint64_t tx_ok, rx_ok, tx_err;
    uint32_t rx_err;
    uint16_t miss;
    uint64_t rx_phys, rx_broadcast;
    uint32_t rx_multicast;
};

struct rtl8139 {
    struct pci_device pci;
    struct mem_region io, mmio;
    struct nic_conf conf;
    struct nic *nic;

    /* Registers, by their names in the data sheet. */
    uint8_t idr[6], mar[8], cr, cr9346, config0, config1, config3, config4, config5, mtps;
    uint32_t tsd[4], tsad[4]; /* C+: TSD0-1 is DTCCR, TSAD0-1 TNPDS, TSAD2-3 THPDS */
    uint32_t rbstart, tcr, rcr, mpc, timer_int, rdsar[2];
    uint16_t imr, isr, mulint, bmcr, anar, cpcr, fcsc, intr_mitigate;
    uint16_t rx_read, rx_write; /* legacy ring: CAPR + 16 and CBR */
    uint8_t tx_next;            /* legacy: descriptor that is sent next */
    uint8_t cp_tx[2], cp_rx;    /* C+: next of the normal, high-priority and receive ring */
    bool halted;                /* HLTCLK */
    bool link, link_was_lost;   /* as the PHY knows; BMSR is still to show the loss */
    int64_t tctr_base_ns;       /* when TCTR was 0 */
    struct timer timeout;       /* TCTR reaches TimerInt */
    struct timer rx_poll;       /* looks again at the receive ring, see rtl8139_ring.c */
    uint32_t reraised_at; /* place in the ring when ROK was last repeated; UINT32_MAX: not since */
    struct rtl8139_tally tally;

    /* The 93C46 behind 9346CR. */
    uint16_t eeprom[RTL_EEPROM_WORDS];
    uint32_t ee_shift; /* bits since the start bit, that one included */
    uint16_t ee_out;   /* to be shifted out */
    uint8_t ee_bits;   /* how many came in */
    bool ee_writable, ee_out_bit;

    unsigned busy; /* inside a transfer: its DMA doesn't reach our own registers */
    bool sending;
    uint8_t frame[NET_FRAME_MAX + RTL_VLAN_TAG_LEN]; /* on its way out */
};

/* rtl8139.c */
void rtl8139_update_irq(struct rtl8139 *s);
void rtl8139_raise(struct rtl8139 *s, uint16_t isr_bits);

/* rtl8139_ring.c */
bool rtl8139_receive(struct net_client *nc, const struct net_frame *f);
/* The driver cleared ROK. */
void rtl8139_rok_cleared(struct rtl8139 *s);
/* The timer rx_poll. */
void rtl8139_look_again(void *opaque);
void rtl8139_writable(struct net_client *nc);
/* Sends what the legacy descriptors hold. */
void rtl8139_transmit(struct rtl8139 *s);
/* Sends what the C+ ring @priority (0: normal, 1: high) holds. */
void rtl8139_cp_transmit(struct rtl8139 *s, int priority);
/* Writes the tally counters to memory. */
void rtl8139_dump_tally(struct rtl8139 *s, uint64_t addr);
/* Size of the legacy receive ring in bytes, without what may follow it. */
uint32_t rtl8139_ring_size(const struct rtl8139 *s);

static inline bool rtl8139_cp_rx(const struct rtl8139 *s)
{
    return s->cpcr & RTL_CPCR_RX;
}
static inline bool rtl8139_cp_tx(const struct rtl8139 *s)
{
    return s->cpcr & RTL_CPCR_TX;
}

#endif
