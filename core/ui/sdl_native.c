/*
 * The SDL2 window: shows the display's surface, brings keys and the mouse to the machine.
 *
 * The host's loop calls refresh() about 60 times a second (half as often when nothing has changed
 * for a second, ten times while the window is hidden). It handles SDL's events, lets the display
 * draw, and copies the rectangles that came out dirty to the window's surface: as they are at scale
 * 1, otherwise the whole picture stretched with its aspect kept. Nothing dirty, nothing copied.
 *
 * Keys go by position: SDL's scancodes are HID usages. Ctrl-Alt with G grabs and releases the
 * mouse, with F switches to full screen and back, with U returns to the guest's own size. A
 * relative mouse (PS/2) needs the grab: a click into the window takes it. Losing the focus lets go
 * of every key, or the guest would see Alt held for ever after Alt-Tab.
 */
#include "ui/window.h"

#include <SDL.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "host/host.h"
#include "machine.h"
#include "ui/display.h"

#define PERIOD_ACTIVE_NS (NS_PER_SEC / 60)
#define PERIOD_IDLE_NS   (NS_PER_SEC / 30)
#define PERIOD_HIDDEN_NS (NS_PER_SEC / 10)
#define IDLE_AFTER       60 /* refreshes without a change */
#define MAX_RECTS        16 /* more become one */
#define ABS_RANGE        0x7fff

static struct window {
    struct machine *machine;
    SDL_Window *sdl;
    SDL_Surface *guest; /* on the display's pixels; not a copy */
    struct display_listener display;
    struct machine_listener events;
    struct input_listener input;
    SDL_Rect rects[MAX_RECTS];
    int rect_count;
    bool redraw; /* all of the window: exposed, resized */
    bool hidden, fullscreen, grabbed;
    bool user_size; /* the user chose the size: keep it when the guest's changes */
    struct {
        int w, h;
    } asked[2]; /* sizes that we asked for, the last first: their events come late */
    unsigned buttons;
    int idle;
    int64_t period_ns;
} * window;

/* ---- the window ---- */

static void set_title(struct window *w)
{
    char title[128];
    snprintf(title, sizeof title, "Slipway%s%s",
             w->machine->state == RUN_STATE_RUNNING ? "" : " [Stopped]",
             w->grabbed ? " - press Ctrl-Alt-G to release the mouse" : "");
    SDL_SetWindowTitle(w->sdl, title);
}

static void machine_event(void *opaque, enum machine_event e, enum shutdown_cause cause)
{
    set_title(opaque);
}

/* The guest takes positions from now on, or no longer does: nothing to hold on to, no second arrow.
 */
static void pointer_changed(void *opaque)
{
    struct window *w = opaque;
    bool absolute = input_pointer_is_abs(w->machine);
    SDL_SetRelativeMouseMode(w->grabbed && !absolute);
    SDL_ShowCursor(absolute ? SDL_DISABLE : SDL_ENABLE);
}

static void set_grab(struct window *w, bool on)
{
    if (on == w->grabbed)
        return;
    w->grabbed = on;
    SDL_SetRelativeMouseMode(on && !input_pointer_is_abs(w->machine));
    SDL_SetWindowGrab(w->sdl, on);
    set_title(w);
}

