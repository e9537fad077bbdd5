/*
 * AMD Am79C970A (PCnet-PCI II): registers and reset, by its data sheet. pcnet_ring.c moves the
 * frames.
 *
 * Registers are reached through RAP and the data ports RDP (CSRs) and BDP (BCRs), 16 bits wide
 * after reset; a 32-bit write to RDP's place moves the ports to multiples of four for good (DWIO).
 * The first 16 bytes are the address PROM.
 *
 * States are bits of CSR0: STOP, then INIT (reads the initialization block), STRT (TXON, RXON);
 * CSR5.SPND suspends both directions, so that registers may be changed.
 *
 * Polling. The part looks at its transmit ring every few milliseconds without being told to, and at
 * its receive ring while a frame waits. The timer does both, first after 2 ms, then ever less
 * often up to 32 ms, until a write to CSR0 shows that the driver is at work. If the receive ring is
 * still full then, the driver may have overlooked it, and RINT is set once more.
 *
 * This member of the family has no MII; the state of the link shows in BCR4 (LNKST).
 */
#include "hw/net/pcnet.h"

#include <string.h>

#include "hw/net/eth.h"
#include "hw/net/nics.h"
#include "log.h"
#include "machine.h"

enum {
    PORTS = 32,
    PORT_APROM_END = 0x10,
    RDP,
    RAP,
    RESET,
    BDP,
    NO_PORT,

    CSR_IADR_COPY = 16,
    CSR_NRDA = 26,
    CSR_CRDA = 28,
    CSR_NXDA = 32,
    CSR_CXDA = 34,
    CSR_SWS = 58,
    CSR_RCVRC = 72,
    CSR_XMTRC = 74,
    CSR_CHIP_ID = 88,

    BCR_MC = 2,
    BCR_LNKST = 4,
    BCR_LED3 = 7,
    BCR_FDC = 9,
    BCR_BSBC = 18,
    BCR_EECAS = 19,
    BCR_INTCON = 21,
    BCR_PCILAT = 22,
    BCR_MC_APROMWE = 0x0100,
    BCR_BSBC_DWIO = 0x0080,
    BCR_LED_OUT = 0x8000,
    LED_LNKST = 0x0040,

    CSR0_SOURCES = 0x5f00, /* that interrupt; masked by the same bits of CSR3 */
    CSR0_CLEARABLE = 0x7f00,
    CSR4_CLEARABLE = 0x026a,
    CSR4_UINTCMD = 0x0080,
    CSR4_UINT = 0x0040,
    CSR5_CLEARABLE = 0x0a90,

    POLL_MIN_NS = 2000000,
    POLL_MAX_NS = 32000000,
};

/* ---- interrupt ---- */

void pcnet_update_irq(struct pcnet *s)
{
    bool intr = (s->csr[0] & ~s->csr[3] & CSR0_SOURCES) || (s->csr[4] & CSR4_UINT) ||
                (s->csr[4] >> 1 & ~s->csr[4] & 0x0115) || (s->csr[5] >> 1 & s->csr[5] & 0x0548);
    s->csr[0] = (uint16_t)((s->csr[0] & ~CSR0_INTR) | (intr ? CSR0_INTR : 0));
    pci_set_irq(&s->pci, intr && (s->csr[0] & CSR0_IENA));
}

/* ---- polling ---- */

static void schedule_poll(struct pcnet *s)
{
    bool tx = (s->csr[0] & CSR0_TXON) && !(s->csr[4] & CSR4_DPOLL) && !pcnet_suspended(s);
    if (tx || s->rx_waiting)
        timer_mod(&s->poll, clock_now_ns(s->poll.clock) + s->poll_ns);
    else
        timer_del(&s->poll);
}

static void poll_rings(void *opaque)
{
    struct pcnet *s = opaque;
    s->poll_ns = s->poll_ns < POLL_MAX_NS ? s->poll_ns * 2 : POLL_MAX_NS;
    if (!(s->csr[4] & CSR4_DPOLL) && pcnet_transmit(s))
        s->poll_ns = POLL_MIN_NS;
    if (s->rx_waiting) {
        net_accept(&s->nic->nc);
        if (!s->rx_waiting) {
            s->poll_ns = POLL_MIN_NS;
        } else if (!s->rint_repeated && !pcnet_suspended(s)) {
            s->rint_repeated = true;
            s->csr[0] |= CSR0_RINT;
            pcnet_update_irq(s);
        }
    }
    schedule_poll(s);
}

