/*
 * The human monitor's commands about the network and about what comes and goes (device_add,
 * netdev_add, object_add), with QEMU's arguments and words; the work is done in net/ and
 * pc_devices.c.
 */
#include <string.h>

#include "monitor/monitor_impl.h"
#include "net/net.h"

void hmp_info_network(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    net_info(m, out);
}

void hmp_info_usernet(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    net_info_usernet(m, out);
}

void hmp_set_link(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    if (strcmp(a[1].s, "on") && strcmp(a[1].s, "off"))
        text_puts(out, "Expected 'on' or 'off'\nTry \"help set_link\" for more information\n");
    else
        hmp_say(out, net_set_link_by_name(m, a[0].s, !strcmp(a[1].s, "on"), &err), &err);
}

void hmp_netdev_add(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    hmp_say(out, netdev_add(m, a[0].s, &err), &err);
}

void hmp_netdev_del(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    hmp_say(out, netdev_del(m, a[0].s, &err), &err);
}

void hmp_device_add(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    hmp_say(out, machine_device_add(m, a[0].s, &err), &err);
}

void hmp_device_del(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    hmp_say(out, machine_device_del(m, a[0].s, &err), &err);
}

void hmp_object_add(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    hmp_say(out, net_object_add(m, a[0].s, &err), &err);
}

void hmp_object_del(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    hmp_say(out, net_object_del(m, a[0].s, &err), &err);
}

void hmp_announce_self(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    static const struct nic_announcement how = NIC_ANNOUNCE_DEFAULT;
    nic_announce(m, &how, a[0].given ? a[0].s : NULL);
}

/* "[netdev_id] rule": which of the two words is the rule? */
static struct net_client *find_stack(struct machine *m, struct text *out, const struct hmp_arg *a,
                                     const char **rule)
{
    struct error err;
    struct net_client *nc = net_find_usernet(m, a[1].given ? a[0].s : NULL, &err);
    *rule = a[a[1].given].s;
    if (!nc)
        text_printf(out, "%s\n", err.msg);
    return nc;
}

void hmp_hostfwd_add(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    const char *rule;
    struct net_client *nc = find_stack(m, out, a, &rule);
    if (nc && !net_hostfwd_add(nc, rule, &err))
        text_printf(out, "%s\n", err.msg);
}

void hmp_hostfwd_remove(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err = { "" };
    const char *rule;
    struct net_client *nc = find_stack(m, out, a, &rule);
    if (!nc)
        return;
    bool removed = net_hostfwd_remove(nc, rule, &err);
    if (!removed && err.msg[0])
        text_printf(out, "%s\n", err.msg);
    else
        text_printf(out, "host forwarding rule for %s %s\n", rule,
                    removed ? "removed" : "not found");
}
