/*
 * RTL8139C+, the data path: data sheets RTL8139C (four transmit registers, one receive ring) and
 * RTL8139C+ (descriptor rings).
 *
 * Legacy transmission: software clears OWN in TSD0..3 in turn; each frame is one buffer. Legacy
 * reception: a ring of 8 to 64 KB at RBSTART; a frame is status (16 bits), length with FCS (16
 * bits), data and FCS, and the next one begins at a multiple of four. With RCR.WRAP a frame isn't
 * cut at the end but runs on behind it.
 *
 * C+: rings of up to 64 descriptors of 16 bytes (flags and size, VLAN tag, address) that end with
 * EOR. A frame's transmit descriptors are read, and the frame gathered, before the first of them is
 * written back; so when the peer has no room, nothing has happened yet and writable() begins again.
 * Checksums and the cutting of large segments are left to the network (struct net_offload).
 *
 * No room. A frame for a full ring is refused. CAPR tells of room in the legacy ring; the driver of
 * a descriptor ring only writes to memory, so accesses that come with it (ISR, IMR) and a timer
 * look again.
 *
 * ROK once more. Linux's 8139too stops after 64 frames with ROK cleared though there are more in
 * the ring; on a wire the next frame interrupts it again, but here the sender may be waiting for
 * room. So with frames in the legacy ring after ROK was cleared, or a descriptor ring that is still
 * full when the timer looks, ROK is set again, once for each place that the ring stands at.
 *
 * Hostile rings: a call sends at most as many descriptors as a ring can have, a frame is bounded by
 * frame[], and DMA to our own registers is ignored (busy).
 */
#include "hw/net/rtl8139.h"

#include <string.h>

#include "hw/net/eth.h"
#include "log.h"
#include "machine.h"

enum {
    RING_MAX = 64,
    DESC_SIZE = 16,
    RX_POLL_NS = 1000000,
    ROK_AGAIN_NS = 50000,

    /* legacy receive status */
    RS_ROK = 0x0001,
    RS_BAR = 0x2000,
    RS_PAM = 0x4000,
    RS_MAR = 0x8000,

    TAGGED_TX = 1u << 17, /* word 1: insert the tag */
    TAGGED_RX = 1u << 16, /* word 1: there was a tag */
    ETHERTYPE_IPV4 = 0x0800,
    ETHERTYPE_VLAN = 0x8100,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    IP_MIN_LEN = 20,
    TCP_MIN_LEN = 20,
    UDP_LEN = 8,
    TALLY_SIZE = 64,
};

/* word 0 of a descriptor */
#define D_OWN      (1u << 31)
#define D_EOR      (1u << 30)
#define D_FS       (1u << 29)
#define D_LS       (1u << 28)
#define D_LGSEN    (1u << 27)
#define D_MSS(w)   ((w) >> 16 & 0x7ff)
#define D_IPCS     (1u << 18)
#define D_UDPCS    (1u << 17)
#define D_TCPCS    (1u << 16)
#define D_TX_SIZE  0xffffu
#define D_RX_SIZE  0x1fffu
#define D_MAR      (1u << 26)
#define D_PAM      (1u << 25)
#define D_BAR      (1u << 24)
#define D_PID_TCP  (1u << 16)
#define D_PID_UDP  (2u << 16)
#define D_PID_IP   (3u << 16)
#define D_IPF      (1u << 15)
#define D_UDPF     (1u << 14)
#define D_TCPF     (1u << 13)
#define D_TX_ERROR 0x02ff0000u /* what the chip clears or sets there after sending */

struct desc {
    uint64_t at;
    uint32_t word[2];
    uint64_t buffer;
};

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static uint64_t wide(const uint32_t lo_hi[2])
{
    return lo_hi[0] | (uint64_t)lo_hi[1] << 32;
}

static struct desc read_desc(struct rtl8139 *s, uint64_t ring, unsigned index)
{
    uint8_t b[DESC_SIZE];
    struct desc d = { .at = (ring & ~0xffull) + (uint64_t)index * DESC_SIZE };
    pci_dma_read(&s->pci, d.at, b, sizeof b);
    d.word[0] = pci_get32(b);
    d.word[1] = pci_get32(b + 4);
    d.buffer = pci_get32(b + 8) | (uint64_t)pci_get32(b + 12) << 32;
    return d;
}

