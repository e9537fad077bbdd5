/*
 * info mem and info tlb: walks the guest's page tables (32-bit, PAE, 4-level; SDM vol. 3, chapter
 * 4) as they are in memory. Tables may point at each other, so the number of entries looked at is
 * bounded.
 */
#include <string.h>

#include "monitor/monitor_impl.h"

#define MAX_ENTRIES (4u << 20)

typedef unsigned long long ull;

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_PS = 0x80 };
#define PTE_ADDR 0x000ffffffffff000ull

struct walk {
    struct machine *m;
    struct text *out;
    void (*leaf)(struct walk *w, uint64_t va, uint64_t pte, uint64_t size, unsigned rights);
    unsigned visited;
    bool wide; /* 8-byte entries */
    /* info mem: the run that is being collected */
    uint64_t start, end;
    unsigned rights;
    bool open;
};

/* One table of @level (1: its entries map pages); @va is where it begins, @rights what the levels
 * above allow. */
static void walk_table(struct walk *w, uint64_t table, int level, uint64_t va, unsigned rights)
{
    uint8_t bytes[4096];
    unsigned entry_size = w->wide ? 8 : 4, bits = w->wide ? 9 : 10;
    unsigned count =
        w->wide && level == 3 && !(w->m->cpus[0]->efer & EFER_LMA) ? 4 : 4096 / entry_size;
    unsigned shift = 12 + bits * (unsigned)(level - 1);
    dma_read(&w->m->mem, table, bytes, count * entry_size);
    for (unsigned i = 0; i < count && w->visited < MAX_ENTRIES; i++, w->visited++) {
        uint64_t pte = 0;
        memcpy(&pte, bytes + i * entry_size, entry_size);
        uint64_t at = va + ((uint64_t)i << shift);
        bool pdpt_of_pae = count == 4;
        unsigned here = pdpt_of_pae ? rights : rights & (unsigned)pte;
        bool large = (pte & PTE_PS) && !pdpt_of_pae && level > 1 && level < 4 &&
                     (w->wide || (w->m->cpus[0]->cr4 & CR4_PSE));
        if (!(pte & PTE_P))
            continue;
        if (level == 1 || large)
            w->leaf(w, at, pte, 1ull << shift, here);
        else
            walk_table(w, pte & (w->wide ? PTE_ADDR : 0xfffff000u), level - 1, at, here);
    }
}

static void walk(struct walk *w)
{
    const struct cpu *c = w->m->cpus[0];
    w->wide = c->cr4 & CR4_PAE;
    if (c->efer & EFER_LMA)
        walk_table(w, c->cr3 & PTE_ADDR, 4, 0, PTE_W | PTE_U);
    else if (w->wide)
        walk_table(w, c->cr3 & 0xffffffe0u, 3, 0, PTE_W | PTE_U);
    else
        walk_table(w, c->cr3 & 0xfffff000u, 2, 0, PTE_W | PTE_U);
    if (w->visited >= MAX_ENTRIES)
        text_puts(w->out, "... (too many entries)\n");
}

static uint64_t canonical(const struct walk *w, uint64_t va)
{
    return (w->m->cpus[0]->efer & EFER_LMA) && va >> 47 & 1 ? va | 0xffff000000000000ull : va;
}

static bool paging_off(struct machine *m, struct text *out)
{
    if (m->cpus[0]->cr0 & CR0_PG)
        return false;
    text_puts(out, "PG disabled\n");
    return true;
}

static void tlb_line(struct walk *w, uint64_t va, uint64_t pte, uint64_t size, unsigned rights)
{
    text_printf(w->out, "%016llx: %016llx %c%c%c%c%c%c%c%c%c\n", (ull)canonical(w, va),
                (ull)(pte & PTE_ADDR & ~(size - 1)), pte >> 63 ? 'X' : '-', pte & 0x100 ? 'G' : '-',
                size > 4096 ? 'P' : '-', pte & 0x40 ? 'D' : '-', pte & 0x20 ? 'A' : '-',
                pte & 0x10 ? 'C' : '-', pte & 8 ? 'T' : '-', pte & PTE_U ? 'U' : '-',
                pte & PTE_W ? 'W' : '-');
}

void hmp_info_tlb(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct walk w = { .m = m, .out = out, .leaf = tlb_line };
    if (!paging_off(m, out))
        walk(&w);
}

static void end_run(struct walk *w)
{
    if (w->open)
        text_printf(w->out, "%016llx-%016llx %016llx %cr%c\n", (ull)canonical(w, w->start),
                    (ull)canonical(w, w->end), (ull)(w->end - w->start),
                    w->rights & PTE_U ? 'u' : '-', w->rights & PTE_W ? 'w' : '-');
    w->open = false;
}

static void mem_run(struct walk *w, uint64_t va, uint64_t pte, uint64_t size, unsigned rights)
{
    if (w->open && w->end == va && w->rights == rights) {
        w->end += size;
        return;
    }
    end_run(w);
    w->open = true;
    w->start = va;
    w->end = va + size;
    w->rights = rights;
}

void hmp_info_mem(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    struct walk w = { .m = m, .out = out, .leaf = mem_run };
    if (paging_off(m, out))
        return;
    walk(&w);
    end_run(&w);
}
