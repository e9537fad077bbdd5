/*
 * The e1000's transmitter (SDM 3.3 to 3.5).
 *
 * Descriptors from TDH up to TDT are worked on one after another, in a bottom half and at most
 * BUDGET_* at a time. Their data is gathered in tx.buf; with the descriptor that ends a packet, or
 * when a packet that is to be segmented fills the buffer, prepare() finishes what can be finished
 * once and sets tx.sending, and send_ready() hands out the frame or its segments. When the net has
 * no room, everything stays as it is until writable() runs the transmitter again: TDH still points
 * at the descriptor, desc_done says how much of it was taken.
 *
 * Segmentation: the packet goes as it is to a peer that can segment (net_offload); for others it is
 * cut here, in place: each segment's header is written in front of its payload, over the segment
 * before.
 */
#include <string.h>

#include "hw/net/e1000_int.h"
#include "hw/net/inet_csum.h"
#include "log.h"
#include "machine.h"

#define BUDGET_DESCS 512
#define BUDGET_BYTES (256u << 10)
#define DELAY_NS     1024ll /* unit of TIDV and TADV */
#define DELAY_LEAST  500000ll

enum {
    DESC_SIZE = 16,
    CMD_EOP = 1,
    CMD_IC = 4,  /* legacy: insert checksum */
    CMD_TSE = 4, /* others: segmentation */
    CMD_RS = 8,
    CMD_RPS = 0x10,
    CMD_DEXT = 0x20,
    CMD_VLE = 0x40,
    CMD_IDE = 0x80,
    TUCMD_TCP = 1,
    TUCMD_IP = 2,
    POPTS_IXSM = 1,
    POPTS_TXSM = 2,
    STATUS_DD = 1,
    TYPE_CONTEXT = 0,
    TYPE_DATA = 1,
    TCP_FIN_PSH = 9,
    ETH_HEADER = 14,
    IPV4_HEADER = 20,
    IPV6_HEADER = 40,
    VLAN_TAG = 4,
    MSS_MIN = 8, /* less is only good for making many frames of one */
};

#define BUF_MAX (NET_FRAME_MAX - VLAN_TAG)

static uint8_t *packet(struct e1000 *s)
{
    return s->tx.buf + E1000_TX_HEADROOM;
}

static const struct e1000_context *context(const struct e1000 *s)
{
    return &s->tx.ctx[s->tx.tse];
}

static void set_be16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static uint32_t get_be16(const uint8_t *p)
{
    return (uint32_t)(p[0] << 8 | p[1]);
}

/* ---- one frame ---- */

static bool loops_back(const struct e1000 *s)
{
    return (e1000_get(s, RCTL) & RCTL_LBM) == RCTL_LBM_MAC || s->phy[0] & MII_LOOPBACK;
}

static void insert_tag(struct e1000 *s, uint8_t *p)
{
    memmove(p - VLAN_TAG, p, 12);
    set_be16(p + 12 - VLAN_TAG, e1000_get(s, VET) & 0xffff);
    set_be16(p + 14 - VLAN_TAG, s->tx.special);
}

/* Sends @len bytes at @p, in front of which is room for a tag. False: the net is full, nothing has
 * changed. */
static bool emit(struct e1000 *s, uint8_t *p, size_t len, struct net_offload off)
{
    bool tag = s->tx.vle && e1000_get(s, CTRL) & CTRL_VME && len >= ETH_HEADER;
    if (tag) {
        insert_tag(s, p);
        p -= VLAN_TAG;
        len += VLAN_TAG;
        if (off.needs_csum)
            off.csum_start = (uint16_t)(off.csum_start + VLAN_TAG);
        if (off.gso)
            off.hdr_len = (uint16_t)(off.hdr_len + VLAN_TAG);
    }
    if (loops_back(s)) {
        e1000_rx_loopback(s, p, len);
    } else if (!net_send(&s->nic->nc, &(struct net_frame){ p, len, off })) {
        if (tag)
            memmove(p + VLAN_TAG, p, 12);
        return false;
    }
    if (!off.gso) {
        e1000_count_tx(s, p, len);
        return true;
    }
    for (size_t at = off.hdr_len; at < len; at += off.gso_size)
        e1000_count_tx(s, p, off.hdr_len + (len - at < off.gso_size ? len - at : off.gso_size));
    return true;
}

