/*
 * Fuzzer of the whole board: a machine with everything that -device and -drive can give it, and a
 * processor that halts, gets random port and memory-mapped accesses, PCI configuration and DMA-able
 * memory full of pointers into itself. Between them its timers and bottom halves run. Nothing is
 * checked but that it goes on: sanitizers find wrong accesses, and an alarm what never returns.
 *
 * Accesses mix three kinds of addresses: any at all, a random place of a random range of the
 * machine's flat view, and the place of an access before it or near it, so that index and data
 * registers, commands and their arguments meet.
 *
 * Usage: board_fuzz [accesses [seed]]. With a seed of 0 the time is the seed.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hw/pci/pci.h"
#include "machine.h"
#include "options.h"
#include "ui/display.h"

#define RAM_SIZE     (16u << 20)
#define HANG_S       20
#define SLICE_NS     20000
#define ROUND        20000 /* accesses to one machine */
#define NEAR_PORTS   64
#define CONFIG_PORT  0xcf8u
#define CONFIG_DATA  0xcfcu
#define COMMAND_ALL  0x0007u /* I/O, memory, bus master */
#define DISK_BYTES   (1u << 20)
#define FLOPPY_BYTES 1474560u

static uint64_t random_state;
static struct machine_options opt;
static struct machine *m;
static char directory[] = "/tmp/slipway-board-fuzz-XXXXXX";
static uint64_t recent[NEAR_PORTS];
static unsigned recent_count;

static uint32_t random32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}
static uint32_t below(uint32_t n)
{
    return random32() % n;
}

/* Numbers that mean something to a device: small, single bits, all ones, addresses in RAM. */
static uint64_t random_value(void)
{
    switch (below(8)) {
    case 0: return below(4);
    case 1: return below(256);
    case 2: return 1ull << below(64);
    case 3: return ~0ull << below(64);
    case 4: return below(RAM_SIZE) & ~0xfffull;
    case 5: return below(RAM_SIZE) | (uint64_t)below(RAM_SIZE) << 32;
    case 6: return RAM_SIZE - below(64);
    default: return (uint64_t)random32() << 32 | random32();
    }
}

static void fill_memory(void)
{
    uint64_t addr = (uint64_t)below(RAM_SIZE) & (below(2) ? ~0xfffull : ~7ull);
    for (unsigned i = 0, n = 1 + below(256); i < n; i++)
        mem_write(&m->mem, addr + 4ull * i, random_value() & 0xffffffff, 4);
}

/* ---- the machine ---- */

static bool make_file(const char *name, size_t size, int byte)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "wb");
    for (size_t i = 0; f && i < size; i++)
        fputc(byte, f);
    return f && fclose(f) == 0;
}

static bool build(void)
{
    static char bios[64], hd[96], cd[96], fd[96], vd[96];
    snprintf(bios, sizeof bios, "%s/bios", directory);
    snprintf(hd, sizeof hd, "file=%s/hd,format=raw,snapshot=on,index=0", directory);
    snprintf(cd, sizeof cd, "file=%s/hd,format=raw,media=cdrom,index=2", directory);
    snprintf(fd, sizeof fd, "file=%s/fd,format=raw,if=floppy,snapshot=on", directory);
    snprintf(vd, sizeof vd, "file=%s/hd,format=raw,if=none,id=vd,snapshot=on", directory);
    char *argv[] = { "slipway",
                     "-m",
                     "16",
                     "-bios",
                     bios,
                     "-display",
                     "none",
                     "-monitor",
                     "none",
                     "-icount",
                     "shift=0",
                     "-serial",
                     "null",
                     "-serial",
                     "null",
                     "-drive",
                     hd,
                     "-drive",
                     cd,
                     "-drive",
                     fd,
                     "-drive",
                     vd,
                     "-chardev",
                     "null,id=c",
                     "-device",
                     "virtio-blk-pci,drive=vd",
                     "-device",
                     "virtio-rng-pci",
                     "-device",
                     "virtio-serial-pci,max_ports=2",
                     "-device",
                     "virtconsole,chardev=c",
                     "-device",
                     "virtserialport,name=p",
                     "-device",
                     "virtio-rng-pci,disable-legacy=on",
                     "-device",
                     "virtio-keyboard-pci",
                     "-device",
                     "virtio-mouse-pci",
                     "-device",
                     "virtio-tablet-pci",
                     "-audiodev",
                     "none,id=a",
                     "-machine",
                     "pcspk-audiodev=a",
                     "-device",
                     "AC97" };
    struct error err = { "" };
    bool exit_now;
    memset(&opt, 0, sizeof opt);
    if (options_parse(&opt, (int)(sizeof argv / sizeof argv[0]), argv, &exit_now, &err))
        m = machine_new(&opt, &err);
    if (!m) {
        printf("%s\n", err.msg);
        return false;
    }
    machine_start(m);
    return true;
}

