/*
 * Included before every source file of libslirp (-include): turns its socket calls into calls of
 * sockets.h, where a number stands for a host socket or for a channel of another transport. The
 * system's headers come first, so that only the calls are renamed and not the declarations.
 *
 * close() is both: tftp.c closes files with it. user_close() tells the two apart by the number.
 */
#ifndef SLIPWAY_REDIRECT_H
#define SLIPWAY_REDIRECT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "net/user/sockets.h"

#define socket(domain, type, protocol)       user_socket(domain, type, protocol)
#define bind(s, addr, len)                   user_bind(s, addr, len)
#define connect(s, addr, len)                user_connect(s, addr, len)
#define listen(s, backlog)                   user_listen(s, backlog)
#define accept(s, addr, len)                 user_accept(s, addr, len)
#define shutdown(s, how)                     user_shutdown(s, how)
#define send(s, buf, len, flags)             user_sendto(s, buf, len, flags, NULL, 0)
#define sendto(s, buf, len, flags, addr, al) user_sendto(s, buf, len, flags, addr, al)
#define recv(s, buf, len, flags)             user_recvfrom(s, buf, len, flags, NULL, NULL)
#define recvfrom(s, buf, len, fl, addr, al)  user_recvfrom(s, buf, len, fl, addr, al)
#define recvmsg(s, msg, flags)               user_recvmsg(s, msg, flags)
#define getsockname(s, addr, len)            user_getsockname(s, addr, len)
#define getpeername(s, addr, len)            user_getpeername(s, addr, len)
#define setsockopt(s, level, name, val, len) user_setsockopt(s, level, name, val, len)
#define getsockopt(s, level, name, val, len) user_getsockopt(s, level, name, val, len)
#define ioctl(s, request, arg)               user_available(s, arg) /* FIONREAD is the only one */
#define fcntl(s, ...)                        (0)                    /* channels never block */
#define close(s)                             user_close(s)

/* Only debugging output uses the text. */
#define getnameinfo(addr, len, host, hl, serv, sl, flags) (*(host) = *(serv) = 0)

/* if.c (patch 06): has the guest's side room? stack.c */
int user_slirp_can_send(void *opaque);
/* Patch 09: is the frame that is being taken in one whose checksum was left to us? */
int user_slirp_trusts_input(void *opaque);
/* Patch 11: how many segments may one packet hold? And: what is sent next is to be cut into
 * segments of @size (0: it isn't). */
int user_slirp_segments(void *opaque, int family);
void user_slirp_cut(void *opaque, int size);

#endif
