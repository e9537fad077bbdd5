/*
 * The e1000's receiver (SDM 3.2, 14.3).
 *
 * A frame passes the filter (unicast addresses, multicast hash, broadcast, promiscuous modes, VLAN
 * table, length), is stripped of its VLAN tag if CTRL.VME says so, and fills as many descriptors as
 * it needs, from RDH on; the driver owns those up to RDT. If there are too few the frame stays in
 * the queue before us (receive() says no), and is asked for again when the driver moves RDT. While
 * the receiver is off or the link down, frames are lost, as on a cable.
 *
 * With RXCSUM's offload bits the checksums are verified here, so that the driver needn't. The frame
 * check sequence, which no frame of ours has, is made up where the driver wants to see it
 * (RCTL.SECRC 0).
 *
 * The receive interrupt waits RDTR after the last frame, at most RADV after the first.
 */
#include <string.h>

#include "hw/net/e1000_int.h"
#include "hw/net/eth.h"
#include "hw/net/inet_csum.h"
#include "log.h"
#include "machine.h"

enum {
    DESC_SIZE = 16,
    STATUS_DD = 1,
    STATUS_EOP = 2,
    STATUS_IXSM = 4,
    STATUS_VP = 8,
    STATUS_TCPCS = 0x20,
    STATUS_IPCS = 0x40,
    STATUS_PIF = 0x80,
    ERROR_TCPE = 0x20,
    ERROR_IPE = 0x40,
    RAH_AV = 1u << 31,
    RAH_AS_SOURCE = 1 << 16,
    ADDRESSES = 16,
    VLAN_TAG = 4,
    VLAN_CFI = 0x1000,
    FLUSH = 1u << 31,
};
#define DELAY_NS 1024ll /* unit of RDTR and RADV */

/* ---- filter ---- */

static bool matches_address(const struct e1000 *s, const uint8_t *frame)
{
    for (unsigned i = 0; i < ADDRESSES; i++) {
        uint32_t low = e1000_get(s, RA + 8 * i), high = e1000_get(s, RA + 8 * i + 4);
        if (!(high & RAH_AV))
            continue;
        const uint8_t *a = frame + (high & RAH_AS_SOURCE ? 6 : 0);
        if (pci_get32(a) == low && pci_get16(a + 4) == (uint16_t)high)
            return true;
    }
    return false;
}

static bool matches_hash(const struct e1000 *s, const uint8_t *a)
{
    static const uint8_t shifts[] = { 4, 3, 2, 0 };
    uint32_t offset = e1000_get(s, RCTL) >> 12 & 3;
    uint32_t hash = (uint32_t)pci_get16(a + 4) >> shifts[offset] & 0xfff;
    return e1000_get(s, MTA + (hash >> 5) * 4) >> (hash & 31) & 1;
}

static bool is_tagged(const struct e1000 *s, const uint8_t *frame)
{
    uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);
    return type == (uint16_t)e1000_get(s, VET);
}

static uint16_t tag_of(const uint8_t *frame)
{
    return (uint16_t)(frame[14] << 8 | frame[15]);
}

/* @pif: it only passed by the multicast hash, which isn't exact. */
static bool accepts(const struct e1000 *s, const uint8_t *frame, bool *pif)
{
    uint32_t rctl = e1000_get(s, RCTL);
    *pif = false;
    if (rctl & RCTL_VFE && is_tagged(s, frame)) {
        uint16_t tag = tag_of(frame);
        uint32_t id = tag & 0xfff;
        if (!(e1000_get(s, VFTA + (id >> 5) * 4) >> (id & 31) & 1))
            return false;
        if (rctl & RCTL_CFIEN && !(tag & VLAN_CFI) != !(rctl & RCTL_CFI))
            return false;
    }
    bool broadcast = !memcmp(frame, "\xff\xff\xff\xff\xff\xff", 6), multicast = frame[0] & 1;
    if (rctl & (multicast ? RCTL_MPE : RCTL_UPE))
        return true;
    if (broadcast && rctl & RCTL_BAM)
        return true;
    if (matches_address(s, frame))
        return true;
    *pif = multicast && matches_hash(s, frame);
    return *pif;
}

static bool too_long(struct e1000 *s, size_t len)
{
    uint32_t rctl = e1000_get(s, RCTL);
    size_t max = rctl & RCTL_LPE ? E1000_LONG_MAX : E1000_FRAME_MAX;
    if (len <= max || (rctl & RCTL_SBP && len <= E1000_LONG_MAX))
        return false;
    e1000_count(s, COUNT_ROC);
    return true;
}

