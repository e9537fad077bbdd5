/*
 * 8237A pair: Intel data sheet 231466, wired as in an AT. Controller 0 serves channels 0-3 with
 * byte addresses at ports 0x00-0x0f; controller 1 serves 4-7 with word addresses at even ports
 * 0xc0-0xde; its channel 0 is the cascade. The page registers give address bits 16-23 (17-23 for
 * words).
 *
 * A device drives the transfer (i8257_transfer); address and count step as the chip's would, 16
 * bits wide without carry into the page. Terminal count sets its status bit, and either reloads the
 * base registers (auto-initialise) or masks the channel. Memory-to-memory transfers were never
 * usable on a PC and aren't there.
 */
#include "hw/i8257.h"

#include <string.h>

#include "hw/device.h"
#include "log.h"
#include "machine.h"
#include "memory.h"

#define COMMAND_DISABLED 0x04

#define MODE_TRANSFER(m) ((m) >> 2 & 3)
#define MODE_AUTOINIT    0x10
#define MODE_DECREMENT   0x20
enum { TRANSFER_VERIFY, TRANSFER_TO_MEMORY, TRANSFER_FROM_MEMORY };

struct channel {
    uint16_t base_addr, base_count;
    uint16_t addr, count;
    uint8_t mode, page;
};

struct controller {
    struct channel ch[4];
    uint8_t command, status, mask, temporary;
    bool high_byte; /* the flip-flop: next access is the high byte */
};

struct i8257 {
    struct device dev;
    struct controller c[2];
    uint8_t spare_page[16]; /* page registers that no channel uses */
    struct mem_region io[2], page_io[4];
};

#define CHANNEL_FIELDS(n, k)                                                                       \
    FIELD_U16(struct i8257, c[n].ch[k].base_addr, 0),                                              \
        FIELD_U16(struct i8257, c[n].ch[k].base_count, 0),                                         \
        FIELD_U16(struct i8257, c[n].ch[k].addr, 0), FIELD_U16(struct i8257, c[n].ch[k].count, 0), \
        FIELD_U8(struct i8257, c[n].ch[k].mode, 0), FIELD_U8(struct i8257, c[n].ch[k].page, 0)
#define CONTROLLER_FIELDS(n)                                                                       \
    CHANNEL_FIELDS(n, 0), CHANNEL_FIELDS(n, 1), CHANNEL_FIELDS(n, 2), CHANNEL_FIELDS(n, 3),        \
        FIELD_U8(struct i8257, c[n].command, 0), FIELD_U8(struct i8257, c[n].status, 0),           \
        FIELD_U8(struct i8257, c[n].mask, 0x0f), FIELD_U8(struct i8257, c[n].temporary, 0),        \
        FIELD_BOOL(struct i8257, c[n].high_byte, false)

static const struct field i8257_fields[] = {
    CONTROLLER_FIELDS(0),
    CONTROLLER_FIELDS(1),
    FIELD_BYTES(struct i8257, spare_page),
    FIELD_END,
};

/* ---- registers ---- */

static uint8_t half(struct controller *c, uint16_t v)
{
    uint8_t byte = (uint8_t)(c->high_byte ? v >> 8 : v);
    c->high_byte = !c->high_byte;
    return byte;
}

static uint8_t reg_read(struct controller *c, unsigned reg)
{
    if (reg < 8)
        return half(c, reg & 1 ? c->ch[reg >> 1].count : c->ch[reg >> 1].addr);
    switch (reg) {
    case 8: {
        uint8_t v = c->status;
        c->status &= 0xf0; /* reading clears the terminal counts */
        return v;
    }
    case 13: return c->temporary;
    case 15: return c->mask | 0xf0;
    default: return 0xff;
    }
}

static void master_clear(struct controller *c)
{
    c->command = c->status = c->temporary = 0;
    c->mask = 0x0f;
    c->high_byte = false;
}

