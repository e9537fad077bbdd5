/*
 * Fuzzer of TAP's input: packets of any length with any struct virtio_net_hdr in front, or none,
 * from a descriptor that says that it is a TAP interface (ioctl() below), to peers that understand
 * all offloads, some, or none, and that refuse frames at random. No crash (run it under ASan),
 * nothing beyond NET_FRAME_MAX, nothing unfinished for who can't finish it; and the plain frames in
 * between arrive, whole and in order.
 *
 *   tap_fuzz [ROUNDS [SEED]]
 */
#include <errno.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "../unit/devtest.h"
#include "../unit/net_peer.h"
#include "host/host.h"
#include "host/native.h"
#include "net/netdev.h"

enum { HEADER = sizeof(struct virtio_net_hdr), PACKET_MAX = HEADER + NET_FRAME_MAX + 100 };

static bool vnet_hdr;
static uint32_t sent, got; /* numbers of plain frames */

static void fail(const char *what)
{
    printf("tap_fuzz: %s\n", what);
    exit(1);
}

/* Instead of the C library's: the descriptors of this program are TAP interfaces. */
int ioctl(int fd, unsigned long request, ...)
{
    va_list ap;
    va_start(ap, request);
    void *argument = va_arg(ap, void *);
    va_end(ap);
    if (request == TUNGETIFF) {
        struct ifreq *r = argument;
        *r = (struct ifreq){ .ifr_name = "tap7" };
        r->ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (vnet_hdr ? IFF_VNET_HDR : 0));
    }
    (void)fd;
    return 0;
}

/* ---- packets ---- */

static const uint8_t plain_head[] = "\xff\xff\xff\xff\xff\xff\x52\x54\x00\xaa\xbb\xcc\x88\xb5";

/* What a plain frame has at @i. */
static uint8_t plain_byte(uint32_t number, size_t i)
{
    if (i < 14)
        return plain_head[i];
    return i < 18 ? (uint8_t)(number >> (8 * (i - 14))) : (uint8_t)(number * 7 + i);
}

static size_t plain_frame(uint8_t *f)
{
    size_t len = 18 + (rnd() % 8 ? rnd() % 1600 : rnd() % (NET_FRAME_MAX - 17));
    sent++;
    for (size_t i = 0; i < len; i++)
        f[i] = plain_byte(sent, i);
    return len;
}

/* TCP or something like it, so that there is something to cut and to sum up. */
static size_t strange_frame(uint8_t *f)
{
    size_t len = rnd() % 4 ? 14 + rnd() % 3000 : rnd() % 3 ? rnd() % 70 : rnd() % 66000;
    bool v6 = rnd() % 2;
    for (size_t i = 0; i < len; i++)
        f[i] = (uint8_t)rnd();
    if (len < 80 || rnd() % 5 == 0)
        return len;
    memset(f, 0, 14);
    f[12] = v6 ? 0x86 : 0x08;
    f[13] = v6 ? 0xdd : 0;
    f[14] = v6 ? 0x60 : 0x45;
    f[v6 ? 20 : 23] = rnd() % 6 ? 6 : 17;
    f[(v6 ? 54 : 34) + 12] = (uint8_t)(rnd() % 4 ? 0x50 : rnd());
    return len;
}

static struct virtio_net_hdr strange_header(const uint8_t *f)
{
    static const uint8_t types[] = { 0, 1, 3, 4, 0x81, 0x84, 2, 5, 0xff };
    bool v6 = f[12] == 0x86;
    return (struct virtio_net_hdr){
        .flags = (uint8_t)(rnd() % 3 ? 1 : rnd()),
        .gso_type = types[rnd() % sizeof types],
        .hdr_len = (uint16_t)(rnd() % 3   ? (v6 ? 74 : 54)
                              : rnd() % 3 ? rnd() % 200
                                          : rnd()),
        .gso_size = (uint16_t)(rnd() % 3   ? 1 + rnd() % 2000
                               : rnd() % 3 ? rnd() % 4
                                           : rnd()),
        .csum_start = (uint16_t)(rnd() % 3 ? (v6 ? 54 : 34) : rnd()),
        .csum_offset = (uint16_t)(rnd() % 3 ? (rnd() % 4 ? 16 : 6) : rnd()),
    };
}

