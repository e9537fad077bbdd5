/*
 * -kernel: what bzImages and multiboot images become, and the messages for files that are neither.
 */
#include "hw/linuxboot.h"

#include <stdlib.h>
#include <unistd.h>

#include "hw/fw_cfg.h"
#include "machine.h"
#include "options.h"
#include "test.h"

static struct machine m;
static struct machine_options opt;
static struct error err;
static uint8_t image[128 << 10];
static char dir[64], kernel[96], initrd[96];

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static bool write_file(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    return f && fwrite(data, 1, len, f) == len && fclose(f) == 0;
}

/* Loads image[0..len) as the kernel of a machine with 64 MB. */
static bool load(size_t len, const char *append, const char *initrd_spec)
{
    memset(&m, 0, sizeof m);
    memset(&opt, 0, sizeof opt);
    memset(&err, 0, sizeof err);
    mem_space_init(&m.mem, "memory", 1ull << 36);
    mem_space_init(&m.io, "I/O", 0x10000);
    m.opt = &opt;
    m.ram_below_4g = 64 << 20;
    opt.kernel = kernel;
    opt.append = (char *)append;
    opt.initrd = (char *)initrd_spec;
    m.fw_cfg = fw_cfg_new(&m);
    return m.fw_cfg && write_file(kernel, image, len) && linuxboot_load(&m, &err);
}

static void unload(void)
{
    struct device *d = m.devices;
    m.devices = NULL;
    device_free(d);
    mem_space_free(&m.mem);
    mem_space_free(&m.io);
}

static uint32_t item32(uint16_t key, uint32_t offset)
{
    uint32_t v = 0;
    mem_write(&m.io, 0x510, key, 2);
    while (offset--)
        mem_read(&m.io, 0x511, 1);
    for (int i = 0; i < 4; i++)
        v |= (uint32_t)mem_read(&m.io, 0x511, 1) << (8 * i);
    return v;
}

/* 2 sectors of setup and 4000 bytes of kernel, protocol 2.12. */
static size_t make_bzimage(void)
{
    memset(image, 0, sizeof image);
    image[0x1f1] = 1;
    put32(image + 0x1f4, 4000 / 16);
    image[0x1fe] = 0x55;
    image[0x1ff] = 0xaa;
    memcpy(image + 0x202, "HdrS", 4);
    image[0x206] = 0x0c;
    image[0x207] = 0x02;
    image[0x211] = 1;
    put32(image + 0x22c, 0x7fffffff);
    put32(image + 0x238, 2047);
    memset(image + 1024, 0xcc, 4000);
    return 1024 + 4000;
}

static void a_bzimage_is_taken_apart(void)
{
    size_t n = make_bzimage(), len;
    CHECK(write_file(initrd, image, 5000));
    bool ok = load(n, "console=ttyS0 vga=0x123", initrd);
    CHECK_STR(err.msg, "");
    CHECK(ok);
    CHECK_EQ(item32(FW_CFG_SETUP_ADDR, 0), 0x10000);
    CHECK_EQ(item32(FW_CFG_SETUP_SIZE, 0), 1024);
    CHECK_EQ(item32(FW_CFG_KERNEL_ADDR, 0), 0x100000);
    CHECK_EQ(item32(FW_CFG_KERNEL_SIZE, 0), 4000);
    CHECK_EQ(item32(FW_CFG_KERNEL_DATA, 3996), 0xcccccccc);
    CHECK_EQ(item32(FW_CFG_CMDLINE_SIZE, 0), 24);
    CHECK_EQ(item32(FW_CFG_CMDLINE_DATA, 0), 0x736e6f63); /* "cons" */
    CHECK_EQ(item32(FW_CFG_SETUP_DATA, 0x228), 0x20000);
    CHECK_EQ(item32(FW_CFG_SETUP_DATA, 0x210) & 0xffff, 0x81ff);
    CHECK_EQ(item32(FW_CFG_SETUP_DATA, 0x224) & 0xffff, 0xfe00);
    CHECK_EQ(item32(FW_CFG_SETUP_DATA, 0x1fa) & 0xffff, 0x123);
    uint32_t at = item32(FW_CFG_INITRD_ADDR, 0);
    CHECK_EQ(at & 0xfff, 0);
    CHECK(at > (60 << 20) && at + 5000 <= (64 << 20) - 0x28000);
    CHECK_EQ(item32(FW_CFG_SETUP_DATA, 0x218), at);
    CHECK_EQ(item32(FW_CFG_SETUP_DATA, 0x21c), 5000);
    uint8_t *rom = fw_cfg_find_file(m.fw_cfg, "genroms/linuxboot_dma.bin", &len);
    CHECK(rom && len == 1024 && rom[0] == 0x55 && rom[1] == 0xaa && rom[2] == 2);
    uint8_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += rom[i];
    CHECK_EQ(sum, 0);
    CHECK_STR((char *)fw_cfg_find_file(m.fw_cfg, "bootorder", &len),
              "/rom@genroms/linuxboot_dma.bin");
    unload();
}

