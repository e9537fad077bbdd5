/*
 * The CPU's window on video memory at 0xa0000..0xbffff, through the graphics controller.
 *
 * An access goes through: the memory map (which part of the window answers), the addressing
 * (chain-4, odd/even or planar) which gives a plane address and the planes concerned, and then for
 * writes the data path: rotate, set/reset, logical function with the latches, bit mask, map mask. A
 * read loads the latches with all four planes. Data paths work on the four planes at once, as the
 * bytes of a 32-bit word.
 *
 * Fast path: while the addressing is linear (chain-4, or a VBE mode of 8 bits and more) and the
 * data path changes nothing, an alias of VRAM lies over the window, so the CPU's TLB serves it
 * without us. Latches aren't loaded then; nothing could use them without a register write that ends
 * the fast path, and software loads them by a read after that write.
 */
#include "hw/vga_core.h"

#include "machine.h"

/* Bit i of a nibble -> byte i all ones. */
static const uint32_t nibble_bytes[16] = {
    0x00000000, 0x000000ff, 0x0000ff00, 0x0000ffff, 0x00ff0000, 0x00ff00ff, 0x00ffff00, 0x00ffffff,
    0xff000000, 0xff0000ff, 0xff00ff00, 0xff00ffff, 0xffff0000, 0xffff00ff, 0xffffff00, 0xffffffff,
};

/* GC_MISC bits 2-3: which part of the window answers. */
static const struct {
    uint32_t first, size;
} maps[4] = { { 0, 0x20000 }, { 0, 0x10000 }, { 0x10000, 0x8000 }, { 0x18000, 0x8000 } };

static unsigned memory_map(const struct vga *v)
{
    return v->gc[GC_MISC] >> 2 & 3;
}

static uint32_t load32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool packed_vbe(const struct vga *v)
{
    return vga_vbe_enabled(v) && v->vbe[VBE_BPP] >= 8;
}

/* Turns a plane address into an offset in VRAM; the VGA proper has 64 K of them, VBE's 16-colour
 * modes more. */
static uint32_t plane_offset(const struct vga *v, uint32_t address)
{
    uint32_t limit = vga_vbe_enabled(v) ? v->vram_size : VGA_PLANES_SIZE;
    return (address * 4) & (limit - 1);
}

struct target {
    uint32_t offset; /* of the four planes in VRAM */
    unsigned low;    /* chain-4 and odd/even: which plane, from the address */
};

/* Decodes an offset in the window; false: nobody answers. */
static bool decode(const struct vga *v, uint32_t a, bool odd_even, struct target *t)
{
    unsigned map = memory_map(v);
    a -= maps[map].first;
    if (a >= maps[map].size)
        return false;
    if (map <= 1)
        a += v->bank_offset;
    if ((v->seq[SEQ_MEMORY] & 8) || packed_vbe(v)) {
        uint32_t limit = vga_vbe_enabled(v) ? v->vram_size : VGA_PLANES_SIZE;
        t->offset = a & (limit - 1) & ~3u;
        t->low = a & 3;
    } else if (odd_even) {
        t->offset = plane_offset(v, a >> 1);
        t->low = a & 1;
    } else {
        t->offset = plane_offset(v, a);
        t->low = 0;
    }
    return true;
}

static uint8_t read_byte(struct vga *v, uint32_t a)
{
    struct target t;
    bool odd_even = v->gc[GC_MODE] & 0x10;
    if (!decode(v, a, odd_even, &t))
        return 0xff;
    v->latch = load32(v->vram + t.offset);
    if (packed_vbe(v))
        return (uint8_t)(v->latch >> t.low * 8);
    if (v->gc[GC_MODE] & 8) {
        /* Read mode 1: a bit is set where all planes that are cared for match. */
        uint32_t differ =
            (v->latch ^ nibble_bytes[v->gc[GC_COLOR_COMPARE]]) & nibble_bytes[v->gc[GC_DONT_CARE]];
        differ |= differ >> 16;
        return (uint8_t) ~(differ | differ >> 8);
    }
    unsigned plane = v->gc[GC_READ_MAP];
    if (v->seq[SEQ_MEMORY] & 8)
        plane = t.low;
    else if (odd_even)
        plane = (plane & 2) | t.low;
    return (uint8_t)(v->latch >> plane * 8);
}

