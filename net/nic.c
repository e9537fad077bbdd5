/*
 * What all NIC models share: their client and its address, and the checksums of Ethernet.
 *
 * Addresses: as QEMU has them, 52:54:00:12:34:56 and upwards in the order in which NICs without
 * mac= are made, leaving out those that are in use.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "hw/device.h"
#include "net/net_impl.h"

static const uint8_t default_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

static bool is_default_range(const uint8_t mac[6])
{
    return !memcmp(mac, default_mac, 5);
}

bool nic_parse_mac(const char *text, uint8_t mac[6])
{
    uint64_t last;
    if (parse_mac(text, mac))
        return true;
    if (!parse_u64(text, &last) || last > 0xffffff)
        return false;
    memcpy(mac, default_mac, 3);
    mac[3] = (uint8_t)(last >> 16);
    mac[4] = (uint8_t)(last >> 8);
    mac[5] = (uint8_t)last;
    return true;
}

void nic_conf_default_mac(struct machine *m, struct nic_conf *conf)
{
    static const uint8_t zero[6];
    struct net *n = net_of(m);
    if (memcmp(conf->mac, zero, 6))
        return;
    memcpy(conf->mac, default_mac, 6);
    for (unsigned last = default_mac[5]; last < 256; last++)
        if (!n->mac_used[last]) {
            conf->mac[5] = (uint8_t)last;
            break;
        }
}

static void count_mac(struct machine *m, const uint8_t mac[6], int change)
{
    if (is_default_range(mac))
        m->net->mac_used[mac[5]] = (uint8_t)(m->net->mac_used[mac[5]] + change);
}

struct nic *nic_new(struct device *d, const struct net_client_ops *ops, struct nic_conf *conf,
                    const char *model, struct error *err)
{
    struct machine *m = d->machine;
    struct net_client *netdev = NULL;
    if (conf->netdev && *conf->netdev) {
        netdev = net_find(m, conf->netdev);
        if (!netdev || netdev->ops->nic) {
            error_set(err, "Property '%s.netdev' can't find value '%s'", d->cls->name,
                      conf->netdev);
            return NULL;
        }
        if (netdev->peer) {
            error_set(err, "Property '%s.netdev' can't take value '%s', it's in use", d->cls->name,
                      conf->netdev);
            return NULL;
        }
    }
    nic_conf_default_mac(m, conf);
    count_mac(m, conf->mac, 1);
    struct nic *nic = (struct nic *)net_client_new(m, ops, sizeof *nic, model, d->id);
    nic->device = d;
    nic->conf = conf;
    memcpy(nic->conf_mac, conf->mac, 6);
    memcpy(nic->mac, conf->mac, 6);
    if (netdev)
        net_connect(&nic->nc, netdev);
    return nic;
}

void nic_free(struct nic *nic)
{
    if (!nic)
        return;
    count_mac(nic->nc.machine, nic->conf_mac, -1);
    net_client_free(&nic->nc);
}

void nic_set_mac(struct nic *nic, const uint8_t mac[6])
{
    memcpy(nic->mac, mac, 6);
}

/* ---- announcements ---- */

/* A RARP request "who am I" (RFC 903), as QEMU's: switches learn the port, nobody answers. */
static void announce(struct nic *nic)
{
    static const uint8_t arp[10] = { 0x80, 0x35, 0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x03 };
    uint8_t frame[60] = { 0 };
    memset(frame, 0xff, 6);
    memcpy(frame + 6, nic->mac, 6);
    memcpy(frame + 12, arp, 10);
    memcpy(frame + 22, nic->mac, 6);
    memcpy(frame + 32, nic->mac, 6);
    net_send_buf(&nic->nc, frame, sizeof frame);
    if (nic->nc.ops->announce)
        nic->nc.ops->announce(&nic->nc);
}

/* Is @name one of the comma-separated @names? NULL: all are. */
static bool is_among(const char *names, const char *name)
{
    size_t len = strlen(name);
    for (const char *s = names; s; s = strchr(s, ','), s += s != NULL)
        if (!strncmp(s, name, len) && (!s[len] || s[len] == ','))
            return true;
    return !names;
}

static void announce_round(void *opaque)
{
    struct machine *m = opaque;
    struct net *n = m->net;
    for (struct net_client *nc = n->clients; nc; nc = nc->next)
        if (nc->ops->nic && is_among(n->announced, nc->name))
            announce((struct nic *)nc);
    if (++n->announce.round >= n->announce.how.rounds) {
        nic_announce_stop(n, m);
        return;
    }
    int64_t ms = n->announce.how.initial_ms + (int64_t)n->announce.round * n->announce.how.step_ms;
    if (ms > n->announce.how.max_ms)
        ms = n->announce.how.max_ms;
    host_every(ms * 1000000, announce_round, m);
}

void nic_announce_stop(struct net *n, struct machine *m)
{
    host_every_stop(announce_round, m);
    free(n->announced);
    n->announced = NULL;
}

void nic_announce(struct machine *m, const struct nic_announcement *how, const char *names)
{
    struct net *n = net_of(m);
    nic_announce_stop(n, m);
    n->announced = names ? strdup(names) : NULL;
    n->announce.how = *how;
    n->announce.round = 0;
    if (how->rounds)
        announce_round(m);
}

/* ---- CRC-32 of IEEE 802.3 ---- */

uint32_t net_crc32_be(const uint8_t *p, size_t len)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < len; i++)
        for (int bit = 0; bit < 8; bit++) {
            bool carry = (crc >> 31) ^ ((p[i] >> bit) & 1u);
            crc = crc << 1 ^ (carry ? 0x04c11db7u : 0);
        }
    return crc;
}

uint32_t net_crc32_le(const uint8_t *p, size_t len)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return crc;
}
