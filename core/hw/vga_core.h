/*
 * The VGA's state and the functions that its files share. See vga.c for how they work together.
 */
#ifndef SLIPWAY_HW_VGA_CORE_H
#define SLIPWAY_HW_VGA_CORE_H

#include "hw/device.h"
#include "memory.h"
#include "ui/display.h"

/* Register indices and bits, named as in IBM's VGA reference. */
enum {
    SEQ_CLOCKING = 1, /* bit 0: 8 dots a character, 3: half dot clock, 5: screen off */
    SEQ_MAP_MASK = 2,
    SEQ_FONT = 3,
    SEQ_MEMORY = 4, /* bit 2: not odd/even, 3: chain-4 */

    CRTC_H_TOTAL = 0x00,
    CRTC_H_DISPLAY_END = 0x01,
    CRTC_V_TOTAL = 0x06,
    CRTC_OVERFLOW = 0x07,
    CRTC_PRESET_ROW = 0x08,
    CRTC_MAX_SCAN = 0x09, /* bit 7: double scan */
    CRTC_CURSOR_START = 0x0a,
    CRTC_CURSOR_END = 0x0b,
    CRTC_START_HIGH = 0x0c,
    CRTC_START_LOW = 0x0d,
    CRTC_CURSOR_HIGH = 0x0e,
    CRTC_CURSOR_LOW = 0x0f,
    CRTC_V_SYNC_START = 0x10,
    CRTC_V_SYNC_END = 0x11, /* bit 7: registers 0..7 are read-only */
    CRTC_V_DISPLAY_END = 0x12,
    CRTC_OFFSET = 0x13,
    CRTC_UNDERLINE = 0x14,
    CRTC_MODE = 0x17, /* bit 0: no CGA interleave, 1: no Hercules one, 6: byte mode */
    CRTC_LINE_COMPARE = 0x18,

    GC_SET_RESET = 0,
    GC_ENABLE_SET_RESET = 1,
    GC_COLOR_COMPARE = 2,
    GC_ROTATE = 3,
    GC_READ_MAP = 4,
    GC_MODE = 5,
    GC_MISC = 6, /* bit 0: graphics, 2-3: memory map */
    GC_DONT_CARE = 7,
    GC_BIT_MASK = 8,

    ATTR_MODE = 0x10, /* bit 2: line graphics, 3: blink, 5: split screen isn't panned, 7: P54S */
    ATTR_OVERSCAN = 0x11,
    ATTR_PLANE_ENABLE = 0x12,
    ATTR_PIXEL_PAN = 0x13,
    ATTR_COLOR_SELECT = 0x14,

    MISC_COLOR = 0x01,
    MISC_RAM_ENABLE = 0x02,
    ATTR_INDEX_PAS = 0x20, /* display gets the palette; 0: blank */
};

enum {
    VBE_ID = 0,
    VBE_XRES,
    VBE_YRES,
    VBE_BPP,
    VBE_ENABLE,
    VBE_BANK,
    VBE_VIRT_WIDTH,
    VBE_VIRT_HEIGHT,
    VBE_X_OFFSET,
    VBE_Y_OFFSET,
    VBE_REGS,
    VBE_MEMORY_64K = VBE_REGS,

    VBE_ENABLED = 0x01,
    VBE_GETCAPS = 0x02,
    VBE_8BIT_DAC = 0x20,
    VBE_LFB = 0x40,
    VBE_NOCLEAR = 0x80,

    VBE_MAX_XRES = 16000,
    VBE_MAX_YRES = 12000,
    VBE_MAX_BPP = 32,
};

#define VGA_PLANES_SIZE 0x40000 /* what the VGA proper addresses: 4 planes of 64 KB */
#define VGA_WINDOW_BASE 0xa0000
#define VGA_WINDOW_SIZE 0x20000
#define VGA_PAGE_SHIFT  12

enum vga_kind {
    VGA_BLANK,
    VGA_TEXT,
    VGA_PLANAR, /* 16 colours */
    VGA_CGA,    /* 2 bits a pixel, packed */
    VGA_PACKED, /* 256 colours, each two dots wide */
    VGA_VBE8,
    VGA_VBE15,
    VGA_VBE16,
    VGA_VBE24,
    VGA_VBE32,
};

/* All that decides how the screen looks, but for the contents of VRAM and the blink phase. Computed
 * from the registers at each update and compared (as bytes) with what is on the surface. */
