/*
 * The display of a machine: one surface, one graphics device that draws into it, any number of
 * viewers.
 *
 * Pull model: a viewer calls display_update(); the device then redraws what changed and reports it
 * with display_dirty(), which passes rectangles on to every listener. display_resize() replaces the
 * surface and tells the listeners before anything of the new one is reported. Rectangles are
 * clipped here, so listeners may trust them.
 */
#include "ui/display.h"

#include <stdlib.h>
#include <string.h>

#include "machine.h"

#define MAX_WIDTH  16384
#define MAX_HEIGHT 16384

struct display {
    struct machine *machine;
    const struct display_device_ops *ops;
    void *opaque;
    struct display_surface surface;
    struct display_listener *listeners;
};

struct display *display_new(struct machine *m)
{
    struct display *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->machine = m;
    /* Viewers always have something to show, even with -vga none. */
    if (!display_resize(d, 640, 480)) {
        free(d);
        return NULL;
    }
    memset(d->surface.pixels, 0, (size_t)d->surface.stride * (size_t)d->surface.height);
    return d;
}

void display_free(struct display *d)
{
    if (!d)
        return;
    free(d->surface.pixels);
    free(d);
}

void display_attach(struct display *d, const struct display_device_ops *ops, void *opaque)
{
    d->ops = ops;
    d->opaque = opaque;
}

struct display_surface *display_resize(struct display *d, int width, int height)
{
    if (width < 1 || height < 1 || width > MAX_WIDTH || height > MAX_HEIGHT)
        return NULL;
    if (!d->surface.pixels || width != d->surface.width || height != d->surface.height) {
        uint32_t *pixels = calloc((size_t)width * (size_t)height, sizeof *pixels);
        if (!pixels)
            return NULL;
        free(d->surface.pixels);
        d->surface = (struct display_surface){ width, height, width * 4, pixels };
        for (struct display_listener *l = d->listeners; l; l = l->next) {
            if (l->resized)
                l->resized(l->opaque, &d->surface);
        }
    }
    return &d->surface;
}

void display_dirty(struct display *d, int x, int y, int w, int h)
{
    if (x < 0) {
        w += x;
        x = 0;
    }
    if (y < 0) {
        h += y;
        y = 0;
    }
    if (w > d->surface.width - x)
        w = d->surface.width - x;
    if (h > d->surface.height - y)
        h = d->surface.height - y;
    if (w <= 0 || h <= 0)
        return;
    for (struct display_listener *l = d->listeners; l; l = l->next) {
        if (l->dirty)
            l->dirty(l->opaque, x, y, w, h);
    }
}

void display_listen(struct display *d, struct display_listener *l)
{
    l->next = d->listeners;
    d->listeners = l;
    if (l->resized)
        l->resized(l->opaque, &d->surface);
    if (d->ops && d->ops->invalidate)
        d->ops->invalidate(d->opaque);
}

void display_unlisten(struct display *d, struct display_listener *l)
{
    for (struct display_listener **p = &d->listeners; *p; p = &(*p)->next) {
        if (*p == l) {
            *p = l->next;
            return;
        }
    }
}

void display_update(struct display *d)
{
    if (d->ops && d->ops->update)
        d->ops->update(d->opaque);
}

const struct display_surface *display_surface(struct display *d)
{
    return &d->surface;
}

bool display_text(struct display *d, struct display_text *t)
{
    return d->ops && d->ops->text && d->ops->text(d->opaque, t);
}