/* The data path: what the four planes would get. */
static uint32_t write_data(const struct vga *v, uint8_t value)
{
    unsigned rotate = v->gc[GC_ROTATE] & 7, mode = v->gc[GC_MODE] & 3;
    uint32_t set_reset = nibble_bytes[v->gc[GC_SET_RESET]], data;
    uint8_t rotated = (uint8_t)(value >> rotate | value << (8 - rotate));
    uint8_t mask = v->gc[GC_BIT_MASK];
    if (mode == 1)
        return v->latch;
    if (mode == 0) {
        uint32_t enable = nibble_bytes[v->gc[GC_ENABLE_SET_RESET]];
        data = (rotated * 0x01010101u & ~enable) | (set_reset & enable);
    } else if (mode == 2) {
        data = nibble_bytes[value & 15];
    } else {
        data = set_reset;
        mask &= rotated;
    }
    switch (v->gc[GC_ROTATE] >> 3 & 3) {
    case 1: data &= v->latch; break;
    case 2: data |= v->latch; break;
    case 3: data ^= v->latch; break;
    }
    uint32_t mask32 = mask * 0x01010101u;
    return (data & mask32) | (v->latch & ~mask32);
}

static void write_byte(struct vga *v, uint32_t a, uint8_t value)
{
    struct target t;
    bool odd_even = !(v->seq[SEQ_MEMORY] & 4), chain4 = v->seq[SEQ_MEMORY] & 8;
    if (!decode(v, a, odd_even, &t))
        return;
    unsigned planes = v->seq[SEQ_MAP_MASK];
    uint8_t *p = v->vram + t.offset;
    if (packed_vbe(v)) {
        p[t.low] = value;
    } else {
        if (chain4)
            planes &= 1u << t.low;
        else if (odd_even)
            planes &= t.low ? 0xa : 0x5;
        if (!planes)
            return;
        uint32_t keep = ~nibble_bytes[planes];
        uint32_t word = (load32(p) & keep) | (write_data(v, value) & ~keep);
        p[0] = (uint8_t)word;
        p[1] = (uint8_t)(word >> 8);
        p[2] = (uint8_t)(word >> 16);
        p[3] = (uint8_t)(word >> 24);
    }
    mem_note_write(&v->lfb, t.offset, 4);
}

static uint64_t window_read(void *opaque, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)read_byte(opaque, (uint32_t)offset + i) << i * 8;
    return value;
}

static void window_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        write_byte(opaque, (uint32_t)offset + i, (uint8_t)(value >> i * 8));
}

const struct mem_ops vga_window_ops = { window_read, window_write, 1, 8 };

/* Does a write through the window store just its byte, and a read load just that? */
static bool path_is_plain(const struct vga *v)
{
    if (packed_vbe(v))
        return true;
    return (v->seq[SEQ_MEMORY] & 8) && v->seq[SEQ_MAP_MASK] == 15 && !(v->gc[GC_MODE] & 0x0b) &&
           v->gc[GC_ROTATE] == 0 && v->gc[GC_ENABLE_SET_RESET] == 0 && v->gc[GC_BIT_MASK] == 0xff;
}

void vga_update_mapping(struct vga *v)
{
    uint32_t base = 0, size = 0, offset = 0;
    bool on = v->misc & MISC_RAM_ENABLE;
    if (on && path_is_plain(v)) {
        unsigned map = memory_map(v);
        base = VGA_WINDOW_BASE + maps[map].first;
        size = maps[map].size;
        offset = map <= 1 ? v->bank_offset : 0;
        /* The last bank can't be seen through 128 KB. */
        if (size > v->vram_size - offset)
            size = v->vram_size - offset;
    }
    if (v->window.enabled == on && size == v->fast_size && base == v->fast_base &&
        offset == v->fast_offset)
        return;
    struct mem_space *space = &v->machine->mem;
    mem_transaction_begin(space);
    if (v->window.enabled != on)
        mem_region_set_enabled(&v->window, on);
    if (v->fast_size)
        mem_region_remove(&v->fast);
    if (size) {
        mem_region_init_alias(&v->fast, "vga.chain4", &v->lfb, offset, size);
        mem_region_add(space, &v->fast, base, 2);
    }
    v->fast_base = base;
    v->fast_size = size;
    v->fast_offset = offset;
    mem_transaction_end(space);
}
