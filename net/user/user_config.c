/*
 * The options of -netdev user as libslirp's configuration. Defaults, limits and messages are
 * QEMU's: addresses not given are made from the network's (.2 host, .3 name server, .4 SMB, .15 and
 * up for DHCP; ::2 and ::3), and all must differ and lie in the network where that matters.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/netdev.h"
#include "net/user/user_impl.h"

/* ipv4=on alone means IPv4 only, as ipv4=off means IPv6 only, and the other way round. */
static bool parse_families(SlirpConfig *c, const struct keyval *args, struct error *err)
{
    bool given4 = keyval_get(args, "ipv4"), given6 = keyval_get(args, "ipv6");
    bool on4 = netdev_arg_bool(args, "ipv4", false), on6 = netdev_arg_bool(args, "ipv6", false);
    c->in_enabled = !((on6 && !given4) || (given4 && !on4));
    c->in6_enabled = !((on4 && !given6) || (given6 && !on6));
    if (!c->in_enabled && (keyval_get(args, "net") || keyval_get(args, "ip") ||
                           keyval_get(args, "host") || keyval_get(args, "dns")))
        return error_set(err, "IPv4 disabled but netmask/host/dns provided");
    if (!c->in6_enabled && (keyval_get(args, "ipv6-net") || keyval_get(args, "ipv6-prefix") ||
                            keyval_get(args, "ipv6-host") || keyval_get(args, "ipv6-dns")))
        return error_set(err, "IPv6 disabled but prefix/host6/dns6 provided");
    if (!c->in_enabled && !c->in6_enabled)
        return error_set(err, "IPv4 and IPv6 disabled");
    return true;
}

/* The mask of a network without one: its class, or that of the private and test networks. */
static uint32_t class_mask(uint32_t addr)
{
    static const struct {
        uint32_t bits, value, mask;
    } classes[] = {
        { 0x80000000, 0, 0xff000000 },          { 0xfff00000, 0xac100000, 0xfff00000 },
        { 0xc0000000, 0x80000000, 0xffff0000 }, { 0xffff0000, 0xc0a80000, 0xffff0000 },
        { 0xffff0000, 0xc6120000, 0xfffe0000 }, { 0xe0000000, 0xe0000000, 0xffffff00 },
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if ((addr & classes[i].bits) == classes[i].value)
            return classes[i].mask;
    return 0xfffffff0;
}

static bool parse_mask(const char *text, struct in_addr *mask, struct error *err)
{
    char *end;
    long bits = strtol(text, &end, 10);
    if (*end) {
        if (!inet_aton(text, mask))
            return error_set(err, "Failed to parse netmask (trailing chars)");
    } else if (bits < 4 || bits > 32) {
        return error_set(err, "Invalid netmask provided (must be in range 4-32)");
    } else {
        mask->s_addr = htonl((uint32_t)(0xffffffffull << (32 - bits)));
    }
    return true;
}

/* "10.0.2.0/24", "10.0.2.0/255.255.255.0" or "10.0.2.0". */
static bool parse_network(SlirpConfig *c, const char *text, const char *mask, struct error *err)
{
    char addr[64];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    snprintf(addr, sizeof addr, "%.*s", len < sizeof addr ? (int)len : 0, text);
    if (!inet_aton(addr, &c->vnetwork))
        return error_set(err, "Failed to parse netmask");
    if (slash)
        mask = slash + 1;
    if (mask) {
        if (!parse_mask(mask, &c->vnetmask, err))
            return false;
    } else {
        c->vnetmask.s_addr = htonl(class_mask(ntohl(c->vnetwork.s_addr)));
    }
    c->vnetwork.s_addr &= c->vnetmask.s_addr;
    return true;
}

static bool parse_ipv4(struct user_config *uc, const struct keyval *args, struct error *err)
{
    SlirpConfig *c = &uc->slirp;
    const char *net = keyval_get(args, "net"), *ip = keyval_get(args, "ip");
    const char *host = keyval_get(args, "host"), *dns = keyval_get(args, "dns");
    const char *dhcp = keyval_get(args, "dhcpstart"), *smb = keyval_get(args, "smbserver");
    bool ok = net  ? parse_network(c, net, NULL, err)
              : ip ? parse_network(c, ip, "24", err)
                   : parse_network(c, "10.0.2.0", "24", err);
    if (!ok)
        return false;
    uint32_t wild = ~c->vnetmask.s_addr, network = c->vnetwork.s_addr;
    uint32_t offset = net || ip ? 0x0200 : 0;
    c->vhost.s_addr = network | (htonl(offset | 2) & wild);
    c->vdhcp_start.s_addr = network | (htonl(offset | 15) & wild);
    c->vnameserver.s_addr = network | (htonl(offset | 3) & wild);
    uc->smb_server.s_addr = network | (htonl(offset | 4) & wild);

    if (host && !inet_aton(host, &c->vhost))
        return error_set(err, "Failed to parse host");
    if ((c->vhost.s_addr & c->vnetmask.s_addr) != network)
        return error_set(err, "Host doesn't belong to network");
    if (dns && !inet_aton(dns, &c->vnameserver))
        return error_set(err, "Failed to parse DNS");
    if (c->restricted && (c->vnameserver.s_addr & c->vnetmask.s_addr) != network)
        return error_set(err, "DNS doesn't belong to network");
    if (c->vnameserver.s_addr == c->vhost.s_addr)
        return error_set(err, "DNS must be different from host");
    if (dhcp && !inet_aton(dhcp, &c->vdhcp_start))
        return error_set(err, "Failed to parse DHCP start address");
    if ((c->vdhcp_start.s_addr & c->vnetmask.s_addr) != network)
        return error_set(err, "DHCP doesn't belong to network");
    if (c->vdhcp_start.s_addr == c->vhost.s_addr || c->vdhcp_start.s_addr == c->vnameserver.s_addr)
        return error_set(err, "DHCP must be different from host and DNS");
    if (smb && !inet_aton(smb, &uc->smb_server))
        return error_set(err, "Failed to parse SMB address");
    uc->smb_given = smb != NULL;
    return true;
}

static bool same_prefix(const struct in6_addr *a, const struct in6_addr *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8))
        return false;
    return bits % 8 == 0 || (a->s6_addr[bits / 8] ^ b->s6_addr[bits / 8]) >> (8 - bits % 8) == 0;
}

