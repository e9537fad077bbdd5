/*
 * Classes of addresses. Two steps: an IPv6 address that is only a way to write an IPv4 address is
 * replaced by it; what is left is looked up in a table of prefixes, of which the first that fits
 * counts (special cases stand before the network around them). An IPv6 address that carries an IPv4
 * address to which a tunnel would send the packet (6to4, Teredo, ISATAP) gets the worse class of
 * the two, and is never public.
 *
 * Whatever has no entry is public in IPv4; in IPv6 only 2000::/3 is, the rest is reserved.
 *
 * The networks are those of IANA's special-purpose registries (RFC 6890 and its updates) and the
 * documents at the entries; the metadata addresses are the cloud vendors' own.
 */
#include "relay/egress.h"

#include <string.h>

struct prefix {
    uint8_t ip[16];
    uint8_t bits;
    uint8_t class;
};

static const struct prefix prefixes4[] = {
    { { 100, 100, 100, 200 }, 32, EGRESS_METADATA }, /* Alibaba Cloud */
    { { 168, 63, 129, 16 }, 32, EGRESS_METADATA },   /* Azure */
    { { 169, 254, 169, 254 }, 32, EGRESS_METADATA }, /* most clouds */
    { { 169, 254, 170, 2 }, 32, EGRESS_METADATA },   /* AWS ECS */
    { { 169, 254, 170, 23 }, 32, EGRESS_METADATA },  /* AWS EKS */
    { { 192, 0, 0, 192 }, 32, EGRESS_METADATA },     /* Oracle Cloud */
    { { 0, 0, 0, 0 }, 32, EGRESS_UNSPECIFIED },
    { { 255, 255, 255, 255 }, 32, EGRESS_BROADCAST }, /* RFC 919 */
    { { 0 }, 8, EGRESS_RESERVED },                    /* RFC 791 3.2 */
    { { 10 }, 8, EGRESS_PRIVATE },                    /* RFC 1918 */
    { { 100, 64 }, 10, EGRESS_SHARED },               /* RFC 6598 */
    { { 127 }, 8, EGRESS_LOOPBACK },                  /* RFC 1122 3.2.1.3 */
    { { 169, 254 }, 16, EGRESS_LINK_LOCAL },          /* RFC 3927 */
    { { 172, 16 }, 12, EGRESS_PRIVATE },              /* RFC 1918 */
    { { 192, 0, 0 }, 24, EGRESS_RESERVED },           /* RFC 6890 2.1 */
    { { 192, 0, 2 }, 24, EGRESS_DOCUMENTATION },      /* RFC 5737 */
    { { 192, 88, 99 }, 24, EGRESS_RESERVED },         /* 6to4 relays, RFC 7526 */
    { { 192, 168 }, 16, EGRESS_PRIVATE },             /* RFC 1918 */
    { { 198, 18 }, 15, EGRESS_BENCHMARK },            /* RFC 2544 */
    { { 198, 51, 100 }, 24, EGRESS_DOCUMENTATION },   /* RFC 5737 */
    { { 203, 0, 113 }, 24, EGRESS_DOCUMENTATION },    /* RFC 5737 */
    { { 224 }, 4, EGRESS_MULTICAST },                 /* RFC 5771 */
    { { 240 }, 4, EGRESS_RESERVED },                  /* RFC 1112 4 */
};

static const struct prefix prefixes6[] = {
    { { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 }, 128, EGRESS_METADATA }, /* AWS */
    { { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x00, [15] = 0x23 }, 128, EGRESS_METADATA }, /* AWS EKS */
    { { 0xfd, 0x20, 0x00, 0xce, [14] = 0x02, [15] = 0x54 }, 128, EGRESS_METADATA }, /* Google */
    { { 0xfd, 0x00, 0x00, 0xc1, [12] = 0xa9, 0xfe, 0xa9, 0xfe },
      128,
      EGRESS_METADATA }, /* Oracle */
    { { 0 }, 128, EGRESS_UNSPECIFIED },
    { { [15] = 1 }, 128, EGRESS_LOOPBACK },                   /* RFC 4291 2.5.3 */
    { { 0x00, 0x64, 0xff, 0x9b, 0, 1 }, 48, EGRESS_PRIVATE }, /* local NAT64, RFC 8215 */
    { { 0x20, 0x01, 0x00, 0x02 }, 48, EGRESS_BENCHMARK },     /* RFC 5180 */
    { { 0x20, 0x01 }, 23, EGRESS_RESERVED },                  /* RFC 2928 */
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32, EGRESS_DOCUMENTATION }, /* RFC 3849 */
    { { 0x3f, 0xff }, 20, EGRESS_DOCUMENTATION },             /* RFC 9637 */
    { { 0x20 }, 3, EGRESS_PUBLIC },                           /* RFC 4291 2.4 */
    { { 0xfc }, 7, EGRESS_PRIVATE },                          /* RFC 4193 */
    { { 0xfe, 0x80 }, 10, EGRESS_LINK_LOCAL },                /* RFC 4291 2.5.6 */
    { { 0xfe, 0xc0 }, 10, EGRESS_PRIVATE },                   /* site-local, RFC 3879 */
    { { 0xff }, 8, EGRESS_MULTICAST },                        /* RFC 4291 2.7 */
};

