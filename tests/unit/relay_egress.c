/*
 * The egress filter: spellings of addresses as a resolver reads them (getaddrinfo with
 * AI_NUMERICHOST is what turns a host name's octal, hexadecimal and short forms into an address),
 * their class and the address that may be dialled.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "relay/egress.h"
#include "test.h"

static const struct {
    const char *spelling;
    enum egress_class class;
    const char *dial; /* NULL: as it is */
} table[] = {
    /* loopback, in every dress */
    { "127.0.0.1", EGRESS_LOOPBACK, NULL },
    { "127.1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "127.0.1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "127.255.255.254", EGRESS_LOOPBACK, NULL },
    { "2130706433", EGRESS_LOOPBACK, "127.0.0.1" },
    { "0x7f000001", EGRESS_LOOPBACK, "127.0.0.1" },
    { "0x7f.1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "0177.0.0.1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "017700000001", EGRESS_LOOPBACK, "127.0.0.1" },
    { "0x7F.0x0.0x0.0x1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "::1", EGRESS_LOOPBACK, NULL },
    { "0:0:0:0:0:0:0:1", EGRESS_LOOPBACK, "::1" },
    { "0000:0000:0000:0000:0000:0000:0000:0001", EGRESS_LOOPBACK, "::1" },
    { "::0.0.0.1", EGRESS_LOOPBACK, "::1" },
    { "::ffff:127.0.0.1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "::ffff:7f00:1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "::FFFF:7F00:0001", EGRESS_LOOPBACK, "127.0.0.1" },
    { "0:0:0:0:0:ffff:127.0.0.1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "::127.0.0.1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "::7f00:1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "::ffff:0:127.0.0.1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "64:ff9b::127.0.0.1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "64:ff9b::7f00:1", EGRESS_LOOPBACK, "127.0.0.1" },
    { "2002:7f00:1::1", EGRESS_LOOPBACK, NULL },
    { "2001:0:7f00:1::f7f7:f7f7", EGRESS_LOOPBACK, NULL },  /* Teredo server */
    { "2001:0:808:808::80ff:fffe", EGRESS_LOOPBACK, NULL }, /* Teredo client, inverted */
    { "2a00:1450::5efe:127.0.0.1", EGRESS_LOOPBACK, NULL },
    { "2a00:1450::200:5efe:7f00:1", EGRESS_LOOPBACK, NULL },
    { "fe80::5efe:127.0.0.1", EGRESS_LOOPBACK, NULL },
    { "2002:808:808:0:0:5efe:7f00:1", EGRESS_LOOPBACK, NULL }, /* ISATAP inside of 6to4 */
    /* unspecified */
    { "0.0.0.0", EGRESS_UNSPECIFIED, NULL },
    { "0", EGRESS_UNSPECIFIED, "0.0.0.0" },
    { "::", EGRESS_UNSPECIFIED, NULL },
    { "::ffff:0.0.0.0", EGRESS_UNSPECIFIED, "0.0.0.0" },
    { "64:ff9b::", EGRESS_UNSPECIFIED, "0.0.0.0" },
    { "2002::1", EGRESS_UNSPECIFIED, NULL },
    /* private and shared */
    { "10.0.0.1", EGRESS_PRIVATE, NULL },
    { "10.255.255.255", EGRESS_PRIVATE, NULL },
    { "167772161", EGRESS_PRIVATE, "10.0.0.1" },
    { "012.1", EGRESS_PRIVATE, "10.0.0.1" },
    { "172.16.0.1", EGRESS_PRIVATE, NULL },
    { "172.31.255.255", EGRESS_PRIVATE, NULL },
    { "192.168.0.1", EGRESS_PRIVATE, NULL },
    { "192.168.257", EGRESS_PRIVATE, "192.168.1.1" },
    { "0xc0a80001", EGRESS_PRIVATE, "192.168.0.1" },
    { "::ffff:192.168.0.1", EGRESS_PRIVATE, "192.168.0.1" },
    { "::10.0.0.1", EGRESS_PRIVATE, "10.0.0.1" },
    { "64:ff9b::10.0.0.1", EGRESS_PRIVATE, "10.0.0.1" },
    { "64:ff9b:1::8.8.8.8", EGRESS_PRIVATE, NULL },
    { "2002:a00:1::", EGRESS_PRIVATE, NULL },
    { "2001:0:808:808::f5ff:fffe", EGRESS_PRIVATE, NULL },
    { "2606:4700::5efe:10.0.0.1", EGRESS_PRIVATE, NULL },
    { "fc00::1", EGRESS_PRIVATE, NULL },
    { "fdff:ffff::1", EGRESS_PRIVATE, NULL },
    { "fec0::1", EGRESS_PRIVATE, NULL },
    { "100.64.0.1", EGRESS_SHARED, NULL },
    { "100.127.255.255", EGRESS_SHARED, NULL },
    { "::ffff:100.64.0.1", EGRESS_SHARED, "100.64.0.1" },
    /* metadata */
    { "169.254.169.254", EGRESS_METADATA, NULL },
    { "2852039166", EGRESS_METADATA, "169.254.169.254" },
    { "0xa9fea9fe", EGRESS_METADATA, "169.254.169.254" },
    { "0251.0376.0251.0376", EGRESS_METADATA, "169.254.169.254" },
    { "169.254.43518", EGRESS_METADATA, "169.254.169.254" },
    { "::ffff:a9fe:a9fe", EGRESS_METADATA, "169.254.169.254" },
    { "::a9fe:a9fe", EGRESS_METADATA, "169.254.169.254" },
    { "64:ff9b::a9fe:a9fe", EGRESS_METADATA, "169.254.169.254" },
    { "2002:a9fe:a9fe::", EGRESS_METADATA, NULL },
    { "fd00:ec2::254", EGRESS_METADATA, NULL },
    { "fd00:ec2::23", EGRESS_METADATA, NULL },
    { "fd20:ce::254", EGRESS_METADATA, NULL },
    { "fd00:c1::a9fe:a9fe", EGRESS_METADATA, NULL },
    { "168.63.129.16", EGRESS_METADATA, NULL },
    { "100.100.100.200", EGRESS_METADATA, NULL },
    { "192.0.0.192", EGRESS_METADATA, NULL },
    /* link-local */
    { "169.254.0.1", EGRESS_LINK_LOCAL, NULL },
    { "::ffff:169.254.1.1", EGRESS_LINK_LOCAL, "169.254.1.1" },
    { "fe80::1", EGRESS_LINK_LOCAL, NULL },
    { "fe80::1%1", EGRESS_LINK_LOCAL, "fe80::1" },
    { "febf:ffff::1", EGRESS_LINK_LOCAL, NULL },
    /* multicast, broadcast */
    { "224.0.0.1", EGRESS_MULTICAST, NULL },
    { "239.255.255.250", EGRESS_MULTICAST, NULL },
    { "::ffff:224.0.0.251", EGRESS_MULTICAST, "224.0.0.251" },
    { "ff02::1", EGRESS_MULTICAST, NULL },
    { "ff0e::1", EGRESS_MULTICAST, NULL },
    { "255.255.255.255", EGRESS_BROADCAST, NULL },
    { "4294967295", EGRESS_BROADCAST, "255.255.255.255" },
    { "::ffff:ffff:ffff", EGRESS_BROADCAST, "255.255.255.255" },
    /* reserved, documentation, benchmarks */
    { "0.1.2.3", EGRESS_RESERVED, NULL },
    { "240.0.0.1", EGRESS_RESERVED, NULL },
    { "192.0.0.8", EGRESS_RESERVED, NULL },
    { "192.88.99.1", EGRESS_RESERVED, NULL },
    { "100::1", EGRESS_RESERVED, NULL },
    { "2001:10::1", EGRESS_RESERVED, NULL },
    { "5f00::1", EGRESS_RESERVED, NULL },
    { "4000::1", EGRESS_RESERVED, NULL },
    { "1fff::1", EGRESS_RESERVED, NULL },
    { "192.0.2.1", EGRESS_DOCUMENTATION, NULL },
    { "198.51.100.7", EGRESS_DOCUMENTATION, NULL },
    { "203.0.113.7", EGRESS_DOCUMENTATION, NULL },
    { "2001:db8::1", EGRESS_DOCUMENTATION, NULL },
    { "3fff:fff::1", EGRESS_DOCUMENTATION, NULL },
    { "198.18.0.1", EGRESS_BENCHMARK, NULL },
    { "198.19.255.255", EGRESS_BENCHMARK, NULL },
    { "2001:2::1", EGRESS_BENCHMARK, NULL },
    /* tunnels to public hosts */
    { "2002:808:808::1", EGRESS_TUNNEL, NULL },
    { "2001:0:808:808::f7f7:f7f7", EGRESS_TUNNEL, NULL },
    { "2606:4700::5efe:8.8.8.8", EGRESS_TUNNEL, NULL },
    /* public; the neighbours of the networks above */
    { "8.8.8.8", EGRESS_PUBLIC, NULL },
    { "1.0.0.1", EGRESS_PUBLIC, NULL },
    { "9.255.255.255", EGRESS_PUBLIC, NULL },
    { "11.0.0.0", EGRESS_PUBLIC, NULL },
    { "100.63.255.255", EGRESS_PUBLIC, NULL },
    { "100.128.0.0", EGRESS_PUBLIC, NULL },
    { "126.255.255.255", EGRESS_PUBLIC, NULL },
    { "128.0.0.0", EGRESS_PUBLIC, NULL },
    { "172.15.255.255", EGRESS_PUBLIC, NULL },
    { "172.32.0.0", EGRESS_PUBLIC, NULL },
    { "192.167.255.255", EGRESS_PUBLIC, NULL },
    { "192.169.0.0", EGRESS_PUBLIC, NULL },
    { "198.17.255.255", EGRESS_PUBLIC, NULL },
    { "198.20.0.0", EGRESS_PUBLIC, NULL },
    { "223.255.255.255", EGRESS_PUBLIC, NULL },
    { "::ffff:8.8.8.8", EGRESS_PUBLIC, "8.8.8.8" },
    { "64:ff9b::8.8.8.8", EGRESS_PUBLIC, "8.8.8.8" },
    { "2606:4700:4700::1111", EGRESS_PUBLIC, NULL },
    { "2a00:1450:4001:80b::200e", EGRESS_PUBLIC, NULL },
    { "2001:200::1", EGRESS_PUBLIC, NULL },
    { "2001:4860:4860::8888", EGRESS_PUBLIC, NULL },
};

/* What a resolver makes of a literal; false: nothing. */
static bool resolve(const char *spelling, struct relay_address *a)
{
    struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM }, *list;
    *a = (struct relay_address){ .port = 80 };
    if (getaddrinfo(spelling, NULL, &hints, &list))
        return false;
    if (list->ai_family == AF_INET) {
        a->family = 4;
        memcpy(a->ip, &((struct sockaddr_in *)list->ai_addr)->sin_addr, 4);
    } else {
        a->family = 6;
        memcpy(a->ip, &((struct sockaddr_in6 *)list->ai_addr)->sin6_addr, 16);
    }
    freeaddrinfo(list);
    return true;
}

static void spellings(void)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct relay_address a, dial;
        char got[INET6_ADDRSTRLEN];
        const char *want = table[i].dial ? table[i].dial : table[i].spelling;
        if (!resolve(table[i].spelling, &a))
            TEST_FAIL_("%s: not an address", table[i].spelling);
        enum egress_class class = egress_check(&a, &dial);
        if (class != table[i].class)
            TEST_FAIL_("%s is %s, not %s", table[i].spelling, egress_class_name(class),
                       egress_class_name(table[i].class));
        /* Compared as addresses: there are several ways to write one. */
        struct relay_address target = { .port = 80 };
        target.family = strchr(want, ':') ? 6 : 4;
        CHECK_EQ(inet_pton(target.family == 6 ? AF_INET6 : AF_INET, want, target.ip), 1);
        inet_ntop(dial.family == 6 ? AF_INET6 : AF_INET, dial.ip, got, sizeof got);
        if (dial.family != target.family || dial.port != 80 || memcmp(dial.ip, target.ip, 16))
            TEST_FAIL_("%s is dialled as %s, not %s", table[i].spelling, got, want);
    }
}

