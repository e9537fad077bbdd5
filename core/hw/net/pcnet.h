/*
 * AMD Am79C970A (PCnet-PCI II): what its two files share. pcnet.c has registers and reset;
 * pcnet_ring.c the initialization block and the descriptor rings.
 */
#ifndef SLIPWAY_HW_NET_PCNET_H
#define SLIPWAY_HW_NET_PCNET_H

#include "clock.h"
#include "hw/pci/pci.h"
#include "net/net.h"

enum {
    CSR0_INIT = 0x0001,
    CSR0_STRT = 0x0002,
    CSR0_STOP = 0x0004,
    CSR0_TDMD = 0x0008,
    CSR0_TXON = 0x0010,
    CSR0_RXON = 0x0020,
    CSR0_IENA = 0x0040,
    CSR0_INTR = 0x0080,
    CSR0_IDON = 0x0100,
    CSR0_TINT = 0x0200,
    CSR0_RINT = 0x0400,
    CSR0_MISS = 0x1000,
    CSR0_CERR = 0x2000,
    CSR0_BABL = 0x4000,
    CSR0_ERR = 0x8000,

    CSR4_TXSTRT = 0x0008,
    CSR4_MFCO = 0x0200,
    CSR4_ASTRP_RCV = 0x0400,
    CSR4_APAD_XMT = 0x0800,
    CSR4_DPOLL = 0x1000,
    CSR5_SPND = 0x0001,
    CSR5_LTINTEN = 0x4000,
    CSR5_TOKINTD = 0x8000,
    CSR124_RPA = 0x0008,
    CSR15_DRX = 0x0001,
    CSR15_DTX = 0x0002,
    CSR15_LOOP = 0x0004,
    CSR15_DXMTFCS = 0x0008,
    CSR15_DRCVPA = 0x2000,
    CSR15_DRCVBC = 0x4000,
    CSR15_PROM = 0x8000,

    /* CSRs that are more than storage */
    CSR_IADR = 1,  /* 2 registers */
    CSR_LADRF = 8, /* 4 */
    CSR_PADR = 12, /* 3 */
    CSR_MODE = 15,
    CSR_BADR = 24,  /* 2: base of the receive ring */
    CSR_BADX = 30,  /* 2: of the transmit ring */
    CSR_RCVRL = 76, /* lengths of the rings, two's complement */
    CSR_XMTRL = 78,
    CSR_MFC = 112,
    CSR_TEST = 124,

    BCR_SWS = 20,
    PCNET_CSRS = 128,
    PCNET_BCRS = 32,
    PCNET_APROM_SIZE = 16,
    PCNET_FRAME_MAX = 16384,
};

struct pcnet {
    struct pci_device pci;
    struct mem_region io, mmio;
    struct nic_conf conf;
    struct nic *nic;

    uint16_t csr[PCNET_CSRS], bcr[PCNET_BCRS], rap;
    uint8_t aprom[PCNET_APROM_SIZE];
    uint16_t rx_index, tx_index; /* descriptors that are next */
    bool link;
    bool rx_waiting;    /* a frame was refused */
    bool rint_repeated; /* RINT again for this full ring */
    uint32_t poll_ns;   /* to the next look at the rings */
    struct timer poll;
    unsigned busy; /* inside a transfer: its DMA doesn't reach our own registers */
    bool sending;
    uint8_t frame[PCNET_FRAME_MAX]; /* on its way out */
};

/* pcnet.c */
void pcnet_update_irq(struct pcnet *s);

/* pcnet_ring.c */
void pcnet_init_block(struct pcnet *s);
bool pcnet_receive(struct net_client *nc, const struct net_frame *f);
void pcnet_writable(struct net_client *nc);
/* Sends what the ring holds; false: it held nothing. */
bool pcnet_transmit(struct pcnet *s);
/* Where descriptor @index (modulo the ring's length) of the ring with these registers is. */
uint32_t pcnet_desc_addr(const struct pcnet *s, unsigned base_csr, unsigned length_csr,
                         unsigned index);
static inline uint16_t pcnet_ring_length(const struct pcnet *s, unsigned length_csr)
{
    return (uint16_t)-s->csr[length_csr];
}
static inline bool pcnet_suspended(const struct pcnet *s)
{
    return s->csr[5] & CSR5_SPND;
}

#endif
