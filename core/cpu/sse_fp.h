/* What the files of SSE floating-point instructions share. */
#ifndef SLIPWAY_SSE_FP_H
#define SLIPWAY_SSE_FP_H

#include "cpu/fp/fp.h"

/* RCPPS, RSQRTPS of one f32 (ops_sse_approx.c). */
uint32_t sse_rcp(uint32_t a);
uint32_t sse_rsqrt(uint32_t a);

#endif
