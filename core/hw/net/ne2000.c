/*
 * NE2000 core: National Semiconductor DP8390D/NS32490D data sheet for the controller, Realtek
 * RTL8029AS for what its descendants on PCI add.
 *
 * Address space of the controller: 32 bytes of PROM at 0 (each byte of the MAC address twice, so
 * that 16-bit reads give one a word), 32 KB of RAM at 0x4000. The processor reaches it only through
 * the data port, a byte or word at a time ("remote DMA": CRDA counts up, RBCR down to 0, then RDC).
 *
 * Reception. PSTART..PSTOP is a ring of 256-byte pages. A frame goes to whole pages from CURR on,
 * behind a header of 4 bytes (status, next page, length with FCS); the driver sets BNRY to the page
 * before the first unread one. The ring never fills up to BNRY.
 *
 * A full ring. On its wire the DP8390 loses frames and reports an overflow. Here the sender waits
 * instead: receive() refuses the frame, and writes that make room (BNRY, CURR, start) take up what
 * waits. What can never fit is lost and counted (CNTR2), as are frames in monitor mode.
 *
 * PRX once more. Drivers read the ring until it is empty (Linux's: or ten frames were taken) and
 * clear PRX after that. A frame that comes in between has no interrupt of its own any more; on a
 * wire the next one brings it to light, but here the sender may be waiting for exactly the answer
 * to it. So when PRX is cleared with frames in the ring, it is set again a little later, once for
 * each change of the ring.
 *
 * Transmission is immediate. While the peer has no room, CR.TXP stays set, and writable() goes on.
 */
#include "hw/net/ne2000.h"

#include <string.h>

#include "hw/net/eth.h"
#include "log.h"
#include "machine.h"

enum {
    CR_STP = 0x01,
    CR_STA = 0x02,
    CR_TXP = 0x04,
    CR_RD = 0x38,
    CR_RD_READ = 0x08,
    CR_RD_WRITE = 0x10,
    CR_RD_SEND = 0x18,

    ISR_PRX = 0x01,
    ISR_PTX = 0x02,
    ISR_CNT = 0x20,
    ISR_RDC = 0x40,
    ISR_RST = 0x80,
    ISR_SOURCES = 0x7f,

    DCR_WTS = 0x01,
    DCR_LAS = 0x04,

    TCR_CRC = 0x01,
    TCR_LB = 0x06,
    TCR_LB_INTERNAL = 0x02,
    TCR_LB_ENDEC = 0x04,

    TSR_PTX = 0x01,
    TSR_CRS = 0x10,
    TSR_CDH = 0x40,

    RCR_AR = 0x02,
    RCR_AB = 0x04,
    RCR_AM = 0x08,
    RCR_PRO = 0x10,
    RCR_MON = 0x20,

    RSR_PRX = 0x01,
    RSR_CRC = 0x02,
    RSR_PHY = 0x20,
    RSR_DIS = 0x40,

    CNTR_MISSED = 2,
    CNTR_STOPS = 0xc0,

    PORT_DATA = 0x10,
    PORT_RESET = 0x18,

    PAGE_SIZE = 256,
    HEADER_LEN = 4,
    RUNT_MIN = 8,
    AGAIN_NS = 50000,
};

/* ---- interrupts and counters ---- */

static void update_irq(struct ne2000 *s)
{
    s->set_irq(s, (s->isr & s->imr & ISR_SOURCES) != 0);
}

static void raise(struct ne2000 *s, uint8_t bits)
{
    s->isr |= bits;
    update_irq(s);
}

static void count_missed(struct ne2000 *s)
{
    if (s->cntr[CNTR_MISSED] < CNTR_STOPS)
        s->cntr[CNTR_MISSED]++;
    if (s->cntr[CNTR_MISSED] & 0x80)
        raise(s, ISR_CNT);
}

/* ---- memory ---- */

static uint8_t mem_byte(const struct ne2000 *s, uint16_t addr)
{
    if (addr >= NE2000_RAM_FIRST && addr < NE2000_RAM_END)
        return s->ram[addr - NE2000_RAM_FIRST];
    return addr < NE2000_PROM_SIZE ? s->prom[addr] : 0xff;
}

