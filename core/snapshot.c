/*
 * Saving and loading a machine (docs/snapshots.md).
 *
 * A stream is a header and sections in a fixed order, each with a name, a length and a CRC-32. The
 * first section describes the machine in text: RAM, processor, drives, devices in order. Loading
 * makes the same text of its own machine, and if they are equal, both agree on all that follows. So
 * walk() knows which section comes next and how long it has to be; it runs twice, first to check
 * everything, then to apply it. What needs memory is allocated between the two.
 *
 * Contents are stored by pages: runs of pages that aren't all zeros.
 *
 * Applying: the old state's work is brought to an end (quiesce), then clock, RAM, CPU and the
 * devices are loaded, each device by its table and its post_load(). While they are loaded, devices
 * drive their lines, which may make edges that never were; so the interrupt controllers' tables and
 * the CPU's are loaded once more at the end.
 */
#include "snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "clock.h"
#include "cpu/state.h"
#include "hw/pci/pci.h"
#include "machine.h"
#include "monitor/text.h"
#include "net/net_impl.h"

#define MAGIC        "SLIPSNAP"
#define VERSION      1u
#define HEADER_SIZE  16u /* magic, version, 0 */
#define SECTION_SIZE 32u /* kind, length of the name, raw length, stored length, CRC, 0 */
#define RUN_SIZE     8u  /* first page, pages */
#define PAGE         4096u
#define PIECE        65536u
#define LATEST_NS    (1ll << 61) /* a machine's clock doesn't come that far */
#define CLOCK_SIZE   16u
#define QUIET_ROUNDS 1000 /* of bottom halves; what goes on after that never ends */

enum kind {
    KIND_MACHINE = 1,
    KIND_CLOCK,
    KIND_CPU,
    KIND_RAM,
    KIND_DEVICE,
    KIND_MSIX,
    KIND_OVERLAY,
    KIND_END
};

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static void put64(uint8_t *p, uint64_t v)
{
    put32(p, (uint32_t)v);
    put32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t get32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

/* CRC-32 as in IEEE 802.3, eight bytes a step ("slicing by 8"). */
struct crc {
    uint32_t table[8][256];
    uint32_t value;
};

static void crc_init(struct crc *c)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int bit = 0; bit < 8; bit++)
            v = v & 1 ? v >> 1 ^ 0xedb88320u : v >> 1;
        c->table[0][i] = v;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            c->table[k][i] = c->table[k - 1][i] >> 8 ^ c->table[0][c->table[k - 1][i] & 0xff];
    c->value = ~0u;
}

static void crc_add(struct crc *c, const uint8_t *p, size_t len)
{
    uint32_t v = c->value;
    for (; len >= 8; len -= 8, p += 8) {
        uint32_t a = get32(p) ^ v, b = get32(p + 4);
        v = c->table[7][a & 0xff] ^ c->table[6][a >> 8 & 0xff] ^ c->table[5][a >> 16 & 0xff] ^
            c->table[4][a >> 24] ^ c->table[3][b & 0xff] ^ c->table[2][b >> 8 & 0xff] ^
            c->table[1][b >> 16 & 0xff] ^ c->table[0][b >> 24];
    }
    while (len--)
        v = v >> 8 ^ c->table[0][(v ^ *p++) & 0xff];
    c->value = v;
}

/* ---- the machine in words ---- */

/* What a snapshot and the machine that it is loaded into must have in common, a line each. */
static void describe(struct machine *m, struct text *t)
{
    const struct cpu *c = m->cpus[0];
    text_printf(t, "ram %llu\ncpu %s", (unsigned long long)m->ram.size, c->model_id);
    for (size_t i = 0; i < sizeof c->cpuid_word / sizeof c->cpuid_word[0]; i++)
        text_printf(t, " %x", (unsigned)c->cpuid_word[i]);
    text_puts(t, "\n");
    for (const struct drive *d = m->drives; d; d = d->next)
        text_printf(t, "drive %s %llu\n", d->name,
                    d->blk ? (unsigned long long)blk_size(d->blk) : 0ull);
    for (const struct device *d = m->devices; d; d = d->next)
        text_printf(t, "device %s %s %s %zu\n", d->cls->name, d->addr ? d->addr : "-",
                    d->id ? d->id : "-", device_save(d, NULL, 0));
}

