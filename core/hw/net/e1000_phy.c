/*
 * The e1000's EEPROM, PHY and link.
 *
 * EEPROM: 64 words, read through EERD or bit by bit through EECD, where it is a 93C46 on a
 * Microwire bus: with CS high, a start bit, two bits of opcode and six of address are clocked in on
 * rising edges of SK; a read then gives one bit an edge, highest first. Words 0-2 are the MAC
 * address, and all words add up to 0xbaba. The other words are those that QEMU's card has.
 *
 * PHY: an M88E1000 at MDIO address 1. What matters is the link: it is up if the net's link is and
 * no autonegotiation is under way. Restarting that (MII control register) takes the link away for
 * AUTONEG_NS; the end of it, and each change of the net's link, sets ICR.LSC.
 */
#include <string.h>

#include "hw/net/e1000_int.h"
#include "machine.h"

#define AUTONEG_NS 500000000ll

enum {
    EECD_SK = 1,
    EECD_CS = 2,
    EECD_DI = 4,
    EECD_DO = 8,
    EECD_FWE = 0x30,
    EECD_REQ = 0x40,
    EECD_GNT = 0x80,
    EECD_PRES = 0x100,

    EERD_START = 1,
    EERD_DONE = 0x10,

    EE_COMMAND_BITS = 8, /* opcode and address, after the start bit */
    EE_WRITE_BITS = EE_COMMAND_BITS + 16,
    EE_CHECKSUM = 0x3f,
    EE_SUM = 0xbaba,

    MDIC_WRITE = 1,
    MDIC_READ = 2,
    MDIC_READY = 1 << 28,
    MDIC_INTERRUPT = 1 << 29,
    MDIC_ERROR = 1 << 30,
    PHY_ADDRESS = 1,

    MII_STATUS = 1,
    MII_PARTNER = 5,
    MII_RESET = 0x8000,
    MII_AUTONEG = 0x1000,
    MII_RESTART = 0x0200,
    MII_STATUS_LINK = 4,
    MII_STATUS_AN_DONE = 0x20,
    MII_PARTNER_ACK = 0x4000,
    M88_STATUS = 17,
    M88_STATUS_LINK = 0x0400,
};

/* ---- EEPROM ---- */

static const uint16_t eeprom_default[E1000_EEPROM_WORDS] = {
    0,      0,      0,      0x0000, 0xffff, 0x0000, 0x0000, 0x0000, 0x3000, 0x1000, 0x6403,
    0,      0x8086, 0,      0x8086, 0x3040, 0x0008, 0x2000, 0x7e14, 0x0048, 0x1000, 0x00d8,
    0x0000, 0x2700, 0x6cc9, 0x3150, 0x0722, 0x040b, 0x0984, 0x0000, 0xc000, 0x0706, 0x1008,
    0x0000, 0x0f04, 0x7fff, 0x4d01, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff,
    0xffff, 0xffff, 0xffff, 0xffff, 0x0100, 0x4000, 0x121c, 0xffff, 0xffff, 0xffff, 0xffff,
    0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0x0000
};

static void fill_eeprom(struct e1000 *s)
{
    const struct e1000_class *c = s->pci.dev.cls->class_data;
    uint16_t *w = s->eeprom.word, sum = 0;
    memcpy(w, eeprom_default, sizeof eeprom_default);
    for (int i = 0; i < 3; i++)
        w[i] = pci_get16(s->conf.mac + 2 * i);
    w[11] = w[13] = c->pci.device_id;
    for (int i = 0; i < EE_CHECKSUM; i++)
        sum = (uint16_t)(sum + w[i]);
    w[EE_CHECKSUM] = (uint16_t)(EE_SUM - sum);
}

