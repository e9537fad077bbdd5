/*
 * libslirp in our event loop (stack.h).
 *
 * A turn (turn()) has libslirp do what is due: sockets that are ready, timers, packets that wait
 * for the guest; then asks it what it wants to know of each socket and when its next timer is due.
 * Turns are made
 *   - when a socket that it asked about is ready (socket_ready, from the event loop),
 *   - when its timer is due (on the machine's clock, which stops with the machine),
 *   - after frames came in, once, when the loop is back (schedule), since they may have opened
 * sockets or filled buffers. A guest that keeps the CPU busy would have to wait for the end of its
 * slice, 10 ms, for every 128 KB: so input also looks at the sockets from a bottom half of the
 * machine, at most every REFRESH_NS,
 *   - when the guest has room again.
 * An idle stack (no connections, nothing that waits) needs no timer.
 *
 * Acknowledgements. What libslirp answers while it takes in a frame is held if it is nothing but an
 * acknowledgement (ack_hold.c), until the guest waits (it is looked at after each slice), for
 * HOLD_NS at most, or until there is another frame for the guest. So a guest that sends much gets
 * few of them. A guest that waits without HLT, for each acknowledgement before it sends on, would
 * lose HOLD_NS each time: when the time has passed and nothing came, the next PROMPT_ACKS go at
 * once.
 *
 * Back-pressure. To the guest: libslirp asks user_slirp_can_send() before each packet of its queues
 * (patch 06), and what can't be sent stays there; sockets aren't read while a queue is long. From
 * the guest: TCP is held back by its window, which shrinks while a socket takes no more; everything
 * else is answered or sent at once. A guest that provokes answers without taking them is not
 * listened to beyond MAX_WAITING buffers; one that sends fragments without end loses them.
 *
 * libslirp's timers run in the machine's virtual time, its name in comments is "virtual clock".
 */
#include "net/user/stack.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "host/host.h"
#include "machine.h"
#include "net/user/ack_hold.h"
#include "net/user/libslirp/glue.h"
#include "net/user/sockets.h"

#define MAX_WAITING 1024                 /* packets for a guest that takes none */
#define MAX_PACKETS 16384                /* with incomplete fragments */
#define REFRESH_NS  (NS_PER_SEC / 10000) /* between two looks at the sockets in a slice */
#define HOLD_NS     (NS_PER_SEC / 500)
#define PROMPT_ACKS 64
#define SEGMENTS    11 /* in a packet for cards that cut: 16 KB; a window should hold some of them */
#define IDLE_MS     UINT32_MAX

int user_slirp_can_send(void *opaque);
int user_slirp_trusts_input(void *opaque);
int user_slirp_segments(void *opaque, int family);
void user_slirp_cut(void *opaque, int size);

struct user_stack {
    Slirp *slirp;
    struct machine *machine;
    struct user_transport *transport;
    const struct user_stack_ops *ops;
    void *opaque;
    struct timer timer; /* libslirp's own: TCP, fragments, resolution */
    struct ack_hold acks;
    struct timer hold_timer; /* pending while there are some */
    unsigned prompt_acks;    /* so many more go at once */
    bool collected;    /* an acknowledgement has taken another one's place since the last release */
    bool scheduled;    /* a turn, by host_defer */
    bool deferred;     /* a look at the sockets, by machine_defer */
    bool gone;         /* freed while a deferred call was under way */
    bool running;      /* inside of libslirp */
    bool taking_in;    /* a frame of the guest's */
    bool trusted;      /* the frame being taken in has no checksum of its own */
    unsigned gso_size; /* of the frame that is being sent */
    int64_t refreshed_ns;
    uint64_t dropped;
};

/* ---- callbacks of libslirp ---- */

int user_slirp_can_send(void *opaque)
{
    struct user_stack *s = opaque;
    return s->ops->can_send(s->opaque);
}

int user_slirp_trusts_input(void *opaque)
{
    return ((struct user_stack *)opaque)->trusted;
}

int user_slirp_segments(void *opaque, int family)
{
    struct user_stack *s = opaque;
    return s->ops->can_cut && s->ops->can_cut(s->opaque, family == AF_INET6) ? SEGMENTS : 1;
}

void user_slirp_cut(void *opaque, int size)
{
    ((struct user_stack *)opaque)->gso_size = (unsigned)size;
}

/* The acknowledgements that are held, to the guest; those for which it has no room stay. */
static void release_acks(struct user_stack *s)
{
    unsigned n = 0;
    while (n < s->acks.count && s->ops->can_send(s->opaque)) {
        s->ops->send(s->opaque, s->acks.slot[n].frame, s->acks.slot[n].len, 0);
        n++;
    }
    s->acks.count -= n;
    s->collected = false;
    memmove(s->acks.slot, s->acks.slot + n, s->acks.count * sizeof s->acks.slot[0]);
    if (s->acks.count)
        timer_mod(&s->hold_timer, clock_now_ns(&s->machine->clock) + HOLD_NS);
    else
        timer_del(&s->hold_timer);
}