/* The first line in which they differ. */
static bool another_machine(const char *theirs, const char *ours, struct error *err)
{
    const char *a = theirs, *b = ours;
    for (;;) {
        size_t la = strcspn(a, "\n"), lb = strcspn(b, "\n");
        if (la != lb || memcmp(a, b, la))
            return error_set(err,
                             "the snapshot is of another machine: it has '%.*s', this one has "
                             "'%.*s'",
                             la ? (int)(la > 100 ? 100 : la) : 7, la ? a : "nothing",
                             lb ? (int)(lb > 100 ? 100 : lb) : 7, lb ? b : "nothing");
        if (!a[la])
            return true;
        a += la + 1;
        b += lb + 1;
    }
}

/* ---- quiet ---- */

/* Nothing may be under way that no field has: requests to disks, bottom halves, elements of rings
 * that a device holds. */
static bool quiesce(struct machine *m, struct error *err)
{
    int rounds = 0;
    do {
        if (++rounds > QUIET_ROUNDS)
            return error_set(err, "the machine's devices don't come to rest");
        machine_run_deferred(m);
        for (struct drive *d = m->drives; d; d = d->next)
            if (d->blk)
                blk_drain(d->blk);
    } while (m->deferred);
    for (struct device *d = m->devices; d; d = d->next)
        if (d->cls->quiesce)
            d->cls->quiesce(d);
    cpu_lower_intr(m->cpus[0], CPU_INTR_EXIT); /* means "look up", and is done */
    return true;
}

/* ---- saving ---- */

struct saver {
    const struct snapshot_sink *to;
    struct crc crc;
    bool failed;
};

static bool put(void *opaque, const void *data, size_t len)
{
    struct saver *s = opaque;
    crc_add(&s->crc, data, len);
    if (!s->failed && len && !s->to->write(s->to->opaque, data, len))
        s->failed = true;
    return !s->failed;
}

static void begin_section(struct saver *s, enum kind kind, const char *name, uint64_t raw,
                          uint64_t stored)
{
    uint8_t head[SECTION_SIZE] = { 0 };
    size_t len = strlen(name);
    put32(head, kind);
    put32(head + 4, (uint32_t)len);
    put64(head + 8, raw);
    put64(head + 16, stored);
    s->crc.value = ~0u;
    put(s, head, sizeof head);
    put(s, name, len);
}

static void end_section(struct saver *s)
{
    uint8_t crc[4];
    put32(crc, ~s->crc.value);
    put(s, crc, sizeof crc);
}

