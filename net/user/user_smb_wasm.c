/*
 * smb= here is the directory that a relay shares (its smb-share=): there is no smbd to start. For
 * libslirp it is a program at ports 139 and 445, which sockets_relay.c makes a channel of.
 */
#include <string.h>

#include "net/user/sockets_relay.h"
#include "net/user/user_impl.h"

bool user_smb_start(struct user_net *u, const char *dir, struct in_addr server, bool given,
                    struct error *err)
{
    struct user_transport *before;
    if (!u->relay)
        return error_set(err, "smb isn't available here: it needs the host's smbd, or relay=");
    if (strcmp(dir, "on"))
        return error_set(err, "smb=%s: with relay= the directory is the relay's: smb=on", dir);
    Slirp *slirp = user_stack_enter(u->stack, &before);
    int status = slirp_add_exec(slirp, USER_RELAY_SMB, &server, 139);
    if (status == 0)
        status = slirp_add_exec(slirp, USER_RELAY_SMB, &server, 445);
    user_stack_leave(u->stack, before);
    return status == 0 || error_set(err, given ? "Conflicting/invalid smbserver address"
                                               : "Conflicting/invalid smb address");
}

void user_smb_stop(struct user_net *u)
{
    (void)u;
}
