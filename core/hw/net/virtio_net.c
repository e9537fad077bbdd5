/*
 * virtio-net-pci (virtio 1.2, 5.1): queue 0 receives, queue 1 transmits, queue 2 is for control.
 *
 * Transmitting. An element is struct virtio_net_hdr and a frame. The frame is gathered into tx_buf,
 * the only copy on its way to the peer, and goes out with the header's work order as its
 * net_offload. When the net is full the element is put back and taken again after writable(). A
 * kick is worked on for at most TX_BURST elements; the rest has another turn.
 *
 * Receiving. Elements are taken until they hold header and frame (more than one only with
 * MRG_RXBUF). Are there too few, they are put back and the frame stays in the net's queue until the
 * driver kicks: the available event that popping left behind is just where it adds the next one.
 * A driver with GUEST_CSUM is told whether checksums are good, so that it needn't look; large
 * segments arrive as they are if it takes them (nc.offloads), and are cut by the net if not.
 *
 * While the driver isn't ready, frames are lost, as with hardware.
 *
 * There is one pair of queues: more serve several processors, and the machine has one.
 */
#include <string.h>

#include "hw/net/eth.h"
#include "hw/net/inet_csum.h"
#include "hw/net/nics.h"
#include "hw/virtio/virtio.h"
#include "log.h"
#include "machine.h"
#include "net/net.h"

enum {
    F_CSUM = 0,
    F_GUEST_CSUM = 1,
    F_CTRL_GUEST_OFFLOADS = 2,
    F_MTU = 3,
    F_MAC = 5,
    F_GSO = 6, /* legacy: all that HOST_* say */
    F_GUEST_TSO4 = 7,
    F_GUEST_TSO6 = 8,
    F_GUEST_ECN = 9,
    F_GUEST_UFO = 10,
    F_HOST_TSO4 = 11,
    F_HOST_TSO6 = 12,
    F_HOST_ECN = 13,
    F_HOST_UFO = 14,
    F_MRG_RXBUF = 15,
    F_STATUS = 16,
    F_CTRL_VQ = 17,
    F_CTRL_RX = 18,
    F_CTRL_VLAN = 19,
    F_CTRL_RX_EXTRA = 20,
    F_GUEST_ANNOUNCE = 21,
    F_CTRL_MAC_ADDR = 23,
    F_SPEED_DUPLEX = 63,

    HDR_F_NEEDS_CSUM = 1,
    HDR_F_DATA_VALID = 2,
    HDR_GSO_TCPV4 = 1,
    HDR_GSO_UDP = 3,
    HDR_GSO_TCPV6 = 4,
    HDR_GSO_ECN = 0x80,
    HDR_SHORT = 10, /* without num_buffers */
    HDR_LONG = 12,

    CONFIG_STATUS = 6,
    CONFIG_PAIRS = 8,
    CONFIG_MTU = 10,
    CONFIG_SPEED = 12,
    CONFIG_DUPLEX = 16,
    CONFIG_SIZE = 17,
    STATUS_LINK_UP = 1,
    STATUS_ANNOUNCE = 2,

    CTRL_CLASS_RX = 0,
    CTRL_CLASS_MAC = 1,
    CTRL_CLASS_VLAN = 2,
    CTRL_CLASS_ANNOUNCE = 3,
    CTRL_CLASS_OFFLOADS = 5,
    CTRL_RX_MODES = 6,
    CTRL_MAC_TABLE_SET = 0,
    CTRL_MAC_ADDR_SET = 1,
    CTRL_VLAN_ADD = 0,
    CTRL_VLAN_DEL = 1,

    RX_QUEUE = 0,
    TX_QUEUE = 1,
    CTRL_QUEUE_SIZE = 64,
    TX_BURST = 256,
    MAC_TABLE = 64,
    VLANS = 4096,
    ETH_TYPE_VLAN = 0x8100,
    SPEED_UNKNOWN = -1,
    DUPLEX_UNKNOWN = 0xff,
};
#define TX_BYTES     (1u << 20) /* of one turn */
#define TX_NOTIFY_NS 500000     /* so long the driver's buffers may be back without an interrupt */

