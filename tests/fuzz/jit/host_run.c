/*
 * A program on this machine's processor. Linux, x86-64.
 *
 * A signal handler replaces the interrupted context by the program's; its exceptions arrive as
 * signals, whose handler does what program.h says and either returns into the program or puts the
 * old context back. Segments that aren't flat come from an LDT. A timer of CPU time ends programs
 * that go on for too long; those don't count.
 */
#define _GNU_SOURCE
#include "program.h"

#if defined __x86_64__ && defined __linux__
#include <asm/ldt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define LIMIT_US      400000
#define XSTATE_HEADER 512
#define FL_TF         0x100

enum { LDT_CODE16, LDT_DATA16, LDT_CODE_AS_DATA, LDT_GS, LDT_CODE32, LDT_DATA32 };
#define LDT_SELECTOR(n) ((unsigned)(n) << 3 | 7)
#define SELECTOR_CODE64 0x33
#define SELECTOR_CODE32 0x23
#define SELECTOR_DATA   0x2b

static const int greg_of[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                 REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                 REG_R12, REG_R13, REG_R14, REG_R15 };

static const struct program *volatile program;
static struct outcome *volatile outcome;
static void (*event_log)(void *opaque, const struct event *e);
static void *event_opaque;
/* Volatile: to the compiler, raise() calls nothing of ours. */
static volatile bool running, finished;
static volatile bool given_code_cow, given_code_lazy, given_data_lazy, given_data_cow;
static gregset_t saved_gregs;
static uint8_t saved_fx[512];

static uint8_t *code_page(unsigned n)
{
    return (uint8_t *)(uintptr_t)(CODE + n * PAGE);
}
static uint8_t *data_page(unsigned n)
{
    return (uint8_t *)(uintptr_t)(DATA + n * PAGE);
}

static void give(uint8_t *page, int protection, volatile bool *flag, bool value)
{
    mprotect(page, PAGE, protection);
    *flag = value;
}

static void take_back(void)
{
    give(code_page(PAGE_CODE_COW), PROT_READ | PROT_EXEC, &given_code_cow, false);
    give(code_page(PAGE_CODE_LAZY), PROT_NONE, &given_code_lazy, false);
    give(data_page(PAGE_DATA_LAZY), PROT_NONE, &given_data_lazy, false);
    give(data_page(PAGE_DATA_COW), PROT_READ, &given_data_cow, false);
}

static bool repair(uint64_t cr2, uint64_t error)
{
    const int rwx = PROT_READ | PROT_WRITE | PROT_EXEC;
    uint64_t page = cr2 & ~(uint64_t)(PAGE - 1);
    if (page == CODE + PAGE_CODE_LAZY * PAGE && !given_code_lazy)
        give(code_page(PAGE_CODE_LAZY), rwx, &given_code_lazy, true);
    else if (page == CODE + PAGE_CODE_COW * PAGE && !given_code_cow && (error & 2))
        give(code_page(PAGE_CODE_COW), rwx, &given_code_cow, true);
    else if (page == DATA + PAGE_DATA_LAZY * PAGE && !given_data_lazy)
        give(data_page(PAGE_DATA_LAZY), PROT_READ | PROT_WRITE, &given_data_lazy, true);
    else if (page == DATA + PAGE_DATA_COW * PAGE && !given_data_cow && (error & 2))
        give(data_page(PAGE_DATA_COW), PROT_READ | PROT_WRITE, &given_data_cow, true);
    else
        return false;
    return true;
}

static unsigned data_selector(unsigned bits)
{
    return bits == BITS16    ? LDT_SELECTOR(LDT_DATA16)
           : bits == BITS32S ? LDT_SELECTOR(LDT_DATA32)
                             : SELECTOR_DATA;
}

static void enter(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)info;
    static const unsigned code[] = { SELECTOR_CODE64, SELECTOR_CODE32, LDT_SELECTOR(LDT_CODE16),
                                     LDT_SELECTOR(LDT_CODE32) };
    ucontext_t *u = context;
    uint8_t *fx = (uint8_t *)u->uc_mcontext.fpregs;
    const struct program *p = program;
    memcpy(saved_gregs, u->uc_mcontext.gregs, sizeof saved_gregs);
    memcpy(saved_fx, fx, sizeof saved_fx);
    for (int k = 0; k < 16; k++)
        u->uc_mcontext.gregs[greg_of[k]] = (greg_t)p->gpr[k];
    u->uc_mcontext.gregs[REG_RIP] =
        (greg_t)(CODE - code_base(p->bits) + (uint32_t)p->labels[p->entry]);
    u->uc_mcontext.gregs[REG_EFL] = (greg_t)p->rflags;
    uint64_t cs_ss = (uint64_t)u->uc_mcontext.gregs[REG_CSGSFS];
    uint64_t ss = data_selector(p->bits);
    cs_ss = (cs_ss & 0x0000ffffffff0000ull) | code[p->bits] | ss << 48;
    u->uc_mcontext.gregs[REG_CSGSFS] = (greg_t)cs_ss;
    memcpy(fx, p->fx, 464);
    *(uint64_t *)(fx + XSTATE_HEADER) |= 3;
    running = true;
}

