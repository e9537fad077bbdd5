/*
 * Saved states are complete: a machine that goes on, and one that was made from its saved state,
 * are the same afterwards, byte by byte. SeaBIOS and its option ROMs are the guest; with -icount
 * and the RTC on the virtual clock nothing depends on the host.
 *
 * Besides the saved bytes the devices' structs are compared as they lie in memory: what differs in
 * them and not in two machines that were just made (pointers) is state that no table has.
 */
#include "snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "cpu/state.h"
#include "hw/pci/pci.h"
#include "hw/vga_core.h"
#include "hw/virtio/virtio.h"
#include "machine.h"
#include "options.h"
#include "test.h"

#define MS 1000000ll

struct vga_pci_head {
    struct pci_device pci;
    struct vga vga;
};

struct buffer {
    uint8_t *data;
    size_t len, capacity;
};

static char disk[64];

static bool append(void *opaque, const void *data, size_t len)
{
    struct buffer *b = opaque;
    if (b->len + len > b->capacity) {
        b->capacity = 2 * (b->len + len);
        b->data = realloc(b->data, b->capacity);
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return true;
}

static bool fetch(void *opaque, uint64_t offset, void *buf, size_t len)
{
    memcpy(buf, ((struct buffer *)opaque)->data + offset, len);
    return true;
}

static bool save(struct machine *m, struct buffer *b)
{
    struct error err = { "" };
    b->len = 0;
    return snapshot_save(m, &(struct snapshot_sink){ append, b }, &err) || (puts(err.msg), false);
}

static bool load(struct machine *m, struct buffer *b)
{
    struct error err = { "" };
    return snapshot_load(m, &(struct snapshot_source){ fetch, b->len, b }, &err) ||
           (puts(err.msg), false);
}

static bool make(struct machine_options *opt, struct machine **m, const char *options)
{
    char *argv[64] = { "slipway",     "-icount",  "0",   "-rtc", "base=2020-02-02,clock=vm",
                       "-nodefaults", "-display", "none" };
    int argc = 8;
    struct error err = { "" };
    bool exit_now;
    char *words = strdup(options);
    for (char *w = strtok(words, " "); w && argc < 63; w = strtok(NULL, " "))
        argv[argc++] = w;
    memset(opt, 0, sizeof *opt);
    bool ok = options_parse(opt, argc, argv, &exit_now, &err) && (*m = machine_new(opt, &err));
    if (!ok)
        puts(err.msg);
    free(words);
    return ok;
}

static void stop(void *opaque)
{
    machine_stop(opaque);
}

/* Runs until the virtual time @ns, exactly. */
static void run_until(struct machine *m, int64_t ns)
{
    struct timer t;
    timer_init(&t, &m->clock, stop, m);
    timer_mod(&t, ns);
    machine_start(m);
    while (m->state == RUN_STATE_RUNNING)
        machine_run_slice(m, 10 * MS);
    timer_del(&t);
}

/* Fields and what belongs to the place in memory, to the host or to what follows from the rest. */
static bool is_known(const struct device *d, size_t offset)
{
    if (!strcmp(d->cls->name, "VGA") && offset >= offsetof(struct vga_pci_head, vga.shown))
        return true; /* what is on the surface */
    if (!strncmp(d->cls->name, "virtio-", 7)) {
        size_t config = offsetof(struct virtio_device, config);
        size_t resets = offsetof(struct virtio_device, generation);
        if ((offset + 8 > config && offset < config + 64) || offset / 8 == resets / 8)
            return true; /* the first is filled when it is read, the second only compared */
    }
    for (const struct field *f = d->cls->fields; f && f->name; f++)
        if (f->type == FIELD_TIMER && offset >= f->offset &&
            offset < f->offset + f->count * sizeof(struct timer))
            return true; /* its place in the heap */
    return false;
}

/* Padding of a struct irq, with half of some pointer in it. What is mapped may lie on both sides of
 * a multiple of 4 GB. */
static bool is_half_pointer(const struct machine *m, uint64_t a, uint64_t b)
{
    uint64_t at[] = { (uintptr_t)m, (uintptr_t)m->ram.host, (uintptr_t)&at, (uintptr_t)run_until };
    bool ha = false, hb = false;
    for (int i = 0; i < 4; i++) {
        ha |= (a >> 32) + 1 - (at[i] >> 32) <= 2;
        hb |= (b >> 32) + 1 - (at[i] >> 32) <= 2;
    }
    return ha && hb && (uint32_t)a == (uint32_t)b;
}

/* Where a BAR that is off was. */
static bool is_base(struct machine *m, const struct device *d, size_t offset)
{
    for (int i = 0; i < 256; i++) {
        struct pci_device *p = m->pci->devices[i];
        for (int n = 0; p && &p->dev == d && n < 7; n++)
            if (p->bars[n].region && !p->bars[n].region->enabled &&
                (char *)&p->bars[n].region->base == (char *)d + offset)
                return true;
    }
    return false;
}

/* @a and @b should be equal but for where @x and @y, which are new, differ too. */
static bool same_structs(struct machine *a, struct machine *b, struct machine *x, struct machine *y)
{
    struct device *da = a->devices, *db = b->devices, *dx = x->devices, *dy = y->devices;
    bool same = true;
    for (; da && db && dx && dy; da = da->next, db = db->next, dx = dx->next, dy = dy->next) {
        const uint8_t *pa = (uint8_t *)da, *pb = (uint8_t *)db, *px = (uint8_t *)dx,
                      *py = (uint8_t *)dy;
        for (size_t i = sizeof(struct device); i + 8 <= da->cls->size; i += 8)
            if (memcmp(pa + i, pb + i, 8) && !memcmp(px + i, py + i, 8) && !is_known(da, i)) {
                uint64_t va, vb;
                memcpy(&va, pa + i, 8);
                memcpy(&vb, pb + i, 8);
                if (is_half_pointer(a, va, vb) || is_base(a, da, i))
                    continue;
                printf("%s: bytes %zu-%zu of the struct: %016llx and %016llx\n", da->cls->name, i,
                       i + 7, (unsigned long long)va, (unsigned long long)vb);
                same = false;
            }
    }
    return same;
}

static void report_fields(const char *what, const struct field *f, const void *a, const void *b)
{
    for (; f && f->name; f++) {
        struct field one[2] = { *f, FIELD_END };
        size_t len = fields_save(one, a, NULL, 0), len_b = fields_save(one, b, NULL, 0), i = 0;
        uint8_t *va = malloc(len + 1), *vb = malloc(len_b + 1);
        fields_save(one, a, va, len);
        fields_save(one, b, vb, len_b);
        while (i < len && i < len_b && va[i] == vb[i])
            i++;
        if (i < len || len != len_b)
            printf("  %s: %s, byte %zu: %02x and %02x\n", what, f->name, i, va[i], vb[i]);
        free(va);
        free(vb);
    }
}

/* Which fields of the two differ. */
static void report(struct machine *a, struct machine *b)
{
    report_fields("cpu", cpu_fields, a->cpus[0], b->cpus[0]);
    if (memcmp(a->ram.host, b->ram.host, a->ram.size))
        printf("  RAM\n");
    struct device *da = a->devices, *db = b->devices;
    for (; da && db; da = da->next, db = db->next)
        report_fields(da->cls->name, da->cls->fields, da, db);
}

/* A machine with @options at several times of its boot. */
static bool goes_on_the_same(const char *options)
{
    static const int64_t at_ms[] = { 3, 40, 250 };
    struct machine_options oa, ob, ox, oy;
    struct machine *a = NULL, *b = NULL, *x = NULL, *y = NULL;
    struct buffer state = { 0 }, after_a = { 0 }, after_b = { 0 };
    bool ok = make(&oa, &a, options) && make(&ox, &x, options) && make(&oy, &y, options);
    for (size_t i = 0; ok && i < sizeof at_ms / sizeof at_ms[0]; i++) {
        ok = make(&ob, &b, options);
        run_until(b, 17 * MS); /* other work, to be replaced */
        run_until(a, at_ms[i] * MS);
        ok = ok && save(a, &state) && load(b, &state) && save(b, &after_b);
        if (ok && (state.len != after_b.len || memcmp(state.data, after_b.data, state.len))) {
            printf("%s: at %d ms, right after loading:\n", options, (int)at_ms[i]);
            report(a, b);
            ok = false;
        }
        ok = ok && same_structs(a, b, x, y);
        run_until(a, (at_ms[i] + 30) * MS);
        run_until(b, (at_ms[i] + 30) * MS);
        ok = ok && save(a, &after_a) && save(b, &after_b);
        if (ok && (after_a.len != after_b.len || memcmp(after_a.data, after_b.data, after_a.len))) {
            printf("%s: at %d ms, 30 ms later:\n", options, (int)at_ms[i]);
            report(a, b);
            ok = false;
        }
        ok = ok && same_structs(a, b, x, y);
        machine_free(b);
        options_free(&ob);
    }
    machine_free(a);
    machine_free(x);
    machine_free(y);
    options_free(&oa);
    options_free(&ox);
    options_free(&oy);
    free(state.data);
    free(after_a.data);
    free(after_b.data);
    return ok;
}

static void a_machine_with_disks_goes_on_the_same(void)
{
    char options[512];
    snprintf(
        options, sizeof options,
        "-m 8 -vga std -boot order=cad -fda %s -drive file=%s,format=raw,snapshot=on -cdrom %s "
        "-drive file=%s,format=raw,if=virtio,snapshot=on -serial null",
        disk, disk, disk, disk);
    CHECK(goes_on_the_same(options));
}

static void network_cards_go_on_the_same(void)
{
    static const char *const cards[] = { "e1000",    "virtio-net-pci", "rtl8139",
                                         "ne2k_pci", "pcnet",          "ne2k_isa" };
    for (size_t i = 0; i < sizeof cards / sizeof cards[0]; i++) {
        char options[256];
        snprintf(options, sizeof options,
                 "-m 8 -boot order=n -netdev hubport,id=h,hubid=1 -device %s,netdev=h", cards[i]);
        CHECK(goes_on_the_same(options));
    }
}

static void other_devices_go_on_the_same(void)
{
    CHECK(goes_on_the_same("-m 8 -device virtio-rng-pci -device virtio-serial-pci -device "
                           "isa-debug-exit -device pc-testdev -serial null -serial null"));
}

/* Random bytes in a state whose checksums are right again: the machine may be nonsense then, but
 * nothing of it is a way out of the emulator. SNAPSHOT_FUZZ is the number of rounds. */
static uint32_t crc32_of(const uint8_t *p, size_t len)
{
    uint32_t v = ~0u;
    while (len--) {
        v ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            v = v & 1 ? v >> 1 ^ 0xedb88320u : v >> 1;
    }
    return ~v;
}

static uint32_t random_state = 1;
static uint32_t random32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

static uint32_t le32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

enum { KIND_RAM = 4, HEADER = 16, SECTION = 32 };

/* Changes some bytes of one section and corrects its checksum; or bytes anywhere. */
static void damage(struct buffer *b, const struct buffer *good)
{
    size_t starts[64], count = 0;
    for (size_t at = HEADER; at + SECTION <= good->len && count < 64;) {
        const uint8_t *head = good->data + at;
        if (le32(head) != KIND_RAM && le32(head + 16))
            starts[count++] = at;
        at += SECTION + le32(head + 4) + le32(head + 16) + 4;
    }
    if (random32() % 32 == 0) {
        b->data[random32() % b->len] ^= (uint8_t)(1u << random32() % 8);
        return;
    }
    size_t start = starts[random32() % count];
    uint8_t *p = b->data + start;
    size_t len = SECTION + le32(good->data + start + 4) + le32(good->data + start + 16);
    for (unsigned n = 1 + random32() % 40; n; n--) {
        size_t skip =
            SECTION + le32(good->data + start + 4) + 8; /* the first run of pages is as it was */
        size_t from = random32() % 400 && skip < len ? skip : 0;
        uint8_t *at = p + from + random32() % (len - from);
        static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff, 0xfe };
        *at = random32() % 2 ? values[random32() % 6] : (uint8_t)random32();
    }
    uint32_t crc = crc32_of(p, len);
    for (int i = 0; i < 4; i++)
        p[len + (size_t)i] = (uint8_t)(crc >> (8 * i));
}