static void set_mem_byte(struct ne2000 *s, uint16_t addr, uint8_t v)
{
    if (addr >= NE2000_RAM_FIRST && addr < NE2000_RAM_END)
        s->ram[addr - NE2000_RAM_FIRST] = v;
}

/* ---- the ring ---- */

/* Do the registers describe a ring in RAM? */
static bool ring_valid(const struct ne2000 *s)
{
    return s->pstart >= NE2000_RAM_FIRST / PAGE_SIZE && s->pstart < s->pstop &&
           s->pstop <= NE2000_RAM_END / PAGE_SIZE && s->curr >= s->pstart && s->curr < s->pstop;
}

static uint8_t next_page(const struct ne2000 *s, unsigned page, unsigned pages)
{
    unsigned next = page + pages;
    return (uint8_t)(next >= s->pstop ? next - s->pstop + s->pstart : next);
}

/* BNRY, where Linux's driver puts the page before the ring's first instead of its last. */
static uint8_t boundary(const struct ne2000 *s)
{
    return s->bnry + 1 == s->pstart ? s->pstop - 1 : s->bnry;
}

/* Pages that reception may fill; one less may be used at a time. */
static unsigned free_pages(const struct ne2000 *s)
{
    unsigned size = (unsigned)(s->pstop - s->pstart), bnry = boundary(s);
    if (bnry < s->pstart || bnry >= s->pstop || bnry == s->curr)
        return size;
    return bnry > s->curr ? bnry - s->curr : size - (s->curr - bnry);
}

/* By either custom of drivers: BNRY is the last page that was read, or the first that wasn't. */
static bool ring_empty(const struct ne2000 *s)
{
    return !ring_valid(s) || s->curr == s->bnry || s->curr == next_page(s, boundary(s), 1);
}

/* Copies to the ring at byte @at behind CURR's beginning; the frame fits. */
static void put(struct ne2000 *s, size_t at, const uint8_t *p, size_t len)
{
    size_t first = (size_t)s->pstart * PAGE_SIZE - NE2000_RAM_FIRST;
    size_t size = (size_t)(s->pstop - s->pstart) * PAGE_SIZE;
    size_t to = ((size_t)(s->curr - s->pstart) * PAGE_SIZE + at) % size;
    size_t n = len < size - to ? len : size - to;
    memcpy(s->ram + first + to, p, n);
    memcpy(s->ram + first, p + n, len - n);
}

/* ---- reception ---- */

static bool accepts(const struct ne2000 *s, const uint8_t *frame)
{
    switch (eth_dest(frame)) {
    case ETH_BROADCAST: return s->rcr & RCR_AB;
    case ETH_MULTICAST: {
        unsigned hash = net_crc32_be(frame, ETH_ADDR_LEN) >> 26;
        return (s->rcr & RCR_AM) && s->mar[hash >> 3] >> (hash & 7) & 1;
    }
    default: return (s->rcr & RCR_PRO) || !memcmp(frame, s->par, ETH_ADDR_LEN);
    }
}

static void store(struct ne2000 *s, const struct net_frame *f, size_t len, unsigned pages)
{
    static const uint8_t zeros[ETH_MIN_LEN];
    uint8_t next = next_page(s, s->curr, pages), fcs[ETH_FCS_LEN];
    size_t count = len + ETH_FCS_LEN;
    uint8_t header[HEADER_LEN] = { s->rsr, next, (uint8_t)count, (uint8_t)(count >> 8) };
    put(s, 0, header, HEADER_LEN);
    put(s, HEADER_LEN, f->data, f->len);
    if (len > f->len) {
        uint8_t padded[ETH_MIN_LEN] = { 0 };
        memcpy(padded, f->data, f->len);
        put(s, HEADER_LEN + f->len, zeros, len - f->len);
        eth_fcs(padded, len, fcs);
    } else {
        eth_fcs(f->data, len, fcs);
    }
    put(s, HEADER_LEN + len, fcs, ETH_FCS_LEN);
    s->curr = next;
}