static void tear_down(void)
{
    machine_free(m);
    m = NULL;
    options_free(&opt);
}

/* ---- accesses ---- */

static uint64_t random_address(struct mem_space *s)
{
    if (recent_count && below(4)) {
        uint64_t at = recent[below(recent_count)];
        return (at + (below(3) ? 0 : below(16))) & (s->size - 1);
    }
    uint64_t addr = random_value() & (s->size - 1);
    if (s->flat_count && below(8)) {
        const struct mem_range *r = &s->flat[below((uint32_t)s->flat_count)];
        if (r->region->kind != MEM_RAM || below(32) == 0) {
            uint64_t len = r->last - r->first + 1, at = below(2) ? below(256) : random_value();
            addr = r->first + at % len;
        }
    }
    recent[recent_count < NEAR_PORTS ? recent_count++ : below(NEAR_PORTS)] = addr;
    return addr;
}

static void access_space(struct mem_space *s, unsigned largest)
{
    uint64_t addr = random_address(s);
    unsigned size = 1u << below(largest);
    if (below(3))
        mem_write(s, addr, random_value(), size);
    else
        mem_read(s, addr, size);
}

/* Through 0xcf8/0xcfc, to a device that is there; often to switch it on. */
static void configure(void)
{
    const struct pci_device *d = m->pci->devices[below(256)];
    for (unsigned i = 0; i < 256 && !d; i++)
        d = m->pci->devices[below(64)];
    if (!d)
        return;
    uint32_t reg = below(4) ? 4 * below(16) : 4 * below(64), value = (uint32_t)random_value();
    if (below(3) == 0) {
        reg = PCI_COMMAND;
        value = COMMAND_ALL;
    }
    mem_write(&m->io, CONFIG_PORT, 0x80000000u | (uint32_t)d->devfn << 8 | reg, 4);
    mem_write(&m->io, CONFIG_DATA + (below(4) ? 0 : below(4)), value, 1u << below(3));
}

/* The processor stays halted: programs of random bytes are other tests' business, and slow. */
static void run(void)
{
    struct cpu *c = m->cpus[0];
    cpu_lower_intr(c, CPU_INTR_NMI | CPU_INTR_SMI | CPU_INTR_INIT | CPU_INTR_SIPI);
    c->halted = true;
    machine_run_slice(m, SLICE_NS);
    if (m->quit || m->state != RUN_STATE_RUNNING) {
        m->quit = false;
        machine_start(m);
    }
}

/* Somebody at keyboard and mouse. */
static void use(void)
{
    int x = (int)random_value(), y = (int)random_value(), wheel = (int)below(5) - 2;
    switch (below(3)) {
    case 0: input_key(m, (uint8_t)below(256), below(2)); break;
    case 1: input_pointer_rel(m, x, y, wheel, below(256)); break;
    default: input_pointer_abs(m, x, y, wheel, below(256)); break;
    }
}

static void one_round(uint64_t accesses)
{
    recent_count = 0;
    for (uint64_t i = 0; i < accesses; i++) {
        if (i % 1000 == 0)
            alarm(HANG_S);
        unsigned what = below(64);
        if (what < 2)
            fill_memory();
        else if (what < 5)
            configure();
        else if (what < 9)
            run();
        else if (what < 10)
            use();
        else if (what < 40)
            access_space(&m->io, 3);
        else
            access_space(&m->mem, 4);
    }
}

int main(int argc, char **argv)
{
    uint64_t accesses = argc > 1 ? strtoull(argv[1], NULL, 0) : 2000000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    if (!seed)
        seed = (uint64_t)time(NULL);
    if (!mkdtemp(directory) || !make_file("bios", 65536, 0xf4) ||
        !make_file("hd", DISK_BYTES, 0x5a) || !make_file("fd", FLOPPY_BYTES, 0xf6))
        return 1;
    bool ok = true;
    for (uint64_t done = 0; ok && done < accesses; done += ROUND) {
        random_state = (seed + done / ROUND) * 0x9e3779b97f4a7c15ull | 1;
        ok = build();
        if (ok) {
            one_round(accesses - done < ROUND ? accesses - done : ROUND);
            tear_down();
        }
    }
    static const char *const files[] = { "bios", "hd", "fd" };
    for (unsigned i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
    printf("%llu accesses, seed %llu\n", (unsigned long long)accesses, (unsigned long long)seed);
    return !ok;
}