static void write_desc(struct rtl8139 *s, const struct desc *d)
{
    uint8_t b[8];
    pci_set32(b, d->word[0]);
    pci_set32(b + 4, d->word[1]);
    pci_dma_write(&s->pci, d->at, b, sizeof b);
}

static uint8_t next_index(const struct desc *d, unsigned index)
{
    return d->word[0] & D_EOR ? 0 : (uint8_t)((index + 1) % RING_MAX);
}

/* ---- checksums ---- */

/* An IPv4 packet in an untagged frame: what the chip understands. */
struct ipv4 {
    size_t l4, end; /* offsets: behind the IP header; end of the packet */
    uint8_t proto;
    bool fragment;
};

static bool find_ipv4(const uint8_t *frame, size_t len, struct ipv4 *ip)
{
    const uint8_t *p = frame + ETH_HEADER_LEN;
    if (len < ETH_HEADER_LEN + IP_MIN_LEN || get16(frame + 12) != ETHERTYPE_IPV4 || p[0] >> 4 != 4)
        return false;
    size_t header = (size_t)(p[0] & 15) * 4, total = get16(p + 2);
    if (header < IP_MIN_LEN || total < header || total > len - ETH_HEADER_LEN)
        return false;
    ip->l4 = ETH_HEADER_LEN + header;
    ip->end = ETH_HEADER_LEN + total;
    ip->proto = p[9];
    ip->fragment = (get16(p + 6) & 0x3fff) != 0;
    return true;
}

