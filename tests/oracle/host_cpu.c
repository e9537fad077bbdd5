/* See host_cpu.h. Linux, x86-64. */
#define _GNU_SOURCE
#include "host_cpu.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define TF              0x100u
#define SELECTOR_CODE32 0x23
#define SELECTOR_DATA   0x2b
#define XSTATE_HEADER   512

static const int greg_of[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                 REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                 REG_R12, REG_R13, REG_R14, REG_R15 };

static struct host_state *state; /* under test */
static bool state_compat32, running;
static gregset_t saved_gregs;
static uint8_t saved_fx[512];

static void enter(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)info;
    ucontext_t *u = context;
    uint8_t *fx = (uint8_t *)u->uc_mcontext.fpregs;
    memcpy(saved_gregs, u->uc_mcontext.gregs, sizeof saved_gregs);
    memcpy(saved_fx, fx, sizeof saved_fx);
    for (int k = 0; k < 16; k++)
        u->uc_mcontext.gregs[greg_of[k]] = (greg_t)state->gpr[k];
    u->uc_mcontext.gregs[REG_RIP] = (greg_t)state->rip;
    u->uc_mcontext.gregs[REG_EFL] = (greg_t)(state->rflags | TF);
    if (state_compat32) {
        uint64_t cs_ss = (uint64_t)u->uc_mcontext.gregs[REG_CSGSFS];
        cs_ss = (cs_ss & 0x0000ffffffff0000ull) | SELECTOR_CODE32 | (uint64_t)SELECTOR_DATA << 48;
        u->uc_mcontext.gregs[REG_CSGSFS] = (greg_t)cs_ss;
    }
    /* All but the bytes that describe the extended area behind; its header must say that x87 and
     * SSE are there. */
    memcpy(fx, state->fx, 464);
    *(uint64_t *)(fx + XSTATE_HEADER) |= 3;
    running = true;
}

/* The kernel hands RFLAGS.AC on to the handler, where the C library isn't made for it. */
static inline void clear_ac(void)
{
    __asm__ volatile("pushfq\n\tandl $~0x40000, (%%rsp)\n\tpopfq" : : : "memory", "cc");
}

static void leave(int sig, siginfo_t *info, void *context)
{
    clear_ac();
    ucontext_t *u = context;
    uint8_t *fx = (uint8_t *)u->uc_mcontext.fpregs;
    if (!running) {
        fprintf(stderr, "signal %d at %p outside of a test\n", sig, info->si_addr);
        _exit(3);
    }
    running = false;
    for (int k = 0; k < 16; k++)
        state->gpr[k] = (uint64_t)u->uc_mcontext.gregs[greg_of[k]];
    state->rip = (uint64_t)u->uc_mcontext.gregs[REG_RIP];
    state->rflags = (uint64_t)u->uc_mcontext.gregs[REG_EFL];
    state->vector = (int)u->uc_mcontext.gregs[REG_TRAPNO];
    state->error = (uint64_t)u->uc_mcontext.gregs[REG_ERR];
    state->cr2 = (uint64_t)u->uc_mcontext.gregs[REG_CR2];
    memcpy(state->fx, fx, sizeof state->fx);
    /* The kernel leaves out components in their initial state. */
    uint64_t present = *(uint64_t *)(fx + XSTATE_HEADER);
    if (!(present & 2))
        memset(state->fx + 160, 0, 256);
    memcpy(u->uc_mcontext.gregs, saved_gregs, sizeof saved_gregs);
    memcpy(fx, saved_fx, sizeof saved_fx);
    *(uint64_t *)(fx + XSTATE_HEADER) |= 3;
}

void host_init(void)
{
    static const int traps[] = { SIGTRAP, SIGSEGV, SIGILL, SIGFPE, SIGBUS };
    stack_t stack = { .ss_size = 1 << 18 };
    stack.ss_sp =
        mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL)) {
        perror("sigaltstack");
        exit(2);
    }
    struct sigaction a = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
    a.sa_sigaction = enter;
    sigaction(SIGUSR1, &a, NULL);
    a.sa_sigaction = leave;
    for (unsigned k = 0; k < sizeof traps / sizeof traps[0]; k++)
        sigaction(traps[k], &a, NULL);
    /* Compatibility mode needs data segments; 64-bit code doesn't look at them. */
    __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(SELECTOR_DATA));
}

void host_step(struct host_state *s, bool compat32)
{
    state = s;
    state_compat32 = compat32;
    raise(SIGUSR1);
}
