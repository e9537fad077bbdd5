/*
 * WebAssembly's binary format: opcodes, number encodings and the assembly of a module. Knows
 * nothing of the guest. Specification: WebAssembly core 2.0 with tail calls, chapter 5.
 *
 * A struct wbuf grows as bytes are added; running out of memory sets `failed`, and whoever builds
 * something looks at that once at the end.
 */
#ifndef SLIPWAY_JIT_WASM_H
#define SLIPWAY_JIT_WASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wbuf {
    uint8_t *data;
    size_t len, cap;
    bool failed;
};

void wb_free(struct wbuf *b);
void wb_reset(struct wbuf *b); /* empties it, keeps the memory */
void wb_bytes(struct wbuf *b, const void *p, size_t len);
void wb_u8(struct wbuf *b, uint8_t v);
void wb_u32(struct wbuf *b, uint32_t v); /* unsigned LEB128 */
/* The same in five bytes, which wb_patch() can change later. */
void wb_u32_wide(struct wbuf *b, uint32_t v);
void wb_patch(struct wbuf *b, size_t at, uint32_t v);
void wb_s64(struct wbuf *b, int64_t v); /* signed LEB128, also for i32 constants */

enum wasm_type {
    W_I32 = 0x7f,
    W_I64 = 0x7e,
    W_F32 = 0x7d,
    W_F64 = 0x7c,
    W_V128 = 0x7b,
    W_VOID = 0x40, /* a block without result */
};

enum wasm_op {
    W_UNREACHABLE = 0x00,
    W_BLOCK = 0x02,
    W_LOOP = 0x03,
    W_IF = 0x04,
    W_ELSE = 0x05,
    W_END = 0x0b,
    W_BR = 0x0c,
    W_BR_IF = 0x0d,
    W_BR_TABLE = 0x0e,
    W_RETURN = 0x0f,
    W_CALL = 0x10,
    W_CALL_INDIRECT = 0x11,
    W_RETURN_CALL = 0x12,
    W_RETURN_CALL_INDIRECT = 0x13,
    W_DROP = 0x1a,
    W_SELECT = 0x1b,
    W_LOCAL_GET = 0x20,
    W_LOCAL_SET = 0x21,
    W_LOCAL_TEE = 0x22,

    W_I32_LOAD = 0x28,
    W_I64_LOAD = 0x29,
    W_F32_LOAD = 0x2a,
    W_F64_LOAD = 0x2b,
    W_I32_LOAD8_S = 0x2c,
    W_I32_LOAD8_U = 0x2d,
    W_I32_LOAD16_S = 0x2e,
    W_I32_LOAD16_U = 0x2f,
    W_I64_LOAD8_S = 0x30,
    W_I64_LOAD8_U = 0x31,
    W_I64_LOAD16_S = 0x32,
    W_I64_LOAD16_U = 0x33,
    W_I64_LOAD32_S = 0x34,
    W_I64_LOAD32_U = 0x35,
    W_I32_STORE = 0x36,
    W_I64_STORE = 0x37,
    W_F32_STORE = 0x38,
    W_F64_STORE = 0x39,
    W_I32_STORE8 = 0x3a,
    W_I32_STORE16 = 0x3b,
    W_I64_STORE8 = 0x3c,
    W_I64_STORE16 = 0x3d,
    W_I64_STORE32 = 0x3e,

    W_I32_CONST = 0x41,
    W_I64_CONST = 0x42,
    W_F32_CONST = 0x43,
    W_F64_CONST = 0x44,