static bool ne2000_receive(struct net_client *nc, const struct net_frame *f)
{
    struct ne2000 *s = (struct ne2000 *)((struct nic *)nc)->conf;
    if (!s->running || f->len < ETH_ADDR_LEN || !accepts(s, f->data))
        return true;
    unsigned loopback = s->tcr & TCR_LB;
    if (loopback == TCR_LB_INTERNAL || loopback == TCR_LB_ENDEC)
        return true; /* not connected to the wire */
    uint8_t phy = eth_dest(f->data) == ETH_UNICAST ? 0 : RSR_PHY;
    if (s->rcr & RCR_MON) {
        s->rsr = (uint8_t)(RSR_DIS | phy);
        count_missed(s);
        return true;
    }
    if (!ring_valid(s)) {
        log_mask(LOG_GUEST_ERRORS, "ne2000: ring 0x%02x to 0x%02x with CURR 0x%02x", s->pstart,
                 s->pstop, s->curr);
        count_missed(s);
        return true;
    }
    /* Senders may leave the padding to the wire, so a short frame is no runt unless runts are what
     * the driver asks for; those have 8 bytes at least (data sheet, RCR). */
    bool runt = s->rcr & RCR_AR && f->len >= RUNT_MIN;
    size_t len = f->len < ETH_MIN_LEN && !runt ? ETH_MIN_LEN : f->len;
    size_t pages = (HEADER_LEN + len + ETH_FCS_LEN + PAGE_SIZE - 1) / PAGE_SIZE;
    if (pages + 2 > (unsigned)(s->pstop - s->pstart)) {
        count_missed(s);
        return true;
    }
    if (pages >= free_pages(s))
        return false;
    s->rsr = (uint8_t)(RSR_PRX | phy);
    store(s, f, len, (unsigned)pages);
    s->reraised_at = 0;
    raise(s, ISR_PRX);
    return true;
}

static void make_room(struct ne2000 *s)
{
    net_accept(&s->nic->nc);
}

/* The driver cleared PRX: see the head of this file. */
static void prx_cleared(struct ne2000 *s)
{
    if (s->running && !ring_empty(s) && s->reraised_at != s->bnry)
        timer_mod(&s->again, clock_now_ns(s->again.clock) + AGAIN_NS);
}

static void prx_again(void *opaque)
{
    struct ne2000 *s = opaque;
    if (!s->running || ring_empty(s) || (s->isr & ISR_PRX))
        return;
    s->reraised_at = s->bnry;
    raise(s, ISR_PRX);
}

/* ---- transmission ---- */

/* Loopback: the frame and its FCS pass through the FIFO, where their end stays, followed by the
 * length. The receiver's result is the data sheet's: CRC error, as its check is off, and no PRX. */
static void loop_back(struct ne2000 *s, size_t len)
{
    uint8_t fcs[ETH_FCS_LEN] = { 0 };
    size_t total = len + (s->tcr & TCR_CRC ? 0 : ETH_FCS_LEN);
    eth_fcs(s->frame, len, fcs);
    uint8_t end[8] = { len ? s->frame[len - 1] : 0,
                       fcs[0],
                       fcs[1],
                       fcs[2],
                       fcs[3],
                       (uint8_t)total,
                       (uint8_t)(total >> 8),
                       (uint8_t)(total >> 8) };
    memcpy(s->fifo, end, sizeof end);
    s->fifo_at = 0;
    s->rsr = RSR_CRC;
}

