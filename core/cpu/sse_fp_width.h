/*
 * One lane of SSE floating-point arithmetic. Included twice by ops_sse_fp.c, with WIDTH 32 and 64;
 * names get the width as a suffix.
 *
 * Every operation exists twice: lane_exact() through fp/ with all exceptions, and lane_fast() on
 * the host's arithmetic. The fast one is right where host and guest can't differ: operands that are
 * zero or normal, a result that is normal and not the smallest (so it can't have been tiny),
 * rounding to nearest, and the precision exception masked and its sticky flag set already, so that
 * nobody can ask whether the result was exact.
 */
#define CAT_(a, b) a##b
#define CAT(a, b)  CAT_(a, b)
#define L(name)    CAT(name, WIDTH)
#if WIDTH == 32
#define UINT uint32_t
#define REAL float
#define FRAC 23
#define SQRT sqrtf
#else
#define UINT uint64_t
#define REAL double
#define FRAC 52
#define SQRT sqrt
#endif
#define SIGN_BIT     ((UINT)1 << (WIDTH - 1))
#define INF_BITS     ((SIGN_BIT - 1) >> FRAC << FRAC)
#define MIN_NORMAL   ((UINT)1 << FRAC)
#define MAGNITUDE(v) ((UINT)((v) & ~SIGN_BIT))

static inline REAL L(real)(UINT v)
{
    REAL r;
    memcpy(&r, &v, sizeof(r));
    return r;
}
static inline UINT L(bits)(REAL v)
{
    UINT r;
    memcpy(&r, &v, sizeof(r));
    return r;
}
static inline bool L(is_denormal)(UINT v)
{
    return (UINT)(MAGNITUDE(v) - 1) < MIN_NORMAL - 1;
}
static inline bool L(is_nan)(UINT v)
{
    return MAGNITUDE(v) > INF_BITS;
}
/* Zero or a normal number. */
static inline bool L(is_plain)(UINT v)
{
    return MAGNITUDE(v) == 0 || (UINT)(MAGNITUDE(v) - MIN_NORMAL) < INF_BITS - MIN_NORMAL;
}
/* A normal number above the smallest. */
static inline bool L(is_safe)(UINT v)
{
    return (UINT)(MAGNITUDE(v) - MIN_NORMAL - 1) < INF_BITS - MIN_NORMAL - 1;
}

static inline bool L(lane_fast)(enum arith op, UINT a, UINT b, UINT *r)
{
    if (unlikely(L(is_denormal)(a) || L(is_denormal)(b)))
        return false;
    REAL x = L(real)(a), y = L(real)(b);
    switch (op) {
    case ADD: x += y; break;
    case SUB: x -= y; break;
    case MUL: x *= y; break;
    case DIV: x /= y; break;
    case SQRT_: x = SQRT(y); break;
    case MIN:
    case MAX: *r = (op == MIN ? x < y : x > y) ? a : b; return !L(is_nan)(a) && !L(is_nan)(b);
    }
    *r = L(bits)(x);
    if (likely(L(is_safe)(*r)))
        return true;
    /* A zero is exact if it is a sum's, or an operand's. */
    if (MAGNITUDE(*r) != 0)
        return false;
    return op == ADD || op == SUB || (op != SQRT_ && MAGNITUDE(a) == 0) ||
           (op != DIV && MAGNITUDE(b) == 0);
}

static UINT L(lane_exact)(enum arith op, struct fpenv *e, UINT a, UINT b)
{
    const struct fpfmt *f = &L(fp_f);
    struct fpnum x = L(fp_from_f)(e, a), y = L(fp_from_f)(e, b), r;
    switch (op) {
    case ADD: r = fp_add(e, x, y, f); break;
    case SUB: r = fp_sub(e, x, y, f); break;
    case MUL: r = fp_mul(e, x, y, f); break;
    case DIV: r = fp_div(e, x, y, f); break;
    case SQRT_: r = fp_sqrt(e, y, f); break;
    default: { /* MIN, MAX: the second operand unless the first is strictly less, greater */
        bool first = fp_compare(e, x, y, false) == (op == MIN ? FP_LESS : FP_GREATER);
        UINT v = first ? a : b;
        return (first ? x : y).cls == CLS_ZERO ? v & SIGN_BIT : v;
    }
    }
    return L(fp_to_f)(r);
}

/* @fast: may_be_fast(), or MIN or MAX. */
static inline UINT L(lane)(enum arith op, bool fast, struct fpenv *e, UINT a, UINT b)
{
    UINT r;
    if (likely(fast) && likely(L(lane_fast)(op, a, b, &r)))
        return r;
    return L(lane_exact)(op, e, a, b);
}

/* CMPccxx: all ones or zero. Predicates 1, 2, 5 and 6 signal quiet NaNs too. */
static inline UINT L(compare)(struct fpenv *e, unsigned predicate, UINT a, UINT b)
{
    bool r;
    if (L(is_plain)(a) && L(is_plain)(b)) {
        REAL x = L(real)(a), y = L(real)(b);
        switch (predicate & 3) {
        case 0: r = x == y; break;
        case 1: r = x < y; break;
        case 2: r = x <= y; break;
        default: r = false; break;
        }
    } else {
        bool quiet = (predicate & 3) == 0 || (predicate & 3) == 3;
        enum fp_relation rel = fp_compare(e, L(fp_from_f)(e, a), L(fp_from_f)(e, b), quiet);
        switch (predicate & 3) {
        case 0: r = rel == FP_EQUAL; break;
        case 1: r = rel == FP_LESS; break;
        case 2: r = rel == FP_LESS || rel == FP_EQUAL; break;
        default: r = rel == FP_UNORDERED; break;
        }
    }
    return -(UINT)(r != (predicate >> 2 & 1));
}

/* ROUNDxx: bits 0-1 of @imm are the rounding, unless bit 2 takes MXCSR's; bit 3 silences precision.
 */
static inline UINT L(round_integral)(struct fpenv *e, unsigned imm, UINT a)
{
    struct fpenv own = *e;
    if (!(imm & 4))
        own.rc = imm & 3;
    struct fpnum x = L(fp_from_f)(e, a);
    x.denormal = false;
    own.flags = 0;
    x = fp_round_integral(&own, x);
    e->flags |= own.flags & (imm & 8 ? ~FPX_P : FPX_ALL);
    return L(fp_to_f)(x);
}

/* To a signed integer of @bits; @truncate instead of rounding. */
static inline int64_t L(to_int)(struct fpenv *e, bool fast, UINT a, unsigned bits, bool truncate)
{
    REAL x = L(real)(a), limit = bits == 32 ? (REAL)0x1p31 : (REAL)0x1p63;
    if (truncate && fast && L(is_plain)(a) && x < limit && x > -limit)
        return (int64_t)x;
    uint8_t rc = e->rc;
    if (truncate)
        e->rc = FP_TRUNC;
    int64_t r = fp_to_int(e, L(fp_from_f)(e, a), bits);
    e->rc = rc;
    return r;
}

static inline UINT L(from_int)(struct fpenv *e, bool fast, int64_t v)
{
    if (fast)
        return L(bits)((REAL)v);
    struct fpnum a = fp_from_i64(v);
    return L(fp_to_f)(fp_convert(e, a, &L(fp_f), false));
}

#undef L
#undef UINT
#undef REAL
#undef FRAC
#undef SQRT
#undef SIGN_BIT
#undef INF_BITS
#undef MIN_NORMAL
#undef MAGNITUDE
#undef WIDTH
