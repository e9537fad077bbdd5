/*
 * TAP descriptors on Linux: /dev/net/tun, given ones, and those that QEMU's bridge helper sends
 * over a socket; network scripts.
 *
 * With IFF_VNET_HDR each frame has a struct virtio_net_hdr before it. All offloads are switched on
 * towards us (TUNSETOFFLOAD): a frame of 64 KB costs one read, and offload.c cuts it for a peer
 * that can't take it. Documents: the kernel's Documentation/networking/tuntap.rst, tun(4)'s ioctls
 * in linux/if_tun.h.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/net.h"
#include "net/tap.h"

extern char **environ;

/* ---- processes ---- */

/* Starts @argv; 0 or an errno value. */
static int start(char **argv, pid_t *pid)
{
    posix_spawnattr_t attr;
    sigset_t defaults;
    posix_spawnattr_init(&attr);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE); /* ignored here, which would be inherited */
    posix_spawnattr_setsigdefault(&attr, &defaults);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
    int error = posix_spawn(pid, argv[0], NULL, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    return error;
}

/* Waits for @pid; false and @err if it failed. @what names it. */
static bool await(pid_t pid, const char *what, struct error *err)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_set(err, "%s: %s", what, strerror(errno));
    if (WIFSIGNALED(status))
        return error_set(err, "%s was killed by signal %d", what, WTERMSIG(status));
    if (WEXITSTATUS(status))
        return error_set(err, "%s failed with status %d", what, WEXITSTATUS(status));
    return true;
}

bool tap_run_script(const char *script, const char *ifname, struct error *err)
{
    char what[300];
    char *argv[] = { (char *)script, (char *)ifname, NULL };
    pid_t pid;
    snprintf(what, sizeof what, "network script %.250s", script);
    fflush(NULL); /* what it prints comes behind what we did */
    int error = start(argv, &pid);
    if (error)
        return error_set(err, "%s: %s", what, strerror(error));
    return await(pid, what, err);
}

/* ---- descriptors ---- */

/* Finds out what the descriptor is and can do. */
static bool use(struct tap *t, int fd, struct error *err)
{
    struct ifreq ifr = { .ifr_flags = 0 };
    int size = sizeof(struct virtio_net_hdr);
    unsigned all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    if (ioctl(fd, TUNGETIFF, &ifr) < 0)
        return error_set(err, "Unable to query TUNGETIFF on FD %d: %s", fd, strerror(errno));
    if ((ifr.ifr_flags & (IFF_TAP | IFF_NO_PI)) != (IFF_TAP | IFF_NO_PI))
        return error_set(err, "FD %d is not a TAP interface without packet information", fd);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    *t = (struct tap){ .fd = fd, .vnet_hdr = ifr.ifr_flags & IFF_VNET_HDR };
    snprintf(t->ifname, sizeof t->ifname, "%.15s", ifr.ifr_name);
    /* Both may be as another process has left them. */
    if (!t->vnet_hdr) {
        ioctl(fd, TUNSETOFFLOAD, 0);
        return true;
    }
    ioctl(fd, TUNSETVNETHDRSZ, &size);
    if (ioctl(fd, TUNSETOFFLOAD, all) < 0)
        ioctl(fd, TUNSETOFFLOAD, 0);
    t->offloads = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN;
    return true;
}

static bool use_or_close(struct tap *t, int fd, struct error *err)
{
    bool ok = use(t, fd, err);
    if (!ok)
        close(fd);
    return ok;
}

bool tap_open(struct tap *t, const char *ifname, enum tap_vnet_hdr vnet_hdr, struct error *err)
{
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    unsigned features = 0;
    if (strlen(ifname) >= sizeof ifr.ifr_name)
        return error_set(err, "interface name '%.100s' is longer than %zu characters", ifname,
                         sizeof ifr.ifr_name - 1);
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set(err, "could not open /dev/net/tun: %s", strerror(errno));
    ioctl(fd, TUNGETFEATURES, &features);
    if (vnet_hdr == TAP_VNET_HDR_ON && !(features & IFF_VNET_HDR)) {
        close(fd);
        return error_set(err, "vnet_hdr=1 requested, but no kernel support for IFF_VNET_HDR");
    }
    if (vnet_hdr != TAP_VNET_HDR_OFF && (features & IFF_VNET_HDR))
        ifr.ifr_flags |= IFF_VNET_HDR;
    strcpy(ifr.ifr_name, *ifname ? ifname : "tap%d");
    if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
        int error = errno;
        close(fd);
        return error_set(err, "could not configure /dev/net/tun (%s): %s",
                         *ifname ? ifname : "tap%d", strerror(error));
    }
    return use_or_close(t, fd, err);
}

bool tap_open_fd(struct tap *t, const char *number, struct error *err)
{
    char *end;
    long fd = strtol(number, &end, 10);
    if (!*number || *end || fd < 0 || fd > 0x7fffffff)
        return error_set(err, "fd=%.100s: not the number of a file descriptor", number);
    if (fcntl((int)fd, F_GETFD) < 0)
        return error_set(err, "Can't use file descriptor %ld: %s", fd, strerror(errno));
    return use(t, (int)fd, err);
}

bool tap_set_sndbuf(const struct tap *t, uint32_t bytes, struct error *err)
{
    int n = bytes && bytes < 0x7fffffff ? (int)bytes : 0x7fffffff;
    if (ioctl(t->fd, TUNSETSNDBUF, &n) < 0 && bytes)
        return error_set(err, "TUNSETSNDBUF ioctl failed: %s", strerror(errno));
    return true;
}

/* ---- bridge helper ---- */

/* The descriptor that comes over @sock, or -1. */
static int receive_fd(int sock)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t n;
    do
        n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    int fd = -1;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

/* As QEMU: a helper with a space in it is a command for the shell, which may name the bridge. */
static int start_helper(const char *helper, const char *br, int sock, pid_t *pid)
{
    char fd_option[32], br_option[64], command[1200];
    snprintf(fd_option, sizeof fd_option, "--fd=%d", sock);
    snprintf(br_option, sizeof br_option, "--br=%.40s", br);
    if (!strpbrk(helper, " \t")) {
        char *argv[] = { (char *)helper, (char *)"--use-vnet", fd_option, br_option, NULL };
        return start(argv, pid);
    }
    int len = snprintf(command, sizeof command, "%s --use-vnet %s %s", helper, fd_option,
                       strstr(helper, "--br=") ? "" : br_option);
    if (len >= (int)sizeof command)
        return ENAMETOOLONG;
    char *argv[] = { (char *)"/bin/sh", (char *)"-c", command, NULL };
    return start(argv, pid);
}

bool tap_open_bridge(struct tap *t, const char *helper, const char *br, struct error *err)
{
    int socks[2];
    pid_t pid;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, socks) < 0)
        return error_set(err, "socketpair: %s", strerror(errno));
    fcntl(socks[0], F_SETFD, FD_CLOEXEC);
    int error = start_helper(helper, br, socks[1], &pid);
    close(socks[1]);
    if (error) {
        close(socks[0]);
        return error_set(err, "bridge helper %.200s: %s", helper, strerror(error));
    }
    int fd = receive_fd(socks[0]);
    close(socks[0]);
    if (!await(pid, "bridge helper", err)) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (fd < 0)
        return error_set(err, "bridge helper %.200s sent no interface", helper);
    return use_or_close(t, fd, err);
}