/* The kernel hands RFLAGS.AC on to the handler, where the C library isn't made for it. */
static inline void clear_ac(void)
{
    __asm__ volatile("pushfq\n\tandl $~0x40000, (%%rsp)\n\tpopfq" : : : "memory", "cc");
}

static void take_event(const ucontext_t *u, struct event *e)
{
    const uint8_t *fx = (const uint8_t *)u->uc_mcontext.fpregs;
    const greg_t *g = u->uc_mcontext.gregs;
    unsigned registers = program->bits == BITS64 ? 16 : 8;
    memset(e, 0, sizeof *e);
    for (unsigned k = 0; k < registers; k++)
        e->gpr[k] = program->bits == BITS64 ? (uint64_t)g[greg_of[k]] : (uint32_t)g[greg_of[k]];
    e->rip = (uint64_t)g[REG_RIP];
    e->rflags = (uint64_t)g[REG_EFL] & FLAGS_SHOWN;
    e->vector = (uint64_t)g[REG_TRAPNO];
    e->error = e->vector == 13 || e->vector == 14 || e->vector == 12 ? (uint64_t)g[REG_ERR] : 0;
    if (e->vector == 14) {
        if (e->error & 16)
            e->rflags &= ~FLAGS_ARITH;
        e->cr2 = (uint64_t)g[REG_CR2];
        if (e->cr2 < USER_FIRST || e->cr2 > USER_LAST)
            e->error &= ~1ull;
    }
    uint64_t present = *(const uint64_t *)(fx + XSTATE_HEADER);
    memcpy(&e->mxcsr, fx + 24, 4);
    e->fcw = 0x37f;
    if (present & 1) {
        memcpy(&e->fcw, fx, 2);
        memcpy(&e->fsw, fx + 2, 2);
        e->ftag = fx[4];
        for (unsigned k = 0; k < 8; k++)
            memcpy(e->st[k], fx + 32 + 16 * k, 10);
    }
    if (present & 2)
        memcpy(e->xmm, fx + 160, registers * 16);
    e->number = outcome->events;
}

static uint32_t next_start(uint32_t offset)
{
    const struct program *p = program;
    for (uint32_t k = 0; k < p->start_count; k++)
        if (p->starts[k] > offset)
            return p->starts[k];
    return (uint32_t)p->labels[p->end];
}

static void finish(ucontext_t *u, unsigned reason)
{
    uint8_t *fx = (uint8_t *)u->uc_mcontext.fpregs;
    outcome->reason = reason;
    running = false;
    finished = true;
    memcpy(u->uc_mcontext.gregs, saved_gregs, sizeof saved_gregs);
    memcpy(fx, saved_fx, sizeof saved_fx);
    *(uint64_t *)(fx + XSTATE_HEADER) |= 3;
}

static void on_event(int sig, siginfo_t *info, void *context)
{
    clear_ac();
    ucontext_t *u = context;
    if (!running) {
        if (sig == SIGVTALRM)
            return;
        fprintf(stderr, "signal %d at %p outside of a program\n", sig, info->si_addr);
        _exit(3);
    }
    if (sig == SIGVTALRM) {
        finish(u, END_TIMEOUT);
        return;
    }
    const struct program *p = program;
    greg_t *g = u->uc_mcontext.gregs;
    uint32_t base = CODE - code_base(p->bits);
    struct event e;
    take_event(u, &e);
    outcome->event_hash = hash_words(outcome->event_hash, &e, sizeof e);
    outcome->events++;
    if (event_log)
        event_log(event_opaque, &e);
    if (e.rip == base + (uint32_t)p->labels[p->end]) {
        finish(u, END_NORMAL);
        return;
    }
    if (outcome->events >= EVENTS_MAX) {
        finish(u, END_EVENTS);
        return;
    }
    if (e.vector == 3)
        take_back();
    if (e.vector == 16) {
        uint16_t fsw = e.fsw & 0x7f00;
        memcpy((uint8_t *)u->uc_mcontext.fpregs + 2, &fsw, 2);
    }
    if (e.vector == 14 && repair(e.cr2, e.error))
        return;
    if (e.rip - base >= CODE_SIZE) {
        g[REG_RIP] = (greg_t)(base + (uint32_t)p->labels[p->rescue]);
        g[REG_RSP] = (greg_t)p->gpr[4];
        return;
    }
    if (e.vector == 1 || e.vector == 3 || e.vector == 4)
        return;
    g[REG_RIP] = (greg_t)(base + next_start((uint32_t)(e.rip - base)));
}

