/*
 * Queries under way (dns_proxy.h): a table of MAX_QUERIES, each with the channel that asked and a
 * copy of the message, for a SERVFAIL (RFC 1035 4.1.1). When it is full, the oldest one is
 * forgotten: its asker will try again.
 */
#include "net/user/dns_proxy.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_QUERIES = 128, DNS_HEADER = 12, DNS_MOST = 65535 };

struct query {
    struct user_soft *asker; /* NULL: free */
    uint32_t id;
    bool sent;
    struct sockaddr_storage to;
    uint8_t *dns;
    size_t len;
};

struct dns_proxy {
    dns_proxy_send_fn *send;
    void *opaque;
    uint32_t last_id;
    struct query queries[MAX_QUERIES];
};

struct dns_proxy *dns_proxy_new(dns_proxy_send_fn *send, void *opaque)
{
    struct dns_proxy *d = calloc(1, sizeof *d);
    if (d) {
        d->send = send;
        d->opaque = opaque;
    }
    return d;
}

static void free_query(struct query *q)
{
    free(q->dns);
    *q = (struct query){ 0 };
}

void dns_proxy_free(struct dns_proxy *d)
{
    for (size_t i = 0; d && i < MAX_QUERIES; i++)
        free(d->queries[i].dns);
    free(d);
}

/* ---- the address ---- */

void dns_proxy_address(int family, struct sockaddr_storage *addr)
{
    memset(addr, 0, sizeof *addr);
    addr->ss_family = (sa_family_t)family;
    if (family == AF_INET6) {
        struct in6_addr *ip = &((struct sockaddr_in6 *)addr)->sin6_addr;
        ip->s6_addr[0] = 1; /* 100::/64, RFC 6666: discard */
        ip->s6_addr[15] = 0x53;
    } else {
        ((struct sockaddr_in *)addr)->sin_addr.s_addr = htonl(0xf0000035);
    }
}

bool dns_proxy_is(const struct sockaddr_storage *addr)
{
    struct sockaddr_storage ours;
    dns_proxy_address(addr->ss_family, &ours);
    user_soft_set_port(&ours, 53);
    if (addr->ss_family == AF_INET6)
        return user_soft_port(addr) == 53 &&
               !memcmp(&((const struct sockaddr_in6 *)addr)->sin6_addr,
                       &((struct sockaddr_in6 *)&ours)->sin6_addr, sizeof(struct in6_addr));
    return user_soft_port(addr) == 53 && ((const struct sockaddr_in *)addr)->sin_addr.s_addr ==
                                             ((struct sockaddr_in *)&ours)->sin_addr.s_addr;
}

/* ---- answers ---- */

static void give(struct query *q, const void *dns, size_t len)
{
    struct user_soft *s = q->asker;
    if (!s->stream) {
        user_soft_put_datagram(s, &q->to, dns, len);
        return;
    }
    uint8_t length[2] = { (uint8_t)(len >> 8), (uint8_t)len }; /* RFC 1035 4.2.2 */
    if (!user_soft_put(s, length, 2, false) || !user_soft_put(s, dns, len, false))
        user_soft_fail(s, ECONNRESET);
}

/* Behind the first question of @dns; 0: it is cut off. */
static size_t question_end(const uint8_t *dns, size_t len)
{
    size_t at = DNS_HEADER;
    while (at < len && dns[at] && !(dns[at] & 0xc0))
        at += 1u + dns[at];
    return at + 5 <= len && !dns[at] ? at + 5 : 0;
}

/* Answers with the question and "server failure". */
static void give_failure(struct query *q)
{
    size_t len = question_end(q->dns, q->len);
    q->dns[2] = (uint8_t)((q->dns[2] & 0x79) | 0x80); /* QR; opcode and RD stay */
    q->dns[3] = 0x82;                                 /* RA, SERVFAIL */
    memset(q->dns + 4, 0, 8);
    q->dns[5] = len != 0;
    give(q, q->dns, len ? len : DNS_HEADER);
}

void dns_proxy_answer(struct dns_proxy *d, uint32_t id, bool failed, const void *dns, size_t len)
{
    for (size_t i = 0; i < MAX_QUERIES; i++) {
        struct query *q = &d->queries[i];
        if (!q->asker || q->id != id)
            continue;
        if (len)
            give(q, dns, len);
        else if (failed)
            give_failure(q);
        free_query(q);
        return;
    }
}

/* ---- queries ---- */

static void try_to_send(struct dns_proxy *d, struct query *q)
{
    if (q->asker && !q->sent)
        q->sent = d->send(d->opaque, q->id, q->dns, q->len);
}

void dns_proxy_query(struct dns_proxy *d, struct user_soft *s, const struct sockaddr_storage *to,
                     const void *dns, size_t len)
{
    struct query *q = &d->queries[0];
    if (len < DNS_HEADER || len > DNS_MOST)
        return;
    for (size_t i = 0; i < MAX_QUERIES && q->asker; i++)
        if (!d->queries[i].asker || d->queries[i].id - d->last_id < q->id - d->last_id)
            q = &d->queries[i];
    free_query(q);
    q->dns = malloc(len);
    if (!q->dns)
        return;
    memcpy(q->dns, dns, len);
    q->len = len;
    q->asker = s;
    q->to = *to;
    q->id = ++d->last_id;
    try_to_send(d, q);
}

ssize_t dns_proxy_stream(struct dns_proxy *d, struct user_soft *s, uint8_t **part, size_t *fill,
                         const uint8_t *buf, size_t len)
{
    if (len && !*part && !(*part = malloc(2 + DNS_MOST)))
        return -ENOMEM;
    for (size_t done = 0; done < len;) {
        uint8_t *p = *part;
        size_t need = *fill < 2 ? 2 : 2u + (size_t)(p[0] << 8 | p[1]);
        size_t n = need - *fill < len - done ? need - *fill : len - done;
        memcpy(p + *fill, buf + done, n);
        *fill += n;
        done += n;
        if (*fill < 2 || *fill < 2u + (size_t)(p[0] << 8 | p[1]))
            continue;
        dns_proxy_query(d, s, &s->remote, p + 2, *fill - 2);
        *fill = 0;
    }
    return (ssize_t)len;
}

void dns_proxy_send_waiting(struct dns_proxy *d)
{
    for (size_t i = 0; i < MAX_QUERIES; i++)
        try_to_send(d, &d->queries[i]);
}

void dns_proxy_reset(struct dns_proxy *d)
{
    for (size_t i = 0; i < MAX_QUERIES; i++)
        if (d->queries[i].sent)
            free_query(&d->queries[i]);
}

void dns_proxy_fail_all(struct dns_proxy *d)
{
    for (size_t i = 0; i < MAX_QUERIES; i++)
        if (d->queries[i].asker)
            dns_proxy_answer(d, d->queries[i].id, true, NULL, 0);
}

void dns_proxy_forget(struct dns_proxy *d, const struct user_soft *s)
{
    for (size_t i = 0; i < MAX_QUERIES; i++)
        if (d->queries[i].asker == s)
            free_query(&d->queries[i]);
}