/* The last bit of a command (or of the data of a write) came in. */
static void eeprom_execute(struct e1000_eeprom *e)
{
    bool has_data = e->count == EE_WRITE_BITS;
    uint32_t command = has_data ? e->in >> 16 : e->in;
    unsigned op = command >> 6 & 3, address = command & (E1000_EEPROM_WORDS - 1);
    switch (op) {
    case 2:
        if (!e->reading) {
            e->reading = true;
            e->out = e->word[address];
            e->data_out = false; /* the leading 0 */
        }
        break;
    case 1:
        if (has_data && e->write_enabled)
            e->word[address] = (uint16_t)e->in;
        break;
    case 3:
        if (e->write_enabled)
            e->word[address] = 0xffff;
        break;
    default: /* 11xxxx: enable writing, 00xxxx: disable */
        if (address >> 4 == 3)
            e->write_enabled = true;
        else if (address >> 4 == 0)
            e->write_enabled = false;
        break;
    }
}

static void eeprom_clock(struct e1000_eeprom *e, bool in)
{
    if (e->reading) {
        e->data_out = e->out >> 15;
        e->out = (uint16_t)(e->out << 1);
        return;
    }
    if (!e->started) {
        e->started = in;
        return;
    }
    if (e->count == EE_WRITE_BITS)
        return;
    e->in = e->in << 1 | in;
    e->count++;
    if (e->count == EE_COMMAND_BITS || e->count == EE_WRITE_BITS)
        eeprom_execute(e);
}

uint32_t e1000_eecd_read(const struct e1000 *s)
{
    return (e1000_get(s, EECD) & (EECD_SK | EECD_CS | EECD_DI | EECD_FWE | EECD_REQ)) | EECD_GNT |
           EECD_PRES | (s->eeprom.data_out ? EECD_DO : 0);
}

void e1000_eecd_write(struct e1000 *s, uint32_t v)
{
    struct e1000_eeprom *e = &s->eeprom;
    uint32_t old = e1000_get(s, EECD);
    *e1000_reg(s, EECD) = v & (EECD_SK | EECD_CS | EECD_DI | EECD_FWE | EECD_REQ);
    if (!(v & EECD_CS)) {
        e->started = e->reading = false;
        e->in = e->count = 0;
        e->data_out = true; /* not busy */
    } else if (old & EECD_CS && v & EECD_SK && !(old & EECD_SK)) {
        eeprom_clock(e, v & EECD_DI);
    }
}

uint32_t e1000_eerd_read(const struct e1000 *s)
{
    uint32_t v = e1000_get(s, EERD) & ~(uint32_t)EERD_START, word = v >> 8 & 0xff;
    if (!(e1000_get(s, EERD) & EERD_START))
        return v;
    v |= EERD_DONE;
    if (word < E1000_EEPROM_WORDS)
        v |= (uint32_t)s->eeprom.word[word] << 16;
    return v;
}

/* ---- link ---- */

/* What registers say about it. */
static void set_link(struct e1000 *s, bool up)
{
    if (up) {
        *e1000_reg(s, STATUS) |= STATUS_LU;
        s->phy[MII_STATUS] |= MII_STATUS_LINK;
        s->phy[M88_STATUS] |= M88_STATUS_LINK;
    } else {
        *e1000_reg(s, STATUS) &= ~(uint32_t)STATUS_LU;
        s->phy[MII_STATUS] &= (uint16_t) ~(MII_STATUS_LINK | MII_STATUS_AN_DONE);
        s->phy[MII_PARTNER] &= (uint16_t)~MII_PARTNER_ACK;
        s->phy[M88_STATUS] &= (uint16_t)~M88_STATUS_LINK;
    }
}

static void autoneg_done(void *opaque)
{
    struct e1000 *s = opaque;
    if (!net_link_up(&s->nic->nc))
        return;
    set_link(s, true);
    s->phy[MII_STATUS] |= MII_STATUS_AN_DONE;
    s->phy[MII_PARTNER] |= MII_PARTNER_ACK;
    e1000_set_cause(s, ICR_LSC);
    e1000_rx_room(s);
}

static void restart_autoneg(struct e1000 *s)
{
    set_link(s, false);
    timer_mod(&s->link_timer, clock_now_ns(&s->pci.dev.machine->clock) + AUTONEG_NS);
}