/* The driver is at work. */
static void look_now(struct pcnet *s)
{
    s->poll_ns = POLL_MIN_NS;
    net_accept(&s->nic->nc);
    schedule_poll(s);
}

/* ---- CSRs ---- */

static void stop(struct pcnet *s)
{
    s->csr[0] = CSR0_STOP;
    s->csr[4] &= (uint16_t)~CSR4_CLEARABLE;
    s->csr[5] &= (uint16_t) ~(CSR5_CLEARABLE | CSR5_SPND);
    pcnet_update_irq(s);
}

static void write_csr0(struct pcnet *s, uint16_t v)
{
    s->csr[0] &= (uint16_t) ~(v & CSR0_CLEARABLE);
    s->csr[0] = (uint16_t)((s->csr[0] & ~CSR0_IENA) | (v & CSR0_IENA));
    if (v & CSR0_STOP) {
        stop(s);
        look_now(s);
        return;
    }
    if ((v & CSR0_INIT) && !(s->csr[0] & CSR0_INIT)) {
        s->busy++;
        pcnet_init_block(s);
        s->busy--;
        s->csr[0] = (uint16_t)((s->csr[0] & ~CSR0_STOP) | CSR0_INIT | CSR0_IDON);
    }
    if ((v & CSR0_STRT) && !(s->csr[0] & CSR0_STRT)) {
        uint16_t mode = s->csr[CSR_MODE];
        s->csr[0] =
            (uint16_t)((s->csr[0] & ~CSR0_STOP) | CSR0_STRT | (mode & CSR15_DTX ? 0 : CSR0_TXON) |
                       (mode & CSR15_DRX ? 0 : CSR0_RXON));
    }
    if (v & CSR0_TDMD)
        pcnet_transmit(s);
    pcnet_update_irq(s);
    look_now(s);
}

static void write_csr4(struct pcnet *s, uint16_t v)
{
    uint16_t left = s->csr[4] & CSR4_CLEARABLE & ~v;
    s->csr[4] = (uint16_t)((v & ~(CSR4_CLEARABLE | CSR4_UINTCMD)) | left);
    if (v & CSR4_UINTCMD)
        s->csr[4] |= CSR4_UINT;
    pcnet_update_irq(s);
    schedule_poll(s);
}

static void write_csr5(struct pcnet *s, uint16_t v)
{
    uint16_t left = s->csr[5] & CSR5_CLEARABLE & ~v;
    if (s->csr[0] & CSR0_STOP)
        v &= (uint16_t)~CSR5_SPND;
    s->csr[5] = (uint16_t)((v & ~(CSR5_CLEARABLE | 0x3000)) | left);
    pcnet_update_irq(s);
    look_now(s);
}

/* The software style; what follows from it is read-only. */
static void write_sws(struct pcnet *s, uint16_t v)
{
    static const uint16_t follows[] = { 0x0200, 0x0100, 0x0300, 0x0300 };
    if ((v & 0xff) > 3) {
        log_mask(LOG_GUEST_ERRORS, "pcnet: software style %u", v & 0xff);
        v = 0;
    }
    s->bcr[BCR_SWS] = (uint16_t)((v & 0x04ff) | follows[v & 3]);
}

/* Storage that only a stopped or suspended part lets be changed. */
static bool is_plain_csr(unsigned n)
{
    return n == 1 || n == 2 || n == 6 || (n >= 8 && n <= 15) || (n >= 18 && n <= 25) || n == 30 ||
           n == 31 || (n >= 36 && n <= 47) || (n >= 60 && n <= 67) || n == 76 || n == 78 ||
           n == 80 || n == 82 || (n >= 84 && n <= 86) || n == 94 || n == 100 || n == 112 ||
           n == 114 || n == 122 || n == 124;
}

static void write_csr(struct pcnet *s, unsigned n, uint16_t v)
{
    bool open = (s->csr[0] & CSR0_STOP) || pcnet_suspended(s);
    switch (n) {
    case 0: write_csr0(s, v); return;
    case 3:
        s->csr[3] = v & 0x5f7c;
        pcnet_update_irq(s);
        look_now(s);
        return;
    case 4: write_csr4(s, v); return;
    case 5: write_csr5(s, v); return;
    case CSR_IADR_COPY:
    case CSR_IADR_COPY + 1: n -= CSR_IADR_COPY - CSR_IADR; break;
    case CSR_SWS:
        if (open)
            write_sws(s, v);
        return;
    case CSR_RCVRC:
        if (open)
            s->rx_index = (uint16_t)(v - s->csr[CSR_RCVRL]);
        return;
    case CSR_XMTRC:
        if (open)
            s->tx_index = (uint16_t)(v - s->csr[CSR_XMTRL]);
        return;
    default: break;
    }
    if (!open || !is_plain_csr(n)) {
        log_mask(LOG_GUEST_ERRORS, "pcnet: write to CSR%u", n);
        return;
    }
    s->csr[n] = v;
    if (n == CSR_BADR || n == CSR_BADR + 1 || n == CSR_RCVRL)
        s->rx_index = 0;
    if (n == CSR_BADX || n == CSR_BADX + 1 || n == CSR_XMTRL)
        s->tx_index = 0;
    if (n >= CSR_PADR && n < CSR_PADR + 3) {
        uint8_t mac[ETH_ADDR_LEN];
        for (int i = 0; i < 3; i++)
            pci_set16(mac + 2 * i, s->csr[CSR_PADR + i]);
        nic_set_mac(s->nic, mac);
    }
}

