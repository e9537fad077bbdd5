/*
 * FLDENV, FNSTENV, FRSTOR, FNSAVE: the x87 environment in its four formats (SDM vol. 1, 8.1.10): 16
 * or 32 bits, protected or real mode. In 64-bit mode the 32-bit protected format is used.
 *
 * The 32-bit format is seven doublewords, the 16-bit format the same seven as words:
 *   FCW, FSW, FTW, FIP, FCS | FOP << 16, FDP, FDS
 * In real and vm86 mode instruction and data pointers are linear addresses, split over two fields,
 * and the upper one shares its field with FOP. The register image of FNSAVE follows: ST(0) first,
 * 10 bytes each.
 */
#include <string.h>

#include "cpu/mem.h"
#include "cpu/x87.h"

enum { ENV_FIELDS = 7, REGS_SIZE = 80 };

static bool real_format(const struct cpu *c)
{
    return (c->mode & (MODE_PE | MODE_VM)) != MODE_PE;
}

/* Writes or reads @size bytes, checking all of it before the first byte is written. */
static bool store_image(struct cpu *c, const struct insn *i, const uint8_t *buf, unsigned size)
{
    uint64_t la;
    if (!mem_linear(c, i->seg, insn_ea(c, i), size, ACCESS_WRITE, &la))
        return false;
    for (int pass = 0; pass < 2; pass++) {
        for (unsigned at = 0; at < size; at += 16) {
            unsigned n = size - at < 16 ? size - at : 16;
            uint64_t to = (la + at) & c->la_mask;
            if (pass == 0 ? !mem_probe_write(c, i->seg, to, n)
                          : !mem_write_slow(c, i->seg, to, buf + at, n))
                return false;
        }
    }
    return true;
}

static bool load_image(struct cpu *c, const struct insn *i, uint8_t *buf, unsigned size)
{
    uint64_t la;
    if (!mem_linear(c, i->seg, insn_ea(c, i), size, ACCESS_READ, &la))
        return false;
    for (unsigned at = 0; at < size; at += 16) {
        unsigned n = size - at < 16 ? size - at : 16;
        if (!mem_read_slow(c, i->seg, (la + at) & c->la_mask, buf + at, n))
            return false;
    }
    return true;
}

/* Stores the environment at @buf and returns its size. */
static unsigned put_env(struct cpu *c, const struct insn *i, uint8_t *buf)
{
    bool wide = i->osz != 1;
    uint32_t f[ENV_FIELDS] = { c->fcw, x87_fsw(c), x87_tag_word(c) };
    if (real_format(c)) {
        uint32_t ip = (uint32_t)c->fip + ((uint32_t)c->fcs << 4),
                 dp = (uint32_t)c->fdp + ((uint32_t)c->fds << 4);
        f[3] = ip & 0xffff;
        f[4] = (wide ? (ip >> 16) << 12 : (ip >> 4) & 0xf000) | c->fop;
        f[5] = dp & 0xffff;
        f[6] = wide ? (dp >> 16) << 12 : (dp >> 4) & 0xf000;
    } else {
        f[3] = (uint32_t)c->fip;
        f[4] = c->fcs | (uint32_t)c->fop << 16;
        f[5] = (uint32_t)c->fdp;
        f[6] = c->fds;
    }
    if (wide) {
        for (int n = 0; n < 3; n++)
            f[n] |= 0xffff0000;
        if (real_format(c)) {
            f[3] |= 0xffff0000;
            f[5] |= 0xffff0000;
        }
        f[6] |= real_format(c) ? 0 : 0xffff0000;
    }
    for (int n = 0; n < ENV_FIELDS; n++)
        memcpy(buf + n * (wide ? 4 : 2), &f[n], wide ? 4 : 2);
    return wide ? 28 : 14;
}

static void get_env(struct cpu *c, const struct insn *i, const uint8_t *buf)
{
    bool wide = i->osz != 1;
    uint32_t f[ENV_FIELDS] = { 0 };
    for (int n = 0; n < ENV_FIELDS; n++)
        memcpy(&f[n], buf + n * (wide ? 4 : 2), wide ? 4 : 2);
    unsigned tags = 0;
    for (unsigned reg = 0; reg < 8; reg++)
        tags |= (unsigned)((f[2] >> (reg * 2) & 3) != 3) << reg;
    c->ftag = (uint8_t)tags;
    if (real_format(c)) {
        c->fip = (f[3] & 0xffff) | (wide ? (f[4] >> 12 & 0xffff) << 16 : (f[4] & 0xf000) << 4);
        c->fdp = (f[5] & 0xffff) | (wide ? (f[6] >> 12 & 0xffff) << 16 : (f[6] & 0xf000) << 4);
        c->fcs = c->fds = 0;
        c->fop = f[4] & 0x7ff;
    } else {
        c->fip = f[3];
        c->fcs = (uint16_t)f[4];
        c->fdp = f[5];
        c->fds = (uint16_t)f[6];
        if (wide)
            c->fop = f[4] >> 16 & 0x7ff;
    }
    c->fcw = (f[0] & 0x1f3f) | 0x40;
    x87_set_fsw(c, (uint16_t)f[1]);
}

/* A load may unmask an exception that is pending: then FERR# goes out at once, as after an
 * operation. */
static enum exec loaded(struct cpu *c)
{
    return x87_raise_slow(c, 0);
}

enum exec op_fldenv(struct cpu *c, const struct insn *i)
{
    uint8_t image[28];
    if (!x87_check(c) || !load_image(c, i, image, i->osz != 1 ? 28 : 14))
        return EXEC_FAULT;
    get_env(c, i, image);
    return loaded(c);
}

enum exec op_fnstenv(struct cpu *c, const struct insn *i)
{
    uint8_t image[28];
    if (unlikely(c->cr0 & (CR0_EM | CR0_TS)))
        return fault_noerr(c, EXC_NM);
    unsigned size = put_env(c, i, image);
    if (!store_image(c, i, image, size))
        return EXEC_FAULT;
    x87_set_fcw(c, c->fcw | FPX_ALL);
    return EXEC_NEXT;
}

enum exec op_frstor(struct cpu *c, const struct insn *i)
{
    uint8_t image[28 + REGS_SIZE];
    unsigned env = i->osz != 1 ? 28 : 14;
    if (!x87_check(c) || !load_image(c, i, image, env + REGS_SIZE))
        return EXEC_FAULT;
    get_env(c, i, image);
    for (unsigned n = 0; n < 8; n++) {
        struct f80 *st = x87_st(c, n);
        memcpy(&st->frac, image + env + n * 10, 8);
        memcpy(&st->se, image + env + n * 10 + 8, 2);
    }
    return loaded(c);
}

enum exec op_fnsave(struct cpu *c, const struct insn *i)
{
    uint8_t image[28 + REGS_SIZE];
    if (unlikely(c->cr0 & (CR0_EM | CR0_TS)))
        return fault_noerr(c, EXC_NM);
    unsigned env = put_env(c, i, image);
    for (unsigned n = 0; n < 8; n++) {
        const struct f80 *st = x87_st(c, n);
        memcpy(image + env + n * 10, &st->frac, 8);
        memcpy(image + env + n * 10 + 8, &st->se, 2);
    }
    if (!store_image(c, i, image, env + REGS_SIZE))
        return EXEC_FAULT;
    x87_init(c);
    return EXEC_NEXT;
}
