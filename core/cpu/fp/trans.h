/*
 * The x87's transcendental functions (trans.c): f80 in, f80 out, rounded by FCW.RC and never by
 * FCW.PC, with all special cases. SDM vol. 1, 8.3.8 to 8.3.11.
 */
#ifndef SLIPWAY_FP_TRANS_H
#define SLIPWAY_FP_TRANS_H

#include "cpu/fp/fp.h"

/* Sine, cosine, tangent. False: |a| >= 2^63, nothing was computed (C2). Results that aren't wanted
 * may be NULL. */
bool fp_trig(struct fpenv *e, struct fpnum a, struct fpnum *sine, struct fpnum *cosine,
             struct fpnum *tangent);
struct fpnum fp_2xm1(struct fpenv *e, struct fpnum a);
struct fpnum fp_yl2x(struct fpenv *e, struct fpnum y, struct fpnum x);
struct fpnum fp_yl2xp1(struct fpenv *e, struct fpnum y, struct fpnum x);
/* The angle of the point (x, y), -pi to pi. */
struct fpnum fp_atan2(struct fpenv *e, struct fpnum y, struct fpnum x);

#endif
