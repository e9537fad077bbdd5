/*
 * smb=DIR: the host's smbd serves DIR to the guest as the share "qemu", at ports 139 and 445 of the
 * server's address. One smbd a connection, which gets the connection as its standard input and
 * all its files (configuration, databases, log) in a directory of its own, removed when the netdev
 * goes.
 */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <ftw.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/user/user_impl.h"

#define SMBD "/usr/sbin/smbd"

static bool write_config(const char *dir, const char *share, struct error *err)
{
    char path[256];
    const struct passwd *user = getpwuid(geteuid());
    snprintf(path, sizeof path, "%s/smb.conf", dir);
    FILE *f = user ? fopen(path, "w") : NULL;
    if (!f)
        return error_set(err, "could not create samba server configuration file '%s'. %s", path,
                         user ? strerror(errno) : "No user");
    fprintf(f, "[global]\n");
    static const char *const directories[] = { "private dir",     "pid directory",
                                               "lock directory",  "state directory",
                                               "cache directory", "ncalrpc dir" };
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        fprintf(f, "%s=%s%s\n", directories[i], dir, i == 5 ? "/ncalrpc" : "");
    fprintf(f,
            "log file=%s/log.smbd\nsmb passwd file=%s/smbpasswd\nsecurity = user\n"
            "map to guest = Bad User\nload printers = no\nprinting = bsd\ndisable spoolss = yes\n"
            "usershare max shares = 0\n"
            "[qemu]\npath=%s\nread only=no\nguest ok=yes\nforce user=%s\n",
            dir, dir, share, user->pw_name);
    if (fclose(f) != 0)
        return error_set(err, "could not create samba server configuration file '%s'. %s", path,
                         strerror(errno));
    return true;
}

bool user_smb_start(struct user_net *u, const char *share, struct in_addr server, bool given,
                    struct error *err)
{
    char dir[] = "/tmp/slipway-smb.XXXXXX", command[256];
    if (access(SMBD, X_OK))
        return error_set(err, "Could not find '%s', please install it", SMBD);
    if (access(share, R_OK | X_OK))
        return error_set(err, "Error accessing shared directory '%s': %s", share, strerror(errno));
    if (strpbrk(share, "\n;#") || *share != '/')
        return error_set(err, "Shared directory '%s' must be an absolute path without ; and #",
                         share);
    if (!mkdtemp(dir) || !(u->smb_dir = strdup(dir)))
        return error_set(err, "could not create samba server dir '%s': %s", dir, strerror(errno));
    if (!write_config(dir, share, err)) {
        user_smb_stop(u);
        return false;
    }
    snprintf(command, sizeof command, "%s -l %s -s %s/smb.conf", SMBD, dir, dir);
    struct user_transport *before;
    Slirp *slirp = user_stack_enter(u->stack, &before);
    int status = slirp_add_exec(slirp, command, &server, 139);
    if (status == 0)
        status = slirp_add_exec(slirp, command, &server, 445);
    user_stack_leave(u->stack, before);
    if (status < 0) {
        user_smb_stop(u);
        return error_set(err, given ? "Conflicting/invalid smbserver address"
                                    : "Conflicting/invalid smb address");
    }
    return true;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void user_smb_stop(struct user_net *u)
{
    if (u->smb_dir)
        nftw(u->smb_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(u->smb_dir);
    u->smb_dir = NULL;
}