static void hostile_states_harm_nobody(void)
{
    static const char *const machines[] = {
        "-m 4 -vga std -netdev hubport,id=h,hubid=1 -device e1000,netdev=h -serial null -device "
        "virtio-serial-pci -device virtio-rng-pci",
        "-m 4 -netdev hubport,id=h,hubid=1 -device rtl8139,netdev=h -netdev "
        "hubport,id=i,hubid=1 -device pcnet,netdev=i -netdev hubport,id=j,hubid=1 -device "
        "ne2k_pci,netdev=j -netdev hubport,id=k,hubid=1 -device virtio-net-pci,netdev=k",
        NULL
    };
    int rounds = getenv("SNAPSHOT_FUZZ") ? atoi(getenv("SNAPSHOT_FUZZ")) : 60;
    char with_disks[512];
    snprintf(with_disks, sizeof with_disks,
             "-m 4 -boot order=cad -fda %s -drive file=%s,format=raw,snapshot=on -cdrom %s -drive "
             "file=%s,format=raw,if=virtio,snapshot=on",
             disk, disk, disk, disk);
    int loaded = 0;
    for (int k = 0; k < 3; k++) {
        struct machine_options opt;
        struct machine *m = NULL;
        struct buffer good = { 0 }, bad = { 0 };
        if (!make(&opt, &m, machines[k] ? machines[k] : with_disks))
            TEST_FAIL_("no machine");
        run_until(m, 60 * MS);
        CHECK(save(m, &good));
        for (int i = 0; i < rounds; i++) {
            struct error err = { "" };
            bad.len = 0;
            append(&bad, good.data, good.len);
            for (unsigned n = 1 + random32() % 3; n; n--)
                damage(&bad, &good);
            bool ok = snapshot_load(m, &(struct snapshot_source){ fetch, bad.len, &bad }, &err);
            CHECK(ok == !err.msg[0]);
            loaded += ok;
            int64_t now = clock_now_ns(&m->clock);
            run_until(m, now + MS / 4);
            m->quit = false;
            machine_reset(m); /* whatever it was */
        }
        CHECK(load(m, &good)); /* and it is still a machine */
        free(good.data);
        free(bad.data);
        machine_free(m);
        options_free(&opt);
    }
    CHECK(loaded > rounds);
}

int main(void)
{
    snprintf(disk, sizeof disk, "/tmp/slipway-test-disk-%d", (int)getpid());
    FILE *f = fopen(disk, "wb");
    if (!f)
        return 1;
    for (int i = 0; i < 1474560; i++)
        fputc(i == 510 ? 0x55 : i == 511 ? 0xaa : i == 0 ? 0xeb : i == 1 ? 0xfe : i % 251, f);
    fclose(f);
    RUN(a_machine_with_disks_goes_on_the_same);
    RUN(network_cards_go_on_the_same);
    RUN(other_devices_go_on_the_same);
    RUN(hostile_states_harm_nobody);
    unlink(disk);
    return test_done();
}
