/*
 * The Intel 82540EM gigabit Ethernet controller, QEMU's "e1000", and two relatives.
 *
 * BAR 0 is 128 KB of registers; reg[] has them all, at their offset, and the table below says which
 * bits of which can be written. The ones with a life of their own are in read_reg() and
 * write_reg(). BAR 1 is a window on the same registers: an address and a data port (SDM 13.2.4).
 *
 * Work is done in a bottom half (work()): transmitting what TDT announced and fetching frames that
 * had to wait for receive descriptors. While the card accesses memory its registers are closed, so
 * a descriptor that points at the card itself changes nothing.
 *
 * Interrupt: the line is ICR & IMS, but after a rising edge the next one waits for ITR. A guest
 * here takes longer for an interrupt than the drivers' authors thought: without a least gap each
 * acknowledgement would have its own.
 *
 * Document: SDM (see e1000_int.h), chapter 13. Values after reset and the widths of fields are
 * those of QEMU's card where the manual leaves a choice.
 */
#include <string.h>

#include "hw/net/e1000_int.h"
#include "hw/net/nics.h"
#include "log.h"
#include "machine.h"

#define ITR_UNIT_NS 256ll
#define ITR_LEAST   500 /* the gap that a guest gets if it asks for a smaller one, as in QEMU */

#define RAH_WRITABLE 0x8003ffffu /* the upper half of an entry of RA: AV, AS, address */

enum { IO_ADDR = 0, IO_DATA = 4 };

/* ---- what the parts share ---- */

void e1000_dma_read(struct e1000 *s, uint64_t addr, void *buf, size_t len)
{
    s->in_dma++;
    pci_dma_read(&s->pci, addr, buf, len);
    s->in_dma--;
}

void e1000_dma_write(struct e1000 *s, uint64_t addr, const void *buf, size_t len)
{
    s->in_dma++;
    pci_dma_write(&s->pci, addr, buf, len);
    s->in_dma--;
}

static void work(void *opaque)
{
    struct e1000 *s = opaque;
    s->work_pending = false;
    if (s->rx_held) {
        s->rx_held = false;
        net_accept(&s->nic->nc);
    }
    if (!s->tx_blocked)
        e1000_tx_run(s);
}

static void schedule_lazily(struct e1000 *s)
{
    if (!s->work_pending) {
        s->work_pending = true;
        machine_defer_lazily(s->pci.dev.machine, work, s);
    }
}

void e1000_schedule(struct e1000 *s)
{
    schedule_lazily(s);
    machine_hurry(s->pci.dev.machine);
}

/* TDT was moved. A driver in the middle of a stream isn't stopped for each frame: that costs more
 * than the frame itself. */
static void doorbell(struct e1000 *s)
{
    if (!(e1000_get(s, TCTL) & TCTL_EN) || e1000_get(s, TDT) == e1000_get(s, TDH))
        return;
    schedule_lazily(s);
    if (!s->nic->nc.streaming)
        machine_hurry(s->pci.dev.machine);
}

/* ---- interrupts ---- */

static void update_irq(struct e1000 *s)
{
    bool want = e1000_get(s, ICR) & e1000_get(s, IMS);
    if (want && !s->pci.intx_level) {
        uint32_t gap = e1000_get(s, ITR) & 0xffff;
        if (timer_pending(&s->itr_timer))
            return;
        if (gap && gap < ITR_LEAST)
            gap = ITR_LEAST;
        if (gap)
            timer_mod(&s->itr_timer, clock_now_ns(&s->pci.dev.machine->clock) + gap * ITR_UNIT_NS);
    }
    if (want != (s->pci.intx_level != 0))
        pci_set_irq(&s->pci, want);
}

static void itr_over(void *opaque)
{
    update_irq(opaque);
}

void e1000_set_cause(struct e1000 *s, uint32_t causes)
{
    *e1000_reg(s, ICR) |= causes;
    *e1000_reg(s, ICS) = e1000_get(s, ICR);
    update_irq(s);
}

/* ---- registers ---- */

/* Plain registers: ranges of offsets, in ascending order, and the bits that can be written. The
 * reserved ones stay 0: the self-test of Linux's driver looks at them (ethtool -t). Other registers
 * read as 0. */