/* The receive modes, by the command that sets them. */
enum { RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST };

/* Feature bits of properties, in the order of virtio_net.property. */
static const uint8_t feature_of[] = {
    F_CSUM,
    F_GUEST_CSUM,
    F_CTRL_GUEST_OFFLOADS,
    F_GSO,
    F_GUEST_TSO4,
    F_GUEST_TSO6,
    F_GUEST_ECN,
    F_GUEST_UFO,
    F_HOST_TSO4,
    F_HOST_TSO6,
    F_HOST_ECN,
    F_HOST_UFO,
    F_MRG_RXBUF,
    F_STATUS,
    F_CTRL_VQ,
    F_CTRL_RX,
    F_CTRL_VLAN,
    F_CTRL_RX_EXTRA,
    F_GUEST_ANNOUNCE,
    F_CTRL_MAC_ADDR,
};
#define FEATURE_PROPS (sizeof feature_of / sizeof feature_of[0])

struct virtio_net {
    struct virtio_device virtio;
    struct nic_conf conf;
    struct nic *nic;
    bool property[FEATURE_PROPS];
    uint32_t host_mtu, speed, rx_queue_size, tx_queue_size;
    char *duplex;
    uint8_t duplex_value;

    uint8_t mac[6];
    bool rx_mode[CTRL_RX_MODES];
    uint8_t macs[MAC_TABLE][6]; /* unicast ones, then multicast ones */
    uint16_t unicast_count, mac_count;
    bool unicast_overflow, multicast_overflow;
    uint32_t vlans[VLANS / 32];
    bool announcing;
    uint32_t guest_offloads; /* that are switched on: NET_OFFLOAD_* */
    uint8_t tx_buf[NET_FRAME_MAX];
    struct timer tx_timer; /* pending: TX buffers went back, the driver isn't told yet */
};

static struct virtio_net *of_client(struct net_client *nc)
{
    return (struct virtio_net *)((struct nic *)nc)->device;
}

static size_t header_size(const struct virtio_net *s)
{
    const struct virtio_device *d = &s->virtio;
    return virtio_has_feature(d, F_MRG_RXBUF) || virtio_has_feature(d, VIRTIO_F_VERSION_1)
               ? HDR_LONG
               : HDR_SHORT;
}

/* ---- receiving ---- */

static bool in_table(const struct virtio_net *s, const uint8_t *mac, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        if (!memcmp(s->macs[i], mac, 6))
            return true;
    return false;
}

static bool wanted(const struct virtio_net *s, const uint8_t *frame, size_t len)
{
    if (s->rx_mode[RX_PROMISC])
        return true;
    if (len >= 18 && frame[12] << 8 == (ETH_TYPE_VLAN & 0xff00) && !frame[13]) {
        unsigned id = (unsigned)(frame[14] << 8 | frame[15]) & (VLANS - 1);
        if (!(s->vlans[id / 32] >> (id % 32) & 1))
            return false;
    }
    switch (eth_dest(frame)) {
    case ETH_BROADCAST: return !s->rx_mode[RX_NOBCAST];
    case ETH_MULTICAST:
        return !s->rx_mode[RX_NOMULTI] && (s->rx_mode[RX_ALLMULTI] || s->multicast_overflow ||
                                           in_table(s, frame, s->unicast_count, s->mac_count));
    default:
        return !s->rx_mode[RX_NOUNI] &&
               (s->rx_mode[RX_ALLUNI] || s->unicast_overflow || !memcmp(frame, s->mac, 6) ||
                in_table(s, frame, 0, s->unicast_count));
    }
}

static bool checksums_good(const struct net_frame *f)
{
    unsigned found;
    if (f->off.csum_valid)
        return true;
    found = inet_check_frame(f->data, f->len);
    return found & INET_L4_CHECKED && !(found & (INET_L4_BAD | INET_IP_BAD));
}