static void reg_write(struct controller *c, unsigned reg, uint8_t v)
{
    if (reg < 8) {
        struct channel *ch = &c->ch[reg >> 1];
        uint16_t *base = reg & 1 ? &ch->base_count : &ch->base_addr;
        *base =
            c->high_byte ? (uint16_t)((*base & 0x00ff) | v << 8) : (uint16_t)((*base & 0xff00) | v);
        if (reg & 1)
            ch->count = *base;
        else
            ch->addr = *base;
        c->high_byte = !c->high_byte;
        return;
    }
    switch (reg) {
    case 8: c->command = v; break;
    case 9: /* software request: bit 2 sets, else clears; only shown in status */
        if (v & 4)
            c->status |= (uint8_t)(0x10u << (v & 3));
        else
            c->status &= (uint8_t) ~(0x10u << (v & 3));
        break;
    case 10:
        if (v & 4)
            c->mask |= (uint8_t)(1u << (v & 3));
        else
            c->mask &= (uint8_t) ~(1u << (v & 3));
        break;
    case 11: c->ch[v & 3].mode = v; break;
    case 12: c->high_byte = false; break;
    case 13: master_clear(c); break;
    case 14: c->mask = 0; break;
    default: c->mask = v & 0x0f; break;
    }
}

static uint64_t bytes_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8257 *s = opaque;
    return reg_read(&s->c[0], (unsigned)offset);
}

static void bytes_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8257 *s = opaque;
    reg_write(&s->c[0], (unsigned)offset, (uint8_t)value);
}

static uint64_t words_read(void *opaque, uint64_t offset, unsigned size)
{
    struct i8257 *s = opaque;
    return reg_read(&s->c[1], (unsigned)offset >> 1);
}

static void words_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8257 *s = opaque;
    reg_write(&s->c[1], (unsigned)offset >> 1, (uint8_t)value);
}

/* Page register at 0x80 + @n: the channels are in no order that could be computed. */
static uint8_t *page_register(struct i8257 *s, unsigned n)
{
    static const int8_t channel_of[16] = { -1, 2, 3, 1, -1, -1, -1, 0, -1, 6, 7, 5, -1, -1, -1, 4 };
    int ch = channel_of[n & 15];
    return ch < 0 ? &s->spare_page[n & 15] : &s->c[ch >> 2].ch[ch & 3].page;
}

/* The page regions start at 0x81, 0x87, 0x89 and 0x8f. */
static const uint8_t page_start[4] = { 0x81, 0x87, 0x89, 0x8f };

#define PAGE_OPS(i)                                                                                \
    static uint64_t page_read##i(void *opaque, uint64_t offset, unsigned size)                     \
    {                                                                                              \
        return *page_register(opaque, page_start[i] - 0x80u + (unsigned)offset);                   \
    }                                                                                              \
    static void page_write##i(void *opaque, uint64_t offset, uint64_t value, unsigned size)        \
    {                                                                                              \
        *page_register(opaque, page_start[i] - 0x80u + (unsigned)offset) = (uint8_t)value;         \
    }
PAGE_OPS(0)
PAGE_OPS(1)
PAGE_OPS(2)
PAGE_OPS(3)

static const struct mem_ops bytes_ops = { bytes_read, bytes_write, 1, 1 };
static const struct mem_ops words_ops = { words_read, words_write, 1, 1 };
static const struct mem_ops page_ops[4] = {
    { page_read0, page_write0, 1, 1 },
    { page_read1, page_write1, 1, 1 },
    { page_read2, page_write2, 1, 1 },
    { page_read3, page_write3, 1, 1 },
};

/* ---- transfers ---- */

static uint64_t physical(const struct channel *ch, unsigned shift)
{
    /* Word channels: the page's bit 0 isn't connected. */
    uint64_t page = shift ? ch->page & 0xfe : ch->page;
    return page << 16 | (uint64_t)ch->addr << shift;
}

/* Moves one unit (byte or word) and steps; true: that was terminal count. */
static bool move_unit(struct i8257 *s, struct controller *c, unsigned n, uint8_t *unit,
                      unsigned shift)
{
    struct channel *ch = &c->ch[n];
    struct mem_space *mem = &s->dev.machine->mem;
    switch (MODE_TRANSFER(ch->mode)) {
    case TRANSFER_TO_MEMORY: dma_write(mem, physical(ch, shift), unit, (size_t)1 << shift); break;
    case TRANSFER_FROM_MEMORY: dma_read(mem, physical(ch, shift), unit, (size_t)1 << shift); break;
    default: break;
    }
    ch->addr = (uint16_t)(ch->mode & MODE_DECREMENT ? ch->addr - 1 : ch->addr + 1);
    if (ch->count-- != 0)
        return false;
    c->status |= (uint8_t)(1u << n);
    if (ch->mode & MODE_AUTOINIT) {
        ch->addr = ch->base_addr;
        ch->count = ch->base_count;
    } else {
        c->mask |= (uint8_t)(1u << n);
    }
    return true;
}