    W_I32_EQZ = 0x45,
    W_I32_EQ,
    W_I32_NE,
    W_I32_LT_S,
    W_I32_LT_U,
    W_I32_GT_S,
    W_I32_GT_U,
    W_I32_LE_S,
    W_I32_LE_U,
    W_I32_GE_S,
    W_I32_GE_U,
    W_I64_EQZ = 0x50,
    W_I64_EQ,
    W_I64_NE,
    W_I64_LT_S,
    W_I64_LT_U,
    W_I64_GT_S,
    W_I64_GT_U,
    W_I64_LE_S,
    W_I64_LE_U,
    W_I64_GE_S,
    W_I64_GE_U,
    W_F32_EQ = 0x5b,
    W_F32_NE,
    W_F32_LT,
    W_F32_GT,
    W_F32_LE,
    W_F32_GE,
    W_F64_EQ = 0x61,
    W_F64_NE,
    W_F64_LT,
    W_F64_GT,
    W_F64_LE,
    W_F64_GE,
    W_I32_CLZ = 0x67,
    W_I32_CTZ,
    W_I32_POPCNT,
    W_I32_ADD,
    W_I32_SUB,
    W_I32_MUL,
    W_I32_DIV_S,
    W_I32_DIV_U,
    W_I32_REM_S,
    W_I32_REM_U,
    W_I32_AND,
    W_I32_OR,
    W_I32_XOR,
    W_I32_SHL,
    W_I32_SHR_S,
    W_I32_SHR_U,
    W_I32_ROTL,
    W_I32_ROTR,
    W_I64_CLZ = 0x79,
    W_I64_CTZ,
    W_I64_POPCNT,
    W_I64_ADD,
    W_I64_SUB,
    W_I64_MUL,
    W_I64_DIV_S,
    W_I64_DIV_U,
    W_I64_REM_S,
    W_I64_REM_U,
    W_I64_AND,
    W_I64_OR,
    W_I64_XOR,
    W_I64_SHL,
    W_I64_SHR_S,
    W_I64_SHR_U,
    W_I64_ROTL,
    W_I64_ROTR,
    W_F32_ABS = 0x8b,
    W_F32_NEG,
    W_F32_CEIL,
    W_F32_FLOOR,
    W_F32_TRUNC,
    W_F32_NEAREST,
    W_F32_SQRT,
    W_F32_ADD,
    W_F32_SUB,
    W_F32_MUL,
    W_F32_DIV,
    W_F32_MIN,
    W_F32_MAX,
    W_F32_COPYSIGN,
    W_F64_ABS = 0x99,
    W_F64_NEG,
    W_F64_CEIL,
    W_F64_FLOOR,
    W_F64_TRUNC,
    W_F64_NEAREST,
    W_F64_SQRT,
    W_F64_ADD,
    W_F64_SUB,
    W_F64_MUL,
    W_F64_DIV,
    W_F64_MIN,
    W_F64_MAX,
    W_F64_COPYSIGN,
    W_I32_WRAP_I64 = 0xa7,
    W_I32_TRUNC_F32_S = 0xa8,
    W_I32_TRUNC_F64_S = 0xaa,
    W_I64_EXTEND_I32_S = 0xac,
    W_I64_EXTEND_I32_U = 0xad,
    W_F32_CONVERT_I32_S = 0xb2,
    W_F32_CONVERT_I64_S = 0xb4,
    W_F32_DEMOTE_F64 = 0xb6,
    W_F64_CONVERT_I32_S = 0xb7,
    W_F64_CONVERT_I64_S = 0xb9,
    W_F64_PROMOTE_F32 = 0xbb,
    W_I32_REINTERPRET_F32 = 0xbc,
    W_I64_REINTERPRET_F64 = 0xbd,
    W_F32_REINTERPRET_I32 = 0xbe,
    W_F64_REINTERPRET_I64 = 0xbf,
    W_I32_EXTEND8_S = 0xc0,
    W_I32_EXTEND16_S = 0xc1,
    W_I64_EXTEND8_S = 0xc2,
    W_I64_EXTEND16_S = 0xc3,
    W_I64_EXTEND32_S = 0xc4,
    W_PREFIX_MISC = 0xfc, /* saturating truncation 0-7, memory.copy 10, memory.fill 11 */
    W_PREFIX_SIMD = 0xfd,
};

/* Function types that modules of the JIT use, by index. */
enum wasm_sig {
    SIG_REGION,  /* (i64 rip, i32 depth) -> i32 */
    SIG_READ,    /* (i64 la, i32 point, i32 info) -> i64 */
    SIG_WRITE,   /* (i64 la, i64 value, i32 point, i32 info) -> i32; also x87 */
    SIG_HANDLER, /* (i32 cpu, i32 insn) -> i32 */
    SIG_CHECK,   /* (i64 ea, i32 point, i32 info) -> i64; also 128-bit reads */
    SIG_VOID,    /* () */
    SIG_I64_I64, /* (i64, i64) -> i64 */
    SIG_COUNT
};

/* A function: encoded locals and body. @hints are offsets of branches in it
 * that are seldom taken, with HINT_LIKELY nearly always:
 * engines that look at the section metadata.code.branch_hint (WebAssembly's branch hinting
 * proposal) move what they lead to out of the way. */
enum { HINT_LIKELY = 1 << 30 };
struct wasm_code {
    const struct wbuf *body;
    const uint32_t *hints; /* ascending */
    unsigned hint_count;
};

/* A module that imports memory "e"."m" and @import_count functions "e"."0", "e"."1", ... of the
 * signatures @imports (enum wasm_sig), or if there are none the table "e"."t", and exports its
 * functions, all of SIG_REGION, as "0", "1", ... Functions that come from WebAssembly are cheap to
 * import and to call; for other ones V8 compiles a wrapper by signature, with each module anew (as
 * of version 11), which took longer than all else. */
void wasm_module(struct wbuf *out, const uint8_t *imports, unsigned import_count,
                 const struct wasm_code *codes, unsigned count);

#endif
