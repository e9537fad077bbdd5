/*
 * Realtek RTL8139C+: registers, EEPROM, PHY and timer; data sheets RTL8139C and RTL8139C+.
 * rtl8139_ring.c moves the frames.
 *
 * Registers are 1, 2 or 4 bytes wide (table `registers`), and the bus may touch any bytes of them:
 * an access is taken apart into registers, and a write that covers only some bytes of one takes the
 * others from what it reads as.
 *
 * 9346CR chooses who owns the pins of the 93C46 EEPROM: in mode 2 software clocks it by hand, mode
 * 1 loads the MAC address from it, mode 3 unlocks the CONFIG registers.
 *
 * TCTR counts at the PCI clock; when it reaches TimerInt the timer interrupt comes, and again each
 * time that the 32 bits have wrapped.
 *
 * The link is the netdev's: up with autonegotiation done at 100 Mbit/s full duplex, or down. BMSR
 * shows a loss of link once even if it is over, as IEEE 802.3, 22.2.4.2.13 has it.
 */
#include "hw/net/rtl8139.h"

#include <string.h>

#include "hw/net/eth.h"
#include "hw/net/nics.h"
#include "log.h"
#include "machine.h"

enum {
    IDR0 = 0x00,
    MAR0 = 0x08,
    TSD0 = 0x10,
    TSD3 = 0x1c,
    TSAD0 = 0x20,
    RBSTART = 0x30,
    ERBCR = 0x34,
    ERSR = 0x36,
    CR = 0x37,
    CAPR = 0x38,
    CBR = 0x3a,
    IMR = 0x3c,
    ISR = 0x3e,
    TCR = 0x40,
    RCR = 0x44,
    TCTR = 0x48,
    MPC = 0x4c,
    CR9346 = 0x50,
    CONFIG0 = 0x51,
    CONFIG1 = 0x52,
    TIMER_INT = 0x54,
    MSR = 0x58,
    CONFIG3 = 0x59,
    CONFIG4 = 0x5a,
    HLTCLK = 0x5b,
    MULINT = 0x5c,
    RERID = 0x5e,
    TSAD = 0x60,
    BMCR = 0x62,
    BMSR = 0x64,
    ANAR = 0x66,
    ANLPAR = 0x68,
    ANER = 0x6a,
    FCSC = 0x6e,
    CSCR = 0x74,
    CONFIG5 = 0xd8,
    TPPOLL = 0xd9,
    CPCR = 0xe0,
    INTR_MITIGATE = 0xe2,
    RDSAR_LO = 0xe4,
    RDSAR_HI = 0xe8,
    MTPS = 0xec,

    REGISTERS_SIZE = 256,
    CR9346_MODE = 0xc0,
    CR9346_AUTOLOAD = 0x40,
    CR9346_PROGRAM = 0x80,
    CR9346_UNLOCK = 0xc0,
    EECS = 0x08,
    EESK = 0x04,
    EEDI = 0x02,
    EEDO = 0x01,

    TPPOLL_HPQ = 0x80,
    TPPOLL_NPQ = 0x40,
    TPPOLL_FSWINT = 0x01,
    DTCCR_DUMP = 0x08,

    BMCR_RESET = 0x8000,
    BMCR_RESTART = 0x0200,
    BMCR_DEFAULT = 0x1000,
    BMSR_ABILITIES = 0x7809,
    BMSR_AN_DONE = 0x0020,
    BMSR_LINK = 0x0004,
    ANAR_DEFAULT = 0x05e1,
    MSR_LINKB = 0x04,
    CAPR_OFFSET = 16,
};

#define PCI_CLOCK_HZ 33000000u
/* TCR: the part's version, and what can be written. */
#define TCR_VERSION  0x74800000u
#define TCR_WRITABLE 0x030f07f0u
#define RCR_WRITABLE 0x0f03ffbfu

static void load_mac(struct rtl8139 *s);
static void soft_reset(struct rtl8139 *s);

/* ---- interrupts and timer ---- */

void rtl8139_update_irq(struct rtl8139 *s)
{
    pci_set_irq(&s->pci, (s->isr & s->imr) != 0);
}

void rtl8139_raise(struct rtl8139 *s, uint16_t isr_bits)
{
    s->isr |= isr_bits;
    rtl8139_update_irq(s);
}