static void set_fullscreen(struct window *w, bool on)
{
    w->fullscreen = on;
    SDL_SetWindowFullscreen(w->sdl, on ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    w->redraw = true;
}

static void guest_size(struct window *w)
{
    w->user_size = false;
    w->redraw = true;
    if (w->fullscreen)
        return;
    w->asked[1] = w->asked[0];
    w->asked[0].w = w->guest->w;
    w->asked[0].h = w->guest->h;
    SDL_SetWindowSize(w->sdl, w->guest->w, w->guest->h);
}

/* Not a size that we asked for: the user dragged a border. */
static bool is_user_size(const struct window *w, int width, int height)
{
    for (int i = 0; i < 2; i++) {
        if (w->asked[i].w == width && w->asked[i].h == height)
            return false;
    }
    return !w->fullscreen;
}

/* ---- from the display ---- */

static void resized(void *opaque, const struct display_surface *s)
{
    struct window *w = opaque;
    SDL_FreeSurface(w->guest);
    w->guest = SDL_CreateRGBSurfaceWithFormatFrom(s->pixels, s->width, s->height, 32, s->stride,
                                                  SDL_PIXELFORMAT_RGB888);
    w->rect_count = 0;
    w->redraw = true;
    if (w->guest && !w->user_size)
        guest_size(w);
}

static void dirty(void *opaque, int x, int y, int width, int height)
{
    struct window *w = opaque;
    SDL_Rect r = { x, y, width, height };
    if (w->rect_count == MAX_RECTS) {
        for (int i = 1; i < MAX_RECTS; i++)
            SDL_UnionRect(&w->rects[0], &w->rects[i], &w->rects[0]);
        w->rect_count = 1;
    }
    w->rects[w->rect_count++] = r;
}

/* Where the guest's picture goes in a window of this size: as large as fits, in the middle. */
static SDL_Rect picture_rect(const struct window *w, int width, int height)
{
    SDL_Rect r = { 0, 0, width, height };
    if ((int64_t)width * w->guest->h > (int64_t)height * w->guest->w)
        r.w = (int)((int64_t)height * w->guest->w / w->guest->h);
    else
        r.h = (int)((int64_t)width * w->guest->h / w->guest->w);
    r.w = r.w < 1 ? 1 : r.w;
    r.h = r.h < 1 ? 1 : r.h;
    r.x = (width - r.w) / 2;
    r.y = (height - r.h) / 2;
    return r;
}

static void present(struct window *w)
{
    SDL_Surface *out = SDL_GetWindowSurface(w->sdl);
    if (!out || !w->guest || (!w->redraw && !w->rect_count))
        return;
    SDL_Rect to = picture_rect(w, out->w, out->h);
    bool scaled = to.w != w->guest->w || to.h != w->guest->h;
    if (w->redraw || scaled) {
        if (w->redraw)
            SDL_FillRect(out, NULL, 0);
        bool smooth = (to.w % w->guest->w || to.h % w->guest->h) &&
                      out->format->format == w->guest->format->format;
        if (!scaled)
            SDL_BlitSurface(w->guest, NULL, out, &to);
        else if (smooth)
            SDL_SoftStretchLinear(w->guest, NULL, out, &to);
        else
            SDL_BlitScaled(w->guest, NULL, out, &to);
        SDL_UpdateWindowSurface(w->sdl);
    } else {
        SDL_Rect moved[MAX_RECTS];
        for (int i = 0; i < w->rect_count; i++) {
            moved[i] = w->rects[i];
            moved[i].x += to.x;
            moved[i].y += to.y;
            SDL_BlitSurface(w->guest, &w->rects[i], out, &moved[i]);
        }
        SDL_UpdateWindowSurfaceRects(w->sdl, moved, w->rect_count);
    }
    w->redraw = false;
    w->rect_count = 0;
}

/* ---- to the machine ---- */

/* Ctrl-Alt-key: ours, not the guest's. */
static bool hotkey(struct window *w, SDL_Scancode code)
{
    switch (code) {
    case SDL_SCANCODE_F: set_fullscreen(w, !w->fullscreen); break;
    case SDL_SCANCODE_G: set_grab(w, !w->grabbed); break;
    case SDL_SCANCODE_U:
        if (w->guest)
            guest_size(w);
        break;
    default: return false;
    }
    input_release_all(w->machine);
    return true;
}

static void key_event(struct window *w, const SDL_KeyboardEvent *e)
{
    bool down = e->type == SDL_KEYDOWN;
    bool ctrl_alt = (e->keysym.mod & KMOD_CTRL) && (e->keysym.mod & KMOD_ALT);
    if (down && ctrl_alt && !e->repeat && hotkey(w, e->keysym.scancode))
        return;
    if (e->keysym.scancode < 256)
        input_key(w->machine, (uint8_t)e->keysym.scancode, down);
}

static unsigned button_bit(int sdl_button)
{
    switch (sdl_button) {
    case SDL_BUTTON_LEFT: return 1;
    case SDL_BUTTON_RIGHT: return 2;
    case SDL_BUTTON_MIDDLE: return 4;
    case SDL_BUTTON_X1: return 8;
    case SDL_BUTTON_X2: return 16;
    default: return 0;
    }
}

/* A pointer event at window position x, y; dx, dy: motion; dz: wheel. */
static void pointer(struct window *w, int x, int y, int dx, int dy, int dz)
{
    if (!input_pointer_is_abs(w->machine)) {
        if (w->grabbed)
            input_pointer_rel(w->machine, dx, dy, dz, w->buttons);
        return;
    }
    int width, height;
    if (!w->guest)
        return;
    SDL_GetWindowSize(w->sdl, &width, &height);
    SDL_Rect r = picture_rect(w, width, height);
    int span_x = r.w > 1 ? r.w - 1 : 1, span_y = r.h > 1 ? r.h - 1 : 1;
    input_pointer_abs(w->machine, (int)((int64_t)(x - r.x) * ABS_RANGE / span_x),
                      (int)((int64_t)(y - r.y) * ABS_RANGE / span_y), dz, w->buttons);
}

static void button_event(struct window *w, const SDL_MouseButtonEvent *e)
{
    bool down = e->type == SDL_MOUSEBUTTONDOWN;
    if (down && !w->grabbed && !input_pointer_is_abs(w->machine)) {
        set_grab(w, true);
        return; /* this click was for us */
    }
    if (down)
        w->buttons |= button_bit(e->button);
    else
        w->buttons &= ~button_bit(e->button);
    pointer(w, e->x, e->y, 0, 0, 0);
}

static void window_event(struct window *w, const SDL_WindowEvent *e)
{
    switch (e->event) {
    case SDL_WINDOWEVENT_SIZE_CHANGED:
        w->user_size = is_user_size(w, e->data1, e->data2);
        w->redraw = true;
        break;
    case SDL_WINDOWEVENT_EXPOSED:
    case SDL_WINDOWEVENT_SHOWN:
    case SDL_WINDOWEVENT_RESTORED:
        w->hidden = false;
        w->redraw = true;
        break;
    case SDL_WINDOWEVENT_HIDDEN:
    case SDL_WINDOWEVENT_MINIMIZED: w->hidden = true; break;
    case SDL_WINDOWEVENT_FOCUS_LOST:
        w->buttons = 0;
        input_release_all(w->machine);
        set_grab(w, false);
        break;
    }
}

static void handle_event(struct window *w, const SDL_Event *e)
{
    int x, y;
    switch (e->type) {
    case SDL_QUIT: machine_request_shutdown(w->machine, SHUTDOWN_HOST_UI, 0); break;
    case SDL_WINDOWEVENT: window_event(w, &e->window); break;
    case SDL_KEYDOWN:
    case SDL_KEYUP: key_event(w, &e->key); break;
    case SDL_MOUSEMOTION:
        pointer(w, e->motion.x, e->motion.y, e->motion.xrel, e->motion.yrel, 0);
        break;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP: button_event(w, &e->button); break;
    case SDL_MOUSEWHEEL:
        SDL_GetMouseState(&x, &y);
        pointer(w, x, y, 0, 0, -e->wheel.y);
        break;
    }
}

static void refresh(void *opaque)
{
    struct window *w = opaque;
    SDL_Event e;
    bool active = false;
    while (SDL_PollEvent(&e)) {
        handle_event(w, &e);
        active = true;
    }
    if (!w->hidden) {
        display_update(w->machine->display);
        active |= w->redraw || w->rect_count;
        present(w);
    }
    w->idle = active ? 0 : w->idle + 1;
    int64_t period = w->hidden              ? PERIOD_HIDDEN_NS
                     : w->idle < IDLE_AFTER ? PERIOD_ACTIVE_NS
                                            : PERIOD_IDLE_NS;
    if (period != w->period_ns) {
        w->period_ns = period;
        host_every(period, refresh, w);
    }
}

/* ---- life ---- */

/* Without a screen SDL takes its "offscreen" driver, a window that nobody sees. A driver that is
 * asked for (SDL_VIDEODRIVER=kmsdrm on a text console, dummy in tests) is taken as it is. */
static bool have_screen(void)
{
    static const char *const vars[] = { "DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER" };
    for (size_t i = 0; i < sizeof vars / sizeof vars[0]; i++) {
        const char *value = getenv(vars[i]);
        if (value && *value)
            return true;
    }
    return false;
}

bool window_open(struct machine *m, struct error *err)
{
    if (window)
        return error_set(err, "display 'sdl': there is a window already");
    if (!have_screen())
        return error_set(err, "display 'sdl': neither DISPLAY nor WAYLAND_DISPLAY is set");
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
    SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
    SDL_SetHint(SDL_HINT_GRAB_KEYBOARD, "1");
    if (SDL_Init(SDL_INIT_VIDEO) != 0)
        return error_set(err, "display 'sdl': %s", SDL_GetError());
    struct window *w = calloc(1, sizeof *w);
    const struct display_surface *s = display_surface(m->display);
    if (w)
        w->sdl = SDL_CreateWindow("Slipway", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED,
                                  s->width, s->height, SDL_WINDOW_RESIZABLE);
    if (!w || !w->sdl) {
        error_set(err, "display 'sdl': %s", w ? SDL_GetError() : "out of memory");
        free(w);
        SDL_Quit();
        return false;
    }
    SDL_EnableScreenSaver();
    SDL_StopTextInput();
    w->machine = m;
    w->display = (struct display_listener){ .resized = resized, .dirty = dirty, .opaque = w };
    w->events = (struct machine_listener){ .event = machine_event, .opaque = w };
    w->period_ns = PERIOD_ACTIVE_NS;
    w->input = (struct input_listener){ .pointer_changed = pointer_changed, .opaque = w };
    window = w;
    display_listen(m->display, &w->display);
    machine_listen(m, &w->events);
    input_listen(m, &w->input);
    set_title(w);
    host_every(w->period_ns, refresh, w);
    return true;
}

void window_close(void)
{
    struct window *w = window;
    if (!w)
        return;
    window = NULL;
    host_every_stop(refresh, w);
    display_unlisten(w->machine->display, &w->display);
    machine_unlisten(w->machine, &w->events);
    input_unlisten(w->machine, &w->input);
    SDL_FreeSurface(w->guest);
    SDL_DestroyWindow(w->sdl);
    SDL_Quit();
    free(w);
}