/* The sum of p[start..end] goes to p[at]; @end 0: to the packet's end. */
static void insert_checksum(uint8_t *p, size_t len, unsigned at, unsigned start, unsigned end,
                            bool udp)
{
    if (end && end + 1u < len)
        len = end + 1u;
    if (start >= len || at + 2u > len)
        return;
    uint16_t sum = (uint16_t)~inet_fold(inet_sum(p + start, len - start));
    set_be16(p + at, udp && !sum ? 0xffff : sum);
}

/* Adds to a one's complement sum in the packet. */
static void add_to_sum(uint8_t *p, uint32_t v)
{
    set_be16(p, inet_fold((uint64_t)get_be16(p) + v));
}

/* ---- segmentation ---- */

/* SDM 3.5.7: what differs in the header at @p of a segment of @len bytes, from that of the packet.
 * @at: its payload's offset in the packet's. */
static void fix_header(struct e1000 *s, uint8_t *p, size_t len, uint32_t at, unsigned number,
                       bool last)
{
    const struct e1000_context *c = &s->tx.ctx[1];
    unsigned ip = c->ipcss, l4 = c->tucss;
    if (c->tucmd & TUCMD_IP) {
        if (ip + 6u <= c->hdrlen) {
            set_be16(p + ip + 2, (uint32_t)(len - ip));
            set_be16(p + ip + 4, get_be16(p + ip + 4) + number);
        }
    } else if (ip + IPV6_HEADER <= c->hdrlen) {
        set_be16(p + ip + 4, (uint32_t)(len - ip - IPV6_HEADER));
    }
    if (c->tucmd & TUCMD_TCP) {
        if (l4 + 14u <= c->hdrlen) {
            uint32_t seq = (get_be16(p + l4 + 4) << 16 | get_be16(p + l4 + 6)) + at;
            set_be16(p + l4 + 4, seq >> 16);
            set_be16(p + l4 + 6, seq);
            if (!last)
                p[l4 + 13] &= (uint8_t)~TCP_FIN_PSH;
        }
    } else if (l4 + 6u <= c->hdrlen) {
        set_be16(p + l4 + 4, (uint32_t)(len - l4));
    }
    /* The driver left the length out of the pseudo header's sum. */
    if (s->tx.popts & POPTS_TXSM && c->tucso + 2u <= c->hdrlen)
        add_to_sum(p + c->tucso, (uint32_t)(len - l4));
}

static void header_checksums(struct e1000 *s, uint8_t *p, size_t len)
{
    const struct e1000_context *c = context(s);
    if (s->tx.popts & POPTS_IXSM)
        insert_checksum(p, len, c->ipcso, c->ipcss, c->ipcse, false);
    if (s->tx.popts & POPTS_TXSM && !s->tx.csum)
        insert_checksum(p, len, c->tucso, c->tucss, c->tucse, !(c->tucmd & TUCMD_TCP));
}

static bool send_segments(struct e1000 *s)
{
    struct e1000_tx *tx = &s->tx;
    const struct e1000_context *c = &tx->ctx[1];
    uint32_t payload = tx->len - c->hdrlen;
    while (tx->seg_at < payload) {
        uint32_t n = payload - tx->seg_at < c->mss ? payload - tx->seg_at : c->mss;
        uint8_t *p = packet(s) + tx->seg_at;
        memcpy(p, tx->header, c->hdrlen);
        fix_header(s, p, c->hdrlen + n, tx->seq_done + tx->seg_at, tx->segs_done,
                   tx->last && tx->seg_at + n == payload);
        header_checksums(s, p, c->hdrlen + n);
        if (!emit(s, p, c->hdrlen + n, (struct net_offload){ 0 }))
            return false;
        tx->seg_at += n;
        tx->segs_done++;
    }
    return true;
}

static uint32_t peer_offloads(const struct e1000 *s)
{
    const struct net_client *peer = s->nic->nc.peer;
    return peer && !loops_back(s) ? peer->offloads : 0;
}

