/*
 * The PS/2 keyboard (IBM Personal System/2 Hardware Interface Technical Reference, "Keyboard (101-
 * and 102-Key)").
 *
 * The host sends command bytes, some with one argument (k->command waits for it); each is answered
 * with ACK at least. Key events become codes of scan code set 1, 2 or 3 from one table by HID
 * usage; set 1 is set 2 run through the controller's translation table. A key's codes enter the
 * 16-byte buffer together or not at all: without room for them the overrun code takes the last
 * place, so a host never sees half a sequence. Repeats come from the viewer (its key-down events
 * repeat), so rate and delay are only kept.
 */
#include "hw/ps2.h"
#include "hw/ps2_queue.h"

#include <string.h>

#include "log.h"

enum {
    CMD_SET_LEDS = 0xed,
    CMD_ECHO = 0xee,
    CMD_SCAN_SET = 0xf0,
    CMD_IDENTIFY = 0xf2,
    CMD_TYPEMATIC = 0xf3,
    CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5,
    CMD_DEFAULTS = 0xf6,
    CMD_ALL_TYPEMATIC = 0xf7,
    CMD_ALL_MAKE_BREAK = 0xf8,
    CMD_ALL_MAKE = 0xf9,
    CMD_ALL_TYPEMATIC_MAKE_BREAK = 0xfa,
    CMD_KEY_TYPEMATIC = 0xfb,
    CMD_KEY_MAKE_BREAK = 0xfc,
    CMD_KEY_MAKE = 0xfd,
    CMD_RESEND = 0xfe,
    CMD_RESET = 0xff,
};

enum { HID_PRINT = 0x46, HID_PAUSE = 0x48, HID_LCTRL = 0xe0, HID_MODIFIERS_END = 0xe7 };

#define TYPEMATIC_DEFAULT 0x2b

/* Set 2 code to set 1 code; 0x80 and above pass, but for F7 and SysRq. */
static const uint8_t translation[0x85] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29,
    0x59, 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11,
    0x03, 0x5b, 0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14,
    0x13, 0x06, 0x5d, 0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24,
    0x16, 0x08, 0x09, 0x5f, 0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35,
    0x26, 0x27, 0x19, 0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36,
    0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, 0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c,
    0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, 0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45,
    0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54, 0x80, 0x81, 0x82, 0x41, 0x54,
};

uint8_t ps2_translate(uint8_t code)
{
    return code < sizeof translation ? translation[code] : code;
}

/* By HID usage: set 2 code (E0 = behind the E0 prefix) and set 3 code; 0: the keyboard doesn't have
 * the key. */