/* The one's complement sum of the pseudo-header. */
static unsigned pseudo_sum(const uint8_t *frame, const struct ipv4 *ip)
{
    const uint8_t *addresses = frame + ETH_HEADER_LEN + 12;
    size_t len = ip->end - ip->l4;
    uint32_t sum = ip->proto + (uint32_t)len;
    for (int i = 0; i < 8; i += 2)
        sum += get16(addresses + i);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static bool l4_checksum_good(const uint8_t *frame, const struct ipv4 *ip)
{
    size_t len = ip->end - ip->l4;
    if (len < (ip->proto == PROTO_TCP ? (size_t)TCP_MIN_LEN : UDP_LEN))
        return false;
    if (ip->proto == PROTO_UDP && get16(frame + ip->l4 + 6) == 0)
        return true; /* sent without one */
    unsigned sum = pseudo_sum(frame, ip) + (uint16_t)~net_checksum(frame + ip->l4, len);
    return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

/* What word 0 of a receive descriptor says about the packet's checksums. */
static uint32_t rx_checksum_bits(const uint8_t *frame, size_t len)
{
    struct ipv4 ip;
    if (!find_ipv4(frame, len, &ip))
        return 0;
    uint32_t bits = D_PID_IP;
    if (net_checksum(frame + ETH_HEADER_LEN, ip.l4 - ETH_HEADER_LEN) != 0)
        bits |= D_IPF;
    if (ip.fragment || (ip.proto != PROTO_TCP && ip.proto != PROTO_UDP))
        return bits;
    bool tcp = ip.proto == PROTO_TCP;
    bits = (bits & D_IPF) | (tcp ? D_PID_TCP : D_PID_UDP);
    if (!l4_checksum_good(frame, &ip))
        bits |= tcp ? D_TCPF : D_UDPF;
    return bits;
}

/* Does or delegates what word 0 of the first descriptor asks for. */
static void tx_offload(uint8_t *frame, size_t len, uint32_t word, struct net_offload *off)
{
    struct ipv4 ip;
    bool large = word & D_LGSEN;
    if (!large && !(word & (D_IPCS | D_UDPCS | D_TCPCS)))
        return;
    if (!find_ipv4(frame, len, &ip))
        return;
    if (large || (word & D_IPCS)) {
        put16(frame + ETH_HEADER_LEN + 10, 0);
        put16(frame + ETH_HEADER_LEN + 10,
              net_checksum(frame + ETH_HEADER_LEN, ip.l4 - ETH_HEADER_LEN));
    }
    bool tcp = ip.proto == PROTO_TCP && (large || (word & D_TCPCS));
    bool udp = ip.proto == PROTO_UDP && !large && (word & D_UDPCS);
    size_t l4_len = ip.end - ip.l4;
    if (ip.fragment || !(tcp || udp) || l4_len < (tcp ? (size_t)TCP_MIN_LEN : UDP_LEN))
        return;
    off->needs_csum = true;
    off->csum_start = (uint16_t)ip.l4;
    off->csum_offset = tcp ? 16 : 6;
    put16(frame + ip.l4 + off->csum_offset, pseudo_sum(frame, &ip));
    size_t headers = ip.l4 + (size_t)(frame[ip.l4 + 12] >> 4) * 4;
    if (large && headers <= len && len - headers > D_MSS(word)) {
        off->gso = NET_GSO_TCPV4;
        off->gso_size = (uint16_t)D_MSS(word);
        off->hdr_len = (uint16_t)headers;
        off->gso_ecn = frame[ip.l4 + 13] & 0x80;
    }
}

/* ---- reception ---- */

/* RS_ bits of a frame that is wanted, 0 otherwise. */
static unsigned accepts(const struct rtl8139 *s, const uint8_t *frame)
{
    switch (eth_dest(frame)) {
    case ETH_BROADCAST: return s->rcr & RTL_RCR_AB ? RS_ROK | RS_BAR : 0;
    case ETH_MULTICAST: {
        unsigned hash = net_crc32_be(frame, ETH_ADDR_LEN) >> 26;
        bool hit = s->mar[hash >> 3] >> (hash & 7) & 1;
        return (s->rcr & RTL_RCR_AM) && hit ? RS_ROK | RS_MAR : 0;
    }
    default:
        if ((s->rcr & RTL_RCR_APM) && !memcmp(frame, s->idr, ETH_ADDR_LEN))
            return RS_ROK | RS_PAM;
        return s->rcr & RTL_RCR_AAP ? RS_ROK : 0;
    }
}

static void count_missed(struct rtl8139 *s)
{
    s->mpc = (s->mpc + 1) & 0xffffff;
    s->tally.miss++;
}

uint32_t rtl8139_ring_size(const struct rtl8139 *s)
{
    return 8192u << (s->rcr >> 11 & 3);
}

/* Appends to the legacy ring. */
static void put(struct rtl8139 *s, uint32_t *at, const uint8_t *p, size_t len)
{
    uint32_t size = rtl8139_ring_size(s);
    bool run_on = (s->rcr & RTL_RCR_WRAP) && size < 65536;
    size_t n = len;
    if (!run_on && *at + len > size)
        n = *at < size ? size - *at : 0;
    pci_dma_write(&s->pci, (uint64_t)s->rbstart + *at, p, n);
    pci_dma_write(&s->pci, s->rbstart, p + n, len - n);
    *at = n < len ? (uint32_t)(len - n) : *at + (uint32_t)len;
}

static bool legacy_receive(struct rtl8139 *s, const uint8_t *frame, size_t len, unsigned status)
{
    uint32_t size = rtl8139_ring_size(s), at = s->rx_write;
    size_t stored = len + ETH_FCS_LEN, need = (4 + stored + 3) & ~(size_t)3;
    uint32_t used = (size + s->rx_write - s->rx_read) % size;
    if (need >= size) {
        count_missed(s);
        return true;
    }
    if (need >= size - used)
        return false;
    uint8_t header[4] = { (uint8_t)status, (uint8_t)(status >> 8), (uint8_t)stored,
                          (uint8_t)(stored >> 8) };
    uint8_t fcs[ETH_FCS_LEN];
    eth_fcs(frame, len, fcs);
    put(s, &at, header, sizeof header);
    put(s, &at, frame, len);
    put(s, &at, fcs, sizeof fcs);
    s->rx_write = (uint16_t)((s->rx_write + need) % size);
    s->reraised_at = UINT32_MAX;
    return true;
}

/* Spreads frame and FCS over descriptors; the caller made sure that they are there. */
static void cp_store(struct rtl8139 *s, const uint8_t *frame, size_t len, uint32_t bits,
                     uint32_t tag)
{
    uint8_t fcs[ETH_FCS_LEN];
    size_t total = len + ETH_FCS_LEN, done = 0;
    eth_fcs(frame, len, fcs);
    for (unsigned i = 0; done < total && i < RING_MAX; i++) {
        struct desc d = read_desc(s, wide(s->rdsar), s->cp_rx);
        size_t room = d.word[0] & D_RX_SIZE, n = room < total - done ? room : total - done;
        size_t data = done >= len ? 0 : n < len - done ? n : len - done;
        pci_dma_write(&s->pci, d.buffer, frame + (data ? done : 0), data);
        if (n > data)
            pci_dma_write(&s->pci, d.buffer + data, fcs + (done + data - len), n - data);
        uint32_t word = d.word[0] & D_EOR;
        if (!done)
            word |= D_FS;
        done += n;
        if (done == total)
            word |= D_LS | bits | ((uint32_t)total & D_RX_SIZE);
        else
            word |= (uint32_t)n;
        s->cp_rx = next_index(&d, s->cp_rx);
        d.word[0] = word;
        d.word[1] = tag;
        write_desc(s, &d);
    }
}

/* Free descriptors from the next one on must have room for @total bytes. */
static bool cp_has_room(struct rtl8139 *s, size_t total, bool *never)
{
    size_t room = 0;
    unsigned index = s->cp_rx;
    *never = false;
    for (unsigned i = 0; i < RING_MAX; i++) {
        struct desc d = read_desc(s, wide(s->rdsar), index);
        if (!(d.word[0] & D_OWN))
            return false;
        room += d.word[0] & D_RX_SIZE;
        if (room >= total)
            return true;
        index = next_index(&d, index);
        if (index == s->cp_rx)
            break;
    }
    *never = true;
    return false;
}

static bool cp_receive(struct rtl8139 *s, const uint8_t *frame, size_t len, unsigned status)
{
    uint8_t untagged[D_RX_SIZE];
    uint32_t tag = 0, bits = 0;
    bool never;
    if ((s->cpcr & RTL_CPCR_RX_VLAN) && get16(frame + 12) == ETHERTYPE_VLAN &&
        len <= sizeof untagged) {
        /* The tag's bytes as they came, in a little-endian word. */
        tag = TAGGED_RX | frame[14] | (uint32_t)frame[15] << 8;
        memcpy(untagged, frame, 12);
        memcpy(untagged + 12, frame + 16, len - 16);
        len -= RTL_VLAN_TAG_LEN;
        frame = untagged;
    }
    if (!cp_has_room(s, len + ETH_FCS_LEN, &never)) {
        if (never) {
            log_mask(LOG_GUEST_ERRORS, "rtl8139: receive ring too small for %zu bytes", len);
            count_missed(s);
            return true;
        }
        if (!timer_pending(&s->rx_poll))
            timer_mod(&s->rx_poll, clock_now_ns(s->rx_poll.clock) + RX_POLL_NS);
        return false;
    }
    if (status & RS_BAR)
        bits |= D_BAR;
    if (status & RS_MAR)
        bits |= D_MAR;
    if (status & RS_PAM)
        bits |= D_PAM;
    if (s->cpcr & RTL_CPCR_RX_CHECKSUM)
        bits |= rx_checksum_bits(frame, len);
    cp_store(s, frame, len, bits, tag);
    s->reraised_at = UINT32_MAX;
    return true;
}

static bool receive_frame(struct rtl8139 *s, const uint8_t *frame, size_t len)
{
    uint8_t padded[ETH_MIN_LEN];
    if (!(s->cr & RTL_CR_RE) || s->halted || len < ETH_ADDR_LEN)
        return true;
    unsigned status = accepts(s, frame);
    if (!status)
        return true;
    if (len < ETH_MIN_LEN) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, frame, len);
        frame = padded;
        len = ETH_MIN_LEN;
    }
    if (len + ETH_FCS_LEN > D_RX_SIZE) { /* neither kind of ring can tell such a length */
        count_missed(s);
        return true;
    }
    s->busy++;
    bool taken = rtl8139_cp_rx(s) ? cp_receive(s, frame, len, status)
                                  : legacy_receive(s, frame, len, status);
    s->busy--;
    if (!taken)
        return false;
    s->tally.rx_ok++;
    s->tally.rx_phys += (status & RS_PAM) != 0;
    s->tally.rx_broadcast += (status & RS_BAR) != 0;
    s->tally.rx_multicast += (status & RS_MAR) != 0;
    rtl8139_raise(s, RTL_ISR_ROK);
    return true;
}