static void hold_over(void *opaque)
{
    struct user_stack *s = opaque;
    if (!s->collected)
        s->prompt_acks = PROMPT_ACKS;
    release_acks(s);
}

/* What becomes of a packet of libslirp's if it is an acknowledgement of what it takes in. */
static enum ack_hold_answer hold(struct user_stack *s, const void *buf, size_t len)
{
    if (!s->taking_in || s->gso_size)
        return ACK_NOW;
    if (s->prompt_acks) {
        s->prompt_acks--;
        return ACK_NOW;
    }
    unsigned before = s->acks.count;
    enum ack_hold_answer answer = ack_hold_offer(&s->acks, buf, len);
    if (answer != ACK_NOW && s->acks.count == before)
        s->collected = true;
    return answer;
}

static ssize_t send_packet(const void *buf, size_t len, void *opaque)
{
    struct user_stack *s = opaque;
    enum ack_hold_answer answer = hold(s, buf, len);
    if (answer == ACK_HELD) {
        if (!timer_pending(&s->hold_timer))
            timer_mod(&s->hold_timer, clock_now_ns(&s->machine->clock) + HOLD_NS);
        return (ssize_t)len;
    }
    if (s->acks.count)
        release_acks(s);
    if (answer == ACK_NOW)
        s->ops->send(s->opaque, buf, len, s->gso_size);
    return (ssize_t)len;
}

static void guest_error(const char *msg, void *opaque)
{
    (void)msg, (void)opaque; /* "dropped a packet" and the like: any guest can make them */
}

static int64_t clock_get_ns(void *opaque)
{
    return clock_now_ns(&((struct user_stack *)opaque)->machine->clock);
}

/* The one timer of libslirp that has a callback: router advertisements. */
struct slirp_timer {
    struct timer timer;
    struct user_stack *stack;
    SlirpTimerId id;
    void *argument;
};

static void schedule(struct user_stack *s);

static void slirp_timer_due(void *opaque)
{
    struct slirp_timer *t = opaque;
    struct user_transport *before;
    Slirp *slirp = user_stack_enter(t->stack, &before);
    slirp_handle_timer(slirp, t->id, t->argument);
    user_stack_leave(t->stack, before);
}

static void *timer_new(SlirpTimerId id, void *argument, void *opaque)
{
    struct user_stack *s = opaque;
    struct slirp_timer *t = calloc(1, sizeof *t);
    if (!t)
        abort();
    t->stack = s;
    t->id = id;
    t->argument = argument;
    timer_init(&t->timer, &s->machine->clock, slirp_timer_due, t);
    return t;
}

static void timer_free(void *timer, void *opaque)
{
    (void)opaque;
    timer_del(&((struct slirp_timer *)timer)->timer);
    free(timer);
}

static void timer_set(void *timer, int64_t expire_ms, void *opaque)
{
    (void)opaque;
    timer_mod(&((struct slirp_timer *)timer)->timer, expire_ms * 1000000);
}

static void poll_fd(int fd, void *opaque)
{
    (void)fd, (void)opaque; /* sockets.c knows them all */
}

/* A connection's buffer has room again. */
static void notify(void *opaque)
{
    schedule(opaque);
}

static void init_completed(Slirp *slirp, void *opaque)
{
    ((struct user_stack *)opaque)->slirp = slirp;
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = clock_get_ns,
    .timer_free = timer_free,
    .timer_mod = timer_set,
    .register_poll_fd = poll_fd,
    .unregister_poll_fd = poll_fd,
    .notify = notify,
    .init_completed = init_completed,
    .timer_new_opaque = timer_new,
};

/* Instead of libslirp's own, which know /etc/resolv.conf only (cmake/libslirp.cmake). */
int get_dns_addr(struct in_addr *addr);
int get_dns6_addr(struct in6_addr *addr, uint32_t *scope_id);

static bool name_server(int family, struct sockaddr_storage *addr)
{
    struct user_transport *t = user_current();
    return t && t->ops->name_server && t->ops->name_server(t, family, addr);
}

int get_dns_addr(struct in_addr *addr)
{
    struct sockaddr_storage server;
    if (!name_server(AF_INET, &server))
        return -1;
    *addr = ((const struct sockaddr_in *)&server)->sin_addr;
    return 0;
}

int get_dns6_addr(struct in6_addr *addr, uint32_t *scope_id)
{
    struct sockaddr_storage server;
    if (!name_server(AF_INET6, &server))
        return -1;
    *addr = ((const struct sockaddr_in6 *)&server)->sin6_addr;
    *scope_id = ((const struct sockaddr_in6 *)&server)->sin6_scope_id;
    return 0;
}