static void set_ldt(unsigned entry, uint32_t base, uint32_t limit, bool code, bool big)
{
    struct user_desc d = { .entry_number = entry,
                           .base_addr = base,
                           .limit = limit > 0xfffff ? limit >> 12 : limit,
                           .limit_in_pages = limit > 0xfffff,
                           .seg_32bit = big,
                           .contents = code ? MODIFY_LDT_CONTENTS_CODE : MODIFY_LDT_CONTENTS_DATA,
                           .useable = 1 };
    if (syscall(SYS_modify_ldt, 1, &d, sizeof d)) {
        perror("modify_ldt");
        exit(2);
    }
}

static bool map_at(uint32_t at, size_t size, int protection, int flags, int fd)
{
    void *p = mmap((void *)(uintptr_t)at, size, protection, flags | MAP_FIXED, fd, 0);
    return p == (void *)(uintptr_t)at;
}

static void set_up(void)
{
    static bool done;
    static const int traps[] = { SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGVTALRM };
    if (done)
        return;
    done = true;
    int fd = memfd_create("code", 0);
    size_t room = USER_LAST + 1 - USER_FIRST;
    void *p = mmap((void *)(uintptr_t)USER_FIRST, room, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    if (fd < 0 || ftruncate(fd, CODE_SIZE) || p != (void *)(uintptr_t)USER_FIRST ||
        !map_at(CODE, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, fd) ||
        !map_at(ALIAS, ALIAS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd) ||
        !map_at(DATA, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1)) {
        perror("mmap");
        exit(2);
    }
    set_ldt(LDT_CODE16, CODE, CODE_SIZE - 1, true, false);
    set_ldt(LDT_DATA16, DATA, DATA_SIZE - 1, false, false);
    set_ldt(LDT_CODE_AS_DATA, CODE, CODE_SIZE - 1, false, false);
    set_ldt(LDT_GS, DATA + GS_OFFSET, ~0u, false, true);
    set_ldt(LDT_CODE32, CODE, CODE_SIZE - 1, true, true);
    set_ldt(LDT_DATA32, CODE, DATA + DATA_SIZE - CODE - 1, false, true);
    stack_t stack = { .ss_size = 1 << 18 };
    stack.ss_sp =
        mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL)) {
        perror("sigaltstack");
        exit(2);
    }
    struct sigaction a = { .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigfillset(&a.sa_mask);
    a.sa_sigaction = enter;
    sigaction(SIGUSR1, &a, NULL);
    a.sa_sigaction = on_event;
    for (unsigned k = 0; k < sizeof traps / sizeof traps[0]; k++)
        sigaction(traps[k], &a, NULL);
}

bool host_available(void)
{
    return true;
}

bool host_run(const struct program *p, struct outcome *o,
              void (*log)(void *opaque, const struct event *e), void *opaque)
{
    const int rw = PROT_READ | PROT_WRITE;
    set_up();
    program = p;
    outcome = o;
    event_log = log;
    event_opaque = opaque;
    *o = (struct outcome){ .magic = OUTCOME_MAGIC, .event_hash = HASH_START };
    mprotect(code_page(0), CODE_SIZE, rw | PROT_EXEC);
    mprotect(data_page(0), DATA_SIZE, rw);
    memcpy(code_page(0), p->code, CODE_SIZE);
    memcpy(data_page(0), data_block() + p->data_offset, DATA_SIZE);
    mprotect(data_page(4), PAGE, PROT_READ);
    mprotect(data_page(5), PAGE, PROT_NONE);
    mprotect(data_page(8), PAGE, PROT_NONE);
    mprotect(data_page(11), PAGE, PROT_NONE);
    take_back();

    unsigned data = data_selector(p->bits),
             gs = LDT_SELECTOR(p->bits == BITS16 ? LDT_CODE_AS_DATA : LDT_GS);
    __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es\n\tmov %1, %%gs" : : "r"(data), "r"(gs));
    struct itimerval timer = { .it_value = { .tv_usec = LIMIT_US } }, off = { 0 };
    setitimer(ITIMER_VIRTUAL, &timer, NULL);
    finished = false;
    raise(SIGUSR1);
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    if (!finished)
        abort();

    mprotect(code_page(0), CODE_SIZE, rw | PROT_EXEC);
    mprotect(data_page(0), DATA_SIZE, rw);
    o->code_hash = hash_words(HASH_START, code_page(0), CODE_SIZE);
    o->data_hash = HASH_START;
    for (unsigned k = 0; k < DATA_PAGES; k++)
        if (k != 5 && k != 8 && k != 11)
            o->data_hash = hash_words(o->data_hash, data_page(k), PAGE);
    return o->reason != END_TIMEOUT;
}

#else
bool host_available(void)
{
    return false;
}
bool host_run(const struct program *p, struct outcome *o,
              void (*log)(void *opaque, const struct event *e), void *opaque)
{
    (void)p, (void)o, (void)log, (void)opaque;
    return false;
}
#endif