/* ---- descriptors ---- */

static uint32_t buffer_size(const struct e1000 *s)
{
    uint32_t rctl = e1000_get(s, RCTL), size = 2048u >> (rctl >> 16 & 3);
    return rctl & RCTL_BSEX && size < 2048 ? size * 16 : size;
}

static uint32_t ring_size(const struct e1000 *s)
{
    return e1000_get(s, RDLEN) / DESC_SIZE;
}

/* Descriptors from RDH on that are ours. */
static uint32_t available(struct e1000 *s)
{
    uint32_t n = ring_size(s), tail = e1000_get(s, RDT);
    if (!n)
        return 0;
    if (e1000_get(s, RDH) >= n)
        *e1000_reg(s, RDH) = 0;
    tail %= n;
    return (tail + n - e1000_get(s, RDH)) % n;
}

/* Status and errors of a frame's last descriptor. */
static uint16_t checksum_status(struct e1000 *s, const uint8_t *frame, size_t len, bool valid)
{
    uint32_t rxcsum = e1000_get(s, RXCSUM);
    if (!(rxcsum & (RXCSUM_IPOFLD | RXCSUM_TUOFLD)))
        return STATUS_IXSM;
    unsigned found = valid ? INET_IP_CHECKED | INET_L4_CHECKED : inet_check_frame(frame, len);
    uint16_t status = 0;
    if (rxcsum & RXCSUM_IPOFLD && found & INET_IP_CHECKED) {
        status |= STATUS_IPCS;
        if (found & INET_IP_BAD)
            status |= ERROR_IPE << 8;
    }
    if (rxcsum & RXCSUM_TUOFLD && found & INET_L4_CHECKED) {
        status |= STATUS_TCPCS;
        if (found & INET_L4_BAD)
            status |= ERROR_TCPE << 8;
    }
    return status ? status : STATUS_IXSM;
}

/* Checksum of the packet from RXCSUM.PCSS on, as descriptors have it. */
static uint16_t packet_checksum(const struct e1000 *s, const uint8_t *frame, size_t len)
{
    size_t start = e1000_get(s, RXCSUM) & 0xff;
    return start < len ? inet_fold(inet_sum(frame + start, len - start)) : 0;
}

struct piece {
    const uint8_t *data;
    size_t len;
};

/* @size bytes to guest memory, from pieces that are used up. */
static void copy_pieces(struct e1000 *s, uint64_t addr, struct piece *p, size_t size)
{
    while (size) {
        while (!p->len)
            p++;
        size_t n = p->len < size ? p->len : size;
        e1000_dma_write(s, addr, p->data, n);
        p->data += n;
        p->len -= n;
        addr += n;
        size -= n;
    }
}

/* @pieces hold @total bytes, for which there are descriptors; the last one gets @status, high byte:
 * errors. */
static void fill_descriptors(struct e1000 *s, struct piece *pieces, size_t total, uint16_t status,
                             uint16_t checksum, uint16_t special)
{
    uint64_t base = (uint64_t)e1000_get(s, RDBAH) << 32 | (e1000_get(s, RDBAL) & ~15u);
    uint32_t n = ring_size(s), head = e1000_get(s, RDH), size = buffer_size(s);
    while (total) {
        uint8_t desc[DESC_SIZE];
        uint64_t at = base + (uint64_t)head * DESC_SIZE;
        e1000_dma_read(s, at, desc, sizeof desc);
        size_t len = total < size ? total : size;
        uint64_t addr = pci_get32(desc) | (uint64_t)pci_get32(desc + 4) << 32;
        copy_pieces(s, addr, pieces, len);
        total -= len;
        uint16_t st = total ? STATUS_DD | (status & STATUS_VP) : STATUS_DD | STATUS_EOP | status;
        pci_set16(desc + 8, (uint16_t)len);
        pci_set16(desc + 10, checksum);
        pci_set16(desc + 12, st);
        pci_set16(desc + 14, special);
        e1000_dma_write(s, at + 8, desc + 8, 8);
        head = head + 1 == n ? 0 : head + 1;
    }
    *e1000_reg(s, RDH) = head;
}

/* ---- interrupts ---- */

static int64_t now_ns(struct e1000 *s)
{
    return clock_now_ns(&s->pci.dev.machine->clock);
}

static void rx_interrupt(void *opaque)
{
    struct e1000 *s = opaque;
    timer_del(&s->rx_timer);
    timer_del(&s->rx_abs_timer);
    e1000_set_cause(s, ICR_RXT0);
}

