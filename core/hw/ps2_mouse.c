/*
 * The PS/2 mouse, with the wheel and side buttons of Microsoft's IntelliMouse and Explorer
 * extensions.
 *
 * States: stream mode (reports by itself while m->reporting, at most sample_rate a second), remote
 * mode (reports when asked) and wrap mode (echoes). Motion adds up between reports and is reported
 * in pieces of the protocol's 9 bits; a press and release between two samples are kept apart by
 * queueing the first report at once. The queue holds whole packets only; while it has no room,
 * motion keeps adding up.
 *
 * Follows IBM's PS/2 Mouse Technical Reference and Microsoft's "IntelliMouse" description: the
 * sample rates 200, 100, 80 switch the id to 3 (wheel), then 200, 200, 80 to 4 (buttons 4 and 5).
 */
#include "hw/ps2.h"
#include "hw/ps2_queue.h"

#include "log.h"

enum {
    CMD_SCALE_1_1 = 0xe6,
    CMD_SCALE_2_1 = 0xe7,
    CMD_RESOLUTION = 0xe8,
    CMD_STATUS = 0xe9,
    CMD_STREAM = 0xea,
    CMD_READ = 0xeb,
    CMD_WRAP_OFF = 0xec,
    CMD_WRAP_ON = 0xee,
    CMD_REMOTE = 0xf0,
    CMD_IDENTIFY = 0xf2,
    CMD_SAMPLE_RATE = 0xf3,
    CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5,
    CMD_DEFAULTS = 0xf6,
    CMD_RESEND = 0xfe,
    CMD_RESET = 0xff,
};

enum { TYPE_STANDARD = 0, TYPE_WHEEL = 3, TYPE_EXPLORER = 4 };
enum { KNOCK_NONE, KNOCK_200, KNOCK_200_100, KNOCK_200_200 };

#define PACKET_MAX 4
#define MOTION_MAX 255
/* Motion that nobody fetches stops adding up here: a mouse's counters are finite too. */
#define MOTION_KEEP 4096

static int64_t clamp(int64_t v, int64_t limit)
{
    return v > limit ? limit : v < -limit ? -limit : v;
}

static void set_defaults(struct ps2_mouse *m)
{
    m->command = 0;
    m->sample_rate = 100;
    m->resolution = 2;
    m->scale21 = false;
    m->reporting = false;
    m->remote = false;
    m->wrap = false;
    m->dx = m->dy = m->dz = 0;
    m->reported_buttons = m->buttons;
    ps2_queue_clear_events(&m->queue);
    timer_del(&m->sample_timer);
}

static bool has_change(const struct ps2_mouse *m)
{
    return m->dx || m->dy || m->dz || m->buttons != m->reported_buttons;
}

/* 2:1 scaling (stream mode only). */
static int64_t scale(int64_t v)
{
    static const uint8_t small[] = { 0, 1, 1, 3, 6, 9 };
    int64_t n = v < 0 ? -v : v;
    n = n < 6 ? small[n] : n * 2;
    return v < 0 ? -n : n;
}

/* Builds one packet of what has added up and takes that away. */
static unsigned make_packet(struct ps2_mouse *m, uint8_t p[PACKET_MAX], bool stream)
{
    int64_t limit = m->scale21 && stream ? MOTION_MAX / 2 : MOTION_MAX;
    int64_t x = clamp(m->dx, limit), y = clamp(m->dy, limit), z = clamp(m->dz, 7);
    m->dx -= x;
    m->dy -= y;
    m->dz -= z;
    if (m->scale21 && stream) {
        x = scale(x);
        y = scale(y);
    }
    p[0] = (uint8_t)(8 | (m->buttons & 7) | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0));
    p[1] = (uint8_t)x;
    p[2] = (uint8_t)y;
    m->reported_buttons = m->buttons;
    if (m->type == TYPE_STANDARD) {
        m->dz = 0;
        return 3;
    }
    if (m->type == TYPE_WHEEL)
        p[3] = (uint8_t)z;
    else
        p[3] = (uint8_t)((z & 15) | (m->buttons & 0x18) << 1);
    return 4;
}

/* Queues one report if there is something to report and room; false otherwise. */
static bool queue_report(struct ps2_mouse *m)
{
    if (!has_change(m) || ps2_queue_room(&m->queue) < PACKET_MAX)
        return false;
    uint8_t p[PACKET_MAX];
    unsigned n = make_packet(m, p, true);
    for (unsigned i = 0; i < n; i++)
        ps2_queue_event(&m->queue, p[i]);
    m->ready(m->opaque);
    return true;
}

static bool streams(const struct ps2_mouse *m)
{
    return m->reporting && !m->remote && !m->wrap;
}

static void start_sample_timer(struct ps2_mouse *m)
{
    unsigned rate = m->sample_rate ? m->sample_rate : 100;
    timer_mod(&m->sample_timer, clock_now_ns(m->sample_timer.clock) + NS_PER_SEC / rate);
}

static void sample(void *opaque)
{
    struct ps2_mouse *m = opaque;
    if (!streams(m) || !has_change(m))
        return;
    queue_report(m);
    start_sample_timer(m);
}

void ps2_mouse_init(struct ps2_mouse *m, struct clock *clock, void (*ready)(void *opaque),
                    void *opaque)
{
    m->ready = ready;
    m->opaque = opaque;
    timer_init(&m->sample_timer, clock, sample, m);
}