static void make_header(struct virtio_net *s, const struct net_frame *f, unsigned buffers,
                        uint8_t h[HDR_LONG])
{
    static const uint8_t gso[] = { [NET_GSO_TCPV4] = HDR_GSO_TCPV4,
                                   [NET_GSO_UDP] = HDR_GSO_UDP,
                                   [NET_GSO_TCPV6] = HDR_GSO_TCPV6 };
    memset(h, 0, HDR_LONG);
    if (f->off.gso) {
        h[1] = (uint8_t)(gso[f->off.gso] | (f->off.gso_ecn ? HDR_GSO_ECN : 0));
        pci_set16(h + 2, f->off.hdr_len);
        pci_set16(h + 4, f->off.gso_size);
    }
    if (f->off.needs_csum) {
        h[0] = HDR_F_NEEDS_CSUM;
        pci_set16(h + 6, f->off.csum_start);
        pci_set16(h + 8, f->off.csum_offset);
    } else if (virtio_has_feature(&s->virtio, F_GUEST_CSUM) && checksums_good(f)) {
        h[0] = HDR_F_DATA_VALID;
    }
    pci_set16(h + 10, (uint16_t)buffers);
}

/* Takes buffers for @total bytes: how many, or 0 if there aren't enough (none is taken then).
 * *@never: there can't ever be enough. */
static unsigned take_buffers(struct virtio_net *s, size_t total, struct virtq_elem **e, bool *never)
{
    struct virtqueue *vq = &s->virtio.queues[RX_QUEUE];
    bool mergeable = virtio_has_feature(&s->virtio, F_MRG_RXBUF);
    uint64_t room = 0;
    unsigned n = 0;

    *never = false;
    while (room < total) {
        if (n == vq->num || (n && !mergeable)) {
            *never = true;
            break;
        }
        e[n] = virtq_pop(vq);
        if (!e[n])
            break;
        room += e[n]->in_len;
        n++;
    }
    if (n && room >= total && e[0]->in_len < header_size(s)) {
        virtio_error(&s->virtio, "a receive buffer of %u bytes has no room for a header",
                     (unsigned)e[0]->in_len);
        room = 0;
    }
    if (room >= total)
        return n;
    while (n)
        virtq_unpop(e[--n]);
    return 0;
}

static bool net_receive(struct net_client *nc, const struct net_frame *f)
{
    struct virtio_net *s = of_client(nc);
    struct virtqueue *vq = &s->virtio.queues[RX_QUEUE];
    struct virtq_elem *e[VIRTIO_QUEUE_MAX];
    uint8_t header[HDR_LONG];
    size_t header_len = header_size(s), at = 0;
    bool never;

    if (!virtq_ready(vq) || f->len < ETH_HEADER_LEN || !wanted(s, f->data, f->len))
        return true;
    unsigned n = take_buffers(s, header_len + f->len, e, &never);
    if (!n) {
        if (never)
            log_mask(LOG_GUEST_ERRORS, "virtio-net: %zu bytes don't fit into receive buffers",
                     f->len);
        return never || !virtq_ready(vq);
    }
    make_header(s, f, n, header);
    for (unsigned i = 0; i < n; i++) {
        size_t skip = i ? 0 : header_len, len = f->len - at;
        if (len > e[i]->in_len - skip)
            len = (size_t)(e[i]->in_len - skip);
        if (!i)
            virtq_write(e[i], 0, header, header_len);
        virtq_write(e[i], skip, f->data + at, len);
        virtq_push(e[i], skip + len);
        at += len;
    }
    virtq_notify(vq);
    return true;
}

/* ---- transmitting ---- */

static struct net_offload read_header(const uint8_t *h)
{
    struct net_offload off = { 0 };
    if (h[0] & HDR_F_NEEDS_CSUM) {
        off.needs_csum = true;
        off.csum_start = pci_get16(h + 6);
        off.csum_offset = pci_get16(h + 8);
    }
    switch (h[1] & ~HDR_GSO_ECN) {
    case HDR_GSO_TCPV4: off.gso = NET_GSO_TCPV4; break;
    case HDR_GSO_UDP: off.gso = NET_GSO_UDP; break;
    case HDR_GSO_TCPV6: off.gso = NET_GSO_TCPV6; break;
    default: return off;
    }
    off.gso_ecn = h[1] & HDR_GSO_ECN;
    off.hdr_len = pci_get16(h + 2);
    off.gso_size = pci_get16(h + 4);
    return off;
}