static uint64_t tctr_ticks(struct rtl8139 *s)
{
    return clock_ticks(clock_now_ns(s->timeout.clock) - s->tctr_base_ns, PCI_CLOCK_HZ);
}

static void set_timeout(struct rtl8139 *s)
{
    if (!s->timer_int) {
        timer_del(&s->timeout);
        return;
    }
    uint64_t now = tctr_ticks(s), at = (now & ~0xffffffffull) | s->timer_int;
    if (at <= now)
        at += 1ull << 32;
    timer_mod(&s->timeout, s->tctr_base_ns + clock_ticks_to_ns(at, PCI_CLOCK_HZ));
}

static void timeout_expired(void *opaque)
{
    struct rtl8139 *s = opaque;
    rtl8139_raise(s, RTL_ISR_TIMEOUT);
    set_timeout(s);
}

/* ---- EEPROM: 93C46, 64 words of 16 bits ---- */

static void eeprom_command(struct rtl8139 *s)
{
    unsigned op = s->ee_shift >> 6 & 3, addr = s->ee_shift & 0x3f;
    s->ee_out_bit = false; /* the dummy bit before data, or busy */
    if (op == 2)
        s->ee_out = s->eeprom[addr];
    else if (op == 0 && addr >> 4 == 3)
        s->ee_writable = true;
    else if (op == 0 && addr >> 4 == 0)
        s->ee_writable = false;
    else if (op == 3 && s->ee_writable)
        s->eeprom[addr] = 0xffff;
    else if (op == 0 && addr >> 4 == 2 && s->ee_writable)
        memset(s->eeprom, 0xff, sizeof s->eeprom);
}

/* All 16 bits of data have come for the write commands. */
static void eeprom_data(struct rtl8139 *s)
{
    unsigned op = s->ee_shift >> 22 & 3, addr = s->ee_shift >> 16 & 0x3f;
    uint16_t word = (uint16_t)s->ee_shift;
    if (!s->ee_writable)
        return;
    if (op == 1)
        s->eeprom[addr] = word;
    for (unsigned i = 0; op == 0 && addr >> 4 == 1 && i < RTL_EEPROM_WORDS; i++)
        s->eeprom[i] = word;
}

/* A rising edge of SK with CS high. Start bit, 2 bits of operation, 6 of address, then 16 of data
 * in either direction. */
static void eeprom_clock(struct rtl8139 *s, bool in)
{
    enum { COMMAND_BITS = 9, ALL_BITS = 25 };
    if (s->ee_bits == 0 && !in)
        return;
    if (s->ee_bits >= COMMAND_BITS) {
        s->ee_out_bit = s->ee_out >> 15;
        s->ee_out = (uint16_t)(s->ee_out << 1);
    }
    if (s->ee_bits == ALL_BITS)
        return;
    s->ee_shift = s->ee_shift << 1 | in;
    s->ee_bits++;
    if (s->ee_bits == COMMAND_BITS)
        eeprom_command(s);
    else if (s->ee_bits == ALL_BITS)
        eeprom_data(s);
}

static void eeprom_pins(struct rtl8139 *s, uint8_t old, uint8_t pins)
{
    if (!(pins & EECS) || !(old & EECS)) {
        s->ee_bits = 0;
        s->ee_shift = 0;
        s->ee_out = 0;
        s->ee_out_bit = true; /* ready */
    }
    if ((pins & EECS) && (pins & EESK) && !(old & EESK))
        eeprom_clock(s, (pins & EEDI) != 0);
}

static void write_cr9346(struct rtl8139 *s, uint8_t v)
{
    uint8_t old = s->cr9346;
    s->cr9346 = v & 0xce;
    if ((v & CR9346_MODE) == CR9346_PROGRAM) {
        eeprom_pins(s, (old & CR9346_MODE) == CR9346_PROGRAM ? old : 0, v);
    } else if ((v & CR9346_MODE) == CR9346_AUTOLOAD) {
        load_mac(s);
        s->cr9346 = 0; /* done */
    }
}

static uint8_t read_cr9346(const struct rtl8139 *s)
{
    bool out = (s->cr9346 & CR9346_MODE) == CR9346_PROGRAM && s->ee_out_bit;
    return (uint8_t)(s->cr9346 | (out ? EEDO : 0));
}

static bool unlocked(const struct rtl8139 *s)
{
    return (s->cr9346 & CR9346_MODE) == CR9346_UNLOCK;
}