static const struct {
    uint32_t first, last, writable;
} plain[] = {
    { CTRL_EXT, FLA, UINT32_MAX },
    { FCAL, FCAL, UINT32_MAX },
    { FCAH, FCAH, 0xffff },
    { FCT, FCT, 0xffff },
    { VET, VET, 0xffff },
    { ITR, ITR, 0xffff },
    { RCTL, RCTL, UINT32_MAX },
    { FCTTV, FCTTV, 0xffff },
    { TXCW, TXCW, 0xc000ffff },
    { TCTL, TCTL, UINT32_MAX },
    { TIPG, TIPG, 0x3fffffff },
    { AIT, AIT, 0xffff },
    { LEDCTL, LEDCTL, UINT32_MAX },
    { PBA, PBA, UINT32_MAX },
    { FCRTL, FCRTL, 0x8000fff8 },
    { FCRTH, FCRTH, 0xfff8 },
    { RDFH, RDFH, 0x1fff },
    { RDFT, RDFT, 0x1fff },
    { RDFHS, RDFHS, 0x1fff },
    { RDFTS, RDFTS, 0x1fff },
    { RDFPC, RDFPC, 0x1fff },
    { RDBAL, RDBAL, 0xfffffff0 },
    { RDBAH, RDBAH, UINT32_MAX },
    { RDLEN, RDLEN, 0xfff80 },
    { RDH, RDH, 0xffff },
    { RDT, RDT, 0xffff },
    { RDTR, RDTR, 0xffff },
    { RXDCTL, RXDCTL, UINT32_MAX },
    { RADV, RADV, 0xffff },
    { RSRPD, RSRPD, 0xfff },
    { TXDMAC, TXDMAC, UINT32_MAX },
    { TDFH, TDFH, 0x7ff },
    { TDFT, TDFT, 0x7ff },
    { TDFHS, TDFHS, 0x1fff },
    { TDFTS, TDFTS, 0x1fff },
    { TDFPC, TDFPC, 0x1fff },
    { TDBAL, TDBAL, 0xfffffff0 },
    { TDBAH, TDBAH, UINT32_MAX },
    { TDLEN, TDLEN, 0xfff80 },
    { TDH, TDH, 0xffff },
    { TDT, TDT, 0xffff },
    { TIDV, TIDV, 0xffff },
    { TXDCTL, TXDCTL, UINT32_MAX },
    { TADV, TADV, 0xffff },
    { TSPMT, TSPMT, UINT32_MAX },
    { RXCSUM, RXCSUM, 0x3ff },
    { MTA, MTA_LAST, UINT32_MAX },
    { RA, RA_LAST, UINT32_MAX },
    { VFTA, VFTA_LAST, UINT32_MAX },
    { WUC, WUC, UINT32_MAX },
    { WUFC, WUFC, UINT32_MAX },
    { WUS, WUS, UINT32_MAX },
    { MANC, MANC, 0 },
    { IPAV, IPAV, UINT32_MAX },
    { IP4AT, IP4AT + 0x18, UINT32_MAX },
    { IP6AT, IP6AT + 0xc, UINT32_MAX },
    { WUPL, WUPL, 0 },
    { WUPM, WUPM + 0x7c, UINT32_MAX },
    { FFLT, FFLT + 0x18, 0x7ff },
    { FFMT, FFMT + 0x3f8, 0xf },
    { FFVT, FFVT + 0x3f8, UINT32_MAX },
    { PBM, PBM + 0x3ffc, UINT32_MAX },
};

/* -1: no such register. */
static int64_t writable_bits(uint32_t r)
{
    unsigned low = 0, high = sizeof plain / sizeof plain[0];
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (r > plain[mid].last)
            low = mid + 1;
        else if (r < plain[mid].first)
            high = mid;
        else
            return plain[mid].writable;
    }
    return -1;
}

/* A software reset: everything but PCI configuration, EEPROM and PHY (SDM 14.9). */
static void reset_mac(struct e1000 *s)
{
    uint32_t status = e1000_get(s, STATUS) & STATUS_LU;
    memset(s->reg, 0, sizeof s->reg);
    *e1000_reg(s, CTRL) = 0x00140240;
    *e1000_reg(s, STATUS) = 0x80080781 | status;
    *e1000_reg(s, VET) = 0x8100;
    *e1000_reg(s, LEDCTL) = 0x602;
    *e1000_reg(s, PBA) = 0x00100030;
    *e1000_reg(s, MANC) = 0x00222300;
    *e1000_reg(s, RA) = s->eeprom.word[0] | (uint32_t)s->eeprom.word[1] << 16;
    *e1000_reg(s, RA + 4) = s->eeprom.word[2] | 1u << 31;
    timer_del(&s->itr_timer);
    timer_del(&s->rx_timer);
    timer_del(&s->rx_abs_timer);
    timer_del(&s->tx_timer);
    timer_del(&s->tx_abs_timer);
    s->io_addr = 0;
    e1000_tx_reset(s);
    pci_set_irq(&s->pci, 0);
    nic_set_mac(s->nic, s->conf.mac);
    /* What waits for us is received by nobody now. */
    e1000_rx_room(s);
}

