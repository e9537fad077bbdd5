/*
 * -netdev user: a network of the guest's own with a router that turns its connections into sockets
 * of this process. The router is libslirp (stack.c); its answers and the options are QEMU's:
 *
 *   10.0.2.2   the host: DHCP, BOOTP and TFTP servers, ping; connections go to the host's loopback
 *   10.0.2.3   the host's name server
 *   10.0.2.4   SMB server, with smb=
 *   10.0.2.15  the guest, by DHCP; fec0::/64 by router advertisements and DHCPv6
 *
 * Frames come in by receive() and go out by net_send(), padded to Ethernet's 60 bytes. TCP from the
 * guest is taken in pieces of up to 64 KB without checksums (offloads), since it ends here; to
 * cards that take large segments it goes in pieces of 16 KB.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/text.h"
#include "net/netdev.h"
#include "net/relay/ether.h"
#include "net/relay/link.h"
#include "net/user/libslirp/glue.h"
#include "net/user/sockets.h"
#include "net/user/sockets_relay.h"
#include "net/user/sockets_wisp.h"
#include "net/user/user.h"
#include "net/user/user_impl.h"

#define MIN_FRAME 60

static struct user_net *user_net(struct net_client *nc)
{
    return (struct user_net *)nc;
}

/* ---- frames ---- */

static bool to_guest(void *opaque, const uint8_t *data, size_t len, unsigned gso_size)
{
    struct user_net *u = opaque;
    uint8_t padded[MIN_FRAME] = { 0 };
    if (gso_size) {
        bool ipv6 = data[12] == 0x86;
        uint16_t start = ipv6 ? 54 : 34; /* no IP options */
        const struct net_offload cut = { .needs_csum = true,
                                         .gso = ipv6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4,
                                         .gso_size = (uint16_t)gso_size,
                                         .hdr_len = (uint16_t)(start + 20),
                                         .csum_start = start,
                                         .csum_offset = 16 };
        return net_send(&u->nc, &(struct net_frame){ .data = data, .len = len, .off = cut });
    }
    if (len >= MIN_FRAME) { /* libslirp has made TCP's checksum just now */
        bool tcp = data[12] == 0x08 && data[13] == 0 && data[23] == IPPROTO_TCP;
        const struct net_offload good = { .csum_valid = tcp };
        return net_send(&u->nc, &(struct net_frame){ .data = data, .len = len, .off = good });
    }
    memcpy(padded, data, len);
    return net_send_buf(&u->nc, padded, MIN_FRAME);
}

static bool guest_has_room(void *opaque)
{
    struct user_net *u = opaque;
    return !u->nc.peer || net_can_send(&u->nc, NET_FRAME_MAX);
}

static bool guest_can_cut(void *opaque, bool ipv6)
{
    struct user_net *u = opaque;
    uint32_t needs = NET_OFFLOAD_CSUM | (ipv6 ? NET_OFFLOAD_TSO6 : NET_OFFLOAD_TSO4);
    return u->nc.peer && (u->nc.peer->offloads & needs) == needs;
}

static void turned(void *opaque)
{
    struct user_net *u = opaque;
    user_guestfwd_continue(u);
    if (u->refused && guest_has_room(u)) {
        u->refused = false;
        net_accept(&u->nc);
    }
}

static const struct user_stack_ops stack_ops = { to_guest, guest_has_room, guest_can_cut, turned };

static bool receive(struct net_client *nc, const struct net_frame *f)
{
    struct user_net *u = user_net(nc);
    u->refused = !user_stack_input(u->stack, f->data, f->len, f->off.needs_csum || f->off.gso);
    return !u->refused;
}

static void writable(struct net_client *nc)
{
    user_stack_writable(user_net(nc)->stack);
}

static void describe(struct net_client *nc, char *buf, size_t len)
{
    struct user_net *u = user_net(nc);
    char network[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &u->network, network, sizeof network);
    int n = snprintf(buf, len, "net=%s,restrict=%s", network, u->restricted ? "on" : "off");
    if (u->fetch)
        snprintf(buf + n, len - (size_t)n, ",fetch=on");
    if ((u->relay || u->wisp) && (size_t)n + 1 < len)
        buf[n++] = ',';
    if (u->relay)
        relay_link_describe(u->relay, buf + n, len - (size_t)n);
    else if (u->wisp)
        user_wisp_describe(u->wisp, buf + n, len - (size_t)n);
}

