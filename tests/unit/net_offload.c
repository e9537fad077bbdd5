/*
 * Checksums and segments done in software, compared with what Linux does with the same frames: they
 * go into a TAP with a virtio header, over a bridge and out of a TAP without offloads, where the
 * kernel has to do the work. Needs root (a network namespace of its own); without, only the checks
 * that stand for themselves run: each piece is looked at by a second, plainer checksum, and the
 * pieces must put together what the frame was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/net_impl.h"
#include "test.h"

enum { MAX = 70000 };

static uint32_t rnd(void)
{
    static uint32_t x = 88172645;
    x ^= x << 13;
    x ^= x >> 17;
    return x ^= x << 5;
}

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* RFC 1071, byte by byte. */
static uint32_t plain_sum(uint32_t sum, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

/* ---- frames ---- */

struct sample {
    uint8_t data[MAX];
    struct net_frame f;
    size_t ip, l4, payload;
    bool v6, udp;
};

static uint32_t pseudo(const struct sample *s, const uint8_t *frame, size_t len)
{
    uint8_t tail[4] = { 0, s->udp ? 17 : 6, (uint8_t)(len >> 8), (uint8_t)len };
    return plain_sum(plain_sum(0, tail, 4), frame + s->ip + (s->v6 ? 8 : 12), s->v6 ? 32 : 8);
}

/* A random frame with @payload bytes behind its headers, and the checksum's work left over. */
static void make(struct sample *s, bool v6, bool udp, bool vlan, size_t payload, unsigned gso_size)
{
    uint8_t *p = s->data;
    memset(s, 0, sizeof *s);
    s->v6 = v6;
    s->udp = udp;
    memcpy(p, "\x52\x54\x00\x00\x00\x02\x52\x54\x00\x00\x00\x01", 12);
    s->ip = 14;
    if (vlan) {
        memcpy(p + 12, "\x81\x00\x00\x05", 4);
        s->ip = 18;
    }
    put16(p + s->ip - 2, v6 ? 0x86dd : 0x0800);
    uint8_t *ip = p + s->ip;
    size_t ip_len = v6 ? 40 : 20 + 4 * (rnd() % 3);
    size_t l4_len = udp ? 8 : 20 + 4 * (rnd() % 6);
    s->l4 = s->ip + ip_len;
    s->payload = s->l4 + l4_len;
    s->f.len = s->payload + payload;
    for (size_t i = s->ip; i < s->f.len; i++)
        p[i] = (uint8_t)rnd();
    if (v6) {
        put16(ip, 0x6000);
        put16(ip + 4, (unsigned)(l4_len + payload));
        ip[6] = udp ? 17 : 6;
        ip[7] = 64;
        ip[8] = ip[24] = 0xfd;
    } else {
        ip[0] = (uint8_t)(0x40 | ip_len / 4);
        put16(ip + 2, (unsigned)(ip_len + l4_len + payload));
        put16(ip + 6, 0x4000);
        ip[8] = 64;
        ip[9] = udp ? 17 : 6;
        memset(ip + 20, 1, ip_len - 20); /* no operation */
        ip[12] = ip[16] = 10;
        put16(ip + 10, 0);
        put16(ip + 10, ~plain_sum(0, ip, ip_len) & 0xffff);
    }
    uint8_t *l4 = p + s->l4;
    if (udp) {
        put16(l4 + 4, (unsigned)(8 + payload));
    } else {
        l4[12] = (uint8_t)(l4_len / 4 << 4);
        l4[13] = (uint8_t)(0x10 | (rnd() & 0x89)); /* ACK and some of CWR, PSH, FIN */
        memset(l4 + 20, 1, l4_len - 20);
    }
    s->f.data = p;
    s->f.off.needs_csum = true;
    s->f.off.csum_start = (uint16_t)s->l4;
    s->f.off.csum_offset = udp ? 6 : 16;
    put16(l4 + s->f.off.csum_offset, pseudo(s, p, s->f.len - s->l4));
    if (gso_size) {
        s->f.off.gso = v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4;
        s->f.off.gso_size = (uint16_t)gso_size;
        s->f.off.hdr_len = (uint16_t)s->payload;
        s->f.off.gso_ecn = l4[13] & 0x80;
    }
}

/* ---- by itself ---- */

static bool piece_is_right(const struct sample *s, unsigned n, const uint8_t *b, size_t len,
                           size_t *seen)
{
    size_t part = len - s->payload, l4_len = len - s->l4;
    const uint8_t *ip = b + s->ip, *l4 = b + s->l4;
    if (memcmp(b, s->data, s->ip) || memcmp(b + s->payload, s->data + s->payload + *seen, part))
        return false;
    *seen += part;
    if (s->v6 ? get16(ip + 4) != l4_len
              : get16(ip + 2) != len - s->ip || plain_sum(0, ip, s->l4 - s->ip) != 0xffff ||
                    (uint16_t)(get16(s->data + s->ip + 4) + n) != get16(ip + 4))
        return false;
    uint32_t sum = plain_sum(plain_sum(0, l4, l4_len), (uint8_t[2]){ 0 }, 0);
    sum += pseudo(s, b, l4_len);
    sum = (sum & 0xffff) + (sum >> 16);
    if (sum != 0xffff)
        return false;
    return s->udp || get32(l4 + 4) == get32(s->data + s->l4 + 4) + (uint32_t)(*seen - part);
}

static void pieces_put_together_the_frame(void)
{
    static struct sample s;
    static uint8_t buf[MAX];
    for (int i = 0; i < 400; i++) {
        unsigned gso = i % 4 ? 500 + rnd() % 1000 : 8 + rnd() % 60;
        bool tcp = i % 5 != 0;
        make(&s, i & 1, !tcp, i % 3 == 0, rnd() % (i % 7 ? 9000 : 65000), tcp ? gso : 0);
        size_t seen = 0, len;
        unsigned n = 0;
        for (; (len = net_offload_finish(&s.f, n, buf)); n++)
            CHECK(piece_is_right(&s, n, buf, len, &seen));
        CHECK(n > 0);
        CHECK_EQ(seen, s.f.len - s.payload);
    }
}

/* Frames that aren't what they are said to be: dropped, and nothing is read or written beyond. */
static void nonsense_is_refused(void)
{
    static struct sample s;
    for (int i = 0; i < 200000; i++) {
        if (i % 50 == 0)
            make(&s, rnd() & 1, false, rnd() & 1, rnd() % 300, 8 + rnd() % 100);
        size_t len = 1 + rnd() % s.f.len;
        uint8_t *exact = malloc(len), *out = malloc(len);
        memcpy(exact, s.data, len);
        struct net_frame f = s.f;
        f.data = exact;
        f.len = len;
        if (rnd() % 2)
            exact[rnd() % len] = (uint8_t)rnd();
        if (rnd() % 3 == 0)
            f.off.csum_start = (uint16_t)(rnd() % (2 * len));
        if (rnd() % 3 == 0)
            f.off.csum_offset = (uint16_t)(rnd() % (2 * len));
        if (rnd() % 5 == 0)
            f.off.gso = (uint8_t)(rnd() % 5);
        if (rnd() % 5 == 0)
            f.off.gso_size = (uint16_t)rnd();
        size_t total = 0, n;
        for (unsigned k = 0; (n = net_offload_finish(&f, k, out)); k++) {
            CHECK(n <= len);
            total += n;
        }
        CHECK(total <= 200 * len);
        free(exact);
        free(out);
    }
}

/* ---- Linux ---- */

static int open_tap(const char *name, int flags)
{
    struct ifreq ifr = { 0 };
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    ifr.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags);
    strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
    if (fd >= 0 && (ioctl(fd, TUNSETIFF, &ifr) < 0 || ioctl(fd, TUNSETOFFLOAD, 0) < 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool open_taps(int *in, int *out)
{
    if (unshare(CLONE_NEWNET) < 0)
        return false;
    *in = open_tap("tin", IFF_VNET_HDR);
    *out = open_tap("tout", 0);
    return *in >= 0 && *out >= 0 &&
           !system("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null;"
                   "sysctl -qw net.ipv6.conf.default.disable_ipv6=1 2>/dev/null;"
                   "ip link add name br0 type bridge && ip link set br0 up &&"
                   "ip link set tin master br0 && ip link set tin up &&"
                   "ip link set tout master br0 && ip link set tout up && sleep 0.2");
}

/* Reads what the kernel made of the last frame; 0 after a while without any. */
static size_t read_out(int fd, uint8_t *buf)
{
    for (;;) {
        struct pollfd p = { fd, POLLIN, 0 };
        if (poll(&p, 1, 2000) <= 0)
            return 0;
        ssize_t n = read(fd, buf, MAX);
        if (n > 12 && !memcmp(buf, "\x52\x54\x00\x00\x00\x02", 6))
            return (size_t)n;
    }
}

static void linux_makes_the_same(void)
{
    int in, out;
    static struct sample s;
    static uint8_t ours[MAX], theirs[MAX], packet[MAX + 10];
    if (!open_taps(&in, &out)) {
        printf("no network namespace or TAP here: not compared with Linux\n");
        return;
    }
    int pieces = 0;
    for (int i = 0; i < 300; i++) {
        bool tcp = i % 4 != 0, v6 = i & 1;
        unsigned gso = 200 + rnd() % 1200;
        make(&s, v6, !tcp, tcp && i % 3 == 0,
             tcp ? gso + 1 + rnd() % (i % 5 ? 8000 : 60000) : rnd() % 1400, tcp ? gso : 0);
        const struct net_offload *o = &s.f.off;
        struct {
            uint8_t flags, gso;
            uint16_t hdr_len, gso_size, csum_start, csum_offset;
        } h = { 1,
                (uint8_t)(o->gso == NET_GSO_TCPV6 ? 4 : o->gso | (o->gso_ecn ? 0x80 : 0)),
                o->hdr_len,
                o->gso_size,
                o->csum_start,
                o->csum_offset };
        if (o->gso == NET_GSO_TCPV6 && o->gso_ecn)
            h.gso |= 0x80;
        memcpy(packet, &h, 10);
        memcpy(packet + 10, s.data, s.f.len);
        CHECK_EQ(write(in, packet, s.f.len + 10), s.f.len + 10);
        size_t len;
        for (unsigned n = 0; (len = net_offload_finish(&s.f, n, ours)); n++) {
            size_t got = read_out(out, theirs);
            if (got != len || memcmp(ours, theirs, len)) {
                size_t at = 0;
                while (at < len && at < got && ours[at] == theirs[at])
                    at++;
                TEST_FAIL_(
                    "frame %d (%s%s), piece %u: %zu bytes, Linux has %zu; they differ at %zu", i,
                    v6 ? "v6 " : "", tcp ? "tcp" : "udp", n, len, got, at);
            }
            pieces++;
        }
    }
    printf("%d pieces are like Linux's\n", pieces);
    close(in);
    close(out);
}

int main(void)
{
    RUN(pieces_put_together_the_frame);
    RUN(nonsense_is_refused);
    RUN(linux_makes_the_same);
    return test_done();
}