static void an_old_zimage_goes_low(void)
{
    size_t n = make_bzimage();
    image[0x206] = 1;
    image[0x211] = 0;
    CHECK(load(n, "ro", NULL));
    CHECK_EQ(item32(FW_CFG_SETUP_ADDR, 0), 0x90000);
    CHECK_EQ(item32(FW_CFG_KERNEL_ADDR, 0), 0x10000);
    CHECK_EQ(item32(FW_CFG_CMDLINE_ADDR, 0), 0x99ff0);
    CHECK_EQ(item32(FW_CFG_SETUP_DATA, 0x20), 0x9ff0a33f);
    unload();
}

static void refused(size_t len, const char *append, const char *initrd_spec, const char *want)
{
    bool ok = load(len, append, initrd_spec);
    unload();
    if (ok || !strstr(err.msg, want)) {
        test_failures++;
        printf("%s: got '%s', expected '%s'\n", test_case, ok ? "success" : err.msg, want);
    }
}

static void bad_kernels_get_a_clear_message(void)
{
    char long_line[3000];
    size_t n = make_bzimage();
    refused(n - 500, NULL, NULL,
            "truncated: its header promises 4000 bytes after the setup code, 3500 are");
    refused(1024, NULL, NULL, "truncated: 1024 bytes of setup code and a file of 1024");
    refused(n, NULL, "/nonexistent", "initrd: /nonexistent: No such file or directory");
    memset(long_line, 'x', sizeof long_line - 1);
    long_line[sizeof long_line - 1] = 0;
    refused(n, long_line, NULL, "append: 2999 characters, the kernel");
    refused(100, NULL, NULL, "not a Linux bzImage or multiboot image: the file is too short");
    refused(0, NULL, NULL, "not a Linux bzImage or multiboot image: the file is empty");
    memset(image, 0x5a, sizeof image);
    refused(sizeof image, NULL, NULL, "not a Linux bzImage or multiboot image: no header");
    memcpy(image, "\177ELF", 4);
    refused(sizeof image, NULL, NULL, "ELF file without multiboot header");
    memcpy(image, "\x1f\x8b\x08", 3);
    refused(sizeof image, NULL, NULL, "a gzip file");
    opt.kernel = NULL;
}

static void an_initrd_that_does_not_fit_is_refused(void)
{
    size_t n = make_bzimage();
    put32(image + 0x22c, 0x101fff);
    CHECK(write_file(initrd, image, 8000));
    refused(n, NULL, initrd, "bytes don't fit between the kernel and address 0x102000");
}

static size_t make_multiboot(uint32_t flags)
{
    memset(image, 0, sizeof image);
    uint32_t *h = (uint32_t *)(void *)(image + 16);
    put32((uint8_t *)h, 0x1badb002);
    put32((uint8_t *)h + 4, flags);
    put32((uint8_t *)h + 8, -(0x1badb002 + flags));
    put32((uint8_t *)h + 12, 0x200010); /* header */
    put32((uint8_t *)h + 16, 0x200000); /* load */
    put32((uint8_t *)h + 20, 0x201000); /* load end */
    put32((uint8_t *)h + 24, 0x203000); /* BSS end */
    put32((uint8_t *)h + 28, 0x200040); /* entry */
    memset(image + 48, 0xaa, 0x1000 - 48);
    return 0x1000;
}