static void load_mac(struct rtl8139 *s)
{
    for (int i = 0; i < ETH_ADDR_LEN; i++)
        s->idr[i] = (uint8_t)(s->eeprom[7 + i / 2] >> (8 * (i & 1)));
    nic_set_mac(s->nic, s->idr);
}

/* ---- PHY ---- */

static uint16_t read_bmsr(struct rtl8139 *s)
{
    bool up = s->link && !s->link_was_lost;
    s->link_was_lost = false;
    return (uint16_t)(BMSR_ABILITIES | (up ? BMSR_AN_DONE | BMSR_LINK : 0));
}

static void write_bmcr(struct rtl8139 *s, uint16_t v)
{
    uint16_t keep = unlocked(s) ? 0 : 0x3100; /* speed, autonegotiation, duplex */
    if (v & BMCR_RESET)
        v = BMCR_DEFAULT;
    s->bmcr = (uint16_t)((s->bmcr & keep) | (v & 0x3100 & ~keep));
}

static void rtl8139_link_changed(struct net_client *nc)
{
    struct rtl8139 *s = (struct rtl8139 *)((struct nic *)nc)->device;
    bool up = net_link_up(nc);
    if (up == s->link)
        return;
    s->link = up;
    s->link_was_lost |= !up;
    if (s->nic)
        rtl8139_raise(s, RTL_ISR_LINK);
}

/* ---- reading ---- */

static const struct {
    uint8_t at, size;
} registers[] = {
    { RBSTART, 4 }, { ERBCR, 2 },         { ERSR, 1 },     { CR, 1 },
    { CAPR, 2 },    { CBR, 2 },           { IMR, 2 },      { ISR, 2 },
    { TCR, 4 },     { RCR, 4 },           { TCTR, 4 },     { MPC, 4 },
    { CR9346, 1 },  { CONFIG0, 1 },       { CONFIG1, 1 },  { TIMER_INT, 4 },
    { MSR, 1 },     { CONFIG3, 1 },       { CONFIG4, 1 },  { HLTCLK, 1 },
    { MULINT, 2 },  { RERID, 1 },         { TSAD, 2 },     { BMCR, 2 },
    { BMSR, 2 },    { ANAR, 2 },          { ANLPAR, 2 },   { ANER, 2 },
    { FCSC, 2 },    { CSCR, 2 },          { CONFIG5, 1 },  { TPPOLL, 1 },
    { CPCR, 2 },    { INTR_MITIGATE, 2 }, { RDSAR_LO, 4 }, { RDSAR_HI, 4 },
    { MTPS, 1 },
};

/* The register that byte @at belongs to; unknown bytes are registers of their own. */
static unsigned find_register(unsigned at, unsigned *size)
{
    *size = at >= TSD0 && at < RBSTART ? 4 : 1;
    if (at < RBSTART)
        return at & ~(*size - 1);
    for (size_t i = 0; i < sizeof registers / sizeof registers[0]; i++)
        if (at - registers[i].at < registers[i].size) {
            *size = registers[i].size;
            return registers[i].at;
        }
    return at;
}

/* Transmit status of all descriptors: TOK in bits 15-12, TUN 11-8, TABT 7-4, OWN 3-0. */
static uint32_t read_tsad(const struct rtl8139 *s)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        v |= s->tsd[i] & RTL_TSD_TOK ? 0x1000u << i : 0;
        v |= s->tsd[i] & RTL_TSD_TUN ? 0x0100u << i : 0;
        v |= s->tsd[i] & RTL_TSD_OWN ? 0x0001u << i : 0;
    }
    return v;
}