/* The last 32 bits of these are an IPv4 address, and mean that host itself. */
static const struct prefix same_host[] = {
    { { [10] = 0xff, 0xff }, 96, 0 },      /* mapped, RFC 4291 2.5.5.2 */
    { { [8] = 0xff, 0xff }, 96, 0 },       /* translated, RFC 2765 2.1 */
    { { 0x00, 0x64, 0xff, 0x9b }, 96, 0 }, /* NAT64, RFC 6052 2.1 */
    { { 0 }, 96, 0 },                      /* compatible, RFC 4291 2.5.5.1 */
};

static bool in_prefix(const uint8_t *ip, const struct prefix *p)
{
    unsigned whole = p->bits / 8, left = p->bits % 8;
    if (memcmp(ip, p->ip, whole))
        return false;
    return !left || (ip[whole] ^ p->ip[whole]) >> (8 - left) == 0;
}

static enum egress_class find(const uint8_t *ip, const struct prefix *table, size_t n,
                              enum egress_class otherwise)
{
    for (size_t i = 0; i < n; i++) {
        if (in_prefix(ip, &table[i]))
            return table[i].class;
    }
    return otherwise;
}

static enum egress_class class4(const uint8_t *ip)
{
    return find(ip, prefixes4, sizeof prefixes4 / sizeof *prefixes4, EGRESS_PUBLIC);
}

static enum egress_class worse(enum egress_class a, enum egress_class b)
{
    return a > b ? a : b;
}

/* What the IPv4 addresses in a tunnel's IPv6 address say; PUBLIC: it is none. */
static enum egress_class tunnel_class(const uint8_t *ip)
{
    enum egress_class class = EGRESS_PUBLIC;
    if (ip[0] == 0x20 && ip[1] == 0x02) /* 6to4: RFC 3056 2 */
        class = worse(EGRESS_TUNNEL, class4(ip + 2));
    if (!memcmp(ip, "\x20\x01\x00\x00", 4)) { /* Teredo: server, client inverted; RFC 4380 4 */
        uint8_t client[4];
        for (int i = 0; i < 4; i++)
            client[i] = ip[12 + i] ^ 0xff;
        class = worse(EGRESS_TUNNEL, worse(class4(ip + 4), class4(client)));
    }
    /* ISATAP: RFC 5214 6.1; the universal/local bit counts for nothing here. */
    if ((ip[8] & 0xfd) == 0 && ip[9] == 0 && ip[10] == 0x5e && ip[11] == 0xfe)
        class = worse(class, worse(EGRESS_TUNNEL, class4(ip + 12)));
    return class;
}

static enum egress_class class6(const uint8_t *ip)
{
    enum egress_class tunnel = tunnel_class(ip);
    enum egress_class class =
        find(ip, prefixes6, sizeof prefixes6 / sizeof *prefixes6, EGRESS_RESERVED);
    /* Teredo's prefix is inside IETF's reserved one: only what it carries counts. */
    if (!memcmp(ip, "\x20\x01\x00\x00", 4))
        return tunnel;
    return worse(class, tunnel);
}

/* Replaces an IPv6 address that means an IPv4 host. :: and ::1 are no IPv4 addresses (RFC 4291
 * 2.5.5.1 leaves them out). */
static void canonical(struct relay_address *a)
{
    static const uint8_t zero[15];
    if (a->family != 6 || (!memcmp(a->ip, zero, 15) && a->ip[15] <= 1))
        return;
    for (size_t i = 0; i < sizeof same_host / sizeof *same_host; i++) {
        if (in_prefix(a->ip, &same_host[i])) {
            memmove(a->ip, a->ip + 12, 4);
            memset(a->ip + 4, 0, 12);
            a->family = 4;
            return;
        }
    }
}

enum egress_class egress_check(const struct relay_address *addr, struct relay_address *dial)
{
    *dial = *addr;
    canonical(dial);
    if (dial->family == 4)
        return class4(dial->ip);
    return dial->family == 6 ? class6(dial->ip) : EGRESS_RESERVED;
}

const char *egress_class_name(unsigned class)
{
    static const char *const names[EGRESS_CLASSES] = {
        [EGRESS_PUBLIC] = "public",
        [EGRESS_TUNNEL] = "tunnel",
        [EGRESS_DOCUMENTATION] = "documentation",
        [EGRESS_BENCHMARK] = "benchmark",
        [EGRESS_RESERVED] = "reserved",
        [EGRESS_SHARED] = "shared",
        [EGRESS_PRIVATE] = "private",
        [EGRESS_MULTICAST] = "multicast",
        [EGRESS_BROADCAST] = "broadcast",
        [EGRESS_LINK_LOCAL] = "link-local",
        [EGRESS_UNSPECIFIED] = "unspecified",
        [EGRESS_LOOPBACK] = "loopback",
        [EGRESS_METADATA] = "metadata",
    };
    return class < EGRESS_CLASSES ? names[class] : "?";
}
