/*
 * Page-table walks: 32-bit with PSE-36, PAE, and 4-level paging with 4 KB, 2 MB and 1 GB pages.
 *
 * All three formats reduce to one loop over levels, each described by where its index is, how large
 * an entry is, and which bits of an entry are reserved. Rights are the AND of U/S and R/W and the
 * OR of NX over all levels; they are judged after the walk, so a not-present or reserved-bit fault
 * of any level comes first. Only a walk that succeeds sets A (all levels) and D (leaf, for writes),
 * which the guest sees in its tables before the access happens.
 *
 * PAE outside long mode takes its four top entries from registers (c->pdpte) that were loaded, and
 * checked, with CR3. SDM vol. 3, chapter 4.
 */
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/desc.h"

#define PTE_P   0x001u
#define PTE_W   0x002u
#define PTE_U   0x004u
#define PTE_A   0x020u
#define PTE_D   0x040u
#define PTE_PS  0x080u
#define PTE_G   0x100u
#define PTE_NX  (1ull << 63)
#define ADDR_52 0x000ffffffffff000ull

static uint64_t a20_mask(const struct cpu *c)
{
    return c->a20 ? ~0ull : ~(1ull << 20);
}

/* Physical address bits that don't exist, of the 52 an entry can hold. */
static uint64_t reserved_address(const struct cpu *c)
{
    return ADDR_52 & ~((1ull << cpu_phys_bits(c)) - 1);
}

struct walk {
    struct cpu *c;
    uint64_t la;
    enum access access;
    bool user, probe;
};

static bool page_fault(const struct walk *w, uint32_t error)
{
    struct cpu *c = w->c;
    if (w->probe)
        return false;
    if (w->access == ACCESS_WRITE)
        error |= PF_W;
    if (w->user)
        error |= PF_U;
    if (w->access == ACCESS_FETCH &&
        (((c->cr4 & CR4_PAE) && (c->efer & EFER_NXE)) || (c->cr4 & CR4_SMEP)))
        error |= PF_I;
    return cpu_fault_page(c, w->la, error);
}

/* May the access be made with these combined rights? */
static bool permitted(const struct walk *w, int mmu_index, uint64_t rights, bool nx,
                      enum access access)
{
    const struct cpu *c = w->c;
    bool user_page = rights & PTE_U;
    if (access == ACCESS_FETCH && nx)
        return false;
    if (w->user)
        return user_page && (access != ACCESS_WRITE || (rights & PTE_W));
    if (user_page) {
        if (access == ACCESS_FETCH) {
            if (c->cr4 & CR4_SMEP)
                return false;
        } else if ((c->cr4 & CR4_SMAP) && mmu_index == MMU_KERNEL) {
            return false;
        }
    }
    return access != ACCESS_WRITE || (rights & PTE_W) || !(c->cr0 & CR0_WP);
}

struct level {
    uint64_t pa, entry;
};

static uint64_t read_entry(const struct cpu *c, uint64_t pa, unsigned size)
{
    return mem_read(c->mem, pa & a20_mask(c), size);
}

/* Sets A in every entry on the path, D in the leaf of a write. */
static void mark_used(struct cpu *c, const struct level *path, int depth, unsigned size,
                      enum access access)
{
    for (int k = 0; k < depth; k++) {
        uint64_t set = PTE_A | (k == depth - 1 && access == ACCESS_WRITE ? PTE_D : 0);
        if ((path[k].entry & set) != set)
            mem_write(c->mem, path[k].pa & a20_mask(c), path[k].entry | set, size);
    }
}

static bool finish(const struct walk *w, int mmu_index, const struct level *path, int depth,
                   unsigned size, uint64_t rights, bool nx, uint64_t frame, unsigned page_bits,
                   struct mmu_result *r)
{
    struct cpu *c = w->c;
    uint64_t leaf = path[depth - 1].entry;
    if (!permitted(w, mmu_index, rights, nx, w->access))
        return page_fault(w, PF_P);
    if (!w->probe)
        mark_used(c, path, depth, size, w->access);
    r->phys = (frame | (w->la & ((1ull << page_bits) - 1))) & a20_mask(c);
    r->global = (leaf & PTE_G) && (c->cr4 & CR4_PGE);
    r->writable = ((leaf & PTE_D) || w->access == ACCESS_WRITE) &&
                  permitted(w, mmu_index, rights, nx, ACCESS_WRITE);
    r->page_bits = (uint8_t)page_bits;
    return true;
}

