/**
 * Keyboards: KeyboardEvent.code to HID usages (USB HID Usage Tables, page 7), by position and so whatever the user's layout
 * is; and text to the keys of a US keyboard, which is what a guest assumes until it is told otherwise.
 */
const HID = {
  Enter: 0x28, Escape: 0x29, Backspace: 0x2a, Tab: 0x2b, Space: 0x2c, Minus: 0x2d, Equal: 0x2e, BracketLeft: 0x2f,
  BracketRight: 0x30, Backslash: 0x31, IntlHash: 0x32, Semicolon: 0x33, Quote: 0x34, Backquote: 0x35, Comma: 0x36,
  Period: 0x37, Slash: 0x38, CapsLock: 0x39, PrintScreen: 0x46, ScrollLock: 0x47, Pause: 0x48, Insert: 0x49, Home: 0x4a,
  PageUp: 0x4b, Delete: 0x4c, End: 0x4d, PageDown: 0x4e, ArrowRight: 0x4f, ArrowLeft: 0x50, ArrowDown: 0x51, ArrowUp: 0x52,
  NumLock: 0x53, NumpadDivide: 0x54, NumpadMultiply: 0x55, NumpadSubtract: 0x56, NumpadAdd: 0x57, NumpadEnter: 0x58,
  Numpad0: 0x62, NumpadDecimal: 0x63, IntlBackslash: 0x64, ContextMenu: 0x65, NumpadEqual: 0x67, NumpadComma: 0x85,
  IntlRo: 0x87, KanaMode: 0x88, IntlYen: 0x89, Convert: 0x8a, NonConvert: 0x8b, Lang1: 0x90, Lang2: 0x91,
  ControlLeft: 0xe0, ShiftLeft: 0xe1, AltLeft: 0xe2, MetaLeft: 0xe3, ControlRight: 0xe4, ShiftRight: 0xe5, AltRight: 0xe6,
  MetaRight: 0xe7,
};
for (let i = 0; i < 26; i++) HID[`Key${String.fromCharCode(65 + i)}`] = 4 + i;
for (let i = 1; i <= 9; i++) {
  HID[`Digit${i}`] = 0x1d + i;
  HID[`Numpad${i}`] = 0x58 + i;
}
HID.Digit0 = 0x27;
for (let i = 1; i <= 12; i++) HID[`F${i}`] = 0x39 + i;

export const SHIFT = HID.ShiftLeft;

/** The HID usage of a KeyboardEvent.code; 0: not a key that a PC has. */
export function hidOfCode(code) {
  return HID[code] ?? 0;
}

const PLAIN = {
  '\n': 'Enter', '\r': 'Enter', '\t': 'Tab', '\x1b': 'Escape', '\b': 'Backspace', '\x7f': 'Backspace', ' ': 'Space',
  '-': 'Minus', '=': 'Equal', '[': 'BracketLeft', ']': 'BracketRight', '\\': 'Backslash', ';': 'Semicolon', "'": 'Quote',
  '`': 'Backquote', ',': 'Comma', '.': 'Period', '/': 'Slash',
};
const SHIFTED = {
  '!': 'Digit1', '@': 'Digit2', '#': 'Digit3', $: 'Digit4', '%': 'Digit5', '^': 'Digit6', '&': 'Digit7', '*': 'Digit8',
  '(': 'Digit9', ')': 'Digit0', _: 'Minus', '+': 'Equal', '{': 'BracketLeft', '}': 'BracketRight', '|': 'Backslash',
  ':': 'Semicolon', '"': 'Quote', '~': 'Backquote', '<': 'Comma', '>': 'Period', '?': 'Slash',
};

/** {hid, shift} for a character; null: a US keyboard has no key for it. */
export function keyOfCharacter(character) {
  if (/^[a-z]$/.test(character)) return { hid: HID[`Key${character.toUpperCase()}`], shift: false };
  if (/^[A-Z]$/.test(character)) return { hid: HID[`Key${character}`], shift: true };
  if (/^[0-9]$/.test(character)) return { hid: HID[`Digit${character}`], shift: false };
  if (PLAIN[character]) return { hid: HID[PLAIN[character]], shift: false };
  if (SHIFTED[character]) return { hid: HID[SHIFTED[character]], shift: true };
  return null;
}