static uint32_t read_reg(struct e1000 *s, uint32_t r)
{
    uint32_t v;
    if (r >= STATS_FIRST && r <= STATS_LAST)
        return e1000_stats_read(s, r);
    switch (r) {
    case CTRL:
    case CTRL_DUP: return e1000_get(s, CTRL);
    case STATUS:
    case MDIC: return e1000_get(s, r);
    case EECD: return e1000_eecd_read(s);
    case EERD: return e1000_eerd_read(s);
    case ICR:
        v = e1000_get(s, ICR);
        *e1000_reg(s, ICR) = *e1000_reg(s, ICS) = 0;
        update_irq(s);
        return v;
    case ICS:
    case IMS: return e1000_get(s, r);
    default: return writable_bits(r) < 0 ? 0 : e1000_get(s, r);
    }
}

static void write_plain(struct e1000 *s, uint32_t r, uint32_t v)
{
    int64_t bits = writable_bits(r);
    if (bits < 0) {
        log_mask(LOG_GUEST_ERRORS, "e1000: write of 0x%x to 0x%x, where there is no register", v,
                 r);
        return;
    }
    *e1000_reg(s, r) = (e1000_get(s, r) & ~(uint32_t)bits) | (v & (uint32_t)bits);
}

static void mac_written(struct e1000 *s)
{
    uint8_t mac[6];
    pci_set32(mac, e1000_get(s, RA));
    pci_set16(mac + 4, (uint16_t)e1000_get(s, RA + 4));
    nic_set_mac(s->nic, mac);
}

static void write_reg(struct e1000 *s, uint32_t r, uint32_t v)
{
    switch (r) {
    case CTRL:
    case CTRL_DUP:
        if (v & CTRL_RST)
            reset_mac(s);
        else
            *e1000_reg(s, CTRL) = v;
        break;
    case STATUS: break;
    case EECD: e1000_eecd_write(s, v); break;
    case EERD: *e1000_reg(s, EERD) = v & 0xff01; break;
    case MDIC: e1000_mdic_write(s, v); break;
    case ICR:
        *e1000_reg(s, ICR) &= ~v;
        *e1000_reg(s, ICS) = e1000_get(s, ICR);
        update_irq(s);
        break;
    case ICS: e1000_set_cause(s, v); break;
    case IMS:
        *e1000_reg(s, IMS) |= v;
        update_irq(s);
        break;
    case IMC:
        *e1000_reg(s, IMS) &= ~v;
        update_irq(s);
        break;
    case RCTL:
    case RDT:
        write_plain(s, r, v);
        e1000_rx_room(s);
        break;
    case RDTR:
        write_plain(s, r, v);
        if (v >> 31)
            e1000_rx_flush(s);
        break;
    case TCTL:
    case TDT:
        write_plain(s, r, v);
        doorbell(s);
        break;
    default:
        if (r >= RA && r <= RA_LAST && (r & 4))
            v &= RAH_WRITABLE;
        write_plain(s, r, v);
        if (r == RA + 4)
            mac_written(s);
        break;
    }
}

static uint64_t mmio_read(void *opaque, uint64_t offset, unsigned size)
{
    struct e1000 *s = opaque;
    return s->in_dma ? UINT32_MAX : read_reg(s, (uint32_t)offset & ~3u);
}

static void mmio_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct e1000 *s = opaque;
    if (s->in_dma)
        log_mask(LOG_GUEST_ERRORS, "e1000: a descriptor points at the card's own registers");
    else
        write_reg(s, (uint32_t)offset & ~3u, (uint32_t)value);
}

static const struct mem_ops mmio_ops = { mmio_read, mmio_write, 4, 4 };

/* ---- the window on ports ---- */

static uint64_t io_read(void *opaque, uint64_t offset, unsigned size)
{
    struct e1000 *s = opaque;
    switch (offset & ~3ull) {
    case IO_ADDR: return s->io_addr;
    case IO_DATA: return s->io_addr < E1000_MMIO_SIZE ? mmio_read(s, s->io_addr, 4) : 0;
    default: return 0;
    }
}