static void a_multiboot_image_with_addresses_loads_with_modules(void)
{
    char modules[256];
    size_t n = make_multiboot(0x10003), len;
    CHECK(write_file(initrd, "MODULE", 6));
    snprintf(modules, sizeof modules, "%s one,%s", initrd, initrd);
    bool ok = load(n, "arg", modules);
    CHECK_STR(err.msg, "");
    CHECK(ok);
    CHECK_EQ(item32(FW_CFG_KERNEL_ADDR, 0), 0x200000);
    CHECK_EQ(item32(FW_CFG_KERNEL_ENTRY, 0), 0x200040);
    CHECK_EQ(item32(FW_CFG_KERNEL_SIZE, 0), 0x4006);
    CHECK_EQ(item32(FW_CFG_KERNEL_DATA, 0xffc), 0xaaaaaaaa);
    CHECK_EQ(item32(FW_CFG_KERNEL_DATA, 0x1000), 0);
    CHECK_EQ(item32(FW_CFG_KERNEL_DATA, 0x3000), 0x55444f4d); /* "MODU" */
    CHECK_EQ(item32(FW_CFG_KERNEL_DATA, 0x4000), 0x55444f4d);
    uint32_t info = item32(FW_CFG_INITRD_ADDR, 0);
    uint32_t info_size = item32(FW_CFG_INITRD_SIZE, 0);
    CHECK_EQ(info & 15, 0);
    CHECK_EQ(info + info_size, 0x98000);
    CHECK_EQ(item32(FW_CFG_INITRD_DATA, 0), 0x24f);
    CHECK_EQ(item32(FW_CFG_INITRD_DATA, 20), 2);
    uint32_t list = item32(FW_CFG_INITRD_DATA, 24) - info;
    CHECK_EQ(item32(FW_CFG_INITRD_DATA, list), 0x203000);
    CHECK_EQ(item32(FW_CFG_INITRD_DATA, list + 4), 0x203006);
    CHECK_EQ(item32(FW_CFG_INITRD_DATA, list + 16), 0x204000);
    CHECK(fw_cfg_find_file(m.fw_cfg, "genroms/multiboot_dma.bin", &len));
    unload();
}

/* 4 KB from @base on, BSS until @end, one module. */
static bool load_multiboot_at(uint32_t base, uint32_t end)
{
    size_t n = make_multiboot(0x10003);
    static const uint32_t addresses[] = { 0x10, 0, 0x1000, 0x3000, 0x40 };
    for (int i = 0; i < 5; i++)
        put32(image + 28 + 4 * i, base + addresses[i]);
    put32(image + 40, end);
    return load(n, "arg", initrd);
}

static void a_multiboot_image_may_lie_anywhere_in_low_memory(void)
{
    static const struct {
        uint32_t base, end;
    } places[] = { { 0, 0x2000 },         { 0x8000, 0xb000 },   { 0x8000, 0x90000 },
                   { 0x9000, 0x97000 },   { 0x90000, 0x9f000 }, { 0x20000, 0x300000 },
                   { 0x100000, 0x300000 } };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint32_t base = places[i].base;
        bool ok = load_multiboot_at(base, places[i].end);
        CHECK_STR(err.msg, "");
        CHECK(ok);
        CHECK_EQ(item32(FW_CFG_KERNEL_ADDR, 0), base);
        uint32_t info = item32(FW_CFG_INITRD_ADDR, 0), size = item32(FW_CFG_INITRD_SIZE, 0);
        CHECK(info >= 0x1000 && info + size <= 0x98000 && size > 0x1000);
        CHECK(info + size <= base || info >= base + item32(FW_CFG_KERNEL_SIZE, 0));
        uint32_t cmdline = item32(FW_CFG_INITRD_DATA, 16) - info;
        uint32_t module = item32(FW_CFG_INITRD_DATA, 24) - info;
        uint32_t string = item32(FW_CFG_INITRD_DATA, module + 8) - info;
        CHECK_EQ(item32(FW_CFG_INITRD_DATA, cmdline), 0x706d742f); /* "/tmp" */
        CHECK_EQ(item32(FW_CFG_INITRD_DATA, string), 0x706d742f);
        unload();
    }
    CHECK(!load_multiboot_at(0xc0000, 0xd0000));
    CHECK(strstr(err.msg, "it loads to 0xc0000, where there is no RAM"));
    unload();
    CHECK(!load_multiboot_at(0x1000, 0x98000));
    CHECK(strstr(err.msg, "it loads to 0x1000-0x98006, which leaves no room below 640 KB"));
    unload();
}