static uint32_t read_register(struct rtl8139 *s, unsigned reg)
{
    if (reg < IDR0 + 6)
        return s->idr[reg];
    if (reg >= MAR0 && reg < MAR0 + 8)
        return s->mar[reg - MAR0];
    if (reg >= TSD0 && reg <= TSD3)
        return s->tsd[(reg - TSD0) / 4];
    if (reg >= TSAD0 && reg < RBSTART)
        return s->tsad[(reg - TSAD0) / 4];
    switch (reg) {
    case RBSTART: return s->rbstart;
    case CR: return s->cr | (s->rx_read == s->rx_write ? RTL_CR_BUFE : 0);
    case CAPR: return (uint16_t)(s->rx_read - CAPR_OFFSET);
    case CBR: return s->rx_write;
    case IMR: return s->imr;
    case ISR: return s->isr;
    case TCR: return s->tcr;
    case RCR: return s->rcr;
    case TCTR: return (uint32_t)tctr_ticks(s);
    case MPC: return s->mpc;
    case CR9346: return read_cr9346(s);
    case CONFIG0: return s->config0;
    case CONFIG1: return s->config1;
    case TIMER_INT: return s->timer_int;
    case MSR: return 0xd0 | (s->link ? 0 : MSR_LINKB);
    case CONFIG3: return s->config3;
    case CONFIG4: return s->config4;
    case HLTCLK: return !s->halted;
    case MULINT: return s->mulint;
    case RERID: return 0x20;
    case TSAD: return read_tsad(s);
    case BMCR: return s->bmcr;
    case BMSR: return read_bmsr(s);
    case ANAR: return s->anar;
    case ANLPAR: return s->link ? ANAR_DEFAULT : 0;
    case ANER: return s->link ? 1 : 0;
    case FCSC: return s->fcsc;
    case CSCR: return 0x0340; /* LD, heart beat, 100 Mbit/s */
    case CONFIG5: return s->config5;
    case CPCR: return s->cpcr;
    case INTR_MITIGATE: return s->intr_mitigate;
    case RDSAR_LO: return s->rdsar[0];
    case RDSAR_HI: return s->rdsar[1];
    case MTPS: return s->mtps;
    default: return 0;
    }
}

static uint64_t rtl8139_read(void *opaque, uint64_t offset, unsigned size)
{
    struct rtl8139 *s = opaque;
    uint64_t v = 0;
    if (s->busy)
        return UINT64_MAX;
    for (unsigned at = (unsigned)offset, end = at + size; at < end && at < REGISTERS_SIZE;) {
        unsigned reg_size, reg = find_register(at, &reg_size);
        uint64_t r = (uint64_t)read_register(s, reg) >> (8 * (at - reg));
        v |= r << (8 * (at - offset));
        at = reg + reg_size;
    }
    return v;
}

/* ---- writing ---- */

static void make_room(struct rtl8139 *s)
{
    net_accept(&s->nic->nc);
}

static void write_cr(struct rtl8139 *s, uint8_t v)
{
    if (v & RTL_CR_RST) {
        soft_reset(s);
        return;
    }
    uint8_t rising = v & ~s->cr;
    s->cr = v & (RTL_CR_TE | RTL_CR_RE);
    if (rising & RTL_CR_TE) {
        s->tx_next = 0;
        s->cp_tx[0] = s->cp_tx[1] = 0;
    }
    if (rising & RTL_CR_RE) {
        s->cp_rx = 0;
        s->rx_read = s->rx_write = 0;
    }
    make_room(s);
}

static void write_tsd(struct rtl8139 *s, unsigned n, uint32_t v)
{
    if (rtl8139_cp_tx(s)) { /* DTCCR */
        s->tsd[n] = v;
        if (n == 0 && (v & DTCCR_DUMP)) {
            rtl8139_dump_tally(s, (v & ~0x3full) | (uint64_t)s->tsd[1] << 32);
            s->tsd[0] &= ~(uint32_t)DTCCR_DUMP;
        }
        return;
    }
    s->tsd[n] = v & 0x003f3fff;
    rtl8139_transmit(s);
}

static void write_tsad(struct rtl8139 *s, unsigned n, uint32_t v)
{
    s->tsad[n] = v;
    if (rtl8139_cp_tx(s))
        s->cp_tx[n / 2] = 0;
}

static void write_rcr(struct rtl8139 *s, uint32_t v)
{
    uint32_t size = rtl8139_ring_size(s);
    s->rcr = v & RCR_WRITABLE;
    if (rtl8139_ring_size(s) != size)
        s->rx_read = s->rx_write = 0;
    make_room(s);
}

static void write_tppoll(struct rtl8139 *s, uint8_t v)
{
    if (v & TPPOLL_FSWINT)
        rtl8139_raise(s, RTL_ISR_SW);
    if (v & TPPOLL_HPQ)
        rtl8139_cp_transmit(s, 1);
    if (v & TPPOLL_NPQ)
        rtl8139_cp_transmit(s, 0);
}

