/* Empty tables for the instruction groups that haven't landed yet. */
#include "cpu/decode.h"
#define NONE(n) const struct opcode_table n __attribute__((weak)) = { NULL, 0 }
NONE(opcodes_sse);
NONE(opcodes_sse4);
NONE(opcodes_ssefp);
