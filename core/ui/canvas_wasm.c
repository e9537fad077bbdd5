/*
 * The screen in a web page. JavaScript has a canvas (web/worker/screen.js); under Node there is
 * none, and nobody looks.
 *
 * refresh() runs about 60 times a second, half as often when nothing has changed for a second, not
 * at all while the page is hidden. It lets the display draw, then copies what came out dirty into a
 * picture in the canvas's order of bytes (R,G,B,A; the display's is B,G,R,X) and presents that
 * rectangle. The browser does the scaling.
 *
 * SDL is left out here on purpose: its surface would be one more copy, and 130 KB to download.
 */
#include <emscripten.h>
#include <stdlib.h>

#include "clock.h"
#include "host/host.h"
#include "host/wasm.h"
#include "machine.h"
#include "ui/display.h"
#include "ui/window.h"

#define PERIOD_ACTIVE_NS (NS_PER_SEC / 60)
#define PERIOD_IDLE_NS   (NS_PER_SEC / 30)
#define IDLE_AFTER       60 /* refreshes without a change */

static struct {
    struct machine *machine; /* NULL: no screen */
    struct display_listener listener;
    const struct display_surface *surface;
    uint32_t *picture;            /* as large as the surface */
    int left, top, right, bottom; /* what is dirty; empty: right <= left */
    int idle;
    int64_t period_ns;
} canvas;

static void clean(void)
{
    canvas.left = canvas.top = INT32_MAX;
    canvas.right = canvas.bottom = 0;
}

static void dirty(void *opaque, int x, int y, int w, int h)
{
    canvas.left = x < canvas.left ? x : canvas.left;
    canvas.top = y < canvas.top ? y : canvas.top;
    canvas.right = x + w > canvas.right ? x + w : canvas.right;
    canvas.bottom = y + h > canvas.bottom ? y + h : canvas.bottom;
}

static void resized(void *opaque, const struct display_surface *s)
{
    free(canvas.picture);
    canvas.picture = calloc((size_t)s->width * (size_t)s->height, sizeof *canvas.picture);
    canvas.surface = s;
    clean();
    dirty(NULL, 0, 0, s->width, s->height);
}

static void present(void)
{
    const struct display_surface *s = canvas.surface;
    int width = canvas.right - canvas.left, height = canvas.bottom - canvas.top;
    if (!canvas.picture || width <= 0)
        return;
    for (int y = canvas.top; y < canvas.bottom; y++) {
        const uint32_t *from = s->pixels + (size_t)y * (size_t)(s->stride / 4) + canvas.left;
        uint32_t *to = canvas.picture + (size_t)y * (size_t)s->width + canvas.left;
        for (int x = 0; x < width; x++)
            to[x] =
                (from[x] & 0xff) << 16 | (from[x] & 0xff00) | (from[x] >> 16 & 0xff) | 0xff000000;
    }
    slipway_js_present(canvas.picture, s->width, s->height, canvas.left, canvas.top, width, height);
    clean();
}

static void refresh(void *opaque);

/* 0: never. */
static void set_period(int64_t ns)
{
    if (ns == canvas.period_ns)
        return;
    canvas.period_ns = ns;
    if (ns)
        host_every(ns, refresh, NULL);
    else
        host_every_stop(refresh, NULL);
}

static void refresh(void *opaque)
{
    display_update(canvas.machine->display);
    canvas.idle = canvas.right > canvas.left ? 0 : canvas.idle + 1;
    present();
    set_period(canvas.idle < IDLE_AFTER ? PERIOD_ACTIVE_NS : PERIOD_IDLE_NS);
}

/* ---- from the page ---- */

/* Is the page to be seen? */
EMSCRIPTEN_KEEPALIVE void slipway_screen_visible(int visible)
{
    if (!canvas.machine)
        return;
    canvas.idle = 0;
    set_period(visible ? PERIOD_ACTIVE_NS : 0);
}

/* The text screen as UTF-8 for a screen reader, malloc'd; NULL in graphics modes. */
EMSCRIPTEN_KEEPALIVE char *slipway_screen_text(void)
{
    struct machine *m = loop_machine();
    if (!m)
        return NULL;
    display_update(m->display);
    return display_text_dump(m->display);
}

/* ---- life ---- */

static void pointer_changed(void *opaque)
{
    slipway_js_pointer(input_pointer_is_abs(opaque));
}

bool window_open(struct machine *m, struct error *err)
{
    static struct input_listener input = { .pointer_changed = pointer_changed };
    if (!slipway_js_screen())
        return true;
    canvas.machine = m;
    canvas.listener = (struct display_listener){ .resized = resized, .dirty = dirty };
    display_listen(m->display, &canvas.listener);
    input.opaque = m;
    input_listen(m, &input);
    set_period(PERIOD_ACTIVE_NS);
    return true;
}

void window_close(void)
{
}