static void write_config(struct rtl8139 *s, uint8_t *reg, uint8_t v, uint8_t writable)
{
    if (unlocked(s))
        *reg = (uint8_t)((*reg & ~writable) | (v & writable));
}

/* @mask: the bits that the access covers; the others of @v are what the register held. */
static void write_register(struct rtl8139 *s, unsigned reg, uint32_t v, uint32_t mask)
{
    if (reg < IDR0 + 6) {
        s->idr[reg] = (uint8_t)v;
        nic_set_mac(s->nic, s->idr);
        return;
    }
    if (reg >= MAR0 && reg < MAR0 + 8) {
        s->mar[reg - MAR0] = (uint8_t)v;
        return;
    }
    if (reg >= TSD0 && reg <= TSD3) {
        write_tsd(s, (reg - TSD0) / 4, v);
        return;
    }
    if (reg >= TSAD0 && reg < RBSTART) {
        write_tsad(s, (reg - TSAD0) / 4, v);
        return;
    }
    switch (reg) {
    case RBSTART:
        s->rbstart = v;
        s->rx_read = s->rx_write = 0;
        break;
    case CR: write_cr(s, (uint8_t)v); break;
    case CAPR:
        s->rx_read = (uint16_t)((v + CAPR_OFFSET) % rtl8139_ring_size(s));
        make_room(s);
        break;
    case IMR:
        s->imr = v & 0xe1ff;
        rtl8139_update_irq(s);
        make_room(s);
        break;
    case ISR:
        s->isr &= (uint16_t) ~(v & mask);
        rtl8139_update_irq(s);
        make_room(s);
        if (v & mask & RTL_ISR_ROK)
            rtl8139_rok_cleared(s);
        break;
    case TCR:
        if (s->cr & RTL_CR_TE)
            s->tcr = TCR_VERSION | (v & TCR_WRITABLE);
        break;
    case RCR: write_rcr(s, v); break;
    case TCTR:
        s->tctr_base_ns = clock_now_ns(s->timeout.clock);
        set_timeout(s);
        break;
    case MPC: s->mpc = 0; break;
    case CR9346: write_cr9346(s, (uint8_t)v); break;
    case CONFIG0: write_config(s, &s->config0, (uint8_t)v, 0x07); break;
    case CONFIG1: write_config(s, &s->config1, (uint8_t)v, 0xf3); break;
    case TIMER_INT:
        s->timer_int = v;
        set_timeout(s);
        break;
    case CONFIG3: write_config(s, &s->config3, (uint8_t)v, 0x70); break;
    case CONFIG4: write_config(s, &s->config4, (uint8_t)v, 0xf5); break;
    case HLTCLK:
        if (v == 'R' || v == 'H')
            s->halted = v == 'H';
        break;
    case MULINT: s->mulint = v & 0x0fff; break;
    case BMCR: write_bmcr(s, (uint16_t)v); break;
    case ANAR: s->anar = (uint16_t)v; break;
    case CONFIG5: s->config5 = v & 0x7f; break;
    case TPPOLL: write_tppoll(s, (uint8_t)v); break;
    case CPCR:
        s->cpcr = v & 0x007b;
        make_room(s);
        break;
    case INTR_MITIGATE: s->intr_mitigate = (uint16_t)v; break;
    case RDSAR_LO:
        s->rdsar[0] = v;
        s->cp_rx = 0;
        break;
    case RDSAR_HI: s->rdsar[1] = v; break;
    case MTPS: s->mtps = v & 0x3f; break;
    default: break;
    }
}

static void rtl8139_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct rtl8139 *s = opaque;
    if (s->busy) {
        log_mask(LOG_GUEST_ERRORS, "rtl8139: DMA to its own register 0x%02x",
                 (unsigned)offset & 0xff);
        return;
    }
    for (unsigned at = (unsigned)offset, end = at + size; at < end && at < REGISTERS_SIZE;) {
        unsigned reg_size, reg = find_register(at, &reg_size), stop = reg + reg_size;
        if (stop > end)
            stop = end;
        uint32_t mask = (uint32_t)(((1ull << (8 * (stop - at))) - 1) << (8 * (at - reg)));
        uint32_t v = (uint32_t)((value >> (8 * (at - offset))) << (8 * (at - reg))) & mask;
        bool partial = stop - at < reg_size;
        if (partial)
            v |= read_register(s, reg) & ~mask;
        write_register(s, reg, v, mask);
        at = reg + reg_size;
    }
}

