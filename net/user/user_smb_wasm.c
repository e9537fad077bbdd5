/*
 * smb= needs a program of the host, which there is none here.
 */
#include "net/user/user_impl.h"

bool user_smb_start(struct user_net *u, const char *dir, struct in_addr server, bool given,
                    struct error *err)
{
    (void)u, (void)dir, (void)server, (void)given;
    return error_set(err, "smb isn't available here: it needs the host's smbd");
}

void user_smb_stop(struct user_net *u)
{
    (void)u;
}
