/*
 * 8259A pair: Intel's 8259A data sheet (initialisation and operation command words) and the PIIX
 * data sheet for ELCR.
 *
 * The slave's INT is the master's IR2. Each chip keeps the level of its inputs, IRR (requests: an
 * edge latches it, a level input sets and clears it), IMR and ISR. chip_pending() finds the request
 * that would be served now: unmasked, of higher priority than everything in service (priorities
 * rotate from lowest_priority + 1), with special mask and special fully nested mode. pic_update()
 * recomputes the slave's and then the master's output after every change; only the change of level
 * is passed on.
 *
 * A request may go away between INT and INTA; the chip then answers with IR7's vector and sets no
 * ISR bit (spurious).
 */
#include "hw/i8259.h"

#include <stdio.h>

#include "hw/device.h"
#include "log.h"
#include "machine.h"
#include "memory.h"

struct chip {
    uint8_t level; /* of the inputs */
    uint8_t irr, imr, isr;
    uint8_t vector_base;
    uint8_t lowest; /* input of lowest priority, 7 after initialisation */
    uint8_t elcr;   /* 1: level-triggered input */
    uint8_t init;   /* which initialisation command word comes next (2..4), 0: none */
    bool icw4_wanted, single;
    bool auto_eoi, rotate_auto_eoi;
    bool sfnm; /* special fully nested mode */
    bool special_mask;
    bool poll;     /* the next read is a poll */
    bool read_isr; /* port 0 reads ISR rather than IRR */
    bool ltim;     /* ICW1.LTIM: all inputs level-triggered */
};

struct i8259 {
    struct device dev;
    struct chip chip[2];
    bool out; /* level of the master's INT */
    struct irq intr;
    struct mem_region io[2], elcr_io;
};

#define CHIP_FIELDS(n)                                                                             \
    FIELD_U8(struct i8259, chip[n].level, 0), FIELD_U8(struct i8259, chip[n].irr, 0),              \
        FIELD_U8(struct i8259, chip[n].imr, 0), FIELD_U8(struct i8259, chip[n].isr, 0),            \
        FIELD_U8(struct i8259, chip[n].vector_base, 0), FIELD_U8(struct i8259, chip[n].lowest, 7), \
        FIELD_U8(struct i8259, chip[n].elcr, 0), FIELD_U8(struct i8259, chip[n].init, 0),          \
        FIELD_BOOL(struct i8259, chip[n].icw4_wanted, false),                                      \
        FIELD_BOOL(struct i8259, chip[n].single, false),                                           \
        FIELD_BOOL(struct i8259, chip[n].auto_eoi, false),                                         \
        FIELD_BOOL(struct i8259, chip[n].rotate_auto_eoi, false),                                  \
        FIELD_BOOL(struct i8259, chip[n].sfnm, false),                                             \
        FIELD_BOOL(struct i8259, chip[n].special_mask, false),                                     \
        FIELD_BOOL(struct i8259, chip[n].poll, false),                                             \
        FIELD_BOOL(struct i8259, chip[n].read_isr, false),                                         \
        FIELD_BOOL(struct i8259, chip[n].ltim, false)

static const struct field i8259_fields[] = {
    CHIP_FIELDS(0),
    CHIP_FIELDS(1),
    FIELD_BOOL(struct i8259, out, false),
    FIELD_END,
};

/* Which inputs may be set to level-triggered: not the timer, keyboard, cascade, RTC and
 * coprocessor. */
static const uint8_t elcr_mask[2] = { 0xf8, 0xde };

/* ---- priorities ---- */

/* The first bit of @mask in order of priority, 8: none. */
static unsigned first_by_priority(const struct chip *c, uint8_t mask)
{
    for (unsigned i = 1; i <= 8 && mask; i++) {
        unsigned n = (c->lowest + i) & 7;
        if (mask >> n & 1)
            return n;
    }
    return 8;
}

static unsigned rank(const struct chip *c, unsigned n)
{
    return n >= 8 ? 8 : (n - c->lowest - 1) & 7;
}

/* The request that would be served now, -1: none. */
static int chip_pending(const struct chip *c, bool master)
{
    unsigned want = first_by_priority(c, c->irr & (uint8_t)~c->imr);
    if (want == 8)
        return -1;
    uint8_t in_service = c->isr;
    if (c->special_mask)
        in_service &= (uint8_t)~c->imr;
    /* A slave in service doesn't block its own higher inputs. */
    if (c->sfnm && master)
        in_service &= (uint8_t)~4;
    return rank(c, want) < rank(c, first_by_priority(c, in_service)) ? (int)want : -1;
}

