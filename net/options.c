/*
 * -netdev, -nic, -net and -object as text: what they say is checked here against the tables of the
 * netdev classes and kept as a list of struct net_option; netdev.c and nic_init.c make things of
 * it.
 *
 *   -netdev TYPE,id=ID,...          a netdev; {"type": ...} in JSON is the same
 *   -nic TYPE,...,model=,mac=       a netdev (without id: a made-up one) and a NIC plugged into it
 *   -net nic,model=,macaddr=,...    a NIC on hub 0, or on netdev=ID
 *   -net TYPE,...                   a netdev on hub 0
 *   -nic none, -net none            nothing, instead of the default
 *   -object filter-...,id=,netdev=  a filter (there are no other objects)
 *
 * Messages have QEMU's words behind the option as it was written.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/device.h"
#include "monitor/json.h"
#include "net/filter.h"
#include "net/net_impl.h"
#include "net/netdev.h"

/* ---- the tables as text ---- */

/* "ADDR", or what the type makes of it. */
static const char *value_word(const struct netdev_option *o)
{
    static const char *const words[] = { [NETDEV_STRING] = "STR",
                                         [NETDEV_BOOL] = "on|off",
                                         [NETDEV_NUMBER] = "N",
                                         [NETDEV_LIST] = "STR" };
    return o->value ? o->value : words[o->type];
}

static void print_types(void)
{
    printf("Available netdev backend types:\n");
    for (size_t i = 0; netdev_classes[i]; i++)
        printf("%s\n", netdev_classes[i]->type);
}

void netdev_print_options(const struct netdev_option *table)
{
    for (const struct netdev_option *o = table; o->name; o++)
        printf("  %s=<%s> - %s%s\n", o->name, value_word(o), o->help,
               o->type == NETDEV_LIST ? " (may be repeated)" : "");
}

void netdev_print_options_docs(const struct netdev_option *table)
{
    for (const struct netdev_option *o = table; o->name; o++)
        printf("  - `%s=%s`: %s%s%s\n", o->name, value_word(o), o->help,
               o->type == NETDEV_LIST ? " (may be repeated)" : "",
               o->flags & NETDEV_REQUIRED ? " (required)" : "");
}

/* As in -help: "-netdev user,id=ID[,net=...]" in lines of up to 78 columns. */
void net_options_print_help(void)
{
    for (size_t i = 0; netdev_classes[i]; i++) {
        const struct netdev_class *c = netdev_classes[i];
        int column = printf("-netdev %s,id=ID", c->type);
        for (const struct netdev_option *o = c->options; o->name; o++) {
            char word[128];
            bool required = o->flags & NETDEV_REQUIRED;
            int len = snprintf(word, sizeof word, "%s,%s=%s%s", required ? "" : "[", o->name,
                               value_word(o), required ? "" : "]");
            if (column + len > 78)
                column = printf("\n        ") - 1;
            column += printf("%s", word);
        }
        printf("\n%24s%s\n", "", c->help);
    }
}

void net_options_print_docs(void)
{
    for (size_t i = 0; netdev_classes[i]; i++) {
        const struct netdev_class *c = netdev_classes[i];
        printf("- `-netdev %s,id=ID[,...]`: %s\n", c->type, c->help);
        netdev_print_options_docs(c->options);
    }
    filter_print_docs();
}

/* ---- JSON ---- */

static void add_pair(struct keyval **list, const char *key, const char *value)
{
    while (*list)
        list = &(*list)->next;
    *list = calloc(1, sizeof **list);
    if (!*list || !((*list)->key = strdup(key)) || !((*list)->value = strdup(value)))
        abort();
}

/* {"addr": {"host": "x"}} is addr.host=x; ["a", {"str": "b"}] is the key given twice. */
static bool flatten(struct keyval **list, const char *key, const struct json *v, struct error *err)
{
    char text[64];
    switch (v->type) {
    case JSON_STRING: add_pair(list, key, v->s); return true;
    case JSON_BOOL: add_pair(list, key, v->b ? "on" : "off"); return true;
    case JSON_INT:
    case JSON_UINT:
        snprintf(text, sizeof text, v->type == JSON_INT ? "%lld" : "%llu", (long long)v->i);
        add_pair(list, key, text);
        return true;
    case JSON_ARRAY:
        for (const struct json *e = v->first; e; e = e->next) {
            const struct json *str = e->type == JSON_OBJECT ? json_get(e, "str") : e;
            if (!str || str->type != JSON_STRING)
                return error_set(err, "Invalid parameter type for '%.100s[]', expected: string",
                                 key);
            add_pair(list, key, str->s);
        }
        return true;
    case JSON_OBJECT:
        for (const struct json *e = v->first; e; e = e->next) {
            char name[128];
            int len = snprintf(name, sizeof name, "%s%s%s", key, *key ? "." : "", e->key);
            if (len >= (int)sizeof name)
                return error_set(err, "Invalid parameter '%.100s'", name);
            if (!flatten(list, name, e, err))
                return false;
        }
        return true;
    default: return error_set(err, "Parameter '%.100s' is neither text, number nor boolean", key);
    }
}