/* One half of the address of a descriptor that is @ahead of the next. */
static uint16_t desc_half(const struct pcnet *s, unsigned half, bool rx, unsigned ahead)
{
    uint32_t at = rx ? pcnet_desc_addr(s, CSR_BADR, CSR_RCVRL, s->rx_index + ahead)
                     : pcnet_desc_addr(s, CSR_BADX, CSR_XMTRL, s->tx_index + ahead);
    return (uint16_t)(half ? at >> 16 : at);
}

static uint32_t read_csr(struct pcnet *s, unsigned n)
{
    switch (n) {
    case 0: {
        bool error = s->csr[0] & (CSR0_BABL | CSR0_CERR | CSR0_MISS | 0x0800);
        return s->csr[0] | (error ? CSR0_ERR : 0u);
    }
    case CSR_IADR_COPY:
    case CSR_IADR_COPY + 1: return s->csr[n - (CSR_IADR_COPY - CSR_IADR)];
    case CSR_NRDA:
    case CSR_NRDA + 1: return desc_half(s, n - CSR_NRDA, true, 1);
    case CSR_CRDA:
    case CSR_CRDA + 1: return desc_half(s, n - CSR_CRDA, true, 0);
    case CSR_NXDA:
    case CSR_NXDA + 1: return desc_half(s, n - CSR_NXDA, false, 1);
    case CSR_CXDA:
    case CSR_CXDA + 1: return desc_half(s, n - CSR_CXDA, false, 0);
    case CSR_SWS: return s->bcr[BCR_SWS];
    case CSR_RCVRC: return (uint16_t)(s->csr[CSR_RCVRL] + s->rx_index);
    case CSR_XMTRC: return (uint16_t)(s->csr[CSR_XMTRL] + s->tx_index);
    case CSR_CHIP_ID: return s->csr[n] | (uint32_t)s->csr[n + 1] << 16;
    default: return s->csr[n];
    }
}

/* ---- BCRs ---- */

static uint16_t read_bcr(const struct pcnet *s, unsigned n)
{
    if (n >= PCNET_BCRS)
        return 0;
    uint16_t v = s->bcr[n];
    if (n >= BCR_LNKST && n <= BCR_LED3) {
        bool lit = v & (s->link ? LED_LNKST : 0);
        v = (uint16_t)((v & ~BCR_LED_OUT) | (lit ? BCR_LED_OUT : 0));
    }
    return v;
}

static void write_bcr(struct pcnet *s, unsigned n, uint16_t v)
{
    switch (n) {
    case BCR_SWS:
        if ((s->csr[0] & CSR0_STOP) || pcnet_suspended(s))
            write_sws(s, v);
        break;
    case BCR_BSBC:
        s->bcr[n] = (uint16_t)((v & ~BCR_BSBC_DWIO) | (s->bcr[n] & BCR_BSBC_DWIO));
        break;
    case BCR_MC:
    case BCR_LNKST:
    case BCR_LNKST + 1:
    case BCR_LNKST + 2:
    case BCR_LED3:
    case BCR_FDC:
    case BCR_EECAS:
    case BCR_INTCON:
    case BCR_PCILAT: s->bcr[n] = v; break;
    default: log_mask(LOG_GUEST_ERRORS, "pcnet: write to BCR%u", n); break;
    }
}

/* ---- reset ---- */