static bool level_triggered(const struct chip *c, unsigned n)
{
    return c->ltim || (c->elcr >> n & 1);
}

/* An edge stays latched when the input falls again: devices may pulse their line. (The chip itself
 * wants the input high until INTA and answers with a spurious vector otherwise.) */
static void chip_input(struct chip *c, unsigned n, int level)
{
    uint8_t bit = (uint8_t)(1u << n);
    if (level_triggered(c, n)) {
        if (level)
            c->irr |= bit;
        else
            c->irr &= (uint8_t)~bit;
    } else if (level) {
        if (!(c->level & bit))
            c->irr |= bit;
    }
    if (level)
        c->level |= bit;
    else
        c->level &= (uint8_t)~bit;
}

static void pic_update(struct i8259 *s)
{
    chip_input(&s->chip[0], 2, chip_pending(&s->chip[1], false) >= 0);
    bool out = chip_pending(&s->chip[0], true) >= 0;
    if (out != s->out) {
        s->out = out;
        irq_set(&s->intr, out);
    }
}

void i8259_set_irq(struct i8259 *s, unsigned n, int level)
{
    if (n >= 16 || n == 2)
        return;
    chip_input(&s->chip[n >> 3], n & 7, level);
    pic_update(s);
}

/* ---- acknowledge ---- */

static void chip_ack(struct chip *c, unsigned n)
{
    if (!c->auto_eoi)
        c->isr |= (uint8_t)(1u << n);
    else if (c->rotate_auto_eoi)
        c->lowest = (uint8_t)n;
    /* A level input asks again for as long as it is high. */
    if (!level_triggered(c, n))
        c->irr &= (uint8_t) ~(1u << n);
}

int i8259_ack(struct i8259 *s)
{
    struct chip *master = &s->chip[0], *slave = &s->chip[1];
    int n = chip_pending(master, true), vector;
    if (n < 0) {
        vector = master->vector_base + 7;
    } else if (n == 2) {
        int k = chip_pending(slave, false);
        if (k >= 0)
            chip_ack(slave, (unsigned)k);
        vector = slave->vector_base + (k >= 0 ? k : 7);
        chip_ack(master, 2);
    } else {
        vector = master->vector_base + n;
        chip_ack(master, (unsigned)n);
    }
    /* The slave's INT drops during INTA, so that its next request is a new edge. */
    if (n == 2)
        chip_input(master, 2, 0);
    pic_update(s);
    return vector;
}

/* ---- registers ---- */

static void chip_init(struct chip *c, uint8_t icw1)
{
    uint8_t elcr = c->elcr, level = c->level;
    *c = (struct chip){ .elcr = elcr, .level = level, .lowest = 7, .init = 2 };
    c->icw4_wanted = icw1 & 1;
    c->single = icw1 & 2;
    c->ltim = icw1 & 8;
    /* Edge detection starts anew: inputs that are high now need a new edge. */
    c->irr = c->ltim ? level : level & elcr;
}

static void ocw2(struct chip *c, uint8_t v)
{
    unsigned n;
    switch (v >> 5) {
    case 0: c->rotate_auto_eoi = false; break;
    case 4: c->rotate_auto_eoi = true; break;
    case 1: /* non-specific EOI */
    case 5: /* and rotate */
        n = first_by_priority(c, c->special_mask ? c->isr & (uint8_t)~c->imr : c->isr);
        if (n < 8) {
            c->isr &= (uint8_t) ~(1u << n);
            if (v >> 5 == 5)
                c->lowest = (uint8_t)n;
        }
        break;
    case 3: c->isr &= (uint8_t) ~(1u << (v & 7)); break;
    case 7:
        c->isr &= (uint8_t) ~(1u << (v & 7));
        c->lowest = v & 7;
        break;
    case 6: c->lowest = v & 7; break;
    default: break; /* no operation */
    }
}

static void chip_write(struct i8259 *s, struct chip *c, unsigned port, uint8_t v)
{
    if (port == 0 && (v & 0x10)) {
        chip_init(c, v);
    } else if (port == 0 && (v & 8)) {
        c->poll = v & 4;
        if (v & 2)
            c->read_isr = v & 1;
        if (v & 0x40)
            c->special_mask = v & 0x20;
    } else if (port == 0) {
        ocw2(c, v);
    } else {
        switch (c->init) {
        case 2:
            c->vector_base = v & 0xf8;
            c->init = c->single ? (c->icw4_wanted ? 4 : 0) : 3;
            break;
        case 3: c->init = c->icw4_wanted ? 4 : 0; break; /* the wiring of the cascade is fixed */
        case 4:
            c->sfnm = v & 0x10;
            c->auto_eoi = v & 2;
            c->init = 0;
            break;
        default: c->imr = v;
        }
    }
    pic_update(s);
}