bool rtl8139_receive(struct net_client *nc, const struct net_frame *f)
{
    struct rtl8139 *s = (struct rtl8139 *)((struct nic *)nc)->device;
    if ((s->tcr & RTL_TCR_LOOPBACK) == RTL_TCR_LOOPBACK)
        return true;
    return receive_frame(s, f->data, f->len);
}

/* Is there something that the driver may have overlooked? */
static bool rx_unread(const struct rtl8139 *s)
{
    if (!(s->cr & RTL_CR_RE) || (s->isr & RTL_ISR_ROK))
        return false;
    uint32_t place = rtl8139_cp_rx(s) ? s->cp_rx : s->rx_read;
    bool unread = rtl8139_cp_rx(s) ? net_queue_length(&s->nic->nc) != 0 : s->rx_read != s->rx_write;
    return unread && place != s->reraised_at;
}

void rtl8139_rok_cleared(struct rtl8139 *s)
{
    if (!rtl8139_cp_rx(s) && rx_unread(s))
        timer_mod(&s->rx_poll, clock_now_ns(s->rx_poll.clock) + ROK_AGAIN_NS);
}

void rtl8139_look_again(void *opaque)
{
    struct rtl8139 *s = opaque;
    net_accept(&s->nic->nc);
    if (!rx_unread(s))
        return;
    s->reraised_at = rtl8139_cp_rx(s) ? s->cp_rx : s->rx_read;
    rtl8139_raise(s, RTL_ISR_ROK);
}