static void io_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct e1000 *s = opaque;
    if (s->in_dma)
        return;
    switch (offset & ~3ull) {
    case IO_ADDR: s->io_addr = (uint32_t)value; break;
    case IO_DATA:
        if (s->io_addr < E1000_MMIO_SIZE)
            mmio_write(s, s->io_addr, value, 4);
        break;
    default: break;
    }
}

static const struct mem_ops io_ops = { io_read, io_write, 4, 4 };

/* ---- network client ---- */

static void e1000_writable(struct net_client *nc)
{
    struct e1000 *s = (struct e1000 *)((struct nic *)nc)->device;
    s->tx_blocked = false;
    e1000_schedule(s);
}

static const struct net_client_ops e1000_net_ops = {
    .type = "nic",
    .nic = true,
    .receive = e1000_receive,
    .writable = e1000_writable,
    .link_changed = e1000_link_changed,
};

/* Bus mastering was turned on or off. */
static void config_written(struct pci_device *pci, uint8_t reg, unsigned len)
{
    struct e1000 *s = (struct e1000 *)pci;
    if (reg <= PCI_COMMAND && reg + len > PCI_COMMAND) {
        e1000_rx_room(s);
        e1000_schedule(s);
    }
}

/* ---- life ---- */

static bool e1000_realize(struct device *d, struct error *err)
{
    struct e1000 *s = (struct e1000 *)d;
    struct clock *c = &d->machine->clock;
    if (!pci_device_init(&s->pci, err))
        return false;
    s->nic = nic_new(d, &e1000_net_ops, &s->conf, d->cls->name, err);
    if (!s->nic) {
        pci_device_exit(&s->pci);
        return false;
    }
    mem_region_init_io(&s->mmio, "e1000-mmio", E1000_MMIO_SIZE, &mmio_ops, s);
    mem_region_init_io(&s->io, "e1000-io", E1000_IO_SIZE, &io_ops, s);
    pci_register_bar(&s->pci, 0, PCI_BAR_MEM32, &s->mmio);
    pci_register_bar(&s->pci, 1, PCI_BAR_IO, &s->io);
    s->pci.config_written = config_written;
    timer_init(&s->itr_timer, c, itr_over, s);
    e1000_phy_init(s);
    e1000_rx_init(s);
    e1000_tx_init(s);
    return true;
}

static void e1000_unrealize(struct device *d)
{
    struct e1000 *s = (struct e1000 *)d;
    machine_cancel_deferred(d->machine, work, s);
    nic_free(s->nic);
    pci_device_exit(&s->pci);
}

static void e1000_reset(struct device *d)
{
    struct e1000 *s = (struct e1000 *)d;
    pci_device_reset(&s->pci);
    net_purge(&s->nic->nc);
    timer_del(&s->link_timer);
    reset_mac(s);
    e1000_phy_reset(s);
}

static void e1000_post_load(struct device *d)
{
    struct e1000 *s = (struct e1000 *)d;
    struct e1000_tx *tx = &s->tx;
    const struct e1000_context *c = &tx->ctx[1];
    pci_device_post_load(&s->pci);
    /* Nothing of a saved state may index outside the buffer. */
    if (tx->len > NET_FRAME_MAX - E1000_TX_HEADROOM || tx->seg_at > tx->len ||
        (tx->tse && (!c->mss || c->mss > E1000_LONG_MAX)) ||
        (tx->tse && tx->sending && tx->len < c->hdrlen))
        e1000_tx_reset(s);
    s->tx_blocked = false;
    mac_written(s);
    e1000_link_changed(&s->nic->nc);
    s->rx_held = true;
    e1000_schedule(s);
}

#define CONTEXT_FIELDS(n)                                                                          \
    FIELD_U8(struct e1000, tx.ctx[n].ipcss, 0), FIELD_U8(struct e1000, tx.ctx[n].ipcso, 0),        \
        FIELD_U8(struct e1000, tx.ctx[n].tucss, 0), FIELD_U8(struct e1000, tx.ctx[n].tucso, 0),    \
        FIELD_U8(struct e1000, tx.ctx[n].tucmd, 0), FIELD_U8(struct e1000, tx.ctx[n].hdrlen, 0),   \
        FIELD_U16(struct e1000, tx.ctx[n].ipcse, 0), FIELD_U16(struct e1000, tx.ctx[n].tucse, 0),  \
        FIELD_U16(struct e1000, tx.ctx[n].mss, 0)

