/*
 * The SDL window on SDL's dummy video driver: what the display draws arrives in the window, what
 * SDL reports arrives at the machine.
 */
#include <SDL.h>
#include <time.h>

#include "devtest.h"
#include "host/work.h"
#include "ui/display.h"
#include "ui/window.h"

static int key_hid, key_down, key_events, motion_x, motion_y, motion_z;
static unsigned buttons;
static bool draw;

static void on_key(void *opaque, uint8_t hid, bool down)
{
    key_events++;
    key_hid = hid;
    key_down = down;
}

static void on_pointer(void *opaque, int dx, int dy, int dz, unsigned b)
{
    motion_x += dx;
    motion_y += dy;
    motion_z += dz;
    buttons = b;
}

static const struct input_ops input = { .key = on_key, .pointer_rel = on_pointer };

static void update(void *opaque)
{
    if (!draw)
        return;
    draw = false;
    const struct display_surface *s = display_surface(m->display);
    for (int i = 0; i < s->width * s->height; i++)
        s->pixels[i] = 0xff000000u | (uint32_t)i;
    display_dirty(m->display, 0, 0, s->width, s->height);
}

static const struct display_device_ops device = { .update = update };

/* A few turns of the loop. */
static void turn(void)
{
    for (int i = 0; i < 5; i++) {
        struct timespec t = { 0, 35000000 };
        nanosleep(&t, NULL);
        host_run_periodics();
    }
}

static void send_key(uint32_t type, SDL_Scancode code, uint16_t mod)
{
    SDL_Event e = { .key = { .type = type, .keysym = { .scancode = code, .mod = mod } } };
    SDL_PushEvent(&e);
}

static bool setup(void)
{
    struct error err;
    board_new();
    m->display = display_new(m);
    m->input = input_new(m);
    static struct input_handler handler = { .name = "test", .ops = &input };
    input_register(m, &handler);
    display_attach(m->display, &device, NULL);
    key_events = motion_x = motion_y = motion_z = 0;
    return window_open(m, &err);
}

static void teardown(void)
{
    window_close();
    host_run_periodics();
    board_free();
}

static SDL_Window *the_window(void)
{
    for (uint32_t id = 1; id < 100; id++) {
        if (SDL_GetWindowFromID(id))
            return SDL_GetWindowFromID(id);
    }
    return NULL;
}

static uint32_t window_pixel(int x, int y)
{
    SDL_Surface *s = SDL_GetWindowSurface(the_window());
    return ((uint32_t *)((uint8_t *)s->pixels + y * s->pitch))[x] & 0xffffff;
}

static void picture_arrives(void)
{
    struct error err;
    CHECK(setup());
    CHECK(!window_open(m, &err));
    CHECK_STR(err.msg, "display 'sdl': there is a window already");
    draw = true;
    turn();
    CHECK_EQ(window_pixel(0, 0), 0);
    CHECK_EQ(window_pixel(17, 3), 640 * 3 + 17);
    /* the guest changes the size: the window follows */
    display_resize(m->display, 320, 200);
    draw = true;
    turn();
    int width, height;
    SDL_GetWindowSize(the_window(), &width, &height);
    CHECK_EQ(width, 320);
    CHECK_EQ(height, 200);
    CHECK_EQ(window_pixel(5, 199), 320 * 199 + 5);
    /* the user changes it: stretched, with black at the sides */
    SDL_SetWindowSize(the_window(), 1000, 400);
    turn();
    CHECK_EQ(window_pixel(99, 200), 0);
    CHECK_EQ(window_pixel(180, 10), 320 * 5); /* the left edge: (1000 - 640) / 2 */
    CHECK_EQ(window_pixel(819, 399), 320 * 199 + 319);
    teardown();
}

static void keys_go_by_position(void)
{
    CHECK(setup());
    send_key(SDL_KEYDOWN, SDL_SCANCODE_A, 0);
    turn();
    CHECK_EQ(key_hid, 4);
    CHECK_EQ(key_down, 1);
    send_key(SDL_KEYUP, SDL_SCANCODE_A, 0);
    turn();
    CHECK_EQ(key_down, 0);
    CHECK_EQ(key_events, 2);
    teardown();
}

static void focus_loss_lets_go_of_keys(void)
{
    CHECK(setup());
    send_key(SDL_KEYDOWN, SDL_SCANCODE_LALT, KMOD_LALT);
    turn();
    CHECK_EQ(key_down, 1);
    SDL_Event e = { .window = { .type = SDL_WINDOWEVENT,
                                .windowID = SDL_GetWindowID(the_window()),
                                .event = SDL_WINDOWEVENT_FOCUS_LOST } };
    SDL_PushEvent(&e);
    turn();
    CHECK_EQ(key_hid, 0xe2);
    CHECK_EQ(key_down, 0);
    teardown();
}

static void mouse_moves_while_grabbed(void)
{
    SDL_Event move = { .motion = { .type = SDL_MOUSEMOTION, .xrel = 7, .yrel = -2 } };
    SDL_Event wheel = { .wheel = { .type = SDL_MOUSEWHEEL, .y = 1 } };
    SDL_Event click = { .button = { .type = SDL_MOUSEBUTTONDOWN, .button = SDL_BUTTON_RIGHT } };
    CHECK(setup());
    SDL_PushEvent(&move);
    turn();
    CHECK_EQ(motion_x, 0);
    SDL_PushEvent(&click); /* grabs */
    turn();
    CHECK(strstr(SDL_GetWindowTitle(the_window()), "Ctrl-Alt-G"));
    motion_x = motion_y = 0;
    SDL_PushEvent(&move);
    SDL_PushEvent(&click);
    SDL_PushEvent(&wheel);
    turn();
    CHECK_EQ(motion_x, 7);
    CHECK_EQ(motion_y, -2);
    CHECK_EQ(motion_z, -1);
    CHECK_EQ(buttons, 2);
    send_key(SDL_KEYDOWN, SDL_SCANCODE_G, KMOD_LCTRL | KMOD_LALT);
    turn();
    CHECK(!strstr(SDL_GetWindowTitle(the_window()), "Ctrl-Alt-G"));
    CHECK_EQ(buttons, 0);
    SDL_PushEvent(&move);
    turn();
    CHECK_EQ(motion_x, 7);
    teardown();
}

static void full_screen_and_back(void)
{
    CHECK(setup());
    send_key(SDL_KEYDOWN, SDL_SCANCODE_F, KMOD_LCTRL | KMOD_LALT);
    turn();
    CHECK(SDL_GetWindowFlags(the_window()) & SDL_WINDOW_FULLSCREEN);
    CHECK_EQ(key_events, 0);
    send_key(SDL_KEYDOWN, SDL_SCANCODE_F, KMOD_LCTRL | KMOD_LALT);
    turn();
    CHECK(!(SDL_GetWindowFlags(the_window()) & SDL_WINDOW_FULLSCREEN));
    teardown();
}

static void closing_ends_the_machine(void)
{
    SDL_Event quit = { .type = SDL_QUIT };
    CHECK(setup());
    SDL_PushEvent(&quit);
    turn();
    CHECK(m->shutdown_requested);
    CHECK_EQ(m->requested_cause, SHUTDOWN_HOST_UI);
    teardown();
}

int main(void)
{
    setenv("SDL_VIDEODRIVER", "dummy", 1);
    RUN(picture_arrives);
    RUN(keys_go_by_position);
    RUN(focus_loss_lets_go_of_keys);
    RUN(mouse_moves_while_grabbed);
    RUN(full_screen_and_back);
    RUN(closing_ends_the_machine);
    return test_done();
}
