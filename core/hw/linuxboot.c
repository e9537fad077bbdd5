/*
 * Direct Linux boot, on the emulator's side: takes a bzImage apart as a boot loader does, fills the
 * header fields that a loader must fill, decides where everything goes and leaves the rest to the
 * option ROM.
 *
 *   setup code    0x10000   (protocol < 2.02: 0x90000)
 *   command line  0x20000   (protocol < 2.02: below 0x9a000, as the setup code expects it there)
 *   kernel        0x100000  (zImage: 0x10000)
 *   initrd        as high as the kernel allows, below the firmware's tables
 *
 * Document: Linux, Documentation/x86/boot.rst. Field offsets below are the ones that it gives, from
 * the start of the file.
 */
#include "hw/linuxboot.h"

#include <stdlib.h>
#include <string.h>

#include "hw/fw_cfg.h"
#include "machine.h"
#include "options.h"

enum {
    SETUP_SECTS = 0x1f1,
    SYSSIZE = 0x1f4,
    VID_MODE = 0x1fa,
    BOOT_FLAG = 0x1fe,
    HEADER_MAGIC = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    HEAP_END_PTR = 0x224,
    CMD_LINE_PTR = 0x228,
    INITRD_ADDR_MAX = 0x22c,
    CMDLINE_SIZE = 0x238,
    HEADER_END = 0x250,

    /* The old command line: a magic and an offset in the boot sector. */
    OLD_CMDLINE_MAGIC = 0x20,
    OLD_CMDLINE_OFFSET = 0x22,

    LOADED_HIGH = 0x01,
    CAN_USE_HEAP = 0x80,
    LOADER_UNDEFINED = 0xff,
};

#define SETUP_SECTS_DEFAULT     4
#define INITRD_ADDR_MAX_DEFAULT 0x37ffffffu
#define CMDLINE_SIZE_DEFAULT    255u
#define FIRMWARE_TABLES         0x28000u /* top of low RAM, where the BIOS puts ACPI tables */

struct layout {
    uint32_t setup, cmdline, kernel;
};

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] | (unsigned)p[1] << 8;
}

static void put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v & 0xffff);
    put16(p + 2, v >> 16);
}

bool linuxboot_add_rom(struct fw_cfg *f, const char *name, const uint8_t *rom, size_t size)
{
    char file[56] = "genroms/", path[80] = "/rom@genroms/";
    size_t len;
    strncat(file, name, sizeof file - strlen(file) - 1);
    strncat(path, name, sizeof path - strlen(path) - 1);
    if (!fw_cfg_add_file(f, file, rom, size) || !fw_cfg_add_boot_path(f, 0, path))
        return false;
    uint8_t *p = fw_cfg_find_file(f, file, &len);
    uint8_t sum = 0;
    for (size_t i = 0; i < len - 1; i++)
        sum += p[i];
    p[len - 1] = (uint8_t)-sum;
    return true;
}

/* "vga=ask|extended|normal|NUMBER" on the command line goes into the header, where the setup code
 * looks for it. */
static bool video_mode(const char *cmdline, unsigned *mode)
{
    const char *p = cmdline;
    while ((p = strstr(p, "vga=")) && p != cmdline && p[-1] != ' ')
        p++;
    if (!p)
        return false;
    p += strlen("vga=");
    if (!strncmp(p, "normal", 6))
        *mode = 0xffff;
    else if (!strncmp(p, "ext", 3))
        *mode = 0xfffe;
    else if (!strncmp(p, "ask", 3))
        *mode = 0xfffd;
    else
        *mode = (unsigned)strtoul(p, NULL, 0) & 0xffff;
    return true;
}

/* The highest address where the last byte of an initrd may be. */
static uint32_t initrd_limit(const struct machine *m, const uint8_t *setup, unsigned version)
{
    uint32_t max = version >= 0x203 ? get32(setup + INITRD_ADDR_MAX) : INITRD_ADDR_MAX_DEFAULT;
    uint64_t ram = m->ram_below_4g > FIRMWARE_TABLES ? m->ram_below_4g - FIRMWARE_TABLES : 0;
    return max < ram ? max : (uint32_t)(ram ? ram - 1 : 0);
}

