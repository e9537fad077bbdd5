/*
 * Compiled as a part of libslirp: what the stack must know of its inside (glue.h), and the Internet
 * checksum (RFC 1071) in place of cksum.c, which adds 16 bits at a time.
 */
#include "net/user/libslirp/glue.h"

#include "slirp.h"

#include "ip_icmp.h"

bool user_glue_idle(const Slirp *slirp)
{
    return !slirp->do_slowtimo && !slirp->time_fasttimo &&
           slirp->if_fastq.qh_link == &slirp->if_fastq &&
           slirp->if_batchq.qh_link == &slirp->if_batchq;
}

int user_glue_packets(const Slirp *slirp)
{
    return slirp->mbuf_alloced;
}

bool user_glue_search_failed(const Slirp *slirp, const SlirpConfig *config)
{
    return config->vdnssearch && !slirp->vdnssearch;
}

void user_glue_guestfwd_writable(Slirp *slirp, struct in_addr addr, int port)
{
    struct socket *so = slirp_find_ctl_socket(slirp, addr, htons((uint16_t)port));
    if (so && so->so_rcv.sb_cc && sowrite(so) > 0)
        tcp_output(sototcpcb(so));
}

void user_glue_close_all(Slirp *slirp)
{
    struct socket *so, *next;
    for (so = slirp->tcb.so_next; so != &slirp->tcb; so = next) {
        next = so->so_next;
        if (!(so->so_state & SS_FACCEPTCONN) && sototcpcb(so))
            tcp_close(sototcpcb(so));
    }
    for (so = slirp->udb.so_next; so != &slirp->udb; so = next) {
        next = so->so_next;
        if (!(so->so_state & SS_HOSTFWD))
            udp_detach(so);
    }
    for (so = slirp->icmp.so_next; so != &slirp->icmp; so = next) {
        next = so->so_next;
        icmp_detach(so);
    }
}

/* The one's complement sum of @len bytes as 16-bit words in memory order, folded to 16 bits. A word
 * of 64 bits is a sum of four of 16, and carries may be added anywhere. */
static uint32_t sum(const uint8_t *p, size_t len)
{
    uint64_t low = 0, high = 0, word = 0;
    for (; len >= 16; len -= 16, p += 16) {
        uint64_t w[2];
        memcpy(w, p, 16);
        low += (w[0] & 0xffffffff) + (w[1] & 0xffffffff);
        high += (w[0] >> 32) + (w[1] >> 32);
    }
    for (; len >= 4; len -= 4, p += 4) {
        uint32_t w;
        memcpy(&w, p, 4);
        low += w;
    }
    memcpy(&word, p, len); /* zeroes behind the end; little-endian hosts only */
    low += high + word;
    low = (low & 0xffffffff) + (low >> 32);
    low = (low & 0xffff) + (low >> 16 & 0xffff) + (low >> 32);
    low = (low & 0xffff) + (low >> 16);
    return (uint32_t)((low & 0xffff) + (low >> 16));
}

int cksum(struct mbuf *m, int len)
{
    size_t have = m->m_len > 0 ? (size_t)m->m_len : 0, n = len > 0 ? (size_t)len : 0;
    return (int)(~sum((const uint8_t *)m->m_data, n < have ? n : have) & 0xffff);
}

/* Over the pseudo-header of RFC 8200 section 8.1 and the packet behind the IPv6 header. */
int ip6_cksum(struct mbuf *m)
{
    const struct ip6 *ip = mtod(m, const struct ip6 *);
    size_t have = m->m_len > (int)sizeof *ip ? (size_t)m->m_len - sizeof *ip : 0;
    size_t n = ntohs(ip->ip_pl);
    uint32_t total = sum((const uint8_t *)&ip->ip_src, 32) + htons(ip->ip_nh) + ip->ip_pl +
                     sum((const uint8_t *)(ip + 1), n < have ? n : have);
    total = (total & 0xffff) + (total >> 16);
    return (int)(~(total + (total >> 16)) & 0xffff);
}