/* ---- turns ---- */

static int add_poll(int fd, int events, void *opaque)
{
    (void)opaque;
    user_want(fd, (unsigned)events);
    return fd;
}

static int get_revents(int index, void *opaque)
{
    (void)opaque;
    return (int)user_poll(index);
}

static void turn(struct user_stack *s)
{
    if (s->running)
        return;
    s->running = true;
    struct user_transport *before = user_enter(s->transport);
    slirp_pollfds_poll(s->slirp, 0, get_revents, s);
    uint32_t timeout_ms = IDLE_MS;
    user_want_begin(s->transport);
    slirp_pollfds_fill(s->slirp, &timeout_ms, add_poll, s);
    user_want_end(s->transport);
    user_leave(before);
    s->running = false;
    if (user_glue_idle(s->slirp))
        timer_del(&s->timer);
    else
        timer_mod(&s->timer, clock_get_ns(s) + timeout_ms * 1000000ll);
    if (s->ops->turned)
        s->ops->turned(s->opaque);
}

static void timer_due(void *opaque)
{
    turn(opaque);
}

static void socket_ready(void *opaque)
{
    schedule(opaque);
}

static void scheduled_turn(void *opaque)
{
    struct user_stack *s = opaque;
    s->scheduled = false;
    if (s->gone) {
        free(s);
        return;
    }
    bool busy = s->machine->state == RUN_STATE_RUNNING && !s->machine->cpus[0]->halted;
    if (s->acks.count && !busy)
        release_acks(s);
    turn(s);
    if (s->acks.count && busy)
        schedule(s);
}

static void schedule(struct user_stack *s)
{
    if (s->scheduled)
        return;
    s->scheduled = true;
    host_defer(scheduled_turn, s);
}

/* From a bottom half: whatever the sockets have, now. */
static void refresh(void *opaque)
{
    struct user_stack *s = opaque;
    s->deferred = false;
    s->refreshed_ns = host_monotonic_ns();
    s->transport->ops->refresh(s->transport);
    turn(s);
}

/* ---- the stack ---- */

struct user_stack *user_stack_new(struct machine *m, const SlirpConfig *config,
                                  struct user_transport *transport,
                                  const struct user_stack_ops *ops, void *opaque)
{
    struct user_stack *s = calloc(1, sizeof *s);
    if (!s || !transport) {
        free(s);
        user_transport_free(transport);
        return NULL;
    }
    s->machine = m;
    s->transport = transport;
    s->ops = ops;
    s->opaque = opaque;
    transport->ready = socket_ready;
    transport->opaque = s;
    timer_init(&s->timer, &m->clock, timer_due, s);
    timer_init(&s->hold_timer, &m->clock, hold_over, s);
    struct user_transport *before = user_enter(transport);
    s->running = true;
    s->slirp = slirp_new(config, &callbacks, s);
    s->running = false;
    user_leave(before);
    if (!s->slirp) {
        user_transport_free(transport);
        free(s);
        return NULL;
    }
    return s;
}

void user_stack_free(struct user_stack *s)
{
    if (!s)
        return;
    struct user_transport *before = user_enter(s->transport);
    slirp_cleanup(s->slirp);
    user_leave(before);
    user_transport_free(s->transport);
    timer_del(&s->timer);
    timer_del(&s->hold_timer);
    if (s->deferred)
        machine_cancel_deferred(s->machine, refresh, s);
    s->gone = true;
    if (!s->scheduled)
        free(s);
}

bool user_stack_input(struct user_stack *s, const uint8_t *data, size_t len, bool checked)
{
    int waiting = user_glue_packets(s->slirp);
    if (waiting > MAX_WAITING && !s->ops->can_send(s->opaque))
        return false;
    if (waiting > MAX_PACKETS) {
        s->dropped++;
        return true;
    }
    struct user_transport *before = user_enter(s->transport);
    bool was_running = s->running;
    s->running = true;
    s->trusted = checked;
    s->taking_in = true;
    slirp_input(s->slirp, data, (int)len);
    s->taking_in = s->trusted = false;
    s->running = was_running;
    user_leave(before);
    schedule(s);
    if (s->transport->ops->refresh && s->transport->count && !s->deferred &&
        host_monotonic_ns() - s->refreshed_ns > REFRESH_NS) {
        s->deferred = true;
        machine_defer(s->machine, refresh, s);
    }
    return true;
}

void user_stack_writable(struct user_stack *s)
{
    schedule(s);
}

uint64_t user_stack_dropped(const struct user_stack *s)
{
    return s->dropped;
}

Slirp *user_stack_enter(struct user_stack *s, struct user_transport **before)
{
    *before = user_enter(s->transport);
    return s->slirp;
}

void user_stack_leave(struct user_stack *s, struct user_transport *before)
{
    user_leave(before);
    schedule(s);
}