/* ---- transmission ---- */

/* To the wire or back to ourselves. False: the peer has no room. */
static bool send_frame(struct rtl8139 *s, const struct net_frame *f)
{
    if ((s->tcr & RTL_TCR_LOOPBACK) == RTL_TCR_LOOPBACK) {
        if (!receive_frame(s, f->data, f->len))
            count_missed(s);
        return true;
    }
    s->sending = true;
    bool taken = net_send(&s->nic->nc, f);
    s->sending = false;
    return taken;
}

void rtl8139_transmit(struct rtl8139 *s)
{
    if (s->sending || s->busy)
        return;
    for (int i = 0; i < 4 && (s->cr & RTL_CR_TE); i++) {
        uint32_t *tsd = &s->tsd[s->tx_next];
        if (*tsd & RTL_TSD_OWN)
            break;
        size_t len = *tsd & RTL_TSD_SIZE;
        s->busy++;
        pci_dma_read(&s->pci, s->tsad[s->tx_next], s->frame, len);
        bool taken = send_frame(s, &(struct net_frame){ .data = s->frame, .len = len });
        s->busy--;
        if (!taken)
            return;
        *tsd |= RTL_TSD_OWN | RTL_TSD_TOK;
        s->tx_next = (s->tx_next + 1) & 3;
        s->tally.tx_ok++;
        rtl8139_raise(s, RTL_ISR_TOK);
    }
}

/* Inserts the tag of word 1 behind the addresses. */
static size_t insert_tag(uint8_t *frame, size_t len, uint32_t word1)
{
    memmove(frame + 16, frame + 12, len - 12);
    put16(frame + 12, ETHERTYPE_VLAN);
    frame[14] = (uint8_t)word1;
    frame[15] = (uint8_t)(word1 >> 8);
    return len + RTL_VLAN_TAG_LEN;
}

enum gathered { GATHERED, NOT_READY, TOO_LONG };

/* Reads the frame that begins at descriptor @index of @ring; *count is how many it has. */
static enum gathered gather(struct rtl8139 *s, uint64_t ring, unsigned index, struct desc *first,
                            size_t *len, unsigned *count)
{
    *len = 0;
    *count = 0;
    bool fits = true;
    for (unsigned i = 0; i < RING_MAX; i++) {
        struct desc d = read_desc(s, ring, index);
        if (!(d.word[0] & D_OWN))
            return NOT_READY;
        size_t n = d.word[0] & D_TX_SIZE;
        fits = fits && n <= NET_FRAME_MAX - *len;
        if (fits) {
            pci_dma_read(&s->pci, d.buffer, s->frame + *len, n);
            *len += n;
        }
        if (i == 0)
            *first = d;
        ++*count;
        if (d.word[0] & D_LS)
            return fits ? GATHERED : TOO_LONG;
        index = next_index(&d, index);
    }
    return TOO_LONG;
}

