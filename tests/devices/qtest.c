/*
 * The qtest protocol (QEMU's system/qtest.c documents it): one command a line, one answer line "OK
 * [value]"; lines that start with IRQ may come in between. QEMU runs with -S and TCG, because
 * Debian's build leaves the qtest accelerator out: the CPU never starts, devices do.
 */
#define _GNU_SOURCE
#include "qtest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK    4096 /* bytes of memory a command line carries */
#define ARGS_MAX 64
#define IRQ_MAX  64

struct qtest {
    pid_t pid;
    FILE *in, *out, *qmp_in, *qmp_out;
    char line[2 * CHUNK + 256];
    bool irq[IRQ_MAX];
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "qtest: %s\n", what);
    exit(1);
}

static void read_answer(struct qtest *q)
{
    for (;;) {
        int n;
        if (!fgets(q->line, sizeof q->line, q->in))
            die("QEMU is gone");
        if (sscanf(q->line, "IRQ raise %d", &n) == 1 && n >= 0 && n < IRQ_MAX)
            q->irq[n] = true;
        else if (sscanf(q->line, "IRQ lower %d", &n) == 1 && n >= 0 && n < IRQ_MAX)
            q->irq[n] = false;
        else if (!strncmp(q->line, "OK", 2))
            return;
        else if (!strncmp(q->line, "FAIL", 4) || !strncmp(q->line, "ERR", 3))
            die(q->line);
    }
}

__attribute__((format(printf, 2, 3))) static void command(struct qtest *q, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(q->out, fmt, ap);
    va_end(ap);
    fputc('\n', q->out);
    fflush(q->out);
    read_answer(q);
}

static uint64_t answer_value(const struct qtest *q)
{
    return strtoull(q->line + 2, NULL, 0);
}

static char suffix(unsigned size)
{
    return size == 1 ? 'b' : size == 2 ? 'w' : size == 4 ? 'l' : 'q';
}

