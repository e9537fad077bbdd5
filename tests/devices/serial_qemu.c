/*
 * The 16550A against QEMU's isa-serial: the same random register accesses to both, in normal and
 * loopback mode, with the same steps of virtual time; every value read and the interrupt line must
 * agree. Time stands still, so there are no character timeouts. Left out is what QEMU doesn't do:
 * delta bits of MSR in loopback, break in loopback, LSR's FIFO error bit (all in
 * tests/unit/serial.c).
 */
#include "../unit/devtest.h"
#include "hw/serial.h"
#include "qtest.h"

#define COM1  0x3f8
#define STEPS 20000

static struct qtest *qemu;
static uint32_t seed = 1; /* of this test alone */
static bool loop, failed;

static uint32_t below(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static void out(unsigned reg, uint8_t value)
{
    qtest_out(qemu, (uint16_t)(COM1 + reg), value, 1);
    mem_write(&m->io, COM1 + reg, value, 1);
}

static void compare(const char *what, unsigned got, unsigned want, int step)
{
    if (got == want || failed)
        return;
    printf("step %d: %s is 0x%02x, QEMU's is 0x%02x\n", step, what, got, want);
    failed = true;
}

static unsigned in(unsigned reg, unsigned mask, int step)
{
    static const char *const names[8] = { "RBR", "IER", "IIR", "LCR", "MCR", "LSR", "MSR", "SCR" };
    unsigned want = qtest_in(qemu, (uint16_t)(COM1 + reg), 1) & mask;
    unsigned got = (unsigned)mem_read(&m->io, COM1 + reg, 1) & mask;
    compare(names[reg], got, want, step);
    return got;
}

static void step(int n)
{
    static const uint8_t formats[] = { 0x03, 0x00, 0x1f, 0x07, 0x0a };
    switch (below(12)) {
    case 0:
    case 1:
    case 2: out(0, (uint8_t)below(256)); break;
    case 3: out(1, (uint8_t)below(8)); break; /* not MSI: deltas differ in loopback */
    case 4:
        if (below(4) == 0)
            out(2, (uint8_t)below(256));
        break;
    case 5:
        if (below(4) == 0) {
            loop = below(4) != 0;
            out(4, (uint8_t)(below(16) | (loop ? 0x10 : 0)));
        }
        break;
    case 6:
        if (in(5, 0x7f, n) & 1)
            in(0, 0xff, n);
        break;
    case 7: in(2, 0xff, n); break;
    case 8: in(5, 0x7f, n); break;
    case 9: in(below(2) ? 1 : 4, 0xff, n); break;
    case 10: in(6, 0xf0, n); break;
    case 11:
        if (below(8) == 0) {
            out(3, 0x83);
            out(0, (uint8_t)(1 + below(255)));
            out(1, 0);
            in(0, 0xff, n);
            in(1, 0xff, n);
            out(3, formats[below(5)]);
            in(3, 0xff, n);
        } else {
            out(7, (uint8_t)below(256));
            in(7, 0xff, n);
        }
        break;
    }
    compare("the interrupt line", (unsigned)isa_level[4], qtest_irq(qemu, 4), n);
}

static void registers_do_what_qemus_do(void)
{
    for (int i = 0; i < STEPS && !failed; i++)
        step(i);
    CHECK(!failed);
}

int main(void)
{
    static const char *const args[] = { "-serial", "null", NULL };
    struct error err = { "" };
    qemu = qtest_start(args);
    if (!qemu)
        return 77;
    qtest_intercept_in(qemu, "ioapic");
    board_new();
    if (!serial_new(m, 0, NULL, &err)) {
        printf("%s\n", err.msg);
        return 1;
    }
    /* Both drive their line once, so that the levels are known. */
    out(1, 2);
    out(1, 0);
    RUN(registers_do_what_qemus_do);
    qtest_stop(qemu);
    return test_done();
}