static bool parse_ipv6(SlirpConfig *c, const struct keyval *args, struct error *err)
{
    const char *net = keyval_get(args, "ipv6-net"), *prefix = keyval_get(args, "ipv6-prefix");
    const char *host = keyval_get(args, "ipv6-host"), *dns = keyval_get(args, "ipv6-dns");
    uint64_t bits = netdev_arg_number(args, "ipv6-prefixlen", 0);
    char text[64];
    if (net) {
        size_t len = strcspn(net, "/");
        snprintf(text, sizeof text, "%.*s", len < sizeof text ? (int)len : 0, net);
        prefix = text;
        if (net[len] && !parse_u64(net + len + 1, &bits))
            return error_set(err, "Parameter 'ipv6-prefixlen' expects a number");
    }
    if (inet_pton(AF_INET6, prefix ? prefix : "fec0::", &c->vprefix_addr6) != 1)
        return error_set(err, "Failed to parse IPv6 prefix");
    if (bits > 126)
        return error_set(err, "Invalid IPv6 prefix provided (IPv6 prefix length must be between 0 "
                              "and 126)");
    c->vprefix_len = bits ? (uint8_t)bits : 64;
    c->vhost6 = c->vnameserver6 = c->vprefix_addr6;
    c->vhost6.s6_addr[15] |= 2;
    c->vnameserver6.s6_addr[15] |= 3;
    if (host && inet_pton(AF_INET6, host, &c->vhost6) != 1)
        return error_set(err, "Failed to parse IPv6 host");
    if (!same_prefix(&c->vprefix_addr6, &c->vhost6, c->vprefix_len))
        return error_set(err, "IPv6 Host doesn't belong to network");
    if (dns && inet_pton(AF_INET6, dns, &c->vnameserver6) != 1)
        return error_set(err, "Failed to parse IPv6 DNS");
    if (dns && c->restricted && !same_prefix(&c->vprefix_addr6, &c->vnameserver6, c->vprefix_len))
        return error_set(err, "IPv6 DNS doesn't belong to network");
    return true;
}

static bool parse_names(struct user_config *uc, const struct keyval *args, struct error *err)
{
    SlirpConfig *c = &uc->slirp;
    c->vhostname = keyval_get(args, "hostname");
    c->vdomainname = keyval_get(args, "domainname");
    c->tftp_path = keyval_get(args, "tftp");
    c->tftp_server_name = keyval_get(args, "tftp-server-name");
    c->bootfile = keyval_get(args, "bootfile");
    if (c->vdomainname && !*c->vdomainname)
        return error_set(err, "'domainname' parameter cannot be empty");
    if (c->vdomainname && strlen(c->vdomainname) > 255)
        return error_set(err, "'domainname' parameter cannot exceed 255 bytes");
    if (c->vhostname && strlen(c->vhostname) > 255)
        return error_set(err, "'vhostname' parameter cannot exceed 255 bytes");
    if (c->tftp_server_name && strlen(c->tftp_server_name) > 255)
        return error_set(err, "'tftp-server-name' parameter cannot exceed 255 bytes");
    if (c->bootfile && strlen(c->bootfile) > 127)
        return error_set(err, "'bootfile' parameter cannot exceed 127 bytes");
    size_t n = 0;
    for (const struct keyval *kv = args; kv; kv = kv->next)
        n += !strcmp(kv->key, "dnssearch");
    if (n == 0)
        return true;
    uc->search = calloc(n + 1, sizeof *uc->search);
    if (!uc->search)
        return error_set(err, "out of memory");
    n = 0;
    for (const struct keyval *kv = args; kv; kv = kv->next)
        if (!strcmp(kv->key, "dnssearch"))
            uc->search[n++] = kv->value;
    c->vdnssearch = uc->search;
    return true;
}

bool user_config_parse(struct user_config *uc, const struct keyval *args, struct error *err)
{
    memset(uc, 0, sizeof *uc);
    uc->slirp.version = 4;
    uc->slirp.restricted = netdev_arg_bool(args, "restrict", false);
    return parse_families(&uc->slirp, args, err) && parse_ipv4(uc, args, err) &&
           parse_ipv6(&uc->slirp, args, err) && parse_names(uc, args, err);
}