static void transmit(struct ne2000 *s)
{
    size_t first = (size_t)s->tpsr * PAGE_SIZE, len = s->tbcr;
    unsigned loopback = s->tcr & TCR_LB;
    if (s->sending)
        return;
    s->tsr = TSR_PTX;
    if (first < NE2000_RAM_FIRST || first + len > NE2000_RAM_END) {
        log_mask(LOG_GUEST_ERRORS, "ne2000: %zu bytes to send at 0x%04zx", len, first);
    } else {
        /* A copy: the answer may be written to the ring while the frame is still in use. */
        memcpy(s->frame, s->ram + (first - NE2000_RAM_FIRST), len);
        if (loopback) {
            loop_back(s, len);
            if (loopback == TCR_LB_INTERNAL)
                s->tsr |= TSR_CRS | TSR_CDH;
            else if (loopback == TCR_LB_ENDEC)
                s->tsr |= TSR_CDH;
            s->tsr |= 2; /* as the data sheet's table of loopback results has it */
        }
        if (!loopback || loopback == TCR_LB) {
            s->sending = true;
            bool taken = net_send_buf(&s->nic->nc, s->frame, len);
            s->sending = false;
            if (!taken)
                return;
        }
    }
    s->cr &= (uint8_t)~CR_TXP;
    raise(s, ISR_PTX);
}

static void ne2000_writable(struct net_client *nc)
{
    struct ne2000 *s = (struct ne2000 *)((struct nic *)nc)->conf;
    if (s->cr & CR_TXP)
        transmit(s);
}

/* ---- remote DMA ---- */

static void remote_advance(struct ne2000 *s, unsigned len)
{
    s->crda = (uint16_t)(s->crda + len);
    if (s->crda == s->pstop * PAGE_SIZE)
        s->crda = (uint16_t)(s->pstart * PAGE_SIZE);
    s->rbcr = (uint16_t)(s->rbcr > len ? s->rbcr - len : 0);
    if (s->rbcr)
        return;
    if (s->send_next) {
        s->bnry = s->send_next;
        s->send_next = 0;
        raise(s, ISR_RDC);
        make_room(s);
    } else {
        raise(s, ISR_RDC);
    }
}

/* One transfer: a word or, with DCR.WTS clear, a byte. */
static unsigned data_read(struct ne2000 *s)
{
    unsigned rd = s->cr & CR_RD;
    if (!s->rbcr || (rd != CR_RD_READ && rd != CR_RD_SEND))
        return 0xffff;
    if (!(s->dcr & DCR_WTS)) {
        unsigned v = mem_byte(s, s->crda);
        remote_advance(s, 1);
        return v;
    }
    uint16_t at = s->crda & 0xfffe;
    unsigned v = mem_byte(s, at) | (unsigned)mem_byte(s, at | 1) << 8;
    remote_advance(s, 2);
    return v;
}

static void data_write(struct ne2000 *s, unsigned v)
{
    if (!s->rbcr || (s->cr & CR_RD) != CR_RD_WRITE)
        return;
    if (!(s->dcr & DCR_WTS)) {
        set_mem_byte(s, s->crda, (uint8_t)v);
        remote_advance(s, 1);
        return;
    }
    uint16_t at = s->crda & 0xfffe;
    set_mem_byte(s, at, (uint8_t)v);
    set_mem_byte(s, at | 1, (uint8_t)(v >> 8));
    remote_advance(s, 2);
}

/* The port is as wide as the transfer; wider accesses are several. */
static uint32_t data_port_read(struct ne2000 *s, unsigned size)
{
    unsigned width = s->dcr & DCR_WTS ? 2 : 1;
    uint32_t v = data_read(s);
    for (unsigned done = width; done < size; done += width)
        v |= (uint32_t)data_read(s) << (8 * done);
    return v;
}

static void data_port_write(struct ne2000 *s, uint32_t v, unsigned size)
{
    unsigned width = s->dcr & DCR_WTS ? 2 : 1;
    for (unsigned done = 0; done < size; done += width)
        data_write(s, v >> (8 * done));
}

/* "Send packet": remote read of the frame behind BNRY, which then moves on. */
static void send_packet(struct ne2000 *s)
{
    uint16_t at = (uint16_t)(s->bnry * PAGE_SIZE);
    s->crda = at;
    s->send_next = mem_byte(s, (uint16_t)(at + 1));
    s->rbcr = (uint16_t)(mem_byte(s, (uint16_t)(at + 2)) | mem_byte(s, (uint16_t)(at + 3)) << 8);
}

/* ---- registers ---- */