#define E0 0x100
static const struct {
    uint16_t set2;
    uint8_t set3;
} codes[256] = {
    [0x04] = { 0x1c, 0x1c },      [0x05] = { 0x32, 0x32 },      [0x06] = { 0x21, 0x21 },
    [0x07] = { 0x23, 0x23 },      [0x08] = { 0x24, 0x24 },      [0x09] = { 0x2b, 0x2b },
    [0x0a] = { 0x34, 0x34 },      [0x0b] = { 0x33, 0x33 },      [0x0c] = { 0x43, 0x43 },
    [0x0d] = { 0x3b, 0x3b },      [0x0e] = { 0x42, 0x42 },      [0x0f] = { 0x4b, 0x4b },
    [0x10] = { 0x3a, 0x3a },      [0x11] = { 0x31, 0x31 },      [0x12] = { 0x44, 0x44 },
    [0x13] = { 0x4d, 0x4d },      [0x14] = { 0x15, 0x15 },      [0x15] = { 0x2d, 0x2d },
    [0x16] = { 0x1b, 0x1b },      [0x17] = { 0x2c, 0x2c },      [0x18] = { 0x3c, 0x3c },
    [0x19] = { 0x2a, 0x2a },      [0x1a] = { 0x1d, 0x1d },      [0x1b] = { 0x22, 0x22 },
    [0x1c] = { 0x35, 0x35 },      [0x1d] = { 0x1a, 0x1a },      [0x1e] = { 0x16, 0x16 },
    [0x1f] = { 0x1e, 0x1e },      [0x20] = { 0x26, 0x26 },      [0x21] = { 0x25, 0x25 },
    [0x22] = { 0x2e, 0x2e },      [0x23] = { 0x36, 0x36 },      [0x24] = { 0x3d, 0x3d },
    [0x25] = { 0x3e, 0x3e },      [0x26] = { 0x46, 0x46 },      [0x27] = { 0x45, 0x45 },
    [0x28] = { 0x5a, 0x5a },      [0x29] = { 0x76, 0x08 },      [0x2a] = { 0x66, 0x66 },
    [0x2b] = { 0x0d, 0x0d },      [0x2c] = { 0x29, 0x29 },      [0x2d] = { 0x4e, 0x4e },
    [0x2e] = { 0x55, 0x55 },      [0x2f] = { 0x54, 0x54 },      [0x30] = { 0x5b, 0x5b },
    [0x31] = { 0x5d, 0x5c },      [0x32] = { 0x5d, 0x53 },      [0x33] = { 0x4c, 0x4c },
    [0x34] = { 0x52, 0x52 },      [0x35] = { 0x0e, 0x0e },      [0x36] = { 0x41, 0x41 },
    [0x37] = { 0x49, 0x49 },      [0x38] = { 0x4a, 0x4a },      [0x39] = { 0x58, 0x14 },
    [0x3a] = { 0x05, 0x07 },      [0x3b] = { 0x06, 0x0f },      [0x3c] = { 0x04, 0x17 },
    [0x3d] = { 0x0c, 0x1f },      [0x3e] = { 0x03, 0x27 },      [0x3f] = { 0x0b, 0x2f },
    [0x40] = { 0x83, 0x37 },      [0x41] = { 0x0a, 0x3f },      [0x42] = { 0x01, 0x47 },
    [0x43] = { 0x09, 0x4f },      [0x44] = { 0x78, 0x56 },      [0x45] = { 0x07, 0x5e },
    [0x46] = { E0 | 0x7c, 0x57 }, [0x47] = { 0x7e, 0x5f },      [0x48] = { 0x77, 0x62 },
    [0x49] = { E0 | 0x70, 0x67 }, [0x4a] = { E0 | 0x6c, 0x6e }, [0x4b] = { E0 | 0x7d, 0x6f },
    [0x4c] = { E0 | 0x71, 0x64 }, [0x4d] = { E0 | 0x69, 0x65 }, [0x4e] = { E0 | 0x7a, 0x6d },
    [0x4f] = { E0 | 0x74, 0x6a }, [0x50] = { E0 | 0x6b, 0x61 }, [0x51] = { E0 | 0x72, 0x60 },
    [0x52] = { E0 | 0x75, 0x63 }, [0x53] = { 0x77, 0x76 },      [0x54] = { E0 | 0x4a, 0x77 },
    [0x55] = { 0x7c, 0x7e },      [0x56] = { 0x7b, 0x84 },      [0x57] = { 0x79, 0x7c },
    [0x58] = { E0 | 0x5a, 0x79 }, [0x59] = { 0x69, 0x69 },      [0x5a] = { 0x72, 0x72 },
    [0x5b] = { 0x7a, 0x7a },      [0x5c] = { 0x6b, 0x6b },      [0x5d] = { 0x73, 0x73 },
    [0x5e] = { 0x74, 0x74 },      [0x5f] = { 0x6c, 0x6c },      [0x60] = { 0x75, 0x75 },
    [0x61] = { 0x7d, 0x7d },      [0x62] = { 0x70, 0x70 },      [0x63] = { 0x71, 0x71 },
    [0x64] = { 0x61, 0x13 },      [0x65] = { E0 | 0x2f, 0x8d }, [0x66] = { E0 | 0x37, 0 },
    [0x67] = { 0x0f, 0 },         [0x68] = { 0x08, 0 },         [0x69] = { 0x10, 0 },
    [0x6a] = { 0x18, 0 },         [0x6b] = { 0x20, 0 },         [0x6c] = { 0x28, 0 },
    [0x6d] = { 0x30, 0 },         [0x6e] = { 0x38, 0 },         [0x6f] = { 0x40, 0 },
    [0x70] = { 0x48, 0 },         [0x71] = { 0x50, 0 },         [0x72] = { 0x57, 0 },
    [0x73] = { 0x5f, 0 },         [0x7f] = { E0 | 0x23, 0x9c }, [0x80] = { E0 | 0x32, 0x95 },
    [0x81] = { E0 | 0x21, 0x9d }, [0x85] = { 0x6d, 0 },         [0x87] = { 0x51, 0x51 },
    [0x88] = { 0x13, 0x87 },      [0x89] = { 0x6a, 0x5d },      [0x8a] = { 0x64, 0x86 },
    [0x8b] = { 0x67, 0x85 },      [0xe0] = { 0x14, 0x11 },      [0xe1] = { 0x12, 0x12 },
    [0xe2] = { 0x11, 0x19 },      [0xe3] = { E0 | 0x1f, 0x8b }, [0xe4] = { E0 | 0x14, 0x58 },
    [0xe5] = { 0x59, 0x59 },      [0xe6] = { E0 | 0x11, 0x39 }, [0xe7] = { E0 | 0x27, 0x8c },
};