/* S_RESET: by reading the reset port. */
static void soft_reset(struct pcnet *s)
{
    static const struct {
        uint8_t csr;
        uint16_t v;
    } values[] = { { 0, CSR0_STOP }, { 3, 0 },       { 4, 0x0115 }, { 5, 0 },        { 6, 0 },
                   { 8, 0 },         { 9, 0 },       { 10, 0 },     { 11, 0 },       { 80, 0x1410 },
                   { 88, 0x1003 },   { 89, 0x0262 }, { 94, 0 },     { 100, 0x0200 }, { 112, 0 },
                   { 114, 0 },       { 122, 0 },     { 124, 0 },    { 103, 0x0105 } };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        s->csr[values[i].csr] = values[i].v;
    for (int i = 0; i < 3; i++)
        s->csr[CSR_PADR + i] = pci_get16(s->aprom + 2 * i);
    s->csr[CSR_MODE] &= 0x21c4;
    s->rap = 0;
    nic_set_mac(s->nic, s->aprom);
    s->rx_waiting = false;
    s->poll_ns = POLL_MIN_NS;
    timer_del(&s->poll);
    pcnet_update_irq(s);
    net_accept(&s->nic->nc); /* a stopped receiver lets frames pass by */
}

static void fill_aprom(struct pcnet *s)
{
    uint8_t *p = s->aprom;
    memset(p, 0, sizeof s->aprom);
    memcpy(p, s->nic->mac, ETH_ADDR_LEN);
    p[9] = 0x11; /* as AMD's drivers want it */
    p[14] = p[15] = 'W';
    unsigned sum = 0;
    for (int i = 0; i < PCNET_APROM_SIZE; i++)
        sum += p[i];
    pci_set16(p + 12, (uint16_t)sum);
}

/* H_RESET */
static void pcnet_reset(struct device *d)
{
    static const struct {
        uint8_t bcr;
        uint16_t v;
    } values[] = { { 0, 0x0005 },  { 1, 0x0005 },  { BCR_MC, 0x0002 },    { 4, 0x00c0 },
                   { 5, 0x0084 },  { 6, 0x0088 },  { 7, 0x0090 },         { BCR_BSBC, 0x9001 },
                   { 19, 0x0002 }, { 20, 0x0200 }, { BCR_PCILAT, 0xff06 } };
    struct pcnet *s = (struct pcnet *)d;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        s->bcr[values[i].bcr] = values[i].v;
    fill_aprom(s);
    net_purge(&s->nic->nc);
    soft_reset(s);
}

/* ---- ports ---- */

/* Which port an access of this size at @offset is to. */
static int find_port(const struct pcnet *s, unsigned offset, unsigned size)
{
    static const uint8_t order[4] = { RDP, RAP, RESET, BDP };
    bool dwio = s->bcr[BCR_BSBC] & BCR_BSBC_DWIO;
    unsigned width = dwio ? 4 : 2;
    bool byte_reset = size == 1 && order[(offset - PORT_APROM_END) / width & 3] == RESET;
    if (offset % width || (size != width && !byte_reset) || offset >= PORT_APROM_END + 4 * width)
        return NO_PORT;
    return order[(offset - PORT_APROM_END) / width];
}

static uint64_t pcnet_read(void *opaque, uint64_t offset, unsigned size)
{
    struct pcnet *s = opaque;
    uint64_t v = 0;
    if (s->busy)
        return UINT64_MAX;
    if (offset < PORT_APROM_END) {
        for (unsigned i = 0; i < size; i++)
            v |= (uint64_t)s->aprom[(offset + i) & (PCNET_APROM_SIZE - 1)] << (8 * i);
        return v;
    }
    switch (find_port(s, (unsigned)offset, size)) {
    case RDP: return read_csr(s, s->rap);
    case RAP: return s->rap;
    case RESET: soft_reset(s); return 0;
    case BDP: return read_bcr(s, s->rap);
    default: return UINT64_MAX;
    }
}

static void pcnet_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct pcnet *s = opaque;
    if (s->busy) {
        log_mask(LOG_GUEST_ERRORS, "pcnet: DMA to its own ports");
        return;
    }
    if (offset < PORT_APROM_END) {
        for (unsigned i = 0; i < size && (s->bcr[BCR_MC] & BCR_MC_APROMWE); i++)
            s->aprom[(offset + i) & (PCNET_APROM_SIZE - 1)] = (uint8_t)(value >> (8 * i));
        return;
    }
    if (offset == PORT_APROM_END && size == 4)
        s->bcr[BCR_BSBC] |= BCR_BSBC_DWIO;
    switch (find_port(s, (unsigned)offset, size)) {
    case RDP: write_csr(s, s->rap, (uint16_t)value); break;
    case RAP: s->rap = value & 0x7f; break;
    case BDP: write_bcr(s, s->rap, (uint16_t)value); break;
    default: break;
    }
}

