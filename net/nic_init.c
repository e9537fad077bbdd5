/*
 * The NICs of -nic, -net nic and of the default: which models there are, and making the devices.
 *
 * nic_wanted() takes a NIC down when its netdev was made; net_init_nics() makes them all, in that
 * order, once the buses are there. A model is a device class that has a property `netdev`, so a new
 * NIC is known here by being in device_classes[].
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/device.h"
#include "machine.h"
#include "net/net_impl.h"

#define DEFAULT_MODEL "e1000"

struct wanted_nic {
    struct wanted_nic *next;
    const struct net_option *option;
    char *netdev;
};

static bool has_prop(const struct device_class *c, const char *name)
{
    for (const struct prop *p = c->props; p && p->name; p++)
        if (!strcmp(p->name, name))
            return true;
    return false;
}

static bool is_nic(const struct device_class *c)
{
    return has_prop(c, "netdev");
}

/* A NIC's class by the name of its model; QEMU's short "virtio" too. */
static const struct device_class *find_model(const char *model)
{
    const struct device_class *c =
        device_class_find(strcmp(model, "virtio") ? model : "virtio-net-pci");
    return c && c->bus && is_nic(c) ? c : NULL;
}

void nic_print_models(void)
{
    printf("Supported NIC models:\n");
    for (size_t i = 0; device_classes[i]; i++)
        if (device_classes[i]->bus && is_nic(device_classes[i]))
            printf("%s\n", device_classes[i]->name);
    for (const struct device_alias *a = device_aliases; a->name; a++)
        if (is_nic(a->cls))
            printf("%s\n", a->name);
}

bool nic_wanted(struct machine *m, const struct net_option *o, const char *netdev,
                struct error *err)
{
    if (o->model && !find_model(o->model))
        return error_set(err, "Unsupported NIC model: %.100s", o->model);
    struct wanted_nic *w = calloc(1, sizeof *w), **at = &net_of(m)->wanted;
    if (!w || !(w->netdev = strdup(netdev)))
        abort();
    w->option = o;
    while (*at)
        at = &(*at)->next;
    *at = w;
    return true;
}

void nic_wanted_free(struct net *n)
{
    while (n->wanted) {
        struct wanted_nic *w = n->wanted;
        n->wanted = w->next;
        free(w->netdev);
        free(w);
    }
}

/* A PC's ISA NICs sit at jumpered places: QEMU's, in its order. */
static bool place_isa(struct device *d, unsigned n, struct error *err)
{
    static const struct {
        const char *iobase, *irq;
    } places[] = { { "0x300", "9" }, { "0x320", "10" }, { "0x340", "11" },
                   { "0x360", "3" }, { "0x280", "4" },  { "0x380", "5" } };
    if (n >= sizeof places / sizeof places[0])
        return error_set(err, "too many ISA NICs");
    return device_set_prop(d, "iobase", places[n].iobase, err) &&
           device_set_prop(d, "irq", places[n].irq, err);
}

static bool set_mac(struct device *d, const char *text, struct error *err)
{
    uint8_t mac[6] = { 0 };
    char full[18];
    nic_parse_mac(text, mac);
    snprintf(full, sizeof full, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
    return device_set_prop(d, "mac", full, err);
}

static bool make(struct machine *m, const struct wanted_nic *w, unsigned *isa, struct error *err)
{
    const struct net_option *o = w->option;
    const char *model = o->model ? o->model : DEFAULT_MODEL;
    const struct device_class *c = find_model(model);
    const struct device_alias *alias = device_alias_find(model);
    if (!c)
        return error_set(err, "Unsupported NIC model: %.100s", model);
    struct device *d = device_new(m, c);
    if (!d)
        return error_set(err, "out of memory");
    if (o->kind == NET_OPTION_NET && o->id && !(d->id = strdup(o->id)))
        abort();
    if (o->addr && !(d->addr = strdup(o->addr)))
        abort();
    bool ok = device_set_prop(d, "netdev", w->netdev, err) &&
              (!o->mac || set_mac(d, o->mac, err)) &&
              (!alias || !alias->prop || device_set_prop(d, alias->prop, alias->value, err)) &&
              (!o->vectors || !has_prop(c, "vectors") ||
               device_set_prop(d, "vectors", o->vectors, err)) &&
              (strcmp(c->bus, "ISA") || place_isa(d, (*isa)++, err));
    if (!ok) {
        device_free(d);
        return false;
    }
    return device_realize(d, err);
}

bool net_init_nics(struct machine *m, struct error *err)
{
    struct net *n = net_of(m);
    unsigned isa = 0;
    for (const struct wanted_nic *w = n->wanted; w; w = w->next)
        if (!make(m, w, &isa, err))
            return error_prepend(err, "%.200s", w->option->text);
    nic_wanted_free(n);
    return true;
}