/* Which kind of GSO frame the packet in buf can go out as; it must be TCP as everybody knows it. */
static enum net_gso gso_kind(struct e1000 *s)
{
    const struct e1000_context *c = &s->tx.ctx[1];
    const uint8_t *p = packet(s);
    uint32_t can = peer_offloads(s);
    unsigned type = get_be16(p + 12), ip = c->ipcss, l4 = c->tucss;
    if (!(c->tucmd & TUCMD_TCP) || !(s->tx.popts & POPTS_TXSM) || c->tucse ||
        !(can & NET_OFFLOAD_CSUM) || ip != ETH_HEADER || l4 + 20u > c->hdrlen ||
        c->tucso != l4 + 16u || l4 + (p[l4 + 12] >> 4) * 4u != c->hdrlen || p[l4 + 13] & 0x80 ||
        s->tx.len - ip > UINT16_MAX)
        return NET_GSO_NONE;
    if (c->tucmd & TUCMD_IP)
        return can & NET_OFFLOAD_TSO4 && type == 0x0800 && s->tx.popts & POPTS_IXSM &&
                       p[ip] >> 4 == 4 && ip + (p[ip] & 15u) * 4 == l4 && l4 >= ip + IPV4_HEADER &&
                       c->ipcso == ip + 10u && c->ipcse == l4 - 1
                   ? NET_GSO_TCPV4
                   : NET_GSO_NONE;
    return can & NET_OFFLOAD_TSO6 && type == 0x86dd && p[ip] >> 4 == 6 && l4 == ip + IPV6_HEADER
               ? NET_GSO_TCPV6
               : NET_GSO_NONE;
}

/* ---- the packet in buf ---- */

/* What is done once, however often sending is tried. */
static void prepare(struct e1000 *s, bool last)
{
    struct e1000_tx *tx = &s->tx;
    const struct e1000_context *c = context(s);
    uint8_t *p = packet(s);
    tx->sending = true;
    tx->last = last;
    tx->csum = false;
    tx->gso = NET_GSO_NONE;
    tx->seg_at = 0;
    if (tx->tse) {
        if (tx->len <= c->hdrlen || tx->bad) { /* a header alone: nothing to send */
            tx->bad = true;
            return;
        }
        if (last && !tx->seq_done)
            e1000_count(s, COUNT_TSCTC);
        if (!tx->seq_done)
            memcpy(tx->header, p, c->hdrlen);
        tx->gso = (uint8_t)(last && !tx->seq_done ? gso_kind(s) : NET_GSO_NONE);
        if (tx->gso) {
            tx->csum = true;
            fix_header(s, p, tx->len, 0, 0, true);
            header_checksums(s, p, tx->len);
        }
        return;
    }
    if (tx->ic)
        insert_checksum(p, tx->len, tx->cso, tx->css, 0, false);
    if (tx->popts & POPTS_TXSM && peer_offloads(s) & NET_OFFLOAD_CSUM && !c->tucse &&
        c->tucso >= c->tucss && c->tucso + 2u <= tx->len)
        tx->csum = true;
    header_checksums(s, p, tx->len);
    if (tx->len < E1000_FRAME_MIN && e1000_get(s, TCTL) & TCTL_PSP) {
        memset(p + tx->len, 0, E1000_FRAME_MIN - tx->len);
        tx->len = E1000_FRAME_MIN;
    }
    if (tx->len > E1000_LONG_MAX || tx->len < ETH_HEADER)
        tx->bad = true;
}

static void packet_done(struct e1000 *s)
{
    struct e1000_tx *tx = &s->tx;
    tx->len = tx->seq_done = tx->seg_at = 0;
    tx->segs_done = 0;
    tx->started = tx->bad = tx->vle = tx->ic = tx->tse = false;
    tx->popts = 0;
}