static void cleanup(struct net_client *nc)
{
    struct user_net *u = user_net(nc);
    user_guestfwd_free_all(u);
    u->wisp = NULL;
    user_stack_free(u->stack);
    user_smb_stop(u);
}

/* Of its connections the guest that came knows nothing, and of that guest's nobody here does: the
 * next segment of such a one is answered by a reset. */
static void state_replaced(struct net_client *nc)
{
    struct user_transport *before;
    struct user_stack *s = user_net(nc)->stack;
    user_glue_close_all(user_stack_enter(s, &before));
    user_stack_leave(s, before);
}

static const struct net_client_ops ops = {
    .type = "user",
    .state_replaced = state_replaced,
    .receive = receive,
    .writable = writable,
    .describe = describe,
    .cleanup = cleanup,
};

/* ---- making one ---- */

static void release_relay(void *opaque)
{
    struct user_net *u = opaque;
    relay_link_put(u->relay);
    u->relay = NULL;
}

/* Sockets of the host or, with relay=, of a relay. */
static bool make_transport(struct user_net *u, const struct keyval *args,
                           struct user_transport **transport, struct error *err)
{
    const char *url = keyval_get(args, "relay"), *token = keyval_get(args, "token");
    const char *doh = keyval_get(args, "doh"), *proxy = keyval_get(args, "cors-proxy");
    const char *protocol = keyval_get(args, "protocol");
    bool wisp = protocol && !strcmp(protocol, "wisp");
    u->fetch = netdev_arg_bool(args, "fetch", !url && !user_host_has_sockets());
    if ((token || protocol) && !url)
        return error_set(err, "token= and protocol= need relay=");
    if (protocol && !wisp && strcmp(protocol, "slipway"))
        return error_set(err, "protocol= expects slipway or wisp");
    if (token && wisp)
        return error_set(err, "protocol=wisp has no place for token=");
    if (url && u->fetch)
        return error_set(err, "fetch=on makes no sense with relay=");
    if ((doh || proxy) && !u->fetch)
        return error_set(err, "doh= and cors-proxy= need fetch=on");
    if (u->fetch) {
        *transport = user_fetch_transport_new(u->nc.name, doh, proxy, err);
        return *transport != NULL;
    }
    if (!url) {
        *transport = user_host_transport_new(u->nc.name);
        return true;
    }
    if (wisp) {
        *transport = u->wisp = user_wisp_transport_new(u->nc.name, url, err);
        return u->wisp != NULL;
    }
    u->relay = relay_link_get(u->nc.machine, url, token, err);
    if (!u->relay)
        return false;
    *transport =
        user_relay_transport_new(u->nc.name, relay_link_client(u->relay), release_relay, u);
    return true;
}

static bool set_up(struct user_net *u, const struct user_config *c, const struct keyval *args,
                   struct error *err)
{
    const char *smb = keyval_get(args, "smb");
    struct user_transport *transport = NULL;
    if (!make_transport(u, args, &transport, err))
        return false;
    u->stack = user_stack_new(u->nc.machine, &c->slirp, transport, &stack_ops, u);
    if (!u->stack)
        return error_set(err, "the user mode network can't be set up");
    struct user_transport *before;
    if (user_glue_search_failed(user_stack_enter(u->stack, &before), &c->slirp))
        fprintf(stderr,
                "slipway: warning: netdev '%s': dnssearch: there is a name that isn't one; none is "
                "told\n",
                u->nc.name);
    user_stack_leave(u->stack, before);
    for (const struct keyval *kv = args; kv; kv = kv->next) {
        if (!strcmp(kv->key, "hostfwd") && !user_hostfwd_add(u, kv->value, err))
            return false;
        if (!strcmp(kv->key, "guestfwd") && !user_guestfwd_add(u, kv->value, err))
            return false;
    }
    return !smb || user_smb_start(u, smb, c->smb_server, c->smb_given, err);
}

static struct net_client *create(struct machine *m, const char *name, const struct keyval *args,
                                 struct error *err)
{
    struct user_config c;
    struct net_client *nc = NULL;
    if (user_config_parse(&c, args, err)) {
        nc = net_client_new(m, &ops, sizeof(struct user_net), "user", name);
        struct user_net *u = user_net(nc);
        nc->offloads = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN;
        u->network = c.slirp.vnetwork;
        u->restricted = c.slirp.restricted;
        if (!set_up(u, &c, args, err)) {
            net_client_free(nc);
            nc = NULL;
        }
    }
    free(c.search);
    return nc;
}