/* Keys that send break codes in set 3 after a reset: Caps Lock, both Shift, left Ctrl and Alt. */
static const uint8_t set3_default_break[] = { 0x11, 0x12, 0x14, 0x19, 0x59 };

static void set_defaults(struct ps2_keyboard *k)
{
    k->command = 0;
    k->set = 2;
    k->typematic = TYPEMATIC_DEFAULT;
    memset(k->set3_break, 0, sizeof k->set3_break);
    for (size_t i = 0; i < sizeof set3_default_break; i++)
        k->set3_break[set3_default_break[i] / 8] |= (uint8_t)(1 << set3_default_break[i] % 8);
    ps2_queue_clear_events(&k->queue);
}

void ps2_keyboard_init(struct ps2_keyboard *k, void (*ready)(void *opaque), void *opaque)
{
    k->ready = ready;
    k->opaque = opaque;
}

void ps2_keyboard_reset(struct ps2_keyboard *k)
{
    ps2_queue_clear(&k->queue);
    set_defaults(k);
    k->leds = 0;
    k->scanning = true;
    k->ctrl = k->shift = k->alt = false;
}

static void reply(struct ps2_keyboard *k, uint8_t value)
{
    ps2_queue_reply(&k->queue, value);
}

static void set_break_codes(struct ps2_keyboard *k, bool on)
{
    memset(k->set3_break, on ? 0xff : 0, sizeof k->set3_break);
}

static void run_argument(struct ps2_keyboard *k, uint8_t command, uint8_t value)
{
    switch (command) {
    case CMD_SET_LEDS:
        k->leds = value & 7;
        reply(k, PS2_ACK);
        break;
    case CMD_SCAN_SET:
        reply(k, PS2_ACK);
        if (value == 0)
            reply(k, k->set);
        else if (value <= 3)
            k->set = value;
        ps2_queue_clear_events(&k->queue);
        break;
    case CMD_TYPEMATIC:
        k->typematic = value & 0x7f;
        reply(k, PS2_ACK);
        break;
    case CMD_KEY_TYPEMATIC:
    case CMD_KEY_MAKE:
        k->set3_break[value / 8] &= (uint8_t) ~(1 << value % 8);
        reply(k, PS2_ACK);
        break;
    case CMD_KEY_MAKE_BREAK:
        k->set3_break[value / 8] |= (uint8_t)(1 << value % 8);
        reply(k, PS2_ACK);
        break;
    }
}

static void run_command(struct ps2_keyboard *k, uint8_t value)
{
    switch (value) {
    case CMD_SET_LEDS:
    case CMD_SCAN_SET:
    case CMD_TYPEMATIC:
        k->command = value;
        reply(k, PS2_ACK);
        break;
    case CMD_KEY_TYPEMATIC:
    case CMD_KEY_MAKE_BREAK:
    case CMD_KEY_MAKE:
        k->command = value;
        k->scanning = false; /* until CMD_ENABLE */
        reply(k, PS2_ACK);
        break;
    case CMD_ECHO: reply(k, CMD_ECHO); break;
    case CMD_IDENTIFY:
        reply(k, PS2_ACK);
        reply(k, 0xab); /* MF2 */
        reply(k, 0x83);
        break;
    case CMD_ENABLE:
        ps2_queue_clear_events(&k->queue);
        k->scanning = true;
        reply(k, PS2_ACK);
        break;
    case CMD_DISABLE:
        set_defaults(k);
        k->scanning = false;
        reply(k, PS2_ACK);
        break;
    case CMD_DEFAULTS:
        set_defaults(k);
        reply(k, PS2_ACK);
        break;
    case CMD_ALL_TYPEMATIC:
    case CMD_ALL_MAKE:
    case CMD_ALL_MAKE_BREAK:
    case CMD_ALL_TYPEMATIC_MAKE_BREAK:
        set_break_codes(k, value == CMD_ALL_MAKE_BREAK || value == CMD_ALL_TYPEMATIC_MAKE_BREAK);
        reply(k, PS2_ACK);
        break;
    case CMD_RESEND: reply(k, k->queue.last_sent); break;
    case CMD_RESET:
        ps2_keyboard_reset(k);
        reply(k, PS2_ACK);
        reply(k, PS2_SELF_TEST_OK);
        break;
    default:
        log_mask(LOG_GUEST_ERRORS, "ps2 keyboard: unknown command 0x%02x", value);
        reply(k, PS2_RESEND);
    }
}