static bool walk32(const struct walk *w, int mmu_index, struct mmu_result *r)
{
    struct cpu *c = w->c;
    struct level path[2];
    path[0].pa = (c->cr3 & 0xfffff000u) + (w->la >> 22 & 0x3ff) * 4;
    uint64_t pde = path[0].entry = read_entry(c, path[0].pa, 4);
    if (!(pde & PTE_P))
        return page_fault(w, 0);
    if ((pde & PTE_PS) && (c->cr4 & CR4_PSE)) {
        /* PSE-36: bits 13-20 are physical bits 32-39, bit 21 and those beyond the physical width
         * are reserved. */
        uint64_t frame = (pde & 0xffc00000u) | (pde & 0x1fe000u) << 19;
        if ((pde & 0x200000) || (frame & reserved_address(c)))
            return page_fault(w, PF_P | PF_RSVD);
        return finish(w, mmu_index, path, 1, 4, pde, false, frame, 22, r);
    }
    path[1].pa = (pde & 0xfffff000u) + (w->la >> 12 & 0x3ff) * 4;
    uint64_t pte = path[1].entry = read_entry(c, path[1].pa, 4);
    if (!(pte & PTE_P))
        return page_fault(w, 0);
    return finish(w, mmu_index, path, 2, 4, pde & pte, false, pte & 0xfffff000u, 12, r);
}

/* PAE and 4-level paging: 8-byte entries. */
static bool walk64(const struct walk *w, int mmu_index, struct mmu_result *r)
{
    struct cpu *c = w->c;
    struct level path[4];
    bool long_mode = cpu_long_mode(c);
    uint64_t reserved = reserved_address(c), table, rights = PTE_U | PTE_W;
    unsigned shift;
    bool nx = false;
    int depth = 0;
    if (!(c->efer & EFER_NXE))
        reserved |= PTE_NX;
    if (long_mode) {
        table = c->cr3 & ADDR_52;
        shift = 39;
    } else {
        uint64_t pdpte = c->pdpte[w->la >> 30 & 3];
        if (!(pdpte & PTE_P))
            return page_fault(w, 0);
        table = pdpte & ADDR_52;
        shift = 21;
        reserved |= 0x7ff0000000000000ull;
    }
    for (;; shift -= 9) {
        struct level *l = &path[depth++];
        l->pa = table + (w->la >> shift & 0x1ff) * 8;
        uint64_t e = l->entry = read_entry(c, l->pa, 8);
        uint64_t bad = reserved;
        bool leaf = shift == 12;
        if (!(e & PTE_P))
            return page_fault(w, 0);
        if (!leaf && (e & PTE_PS)) {
            leaf = shift == 21 || (shift == 30 && cpu_has_1g_pages(c));
            if (leaf) /* address bits below the page size, but for PAT in bit 12 */
                bad |= (1ull << shift) - 0x2000;
            else
                bad |= PTE_PS;
        }
        if (e & bad)
            return page_fault(w, PF_P | PF_RSVD);
        rights &= e;
        nx |= e >> 63;
        if (leaf) {
            uint64_t frame = e & ADDR_52 & ~((1ull << shift) - 1);
            return finish(w, mmu_index, path, depth, 8, rights, nx, frame, shift, r);
        }
        table = e & ADDR_52;
    }
}

bool mmu_walk(struct cpu *c, uint64_t la, enum access a, int mmu_index, bool probe,
              struct mmu_result *r)
{
    struct walk w = {
        .c = c, .la = la, .access = a, .user = mmu_index == MMU_USER, .probe = probe
    };
    if (!(c->cr0 & CR0_PG)) {
        *r = (struct mmu_result){ .phys = la & a20_mask(c), .writable = true, .page_bits = 12 };
        return true;
    }
    if (!(c->cr4 & CR4_PAE))
        return walk32(&w, mmu_index, r);
    return walk64(&w, mmu_index, r);
}

bool mmu_load_pdptes(struct cpu *c, uint64_t cr3)
{
    uint64_t pdpte[4];
    uint64_t reserved = reserved_address(c) | 0xfff00000000001e6ull;
    for (unsigned k = 0; k < 4; k++) {
        pdpte[k] = read_entry(c, (cr3 & 0xffffffe0u) + k * 8, 8);
        if ((pdpte[k] & PTE_P) && (pdpte[k] & reserved))
            return cpu_fault(c, EXC_GP, 0);
    }
    for (unsigned k = 0; k < 4; k++)
        c->pdpte[k] = pdpte[k];
    return true;
}
