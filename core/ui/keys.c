/*
 * Names and numbers of keys. Keys travel as HID usages of page 7 (USB HID Usage Tables 1.12,
 * section 10), which are also SDL's scancodes. Names are QEMU's (its QKeyCode), so that sendkey
 * scripts work; evdev numbers are Linux's (input-event-codes.h), which virtio's keyboard speaks.
 * One table holds all three.
 */
#include <string.h>

#include "ui/display.h"

static const struct key_name {
    const char *name;
    uint8_t hid, evdev;
} key_names[] = {
    { "a", 0x04, 30 },
    { "b", 0x05, 48 },
    { "c", 0x06, 46 },
    { "d", 0x07, 32 },
    { "e", 0x08, 18 },
    { "f", 0x09, 33 },
    { "g", 0x0a, 34 },
    { "h", 0x0b, 35 },
    { "i", 0x0c, 23 },
    { "j", 0x0d, 36 },
    { "k", 0x0e, 37 },
    { "l", 0x0f, 38 },
    { "m", 0x10, 50 },
    { "n", 0x11, 49 },
    { "o", 0x12, 24 },
    { "p", 0x13, 25 },
    { "q", 0x14, 16 },
    { "r", 0x15, 19 },
    { "s", 0x16, 31 },
    { "t", 0x17, 20 },
    { "u", 0x18, 22 },
    { "v", 0x19, 47 },
    { "w", 0x1a, 17 },
    { "x", 0x1b, 45 },
    { "y", 0x1c, 21 },
    { "z", 0x1d, 44 },
    { "1", 0x1e, 2 },
    { "2", 0x1f, 3 },
    { "3", 0x20, 4 },
    { "4", 0x21, 5 },
    { "5", 0x22, 6 },
    { "6", 0x23, 7 },
    { "7", 0x24, 8 },
    { "8", 0x25, 9 },
    { "9", 0x26, 10 },
    { "0", 0x27, 11 },
    { "ret", 0x28, 28 },
    { "esc", 0x29, 1 },
    { "backspace", 0x2a, 14 },
    { "tab", 0x2b, 15 },
    { "spc", 0x2c, 57 },
    { "minus", 0x2d, 12 },
    { "equal", 0x2e, 13 },
    { "bracket_left", 0x2f, 26 },
    { "bracket_right", 0x30, 27 },
    { "backslash", 0x31, 43 },
    { "semicolon", 0x33, 39 },
    { "apostrophe", 0x34, 40 },
    { "grave_accent", 0x35, 41 },
    { "comma", 0x36, 51 },
    { "dot", 0x37, 52 },
    { "slash", 0x38, 53 },
    { "caps_lock", 0x39, 58 },
    { "f1", 0x3a, 59 },
    { "f2", 0x3b, 60 },
    { "f3", 0x3c, 61 },
    { "f4", 0x3d, 62 },
    { "f5", 0x3e, 63 },
    { "f6", 0x3f, 64 },
    { "f7", 0x40, 65 },
    { "f8", 0x41, 66 },
    { "f9", 0x42, 67 },
    { "f10", 0x43, 68 },
    { "f11", 0x44, 87 },
    { "f12", 0x45, 88 },
    { "print", 0x46, 99 },
    { "sysrq", 0x46, 99 },
    { "scroll_lock", 0x47, 70 },
    { "pause", 0x48, 119 },
    { "insert", 0x49, 110 },
    { "home", 0x4a, 102 },
    { "pgup", 0x4b, 104 },
    { "delete", 0x4c, 111 },
    { "end", 0x4d, 107 },
    { "pgdn", 0x4e, 109 },
    { "right", 0x4f, 106 },
    { "left", 0x50, 105 },
    { "down", 0x51, 108 },
    { "up", 0x52, 103 },
    { "num_lock", 0x53, 69 },
    { "kp_divide", 0x54, 98 },
    { "kp_multiply", 0x55, 55 },
    { "asterisk", 0x55, 55 },
    { "kp_subtract", 0x56, 74 },
    { "kp_add", 0x57, 78 },
    { "kp_enter", 0x58, 96 },
    { "kp_1", 0x59, 79 },
    { "kp_2", 0x5a, 80 },
    { "kp_3", 0x5b, 81 },
    { "kp_4", 0x5c, 75 },
    { "kp_5", 0x5d, 76 },
    { "kp_6", 0x5e, 77 },
    { "kp_7", 0x5f, 71 },
    { "kp_8", 0x60, 72 },
    { "kp_9", 0x61, 73 },
    { "kp_0", 0x62, 82 },
    { "kp_decimal", 0x63, 83 },
    { "less", 0x64, 86 },
    { "compose", 0x65, 127 },
    { "menu", 0x65, 127 },
    { "power", 0x66, 116 },
    { "kp_equals", 0x67, 117 },
    { "f13", 0x68, 183 },
    { "f14", 0x69, 184 },
    { "f15", 0x6a, 185 },
    { "f16", 0x6b, 186 },
    { "f17", 0x6c, 187 },
    { "f18", 0x6d, 188 },
    { "f19", 0x6e, 189 },
    { "f20", 0x6f, 190 },
    { "f21", 0x70, 191 },
    { "f22", 0x71, 192 },
    { "f23", 0x72, 193 },
    { "f24", 0x73, 194 },
    { "open", 0x74, 134 },
    { "help", 0x75, 138 },
    { "props", 0x76, 130 },
    { "front", 0x77, 132 },
    { "stop", 0x78, 128 },
    { "again", 0x79, 129 },
    { "undo", 0x7a, 131 },
    { "cut", 0x7b, 137 },
    { "copy", 0x7c, 133 },
    { "paste", 0x7d, 135 },
    { "find", 0x7e, 136 },
    { "audiomute", 0x7f, 113 },
    { "volumeup", 0x80, 115 },
    { "volumedown", 0x81, 114 },
    { "kp_comma", 0x85, 121 },
    { "ro", 0x87, 89 },
    { "katakanahiragana", 0x88, 93 },
    { "hiragana", 0x88, 93 },
    { "yen", 0x89, 124 },
    { "henkan", 0x8a, 92 },
    { "muhenkan", 0x8b, 94 },
    { "lang1", 0x90, 122 },
    { "lang2", 0x91, 123 },
    { "ctrl", 0xe0, 29 },
    { "shift", 0xe1, 42 },
    { "alt", 0xe2, 56 },
    { "meta_l", 0xe3, 125 },
    { "ctrl_r", 0xe4, 97 },
    { "shift_r", 0xe5, 54 },
    { "alt_r", 0xe6, 100 },
    { "meta_r", 0xe7, 126 },
};
#define KEY_NAME_COUNT (sizeof key_names / sizeof key_names[0])