static void a_multiboot_elf_loads_by_its_segments(void)
{
    memset(image, 0, sizeof image);
    memcpy(image, "\177ELF\1\1\1", 7);
    image[16] = 2;
    image[18] = 3;
    put32(image + 24, 0xc0100020); /* entry, virtual */
    put32(image + 28, 52);
    image[42] = 32;
    image[44] = 2;
    uint8_t *p = image + 52;
    put32(p, 1);
    put32(p + 4, 0x1000);
    put32(p + 8, 0xc0100000);
    put32(p + 12, 0x100000);
    put32(p + 16, 0x800);
    put32(p + 20, 0x1800);
    p += 32;
    put32(p, 1);
    put32(p + 4, 0x1800);
    put32(p + 8, 0xc0110000);
    put32(p + 12, 0x110000);
    put32(p + 16, 4);
    put32(p + 20, 4);
    put32(image + 0x1000, 0x1badb002);
    put32(image + 0x1008, -0x1badb002u);
    put32(image + 0x1800, 0x12345678);
    bool ok = load(0x1804, NULL, NULL);
    CHECK_STR(err.msg, "");
    CHECK(ok);
    CHECK_EQ(item32(FW_CFG_KERNEL_ADDR, 0), 0x100000);
    CHECK_EQ(item32(FW_CFG_KERNEL_ENTRY, 0), 0x100020);
    CHECK_EQ(item32(FW_CFG_KERNEL_SIZE, 0), 0x10004);
    CHECK_EQ(item32(FW_CFG_KERNEL_DATA, 0), 0x1badb002);
    CHECK_EQ(item32(FW_CFG_KERNEL_DATA, 0x10000), 0x12345678);
    unload();
    refused(0x1802, NULL, NULL, "truncated: segment 1 is beyond the end");
    put32(image + 52 + 20, 0xfff00000);
    refused(0x1804, NULL, NULL, "it needs memory up to address 0x100000000");
    put32(image + 52 + 20, 0x1800);
    image[4] = 2;
    refused(0x1804, NULL, NULL, "must be a 32-bit i386 ELF");
    image[4] = 1;
    put32(image + 28, 0xfffffff0);
    refused(0x1804, NULL, NULL, "program headers are beyond the end");
}

static void bad_multiboot_headers_are_refused(void)
{
    size_t n = make_multiboot(0x10003);
    refused(40, NULL, NULL, "truncated in the multiboot header");
    refused(0xf00, NULL, NULL, "truncated: the multiboot header promises 4096 bytes");
    put32(image + 16 + 16, 0x1000);
    refused(n, NULL, NULL, "load address 0x1000 is wrong");
    n = make_multiboot(0x1000b);
    refused(n, NULL, NULL, "multiboot features 0xb");
    n = make_multiboot(3);
    refused(n, NULL, NULL, "the file is no ELF file");
}

/* Any bytes: an error or a machine, never a crash. */
static void garbage_is_survived(void)
{
    srand(11);
    for (int i = 0; i < 500; i++) {
        size_t n = i % 3 == 0 ? make_bzimage() : make_multiboot(i % 3 == 1 ? 0x10003 : 3);
        if (i % 3 == 2) {
            memcpy(image, "\177ELF\1\1\1", 7);
            image[18] = 3;
            image[28] = 52;
            image[42] = 32;
            image[44] = 1;
            image[52] = 1;
        }
        for (int k = 0; k < 12; k++)
            image[(unsigned)rand() % (i % 3 == 0 ? 0x260 : 84)] =
                (uint8_t)(rand() % 7 ? rand() : 0xff);
        load(n - (unsigned)rand() % n * (unsigned)(rand() & 1), "x", NULL);
        unload();
    }
}

int main(void)
{
    snprintf(dir, sizeof dir, "/tmp/slipway-linuxboot-XXXXXX");
    if (!mkdtemp(dir))
        return 1;
    snprintf(kernel, sizeof kernel, "%s/kernel", dir);
    snprintf(initrd, sizeof initrd, "%s/initrd", dir);
    RUN(a_bzimage_is_taken_apart);
    RUN(an_old_zimage_goes_low);
    RUN(bad_kernels_get_a_clear_message);
    RUN(an_initrd_that_does_not_fit_is_refused);
    RUN(a_multiboot_image_with_addresses_loads_with_modules);
    RUN(a_multiboot_image_may_lie_anywhere_in_low_memory);
    RUN(a_multiboot_elf_loads_by_its_segments);
    RUN(bad_multiboot_headers_are_refused);
    RUN(garbage_is_survived);
    unlink(kernel);
    unlink(initrd);
    rmdir(dir);
    return test_done();
}
