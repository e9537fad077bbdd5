/*
 * Privileges go once all that needs them is open: listening sockets, TAPs, keys, certificates, the
 * directory of static files. What stays is what any user may do; binding a port below 1024 for a
 * client (hostfwd) is the one thing that is lost by it, and net.ipv4.ip_unprivileged_port_start
 * gives it back.
 *
 * The system calls that are left were found by tests and by reading: files to read, sockets, the
 * loop's, memory. Not among them: running programs, mounting, tracing, making or changing files. A
 * call that isn't allowed fails with EPERM, so a library that tries something new goes without it.
 */
#define _GNU_SOURCE
#include "relay/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "relay/log.h"

static const char *const allowed[] = {
    /* the loop */
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "eventfd2",
    "pipe2",
    "timerfd_create",
    "timerfd_settime",
    "clock_gettime",
    "clock_getres",
    "clock_nanosleep",
    "nanosleep",
    "gettimeofday",
    "time",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "restart_syscall",
    /* sockets */
    "socket",
    "bind",
    "listen",
    "accept",
    "accept4",
    "connect",
    "getsockname",
    "getpeername",
    "setsockopt",
    "getsockopt",
    "shutdown",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "sendmmsg",
    "recvmmsg",
    "splice",
    "ioctl",
    /* files and descriptors */
    "read",
    "readv",
    "pread64",
    "write",
    "writev",
    "close",
    "openat2",
    "fstat",
    "newfstatat",
    "stat",
    "lstat",
    "statx",
    "lseek",
    "fcntl",
    "dup",
    "dup2",
    "dup3",
    "getdents64",
    "readlink",
    "readlinkat",
    "access",
    "faccessat",
    "faccessat2",
    "fadvise64",
    /* memory, threads (OpenSSL, libuv), the end */
    "brk",
    "mmap",
    "munmap",
    "mremap",
    "mprotect",
    "madvise",
    "futex",
    "set_robust_list",
    "rseq",
    "sched_yield",
    "sched_getaffinity",
    "getrandom",
    "exit",
    "exit_group",
    "getpid",
    "gettid",
    "tgkill",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "uname",
    "sysinfo",
    "getrlimit",
    "prlimit64",
    "prctl",
    "sigaltstack",
};

static const char *const for_children[] = { "wait4" };

static bool allow(scmp_filter_ctx f, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);
        if (number >= 0 && seccomp_rule_add(f, SCMP_ACT_ALLOW, number, 0))
            return false;
    }
    return true;
}

static bool filter_calls(bool children, struct error *err)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    bool good = f && allow(f, allowed, sizeof allowed / sizeof *allowed);
    /* Files are opened to read only: the configuration, for SIGHUP, and what c-ares reads. */
    good =
        good && !seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                                  SCMP_A2(SCMP_CMP_MASKED_EQ, 3 /* O_ACCMODE */, 0 /* O_RDONLY */));
    if (good && children)
        good = allow(f, for_children, sizeof for_children / sizeof *for_children);
    good = good && !seccomp_load(f);
    seccomp_release(f);
    return good || error_set(err, "seccomp: not possible here (seccomp = off)");
}

static bool change_user(const struct config *c, struct error *err)
{
    struct passwd *user = c->user ? getpwnam(c->user) : NULL;
    struct group *group = c->group ? getgrnam(c->group) : NULL;
    if (c->user && !user)
        return error_set(err, "user: '%s': there is no such user", c->user);
    if (c->group && !group)
        return error_set(err, "group: '%s': there is no such group", c->group);
    uid_t uid = user ? user->pw_uid : getuid();
    gid_t gid = group ? group->gr_gid : user ? user->pw_gid : getgid();
    if (c->chroot_dir && (chroot(c->chroot_dir) || chdir("/")))
        return error_set(err, "chroot: '%s': %s", c->chroot_dir, strerror(errno));
    if ((c->user || c->group) && (setgroups(0, NULL) || setresgid(gid, gid, gid)))
        return error_set(err, "group: %s", strerror(errno));
    if (c->user && setresuid(uid, uid, uid))
        return error_set(err, "user: %s", strerror(errno));
    return true;
}

static bool drop_capabilities(struct error *err)
{
    cap_t none = cap_init();
    bool good = none && !cap_set_proc(none);
    cap_free(none);
    return good || error_set(err, "capabilities: %s", strerror(errno));
}

bool privileges_drop(const struct config *c, bool children, struct error *err)
{
    if (!change_user(c, err))
        return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        return error_set(err, "no_new_privs: %s", strerror(errno));
    if (!drop_capabilities(err))
        return false;
    return !c->seccomp || filter_calls(children, err);
}
