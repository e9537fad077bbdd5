/*
 * Filters, as QEMU has them: -object filter-dump, filter-mirror, filter-redirector on a netdev.
 *
 * A netdev has a list of filters. What it sends passes them from the first to the last, what is
 * sent to it from the last to the first; queue=rx|tx|all says which of the two a filter sees
 * (rx: what the netdev receives, the guest's frames). A filter lets a frame pass or takes it away,
 * and may put frames in (filter_inject), which only meet the filters behind it.
 *
 * Filters come to a frame after net_send() made sure that there is room, so each sees it once.
 */
#include "net/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"

static const struct filter_class *const classes[] = { &filter_dump, &filter_mirror,
                                                      &filter_redirector, NULL };
static const char *const queue_names[] = { "all", "rx", "tx", NULL };

/* Those of all filters. */
static const struct netdev_option common_options[] = {
    { "netdev", NETDEV_STRING, "ID", "the netdev that it sits on", NETDEV_REQUIRED },
    { "queue", NETDEV_STRING, "all|rx|tx",
      "what it sees: rx is what the netdev receives, the guest's frames (default: all)", 0 },
    { "status", NETDEV_STRING, "on|off", "off: it sees nothing (default: on)", 0 },
    { "position", NETDEV_STRING, "head|tail|id=ID",
      "its place among the filters of the netdev (default: tail)", 0 },
    { "insert", NETDEV_STRING, "before|behind", "on which side of position=id=ID", 0 },
    { NULL, 0, NULL, NULL, 0 },
};

const struct filter_class *filter_class_find(const char *type)
{
    for (size_t i = 0; classes[i]; i++)
        if (!strcmp(classes[i]->type, type))
            return classes[i];
    return NULL;
}

bool filter_check_args(const struct filter_class *c, const struct keyval *args, struct error *err)
{
    const struct netdev_option *tables[] = { common_options, c->options };
    return netdev_check_args(tables, 2, args, err);
}

void filter_print_types(void)
{
    printf("List of user creatable objects:\n");
    for (size_t i = 0; classes[i]; i++)
        printf("  %s\n", classes[i]->type);
}

void filter_print_options(const struct filter_class *c)
{
    printf("%s options:\n", c->type);
    netdev_print_options(common_options);
    netdev_print_options(c->options);
}

void filter_print_docs(void)
{
    for (size_t i = 0; classes[i]; i++) {
        printf("- `-object %s,id=ID,netdev=ID[,...]`: %s\n", classes[i]->type, classes[i]->help);
        netdev_print_options_docs(classes[i]->options);
    }
    printf("- All filters:\n");
    netdev_print_options_docs(common_options);
}

/* ---- frames ---- */

static bool sees(const struct net_filter *f, enum net_direction d)
{
    return !f->off && (f->queue == FILTER_ALL || f->queue == (d == NET_RX ? FILTER_RX : FILTER_TX));
}

static bool pass_sent(struct net_filter *f, const struct net_frame *frame)
{
    for (; f; f = f->next)
        if (sees(f, NET_TX) && f->cls->frame(f, NET_TX, frame))
            return true;
    return false;
}

/* From the last of the list down to the one behind @end. */
static bool pass_received(struct net_filter *f, const struct net_filter *end,
                          const struct net_frame *frame)
{
    if (f == end)
        return false;
    return pass_received(f->next, end, frame) ||
           (sees(f, NET_RX) && f->cls->frame(f, NET_RX, frame));
}

bool net_filter_frame(struct net_client *from, struct net_client *to, const struct net_frame *f)
{
    return pass_sent(from->filters, f) || pass_received(to->filters, NULL, f);
}

bool filter_inject(struct net_filter *f, enum net_direction d, const struct net_frame *frame)
{
    struct net_client *from = d == NET_TX ? f->netdev : f->netdev->peer;
    struct net_client *to = d == NET_TX ? f->netdev->peer : f->netdev;
    if (!from || !to || from->link_down || to->link_down)
        return true;
    if (!net_has_room(to, frame->len)) {
        f->blocked = true;
        return false;
    }
    bool taken;
    if (d == NET_TX) {
        taken = pass_sent(f->next, frame) || pass_received(to->filters, NULL, frame);
    } else { /* those before it in the list are behind it in this direction */
        taken = pass_received(f->netdev->filters, f, frame);
    }
    if (!taken)
        net_deliver(to, frame);
    return true;
}

void net_filters_wake(struct net_client *nc)
{
    for (struct net_filter *f = nc ? nc->filters : NULL, *next; f; f = next) {
        next = f->next;
        if (!f->blocked)
            continue;
        f->blocked = false;
        if (f->cls->writable)
            f->cls->writable(f);
    }
}