static const struct mem_ops rtl8139_ops = { rtl8139_read, rtl8139_write, 1, 4 };

/* ---- life ---- */

/* What CR.RST and hardware reset have in common: all but the addresses. */
static void soft_reset(struct rtl8139 *s)
{
    s->cr = 0;
    s->imr = s->isr = s->mulint = s->cpcr = 0;
    for (int i = 0; i < 4; i++) {
        s->tsd[i] = RTL_TSD_OWN;
        s->tsad[i] = 0;
    }
    s->rbstart = s->rdsar[0] = s->rdsar[1] = s->mpc = s->timer_int = 0;
    s->rcr = 0;
    s->tcr = TCR_VERSION;
    s->rx_read = s->rx_write = 0;
    s->tx_next = s->cp_rx = s->cp_tx[0] = s->cp_tx[1] = 0;
    s->config0 = 0;
    s->config1 = 0x0c; /* registers in I/O and memory */
    s->config3 = 0x01; /* fast back-to-back */
    s->config4 = s->config5 = 0;
    s->cr9346 = 0;
    s->bmcr = BMCR_DEFAULT;
    s->anar = ANAR_DEFAULT;
    s->halted = s->link_was_lost = false;
    s->tally = (struct rtl8139_tally){ 0 };
    timer_del(&s->timeout);
    timer_del(&s->rx_poll);
    s->reraised_at = UINT32_MAX;
    s->tctr_base_ns = clock_now_ns(s->timeout.clock);
    rtl8139_update_irq(s);
    net_purge(&s->nic->nc);
}

static void fill_eeprom(struct rtl8139 *s)
{
    const struct pci_class_info *info = s->pci.dev.cls->class_data;
    s->eeprom[0] = 0x8129;
    s->eeprom[1] = info->vendor_id;
    s->eeprom[2] = info->device_id;
    for (int i = 0; i < 3; i++)
        s->eeprom[7 + i] = (uint16_t)(s->nic->mac[2 * i] | s->nic->mac[2 * i + 1] << 8);
}

static bool rtl8139_realize(struct device *d, struct error *err)
{
    static const struct net_client_ops ops = {
        .type = "nic",
        .nic = true,
        .receive = rtl8139_receive,
        .writable = rtl8139_writable,
        .link_changed = rtl8139_link_changed,
    };
    struct rtl8139 *s = (struct rtl8139 *)d;
    if (!pci_device_init(&s->pci, err))
        return false;
    /* As on the part: the pointer is there, but no flag in the status register says so. */
    s->pci.config[PCI_CAPABILITY_LIST] = 0xdc;
    mem_region_init_io(&s->io, "rtl8139 ports", REGISTERS_SIZE, &rtl8139_ops, s);
    mem_region_init_io(&s->mmio, "rtl8139", REGISTERS_SIZE, &rtl8139_ops, s);
    pci_register_bar(&s->pci, 0, PCI_BAR_IO, &s->io);
    pci_register_bar(&s->pci, 1, PCI_BAR_MEM32, &s->mmio);
    timer_init(&s->timeout, &d->machine->clock, timeout_expired, s);
    timer_init(&s->rx_poll, &d->machine->clock, rtl8139_look_again, s);
    s->nic = nic_new(d, &ops, &s->conf, "rtl8139", err);
    if (!s->nic) {
        pci_device_exit(&s->pci);
        return false;
    }
    s->link = net_link_up(&s->nic->nc);
    fill_eeprom(s);
    return true;
}

static void rtl8139_unrealize(struct device *d)
{
    struct rtl8139 *s = (struct rtl8139 *)d;
    timer_del(&s->timeout);
    timer_del(&s->rx_poll);
    nic_free(s->nic);
    s->nic = NULL;
    pci_device_exit(&s->pci);
}

static void rtl8139_reset(struct device *d)
{
    struct rtl8139 *s = (struct rtl8139 *)d;
    load_mac(s);
    soft_reset(s);
}