static void write_cr(struct ne2000 *s, uint8_t v)
{
    bool pending = s->cr & CR_TXP; /* only completion clears it */
    s->cr = v;
    s->send_next = 0;
    if (v & CR_STP) {
        s->running = false;
        s->isr |= ISR_RST;
        s->cr &= (uint8_t)~CR_TXP;
        timer_del(&s->again);
    } else {
        s->isr &= (uint8_t)~ISR_RST;
        s->running |= (v & CR_STA) != 0;
        if (pending)
            s->cr |= CR_TXP;
    }
    unsigned rd = v & CR_RD;
    if (rd == CR_RD_SEND)
        send_packet(s);
    if ((rd == CR_RD_READ || rd == CR_RD_WRITE || rd == CR_RD_SEND) && !s->rbcr)
        raise(s, ISR_RDC);
    if (s->cr & CR_TXP)
        transmit(s);
    if (s->running)
        make_room(s);
}

static void soft_reset(struct ne2000 *s)
{
    s->cr = CR_STP | 0x20;
    s->running = false;
    s->isr |= ISR_RST;
    s->imr = 0;
    s->dcr &= (uint8_t)~DCR_LAS;
    s->tcr &= (uint8_t)~TCR_LB;
    s->send_next = 0;
    timer_del(&s->again);
    update_irq(s);
}

static uint8_t read_counter(struct ne2000 *s, unsigned n)
{
    uint8_t v = s->cntr[n];
    s->cntr[n] = 0;
    return v;
}

static uint8_t read_fifo(struct ne2000 *s)
{
    return s->fifo[s->fifo_at++ & 7];
}

static uint8_t read_page0(struct ne2000 *s, unsigned reg)
{
    switch (reg) {
    case 0x1: return (uint8_t)s->crda; /* local DMA: nothing is under way, so nothing to see */
    case 0x2: return (uint8_t)(s->crda >> 8);
    case 0x3: return s->bnry;
    case 0x4: return s->tsr;
    case 0x5: return s->ncr;
    case 0x6: return read_fifo(s);
    case 0x7: return s->isr;
    case 0x8: return (uint8_t)s->crda;
    case 0x9: return (uint8_t)(s->crda >> 8);
    case 0xa: return 'P'; /* RTL8029ID */
    case 0xb: return 'C';
    case 0xc: return s->rsr;
    default: return read_counter(s, reg - 0xd);
    }
}

static uint8_t read_page2(struct ne2000 *s, unsigned reg)
{
    switch (reg) {
    case 0x1: return s->pstart;
    case 0x2: return s->pstop;
    case 0x3: return s->send_next;
    case 0x4: return s->tpsr;
    case 0x5: return s->curr;
    case 0xc: return 0xc0 | s->rcr;
    case 0xd: return 0xe0 | s->tcr;
    case 0xe: return 0x80 | s->dcr;
    case 0xf: return 0x80 | s->imr;
    default: return 0;
    }
}

/* RTL8029AS: 10BASE-T, full duplex. */
static uint8_t read_page3(struct ne2000 *s, unsigned reg)
{
    switch (reg) {
    case 0x1: return s->config[0]; /* 9346CR */
    case 0x5: return 0x40;         /* CONFIG2 */
    case 0x6: return 0x40;         /* CONFIG3 */
    default: return 0;
    }
}

static uint8_t read_register(struct ne2000 *s, unsigned reg)
{
    if (reg == 0)
        return s->cr;
    switch (s->cr >> 6) {
    case 0: return read_page0(s, reg);
    case 1: return reg <= 6 ? s->par[reg - 1] : reg == 7 ? s->curr : s->mar[reg - 8];
    case 2: return read_page2(s, reg);
    default: return read_page3(s, reg);
    }
}

