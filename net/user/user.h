/*
 * -netdev user: the user-mode network (user.c).
 */
#ifndef SLIPWAY_USER_H
#define SLIPWAY_USER_H

extern const struct netdev_class netdev_user;

#endif