void e1000_link_changed(struct net_client *nc)
{
    struct e1000 *s = (struct e1000 *)((struct nic *)nc)->device;
    if (!s->nic)
        return; /* it is only being made */
    bool was = e1000_link_is_up(s);
    if (!net_link_up(nc)) {
        timer_del(&s->link_timer);
        set_link(s, false);
    } else if (!was && !timer_pending(&s->link_timer)) {
        if (s->phy[MII_CTRL] & MII_AUTONEG)
            restart_autoneg(s);
        else
            set_link(s, true);
    }
    if (e1000_link_is_up(s) != was)
        e1000_set_cause(s, ICR_LSC);
    /* Without a link frames are dropped, so nobody has to wait for us. */
    e1000_rx_room(s);
}

/* ---- PHY ---- */

/* Registers that are there; the rest answers with an error, as QEMU's does. */
enum { PHY_R = 1, PHY_W = 2 };
static const uint8_t phy_access[E1000_PHY_REGS] = {
    [0] = PHY_R | PHY_W,                       /* control */
    [1] = PHY_R,                               /* status */
    [2] = PHY_R,                               /* identifier */
    [3] = PHY_R,          [4] = PHY_R | PHY_W, /* autonegotiation advertisement */
    [5] = PHY_R,                               /* link partner's ability */
    [6] = PHY_R,                               /* autonegotiation expansion */
    [9] = PHY_R | PHY_W,                       /* 1000BASE-T control */
    [10] = PHY_R,                              /* 1000BASE-T status */
    [16] = PHY_R | PHY_W,                      /* M88 specific control */
    [17] = PHY_R,                              /* M88 specific status */
    [18] = PHY_R | PHY_W,                      /* M88 interrupt enable */
    [20] = PHY_R | PHY_W,                      /* M88 extended specific control */
    [21] = PHY_R,                              /* M88 receive errors */
    [29] = PHY_W | PHY_R,                      /* M88 page */
    [30] = PHY_W | PHY_R,                      /* M88 register of that page */
};

void e1000_mdic_write(struct e1000 *s, uint32_t v)
{
    unsigned reg = v >> 16 & 31, phy = v >> 21 & 31, op = v >> 26 & 3;
    bool ok = phy == PHY_ADDRESS;
    v &= ~(uint32_t)MDIC_ERROR;
    if (ok && op == MDIC_READ) {
        ok = phy_access[reg] & PHY_R;
        if (ok)
            v = (v & 0xffff0000) | s->phy[reg];
    } else if (ok && op == MDIC_WRITE) {
        ok = phy_access[reg] & PHY_W;
        if (ok)
            s->phy[reg] = (uint16_t)v;
        if (ok && reg == MII_CTRL) {
            s->phy[reg] &= (uint16_t) ~(MII_RESET | MII_RESTART);
            if ((v & (MII_AUTONEG | MII_RESTART)) == (MII_AUTONEG | MII_RESTART))
                restart_autoneg(s);
        }
    }
    *e1000_reg(s, MDIC) = v | MDIC_READY | (ok ? 0 : MDIC_ERROR);
    if (v & MDIC_INTERRUPT)
        e1000_set_cause(s, ICR_MDAC);
}

void e1000_phy_init(struct e1000 *s)
{
    fill_eeprom(s);
    timer_init(&s->link_timer, &s->pci.dev.machine->clock, autoneg_done, s);
}

void e1000_phy_reset(struct e1000 *s)
{
    static const uint16_t defaults[E1000_PHY_REGS] = {
        [0] = 0x1140, [1] = 0x794d,  [2] = 0x0141,  [4] = 0x0de1,  [5] = 0x01e0,
        [9] = 0x0e00, [10] = 0x3c00, [16] = 0x0360, [17] = 0xac00, [20] = 0x0d60,
    };
    const struct e1000_class *c = s->pci.dev.cls->class_data;
    memcpy(s->phy, defaults, sizeof s->phy);
    s->phy[3] = c->phy_id2;
    s->eeprom.data_out = true;
    set_link(s, net_link_up(&s->nic->nc));
}