static void write_page0(struct ne2000 *s, unsigned reg, uint8_t v)
{
    switch (reg) {
    case 0x1: s->pstart = v; break;
    case 0x2: s->pstop = v; break;
    case 0x3:
        s->bnry = v;
        make_room(s);
        break;
    case 0x4: s->tpsr = v; break;
    case 0x5: s->tbcr = (uint16_t)((s->tbcr & 0xff00) | v); break;
    case 0x6: s->tbcr = (uint16_t)((s->tbcr & 0xff) | v << 8); break;
    case 0x7:
        s->isr &= (uint8_t) ~(v & ISR_SOURCES);
        if (v & ISR_PRX)
            prx_cleared(s);
        update_irq(s);
        break;
    case 0x8: s->crda = (uint16_t)((s->crda & 0xff00) | v); break;
    case 0x9: s->crda = (uint16_t)((s->crda & 0xff) | v << 8); break;
    case 0xa: s->rbcr = (uint16_t)((s->rbcr & 0xff00) | v); break;
    case 0xb: s->rbcr = (uint16_t)((s->rbcr & 0xff) | v << 8); break;
    case 0xc:
        s->rcr = v & 0x3f;
        make_room(s);
        break;
    case 0xd:
        s->tcr = v & 0x1f;
        make_room(s);
        break;
    case 0xe: s->dcr = v & 0x7f; break;
    case 0xf:
        s->imr = v & ISR_SOURCES;
        update_irq(s);
        break;
    default: break;
    }
}

static void write_page1(struct ne2000 *s, unsigned reg, uint8_t v)
{
    if (reg <= ETH_ADDR_LEN) {
        s->par[reg - 1] = v;
        if (reg == ETH_ADDR_LEN)
            nic_set_mac(s->nic, s->par);
    } else if (reg == 7) {
        s->curr = v;
        make_room(s);
    } else {
        s->mar[reg - 8] = v;
    }
}

static void write_register(struct ne2000 *s, unsigned reg, uint8_t v)
{
    if (reg == 0)
        write_cr(s, v);
    else if (s->cr >> 6 == 0)
        write_page0(s, reg, v);
    else if (s->cr >> 6 == 1)
        write_page1(s, reg, v);
    else if (s->cr >> 6 == 3 && reg == 1)
        s->config[0] = v & 0xce;
}

static uint64_t port_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ne2000 *s = opaque;
    if (offset >= NE2000_PORTS)
        return UINT32_MAX;
    if (offset >= PORT_RESET) {
        soft_reset(s);
        return 0;
    }
    if (offset >= PORT_DATA)
        return data_port_read(s, size);
    uint32_t v = 0;
    for (unsigned i = 0; i < size; i++)
        v |= (uint32_t)(offset + i < PORT_DATA ? read_register(s, (unsigned)offset + i) : 0xff)
             << (8 * i);
    return v;
}

static void port_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ne2000 *s = opaque;
    if (offset >= PORT_RESET)
        return;
    if (offset >= PORT_DATA) {
        data_port_write(s, (uint32_t)value, size);
        return;
    }
    for (unsigned i = 0; i < size && offset + i < PORT_DATA; i++)
        write_register(s, (unsigned)offset + i, (uint8_t)(value >> (8 * i)));
}

const struct mem_ops ne2000_port_ops = { port_read, port_write, 1, 4 };

/* ---- life ---- */

bool ne2000_init(struct ne2000 *s, struct device *d, const char *model, struct error *err)
{
    static const struct net_client_ops ops = {
        .type = "nic",
        .nic = true,
        .receive = ne2000_receive,
        .writable = ne2000_writable,
    };
    timer_init(&s->again, &d->machine->clock, prx_again, s);
    s->nic = nic_new(d, &ops, &s->conf, model, err);
    if (!s->nic)
        return false;
    for (int i = 0; i < ETH_ADDR_LEN; i++)
        s->prom[2 * i] = s->prom[2 * i + 1] = s->nic->mac[i];
    memset(s->prom + 28, 'W', 4); /* a board with 16 bits */
    return true;
}

void ne2000_exit(struct ne2000 *s)
{
    timer_del(&s->again);
    nic_free(s->nic);
    s->nic = NULL;
}

void ne2000_reset(struct ne2000 *s)
{
    update_irq(s);
    net_purge(&s->nic->nc);
    nic_set_mac(s->nic, s->conf.mac);
}

void ne2000_post_load(struct ne2000 *s)
{
    nic_set_mac(s->nic, s->running ? s->par : s->conf.mac);
    update_irq(s);
    ne2000_writable(&s->nic->nc);
    make_room(s);
}
