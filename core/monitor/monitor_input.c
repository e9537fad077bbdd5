/*
 * The monitor's mouse and keyboard: info mice, mouse_set, mouse_move, mouse_button; QMP's
 * query-mice and input-send-event (QEMU's qapi/ui.json).
 */
#include <stdlib.h>
#include <string.h>

#include "monitor/qmp_impl.h"
#include "ui/display.h"

/* ---- HMP ---- */

/* Last comes what stands first in the line, as in QEMU. */
static void put_mice(struct machine *m, struct text *out, const struct input_handler *h,
                     bool current)
{
    if (!h)
        return;
    put_mice(m, out, input_next_mouse(m, h), false);
    text_printf(out, "%c Mouse #%d: %s%s\n", current ? '*' : ' ', h->id, h->name,
                h->ops->pointer_abs ? " (absolute)" : "");
}

void hmp_info_mice(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    const struct input_handler *first = input_next_mouse(m, NULL);
    if (!first)
        text_puts(out, "No mouse devices connected\n");
    put_mice(m, out, first, true);
}

static int to_int(int64_t v)
{
    return v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : (int)v;
}

void hmp_mouse_set(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct error err;
    if (!input_set_mouse(m, to_int(a[0].i), &err))
        text_printf(out, "%s\n", err.msg);
}

void hmp_mouse_move(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct input_pointer p = input_pointer(m);
    int64_t dx = strtoll(a[0].s, NULL, 0), dy = strtoll(a[1].s, NULL, 0);
    int64_t dz = a[2].given ? strtoll(a[2].s, NULL, 0) : 0;
    input_pointer_rel(m, to_int(dx), to_int(dy), -to_int(dz), p.buttons);
}

void hmp_mouse_button(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    input_pointer_rel(m, 0, 0, 0, (unsigned)a[0].i & 7);
}

/* ---- QMP ---- */

static void put_mouse(struct qmp_call *c, const struct input_handler *h, bool current)
{
    if (!h)
        return;
    const struct input_handler *next = input_next_mouse(c->machine, h);
    put_mouse(c, next, false);
    text_printf(c->value, "%s{\"name\": ", next ? ", " : "");
    json_print_string(c->value, h->name, strlen(h->name));
    text_printf(c->value, ", \"index\": %d, \"current\": %s, \"absolute\": %s}", h->id,
                current ? "true" : "false", h->ops->pointer_abs ? "true" : "false");
}

bool qmp_query_mice(struct qmp_call *c)
{
    text_puts(c->value, "[");
    put_mouse(c, input_next_mouse(c->machine, NULL), true);
    text_puts(c->value, "]");
    return true;
}

/* What one input-send-event adds up to, for the pointer. */
struct gathered {
    struct input_pointer to;
    int64_t dx, dy, dz;
    bool moved, placed, pressed;
};

static const struct json *member(struct qmp_call *c, const struct json *object, const char *name,
                                 enum json_type type)
{
    const struct json *v = json_get(object, name);
    if (!v)
        error_set(c->err, "Parameter '%s' is missing", name);
    else if (v->type != type)
        qmp_wrong_type(c->err, name, type);
    return v && v->type == type ? v : NULL;
}

static bool refuse(struct qmp_call *c, const char *name, const char *value)
{
    return error_set(c->err, "Parameter '%s' does not accept value '%.100s'", name, value);
}

static bool send_key(struct qmp_call *c, const struct json *data)
{
    const struct json *key = member(c, data, "key", JSON_OBJECT), *name, *type, *down;
    if (!key || !(type = member(c, key, "type", JSON_STRING)) ||
        !(name = member(c, key, "data", JSON_STRING)) ||
        !(down = member(c, data, "down", JSON_BOOL)))
        return false;
    if (strcmp(type->s, "qcode"))
        return refuse(c, "type", type->s);
    uint8_t hid = input_hid_of_name(name->s);
    if (!hid)
        return refuse(c, "data", name->s);
    input_key(c->machine, hid, down->b);
    return true;
}

static bool gather_button(struct qmp_call *c, const struct json *data, struct gathered *g)
{
    static const char *const names[] = { "left", "right", "middle", "side", "extra" };
    const struct json *button = member(c, data, "button", JSON_STRING), *down;
    if (!button || !(down = member(c, data, "down", JSON_BOOL)))
        return false;
    g->pressed = true;
    if (!strcmp(button->s, "wheel-up") || !strcmp(button->s, "wheel-down")) {
        g->dz += !down->b ? 0 : !strcmp(button->s, "wheel-up") ? -1 : 1;
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(button->s, names[i]))
            continue;
        g->to.buttons = down->b ? g->to.buttons | 1u << i : g->to.buttons & ~(1u << i);
        return true;
    }
    return refuse(c, "button", button->s);
}

static bool gather_motion(struct qmp_call *c, const struct json *data, bool absolute,
                          struct gathered *g)
{
    const struct json *axis = member(c, data, "axis", JSON_STRING), *value;
    if (!axis || !(value = member(c, data, "value", JSON_INT)))
        return false;
    bool x = !strcmp(axis->s, "x");
    if (!x && strcmp(axis->s, "y"))
        return refuse(c, "axis", axis->s);
    if (absolute)
        *(x ? &g->to.x : &g->to.y) = to_int(value->i);
    else
        *(x ? &g->dx : &g->dy) += to_int(value->i);
    *(absolute ? &g->placed : &g->moved) = true;
    return true;
}

/* events: a list of {"type": "key"|"btn"|"rel"|"abs", "data": ...}. */
bool qmp_input_send_event(struct qmp_call *c)
{
    struct machine *m = c->machine;
    struct gathered g = { .to = input_pointer(m) };
    for (const struct json *e = json_get(c->args, "events")->first; e; e = e->next) {
        if (e->type != JSON_OBJECT)
            return qmp_wrong_type(c->err, "events", JSON_OBJECT);
        const struct json *type = member(c, e, "type", JSON_STRING), *data;
        if (!type || !(data = member(c, e, "data", JSON_OBJECT)))
            return false;
        bool absolute = !strcmp(type->s, "abs"), good;
        if (absolute || !strcmp(type->s, "rel"))
            good = gather_motion(c, data, absolute, &g);
        else if (!strcmp(type->s, "btn"))
            good = gather_button(c, data, &g);
        else if (!strcmp(type->s, "key"))
            good = send_key(c, data);
        else
            good = refuse(c, "type", type->s);
        if (!good)
            return false;
    }
    if (g.placed)
        input_pointer_abs(m, g.to.x, g.to.y, (int)g.dz, g.to.buttons);
    if (g.moved || (g.pressed && !g.placed))
        input_pointer_rel(m, to_int(g.dx), to_int(g.dy), g.placed ? 0 : (int)g.dz, g.to.buttons);
    return true;
}