static const struct mem_ops pcnet_ops = { pcnet_read, pcnet_write, 1, 4 };

/* ---- life ---- */

static void pcnet_link_changed(struct net_client *nc)
{
    ((struct pcnet *)((struct nic *)nc)->device)->link = net_link_up(nc);
}

static bool pcnet_realize(struct device *d, struct error *err)
{
    static const struct net_client_ops ops = {
        .type = "nic",
        .nic = true,
        .receive = pcnet_receive,
        .writable = pcnet_writable,
        .link_changed = pcnet_link_changed,
    };
    struct pcnet *s = (struct pcnet *)d;
    if (!pci_device_init(&s->pci, err))
        return false;
    uint8_t *c = s->pci.config;
    pci_set16(c + PCI_STATUS, 0x0280); /* medium timing, fast back-to-back */
    pci_set16(c + PCI_SUBSYSTEM_VENDOR_ID, 0);
    pci_set16(c + PCI_SUBSYSTEM_ID, 0);
    c[0x3e] = 0x06; /* MIN_GNT, MAX_LAT */
    c[0x3f] = 0xff;
    mem_region_init_io(&s->io, "pcnet ports", PORTS, &pcnet_ops, s);
    mem_region_init_io(&s->mmio, "pcnet", PORTS, &pcnet_ops, s);
    pci_register_bar(&s->pci, 0, PCI_BAR_IO, &s->io);
    pci_register_bar(&s->pci, 1, PCI_BAR_MEM32, &s->mmio);
    timer_init(&s->poll, &d->machine->clock, poll_rings, s);
    s->nic = nic_new(d, &ops, &s->conf, "pcnet", err);
    if (!s->nic) {
        pci_device_exit(&s->pci);
        return false;
    }
    s->link = net_link_up(&s->nic->nc);
    return true;
}

static void pcnet_unrealize(struct device *d)
{
    struct pcnet *s = (struct pcnet *)d;
    timer_del(&s->poll);
    nic_free(s->nic);
    s->nic = NULL;
    pci_device_exit(&s->pci);
}

static void pcnet_post_load(struct device *d)
{
    struct pcnet *s = (struct pcnet *)d;
    uint8_t mac[ETH_ADDR_LEN];
    pci_device_post_load(&s->pci);
    s->rap &= 0x7f;
    if ((s->bcr[BCR_SWS] & 0xff) > 3)
        s->bcr[BCR_SWS] = 0x0200;
    if (s->poll_ns < POLL_MIN_NS || s->poll_ns > POLL_MAX_NS)
        s->poll_ns = POLL_MIN_NS;
    for (int i = 0; i < 3; i++)
        pci_set16(mac + 2 * i, s->csr[CSR_PADR + i]);
    nic_set_mac(s->nic, mac);
    s->link = net_link_up(&s->nic->nc);
    pcnet_update_irq(s);
    pcnet_transmit(s);
    look_now(s);
}

static const struct field pcnet_fields[] = {
    PCI_DEVICE_FIELDS,
    FIELD_U16(struct pcnet, csr, 0),
    FIELD_U16(struct pcnet, bcr, 0),
    FIELD_U16(struct pcnet, rap, 0),
    FIELD_KEEP_BYTES(struct pcnet, aprom),
    FIELD_U16(struct pcnet, rx_index, 0),
    FIELD_U16(struct pcnet, tx_index, 0),
    FIELD_BOOL(struct pcnet, rx_waiting, 0),
    FIELD_BOOL(struct pcnet, rint_repeated, 0),
    FIELD_U32(struct pcnet, poll_ns, POLL_MIN_NS),
    FIELD_TIMER(struct pcnet, poll),
    FIELD_END,
};

static const struct prop pcnet_props[] = {
    PCI_DEVICE_PROPS,
    NIC_PROPS(struct pcnet, conf),
    PROP_END,
};

static const struct pci_class_info pcnet_info = {
    .vendor_id = 0x1022,
    .device_id = 0x2000,
    .revision = 0x10,
    .class_id = 0x0200,
    .has_intx = true,
    .romfile = "pxe-pcnet.rom",
};

const struct device_class pcnet_class = {
    .name = "pcnet",
    .desc = "AMD Am79C970A (PCnet-PCI II)",
    .size = sizeof(struct pcnet),
    .bus = "PCI",
    .fields = pcnet_fields,
    .props = pcnet_props,
    .realize = pcnet_realize,
    .unrealize = pcnet_unrealize,
    .reset = pcnet_reset,
    .post_load = pcnet_post_load,
    .class_data = &pcnet_info,
};