void e1000_rx_flush(struct e1000 *s)
{
    if (timer_pending(&s->rx_timer))
        rx_interrupt(s);
}

static void frame_interrupt(struct e1000 *s, size_t len, uint32_t left)
{
    uint32_t causes = 0, delay = e1000_get(s, RDTR) & 0xffff, most = e1000_get(s, RADV) & 0xffff;
    uint32_t threshold = ring_size(s) >> ((e1000_get(s, RCTL) >> 8 & 3) + 1);
    if (left <= threshold)
        causes |= ICR_RXDMT0;
    if (e1000_get(s, RSRPD) && len <= (e1000_get(s, RSRPD) & 0xfff))
        causes |= ICR_SRPD;
    if (!delay) {
        causes |= ICR_RXT0;
    } else {
        timer_mod(&s->rx_timer, now_ns(s) + delay * DELAY_NS);
        if (most && !timer_pending(&s->rx_abs_timer))
            timer_mod(&s->rx_abs_timer, now_ns(s) + most * DELAY_NS);
    }
    if (causes)
        e1000_set_cause(s, causes);
}

/* ---- frames ---- */

/* False: no room. */
static bool put_frame(struct e1000 *s, const uint8_t *frame, size_t len, bool valid)
{
    uint8_t padded[E1000_FRAME_MIN], fcs[E1000_FCS];
    bool pif;

    if (len < E1000_FRAME_MIN) {
        memcpy(padded, frame, len);
        memset(padded + len, 0, sizeof padded - len);
        frame = padded;
        len = sizeof padded;
    }
    if (!accepts(s, frame, &pif) || too_long(s, len))
        return true;

    bool with_fcs = !(e1000_get(s, RCTL) & RCTL_SECRC);
    bool strip = e1000_get(s, CTRL) & CTRL_VME && is_tagged(s, frame);
    size_t total = len - (strip ? VLAN_TAG : 0) + (with_fcs ? E1000_FCS : 0);
    uint32_t size = buffer_size(s), need = (uint32_t)((total + size - 1) / size);
    uint32_t have = available(s);
    if (need > have) {
        if (need < ring_size(s)) {
            e1000_count(s, COUNT_RNBC);
            return false;
        }
        if (!ring_size(s))
            return false; /* not set up yet */
        log_mask(LOG_GUEST_ERRORS, "e1000: a frame of %zu bytes doesn't fit into the ring", total);
        e1000_count(s, COUNT_MPC);
        return true;
    }

    uint16_t status = checksum_status(s, frame, len, valid), special = 0;
    if (pif)
        status |= STATUS_PIF;
    if (with_fcs)
        eth_fcs(frame, len, fcs);
    struct piece pieces[3] = { { frame, len }, { NULL, 0 }, { fcs, with_fcs ? E1000_FCS : 0 } };
    uint16_t checksum;
    if (strip) {
        status |= STATUS_VP;
        special = tag_of(frame);
        pieces[0].len = 12;
        pieces[1] = (struct piece){ frame + 12 + VLAN_TAG, len - 12 - VLAN_TAG };
        checksum = 0; /* of the packet with its tag: of no use to anybody */
    } else {
        checksum = packet_checksum(s, frame, len);
    }
    fill_descriptors(s, pieces, total, status, checksum, special);
    e1000_count_rx(s, frame, len);
    frame_interrupt(s, total, have - need);
    return true;
}

static bool receiver_on(const struct e1000 *s)
{
    return e1000_get(s, RCTL) & RCTL_EN && s->pci.config[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

bool e1000_receive(struct net_client *nc, const struct net_frame *f)
{
    struct e1000 *s = (struct e1000 *)((struct nic *)nc)->device;
    if (!receiver_on(s) || !e1000_link_is_up(s) || f->len < 14)
        return true;
    if (put_frame(s, f->data, f->len, f->off.csum_valid))
        return true;
    s->rx_held = true;
    return false;
}

void e1000_rx_loopback(struct e1000 *s, const uint8_t *frame, size_t len)
{
    if (receiver_on(s) && len >= 14 && !put_frame(s, frame, len, false))
        e1000_count(s, COUNT_MPC);
}

void e1000_rx_room(struct e1000 *s)
{
    if (s->rx_held)
        e1000_schedule(s);
}

void e1000_rx_init(struct e1000 *s)
{
    struct clock *c = &s->pci.dev.machine->clock;
    timer_init(&s->rx_timer, c, rx_interrupt, s);
    timer_init(&s->rx_abs_timer, c, rx_interrupt, s);
}
