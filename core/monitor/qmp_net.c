/*
 * QMP's network commands; the work is done in net/.
 */
#include "monitor/qmp_impl.h"
#include "net/net.h"

bool qmp_set_link(struct qmp_call *c)
{
    const char *name = json_get(c->args, "name")->s;
    if (!net_find(c->machine, name))
        c->class = "DeviceNotFound";
    return net_set_link_by_name(c->machine, name, json_get(c->args, "up")->b, c->err);
}

bool qmp_netdev_add(struct qmp_call *c)
{
    return netdev_add_json(c->machine, c->args, c->err);
}

bool qmp_netdev_del(struct qmp_call *c)
{
    const char *id = json_get(c->args, "id")->s;
    if (!net_find(c->machine, id))
        c->class = "DeviceNotFound";
    return netdev_del(c->machine, id, c->err);
}

bool qmp_object_add(struct qmp_call *c)
{
    return net_object_add_json(c->machine, c->args, c->err);
}

bool qmp_object_del(struct qmp_call *c)
{
    return net_object_del(c->machine, json_get(c->args, "id")->s, c->err);
}

bool qmp_announce_self(struct qmp_call *c)
{
    nic_announce_all(c->machine);
    return true;
}