static bool load_initrd(struct machine *m, uint8_t *setup, unsigned version, uint64_t kernel_end,
                        struct error *err)
{
    const char *path = m->opt->initrd;
    size_t size;
    uint8_t *data = machine_read_file(path, &size, err);
    if (!data)
        return error_prepend(err, "initrd");
    uint64_t limit = (uint64_t)initrd_limit(m, setup, version) + 1;
    uint64_t base = size < limit ? (limit - size) & ~0xfffull : 0;
    if (base < kernel_end) {
        free(data);
        return error_set(err,
                         "initrd '%s': %zu bytes don't fit between the kernel and address 0x%llx",
                         path, size, (unsigned long long)limit);
    }
    put32(setup + RAMDISK_IMAGE, (uint32_t)base);
    put32(setup + RAMDISK_SIZE, (uint32_t)size);
    struct fw_cfg *f = m->fw_cfg;
    /* What takes ownership comes first, so that it is called whatever else fails. */
    return (fw_cfg_add_owned(f, FW_CFG_INITRD_DATA, data, size) &&
            fw_cfg_add_u32(f, FW_CFG_INITRD_ADDR, (uint32_t)base) &&
            fw_cfg_add_u32(f, FW_CFG_INITRD_SIZE, (uint32_t)size)) ||
           error_set(err, "initrd '%s': out of memory", path);
}

static struct layout choose_layout(unsigned version, bool high, size_t cmdline_size)
{
    struct layout l = { .setup = 0x10000, .cmdline = 0x20000, .kernel = 0x100000 };
    if (version < 0x202 || !high) {
        l.setup = 0x90000;
        l.cmdline = (uint32_t)((0x9a000 - cmdline_size) & ~(size_t)15);
    }
    if (!high)
        l.kernel = 0x10000;
    return l;
}