static void rtl8139_post_load(struct device *d)
{
    struct rtl8139 *s = (struct rtl8139 *)d;
    int64_t now = clock_now_ns(s->timeout.clock);
    if (s->tctr_base_ns < 0 || s->tctr_base_ns > now)
        s->tctr_base_ns = now;
    pci_device_post_load(&s->pci);
    s->tx_next &= 3;
    s->cp_tx[0] &= 63;
    s->cp_tx[1] &= 63;
    s->cp_rx &= 63;
    s->rx_read = (uint16_t)(s->rx_read % rtl8139_ring_size(s));
    s->rx_write = (uint16_t)(s->rx_write % rtl8139_ring_size(s));
    nic_set_mac(s->nic, s->idr);
    s->link = net_link_up(&s->nic->nc);
    rtl8139_update_irq(s);
    rtl8139_writable(&s->nic->nc);
    make_room(s);
}

#define T struct rtl8139
static const struct field rtl8139_fields[] = {
    PCI_DEVICE_FIELDS,
    FIELD_BYTES(T, idr),
    FIELD_BYTES(T, mar),
    FIELD_U8(T, cr, 0),
    FIELD_U8(T, cr9346, 0),
    FIELD_U8(T, config0, 0),
    FIELD_U8(T, config1, 0),
    FIELD_U8(T, config3, 0),
    FIELD_U8(T, config4, 0),
    FIELD_U8(T, config5, 0),
    FIELD_U8(T, mtps, 0),
    FIELD_U32(T, tsd, 0),
    FIELD_U32(T, tsad, 0),
    FIELD_U32(T, rbstart, 0),
    FIELD_U32(T, tcr, 0),
    FIELD_U32(T, rcr, 0),
    FIELD_U32(T, mpc, 0),
    FIELD_U32(T, timer_int, 0),
    FIELD_U32(T, rdsar, 0),
    FIELD_U16(T, imr, 0),
    FIELD_U16(T, isr, 0),
    FIELD_U16(T, mulint, 0),
    FIELD_U16(T, bmcr, 0),
    FIELD_U16(T, anar, 0),
    FIELD_U16(T, cpcr, 0),
    FIELD_U16(T, fcsc, 0),
    FIELD_U16(T, intr_mitigate, 0),
    FIELD_U16(T, rx_read, 0),
    FIELD_U16(T, rx_write, 0),
    FIELD_U8(T, tx_next, 0),
    FIELD_U8(T, cp_tx, 0),
    FIELD_U8(T, cp_rx, 0),
    FIELD_BOOL(T, halted, 0),
    FIELD_BOOL(T, link_was_lost, 0),
    FIELD_I64(T, tctr_base_ns, 0),
    FIELD_TIMER(T, timeout),
    FIELD_TIMER(T, rx_poll),
    FIELD_U32(T, reraised_at, UINT32_MAX),
    FIELD_U64(T, tally.tx_ok, 0),
    FIELD_U64(T, tally.rx_ok, 0),
    FIELD_U64(T, tally.tx_err, 0),
    FIELD_U32(T, tally.rx_err, 0),
    FIELD_U16(T, tally.miss, 0),
    FIELD_U64(T, tally.rx_phys, 0),
    FIELD_U64(T, tally.rx_broadcast, 0),
    FIELD_U32(T, tally.rx_multicast, 0),
    { "eeprom", FIELD_U16, FIELD_NORESET, offsetof(T, eeprom), RTL_EEPROM_WORDS, 0 },
    FIELD_U32(T, ee_shift, 0),
    FIELD_U16(T, ee_out, 0),
    FIELD_U8(T, ee_bits, 0),
    FIELD_BOOL(T, ee_writable, 0),
    FIELD_BOOL(T, ee_out_bit, 0),
    FIELD_END,
};
#undef T

static const struct prop rtl8139_props[] = {
    PCI_DEVICE_PROPS,
    NIC_PROPS(struct rtl8139, conf),
    PROP_END,
};

static const struct pci_class_info rtl8139_info = {
    .vendor_id = 0x10ec,
    .device_id = 0x8139,
    .revision = 0x20,
    .class_id = 0x0200,
    .has_intx = true,
    .romfile = "pxe-rtl8139.rom",
};

const struct device_class rtl8139_class = {
    .name = "rtl8139",
    .desc = "Realtek RTL8139C+",
    .size = sizeof(struct rtl8139),
    .bus = "PCI",
    .fields = rtl8139_fields,
    .props = rtl8139_props,
    .realize = rtl8139_realize,
    .unrealize = rtl8139_unrealize,
    .reset = rtl8139_reset,
    .post_load = rtl8139_post_load,
    .class_data = &rtl8139_info,
};