/* False: the net is full. */
static bool send_element(struct virtio_net *s, const struct virtq_elem *e)
{
    size_t header_len = header_size(s);
    uint8_t header[HDR_LONG] = { 0 };

    if (e->out_len < header_len + ETH_HEADER_LEN || e->out_len > header_len + NET_FRAME_MAX) {
        log_mask(LOG_GUEST_ERRORS, "virtio-net: a frame of %llu bytes with its header",
                 (unsigned long long)e->out_len);
        return true;
    }
    if (!net_can_send(&s->nic->nc, (size_t)e->out_len))
        return false;
    virtq_read(e, 0, header, header_len);
    size_t len = virtq_read(e, header_len, s->tx_buf, sizeof s->tx_buf);
    struct net_frame f = { s->tx_buf, len, read_header(header) };
    return net_send(&s->nic->nc, &f);
}

static void tell_sent(void *opaque)
{
    struct virtio_net *s = opaque;
    timer_del(&s->tx_timer);
    virtq_notify(&s->virtio.queues[TX_QUEUE]);
}

/* The driver gets its buffers back as soon as their frames have gone, but only hears of it a moment
 * later: it does nothing with them, and often has sent more by then. */
static void transmit(struct virtio_net *s)
{
    struct virtqueue *vq = &s->virtio.queues[TX_QUEUE];
    struct virtq_elem *e;
    uint64_t bytes = 0;
    unsigned n = 0;

    while ((e = virtq_pop(vq)) != NULL) {
        bytes += e->out_len;
        if (!send_element(s, e)) {
            virtq_unpop(e);
            break;
        }
        virtq_push(e, 0);
        if (++n == TX_BURST || bytes >= TX_BYTES) {
            virtio_kick(vq);
            break;
        }
    }
    if (n >= vq->num / 2u)
        tell_sent(s);
    else if (n && !timer_pending(&s->tx_timer))
        timer_mod(&s->tx_timer, clock_now_ns(&s->virtio.pci.dev.machine->clock) + TX_NOTIFY_NS);
}

static void net_writable(struct net_client *nc)
{
    virtio_kick(&of_client(nc)->virtio.queues[TX_QUEUE]);
}

/* ---- control ---- */

/* The part of the MAC table that starts at *@at of the element: a count and addresses. */
static bool read_macs(struct virtio_net *s, const struct virtq_elem *e, uint64_t *at,
                      bool *overflow)
{
    uint8_t count_bytes[4];
    if (virtq_read(e, *at, count_bytes, 4) != 4)
        return false;
    uint64_t count = pci_get32(count_bytes);
    *at += 4;
    if (count * 6 > e->out_len - *at)
        return false;
    *overflow = count > (uint64_t)(MAC_TABLE - s->mac_count);
    for (uint64_t i = 0; i < count && !*overflow; i++)
        virtq_read(e, *at + i * 6, s->macs[s->mac_count++], 6);
    *at += count * 6;
    return true;
}

static bool set_mac_table(struct virtio_net *s, const struct virtq_elem *e)
{
    uint64_t at = 2;
    s->mac_count = s->unicast_count = 0;
    s->unicast_overflow = s->multicast_overflow = false;
    if (!read_macs(s, e, &at, &s->unicast_overflow))
        return false;
    s->unicast_count = s->mac_count;
    return read_macs(s, e, &at, &s->multicast_overflow);
}

static void set_mac(struct virtio_net *s, const uint8_t mac[6])
{
    memcpy(s->mac, mac, 6);
    nic_set_mac(s->nic, mac);
}