struct qtest *qtest_start(const char *const *args)
{
    if (system("command -v qemu-system-x86_64 >/dev/null 2>&1") != 0)
        return NULL;
    struct qtest *q = calloc(1, sizeof *q);
    int io[2], qmp[2];
    if (!q || socketpair(AF_UNIX, SOCK_STREAM, 0, io) || socketpair(AF_UNIX, SOCK_STREAM, 0, qmp))
        die("no sockets");
    fcntl(io[0], F_SETFD, FD_CLOEXEC);
    fcntl(qmp[0], F_SETFD, FD_CLOEXEC);
    q->pid = fork();
    if (q->pid < 0)
        die("no process");
    if (q->pid == 0) {
        char chardev[64];
        snprintf(chardev, sizeof chardev, "socket,id=qmp,fd=%d", qmp[1]);
        const char *argv[ARGS_MAX] = { "qemu-system-x86_64",
                                       "-M",
                                       "pc",
                                       "-accel",
                                       "tcg",
                                       "-S",
                                       "-nodefaults",
                                       "-display",
                                       "none",
                                       "-qtest",
                                       "stdio",
                                       "-chardev",
                                       chardev,
                                       "-mon",
                                       "chardev=qmp,mode=control" };
        int n = 15;
        while (args && *args && n < ARGS_MAX - 1)
            argv[n++] = *args++;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(io[1], 0);
        dup2(io[1], 1);
        dup2(open("/dev/null", O_WRONLY), 2); /* the protocol's log */
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    close(io[1]);
    close(qmp[1]);
    q->in = fdopen(io[0], "r");
    q->out = fdopen(dup(io[0]), "w");
    q->qmp_in = fdopen(qmp[0], "r");
    q->qmp_out = fdopen(dup(qmp[0]), "w");
    if (!q->in || !q->out || !q->qmp_in || !q->qmp_out)
        die("no streams");
    qtest_qmp(q, "{\"execute\": \"qmp_capabilities\"}");
    return q;
}

void qtest_stop(struct qtest *q)
{
    kill(q->pid, SIGKILL);
    waitpid(q->pid, NULL, 0);
    fclose(q->in);
    fclose(q->out);
    fclose(q->qmp_in);
    fclose(q->qmp_out);
    free(q);
}

void qtest_out(struct qtest *q, uint16_t port, uint32_t value, unsigned size)
{
    command(q, "out%c 0x%x 0x%" PRIx32, suffix(size), port, value);
}

uint32_t qtest_in(struct qtest *q, uint16_t port, unsigned size)
{
    command(q, "in%c 0x%x", suffix(size), port);
    return (uint32_t)answer_value(q);
}

void qtest_write(struct qtest *q, uint64_t addr, uint64_t value, unsigned size)
{
    command(q, "write%c 0x%" PRIx64 " 0x%" PRIx64, suffix(size), addr, value);
}

uint64_t qtest_read(struct qtest *q, uint64_t addr, unsigned size)
{
    command(q, "read%c 0x%" PRIx64, suffix(size), addr);
    return answer_value(q);
}

void qtest_write_bytes(struct qtest *q, uint64_t addr, const void *buf, size_t len)
{
    const uint8_t *p = buf;
    while (len) {
        size_t n = len < CHUNK ? len : CHUNK;
        fprintf(q->out, "write 0x%" PRIx64 " 0x%zx 0x", addr, n);
        for (size_t i = 0; i < n; i++)
            fprintf(q->out, "%02x", p[i]);
        fputc('\n', q->out);
        fflush(q->out);
        read_answer(q);
        p += n;
        addr += n;
        len -= n;
    }
}

void qtest_read_bytes(struct qtest *q, uint64_t addr, void *buf, size_t len)
{
    uint8_t *p = buf;
    while (len) {
        size_t n = len < CHUNK ? len : CHUNK;
        command(q, "read 0x%" PRIx64 " 0x%zx", addr, n);
        const char *hex = strstr(q->line, "0x");
        if (!hex || strlen(hex) < 2 + 2 * n)
            die("short answer to read");
        for (size_t i = 0; i < n; i++) {
            unsigned byte;
            sscanf(hex + 2 + 2 * i, "%2x", &byte);
            p[i] = (uint8_t)byte;
        }
        p += n;
        addr += n;
        len -= n;
    }
}

static void pci_select(struct qtest *q, int slot, unsigned reg)
{
    qtest_out(q, 0xcf8, 0x80000000u | (uint32_t)slot << 11 | (reg & 0xfc), 4);
}

void qtest_pci_write(struct qtest *q, int slot, unsigned reg, uint32_t value)
{
    pci_select(q, slot, reg);
    qtest_out(q, 0xcfc, value, 4);
}

uint32_t qtest_pci_read(struct qtest *q, int slot, unsigned reg)
{
    pci_select(q, slot, reg);
    return qtest_in(q, 0xcfc, 4);
}

bool qtest_irq(struct qtest *q, int n)
{
    return q->irq[n];
}

void qtest_intercept_in(struct qtest *q, const char *qom_path)
{
    command(q, "irq_intercept_in %s", qom_path);
}

void qtest_set_irq(struct qtest *q, const char *qom_path, int n, bool level)
{
    command(q, "set_irq_in %s unnamed-gpio-in %d %d", qom_path, n, level);
}

void qtest_clock_step(struct qtest *q, int64_t ns)
{
    command(q, "clock_step %" PRId64, ns);
}

void qtest_qmp(struct qtest *q, const char *json)
{
    static char line[65536];
    fprintf(q->qmp_out, "%s\n", json);
    fflush(q->qmp_out);
    while (fgets(line, sizeof line, q->qmp_in)) {
        if (!strncmp(line, "{\"return\"", 9))
            return;
        if (!strncmp(line, "{\"error\"", 8))
            die(line);
    }
    die("QMP is gone");
}

uint8_t *qtest_screendump(struct qtest *q, int *width, int *height)
{
    char path[] = "/tmp/slipway-qtest-XXXXXX", json[256];
    int fd = mkstemp(path);
    if (fd < 0)
        die("no temporary file");
    snprintf(json, sizeof json,
             "{\"execute\": \"screendump\", \"arguments\": {\"filename\": \"%s\"}}", path);
    qtest_qmp(q, json);
    FILE *f = fopen(path, "rb");
    if (!f || fscanf(f, "P6 %d %d 255", width, height) != 2)
        die("no screendump");
    fgetc(f);
    size_t size = (size_t)*width * (size_t)*height * 3;
    uint8_t *rgb = malloc(size);
    if (!rgb || fread(rgb, 1, size, f) != size)
        die("short screendump");
    fclose(f);
    close(fd);
    unlink(path);
    return rgb;
}