static bool load_bzimage(struct machine *m, const uint8_t *image, size_t size, struct error *err)
{
    const char *path = m->opt->kernel;
    const char *cmdline = m->opt->append ? m->opt->append : "";
    size_t cmdline_size = strlen(cmdline) + 1;
    unsigned version = !memcmp(image + HEADER_MAGIC, "HdrS", 4) ? get16(image + VERSION) : 0;
    bool high = version >= 0x200 && (image[LOADFLAGS] & LOADED_HIGH);

    size_t setup_size =
        ((image[SETUP_SECTS] ? image[SETUP_SECTS] : SETUP_SECTS_DEFAULT) + 1u) * 512u;
    if (setup_size >= size)
        return error_set(err, "kernel '%s': truncated: %zu bytes of setup code and a file of %zu",
                         path, setup_size, size);
    size_t kernel_size = size - setup_size;
    uint64_t declared =
        (version >= 0x204 ? get32(image + SYSSIZE) : get16(image + SYSSIZE)) * 16ull;
    if (declared > ((uint64_t)kernel_size + 15) / 16 * 16)
        return error_set(
            err,
            "kernel '%s': truncated: its header promises %llu bytes after the setup code, "
            "%zu are there",
            path, (unsigned long long)declared, kernel_size);

    uint32_t cmdline_max = version >= 0x206 ? get32(image + CMDLINE_SIZE) : CMDLINE_SIZE_DEFAULT;
    if (cmdline_size - 1 > cmdline_max)
        return error_set(err, "append: %zu characters, the kernel '%s' takes %u", cmdline_size - 1,
                         path, cmdline_max);
    struct layout l = choose_layout(version, high, cmdline_size);
    uint64_t kernel_end = (uint64_t)l.kernel + kernel_size;
    uint64_t kernel_max = high ? m->ram_below_4g : 0x90000;
    if (kernel_end > kernel_max)
        return error_set(err, "kernel '%s': %zu bytes don't fit below address 0x%llx", path,
                         kernel_size, (unsigned long long)kernel_max);

    uint8_t *setup = malloc(setup_size < HEADER_END ? HEADER_END : setup_size);
    if (!setup)
        return error_set(err, "kernel '%s': out of memory", path);
    memcpy(setup, image, setup_size);
    unsigned mode;
    if (video_mode(cmdline, &mode))
        put16(setup + VID_MODE, mode);
    if (version >= 0x200)
        setup[TYPE_OF_LOADER] = LOADER_UNDEFINED;
    if (version >= 0x201) {
        setup[LOADFLAGS] |= CAN_USE_HEAP;
        put16(setup + HEAP_END_PTR, l.cmdline - l.setup - 0x200);
    }
    if (version >= 0x202) {
        put32(setup + CMD_LINE_PTR, l.cmdline);
    } else {
        put16(setup + OLD_CMDLINE_MAGIC, 0xa33f);
        put16(setup + OLD_CMDLINE_OFFSET, l.cmdline - l.setup);
    }
    bool ok = true;
    if (m->opt->initrd) {
        if (version < 0x200)
            ok = error_set(err, "initrd: the kernel '%s' is too old for one", path);
        else
            ok = load_initrd(m, setup, version, kernel_end, err);
    }
    if (!ok) {
        free(setup);
        return false;
    }

    struct fw_cfg *f = m->fw_cfg;
    ok = fw_cfg_add_owned(f, FW_CFG_SETUP_DATA, setup, setup_size) &&
         fw_cfg_add_u32(f, FW_CFG_CMDLINE_ADDR, l.cmdline) &&
         fw_cfg_add_u32(f, FW_CFG_CMDLINE_SIZE, (uint32_t)cmdline_size) &&
         fw_cfg_add(f, FW_CFG_CMDLINE_DATA, cmdline, cmdline_size) &&
         fw_cfg_add_u32(f, FW_CFG_KERNEL_ADDR, l.kernel) &&
         fw_cfg_add_u32(f, FW_CFG_KERNEL_SIZE, (uint32_t)kernel_size) &&
         fw_cfg_add(f, FW_CFG_KERNEL_DATA, image + setup_size, kernel_size) &&
         fw_cfg_add_u32(f, FW_CFG_SETUP_ADDR, l.setup) &&
         fw_cfg_add_u32(f, FW_CFG_SETUP_SIZE, (uint32_t)setup_size) &&
         linuxboot_add_rom(f, "linuxboot_dma.bin", linuxboot_rom, linuxboot_rom_size);
    return ok || error_set(err, "kernel '%s': out of memory", path);
}

/* A boot sector signature and, so that any floppy image doesn't pass, the header's magic. */
static bool is_bzimage(const uint8_t *image, size_t size)
{
    return size >= HEADER_END && get16(image + BOOT_FLAG) == 0xaa55 &&
           !memcmp(image + HEADER_MAGIC, "HdrS", 4);
}

static bool not_a_kernel(const char *path, const uint8_t *image, size_t size, struct error *err)
{
    const char *why = "no header of either kind";
    if (size == 0)
        why = "the file is empty";
    else if (size < HEADER_END)
        why = "the file is too short for a header";
    else if (size >= 4 && !memcmp(image, "\177ELF", 4))
        why = "an ELF file without multiboot header (a vmlinux? use the bzImage)";
    else if (image[0] == 0x1f && image[1] == 0x8b)
        why = "a gzip file: unpack it first";
    return error_set(err, "kernel '%s': not a Linux bzImage or multiboot image: %s", path, why);
}

bool linuxboot_load(struct machine *m, struct error *err)
{
    const char *path = m->opt->kernel;
    size_t size, header;
    uint8_t *image = machine_read_file(path, &size, err);
    if (!image)
        return error_prepend(err, "kernel");
    bool ok;
    if (is_bzimage(image, size))
        ok = load_bzimage(m, image, size, err);
    else if (multiboot_find_header(image, size, &header))
        ok = multiboot_load(m, image, size, header, err);
    else
        ok = not_a_kernel(path, image, size, err);
    free(image);
    return ok;
}