/* The GUEST_* features among @features as what the net knows. */
static uint32_t offloads_of(uint64_t features)
{
    static const struct {
        uint8_t feature;
        uint32_t offload;
    } map[] = {
        { F_GUEST_CSUM, NET_OFFLOAD_CSUM }, { F_GUEST_TSO4, NET_OFFLOAD_TSO4 },
        { F_GUEST_TSO6, NET_OFFLOAD_TSO6 }, { F_GUEST_ECN, NET_OFFLOAD_ECN },
        { F_GUEST_UFO, NET_OFFLOAD_UFO },
    };
    uint32_t result = 0;
    for (unsigned i = 0; i < sizeof map / sizeof map[0]; i++)
        if (features >> map[i].feature & 1)
            result |= map[i].offload;
    return result & NET_OFFLOAD_CSUM ? result : 0;
}

static void set_offloads(struct virtio_net *s, uint32_t offloads)
{
    s->guest_offloads = s->nic->nc.offloads = offloads;
}

/* Carries out the command in @e; its answer is ok or not. */
static bool control(struct virtio_net *s, const struct virtq_elem *e)
{
    const struct virtio_device *d = &s->virtio;
    uint8_t head[2], data[8] = { 0 };
    if (virtq_read(e, 0, head, 2) != 2)
        return false;
    size_t len = virtq_read(e, 2, data, sizeof data);
    uint8_t command = head[1];
    switch (head[0]) {
    case CTRL_CLASS_RX:
        if (command >= CTRL_RX_MODES || len < 1 ||
            !virtio_has_feature(d, command <= RX_ALLMULTI ? F_CTRL_RX : F_CTRL_RX_EXTRA))
            return false;
        s->rx_mode[command] = data[0] != 0;
        return true;
    case CTRL_CLASS_MAC:
        if (command == CTRL_MAC_TABLE_SET && virtio_has_feature(d, F_CTRL_RX))
            return set_mac_table(s, e);
        if (command != CTRL_MAC_ADDR_SET || len < 6 || !virtio_has_feature(d, F_CTRL_MAC_ADDR))
            return false;
        set_mac(s, data);
        return true;
    case CTRL_CLASS_VLAN: {
        unsigned id = pci_get16(data);
        if (len < 2 || id >= VLANS || command > CTRL_VLAN_DEL ||
            !virtio_has_feature(d, F_CTRL_VLAN))
            return false;
        if (command == CTRL_VLAN_ADD)
            s->vlans[id / 32] |= 1u << (id % 32);
        else
            s->vlans[id / 32] &= ~(1u << (id % 32));
        return true;
    }
    case CTRL_CLASS_ANNOUNCE:
        if (command != 0 || !s->announcing)
            return false;
        s->announcing = false;
        return true;
    case CTRL_CLASS_OFFLOADS: {
        uint64_t wanted_bits = pci_get32(data) | (uint64_t)pci_get32(data + 4) << 32;
        if (command != 0 || len < 8 || wanted_bits & ~d->guest_features ||
            !virtio_has_feature(d, F_CTRL_GUEST_OFFLOADS))
            return false;
        set_offloads(s, offloads_of(wanted_bits));
        return true;
    }
    default: return false;
    }
}

static void run_control(struct virtio_net *s, struct virtqueue *vq)
{
    struct virtq_elem *e;
    while ((e = virtq_pop(vq)) != NULL) {
        if (e->out_len < 2 || e->in_len < 1) {
            virtio_error(&s->virtio, "a control command without class, command or room to answer");
            virtq_free(e);
            return;
        }
        uint8_t ack = !control(s, e);
        virtq_push(e, virtq_write(e, 0, &ack, 1));
        virtq_notify(vq);
    }
}

static void net_handle(struct virtio_device *d, struct virtqueue *vq)
{
    struct virtio_net *s = (struct virtio_net *)d;
    if (vq->index == RX_QUEUE)
        net_accept(&s->nic->nc);
    else if (vq->index == TX_QUEUE)
        transmit(s);
    else
        run_control(s, vq);
}

/* A driver in the middle of a stream isn't stopped for each frame; it doesn't even kick again until
 * the queue was looked at. */
static bool net_can_wait(struct virtio_device *d, struct virtqueue *vq)
{
    return vq->index == TX_QUEUE && ((struct virtio_net *)d)->nic->nc.streaming;
}

/* ---- features and configuration ---- */