uint8_t input_hid_of_name(const char *name)
{
    for (size_t i = 0; i < KEY_NAME_COUNT; i++) {
        if (strcmp(key_names[i].name, name) == 0)
            return key_names[i].hid;
    }
    return 0;
}

const char *input_name_of_hid(uint8_t hid)
{
    for (size_t i = 0; i < KEY_NAME_COUNT; i++) {
        if (key_names[i].hid == hid)
            return key_names[i].name;
    }
    return NULL;
}

int input_parse_combo(const char *text, uint8_t hids[INPUT_COMBO_MAX], struct error *err)
{
    int count = 0;
    for (const char *p = text;;) {
        size_t len = strcspn(p, "-");
        char name[32];
        if (len >= sizeof name || count == INPUT_COMBO_MAX) {
            error_set(err, "key '%s': too long", text);
            return 0;
        }
        memcpy(name, p, len);
        name[len] = 0;
        hids[count] = input_hid_of_name(name);
        if (!hids[count++]) {
            error_set(err, "key '%s' is unknown", name);
            return 0;
        }
        if (!p[len])
            return count;
        p += len + 1;
    }
}

uint8_t input_evdev_of_hid(uint8_t hid)
{
    for (size_t i = 0; i < KEY_NAME_COUNT; i++) {
        if (key_names[i].hid == hid)
            return key_names[i].evdev;
    }
    return 0;
}
