/*
 * smbd for guests. The relay itself may run no programs (privileges.c), so a child does that, which
 * was started before. It knows one thing: a message on its socket carries a descriptor, and gets an
 * smbd with that as its standard input (inetd mode). smbd's own files lie in a directory made for
 * it, which the child removes when the relay is gone.
 *
 * smbd wants to be asked over TCP, so both ends of a connection are made here, over loopback; that
 * it is our own that was accepted is checked.
 */
#define _GNU_SOURCE /* accept4, close_range */
#include "relay/smb.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SMBD "/usr/sbin/smbd"
enum { SMBD_MOST = 64, DIRECTORY = 32 };

struct smb {
    int child;
};

/* ---- the child ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

/* The next connection's descriptor; -1: the relay is gone. */
static int next_connection(void)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte;
    struct iovec data = { &byte, 1 };
    struct msghdr msg = { .msg_iov = &data,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof control.bytes };
    ssize_t n;
    int fd = -1;
    while ((n = recvmsg(STDIN_FILENO, &msg, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
    }
    struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    if (h && h->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(h), sizeof fd);
    return fd;
}

static void default_signals(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
}

__attribute__((noreturn)) static void serve(const char *dir)
{
    char config[DIRECTORY + 16];
    unsigned running = 0;
    int fd;
    snprintf(config, sizeof config, "%s/smb.conf", dir);
    while ((fd = next_connection()) >= 0) {
        while (running && waitpid(-1, NULL, WNOHANG) > 0)
            running--;
        pid_t pid = running < SMBD_MOST ? fork() : -1;
        if (pid == 0) {
            setsid(); /* an smbd that ends signals its process group */
            for (int i = 0; i <= STDERR_FILENO; i++)
                dup2(fd, i);
            default_signals();
            execl(SMBD, SMBD, "-l", dir, "-s", config, (char *)NULL);
            _exit(127);
        }
        running += pid > 0;
        close(fd);
    }
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    _exit(0);
}

static bool write_config(const char *dir, const char *share, const char *user)
{
    static const char *const places[] = { "private dir", "pid directory", "lock directory",
                                          "state directory", "cache directory" };
    char path[DIRECTORY + 16];
    snprintf(path, sizeof path, "%s/smb.conf", dir);
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    fprintf(f, "[global]\n");
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        fprintf(f, "%s = %s\n", places[i], dir);
    fprintf(f,
            "ncalrpc dir = %s/ncalrpc\nlog file = %s/log.smbd\nsmb passwd file = %s/smbpasswd\n"
            "security = user\nmap to guest = Bad User\nload printers = no\nprinting = bsd\n"
            "disable spoolss = yes\nusershare max shares = 0\n"
            "[qemu]\npath = %s\nread only = no\nguest ok = yes\nforce user = %s\n",
            dir, dir, dir, share, user);
    return fclose(f) == 0;
}

/* Does not return. */
static void be_child(const struct config *c, const struct passwd *user, int relay_end)
{
    char dir[DIRECTORY] = "/tmp/slipway-smb.XXXXXX", ok = 1;
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    dup2(relay_end, STDIN_FILENO);
    close_range(STDERR_FILENO + 1, ~0u, 0);
    bool good =
        !c->user || (!setgroups(0, NULL) && !setresgid(user->pw_gid, user->pw_gid, user->pw_gid) &&
                     !setresuid(user->pw_uid, user->pw_uid, user->pw_uid));
    good = good && !access(c->smb_share, R_OK | X_OK) && mkdtemp(dir);
    if (!good || !write_config(dir, c->smb_share, user->pw_name) ||
        write(STDIN_FILENO, &ok, 1) != 1)
        _exit(1);
    serve(dir);
}

/* ---- the relay's side ---- */

struct smb *smb_start(const struct config *c, struct error *err)
{
    int ends[2];
    char ok = 0;
    const struct passwd *user = c->user ? getpwnam(c->user) : getpwuid(geteuid());
    if (access(SMBD, X_OK)) {
        error_set(err, "smb-share: there is no %s", SMBD);
        return NULL;
    }
    struct smb *s = calloc(1, sizeof *s);
    if (!s || !user || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
        error_set(err, "smb-share: %s", user ? strerror(errno) : "who am I?");
        free(s);
        return NULL;
    }
    pid_t pid = fork();
    if (pid == 0)
        be_child(c, user, ends[1]);
    close(ends[1]);
    s->child = ends[0];
    if (pid > 0 && read(s->child, &ok, 1) == 1 && ok)
        return s;
    error_set(err, "smb-share: '%s' can't be served: it isn't readable, or /tmp isn't writable",
              c->smb_share);
    smb_stop(s);
    return NULL;
}

/* A connection with oneself. */
static bool tcp_pair(int fd[2])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
                       own = { 0 }, peer = { 0 };
    socklen_t len = sizeof at, own_len = sizeof own, peer_len = sizeof peer;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    fd[0] = fd[1] = -1;
    if (listener >= 0 && !bind(listener, (struct sockaddr *)&at, len) && !listen(listener, 1) &&
        !getsockname(listener, (struct sockaddr *)&at, &len) &&
        (fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) >= 0 &&
        (!connect(fd[0], (struct sockaddr *)&at, len) || errno == EINPROGRESS))
        fd[1] = accept4(listener, (struct sockaddr *)&peer, &peer_len, SOCK_CLOEXEC);
    if (listener >= 0)
        close(listener);
    return fd[1] >= 0 && !getsockname(fd[0], (struct sockaddr *)&own, &own_len) &&
           own.sin_port == peer.sin_port;
}

static void close_all(int fd[2])
{
    for (int i = 0; i < 2; i++)
        if (fd[i] >= 0)
            close(fd[i]);
}

int smb_connect(struct smb *s)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { { 0 } };
    char byte = 0;
    struct iovec data = { &byte, 1 };
    struct msghdr msg = { .msg_iov = &data,
                          .msg_iovlen = 1,
                          .msg_control = control.bytes,
                          .msg_controllen = sizeof control.bytes };
    int fd[2];
    if (!tcp_pair(fd)) {
        close_all(fd);
        return -EMFILE;
    }
    struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &fd[1], sizeof(int));
    if (sendmsg(s->child, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) {
        close_all(fd);
        return -ECONNREFUSED;
    }
    close(fd[1]);
    return fd[0];
}

void smb_stop(struct smb *s)
{
    if (s)
        close(s->child);
    free(s);
}
