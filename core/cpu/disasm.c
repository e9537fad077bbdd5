/*
 * Disassembler in Intel syntax, from the same rows as the decoder.
 */
#include <stdio.h>

#include "cpu/decode.h"

unsigned disasm(char *text, size_t size, const uint8_t *bytes, unsigned avail, unsigned code_mode,
                uint64_t rip)
{
    struct insn i;
    unsigned n = decode(&i, bytes, avail, code_mode, true, NULL, 0);
    (void)rip;
    if (!n || i.fn == op_ud || i.fn == op_gp_length)
        snprintf(text, size, "(bad)");
    else
        snprintf(text, size, "%s", insn_opcode(&i)->name);
    return n;
}
