/*
 * Integer expressions of the human monitor: numbers, 'c', $registers, ( ), unary + - ~, * / %, + -,
 * & | ^, in that order of binding; 64 bits, wrapping. Recursion is bounded by the depth of
 * parentheses and signs.
 */
#include <string.h>

#include "cpu/flags.h"
#include "monitor/monitor_impl.h"

#define MAX_DEPTH 100

struct scanner {
    struct machine *m;
    const char *p;
    int depth;
    struct error *err;
};

static bool logic(struct scanner *x, uint64_t *v);

static void skip_space(struct scanner *x)
{
    while (*x->p == ' ' || *x->p == '\t')
        x->p++;
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

static bool reg_value(struct machine *m, const char *name, uint64_t *v)
{
    static const char gpr[16][4] = { "ax", "cx", "dx",  "bx",  "sp",  "bp",  "si",  "di",
                                     "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" };
    static const char seg[6][3] = { "es", "cs", "ss", "ds", "fs", "gs" };
    const struct cpu *c = m->cpus[0];
    if (!c)
        return false;
    for (int i = 0; i < 16; i++) {
        bool wide = name[0] == 'r' || i >= 8;
        if (i < 8 ? (name[0] == 'e' || name[0] == 'r') && !strcmp(name + 1, gpr[i])
                  : !strcmp(name, gpr[i])) {
            *v = wide ? c->gpr[i] : (uint32_t)c->gpr[i];
            return true;
        }
    }
    for (int i = 0; i < 6; i++)
        if (!strncmp(name, seg[i], 2) &&
            (!name[2] || !strcmp(name + 2, ".base") || !strcmp(name + 2, ".limit"))) {
            *v = !name[2] ? c->seg[i].sel : name[3] == 'b' ? c->seg[i].base : c->seg[i].limit;
            return true;
        }
    const struct {
        const char *name;
        uint64_t value;
    } others[] = {
        { "eip", c->rip }, { "rip", c->rip },   { "pc", c->rip },
        { "cr0", c->cr0 }, { "cr2", c->cr2 },   { "cr3", c->cr3 },
        { "cr4", c->cr4 }, { "efer", c->efer }, { "eflags", c->rflags | flags_arith(c) }
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (!strcmp(name, others[i].name)) {
            *v = others[i].value;
            return true;
        }
    return false;
}

static bool number(struct scanner *x, uint64_t *v)
{
    unsigned base = 10;
    uint64_t r = 0;
    if (x->p[0] == '0' && (x->p[1] == 'x' || x->p[1] == 'X')) {
        base = 16;
        x->p += 2;
    } else if (x->p[0] == '0') {
        base = 8;
    }
    const char *start = x->p;
    for (;; x->p++) {
        char c = *x->p;
        unsigned d = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                            : 99;
        if (d >= base)
            break;
        if (__builtin_mul_overflow(r, (uint64_t)base, &r) ||
            __builtin_add_overflow(r, (uint64_t)d, &r))
            return error_set(x->err, "number too large");
    }
    if (x->p == start)
        return error_set(x->err, "invalid char in expression");
    *v = r;
    return true;
}

static bool unary(struct scanner *x, uint64_t *v)
{
    skip_space(x);
    char c = *x->p;
    if (++x->depth > MAX_DEPTH)
        return error_set(x->err, "expression is nested too deeply");
    bool ok = true;
    if (c == '+' || c == '-' || c == '~') {
        x->p++;
        ok = unary(x, v);
        if (ok)
            *v = c == '-' ? -*v : c == '~' ? ~*v : *v;
    } else if (c == '(') {
        x->p++;
        ok = logic(x, v);
        if (ok && *x->p != ')')
            ok = error_set(x->err, "')' expected");
        else if (ok)
            x->p++;
    } else if (c == '\'') {
        if (!x->p[1] || x->p[2] != '\'')
            return error_set(x->err, "missing terminating \' character");
        *v = (uint8_t)x->p[1];
        x->p += 3;
    } else if (c == '$') {
        char name[32];
        size_t n = 0;
        for (x->p++; is_name(*x->p); x->p++)
            if (n < sizeof name - 1)
                name[n++] = *x->p;
        name[n] = 0;
        ok = reg_value(x->m, name, v) || error_set(x->err, "unknown register");
    } else if (!c) {
        ok = error_set(x->err, "unexpected end of expression");
    } else {
        ok = number(x, v);
    }
    x->depth--;
    skip_space(x);
    return ok;
}

static bool product(struct scanner *x, uint64_t *v)
{
    if (!unary(x, v))
        return false;
    for (char op; (op = *x->p) == '*' || op == '/' || op == '%';) {
        uint64_t r;
        x->p++;
        if (!unary(x, &r))
            return false;
        if (op == '*') {
            *v *= r;
        } else if (!r) {
            return error_set(x->err, "division by zero");
        } else if (r == UINT64_MAX) { /* the smallest number over -1 would trap */
            *v = op == '/' ? -*v : 0;
        } else {
            *v = (uint64_t)(op == '/' ? (int64_t)*v / (int64_t)r : (int64_t)*v % (int64_t)r);
        }
    }
    return true;
}

static bool sum(struct scanner *x, uint64_t *v)
{
    if (!product(x, v))
        return false;
    for (char op; (op = *x->p) == '+' || op == '-';) {
        uint64_t r;
        x->p++;
        if (!product(x, &r))
            return false;
        *v = op == '+' ? *v + r : *v - r;
    }
    return true;
}

static bool logic(struct scanner *x, uint64_t *v)
{
    if (!sum(x, v))
        return false;
    for (char op; (op = *x->p) == '&' || op == '|' || op == '^';) {
        uint64_t r;
        x->p++;
        if (!sum(x, &r))
            return false;
        *v = op == '&' ? *v & r : op == '|' ? *v | r : *v ^ r;
    }
    return true;
}

bool hmp_expr(struct machine *m, const char **p, int64_t *value, struct error *err)
{
    struct scanner x = { .m = m, .p = *p, .err = err };
    uint64_t v;
    if (!logic(&x, &v))
        return false;
    *p = x.p;
    *value = (int64_t)v;
    return true;
}