static bool send_packet(int fd)
{
    static uint8_t packet[PACKET_MAX];
    struct virtio_net_hdr h = { 0 };
    uint8_t *f = packet + (vnet_hdr ? HEADER : 0);
    bool plain = rnd() % 3 == 0;
    size_t len = plain ? plain_frame(f) : strange_frame(f);
    if (vnet_hdr) {
        if (!plain)
            h = strange_header(f);
        else if (rnd() % 2)
            h.flags = VIRTIO_NET_HDR_F_DATA_VALID;
        memcpy(packet, &h, HEADER);
        len += HEADER;
        if (!plain && rnd() % 30 == 0)
            len = rnd() % HEADER;
    }
    if (!len)
        return true; /* of a socket that would be the end */
    if (send(fd, packet, len, MSG_DONTWAIT) == (ssize_t)len)
        return true;
    if (errno != EAGAIN)
        fail("send");
    sent -= plain;
    return false;
}

/* ---- the peer ---- */

static void receive(struct net_peer *p, const struct net_frame *f)
{
    uint32_t can = p->nc.offloads;
    if (!f->len || f->len > NET_FRAME_MAX)
        fail("a frame of a wrong length");
    if ((f->off.needs_csum && !(can & NET_OFFLOAD_CSUM)) ||
        (f->off.gso == NET_GSO_TCPV4 && !(can & NET_OFFLOAD_TSO4)) ||
        (f->off.gso == NET_GSO_TCPV6 && !(can & NET_OFFLOAD_TSO6)) ||
        (f->off.gso == NET_GSO_UDP && !(can & NET_OFFLOAD_UFO)))
        fail("an unfinished frame for who can't finish it");
    if (f->len < 18 || memcmp(f->data, plain_head, 14) != 0)
        return;
    got++;
    for (size_t i = 0; i < f->len; i++)
        if (f->data[i] != plain_byte(got, i))
            fail("a plain frame isn't what was sent, or not in its place");
}

static void tap_round(void)
{
    int fds[2], big = 1 << 20;
    char text[60];
    struct error err;
    vnet_hdr = rnd() % 4 != 0;
    sent = got = 0;
    board_new();
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) < 0)
        fail("socketpair");
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &big, sizeof big);
    snprintf(text, sizeof text, "tap,id=t,fd=%d", fds[0]);
    if (!netdev_add(m, text, &err))
        fail(err.msg);
    struct net_peer *peer = net_peer_new(m, "p");
    net_connect(net_find(m, "t"), &peer->nc);
    peer->on_receive = receive;
    if (rnd() % 2)
        peer->nc.offloads = rnd() % 2 ? UINT32_MAX : rnd() % 32 | NET_OFFLOAD_CSUM;
    for (int i = 0; i < 200; i++) {
        peer->room = rnd() % 4 ? SIZE_MAX : rnd() % 6;
        send_packet(fds[1]);
        if (rnd() % 3 == 0)
            host_loop_once(0);
        if (rnd() % 8 == 0) /* and something the other way */
            net_peer_send_number(peer, 1, 60);
        if (rnd() % 4 == 0)
            net_accept(&peer->nc);
        net_peer_clear(peer);
        for (char sink[2000]; recv(fds[1], sink, sizeof sink, MSG_DONTWAIT) > 0;)
            continue;
    }
    peer->room = SIZE_MAX;
    for (int i = 0; i < 2000 && got != sent; i++) {
        host_loop_once(0);
        net_accept(&peer->nc);
        net_peer_clear(peer);
    }
    if (got != sent)
        fail("plain frames are missing");
    netdev_del(m, "t", &err);
    close(fds[1]);
    board_free();
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 100;
    for (unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 0) % 100000 : 0; n; n--)
        rnd();
    for (int i = 0; i < rounds; i++)
        tap_round();
    printf("%d rounds\n", rounds);
    return 0;
}