static const struct field e1000_fields[] = {
    PCI_DEVICE_FIELDS,
    FIELD_U32(struct e1000, reg, 0),
    FIELD_U32(struct e1000, io_addr, 0),
    FIELD_U16(struct e1000, phy, 0),
    { "eeprom.word", FIELD_U16, FIELD_NORESET, offsetof(struct e1000, eeprom.word),
      E1000_EEPROM_WORDS, 0 },
    FIELD_U32(struct e1000, eeprom.in, 0),
    FIELD_U16(struct e1000, eeprom.out, 0),
    FIELD_U8(struct e1000, eeprom.count, 0),
    FIELD_BOOL(struct e1000, eeprom.started, 0),
    FIELD_BOOL(struct e1000, eeprom.reading, 0),
    FIELD_BOOL(struct e1000, eeprom.write_enabled, 0),
    FIELD_BOOL(struct e1000, eeprom.data_out, 1),
    CONTEXT_FIELDS(0),
    CONTEXT_FIELDS(1),
    FIELD_BYTES(struct e1000, tx.buf),
    FIELD_BYTES(struct e1000, tx.header),
    FIELD_U32(struct e1000, tx.len, 0),
    FIELD_U32(struct e1000, tx.desc_done, 0),
    FIELD_U32(struct e1000, tx.seg_at, 0),
    FIELD_U32(struct e1000, tx.seq_done, 0),
    FIELD_U16(struct e1000, tx.segs_done, 0),
    FIELD_U16(struct e1000, tx.special, 0),
    FIELD_U8(struct e1000, tx.popts, 0),
    FIELD_U8(struct e1000, tx.css, 0),
    FIELD_U8(struct e1000, tx.cso, 0),
    FIELD_BOOL(struct e1000, tx.started, 0),
    FIELD_BOOL(struct e1000, tx.tse, 0),
    FIELD_BOOL(struct e1000, tx.vle, 0),
    FIELD_BOOL(struct e1000, tx.ic, 0),
    FIELD_BOOL(struct e1000, tx.bad, 0),
    FIELD_BOOL(struct e1000, tx.sending, 0),
    FIELD_BOOL(struct e1000, tx.last, 0),
    FIELD_BOOL(struct e1000, tx.csum, 0),
    FIELD_U8(struct e1000, tx.gso, 0),
    FIELD_TIMER(struct e1000, link_timer),
    FIELD_TIMER(struct e1000, itr_timer),
    FIELD_TIMER(struct e1000, rx_timer),
    FIELD_TIMER(struct e1000, rx_abs_timer),
    FIELD_TIMER(struct e1000, tx_timer),
    FIELD_TIMER(struct e1000, tx_abs_timer),
    FIELD_END,
};

static const struct prop e1000_props[] = {
    NIC_PROPS(struct e1000, conf),
    PCI_DEVICE_PROPS,
    PROP_END,
};

#define E1000_CLASS(symbol, class_name, text, device, phy)                                         \
    static const struct e1000_class symbol##_info = {                                              \
        .pci = { .vendor_id = 0x8086,                                                              \
                 .device_id = device,                                                              \
                 .revision = 3,                                                                    \
                 .class_id = 0x0200,                                                               \
                 .has_intx = true,                                                                 \
                 .romfile = "efi-e1000.rom" },                                                     \
        .phy_id2 = phy,                                                                            \
    };                                                                                             \
    const struct device_class symbol = {                                                           \
        .name = class_name,                                                                        \
        .desc = text,                                                                              \
        .size = sizeof(struct e1000),                                                              \
        .bus = "PCI",                                                                              \
        .fields = e1000_fields,                                                                    \
        .props = e1000_props,                                                                      \
        .realize = e1000_realize,                                                                  \
        .unrealize = e1000_unrealize,                                                              \
        .reset = e1000_reset,                                                                      \
        .post_load = e1000_post_load,                                                              \
        .class_data = &symbol##_info,                                                              \
    }

E1000_CLASS(e1000_class, "e1000", "Intel Gigabit Ethernet (82540EM)", 0x100e, 0x0c20);
E1000_CLASS(e1000_82544gc_class, "e1000-82544gc", "Intel Gigabit Ethernet (82544GC)", 0x1008,
            0x0c30);
E1000_CLASS(e1000_82545em_class, "e1000-82545em", "Intel Gigabit Ethernet (82545EM)", 0x100f,
            0x0c20);
