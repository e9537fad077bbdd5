#!/usr/bin/env python3
"""Prints core/cpu/fp/trans_tables.h: coefficients of the series in trans.c, as 128-bit fixed-point numbers."""
from mpmath import mp, mpf, atan, factorial, floor, log, pi

mp.prec = 400


def fixed(value, bits):
    n = int(floor(value * mpf(2) ** bits + mpf(1) / 2))
    return "{ 0x%016x, 0x%016x }" % (n >> 64, n & (1 << 64) - 1)


def table(name, comment, values, bits):
    print("\n/* %s */" % comment)
    print("static const struct words %s[] = {" % name)
    for v in values:
        print("    %s," % fixed(v, bits))
    print("};")


print("/*\n * Coefficients for trans.c, lowest power first. Printed by scripts/fp-tables.py; don't edit.\n */")
print("#ifndef SLIPWAY_FP_TRANS_TABLES_H\n#define SLIPWAY_FP_TRANS_TABLES_H\n\n#include <stdint.h>\n")
print("struct words {\n    uint64_t hi, lo;\n};")
# Enough terms for 2^-98 of the result: arguments are at most pi/4 (sine, cosine), ln 2, 1/32, 0.172 (logarithm).
table("sin_series", "2^5k / (2k + 1)!, of z / 2^5, z = x * x; units of 2^-124",
      [mpf(2) ** (5 * k) / factorial(2 * k + 1) for k in range(14)], 124)
table("cos_series", "2^4k / (2k)!, of z / 2^4; units of 2^-124",
      [mpf(2) ** (4 * k) / factorial(2 * k) for k in range(14)], 124)
table("expm1_series", "2^3k / (k + 1)!, of x / 2^3; units of 2^-122",
      [mpf(2) ** (3 * k) / factorial(k + 1) for k in range(27)], 122)
table("atan_series", "1 / (2k + 1), of z; units of 2^-127", [mpf(1) / (2 * k + 1) for k in range(11)], 127)
table("log2_series", "2 / ln 2 / (2k + 1), of z; units of 2^-126",
      [2 / log(mpf(2)) / (2 * k + 1) for k in range(20)], 126)
table("atan_steps", "atan(i / 16), units of 2^-127", [atan(mpf(i) / 16) for i in range(17)], 127)
table("trans_constants", "ln 2 in units of 2^-128; pi / 2 and pi in units of 2^-126",
      [log(mpf(2)) * 4, pi / 2, pi], 126)
print("\n#endif")