void ps2_mouse_reset(struct ps2_mouse *m)
{
    ps2_queue_clear(&m->queue);
    set_defaults(m);
    m->type = TYPE_STANDARD;
    m->knock = KNOCK_NONE;
}

static void reply(struct ps2_mouse *m, uint8_t value)
{
    ps2_queue_reply(&m->queue, value);
}

static void set_sample_rate(struct ps2_mouse *m, uint8_t rate)
{
    m->sample_rate = rate;
    if (rate == 200) {
        m->knock = m->knock == KNOCK_200 ? KNOCK_200_200 : KNOCK_200;
    } else if (rate == 100 && m->knock == KNOCK_200) {
        m->knock = KNOCK_200_100;
    } else {
        if (rate == 80 && m->knock == KNOCK_200_100)
            m->type = TYPE_WHEEL;
        else if (rate == 80 && m->knock == KNOCK_200_200)
            m->type = TYPE_EXPLORER;
        m->knock = KNOCK_NONE;
    }
}

static void run_argument(struct ps2_mouse *m, uint8_t command, uint8_t value)
{
    if (command == CMD_SAMPLE_RATE)
        set_sample_rate(m, value);
    else
        m->resolution = value & 3;
    reply(m, PS2_ACK);
}

static void send_status(struct ps2_mouse *m)
{
    uint8_t buttons =
        (uint8_t)((m->buttons & 1) << 2 | (m->buttons & 4) >> 1 | (m->buttons & 2) >> 1);
    reply(m, PS2_ACK);
    reply(m, (uint8_t)(m->remote << 6 | m->reporting << 5 | m->scale21 << 4 | buttons));
    reply(m, m->resolution);
    reply(m, m->sample_rate);
}

static void run_command(struct ps2_mouse *m, uint8_t value)
{
    if (m->wrap && value != CMD_RESET && value != CMD_WRAP_OFF) {
        reply(m, value);
        return;
    }
    switch (value) {
    case CMD_SCALE_1_1:
    case CMD_SCALE_2_1:
        m->scale21 = value == CMD_SCALE_2_1;
        reply(m, PS2_ACK);
        break;
    case CMD_RESOLUTION:
    case CMD_SAMPLE_RATE:
        m->command = value;
        reply(m, PS2_ACK);
        break;
    case CMD_STATUS: send_status(m); break;
    case CMD_STREAM:
    case CMD_REMOTE:
        m->remote = value == CMD_REMOTE;
        reply(m, PS2_ACK);
        break;
    case CMD_READ: {
        uint8_t p[PACKET_MAX];
        unsigned n = make_packet(m, p, false);
        reply(m, PS2_ACK);
        for (unsigned i = 0; i < n; i++)
            reply(m, p[i]);
        break;
    }
    case CMD_WRAP_OFF:
    case CMD_WRAP_ON:
        m->wrap = value == CMD_WRAP_ON;
        reply(m, PS2_ACK);
        break;
    case CMD_IDENTIFY:
        reply(m, PS2_ACK);
        reply(m, m->type);
        break;
    case CMD_ENABLE:
        m->reporting = true;
        reply(m, PS2_ACK);
        break;
    case CMD_DISABLE:
        m->reporting = false;
        reply(m, PS2_ACK);
        break;
    case CMD_DEFAULTS:
        set_defaults(m);
        reply(m, PS2_ACK);
        break;
    case CMD_RESEND: reply(m, m->queue.last_sent); break;
    case CMD_RESET:
        ps2_mouse_reset(m);
        reply(m, PS2_ACK);
        reply(m, PS2_SELF_TEST_OK);
        reply(m, m->type);
        break;
    default:
        log_mask(LOG_GUEST_ERRORS, "ps2 mouse: unknown command 0x%02x", value);
        reply(m, PS2_RESEND);
    }
}

void ps2_mouse_write(struct ps2_mouse *m, uint8_t value)
{
    uint8_t command = m->command;
    m->command = 0;
    if (value != CMD_RESEND || m->wrap)
        m->queue.reply_count = 0;
    /* A command ends the packet under way: what follows it is not a packet's rest. */
    ps2_queue_clear_events(&m->queue);
    if (command && value < CMD_SCALE_1_1)
        run_argument(m, command, value);
    else
        run_command(m, value);
    m->ready(m->opaque);
}

bool ps2_mouse_has_data(const struct ps2_mouse *m)
{
    return !ps2_queue_empty(&m->queue);
}

uint8_t ps2_mouse_read(struct ps2_mouse *m)
{
    return ps2_queue_take(&m->queue);
}

void ps2_mouse_loaded(struct ps2_mouse *m)
{
    m->dx = clamp(m->dx, MOTION_KEEP);
    m->dy = clamp(m->dy, MOTION_KEEP);
    m->dz = clamp(m->dz, MOTION_KEEP);
}

void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, unsigned buttons)
{
    buttons &= m->type == TYPE_EXPLORER ? 0x1f : 7;
    /* A second change of buttons must not hide the first. */
    if (streams(m) && m->buttons != m->reported_buttons && buttons != m->buttons)
        queue_report(m);
    m->buttons = (uint8_t)buttons;
    m->dx = clamp(m->dx + dx, MOTION_KEEP);
    m->dy = clamp(m->dy - (int64_t)dy, MOTION_KEEP);
    m->dz = clamp(m->dz + dz, MOTION_KEEP);
    if (streams(m) && has_change(m) && !timer_pending(&m->sample_timer)) {
        queue_report(m);
        start_sample_timer(m);
    }
}