/* Whole run of ascending bytes that ends before terminal count and the end of the 64 KB page. */
static size_t move_run(struct i8257 *s, struct channel *ch, uint8_t *buf, size_t len,
                       unsigned shift)
{
    size_t units = len >> shift, room = 0x10000u - ch->addr;
    if (ch->mode & MODE_DECREMENT)
        return 0;
    if (units > ch->count)
        units = ch->count;
    if (units > room)
        units = room;
    if (MODE_TRANSFER(ch->mode) == TRANSFER_TO_MEMORY)
        dma_write(&s->dev.machine->mem, physical(ch, shift), buf, units << shift);
    else if (MODE_TRANSFER(ch->mode) == TRANSFER_FROM_MEMORY)
        dma_read(&s->dev.machine->mem, physical(ch, shift), buf, units << shift);
    ch->addr = (uint16_t)(ch->addr + units);
    ch->count = (uint16_t)(ch->count - units);
    return units << shift;
}

size_t i8257_transfer(struct i8257 *s, unsigned chan, void *buf, size_t len, bool to_memory,
                      bool *tc)
{
    struct controller *c = &s->c[chan >> 2 & 1];
    unsigned n = chan & 3, shift = chan >= 4;
    struct channel *ch = &c->ch[n];
    uint8_t *p = buf;
    size_t done = 0;
    *tc = false;
    if ((c->command & COMMAND_DISABLED) || (c->mask >> n & 1))
        return 0;
    /* Channels 0-3 reach the CPU through the cascade, channel 4. */
    if (chan < 4 && ((s->c[1].mask & 1) || (s->c[1].command & COMMAND_DISABLED)))
        return 0;
    unsigned transfer = MODE_TRANSFER(ch->mode);
    if (transfer == (to_memory ? TRANSFER_FROM_MEMORY : TRANSFER_TO_MEMORY) || transfer == 3) {
        log_mask(LOG_GUEST_ERRORS, "i8257: channel %u is set up for the other direction", chan);
        return 0;
    }
    while (((len - done) >> shift) && !*tc) {
        size_t run = move_run(s, ch, p + done, len - done, shift);
        done += run;
        if ((len - done) >> shift) {
            *tc = move_unit(s, c, n, p + done, shift);
            done += (size_t)1 << shift;
        }
    }
    return done;
}

/* ---- life ---- */

static bool i8257_realize(struct device *d, struct error *err)
{
    struct i8257 *s = (struct i8257 *)d;
    struct mem_space *io = &d->machine->io;
    static const uint64_t page_size[4] = { 3, 1, 3, 1 };
    mem_region_init_io(&s->io[0], "dma", 16, &bytes_ops, s);
    mem_region_init_io(&s->io[1], "dma", 32, &words_ops, s);
    mem_region_add(io, &s->io[0], 0x00, 0);
    mem_region_add(io, &s->io[1], 0xc0, 0);
    for (int i = 0; i < 4; i++) {
        mem_region_init_io(&s->page_io[i], "dma-page", page_size[i], &page_ops[i], s);
        mem_region_add(io, &s->page_io[i], page_start[i], 0);
    }
    return true;
}

static void i8257_unrealize(struct device *d)
{
    struct i8257 *s = (struct i8257 *)d;
    for (int i = 0; i < 2; i++)
        mem_region_remove(&s->io[i]);
    for (int i = 0; i < 4; i++)
        mem_region_remove(&s->page_io[i]);
}

static const struct device_class i8257_class = {
    .name = "i8257",
    .desc = "8237A DMA controllers",
    .size = sizeof(struct i8257),
    .fields = i8257_fields,
    .realize = i8257_realize,
    .unrealize = i8257_unrealize,
};

struct i8257 *i8257_new(struct machine *m, struct error *err)
{
    struct i8257 *s = (struct i8257 *)device_new(m, &i8257_class);
    if (!s) {
        error_set(err, "i8257: out of memory");
        return NULL;
    }
    return device_realize(&s->dev, err) ? s : NULL;
}