/* The frame is gone: gives its descriptors back. */
static void release(struct rtl8139 *s, uint64_t ring, int priority, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct desc d = read_desc(s, ring, s->cp_tx[priority]);
        s->cp_tx[priority] = next_index(&d, s->cp_tx[priority]);
        d.word[0] &= ~(D_OWN | D_TX_ERROR);
        write_desc(s, &d);
    }
}

/* One frame of the ring. False: nothing (more) can be sent now; *dry: because there is none. */
static bool cp_transmit_one(struct rtl8139 *s, int priority, unsigned *descriptors, bool *dry)
{
    uint64_t ring = wide(s->tsad + 2 * priority);
    struct net_frame f = { .data = s->frame };
    struct desc first;
    unsigned count;
    switch (gather(s, ring, s->cp_tx[priority], &first, &f.len, &count)) {
    case NOT_READY: *dry = true; return false;
    case TOO_LONG:
        log_mask(LOG_GUEST_ERRORS, "rtl8139: frame of more than %u bytes", (unsigned)NET_FRAME_MAX);
        s->tally.tx_err++;
        break;
    case GATHERED:
        tx_offload(s->frame, f.len, first.word[0], &f.off);
        if ((first.word[1] & TAGGED_TX) && f.len >= ETH_HEADER_LEN &&
            f.len + RTL_VLAN_TAG_LEN <= NET_FRAME_MAX) {
            f.len = insert_tag(s->frame, f.len, first.word[1]);
            f.off.csum_start += f.off.needs_csum ? RTL_VLAN_TAG_LEN : 0;
            f.off.hdr_len += f.off.gso ? RTL_VLAN_TAG_LEN : 0;
        }
        if (!send_frame(s, &f))
            return false;
        s->tally.tx_ok++;
        break;
    }
    release(s, ring, priority, count);
    *descriptors += count;
    rtl8139_raise(s, RTL_ISR_TOK);
    return true;
}

/* @polled: the driver asked for it, and wants to know that there is nothing (more). */
static void cp_run(struct rtl8139 *s, int priority, bool polled)
{
    if (s->sending || s->busy)
        return;
    unsigned descriptors = 0;
    bool dry = false;
    s->busy++;
    while ((s->cr & RTL_CR_TE) && rtl8139_cp_tx(s) && descriptors < RING_MAX &&
           cp_transmit_one(s, priority, &descriptors, &dry))
        continue;
    s->busy--;
    if (dry && (polled || descriptors))
        rtl8139_raise(s, RTL_ISR_TDU);
}

void rtl8139_cp_transmit(struct rtl8139 *s, int priority)
{
    cp_run(s, priority, true);
}

void rtl8139_writable(struct net_client *nc)
{
    struct rtl8139 *s = (struct rtl8139 *)((struct nic *)nc)->device;
    if (rtl8139_cp_tx(s)) {
        cp_run(s, 1, false);
        cp_run(s, 0, false);
    } else {
        rtl8139_transmit(s);
    }
}

/* ---- tally counters ---- */

void rtl8139_dump_tally(struct rtl8139 *s, uint64_t addr)
{
    const struct rtl8139_tally *t = &s->tally;
    uint8_t b[TALLY_SIZE] = { 0 };
    const struct {
        uint8_t at;
        uint64_t v;
    } wide_counters[] = { { 0, t->tx_ok },
                          { 8, t->rx_ok },
                          { 16, t->tx_err },
                          { 40, t->rx_phys },
                          { 48, t->rx_broadcast } };
    for (size_t i = 0; i < sizeof wide_counters / sizeof wide_counters[0]; i++) {
        pci_set32(b + wide_counters[i].at, (uint32_t)wide_counters[i].v);
        pci_set32(b + wide_counters[i].at + 4, (uint32_t)(wide_counters[i].v >> 32));
    }
    pci_set32(b + 24, t->rx_err);
    pci_set16(b + 28, t->miss);
    pci_set32(b + 56, t->rx_multicast);
    s->busy++;
    pci_dma_write(&s->pci, addr, b, sizeof b);
    s->busy--;
}