void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t value)
{
    uint8_t command = k->command;
    /* A command byte in place of an argument cancels the command. */
    k->command = 0;
    if (value != CMD_RESEND)
        k->queue.reply_count = 0;
    if (command && value < CMD_SET_LEDS)
        run_argument(k, command, value);
    else
        run_command(k, value);
    k->ready(k->opaque);
}

bool ps2_keyboard_has_data(const struct ps2_keyboard *k)
{
    return !ps2_queue_empty(&k->queue);
}

uint8_t ps2_keyboard_read(struct ps2_keyboard *k)
{
    return ps2_queue_take(&k->queue);
}

/* A sequence under construction. */
struct sequence {
    uint8_t bytes[PS2_QUEUE_SIZE];
    unsigned count;
};

static void put(struct sequence *s, uint8_t value)
{
    if (s->count < sizeof s->bytes)
        s->bytes[s->count++] = value;
}

/* One code of the set 2 table, in set 1 or 2. */
static void put_code(struct sequence *s, uint8_t set, unsigned code, bool down)
{
    if (code & E0)
        put(s, 0xe0);
    if (set == 1) {
        put(s, (uint8_t)(ps2_translate((uint8_t)code) | (down ? 0 : 0x80)));
    } else {
        if (!down)
            put(s, 0xf0);
        put(s, (uint8_t)code);
    }
}

/* Print Screen: pretends a Shift around it; with Alt it is the old SysRq key. */
static void put_print(const struct ps2_keyboard *k, struct sequence *s, bool down)
{
    if (k->alt) {
        put_code(s, k->set, 0x84, down);
    } else if (k->ctrl || k->shift) {
        put_code(s, k->set, E0 | 0x7c, down);
    } else if (down) {
        put_code(s, k->set, E0 | 0x12, true);
        put_code(s, k->set, E0 | 0x7c, true);
    } else {
        put_code(s, k->set, E0 | 0x7c, false);
        put_code(s, k->set, E0 | 0x12, false);
    }
}

/* Pause: everything at make, nothing at break; with Ctrl it is Break. */
static void put_pause(const struct ps2_keyboard *k, struct sequence *s, bool down)
{
    if (!down)
        return;
    if (k->ctrl) {
        put_code(s, k->set, E0 | 0x7e, true);
        put_code(s, k->set, E0 | 0x7e, false);
    } else {
        put(s, 0xe1);
        put_code(s, k->set, 0x14, true);
        put_code(s, k->set, 0x77, true);
        put(s, 0xe1);
        put_code(s, k->set, 0x14, false);
        put_code(s, k->set, 0x77, false);
    }
}

static void put_key(const struct ps2_keyboard *k, struct sequence *s, uint8_t hid, bool down)
{
    if (k->set == 3) {
        uint8_t code = codes[hid].set3;
        if (!code || (!down && !(k->set3_break[code / 8] >> code % 8 & 1)))
            return;
        if (!down)
            put(s, 0xf0);
        put(s, code);
    } else if (hid == HID_PRINT) {
        put_print(k, s, down);
    } else if (hid == HID_PAUSE) {
        put_pause(k, s, down);
    } else if (codes[hid].set2) {
        put_code(s, k->set, codes[hid].set2, down);
    }
}

void ps2_keyboard_key(struct ps2_keyboard *k, uint8_t hid, bool down)
{
    struct sequence s = { .count = 0 };
    if (hid >= HID_LCTRL && hid <= HID_MODIFIERS_END) {
        bool *held[] = { &k->ctrl, &k->shift, &k->alt };
        if ((hid & 3) < 3)
            *held[hid & 3] = down;
    }
    if (!k->scanning)
        return;
    put_key(k, &s, hid, down);
    unsigned room = ps2_queue_room(&k->queue);
    if (!s.count || !room)
        return;
    if (s.count < room) {
        for (unsigned i = 0; i < s.count; i++)
            ps2_queue_event(&k->queue, s.bytes[i]);
    } else {
        /* The overrun code: keys were lost. One place is always left for it. */
        ps2_queue_event(&k->queue, k->set == 1 ? 0xff : 0x00);
    }
    k->ready(k->opaque);
}