/* True: what was ready is gone. */
static bool send_ready(struct e1000 *s)
{
    struct e1000_tx *tx = &s->tx;
    const struct e1000_context *c = context(s);
    if (tx->bad) {
        log_mask(LOG_GUEST_ERRORS, "e1000: packet of %u bytes not sent", tx->len);
    } else if (tx->tse && !tx->gso) {
        if (!send_segments(s))
            return false;
    } else {
        struct net_offload off = { 0 };
        if (tx->csum) {
            off.needs_csum = true;
            off.csum_start = c->tucss;
            off.csum_offset = (uint16_t)(c->tucso - c->tucss);
        }
        if (tx->gso) {
            off.gso = tx->gso;
            off.gso_size = c->mss;
            off.hdr_len = c->hdrlen;
        }
        if (!emit(s, packet(s), tx->len, off))
            return false;
    }
    tx->sending = false;
    if (tx->last) {
        packet_done(s);
    } else {
        tx->seq_done += tx->len - c->hdrlen;
        tx->len = c->hdrlen;
    }
    return true;
}

/* How many bytes may be gathered before something has to go. */
static uint32_t gather_limit(const struct e1000 *s)
{
    const struct e1000_context *c = &s->tx.ctx[1];
    if (!s->tx.tse)
        return BUF_MAX;
    return c->hdrlen + (BUF_MAX - c->hdrlen) / c->mss * c->mss;
}

/* ---- descriptors ---- */

static void take_context(struct e1000 *s, const uint8_t *d)
{
    uint32_t command = pci_get32(d + 8);
    s->tx.ctx[command >> 24 & CMD_TSE ? 1 : 0] = (struct e1000_context){
        .ipcss = d[0],
        .ipcso = d[1],
        .ipcse = pci_get16(d + 2),
        .tucss = d[4],
        .tucso = d[5],
        .tucse = pci_get16(d + 6),
        .tucmd = d[11],
        .hdrlen = d[13],
        .mss = pci_get16(d + 14),
    };
}

static void start_packet(struct e1000 *s, const uint8_t *d, bool extended, uint8_t cmd)
{
    struct e1000_tx *tx = &s->tx;
    tx->started = true;
    tx->tse = extended && cmd & CMD_TSE;
    tx->popts = extended ? d[13] : 0;
    if (tx->tse &&
        (tx->ctx[1].mss < MSS_MIN || tx->ctx[1].mss > E1000_LONG_MAX || !tx->ctx[1].hdrlen)) {
        tx->bad = true;
        tx->tse = false;
    }
}

/* Takes the rest of a data descriptor's bytes. False: the net is full in the middle of it. */
static bool gather(struct e1000 *s, uint64_t addr, uint32_t len)
{
    struct e1000_tx *tx = &s->tx;
    uint32_t limit = gather_limit(s);
    while (tx->desc_done < len) {
        uint32_t n = len - tx->desc_done;
        if (tx->bad || (tx->len == limit && !tx->tse)) {
            tx->bad = true;
            tx->desc_done = len;
            break;
        }
        if (tx->len == limit) {
            if (!tx->sending)
                prepare(s, false);
            if (!send_ready(s))
                return false;
            continue;
        }
        if (n > limit - tx->len)
            n = limit - tx->len;
        e1000_dma_read(s, addr + tx->desc_done, packet(s) + tx->len, n);
        tx->len += n;
        tx->desc_done += n;
    }
    return true;
}

/* One descriptor. False: stopped in the middle of it, as the net is full. */
static bool run_descriptor(struct e1000 *s, const uint8_t *d, uint32_t *bytes)
{
    struct e1000_tx *tx = &s->tx;
    uint64_t addr = pci_get32(d) | (uint64_t)pci_get32(d + 4) << 32;
    uint8_t cmd = d[11];
    bool extended = cmd & CMD_DEXT;
    uint32_t len;
    if (extended && d[10] >> 4 == TYPE_CONTEXT) {
        if (!tx->started)
            take_context(s, d);
        return true;
    }
    if (extended && d[10] >> 4 != TYPE_DATA) {
        log_mask(LOG_GUEST_ERRORS, "e1000: transmit descriptor of type %d", d[10] >> 4);
        return true;
    }
    if (!tx->started)
        start_packet(s, d, extended, cmd);
    len = extended ? pci_get32(d + 8) & 0xfffff : pci_get16(d + 8);
    *bytes += len - (tx->desc_done < len ? tx->desc_done : len);
    if (cmd & CMD_VLE) {
        tx->vle = true;
        tx->special = pci_get16(d + 14);
    }
    if (!(tx->sending && tx->last)) {
        if (!gather(s, addr, len))
            return false;
        if (!(cmd & CMD_EOP))
            return true;
        if (!extended && cmd & CMD_IC) {
            tx->ic = true;
            tx->cso = d[10];
            tx->css = d[13];
        }
        prepare(s, true);
    }
    return send_ready(s);
}

