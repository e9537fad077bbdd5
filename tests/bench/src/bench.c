// Guest micro/meso benchmarks for PC emulators. Static, no dependencies beyond libc.
// usage: bench NAME [SCALE]   prints "CHK <hex>" (must be equal on every emulator of the same ARCH)
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <unistd.h>
#include <signal.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/syscall.h>
#define NOINL __attribute__((noinline, noclone))
static uint32_t chk = 2166136261u;
static void mix(uint32_t v)
{
    chk = (chk ^ v) * 16777619u;
    chk ^= chk >> 15;
}
static uint32_t rs = 12345;
static inline uint32_t rnd(void)
{
    rs ^= rs << 13;
    rs ^= rs >> 17;
    rs ^= rs << 5;
    return rs;
}

// ---- dhrystone-like: records, string compare/copy, small procedures
typedef struct rec {
    struct rec *next;
    int discr, e, i;
    char s[31];
} rec;
static rec r1, r2;
static int ig, arr1[50], arr2[50][50];
static char cg1, cg2;
static NOINL int fn1(char a, char b)
{
    char l = a;
    if (l != b)
        return 0;
    cg1 = l;
    return 1;
}
static NOINL int fn2(char *a, char *b)
{
    int i = 2;
    char c = 'A';
    while (i <= 2)
        if (!fn1(a[i], b[i + 1])) {
            c = 'A';
            i++;
        } else
            i++;
    if (c >= 'W' && c < 'Z')
        i = 7;
    if (c == 'R')
        return 1;
    if (strcmp(a, b) > 0) {
        i += 7;
        ig = i;
        return 1;
    }
    return 0;
}
static NOINL void p7(int a, int b, int *c)
{
    *c = a + 2 + b;
}
static NOINL void p8(int *a, int (*b)[50], int x, int y)
{
    int l = x + 5;
    a[l] = y;
    a[l + 1] = a[l];
    a[l + 30] = l;
    for (int i = l; i <= l + 1; i++)
        b[l][i] = l;
    b[l][l - 1]++;
    b[l + 15][l] = a[l];
    ig = 5;
}
static NOINL void p3(rec **p)
{
    if (r1.next)
        *p = r1.next;
    p7(10, ig, &r1.i);
}
static NOINL void p1(rec *p)
{
    rec *n = p->next;
    *n = r1;
    p->i = 5;
    n->i = p->i;
    n->next = p->next;
    p3(&n->next);
    if (n->discr == 0) {
        n->i = 6;
        n->e = p->e ^ 1;
        p7(n->i, 10, &n->i);
    } else
        *p = *n;
}
static void b_dhry(int n)
{
    char a[31], b[31];
    r1.next = &r2;
    r1.discr = 0;
    r1.e = 2;
    r1.i = 40;
    strcpy(r1.s, "DHRYSTONE PROGRAM, SOME STRING");
    strcpy(a, "DHRYSTONE PROGRAM, 1'ST STRING");
    int i2, i3 = 0, i1;
    for (int k = 0; k < n; k++) {
        i1 = 2;
        i2 = 3;
        strcpy(b, "DHRYSTONE PROGRAM, 2'ND STRING");
        cg2 = 'B';
        int e = !fn2(a, b);
        while (i1 < i2) {
            i3 = 5 * i1 - i2;
            p7(i1, i2, &i3);
            i1++;
        }
        p8(arr1, arr2, i1, i3);
        r1.next = &r2;
        r2.next = &r1;
        p1(&r1);
        for (char c = 'A'; c <= cg2; c++)
            if (e == fn1(c, 'C'))
                e ^= 1;
        i2 = i2 * i1;
        i1 = i2 / i3;
        i2 = 7 * (i2 - i3) - i1;
        mix(i2 + e);
    }
    mix(i1);
    mix(i2);
    mix(i3);
    mix(ig);
    mix(arr1[8]);
}
// ---- coremark-like: list, matrix, state machine, crc16
typedef struct node {
    struct node *n;
    int16_t v, id;
} node;
static NOINL uint16_t crc16(uint8_t d, uint16_t c)
{
    for (int i = 0; i < 8; i++) {
        int x = (d ^ c) & 1;
        d >>= 1;
        c >>= 1;
        if (x)
            c ^= 0xa001;
    }
    return c;
}
static NOINL node *msort(node *l)
{
    int k = 1;
    for (;;) {
        node *p = l, *t = 0;
        l = 0;
        int m = 0;
        while (p) {
            m++;
            node *q = p;
            int ps = 0;
            for (int i = 0; i < k; i++) {
                ps++;
                q = q->n;
                if (!q)
                    break;
            }
            int qs = k;
            while (ps > 0 || (qs > 0 && q)) {
                node *e;
                if (!ps) {
                    e = q;
                    q = q->n;
                    qs--;
                } else if (!qs || !q) {
                    e = p;
                    p = p->n;
                    ps--;
                } else if (p->v <= q->v) {
                    e = p;
                    p = p->n;
                    ps--;
                } else {
                    e = q;
                    q = q->n;
                    qs--;
                }
                if (t)
                    t->n = e;
                else
                    l = e;
                t = e;
            }
            p = q;
        }
        t->n = 0;
        if (m <= 1)
            return l;
        k *= 2;
    }
}
static NOINL int state(const char *s)
{
    int st = 0, cnt = 0;
    for (; *s; s++) {
        switch (st) {
        case 0:
            if (*s >= '0' && *s <= '9')
                st = 1;
            else if (*s == '+' || *s == '-')
                st = 2;
            else if (*s == '.')
                st = 3;
            else
                st = 6;
            break;
        case 1:
            if (*s == '.')
                st = 3;
            else if (*s == ',') {
                cnt++;
                st = 0;
            } else if (*s < '0' || *s > '9')
                st = 6;
            break;
        case 2:
            if (*s >= '0' && *s <= '9')
                st = 1;
            else if (*s == '.')
                st = 3;
            else
                st = 6;
            break;
        case 3:
            if (*s == 'e' || *s == 'E')
                st = 4;
            else if (*s == ',') {
                cnt += 2;
                st = 0;
            } else if (*s < '0' || *s > '9')
                st = 6;
            break;
        case 4:
            if (*s == '+' || *s == '-')
                st = 5;
            else
                st = 6;
            break;
        case 5:
            if (*s == ',') {
                cnt += 3;
                st = 0;
            } else if (*s < '0' || *s > '9')
                st = 6;
            break;
        case 6:
            if (*s == ',') {
                cnt += 4;
                st = 0;
            }
        }
    }
    return cnt;
}
static void b_core(int n)
{
    static node nd[600];
    static int16_t A[24][24], B[24][24];
    static int32_t C[24][24];
    const char *S = "5012,1234,-874,+122,35.54400,.1234500,-110.700,+0.64400,5.500e+3,-.123e-2,-"
                    "87e+832,+0.6e-12,T0.3e-1F,-T.T++Tq,1T3.4e4z,34.0e-T^,";
    uint16_t c = 0;
    for (int k = 0; k < n; k++) {
        for (int i = 0; i < 600; i++) {
            nd[i].n = i < 599 ? &nd[i + 1] : 0;
            nd[i].v = (int16_t)rnd();
            nd[i].id = i;
        }
        node *l = msort(nd);
        int q = 0;
        for (node *p = l; p; p = p->n)
            if ((q++ & 31) == 0)
                c = crc16((uint8_t)p->v, c);
        for (int i = 0; i < 24; i++)
            for (int j = 0; j < 24; j++) {
                A[i][j] = (int16_t)(i * j + k);
                B[i][j] = (int16_t)(i - j + c);
            }
        for (int i = 0; i < 24; i++)
            for (int j = 0; j < 24; j++) {
                int32_t s = 0;
                for (int x = 0; x < 24; x++)
                    s += (int32_t)A[i][x] * B[x][j];
                C[i][j] = s;
            }
        for (int i = 0; i < 24; i++)
            c = crc16((uint8_t)C[i][i], c);
        for (int i = 0; i < 4; i++)
            c = crc16(state(S + i), c);
    }
    mix(c);
}
// ---- sieve
static void b_sieve(int n)
{
    static uint8_t f[1 << 20];
    for (int k = 0; k < n; k++) {
        memset(f, 1, sizeof f);
        int c = 0;
        for (uint32_t i = 2; i < sizeof f; i++)
            if (f[i]) {
                c++;
                for (uint32_t j = 2 * i; j < sizeof f; j += i)
                    f[j] = 0;
            }
        mix(c);
    }
}
// ---- 64-bit arithmetic (adc/sbb/mul/div/shld on i386)
static NOINL uint64_t mulmod(uint64_t a, uint64_t b, uint64_t m)
{
    uint64_t r = 0;
    while (b) {
        if (b & 1) {
            r += a;
            if (r >= m)
                r -= m;
        }
        a += a;
        if (a >= m)
            a -= m;
        b >>= 1;
    }
    return r;
}
static void b_u64(int n)
{
    uint64_t x = 88172645463325252ull, h = 0xcbf29ce484222325ull;
    for (int i = 0; i < n; i++) {
        x ^= x << 7;
        x ^= x >> 9;
        h = (h ^ x) * 0x100000001b3ull;
        h += x / ((x & 0xffff) + 3);
        h ^= (h << 13) | (h >> 51);
        if ((i & 15) == 0)
            h ^= mulmod(x >> 2, h >> 2, 0x3fffffffffffffc5ull);
    }
    mix(h);
    mix(h >> 32);
}
// ---- bytecode interpreter, computed goto (indirect jumps)
static void b_interp(int n)
{
    static const uint8_t code[] = { 0, 1, 2, 3, 1, 4, 2, 5, 0, 3, 6, 1, 2, 4, 0, 5, 3, 7 };
    static void *T[] = { &&o0, &&o1, &&o2, &&o3, &&o4, &&o5, &&o6, &&o7 };
    const uint8_t *pc = code;
    uint32_t a = 1, b = 2, c = 3, k = 0;
#define NX goto *T[*pc++]
    NX;
o0:
    a += b;
    NX;
o1:
    b ^= a << 3;
    NX;
o2:
    c = c * 33 + b;
    NX;
o3:
    a = (a >> 5) | (a << 27);
    NX;
o4:
    b += c;
    NX;
o5:
    if (c & 1)
        a ^= c;
    NX;
o6:
    c -= a;
    NX;
o7:
    if (++k < (uint32_t)n) {
        pc = code;
        NX;
    }
    mix(a);
    mix(b);
    mix(c);
}
// ---- recursion (call/ret), and calls through function pointers
__attribute__((optimize("O1"))) static NOINL int fib(int n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}
static void b_fib(int n)
{
    mix(fib(n));
}
typedef uint32_t (*fp)(uint32_t);
static NOINL uint32_t g0(uint32_t x)
{
    return x + 1;
}
static NOINL uint32_t g1(uint32_t x)
{
    return x * 3;
}
static NOINL uint32_t g2(uint32_t x)
{
    return x ^ (x >> 3);
}
static NOINL uint32_t g3(uint32_t x)
{
    return x - 7;
}
static void b_icall(int n)
{
    static fp volatile T[4] = { g0, g1, g2, g3 };
    uint32_t x = 1;
    for (int i = 0; i < n; i++)
        x = T[(x >> 4) & 3](x);
    mix(x);
}
// ---- memory
static void b_memcpy(int n)
{
    size_t s = 8u << 20;
    uint8_t *a = malloc(s), *b = malloc(s);
    for (size_t i = 0; i < s; i++)
        a[i] = i * 7;
    for (int k = 0; k < n; k++) {
        memcpy(b, a, s);
        a[k] = b[s - 1 - k];
        memset(b, k, s / 2);
        mix(b[5] + a[k]);
    }
}
static void b_stream(int n)
{
    size_t s = 1u << 20;
    int32_t *a = malloc(4 * s), *b = malloc(4 * s), *c = malloc(4 * s);
    for (size_t i = 0; i < s; i++) {
        a[i] = i;
        b[i] = i * 3;
        c[i] = 0;
    }
    for (int k = 0; k < n; k++) {
        for (size_t i = 0; i < s; i++) {
            c[i] = a[i];
            __asm__ volatile("" ::: "memory");
        }
        for (size_t i = 0; i < s; i++) {
            b[i] = 3 * c[i];
            __asm__ volatile("" ::: "memory");
        }
        for (size_t i = 0; i < s; i++) {
            c[i] = a[i] + b[i];
            __asm__ volatile("" ::: "memory");
        }
        for (size_t i = 0; i < s; i++) {
            a[i] = b[i] + 3 * c[i];
            __asm__ volatile("" ::: "memory");
        }
    }
    uint32_t h = 0;
    for (size_t i = 0; i < s; i++)
        h = h * 31 + a[i];
    mix(h);
}
static void b_chase(int n)
{
    size_t s = (16u << 20) / 4;
    uint32_t *a = malloc(4 * s);
    for (size_t i = 0; i < s; i++)
        a[i] = i;
    for (size_t i = s - 1; i > 0; i--) {
        size_t j = rnd() % i;
        uint32_t t = a[i];
        a[i] = a[j];
        a[j] = t;
    }
    uint32_t p = 0;
    for (int i = 0; i < n; i++)
        p = a[p];
    mix(p);
}
static void b_unaligned(int n)
{
    static uint8_t buf[70000];
    uint32_t h = 0;
    for (int k = 0; k < n; k++)
        for (int i = 1; i < 65530; i += 7) {
            uint32_t v;
            memcpy(&v, buf + i, 4);
            v += k + i;
            memcpy(buf + i, &v, 4);
            h ^= v;
        }
    mix(h);
}
// ---- kernel paths
static void b_syscall(int n)
{
    uint32_t s = 0;
    for (int i = 0; i < n; i++)
        s += syscall(SYS_getppid) > 0;
    mix(s);
}
static void b_pipe(int n)
{
    int a[2], b[2];
    char c = 'x';
    if (pipe(a) || pipe(b))
        exit(1);
    if (!fork()) {
        for (int i = 0; i < n; i++) {
            if (read(a[0], &c, 1) != 1)
                break;
            if (write(b[1], &c, 1) != 1)
                break;
        }
        _exit(0);
    }
    int g = 0;
    for (int i = 0; i < n; i++) {
        if (write(a[1], &c, 1) != 1)
            break;
        g += read(b[0], &c, 1);
    }
    wait(0);
    mix(g);
}
static void b_fork(int n)
{
    int g = 0;
    for (int i = 0; i < n; i++) {
        pid_t p = fork();
        if (!p)
            _exit(i & 63);
        int st;
        waitpid(p, &st, 0);
        g += WEXITSTATUS(st);
    }
    mix(g);
}
static void b_exec(int n)
{
    int g = 0;
    for (int i = 0; i < n; i++) {
        pid_t p = vfork();
        if (!p) {
            execl("/bench/tiny", "tiny", (char *)0);
            _exit(99);
        }
        int st;
        waitpid(p, &st, 0);
        g += WEXITSTATUS(st);
    }
    mix(g);
}
static void b_mmap(int n)
{
    uint32_t g = 0;
    size_t s = 16u << 20;
    for (int k = 0; k < n; k++) {
        uint8_t *p = mmap(0, s, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            exit(1);
        for (size_t i = 0; i < s; i += 4096)
            p[i] = i >> 12;
        for (size_t i = 0; i < s; i += 4096)
            g += p[i];
        munmap(p, s);
    }
    mix(g);
}
static volatile uint32_t segs;
static uint8_t *segp;
static void onsegv(int sg, siginfo_t *si, void *u)
{
    segs++;
    mprotect((void *)((uintptr_t)si->si_addr & ~4095ul), 4096, PROT_READ | PROT_WRITE);
}
static void b_sigsegv(int n)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = onsegv;
    sa.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &sa, 0);
    segp = mmap(0, 64 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int k = 0; k < n; k++) {
        mprotect(segp, 64 * 4096, PROT_NONE);
        for (int i = 0; i < 64; i++)
            segp[i * 4096] = k;
    }
    mix(segs);
}
// ---- self-modifying / run-time generated code: rewrite an immediate and call, 64 slots on 4 pages
static void b_smc(int n)
{
    uint8_t *p =
        mmap(0, 4 * 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        exit(1);
    uint32_t g = 0;
    for (int k = 0; k < n; k++) {
        uint8_t *f = p + (k & 63) * 256;
        f[0] = 0xb8;
        uint32_t v = k * 2654435761u;
        memcpy(f + 1, &v, 4);
        f[5] = 0xc3;
        uint32_t (*q)(void) = (uint32_t(*)(void))(void *)f;
        for (int j = 0; j < 50; j++)
            g = g * 5 + q();
    }
    mix(g);
}
// ---- guest JIT pattern: emit a fresh 2 KiB function, run it 2000 times, throw away
static void b_genjit(int n)
{
    uint32_t g = 0;
    for (int k = 0; k < n; k++) {
        uint8_t *p =
            mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        uint8_t *w = p;
        *w++ = 0x31;
        *w++ = 0xc0;
        for (int i = 0; i < 300; i++) {
            *w++ = 0x05;
            uint32_t v = k * 77 + i;
            memcpy(w, &v, 4);
            w += 4;
            if (i % 3 == 0) {
                *w++ = 0xd1;
                *w++ = 0xc0;
            }
        }
        *w++ = 0xc3;
        uint32_t (*q)(void) = (uint32_t(*)(void))(void *)p;
        for (int j = 0; j < 2000; j++)
            g = g * 3 + q();
        munmap(p, 4096);
    }
    mix(g);
}
// ---- auto-vectorised integer loop (SSE2)
__attribute__((optimize("O3,tree-vectorize"), target("sse2"))) static NOINL void
simd(uint32_t *restrict a, const uint32_t *restrict b, const uint16_t *restrict c, int n)
{
    for (int i = 0; i < n; i++) {
        uint32_t x = b[i];
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        a[i] += x + c[i];
    }
}
static void b_simd(int n)
{
    static uint32_t a[4096], b[4096];
    static uint16_t c[4096];
    for (int i = 0; i < 4096; i++) {
        b[i] = i * 2654435761u;
        c[i] = i * 7;
    }
    for (int k = 0; k < n; k++) {
        b[k & 4095]++;
        simd(a, b, c, 4096);
    }
    for (int i = 0; i < 4096; i++)
        mix(a[i]);
}
extern uint32_t bigcode(uint32_t x, int n);
static void b_bigcode(int n)
{
    mix(bigcode(1, n));
}
struct {
    const char *n;
    void (*f)(int);
    int s;
} T[] = { { "dhry", b_dhry, 5000000 },
          { "core", b_core, 6000 },
          { "sieve", b_sieve, 60 },
          { "u64", b_u64, 6000000 },
          { "interp", b_interp, 10000000 },
          { "fib", b_fib, 38 },
          { "icall", b_icall, 60000000 },
          { "memcpy", b_memcpy, 200 },
          { "stream", b_stream, 25 },
          { "chase", b_chase, 8000000 },
          { "unaligned", b_unaligned, 20000 },
          { "syscall", b_syscall, 600000 },
          { "pipe", b_pipe, 20000 },
          { "fork", b_fork, 800 },
          { "exec", b_exec, 400 },
          { "mmap", b_mmap, 30 },
          { "sigsegv", b_sigsegv, 400 },
          { "smc", b_smc, 60000 },
          { "genjit", b_genjit, 300 },
          { "simd", b_simd, 30000 },
          { "bigcode", b_bigcode, 3000000 } };
int main(int c, char **v)
{
    if (c < 2) {
        for (unsigned i = 0; i < sizeof T / sizeof *T; i++)
            printf("%s ", T[i].n);
        puts("");
        return 0;
    }
    for (unsigned i = 0; i < sizeof T / sizeof *T; i++)
        if (!strcmp(T[i].n, v[1])) {
            T[i].f(c > 2 ? atoi(v[2]) : T[i].s);
            printf("CHK %08x\n", chk);
            return 0;
        }
    return 2;
}
