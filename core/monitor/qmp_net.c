/*
 * QMP's commands about the network and about what comes and goes; the work is done in net/ and
 * pc_devices.c.
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

bool qmp_device_add(struct qmp_call *c)
{
    struct keyval *args = NULL;
    struct json none = { .type = JSON_OBJECT };
    return net_keyval_of_json(c->args ? c->args : &none, &args, c->err) &&
           machine_device_add_keyval(c->machine, args, c->err);
}

bool qmp_device_del(struct qmp_call *c)
{
    const char *id = json_get(c->args, "id")->s;
    if (!machine_find_device(c->machine, id))
        c->class = "DeviceNotFound";
    return machine_device_del(c->machine, id, c->err);
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

static bool get_ms(struct qmp_call *c, const char *name, int64_t max, uint32_t *value)
{
    int64_t v = json_get(c->args, name)->i;
    *value = (uint32_t)v;
    return (v >= 0 && v <= max) ||
           error_set(c->err, "Parameter '%s' expects a value between 0 and %lld", name,
                     (long long)max);
}

bool qmp_announce_self(struct qmp_call *c)
{
    const struct json *list = json_get(c->args, "interfaces");
    struct nic_announcement how;
    struct text names = { 0 };
    if (!get_ms(c, "initial", 100000, &how.initial_ms) || !get_ms(c, "max", 100000, &how.max_ms) ||
        !get_ms(c, "rounds", 1000, &how.rounds) || !get_ms(c, "step", 10000, &how.step_ms))
        return false;
    for (const struct json *v = list ? list->first : NULL; v; v = v->next)
        if (v->type == JSON_STRING)
            text_printf(&names, "%s%s", names.len ? "," : "", v->s);
    nic_announce(c->machine, &how, list ? text_str(&names) : NULL);
    text_free(&names);
    return true;
}