struct vga_view {
    enum vga_kind kind;
    int width, height;    /* of the surface */
    uint32_t start;       /* bytes in VRAM: first line */
    uint32_t pitch;       /* bytes from row to row */
    uint32_t wrap;        /* address mask */
    int split;            /* the line after which the address is 0 again */
    int scans, repeat;    /* row scans a row; lines a row scan */
    int preset;           /* row scan of the first line */
    int pan;              /* dots to the left */
    int cga_bit, hgc_bit; /* address bits that row scan bits 0 and 1 replace; 0: none */
    bool pan_above_split; /* only there */
    bool double_dots, big_endian;
    uint8_t planes;
    /* text */
    bool dup9, blink;
    int columns, cell_width;
    int underline, cursor_first, cursor_last; /* row scans */
    uint32_t cursor;                          /* cell address; ~0: none */
    uint32_t font[2];                         /* byte address of the sets */
    uint32_t palette[256];
};

struct vga {
    struct machine *machine;
    struct display *display;
    uint8_t *vram;
    uint32_t vram_size;
    struct mem_region lfb;    /* all of VRAM */
    struct mem_region window; /* 0xa0000, through the graphics controller */
    struct mem_region fast;   /* over it: alias of VRAM while nothing but addresses is translated */
    struct mem_region ports, vbe_ports;
    uint32_t fast_base, fast_size, fast_offset; /* size 0: off */

    uint8_t misc, feature;
    uint8_t seq_index, seq[8];
    uint8_t crtc_index, crtc[0x40];
    uint8_t gc_index, gc[16];
    uint8_t attr_index, attr[0x20];
    bool attr_data; /* the flip-flop: next write to 0x3c0 is data */
    uint8_t dac_state, dac_sub, dac_read_index, dac_write_index, dac_mask, dac_cache[3];
    uint8_t palette[768];
    uint32_t latch; /* byte i: plane i */
    uint16_t vbe_index, vbe[VBE_REGS];
    uint32_t vbe_pitch, vbe_start, bank_offset; /* bytes */
    bool big_endian;

    /* What is on the surface (vga_draw.c, vga_text.c). */
    struct vga_view shown;
    bool redraw;
    uint64_t *line_dirty; /* snapshot of the dirty pages */
    uint32_t *line;       /* one line before panning */
    uint32_t *cells;      /* as drawn */
    size_t cell_capacity;
    uint16_t *text_cells; /* for display_text */
    size_t text_capacity;
    uint8_t font_shown[2][256][32];
    uint32_t color15[2][256], color16[2][256]; /* a low and a high byte's share of the colour */
};

/* vga.c */
bool vga_init(struct vga *v, struct machine *m, uint32_t vram_size, struct error *err);
void vga_free(struct vga *v);
void vga_reset(struct vga *v);
void vga_post_load(struct vga *v);
/* Ports 0x3b0..0x3df, one byte each. */
uint8_t vga_port_read(struct vga *v, uint16_t port);
void vga_port_write(struct vga *v, uint16_t port, uint8_t value);

/* vga_vbe.c */
void vga_vbe_reset(struct vga *v);
void vga_vbe_derive(struct vga *v); /* recomputes pitch, start and bank from the registers */
/* After the registers were loaded: makes them valid, and what follows from them. */
void vga_vbe_loaded(struct vga *v);
uint16_t vga_vbe_read(struct vga *v, unsigned index);
void vga_vbe_write(struct vga *v, unsigned index, uint16_t value);
extern const struct mem_ops vga_vbe_port_ops;
static inline bool vga_vbe_enabled(const struct vga *v)
{
    return v->vbe[VBE_ENABLE] & VBE_ENABLED;
}

/* vga_mem.c */
extern const struct mem_ops vga_window_ops;
/* Registers changed: is the window's fast path right? */
void vga_update_mapping(struct vga *v);

/* vga_draw.c */
extern const struct display_device_ops vga_display_ops;
void vga_draw_init(struct vga *v);
void vga_compute_view(struct vga *v, struct vga_view *w);

/* vga_text.c */
/* @full: redraw all; @written: video memory changed since last time. */
void vga_draw_text(struct vga *v, const struct vga_view *w, bool full, bool written);
bool vga_get_text(void *opaque, struct display_text *t);

#endif
