/*
 * A TAP interface in a room: made if there is none of the name, else the existing one is taken.
 * Without a script it is brought up here, and put into `bridge` if one is given; a script gets its
 * name as argument, as QEMU's do. The downscript runs at the end, with the privileges that are left
 * then.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <spawn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <linux/sockios.h>
#include <unistd.h>

#include "relay/attach.h"
#include "relay/log.h"
#include "relay/loop.h"

enum { READS_AT_ONCE = 64 };

struct tap {
    struct attachment attachment;
    struct port port;
    int fd;
    struct watch *watch;
    char name[IFNAMSIZ];
    char *downscript; /* NULL: none */
};

static uint8_t frame[RELAY_FRAME_MAX]; /* used within read_frames() only */

static bool deliver(struct port *p, const uint8_t *data, size_t len)
{
    struct tap *t = (struct tap *)((char *)p - offsetof(struct tap, port));
    return write(t->fd, data, len) == (ssize_t)len;
}

static void read_frames(void *owner, int events)
{
    struct tap *t = owner;
    for (int i = 0; i < READS_AT_ONCE; i++) {
        ssize_t n = read(t->fd, frame, sizeof frame);
        if (n < 0 && errno != EAGAIN && errno != EINTR && errno != EIO) { /* EIO: it is down */
            log_event(LOG_ERROR, "tap", "ifname=%s error=%s", t->name, log_string(strerror(errno)));
            watch_set(t->watch, 0);
        }
        if (n < 0)
            return;
        if (n >= RELAY_FRAME_MIN)
            room_send(&t->port, frame, (size_t)n);
    }
}

static bool run_script(const char *script, char *name, struct error *err)
{
    char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *environment[] = { path, NULL };
    char *argv[] = { (char *)script, name, NULL };
    pid_t child;
    int status, error = posix_spawn(&child, script, NULL, NULL, argv, environment);
    if (error)
        return error_set(err, "script: '%s': %s", script, strerror(error));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return (WIFEXITED(status) && !WEXITSTATUS(status)) ||
           error_set(err, "script: '%s' failed with status %d", script, status);
}

static bool bring_up(const char *name, const char *bridge, struct error *err)
{
    struct ifreq r = { 0 };
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool good = s >= 0;
    memcpy(r.ifr_name, name, strlen(name));
    good = good && !ioctl(s, SIOCGIFFLAGS, &r);
    /* One that is up already, perhaps somebody else's work, needs no privilege. */
    if (good && !(r.ifr_flags & IFF_UP)) {
        r.ifr_flags |= IFF_UP;
        good = !ioctl(s, SIOCSIFFLAGS, &r);
    }
    if (!good)
        error_set(err, "tap '%s': can't be brought up: %s", name, strerror(errno));
    if (good && bridge) {
        struct ifreq b = { 0 };
        snprintf(b.ifr_name, sizeof b.ifr_name, "%s", bridge);
        b.ifr_ifindex = (int)if_nametoindex(name);
        good = !ioctl(s, SIOCBRADDIF, &b) || errno == EBUSY; /* BUSY: it is in a bridge */
        if (!good)
            error_set(err, "bridge '%s': %s", bridge, strerror(errno));
    }
    if (s >= 0)
        close(s);
    return good;
}

static void tap_close(struct attachment *a)
{
    struct tap *t = (struct tap *)a;
    struct error err;
    room_leave(&t->port);
    watch_free(t->watch);
    if (t->downscript && !run_script(t->downscript, t->name, &err))
        log_event(LOG_WARN, "tap", "ifname=%s error=%s", t->name, log_string(err.msg));
    if (t->fd >= 0)
        close(t->fd);
    free(t->downscript);
    free(a->room);
    free(t);
}

static bool tap_open(struct tap *t, const struct attach_options *o, struct error *err)
{
    struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    t->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (t->fd < 0)
        return error_set(err, "/dev/net/tun: %s", strerror(errno));
    memcpy(r.ifr_name, o->ifname, strlen(o->ifname));
    if (ioctl(t->fd, TUNSETIFF, &r))
        return error_set(err, "tap '%s': %s", o->ifname, strerror(errno));
    memcpy(t->name, r.ifr_name, sizeof t->name);
    bool script = o->script && strcmp(o->script, "no");
    return script ? run_script(o->script, t->name, err) : bring_up(t->name, o->bridge, err);
}

struct attachment *attach_tap(struct relay *relay, const char *room, const struct attach_options *o,
                              struct error *err)
{
    struct tap *t = calloc(1, sizeof *t);
    t->attachment = (struct attachment){ .relay = relay, .room = strdup(room), .close = tap_close };
    t->fd = -1;
    t->port.deliver = deliver;
    bool good = tap_open(t, o, err);
    if (good && !(t->watch = watch_new(&relay->loop, t->fd, read_frames, t)))
        good = error_set(err, "tap '%s': can't be watched", t->name);
    if (good && room_join(relay, &t->port, room_name(room)))
        good = error_set(err, "the room is full");
    if (!good) {
        tap_close(&t->attachment);
        return NULL;
    }
    if (o->downscript && strcmp(o->downscript, "no"))
        t->downscript = strdup(o->downscript);
    t->attachment.runs_program = t->downscript != NULL;
    watch_set(t->watch, UV_READABLE);
    log_event(LOG_INFO, "attached", "room=%s tap=%s", room, t->name);
    return &t->attachment;
}