static uint64_t net_features(struct virtio_device *d)
{
    /* What makes no sense without another feature. */
    static const struct {
        uint8_t feature, needs;
    } needs[] = {
        { F_GUEST_TSO4, F_GUEST_CSUM },
        { F_GUEST_TSO6, F_GUEST_CSUM },
        { F_GUEST_UFO, F_GUEST_CSUM },
        { F_GUEST_ECN, F_GUEST_TSO4 },
        { F_HOST_TSO4, F_CSUM },
        { F_HOST_TSO6, F_CSUM },
        { F_HOST_UFO, F_CSUM },
        { F_HOST_ECN, F_HOST_TSO4 },
        { F_GSO, F_CSUM },
        { F_CTRL_RX, F_CTRL_VQ },
        { F_CTRL_VLAN, F_CTRL_VQ },
        { F_CTRL_RX_EXTRA, F_CTRL_VQ },
        { F_GUEST_ANNOUNCE, F_CTRL_VQ },
        { F_CTRL_MAC_ADDR, F_CTRL_VQ },
        { F_CTRL_GUEST_OFFLOADS, F_CTRL_VQ },
    };
    struct virtio_net *s = (struct virtio_net *)d;
    uint64_t f = 1ull << F_MAC;
    for (unsigned i = 0; i < FEATURE_PROPS; i++)
        f |= (uint64_t)s->property[i] << feature_of[i];
    for (unsigned i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (!(f >> needs[i].needs & 1))
            f &= ~(1ull << needs[i].feature);
    if (s->host_mtu)
        f |= 1ull << F_MTU;
    if (s->speed != (uint32_t)SPEED_UNKNOWN || s->duplex_value != DUPLEX_UNKNOWN)
        f |= 1ull << F_SPEED_DUPLEX;
    return f;
}

static void net_set_features(struct virtio_device *d)
{
    struct virtio_net *s = (struct virtio_net *)d;
    set_offloads(s, offloads_of(d->guest_features));
    memset(s->vlans, virtio_has_feature(d, F_CTRL_VLAN) ? 0 : 0xff, sizeof s->vlans);
}

static void net_get_config(struct virtio_device *d)
{
    struct virtio_net *s = (struct virtio_net *)d;
    unsigned status = net_link_up(&s->nic->nc) ? STATUS_LINK_UP : 0;
    memcpy(d->config, s->mac, 6);
    pci_set16(d->config + CONFIG_STATUS,
              (uint16_t)(status | (s->announcing ? STATUS_ANNOUNCE : 0)));
    pci_set16(d->config + CONFIG_PAIRS, 1);
    pci_set16(d->config + CONFIG_MTU, (uint16_t)s->host_mtu);
    pci_set32(d->config + CONFIG_SPEED, s->speed);
    d->config[CONFIG_DUPLEX] = s->duplex_value;
}

/* Only drivers without a control queue set the address here. */
static void net_set_config(struct virtio_device *d, unsigned offset, unsigned len)
{
    struct virtio_net *s = (struct virtio_net *)d;
    if (offset < 6 && !virtio_has_feature(d, F_CTRL_MAC_ADDR) &&
        !virtio_has_feature(d, VIRTIO_F_VERSION_1))
        set_mac(s, d->config);
}

static void net_device_reset(struct virtio_device *d)
{
    struct virtio_net *s = (struct virtio_net *)d;
    memset(s->rx_mode, 0, sizeof s->rx_mode);
    s->rx_mode[RX_PROMISC] = true; /* until the driver says otherwise */
    s->mac_count = s->unicast_count = 0;
    s->unicast_overflow = s->multicast_overflow = s->announcing = false;
    memset(s->vlans, 0xff, sizeof s->vlans);
    if (!s->nic)
        return;
    timer_del(&s->tx_timer);
    set_mac(s, s->conf.mac);
    set_offloads(s, 0);
    net_purge(&s->nic->nc);
}

/* ---- the net's side ---- */

static void net_link_changed(struct net_client *nc)
{
    struct virtio_net *s = of_client(nc);
    if (s->nic && virtio_has_feature(&s->virtio, F_STATUS))
        virtio_config_changed(&s->virtio);
}

static void net_announce(struct net_client *nc)
{
    struct virtio_net *s = of_client(nc);
    if (!virtio_has_feature(&s->virtio, F_GUEST_ANNOUNCE) ||
        !virtio_has_feature(&s->virtio, F_CTRL_VQ))
        return;
    s->announcing = true;
    virtio_config_changed(&s->virtio);
}

static const struct net_client_ops vnet_ops = {
    .type = "nic",
    .nic = true,
    .receive = net_receive,
    .writable = net_writable,
    .link_changed = net_link_changed,
    .announce = net_announce,
};

/* ---- life ---- */

static bool check_queue_size(const char *name, uint32_t n, struct error *err)
{
    if (n >= 256 && n <= VIRTIO_QUEUE_MAX && !(n & (n - 1)))
        return true;
    return error_set(err, "device 'virtio-net-pci': %s is %u: it must be 256, 512 or 1024", name,
                     n);
}

static bool net_realize(struct device *dev, struct error *err)
{
    struct virtio_net *s = (struct virtio_net *)dev;
    s->duplex_value = DUPLEX_UNKNOWN;
    if (s->duplex && !strcmp(s->duplex, "half"))
        s->duplex_value = 0;
    else if (s->duplex && !strcmp(s->duplex, "full"))
        s->duplex_value = 1;
    else if (s->duplex && *s->duplex)
        return error_set(err, "device '%s': duplex is '%s', not half or full", dev->cls->name,
                         s->duplex);
    if (s->host_mtu && (s->host_mtu < 68 || s->host_mtu > UINT16_MAX))
        return error_set(err, "device '%s': host_mtu is %u, not 68 to 65535", dev->cls->name,
                         s->host_mtu);
    if (!check_queue_size("rx_queue_size", s->rx_queue_size, err) ||
        !check_queue_size("tx_queue_size", s->tx_queue_size, err) ||
        !virtio_init(&s->virtio, CONFIG_SIZE, err))
        return false;
    virtio_add_queue(&s->virtio, s->rx_queue_size);
    virtio_add_queue(&s->virtio, s->tx_queue_size);
    if (s->virtio.host_features >> F_CTRL_VQ & 1)
        virtio_add_queue(&s->virtio, CTRL_QUEUE_SIZE);
    timer_init(&s->tx_timer, &dev->machine->clock, tell_sent, s);
    s->nic = nic_new(dev, &vnet_ops, &s->conf, dev->cls->name, err);
    if (!s->nic)
        virtio_unrealize(&s->virtio);
    return s->nic != NULL;
}

static void net_unrealize(struct device *dev)
{
    struct virtio_net *s = (struct virtio_net *)dev;
    timer_del(&s->tx_timer);
    nic_free(s->nic);
    s->nic = NULL;
    virtio_unrealize(&s->virtio);
}

static void net_post_load(struct device *dev)
{
    struct virtio_net *s = (struct virtio_net *)dev;
    if (s->mac_count > MAC_TABLE || s->unicast_count > s->mac_count)
        s->mac_count = s->unicast_count = 0;
    nic_set_mac(s->nic, s->mac);
    set_offloads(s, s->guest_offloads & offloads_of(s->virtio.guest_features));
    virtio_device_post_load(dev);
}

static const struct field vnet_fields[] = {
    VIRTIO_FIELDS(struct virtio_net),
    VIRTQUEUE_FIELDS(struct virtio_net, 0),
    VIRTQUEUE_FIELDS(struct virtio_net, 1),
    VIRTQUEUE_FIELDS(struct virtio_net, 2),
    FIELD_BYTES(struct virtio_net, mac),
    FIELD_BOOL(struct virtio_net, rx_mode, 0),
    FIELD_BYTES(struct virtio_net, macs),
    FIELD_U16(struct virtio_net, unicast_count, 0),
    FIELD_U16(struct virtio_net, mac_count, 0),
    FIELD_BOOL(struct virtio_net, unicast_overflow, 0),
    FIELD_BOOL(struct virtio_net, multicast_overflow, 0),
    FIELD_U32(struct virtio_net, vlans, 0),
    FIELD_BOOL(struct virtio_net, announcing, 0),
    FIELD_U32(struct virtio_net, guest_offloads, 0),
    FIELD_TIMER(struct virtio_net, tx_timer),
    FIELD_END,
};

#define FEATURE(n, name, def, help)                                                                \
    {                                                                                              \
        name, PROP_BOOL, offsetof(struct virtio_net, property[n]), def, help                       \
    }
#define NUMBER(member, name, def, help)                                                            \
    {                                                                                              \
        name, PROP_U32, offsetof(struct virtio_net, member), def, help                             \
    }
static const struct prop vnet_props[] = {
    NIC_PROPS(struct virtio_net, conf),
    FEATURE(0, "csum", "on", "we fill in checksums for the guest"),
    FEATURE(1, "guest_csum", "on", "the guest takes frames with unfinished checksums"),
    FEATURE(2, "ctrl_guest_offloads", "on", "it may switch guest_* while it runs"),
    FEATURE(3, "gso", "on", "legacy name of all host_*"),
    FEATURE(4, "guest_tso4", "on", "the guest takes large TCP/IPv4 segments"),
    FEATURE(5, "guest_tso6", "on", "the guest takes large TCP/IPv6 segments"),
    FEATURE(6, "guest_ecn", "on", "... with ECN"),
    FEATURE(7, "guest_ufo", "on", "the guest takes large UDP datagrams"),
    FEATURE(8, "host_tso4", "on", "we take large TCP/IPv4 segments"),
    FEATURE(9, "host_tso6", "on", "we take large TCP/IPv6 segments"),
    FEATURE(10, "host_ecn", "on", "... with ECN"),
    FEATURE(11, "host_ufo", "off", "we take large UDP datagrams, for a peer that takes them"),
    FEATURE(12, "mrg_rxbuf", "on", "a frame may use several receive buffers"),
    FEATURE(13, "status", "on", "link status"),
    FEATURE(14, "ctrl_vq", "on", "control queue"),
    FEATURE(15, "ctrl_rx", "on", "receive modes"),
    FEATURE(16, "ctrl_vlan", "on", "VLAN filter"),
    FEATURE(17, "ctrl_rx_extra", "on", "more receive modes"),
    FEATURE(18, "guest_announce", "on", "the guest announces itself when told to"),
    FEATURE(19, "ctrl_mac_addr", "on", "the guest may change its address"),
    NUMBER(rx_queue_size, "rx_queue_size", "256", "entries: 256, 512 or 1024"),
    NUMBER(tx_queue_size, "tx_queue_size", "256", "entries: 256, 512 or 1024"),
    NUMBER(host_mtu, "host_mtu", "0", "MTU that the guest is told; 0: none"),
    NUMBER(speed, "speed", "4294967295", "Mbit/s that the guest is told"),
    { "duplex", PROP_STRING, offsetof(struct virtio_net, duplex), NULL, "half or full" },
    VIRTIO_PROPS(struct virtio_net, "4"),
    PROP_END,
};

static const struct virtio_class vnet_info = {
    .pci = { .vendor_id = 0x1af4,
             .device_id = 0x1000,
             .class_id = 0x0200,
             .has_intx = true,
             .romfile = "efi-virtio.rom" },
    .virtio_id = VIRTIO_ID_NET,
    .features = net_features,
    .set_features = net_set_features,
    .handle_queue = net_handle,
    .can_wait = net_can_wait,
    .get_config = net_get_config,
    .set_config = net_set_config,
    .reset = net_device_reset,
};

const struct device_class virtio_net_pci_class = {
    .name = "virtio-net-pci",
    .desc = "virtio network card",
    .size = sizeof(struct virtio_net),
    .bus = "PCI",
    .fields = vnet_fields,
    .props = vnet_props,
    .realize = net_realize,
    .unrealize = net_unrealize,
    .reset = virtio_device_reset,
    .post_load = net_post_load,
    .class_data = &vnet_info,
};
