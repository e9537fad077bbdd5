/*
 * Coefficients for trans.c, lowest power first. Printed by scripts/fp-tables.py; don't edit.
 */
#ifndef SLIPWAY_FP_TRANS_TABLES_H
#define SLIPWAY_FP_TRANS_TABLES_H

#include <stdint.h>

struct words {
    uint64_t hi, lo;
};

/* 2^5k / (2k + 1)!, of z / 2^5, z = x * x; units of 2^-124 */
static const struct words sin_series[] = {
    { 0x1000000000000000, 0x0000000000000000 }, { 0x5555555555555555, 0x5555555555555555 },
    { 0x8888888888888888, 0x8888888888888889 }, { 0x6806806806806806, 0x8068068068068068 },
    { 0x2e3bc74aad8e671f, 0x5583911ca002e3bc }, { 0x0d7322b3faa271c7, 0xf3a3f25c1bee38f1 },
    { 0x02c248c2750da12f, 0x9470663a475ed09a }, { 0x006b9fcf9ccee07c, 0x476195ac3ba32bfa },
    { 0x000ca963b81856a5, 0x3593028cbbb8d7ff }, { 0x00012f49b4681415, 0x724ca1ec3b7b9675 },
    { 0x0000171b8ef6dcf5, 0x718bef146fcee6e4 }, { 0x000001761b413163, 0x819d97b8704dd7f6 },
    { 0x00000013f3ccdd16, 0x5fa8d4e44a419777 }, { 0x00000000e8d58e16, 0xe67519054d0c78af },
};

/* 2^4k / (2k)!, of z / 2^4; units of 2^-124 */
static const struct words cos_series[] = {
    { 0x1000000000000000, 0x0000000000000000 }, { 0x8000000000000000, 0x0000000000000000 },
    { 0xaaaaaaaaaaaaaaaa, 0xaaaaaaaaaaaaaaab }, { 0x5b05b05b05b05b05, 0xb05b05b05b05b05b },
    { 0x1a01a01a01a01a01, 0xa01a01a01a01a01a }, { 0x049f93edde27d71c, 0xbbc05b4fa999e393 },
    { 0x008f76c77fc6c4bd, 0xaa26d4c3d67f425f }, { 0x000c9cba54603e4e, 0x905d6f8a2efd1f27 },
    { 0x0000d73f9f399dc0, 0xf88ec32b58774658 }, { 0x00000b413c31dcbe, 0xcbbdd80244351615 },
    { 0x0000007950ae9008, 0x08941ea72b4afe3c }, { 0x00000004338e5b6d, 0xfe14a5143242dfcd },
    { 0x000000001f2cf019, 0x72f577cca4b4067d }, { 0x0000000000c4742f, 0xe35272cd1c790286 },
};

/* 2^3k / (k + 1)!, of x / 2^3; units of 2^-122 */
static const struct words expm1_series[] = {
    { 0x0400000000000000, 0x0000000000000000 }, { 0x1000000000000000, 0x0000000000000000 },
    { 0x2aaaaaaaaaaaaaaa, 0xaaaaaaaaaaaaaaab }, { 0x5555555555555555, 0x5555555555555555 },
    { 0x8888888888888888, 0x8888888888888889 }, { 0xb60b60b60b60b60b, 0x60b60b60b60b60b6 },
    { 0xd00d00d00d00d00d, 0x00d00d00d00d00d0 }, { 0xd00d00d00d00d00d, 0x00d00d00d00d00d0 },
    { 0xb8ef1d2ab6399c7d, 0x560e4472800b8ef2 }, { 0x93f27dbbc4fae397, 0x780b69f5333c725b },
    { 0x6b99159fd5138e3f, 0x9d1f92e0df71c788 }, { 0x47bb63bfe3625ed5, 0x136a61eb3fa12fb0 },
    { 0x2c248c2750da12f9, 0x470663a475ed09a7 }, { 0x193974a8c07c9d20, 0xbadf145dfa3e4ea9 },
    { 0x0d73f9f399dc0f88, 0xec32b58774657f49 }, { 0x06b9fcf9ccee07c4, 0x76195ac3ba32bfa4 },
    { 0x032a58ee0615a94d, 0x64c0a32eee35ffd5 }, { 0x016827863b97d977, 0xbb004886a2c2aa98 },
    { 0x0097a4da340a0ab9, 0x2650f61dbdcb3a5b }, { 0x003ca8574804044a, 0x0f5395a57f1e1757 },
    { 0x00171b8ef6dcf571, 0x8bef146fcee6e452 }, { 0x0008671cb6dbfc29, 0x4a286485bf99c764 },
    { 0x0002ec368262c703, 0x3b2f70e09bafec4f }, { 0x0000f96780cb97ab, 0xbe6525a033e54ec5 },
    { 0x00004fcf3374597e, 0xa3539129065ddbc4 }, { 0x0000188e85fc6a4e, 0x59a38f2050ba6b01 },
    { 0x00000746ac70b733, 0xa8c82a6863c5750a },
};