static bool hostfwd_add(struct net_client *nc, const char *rule, struct error *err)
{
    return user_hostfwd_add(user_net(nc), rule, err);
}

static bool hostfwd_remove(struct net_client *nc, const char *rule, struct error *err)
{
    return user_hostfwd_remove(user_net(nc), rule, err);
}

static void info_usernet(struct net_client *nc, struct text *out)
{
    struct user_transport *before;
    Slirp *slirp = user_stack_enter(user_net(nc)->stack, &before);
    char *info = slirp_connection_info(slirp);
    user_stack_leave(user_net(nc)->stack, before);
    text_puts(out, info);
    free(info);
}

/* clang-format off: a table */
static const struct netdev_option options[] = {
    { "ipv4", NETDEV_BOOL, NULL, "IPv4; on alone means IPv4 only", 0 },
    { "ipv6", NETDEV_BOOL, NULL, "IPv6; on alone means IPv6 only", 0 },
    { "net", NETDEV_STRING, "ADDR[/MASK]", "the guest's network; default 10.0.2.0/24", 0 },
    { "host", NETDEV_STRING, "ADDR", "the host's address in it; default .2", 0 },
    { "ip", NETDEV_STRING, "ADDR", "old name of net, with a mask of 24 bits", 0 },
    { "ipv6-net", NETDEV_STRING, "ADDR[/LEN]", "the guest's IPv6 network; default fec0::/64", 0 },
    { "ipv6-prefix", NETDEV_STRING, "ADDR", "the address of ipv6-net", 0 },
    { "ipv6-prefixlen", NETDEV_NUMBER, "LEN", "the prefix length of ipv6-net", 0 },
    { "ipv6-host", NETDEV_STRING, "ADDR", "the host's IPv6 address in it; default ::2", 0 },
    { "restrict", NETDEV_BOOL, NULL, "nothing but forwardings leads out", 0 },
    { "hostname", NETDEV_STRING, "NAME", "the guest's name, told by DHCP", 0 },
    { "dhcpstart", NETDEV_STRING, "ADDR", "the first of 16 addresses for DHCP; default .15", 0 },
    { "dns", NETDEV_STRING, "ADDR", "the name server's address; default .3", 0 },
    { "ipv6-dns", NETDEV_STRING, "ADDR", "the name server's IPv6 address; default ::3", 0 },
    { "dnssearch", NETDEV_LIST, "DOMAIN", "a domain to search names in, told by DHCP", 0 },
    { "domainname", NETDEV_STRING, "DOMAIN", "the guest's domain, told by DHCP", 0 },
    { "tftp", NETDEV_STRING, "DIR", "a directory of files for TFTP", 0 },
    { "tftp-server-name", NETDEV_STRING, "NAME", "TFTP server's name, told by DHCP", 0 },
    { "bootfile", NETDEV_STRING, "FILE", "what to boot, told by DHCP", 0 },
    { "hostfwd", NETDEV_LIST, "[tcp|udp]:[HOSTADDR]:PORT-[GUESTADDR]:PORT",
      "a port of the host that leads to the guest", 0 },
    { "guestfwd", NETDEV_LIST, "[tcp]:ADDR:PORT-DEV or -cmd:COMMAND",
      "an address in the guest's network that leads to a chardev or program", 0 },
    { "smb", NETDEV_STRING, "DIR", "a directory for an SMB server (smbd) to share; on: the relay's",
      0 },
    { "smbserver", NETDEV_STRING, "ADDR", "the SMB server's address; default .4", 0 },
    RELAY_OPTIONS,
    { "protocol", NETDEV_STRING, "slipway|wisp", "wisp: the relay is a Wisp server", 0 },
    { "fetch", NETDEV_BOOL, NULL,
      "nothing but HTTP, through fetch(); in a page on without relay=", 0 },
    { "doh", NETDEV_STRING, "URL", "fetch: server for DNS over HTTPS", 0 },
    { "cors-proxy", NETDEV_STRING, "URL", "fetch: put this before each URL", 0 },
    { NULL, 0, NULL, NULL, 0 },
};
/* clang-format on */

const struct netdev_class netdev_user = {
    .type = "user",
    .help = "a network of the guest's own, behind a router in this process; needs no privileges",
    .options = options,
    .create = create,
    .hostfwd_add = hostfwd_add,
    .hostfwd_remove = hostfwd_remove,
    .info_usernet = info_usernet,
};
