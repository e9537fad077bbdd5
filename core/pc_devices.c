/*
 * -device: makes each by its class name, sets its properties and realizes it. Also what -device
 * help prints.
 */
#include "pc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/device.h"
#include "machine.h"
#include "options.h"

static bool add_device(struct machine *m, const struct device_option *o, struct error *err)
{
    const struct device_class *cls = device_class_find(o->driver);
    if (!cls || !cls->bus)
        return error_set(err, "'%s' is not a valid device model name (see -device help)",
                         o->driver);
    struct device *d = device_new(m, cls);
    if (!d)
        return error_set(err, "out of memory");
    if (o->id && !(d->id = strdup(o->id)))
        abort();
    const struct device_alias *alias = device_alias_find(o->driver);
    if (alias && alias->prop && !device_set_prop(d, alias->prop, alias->value, err)) {
        device_free(d);
        return false;
    }
    for (const struct keyval *kv = o->props; kv; kv = kv->next)
        if (!device_set_prop(d, kv->key, kv->value, err)) {
            device_free(d);
            return false;
        }
    return device_realize(d, err);
}

bool pc_add_devices(struct machine *m, struct error *err)
{
    for (const struct device_option *o = m->opt->devices; o; o = o->next)
        if (!add_device(m, o, err))
            return error_prepend(err, "-device %s", o->driver);
    return true;
}

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
}