/* 1 / (2k + 1), of z; units of 2^-127 */
static const struct words atan_series[] = {
    { 0x8000000000000000, 0x0000000000000000 }, { 0x2aaaaaaaaaaaaaaa, 0xaaaaaaaaaaaaaaab },
    { 0x1999999999999999, 0x999999999999999a }, { 0x1249249249249249, 0x2492492492492492 },
    { 0x0e38e38e38e38e38, 0xe38e38e38e38e38e }, { 0x0ba2e8ba2e8ba2e8, 0xba2e8ba2e8ba2e8c },
    { 0x09d89d89d89d89d8, 0x9d89d89d89d89d8a }, { 0x0888888888888888, 0x8888888888888889 },
    { 0x0787878787878787, 0x8787878787878788 }, { 0x06bca1af286bca1a, 0xf286bca1af286bca },
    { 0x0618618618618618, 0x6186186186186186 },
};

/* 2 / ln 2 / (2k + 1), of z; units of 2^-126 */
static const struct words log2_series[] = {
    { 0xb8aa3b295c17f0bb, 0xbe87fed0691d3e89 }, { 0x3d8e13b87407fae9, 0x3f82aa45785f14d8 },
    { 0x24eed8a1df37fcf2, 0x594e6629ae9f72e8 }, { 0x1a61762a7aded93f, 0x645c921dc5df9b38 },
    { 0x1484b13d7c02a8f8, 0x6a80e36c7d7506f3 }, { 0x10c9a84994022d28, 0x5723a2cd20d41cf5 },
    { 0x0e347ab4698bb00e, 0x711e274b1bc72c32 }, { 0x0c4f9d8b4a67fefb, 0x731a220de4dfd0f8 },
    { 0x0adcd64dba1f86a1, 0xa1cbc3b1e810c771 }, { 0x09b81e0fa687ff32, 0x4d65793363d91e3d },
    { 0x08cb27637e4a486a, 0x76c98609ec9fde68 }, { 0x080766bf04010a77, 0x77969bc6475a50a2 },
    { 0x0762f8205fd7ff63, 0xab76146ebc864a2e }, { 0x06d6e5bf29563852, 0xce2af6797f270251 },
    { 0x065e2559b3ba3470, 0x67ac69e3e05074ea }, { 0x05f4f9a67ed77b60, 0xe51d294087851289 },
    { 0x05988d6ddc00b9b8, 0x1d0be0ef0af15efc }, { 0x0546b13bb22c91d9, 0x7a78ea05f45febd8 },
    { 0x04fdae926a45d612, 0xe9794c1378766979 }, { 0x04bc28e6cdd93aaf, 0x7b0a0d1909426411 },
};

/* atan(i / 16), units of 2^-127 */
static const struct words atan_steps[] = {
    { 0x0000000000000000, 0x0000000000000000 }, { 0x07fd56edcb3f7a71, 0xb6593c96e071706b },
    { 0x0feadd4d5617b6e3, 0x2c897989f3e888ef }, { 0x17b97b4bce5b0226, 0x8f6169f103938e91 },
    { 0x1f5b75f92c80dd62, 0xadb8f3debef442fd }, { 0x26c4ee6e0fd7979a, 0x716aed26349ebcca },
    { 0x2dec3283c9bde11c, 0xe2a8c848b73f9121 }, { 0x34c9dd879847f96d, 0x909f257a40079c4e },
    { 0x3b58ce0ac3769ed1, 0x5bf9117b2f0ea341 }, { 0x4195fa536cc33f15, 0x25b504e5b0d28ae0 },
    { 0x47802eaf7bfacfcd, 0xae41af0b32e21ba4 }, { 0x4d17c07338deed10, 0x21137c711027f9de },
    { 0x525e3e8c9a7b8492, 0x0cd43f9522bed64f }, { 0x5756261c5a6c6040, 0x0a392f179f290385 },
    { 0x5c029f15e118cf39, 0xe596d2a90852221f }, { 0x606742dc56293320, 0x44eeb16237497d12 },
    { 0x6487ed5110b4611a, 0x62633145c06e0e69 },
};

/* ln 2 in units of 2^-128; pi / 2 and pi in units of 2^-126 */
static const struct words trans_constants[] = {
    { 0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af },
    { 0x6487ed5110b4611a, 0x62633145c06e0e69 },
    { 0xc90fdaa22168c234, 0xc4c6628b80dc1cd1 },
};

#endif
