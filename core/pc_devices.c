/*
 * -device: makes each by its class name, sets its properties and realizes it; device_add and
 * device_del do the same to PCI devices while the machine is there. Also what -device help prints.
 */
#include "pc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/device.h"
#include "hw/pci/hotplug.h"
#include "machine.h"
#include "options.h"

/* Where it sits: addr= and bus= of a PCI or ISA device. @done: it was one of them. */
static bool set_place(struct device *d, const struct keyval *kv, bool *done, struct error *err)
{
    bool pci = !strcmp(d->cls->bus, "PCI"), isa = !strcmp(d->cls->bus, "ISA");
    *done = true;
    if (pci && !strcmp(kv->key, "addr")) {
        free(d->addr);
        if (!(d->addr = strdup(kv->value)))
            abort();
        return true;
    }
    if ((pci || isa) && !strcmp(kv->key, "bus")) {
        const char *bus = pci ? "pci.0" : "isa.0";
        return !strcmp(kv->value, bus) || (pci && !strcmp(kv->value, "pci")) ||
               error_set(err, "Bus '%s' not found (device '%s' goes on '%s')", kv->value,
                         d->cls->name, bus);
    }
    *done = false;
    return true;
}

static bool set_props(struct device *d, const struct device_alias *alias,
                      const struct keyval *props, struct error *err)
{
    if (alias && alias->prop && !device_set_prop(d, alias->prop, alias->value, err))
        return false;
    for (const struct keyval *kv = props; kv; kv = kv->next) {
        bool done;
        if (!set_place(d, kv, &done, err))
            return false;
        if (!done && !device_set_prop(d, kv->key, kv->value, err))
            return false;
    }
    return true;
}

static struct device *make(struct machine *m, const struct device_option *o, struct error *err)
{
    const struct device_class *cls = device_class_find(o->driver);
    if (!cls || !cls->bus) {
        error_set(err, "'%s' is not a valid device model name (see -device help)", o->driver);
        return NULL;
    }
    struct device *d = device_new(m, cls);
    if (!d) {
        error_set(err, "out of memory");
        return NULL;
    }
    if (o->id && !(d->id = strdup(o->id)))
        abort();
    if (!set_props(d, device_alias_find(o->driver), o->props, err)) {
        device_free(d);
        return NULL;
    }
    return device_realize(d, err) ? d : NULL;
}

bool pc_add_devices(struct machine *m, struct error *err)
{
    for (const struct device_option *o = m->opt->devices; o; o = o->next)
        if (!make(m, o, err))
            return error_prepend(err, "-device %s", o->driver);
    return true;
}

/* ---- while the machine is there ---- */

static bool plug(struct machine *m, struct device_option *o, struct error *err)
{
    if (!device_option_take(o))
        return error_set(err, "Parameter 'driver' is missing");
    const struct device_class *cls = device_class_find(o->driver);
    if (!cls || !cls->bus)
        return error_set(err, "'%s' is not a valid device model name", o->driver);
    if (strcmp(cls->bus, "PCI") || !m->pci->hotplug)
        return error_set(err, "Bus '%s' does not support hotplugging",
                         !strcmp(cls->bus, "ISA") ? "isa.0" : "pci.0");
    if (o->id && machine_find_device(m, o->id))
        return error_set(err, "Duplicate device ID '%s'", o->id);
    mem_transaction_begin(&m->mem);
    mem_transaction_begin(&m->io);
    struct pci_device *d = (struct pci_device *)make(m, o, err);
    if (d) {
        pci_device_reset(d);
        device_reset(&d->dev);
        pci_hotplug_added(d);
    }
    mem_transaction_end(&m->io);
    mem_transaction_end(&m->mem);
    return d != NULL;
}

static bool plug_and_free(struct machine *m, struct device_option *o, struct error *err)
{
    bool ok = plug(m, o, err);
    free(o->driver);
    free(o->id);
    keyval_free(o->props);
    return ok;
}

bool machine_device_add(struct machine *m, const char *arg, struct error *err)
{
    struct device_option o = { 0 };
    return keyval_parse(arg, &o.driver, &o.props, "device_add", err) && plug_and_free(m, &o, err);
}

bool machine_device_add_keyval(struct machine *m, struct keyval *args, struct error *err)
{
    struct device_option o = { .props = args };
    return plug_and_free(m, &o, err);
}

bool machine_device_del(struct machine *m, const char *id, struct error *err)
{
    struct device *d = machine_find_device(m, id);
    if (!d)
        return error_set(err, "Device '%s' not found", id);
    if (!d->cls->bus || strcmp(d->cls->bus, "PCI"))
        return error_set(err, "Device '%s' does not support hotplugging", d->cls->name);
    return pci_hotplug_remove((struct pci_device *)d, err);
}

/* ---- help ---- */

void device_print_classes(void)
{
    for (size_t i = 0; device_classes[i]; i++) {
        const struct device_class *c = device_classes[i];
        if (!c->bus)
            continue;
        printf("name \"%s\", bus %s", c->name, c->bus);
        if (c->desc)
            printf(", desc \"%s\"", c->desc);
        printf("\n");
    }
    for (const struct device_alias *a = device_aliases; a->name; a++) {
        printf("name \"%s\", alias \"%s", a->name, a->cls->name);
        if (a->prop)
            printf(",%s=%s", a->prop, a->value);
        printf("\"\n");
    }
}

void device_print_props(const struct device_class *cls)
{
    static const char *const types[] = {
        [PROP_BOOL] = "bool",  [PROP_U32] = "uint32", [PROP_U64] = "uint64",  [PROP_SIZE] = "size",
        [PROP_STRING] = "str", [PROP_DRIVE] = "str",  [PROP_CHARDEV] = "str", [PROP_MAC] = "macaddr"
    };
    printf("%s options:\n", cls->name);
    for (const struct prop *p = cls->props; p && p->name; p++) {
        printf("  %s=<%s>", p->name, types[p->type]);
        if (p->help)
            printf(" - %s", p->help);
        if (p->def && strcmp(p->def, "4294967295"))
            printf(" (default: %s)", p->def);
        printf("\n");
    }
    if (!strcmp(cls->bus, "PCI"))
        printf("  addr=<SLOT[.FUNCTION]> - place on the bus, hexadecimal (default: the first free "
               "slot)\n");
    if (!strcmp(cls->bus, "PCI") || !strcmp(cls->bus, "ISA"))
        printf("  bus=<%s.0> - the bus\n", !strcmp(cls->bus, "PCI") ? "pci" : "isa");
}
