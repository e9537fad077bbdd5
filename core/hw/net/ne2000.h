/*
 * NE2000: the DP8390 network interface controller with 32 KB of buffer memory, an address PROM and
 * the data and reset ports of Novell's board. Core of ne2k_isa and ne2k_pci, which give it a bus.
 */
#ifndef SLIPWAY_HW_NET_NE2000_H
#define SLIPWAY_HW_NET_NE2000_H

#include "clock.h"
#include "hw/device.h"
#include "net/net.h"

enum {
    NE2000_PORTS = 32,
    NE2000_PROM_SIZE = 32,
    NE2000_RAM_FIRST = 0x4000, /* in the controller's address space */
    NE2000_RAM_SIZE = 0x8000,
    NE2000_RAM_END = NE2000_RAM_FIRST + NE2000_RAM_SIZE,
};

struct ne2000 {
    struct nic_conf conf;
    struct nic *nic;
    void (*set_irq)(struct ne2000 *s, int level);

    /* Registers, by their names in the data sheet. Pointers of two bytes are one number. */
    uint8_t cr, isr, imr, dcr, tcr, rcr, tsr, rsr, ncr;
    uint8_t pstart, pstop, bnry, curr, tpsr;
    uint16_t tbcr;
    uint16_t crda, rbcr; /* remote DMA: address and count as they stand */
    uint8_t par[6], mar[8], cntr[3], fifo[8];
    uint8_t config[2]; /* RTL8029: 9346CR, CONFIG2 as far as they can be written */

    bool running;        /* started and not stopped since */
    bool sending;        /* inside transmit() */
    uint8_t send_next;   /* "send packet" command: BNRY after it; 0: none under way */
    uint8_t fifo_at;     /* next byte that the FIFO register gives */
    uint8_t reraised_at; /* BNRY when PRX was last repeated; 0: not since the last frame */
    struct timer again;  /* repeats PRX, see ne2000.c */

    uint8_t ram[NE2000_RAM_SIZE];
    uint8_t prom[NE2000_PROM_SIZE];
    uint8_t frame[NE2000_RAM_SIZE]; /* on its way out */
};

/* Realize: makes the NIC of model @model; set_irq is set. */
bool ne2000_init(struct ne2000 *s, struct device *d, const char *model, struct error *err);
void ne2000_exit(struct ne2000 *s);
void ne2000_reset(struct ne2000 *s);
void ne2000_post_load(struct ne2000 *s);
/* Accesses to its 32 ports; opaque is the struct ne2000. */
extern const struct mem_ops ne2000_port_ops;

/* For the field table of a device that has one as member @m. */
#define NE2000_FIELDS(T, m)                                                                        \
    FIELD_U8(T, m.cr, 0x21), FIELD_U8(T, m.isr, 0x80), FIELD_U8(T, m.imr, 0),                      \
        FIELD_U8(T, m.dcr, 4), FIELD_U8(T, m.tcr, 0), FIELD_U8(T, m.rcr, 0),                       \
        FIELD_U8(T, m.tsr, 0), FIELD_U8(T, m.rsr, 0), FIELD_U8(T, m.ncr, 0),                       \
        FIELD_U8(T, m.pstart, 0), FIELD_U8(T, m.pstop, 0), FIELD_U8(T, m.bnry, 0),                 \
        FIELD_U8(T, m.curr, 0), FIELD_U8(T, m.tpsr, 0), FIELD_U16(T, m.tbcr, 0),                   \
        FIELD_U16(T, m.crda, 0), FIELD_U16(T, m.rbcr, 0), FIELD_BYTES(T, m.par),                   \
        FIELD_BYTES(T, m.mar), FIELD_BYTES(T, m.cntr), FIELD_BYTES(T, m.fifo),                     \
        FIELD_BYTES(T, m.config), FIELD_BOOL(T, m.running, 0), FIELD_U8(T, m.send_next, 0),        \
        FIELD_U8(T, m.fifo_at, 0), FIELD_U8(T, m.reraised_at, 0), FIELD_TIMER(T, m.again),         \
        FIELD_KEEP_BYTES(T, m.ram)

#endif
