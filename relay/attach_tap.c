/*
 * A TAP interface in a room: made if there is none of the name, else the existing one is taken.
 * Without a script it is brought up here, and put into `bridge` if one is given; a script gets its
 * name as argument, as QEMU's do. The downscript runs at the end, with the privileges that are left
 * then.
 */
#define _GNU_SOURCE /* close_range, pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <signal.h>
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
    pid_t keeper; /* the child that will run the downscript; 0: none */
    int keeper_pipe;
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

static bool start_keeper(struct tap *t, const char *script, struct error *err)
{
    int ends[2];
    char byte;
    if (access(script, X_OK))
        return error_set(err, "downscript: '%s': %s", script, strerror(errno));
    if (pipe2(ends, O_CLOEXEC))
        return error_set(err, "downscript: %s", strerror(errno));
    t->keeper = fork();
    if (t->keeper == 0) {
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        dup2(ends[0], STDIN_FILENO);
        close_range(STDERR_FILENO + 1, ~0u, 0);
        while (read(STDIN_FILENO, &byte, 1) < 0 && errno == EINTR) {
        }
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
        execl(script, script, t->name, NULL);
        _exit(127);
    }
    close(ends[0]);
    t->keeper_pipe = ends[1];
    if (t->keeper > 0)
        return true;
    t->keeper = 0;
    close(ends[1]);
    return error_set(err, "downscript: %s", strerror(errno));
}

static void end_keeper(struct tap *t)
{
    int status = 0;
    close(t->keeper_pipe);
    while (waitpid(t->keeper, &status, 0) < 0 && errno == EINTR) {
    }
    if (status)
        log_event(LOG_WARN, "tap", "ifname=%s downscript_status=%d", t->name, status);
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
    room_leave(&t->port);
    watch_free(t->watch);
    if (t->keeper)
        end_keeper(t);
    if (t->fd >= 0)
        close(t->fd);
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
    if (!(script ? run_script(o->script, t->name, err) : bring_up(t->name, o->bridge, err)))
        return false;
    return !o->downscript || !strcmp(o->downscript, "no") || start_keeper(t, o->downscript, err);
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
    t->attachment.runs_program = t->keeper != 0;
    watch_set(t->watch, UV_READABLE);
    log_event(LOG_INFO, "attached", "room=%s tap=%s", room, t->name);
    return &t->attachment;
}