static bool is_zero(const uint8_t *p, size_t len)
{
    return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

/* The next run of pages that aren't zeros, from page *@first on; how many pages, 0: none is left.
 */
static uint32_t next_run(const uint8_t *data, uint64_t size, uint32_t *first)
{
    uint32_t pages = (uint32_t)((size + PAGE - 1) / PAGE), end;
#define PAGE_IS_ZERO(n)                                                                            \
    is_zero(data + (uint64_t)(n)*PAGE,                                                             \
            size - (uint64_t)(n)*PAGE < PAGE ? (size_t)(size - (uint64_t)(n)*PAGE) : PAGE)
    while (*first < pages && PAGE_IS_ZERO(*first))
        ++*first;
    for (end = *first; end < pages && !PAGE_IS_ZERO(end); end++)
        ;
    return end - *first;
}

static uint64_t run_bytes(uint64_t size, uint32_t first, uint32_t count)
{
    uint64_t end = ((uint64_t)first + count) * PAGE;
    return (end < size ? end : size) - (uint64_t)first * PAGE;
}

static void put_pages(struct saver *s, enum kind kind, const char *name, const uint8_t *data,
                      uint64_t size)
{
    uint64_t stored = 0;
    uint32_t first, n;
    for (first = 0; (n = next_run(data, size, &first)); first += n)
        stored += RUN_SIZE + run_bytes(size, first, n);
    begin_section(s, kind, name, size, stored);
    for (first = 0; !s->failed && (n = next_run(data, size, &first)); first += n) {
        uint8_t head[RUN_SIZE];
        put32(head, first);
        put32(head + 4, n);
        put(s, head, sizeof head);
        uint64_t at = (uint64_t)first * PAGE, left = run_bytes(size, first, n);
        for (; left; at += PIECE, left -= left < PIECE ? left : PIECE)
            put(s, data + at, left < PIECE ? (size_t)left : PIECE);
    }
    end_section(s);
}

static uint8_t *room(size_t size)
{
    return malloc(size ? size : 1);
}

static bool put_devices(struct saver *s, struct machine *m, struct error *err)
{
    for (struct device *d = m->devices; d; d = d->next) {
        size_t size = device_save(d, NULL, 0);
        uint8_t *buf = room(size);
        if (!buf)
            return error_set(err, "out of memory");
        device_save(d, buf, size);
        put_pages(s, KIND_DEVICE, d->cls->name, buf, size);
        free(buf);
    }
    for (int devfn = 0; m->pci && devfn < 256; devfn++) {
        struct pci_device *d = m->pci->devices[devfn];
        size_t size = d ? msix_state_size(d) : 0;
        uint8_t *buf = size ? room(size) : NULL;
        if (!size)
            continue;
        if (!buf)
            return error_set(err, "out of memory");
        msix_save(d, buf);
        put_pages(s, KIND_MSIX, d->dev.cls->name, buf, size);
        free(buf);
    }
    return true;
}

bool snapshot_save(struct machine *m, const struct snapshot_sink *to, struct error *err)
{
    struct saver *s = malloc(sizeof *s);
    struct text words = { 0 };
    uint8_t head[HEADER_SIZE] = MAGIC, clock[CLOCK_SIZE] = { 0 };
    size_t cpu_size = fields_save(cpu_fields, m->cpus[0], NULL, 0);
    uint8_t *cpu = room(cpu_size);
    bool ok = false;
    if (!s || !cpu) {
        error_set(err, "out of memory");
        goto out;
    }
    if (!quiesce(m, err))
        goto out;
    s->to = to;
    s->failed = false;
    crc_init(&s->crc);
    put32(head + 8, VERSION);
    put(s, head, sizeof head);
    describe(m, &words);
    put_pages(s, KIND_MACHINE, "machine", (const uint8_t *)words.s, words.len);
    fields_save(cpu_fields, m->cpus[0], cpu, cpu_size);
    put_pages(s, KIND_CPU, "cpu", cpu, cpu_size);
    put64(clock, (uint64_t)clock_now_ns(&m->clock));
    put32(clock + 8, m->suspended);
    put_pages(s, KIND_CLOCK, "clock", clock, sizeof clock);
    put_pages(s, KIND_RAM, "ram", m->ram.host, m->ram.size);
    if (!put_devices(s, m, err))
        goto out;
    for (const struct drive *d = m->drives; d; d = d->next) {
        if (!d->blk || !blk_has_overlay(d->blk))
            continue;
        uint64_t size = blk_overlay_size(d->blk);
        begin_section(s, KIND_OVERLAY, d->name, size, size);
        blk_overlay_save(d->blk, put, s);
        end_section(s);
    }
    put_pages(s, KIND_END, "end", NULL, 0);
    ok = !s->failed;
    if (!ok)
        error_set(err, "the snapshot can't be written");
out:
    free(words.s);
    free(cpu);
    free(s);
    return ok;
}

/* ---- loading ---- */

struct loader {
    struct machine *m;
    const struct snapshot_source *from;
    struct error *err;
    uint64_t at;    /* in the stream */
    bool apply;     /* the second time */
    int64_t before; /* what time it was */
    struct crc crc;
    /* The section being read: */
    const char *name;
    uint64_t raw, stored;
    /* Made between the two walks: */
    uint8_t *buf; /* the largest device's state */
    size_t buf_size;
    struct overlay **overlays; /* by order of the drives */
    size_t overlay_count;
};

static bool damaged(struct loader *l, const char *what)
{
    return error_set(l->err, "the snapshot is damaged: %s at byte %llu (%s)", what,
                     (unsigned long long)l->at, l->name ? l->name : "header");
}

static bool get(struct loader *l, void *buf, size_t len)
{
    if (len > l->from->size - l->at)
        return error_set(l->err, "the snapshot is cut off after %llu bytes",
                         (unsigned long long)l->from->size);
    if (!l->from->read(l->from->opaque, l->at, buf, len))
        return error_set(l->err, "the snapshot can't be read");
    crc_add(&l->crc, buf, len);
    l->at += len;
    return true;
}

static bool open_section(struct loader *l, enum kind kind, const char *name)
{
    uint8_t head[SECTION_SIZE];
    char text[256];
    size_t len = strlen(name);
    l->name = name;
    l->crc.value = ~0u;
    if (!get(l, head, sizeof head))
        return false;
    if (get32(head) != kind || get32(head + 4) != len || len >= sizeof text)
        return damaged(l, "another section was expected");
    if (!get(l, text, len))
        return false;
    if (memcmp(text, name, len))
        return damaged(l, "another section was expected");
    l->raw = get64(head + 8);
    l->stored = get64(head + 16);
    if (l->stored > l->from->size - l->at)
        return error_set(l->err, "the snapshot is cut off after %llu bytes",
                         (unsigned long long)l->from->size);
    return true;
}

static bool close_section(struct loader *l)
{
    uint32_t crc = ~l->crc.value;
    uint8_t stored[4];
    return get(l, stored, sizeof stored) &&
           (get32(stored) == crc || damaged(l, "the checksum is wrong"));
}

/* Reads the pages of the open section into @to (@size bytes; NULL: only checks them). */
static bool get_pages(struct loader *l, uint8_t *to, uint64_t size)
{
    uint64_t end = l->at + l->stored, done = 0; /* done: bytes of @to */
    uint8_t piece[PAGE];
    if (l->raw != size)
        return damaged(l, "the length is wrong");
    while (l->at < end) {
        uint8_t head[RUN_SIZE];
        if (end - l->at < RUN_SIZE)
            return damaged(l, "half a run of pages");
        if (!get(l, head, sizeof head))
            return false;
        uint64_t first = get32(head), count = get32(head + 4), from = first * PAGE;
        if (!count || from < done || from >= size || count > (size - from + PAGE - 1) / PAGE)
            return damaged(l, "pages out of range");
        uint64_t left = run_bytes(size, (uint32_t)first, (uint32_t)count);
        if (left > end - l->at)
            return damaged(l, "half a run of pages");
        for (; to && done < from; done += PAGE) /* host memory of zeros needn't be touched */
            if (!is_zero(to + done, PAGE))
                memset(to + done, 0, PAGE);
        for (done = from; left;) {
            size_t n = left < (to ? PIECE : PAGE) ? (size_t)left : (to ? PIECE : PAGE);
            if (!get(l, to ? to + done : piece, n))
                return false;
            done += n;
            left -= n;
        }
    }
    for (; to && done < size; done += PAGE) {
        size_t n = size - done < PAGE ? (size_t)(size - done) : PAGE;
        if (!is_zero(to + done, n))
            memset(to + done, 0, n);
    }
    return close_section(l);
}

/* A section of a device's or the CPU's, into l->buf when it is applied. */
static bool get_state(struct loader *l, enum kind kind, const char *name, size_t size)
{
    if (!open_section(l, kind, name))
        return false;
    if (size > l->buf_size && !l->apply)
        l->buf_size = size;
    return get_pages(l, l->apply ? l->buf : NULL, size);
}

static bool walk_machine(struct loader *l)
{
    struct text ours = { 0 };
    describe(l->m, &ours);
    bool ok = open_section(l, KIND_MACHINE, "machine");
    if (ok && l->raw > 1 << 20)
        ok = damaged(l, "the description is too long");
    size_t size = ok ? (size_t)l->raw : 0;
    char *theirs = calloc(1, size + 1);
    ok = ok && (theirs || error_set(l->err, "out of memory")) &&
         get_pages(l, (uint8_t *)theirs, size) && another_machine(theirs, ours.s, l->err);
    free(theirs);
    free(ours.s);
    return ok;
}

static bool walk_clock(struct loader *l)
{
    uint8_t b[CLOCK_SIZE];
    if (!open_section(l, KIND_CLOCK, "clock") || !get_pages(l, b, sizeof b))
        return false;
    if (get64(b) > LATEST_NS)
        return damaged(l, "the time is impossible");
    if (l->apply) {
        /* With -icount the CPU's count is part of the time: it was loaded before. */
        clock_set_now(&l->m->clock, l->before, (int64_t)get64(b));
        l->before = (int64_t)get64(b);
        l->m->suspended = get32(b + 8) & 1;
    }
    return true;
}

static bool walk_cpu(struct loader *l)
{
    struct cpu *c = l->m->cpus[0];
    if (!get_state(l, KIND_CPU, "cpu", fields_save(cpu_fields, c, NULL, 0)))
        return false;
    if (l->apply) {
        fields_load(cpu_fields, c, l->buf);
        cpu_post_load(c);
    }
    return true;
}

/* The identity of a PCI device isn't state. */
static void load_device(struct device *d, const uint8_t *state)
{
    struct pci_device *pci = NULL;
    uint8_t config[64];
    for (int i = 0; d->machine->pci && i < 256 && !pci; i++)
        if (d->machine->pci->devices[i] && &d->machine->pci->devices[i]->dev == d)
            pci = d->machine->pci->devices[i];
    if (pci)
        memcpy(config, pci->config, sizeof config);
    fields_load(d->cls->fields, d, state);
    for (unsigned i = 0; pci && i < sizeof config; i++) {
        if (i == PCI_STATUS || i == PCI_STATUS + 1)
            continue;
        uint8_t fixed = (uint8_t) ~(pci->wmask[i] | pci->w1cmask[i]);
        pci->config[i] = (uint8_t)((pci->config[i] & ~fixed) | (config[i] & fixed));
    }
    if (d->cls->post_load)
        d->cls->post_load(d);
}

static bool walk_devices(struct loader *l)
{
    for (struct device *d = l->m->devices; d; d = d->next) {
        size_t size = device_save(d, NULL, 0);
        if (!get_state(l, KIND_DEVICE, d->cls->name, size))
            return false;
        if (l->apply)
            load_device(d, l->buf);
    }
    for (int devfn = 0; l->m->pci && devfn < 256; devfn++) {
        struct pci_device *d = l->m->pci->devices[devfn];
        size_t size = d ? msix_state_size(d) : 0;
        if (!size)
            continue;
        if (!get_state(l, KIND_MSIX, d->dev.cls->name, size))
            return false;
        if (l->apply)
            msix_load(d, l->buf);
    }
    return true;
}

/* Once more, without their post_load(): the levels and requests are the saved ones. */
static bool walk_lines(struct loader *l)
{
    for (struct device *d = l->m->devices; d; d = d->next) {
        if (!open_section(l, KIND_DEVICE, d->cls->name))
            return false;
        if (!d->cls->routes_lines) {
            l->at += l->stored + 4;
            continue;
        }
        if (!get_pages(l, l->buf, device_save(d, NULL, 0)))
            return false;
        fields_load(d->cls->fields, d, l->buf);
    }
    return true;
}

static bool read_overlay(void *opaque, void *data, size_t len)
{
    return get(opaque, data, len);
}

static bool walk_overlays(struct loader *l)
{
    size_t n = 0;
    for (const struct drive *d = l->m->drives; d; d = d->next) {
        if (!d->blk || !blk_has_overlay(d->blk))
            continue;
        if (!open_section(l, KIND_OVERLAY, d->name))
            return false;
        if (l->apply) {
            blk_overlay_set(d->blk, l->overlays[n]);
            l->overlays[n++] = NULL;
            l->at += l->stored + 4;
            continue;
        }
        struct overlay **more = realloc(l->overlays, (l->overlay_count + 1) * sizeof *more);
        if (!more)
            return error_set(l->err, "out of memory");
        l->overlays = more;
        more[l->overlay_count] = blk_overlay_make(d->blk, l->stored, read_overlay, l);
        if (!more[l->overlay_count])
            return l->err->msg[0]
                       ? false
                       : damaged(l, "a disk's sectors make no sense, or memory is short");
        l->overlay_count++;
        if (!close_section(l))
            return false;
    }
    return true;
}

static bool walk(struct loader *l)
{
    uint8_t head[HEADER_SIZE];
    l->at = 0;
    l->name = NULL;
    if (l->from->size < sizeof head || !get(l, head, sizeof head))
        return error_set(l->err, "this is no snapshot");
    if (memcmp(head, MAGIC, 8))
        return error_set(l->err, "this is no snapshot");
    if (get32(head + 8) != VERSION)
        return error_set(l->err, "the snapshot has format %u, not %u: another version made it",
                         (unsigned)get32(head + 8), VERSION);
    if (!walk_machine(l))
        return false;
    uint64_t state = l->at, devices;
    if (!walk_cpu(l) || !walk_clock(l) || !open_section(l, KIND_RAM, "ram") ||
        !get_pages(l, l->apply ? l->m->ram.host : NULL, l->m->ram.size))
        return false;
    devices = l->at;
    if (!walk_devices(l) || !walk_overlays(l))
        return false;
    if (l->apply) {
        l->at = devices;
        if (!walk_lines(l))
            return false;
        l->at = state;
        return walk_cpu(l) && walk_clock(l);
    }
    if (!open_section(l, KIND_END, "end") || !get_pages(l, NULL, 0))
        return false;
    return l->at == l->from->size || damaged(l, "more follows after the end");
}

/* Frames on their way belong to the state that goes; so do connections. */
static void reset_network(struct machine *m)
{
    for (struct net_client *nc = m->net ? m->net->clients : NULL; nc; nc = nc->next) {
        net_purge(nc);
        if (nc->ops->state_replaced)
            nc->ops->state_replaced(nc);
    }
}

bool snapshot_load(struct machine *m, const struct snapshot_source *from, struct error *err)
{
    struct loader *l = calloc(1, sizeof *l);
    bool ok = false;
    if (!l)
        return error_set(err, "out of memory");
    err->msg[0] = 0;
    l->m = m;
    l->from = from;
    l->err = err;
    crc_init(&l->crc);
    if (!walk(l))
        goto out;
    l->buf = room(l->buf_size);
    if (!l->buf) {
        error_set(err, "out of memory");
        goto out;
    }
    if (!quiesce(m, err))
        goto out;
    reset_network(m);
    if (m->state != RUN_STATE_RUNNING)
        m->state = RUN_STATE_PAUSED; /* what had ended may go on from here */
    m->reset_requested = m->powerdown_requested = m->suspend_requested = m->wakeup_requested =
        false;
    l->apply = true;
    l->before = clock_now_ns(&m->clock);
    mem_transaction_begin(&m->mem);
    mem_transaction_begin(&m->io);
    ok = walk(l);
    mem_transaction_end(&m->io);
    mem_transaction_end(&m->mem);
    cpu_post_load(m->cpus[0]);
    if (!ok) { /* it could be read a moment ago */
        machine_reset(m);
        error_prepend(err, "the machine was reset");
    }
out:
    for (size_t i = 0; i < l->overlay_count; i++)
        blk_overlay_set(NULL, l->overlays[i]);
    free(l->overlays);
    free(l->buf);
    free(l);
    return ok;
}