/* ---- making and removing ---- */

static struct net_filter *find(struct machine *m, const char *id)
{
    for (struct net_client *nc = net_of(m)->clients; nc; nc = nc->next)
        for (struct net_filter *f = nc->filters; f; f = f->next)
            if (!strcmp(f->id, id))
                return f;
    return NULL;
}

static void free_filter(struct net_filter *f)
{
    if (f->began)
        f->cls->cleanup(f);
    free(f->id);
    free(f->position);
    free(f);
}

static void unlink_filter(struct net_filter *f)
{
    struct net_filter **at = &f->netdev->filters;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
}

void net_filters_free(struct net_client *nc)
{
    while (nc->filters) {
        struct net_filter *f = nc->filters;
        nc->filters = f->next;
        free_filter(f);
    }
}

static bool set_common(struct net_filter *f, const struct keyval *args, struct error *err)
{
    const char *queue = keyval_get(args, "queue"), *status = keyval_get(args, "status");
    const char *position = keyval_get(args, "position"), *insert = keyval_get(args, "insert");
    int q = 0;
    while (queue && queue_names[q] && strcmp(queue_names[q], queue))
        q++;
    if (!queue_names[q])
        return error_set(err, "Parameter 'queue' does not accept value '%.100s'", queue);
    if (status && strcmp(status, "on") && strcmp(status, "off"))
        return error_set(err, "Invalid value for netfilter status, should be 'on' or 'off'");
    if (insert && strcmp(insert, "before") && strcmp(insert, "behind"))
        return error_set(err, "Parameter 'insert' does not accept value '%.100s'", insert);
    if (position && strcmp(position, "head") && strcmp(position, "tail") &&
        strncmp(position, "id=", 3))
        return error_set(err, "Parameter 'position' expects 'head', 'tail' or 'id=<id>'");
    f->queue = (enum filter_queue)q;
    f->off = status && !strcmp(status, "off");
    f->before = insert && !strcmp(insert, "before");
    f->position = strdup(position ? position : "tail");
    if (!f->position)
        abort();
    return true;
}

/* Puts it in its netdev's list. */
static bool place(struct net_filter *f, struct error *err)
{
    struct net_filter **at = &f->netdev->filters;
    if (!strncmp(f->position, "id=", 3)) {
        while (*at && strcmp((*at)->id, f->position + 3))
            at = &(*at)->next;
        if (!*at)
            return error_set(err, "filter '%.100s' not found", f->position + 3);
        if (!f->before)
            at = &(*at)->next;
    } else if (!strcmp(f->position, "tail")) {
        while (*at)
            at = &(*at)->next;
    }
    f->next = *at;
    *at = f;
    return true;
}

struct net_filter *filter_make(struct machine *m, const struct filter_class *c, const char *id,
                               const struct keyval *args, struct error *err)
{
    const char *netdev = keyval_get(args, "netdev");
    struct net_client *nc = net_find(m, netdev);
    if (find(m, id)) {
        error_set(err, "Duplicate ID '%s' for object", id);
        return NULL;
    }
    if (!nc || nc->ops->nic) {
        error_set(err, "Parameter 'netdev' expects a network backend id");
        return NULL;
    }
    struct net_filter *f = calloc(1, c->size);
    if (!f || !(f->id = strdup(id)))
        abort();
    f->cls = c;
    f->machine = m;
    f->netdev = nc;
    if (set_common(f, args, err) && place(f, err)) {
        f->began = true;
        if (c->setup(f, args, err))
            return f;
        unlink_filter(f);
    }
    free_filter(f);
    return NULL;
}

bool net_object_make(struct machine *m, const struct net_option *o, struct error *err)
{
    return filter_make(m, filter_class_find(o->type), o->id, o->args, err) != NULL;
}

bool net_object_del(struct machine *m, const char *id, struct error *err)
{
    struct net_filter *f = find(m, id);
    if (!f)
        return error_set(err, "object '%s' not found", id);
    unlink_filter(f);
    free_filter(f);
    return true;
}

void net_print_filters(const struct net_client *nc, struct text *out)
{
    if (nc->filters)
        text_puts(out, "filters:\n");
    for (const struct net_filter *f = nc->filters; f; f = f->next) {
        text_printf(out, "  - %s: type=%s,", f->id, f->cls->type);
        f->cls->describe(f, out);
        text_printf(out, "position=%s,status=%s,insert=%s,netdev=%s,queue=%s\n", f->position,
                    f->off ? "off" : "on", f->before ? "before" : "behind", nc->name,
                    queue_names[f->queue]);
    }
}