bool net_keyval_of_json(const struct json *object, struct keyval **list, struct error *err)
{
    *list = NULL;
    if (object->type != JSON_OBJECT)
        return error_set(err, "a JSON object is expected");
    if (flatten(list, "", object, err))
        return true;
    keyval_free(*list);
    *list = NULL;
    return false;
}

static bool parse_json(const char *arg, struct keyval **list, struct error *err)
{
    struct json *v = json_parse(arg, strlen(arg), err);
    bool ok = v && net_keyval_of_json(v, list, err);
    json_free(v);
    return ok;
}

/* ---- checks ---- */

/* Takes the last value of @key out of @list; NULL: not there. */
static char *take(struct keyval **list, const char *key)
{
    char *value = NULL;
    while (*list) {
        struct keyval *kv = *list;
        if (strcmp(kv->key, key)) {
            list = &kv->next;
            continue;
        }
        free(value);
        value = kv->value;
        *list = kv->next;
        free(kv->key);
        free(kv);
    }
    return value;
}

static bool is_identifier(const char *id)
{
    if (!isalpha((unsigned char)*id))
        return false;
    while (isalnum((unsigned char)*id) || (*id && strchr("-._", *id)))
        id++;
    return !*id;
}

static bool check_value(const struct netdev_option *o, const char *value, struct error *err)
{
    bool on;
    uint64_t n;
    if (o->type == NETDEV_BOOL && !parse_bool(value, &on))
        return error_set(err, "Parameter '%s' expects 'on' or 'off'", o->name);
    if (o->type == NETDEV_NUMBER && (!parse_u64(value, &n) || n > UINT32_MAX))
        return error_set(err, "Parameter '%s' expects a number from 0 to 4294967295", o->name);
    return true;
}

bool netdev_check_args(const struct netdev_option *const *tables, size_t n,
                       const struct keyval *args, struct error *err)
{
    for (const struct keyval *kv = args; kv; kv = kv->next) {
        const struct netdev_option *found = NULL;
        for (size_t i = 0; i < n && !found; i++)
            for (const struct netdev_option *o = tables[i]; o->name && !found; o++)
                if (!strcmp(o->name, kv->key))
                    found = o;
        if (!found)
            return error_set(err, "Invalid parameter '%.100s'", kv->key);
        if (!check_value(found, kv->value, err))
            return false;
    }
    for (size_t i = 0; i < n; i++)
        for (const struct netdev_option *o = tables[i]; o->name; o++)
            if (o->flags & NETDEV_REQUIRED && !keyval_get(args, o->name))
                return error_set(err, "Parameter '%s' is missing", o->name);
    return true;
}

/* ---- one option ---- */

static bool check_nic(const struct net_option *n, struct error *err)
{
    uint8_t mac[6];
    if (n->mac && !nic_parse_mac(n->mac, mac))
        return error_set(err, "invalid syntax for ethernet address '%.64s'", n->mac);
    if (n->mac && mac[0] & 1)
        return error_set(err, "NIC cannot have multicast MAC address '%.64s'", n->mac);
    return true;
}

static bool check_object(struct net_option *n, bool *exit_now, struct error *err)
{
    const struct filter_class *c = filter_class_find(n->type);
    if (!c)
        return error_set(err, "Parameter 'qom-type' does not accept value '%.100s'", n->type);
    if (keyval_get(n->args, "help")) {
        filter_print_options(c);
        *exit_now = true;
        return true;
    }
    if (!n->id)
        return error_set(err, "Parameter 'id' is missing");
    return filter_check_args(c, n->args, err);
}