static uint8_t chip_read(struct i8259 *s, struct chip *c, unsigned port)
{
    if (c->poll) {
        /* Poll: an INTA cycle whose answer is data. */
        c->poll = false;
        int n = chip_pending(c, c == &s->chip[0]);
        if (n < 0)
            return 0;
        chip_ack(c, (unsigned)n);
        pic_update(s);
        return (uint8_t)(0x80 | n);
    }
    if (port == 1)
        return c->imr;
    return c->read_isr ? c->isr : c->irr;
}

static uint64_t master_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8259 *s = opaque;
    return chip_read(s, &s->chip[0], (unsigned)offset);
}

static void master_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8259 *s = opaque;
    chip_write(s, &s->chip[0], (unsigned)offset, (uint8_t)value);
}

static uint64_t slave_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8259 *s = opaque;
    return chip_read(s, &s->chip[1], (unsigned)offset);
}

static void slave_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8259 *s = opaque;
    chip_write(s, &s->chip[1], (unsigned)offset, (uint8_t)value);
}

static uint64_t elcr_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8259 *s = opaque;
    return s->chip[offset & 1].elcr;
}

static void elcr_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8259 *s = opaque;
    struct chip *c = &s->chip[offset & 1];
    c->elcr = (uint8_t)value & elcr_mask[offset & 1];
    /* Level inputs show at once. */
    c->irr = (uint8_t)((c->irr & ~c->elcr) | (c->level & c->elcr));
    pic_update(s);
}

static const struct mem_ops master_ops = { master_read, master_write, 1, 1 };
static const struct mem_ops slave_ops = { slave_read, slave_write, 1, 1 };
static const struct mem_ops elcr_ops = { elcr_read, elcr_write, 1, 1 };

/* ---- life ---- */

static void i8259_reset(struct device *d)
{
    struct i8259 *s = (struct i8259 *)d;
    irq_set(&s->intr, 0);
}

static void i8259_post_load(struct device *d)
{
    struct i8259 *s = (struct i8259 *)d;
    irq_set(&s->intr, s->out);
}

static bool i8259_realize(struct device *d, struct error *err)
{
    struct i8259 *s = (struct i8259 *)d;
    mem_region_init_io(&s->io[0], "pic", 2, &master_ops, s);
    mem_region_init_io(&s->io[1], "pic", 2, &slave_ops, s);
    mem_region_init_io(&s->elcr_io, "elcr", 2, &elcr_ops, s);
    mem_region_add(&d->machine->io, &s->io[0], 0x20, 0);
    mem_region_add(&d->machine->io, &s->io[1], 0xa0, 0);
    mem_region_add(&d->machine->io, &s->elcr_io, 0x4d0, 0);
    d->machine->pic = s;
    return true;
}

static void i8259_unrealize(struct device *d)
{
    struct i8259 *s = (struct i8259 *)d;
    mem_region_remove(&s->io[0]);
    mem_region_remove(&s->io[1]);
    mem_region_remove(&s->elcr_io);
    d->machine->pic = NULL;
}

static const struct device_class i8259_class = {
    .name = "isa-i8259",
    .desc = "8259A interrupt controllers",
    .size = sizeof(struct i8259),
    .fields = i8259_fields,
    .realize = i8259_realize,
    .unrealize = i8259_unrealize,
    .reset = i8259_reset,
    .post_load = i8259_post_load,
    .routes_lines = true,
};

struct i8259 *i8259_new(struct machine *m, struct irq intr, struct error *err)
{
    struct i8259 *s = (struct i8259 *)device_new(m, &i8259_class);
    if (!s) {
        error_set(err, "isa-i8259: out of memory");
        return NULL;
    }
    s->intr = intr;
    return device_realize(&s->dev, err) ? s : NULL;
}

size_t i8259_dump(struct i8259 *s, char *buf, size_t len)
{
    size_t n = 0;
    for (int i = 0; i < 2 && n < len; i++) {
        const struct chip *c = &s->chip[i];
        n += (size_t)snprintf(
            buf + n, len - n,
            "pic%d: irr=%02x imr=%02x isr=%02x hprio=%d irq_base=%02x rr_sel=%d elcr=%02x fnm=%d\n",
            i, c->irr, c->imr, c->isr, (c->lowest + 1) & 7, c->vector_base, c->read_isr, c->elcr,
            c->sfnm);
    }
    return n < len ? n : len ? len - 1 : 0;
}
