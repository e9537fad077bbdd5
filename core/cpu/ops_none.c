/* An empty table for the instruction group that hasn't landed yet. */
#include "cpu/decode.h"
const struct opcode_table opcodes_ssefp __attribute__((weak)) = { NULL, 0 };