/* ---- interrupts ---- */

static void tx_interrupt(void *opaque)
{
    struct e1000 *s = opaque;
    timer_del(&s->tx_timer);
    timer_del(&s->tx_abs_timer);
    e1000_set_cause(s, ICR_TXDW);
}

/* Of TIDV and TADV. Drivers ask for some 10 us, in which their hardware sent several frames; the
 * guest may take longer for one. It waits for nothing but its buffers. */
static int64_t tx_delay_ns(uint32_t units)
{
    return units * DELAY_NS < DELAY_LEAST ? DELAY_LEAST : units * DELAY_NS;
}

/* Status into the descriptor at @at, if it asks for that. Returns causes. */
static uint32_t write_back(struct e1000 *s, uint64_t at, const uint8_t *d)
{
    struct clock *clock = &s->pci.dev.machine->clock;
    uint32_t delay = e1000_get(s, TIDV) & 0xffff, most = e1000_get(s, TADV) & 0xffff;
    uint8_t cmd = d[11], status = d[12] | STATUS_DD;
    if (!(cmd & (CMD_RS | CMD_RPS)))
        return 0;
    e1000_dma_write(s, at + 12, &status, 1);
    if (!(cmd & CMD_IDE) || !delay)
        return ICR_TXDW;
    timer_mod(&s->tx_timer, clock_now_ns(clock) + tx_delay_ns(delay));
    if (most && !timer_pending(&s->tx_abs_timer))
        timer_mod(&s->tx_abs_timer, clock_now_ns(clock) + tx_delay_ns(most));
    return 0;
}

void e1000_tx_run(struct e1000 *s)
{
    uint64_t base = (uint64_t)e1000_get(s, TDBAH) << 32 | (e1000_get(s, TDBAL) & ~15u);
    uint32_t n = e1000_get(s, TDLEN) / DESC_SIZE, causes = 0, bytes = 0, done = 0;
    uint32_t *head = e1000_reg(s, TDH);
    if (!(e1000_get(s, TCTL) & TCTL_EN) || !n || !(s->pci.config[PCI_COMMAND] & PCI_COMMAND_MASTER))
        return;
    uint32_t tail = e1000_get(s, TDT) % n, low = (e1000_get(s, TXDCTL) >> 25) * 8;
    if (*head >= n)
        *head = 0;
    while (*head != tail) {
        uint8_t d[DESC_SIZE];
        if (done++ == BUDGET_DESCS || bytes >= BUDGET_BYTES) {
            e1000_schedule(s);
            break;
        }
        e1000_dma_read(s, base + (uint64_t)*head * DESC_SIZE, d, sizeof d);
        if (!run_descriptor(s, d, &bytes)) {
            s->tx_blocked = true;
            break;
        }
        s->tx.desc_done = 0;
        causes |= write_back(s, base + (uint64_t)*head * DESC_SIZE, d);
        *head = *head + 1 == n ? 0 : *head + 1;
        if (low && (tail + n - *head) % n == low)
            causes |= ICR_TXD_LOW;
        if (*head == tail)
            causes |= ICR_TXQE;
    }
    if (causes)
        e1000_set_cause(s, causes);
}

void e1000_tx_init(struct e1000 *s)
{
    struct clock *c = &s->pci.dev.machine->clock;
    timer_init(&s->tx_timer, c, tx_interrupt, s);
    timer_init(&s->tx_abs_timer, c, tx_interrupt, s);
}

void e1000_tx_reset(struct e1000 *s)
{
    packet_done(s);
    s->tx.sending = false;
    s->tx.desc_done = 0;
    s->tx_blocked = false;
}