static bool check(struct net_option *n, bool *exit_now, struct error *err)
{
    bool nic = n->kind == NET_OPTION_NIC,
         net_nic = n->kind == NET_OPTION_NET && n->type && !strcmp(n->type, "nic");
    if (nic || net_nic) {
        n->model = take(&n->args, "model");
        n->mac = take(&n->args, nic ? "mac" : "macaddr");
    }
    if (net_nic) {
        n->netdev = take(&n->args, "netdev");
        n->addr = take(&n->args, "addr");
        n->vectors = take(&n->args, "vectors");
    }
    if (n->model && (!strcmp(n->model, "help") || !strcmp(n->model, "?"))) {
        nic_print_models();
        *exit_now = true;
        return true;
    }
    if (!n->type)
        return error_set(err, "Parameter '%s' is missing",
                         n->kind == NET_OPTION_OBJECT ? "qom-type" : "type");
    if (!strcmp(n->type, "help") || !strcmp(n->type, "?")) {
        if (n->kind == NET_OPTION_OBJECT)
            filter_print_types();
        else
            print_types();
        *exit_now = true;
        return true;
    }
    if (n->id && !is_identifier(n->id))
        return error_set(err, "Parameter 'id' expects an identifier (letters, digits, '-', '.', "
                              "'_', starting with a letter)");
    bool none = n->kind != NET_OPTION_NETDEV && !strcmp(n->type, "none");
    if (none || net_nic) {
        if (n->args)
            return error_set(err, "Invalid parameter '%.100s'", n->args->key);
        return check_nic(n, err);
    }
    if (n->kind == NET_OPTION_OBJECT)
        return check_object(n, exit_now, err);
    const struct netdev_class *c = netdev_class_find(n->type);
    if (!c)
        return error_set(err, "Parameter 'type' does not accept value '%.100s'", n->type);
    if (keyval_get(n->args, "help")) {
        printf("%s options:\n", c->type);
        netdev_print_options(c->options);
        *exit_now = true;
        return true;
    }
    if (n->kind == NET_OPTION_NET && c->netdev_only)
        return error_set(err, "network backend '%s' is only supported with -netdev/-nic", n->type);
    if (n->kind == NET_OPTION_NETDEV && !n->id)
        return error_set(err, "Parameter 'id' is missing");
    return check_nic(n, err) && netdev_check_args(&c->options, 1, n->args, err);
}

static void free_option(struct net_option *n)
{
    char *strings[] = { n->text, n->type, n->id, n->model, n->mac, n->netdev, n->addr, n->vectors };
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++)
        free(strings[i]);
    keyval_free(n->args);
    free(n);
}

void net_options_free(struct net_option *list)
{
    while (list) {
        struct net_option *next = list->next;
        free_option(list);
        list = next;
    }
}

/* Ends parsing: @n has its text and all its arguments. */
static bool finish(struct net_option **list, struct net_option *n, bool *exit_now,
                   struct error *err)
{
    char *type = take(&n->args, n->kind == NET_OPTION_OBJECT ? "qom-type" : "type");
    if (type) {
        free(n->type);
        n->type = type;
    }
    n->id = take(&n->args, "id");
    bool ok = check(n, exit_now, err);
    if (!ok || *exit_now) {
        free_option(n);
        return ok;
    }
    while (*list)
        list = &(*list)->next;
    *list = n;
    return true;
}

static struct net_option *new_option(enum net_option_kind kind, const char *opt, const char *arg)
{
    struct net_option *n = calloc(1, sizeof *n);
    size_t size = strlen(opt) + strlen(arg) + 2;
    if (!n || !(n->text = malloc(size)))
        abort();
    snprintf(n->text, size, "%s %s", opt, arg);
    n->kind = kind;
    return n;
}

bool net_option_parse(struct net_option **list, enum net_option_kind kind, const char *opt,
                      const char *arg, bool *exit_now, struct error *err)
{
    bool json = *arg == '{' && (kind == NET_OPTION_NETDEV || kind == NET_OPTION_OBJECT);
    struct net_option *n = new_option(kind, opt ? opt : "", arg);
    if (json ? !parse_json(arg, &n->args, err)
             : !keyval_parse(arg, &n->type, &n->args, opt ? opt : "netdev", err))
        free_option(n);
    else if (finish(list, n, exit_now, err))
        return true;
    else
        json = true;
    return opt && json && error_prepend(err, "%s %.200s", opt, arg);
}

bool net_option_of_json(struct net_option **list, enum net_option_kind kind,
                        const struct json *args, struct error *err)
{
    struct net_option *n = new_option(kind, "", "");
    bool help = false;
    if (!net_keyval_of_json(args, &n->args, err)) {
        free_option(n);
        return false;
    }
    return finish(list, n, &help, err);
}

bool net_options_add_default(struct net_option **list, struct error *err)
{
    bool help = false;
    for (const struct net_option *n = *list; n; n = n->next)
        if (n->kind != NET_OPTION_OBJECT)
            return true;
    return net_option_parse(list, NET_OPTION_NIC, "-nic", "user", &help, err);
}