/* Checking what was checked changes nothing: the address that is dialled has the class that was
 * found. */
static void check_is_idempotent(void)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct relay_address a, once, twice;
        CHECK(resolve(table[i].spelling, &a));
        enum egress_class class = egress_check(&a, &once);
        CHECK_EQ(egress_check(&once, &twice), class);
        CHECK(!memcmp(&once, &twice, sizeof once));
        CHECK_EQ(egress_check(&a, &a), class); /* in place */
        CHECK(!memcmp(&a, &once, sizeof a));
    }
}

/* Each IPv4 address has the same class in each of its IPv6 forms. */
static void forms_agree(void)
{
    static const uint8_t prefixes[][12] = {
        { [10] = 0xff, 0xff },
        { [8] = 0xff, 0xff },
        { 0, 0x64, 0xff, 0x9b },
        { 0 },
    };
    for (uint32_t n = 2; n < 1u << 16; n++) {
        struct relay_address four = { .family = 4, .ip = { n >> 8, n & 0xff, n & 1 ? 0 : n, 1 } };
        struct relay_address dial, other;
        enum egress_class class = egress_check(&four, &dial);
        for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
            struct relay_address six = { .family = 6 };
            memcpy(six.ip, prefixes[i], 12);
            memcpy(six.ip + 12, four.ip, 4);
            CHECK_EQ(egress_check(&six, &other), class);
            CHECK(!memcmp(&other, &dial, sizeof dial));
        }
        struct relay_address tunnel = { .family = 6, .ip = { 0x20, 0x02 } };
        memcpy(tunnel.ip + 2, four.ip, 4);
        CHECK_EQ(egress_check(&tunnel, &other), class ? class : EGRESS_TUNNEL);
    }
}

static void no_family_is_not_public(void)
{
    struct relay_address a = { .ip = { 8, 8, 8, 8 } };
    for (unsigned family = 0; family < 256; family++) {
        a.family = (uint8_t)family;
        struct relay_address dial;
        if (family != 4)
            CHECK(egress_check(&a, &dial) != EGRESS_PUBLIC);
    }
}

static void names(void)
{
    for (unsigned i = 0; i < EGRESS_CLASSES; i++)
        CHECK(strcmp(egress_class_name(i), "?"));
    CHECK_STR(egress_class_name(EGRESS_CLASSES), "?");
    CHECK_STR(egress_class_name(EGRESS_LINK_LOCAL), "link-local");
}

int main(void)
{
    RUN(spellings);
    RUN(check_is_idempotent);
    RUN(forms_agree);
    RUN(no_family_is_not_public);
    RUN(names);
    return test_done();
}
