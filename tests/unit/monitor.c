/*
 * Monitors on a machine with a BIOS of halts: sessions over scripted connections, the human
 * monitor's formats, and random input to both kinds.
 */
#include "monitor/monitor.h"

#include <stdlib.h>
#include <unistd.h>

#include "char/char_impl.h"
#include "machine.h"
#include "monitor/monitor_impl.h"
#include "test.h"

static struct machine_options opt;
static struct machine *m;

/* A back end that keeps what is written. */
static struct text written;
static bool stuck;

static size_t fake_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    if (stuck)
        return 0;
    text_add(&written, (const char *)buf, len);
    return len;
}

static void fake_nothing(struct chardev *c)
{
}

static const struct chr_backend fake = { fake_write, fake_nothing, fake_nothing };

static struct chardev *connection(void)
{
    struct chardev *c = chr_alloc(m, "test");
    c->ops = &fake;
    c->open = true;
    text_free(&written);
    stuck = false;
    return c;
}

static bool begin(void)
{
    static uint8_t rom[65536];
    struct error err = { "" };
    char path[64];
    options_init(&opt);
    opt.ram_size = 4 << 20;
    memset(rom, 0xf4, sizeof rom);
    snprintf(path, sizeof path, "/tmp/slipway-test-monitor-%d", (int)getpid());
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(rom, 1, sizeof rom, f) != sizeof rom || fclose(f))
        return false;
    free(opt.bios);
    opt.bios = strdup(path);
    m = machine_new(&opt, &err);
    unlink(path);
    if (!m)
        printf("%s\n", err.msg);
    return m != NULL;
}

static void end(void)
{
    machine_free(m);
    options_free(&opt);
    text_free(&written);
}

static void type(struct chardev *c, const char *s)
{
    for (; *s && chr_backend_room(c); s++)
        chr_backend_input(c, (const uint8_t *)s, 1);
}

/* What QMP answers to @request. */
static const char *ask(struct chardev *c, const char *request)
{
    text_free(&written);
    type(c, request);
    if (written.len >= 2)
        written.s[written.len -= 2] = 0;
    return text_str(&written);
}

#define ERROR(class, desc) "{\"error\": {\"class\": \"" class "\", \"desc\": \"" desc "\"}}"
#define GENERIC(desc)      ERROR("GenericError", desc)

static void qmp_answers_as_qemu_does(void)
{
    static const struct {
        const char *request, *answer;
    } session[] = {
        { "{\"execute\":\"query-status\"}",
          ERROR("CommandNotFound", "Expecting capabilities negotiation with 'qmp_capabilities'") },
        { "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]},\"id\":{\"a\":[1]"
          "}}",
          "{\"return\": {}, \"id\": {\"a\": [1]}}" },
        { "{\"execute\":\"qmp_capabilities\"}",
          ERROR("CommandNotFound",
                "Capabilities negotiation is already complete, command ignored") },
        { "{}", GENERIC("QMP input lacks member 'execute'") },
        { "[]", GENERIC("QMP input must be a JSON object") },
        { "{\"execute\":1}", GENERIC("QMP input member 'execute' must be a string") },
        { "{\"execute\":\"stop\",\"x\":1}", GENERIC("QMP input member 'x' is unexpected") },
        { "{\"execute\":\"stop\",\"exec-oob\":\"a\"}",
          GENERIC("QMP input member 'execute' clashes with 'exec-oob'") },
        { "{\"execute\":\"stop\",\"arguments\":1}",
          GENERIC("QMP input member 'arguments' must be an object") },
        { "{\"execute\":\"stop\",\"arguments\":{\"x\":1}}",
          GENERIC("Parameter 'x' is unexpected") },
        { "{\"execute\":\"nope\",\"id\":7}",
          "{\"id\": 7, \"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The "
          "command nope has not been found\"}}" },
        { "{\"exec-oob\":\"stop\"}", GENERIC("The command stop does not support OOB") },
        { "{\"execute\":\"human-monitor-command\"}",
          GENERIC("Parameter 'command-line' is missing") },
        { "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":3}}",
          GENERIC("Invalid parameter type for 'command-line', expected: string") },
        { "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":\"nope\"}}",
          "{\"return\": \"unknown command: 'nope'\\r\\n\"}" },
        { "{\"execute\":\"query-status\"}",
          "{\"return\": {\"status\": \"prelaunch\", \"singlestep\": false, \"running\": false}}" },
        { "{\"execute\":\"query-name\"}", "{\"return\": {}}" },
        { "{\"execute\":\"send-key\",\"arguments\":{\"keys\":[3]}}",
          GENERIC("Invalid parameter type for 'keys[0]', expected: object") },
        { "{\"execute\":\"send-key\",\"arguments\":{\"keys\":[{\"data\":\"a\"}]}}",
          GENERIC("Parameter 'keys[0].type' is missing") },
        { "{\"execute\":\"send-key\",\"arguments\":{\"keys\":[{\"type\":\"qcode\",\"data\":\"foo\"}"
          "]}}",
          GENERIC("Parameter 'data' does not accept value 'foo'") },
        { "{\"execute\":\"screendump\",\"arguments\":{\"filename\":\"x\",\"format\":\"gif\"}}",
          GENERIC("Parameter 'format' does not accept value 'gif'") },
        { "{\"execute\":\"pmemsave\",\"arguments\":{\"val\":0,\"size\":1,\"filename\":\"/"
          "nonexistent/m\"}}",
          GENERIC("Could not open '/nonexistent/m': No such file or directory") },
    };
    CHECK(begin());
    struct chardev *c = connection();
    CHECK(monitor_add_qmp(m, c, false, NULL));
    CHECK(strstr(text_str(&written), "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": ") ==
          written.s);
    CHECK(strstr(text_str(&written), "\"capabilities\": [\"oob\"]}}\r\n"));
    for (size_t i = 0; i < sizeof session / sizeof session[0]; i++)
        CHECK_STR(ask(c, session[i].request), session[i].answer);
    CHECK(strstr(ask(c, "{\"execute\":\"cont\"}"), "\"event\": \"RESUME\"}\r\n{\"return\": {}}"));
    CHECK(strstr(ask(c, "{\"execute\":\"stop\"}"), "\"event\": \"STOP\"}\r\n{\"return\": {}}"));
    ask(c, "{\"execute\":\"system_reset\"}");
    machine_run_slice(m, 1000000);
    CHECK(strstr(text_str(&written),
                 "\"event\": \"RESET\", \"data\": {\"guest\": false, \"reason\": "
                 "\"host-qmp-system-reset\"}}"));
    ask(c, "{\"execute\":\"quit\"}");
    machine_run_slice(m, 1000000);
    CHECK(strstr(text_str(&written),
                 "\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": "
                 "\"host-qmp-quit\"}}"));
    CHECK(m->quit);
    end();
}

static void a_new_client_begins_anew(void)
{
    CHECK(begin());
    struct chardev *c = connection();
    CHECK(monitor_add_qmp(m, c, false, NULL));
    ask(c, "{\"execute\":\"qmp_capabilities\"}{\"execute\":");
    chr_backend_event(c, CHR_EVENT_CLOSED);
    text_free(&written);
    chr_backend_event(c, CHR_EVENT_OPENED);
    CHECK(strstr(text_str(&written), "{\"QMP\""));
    CHECK(strstr(ask(c, "{\"execute\":\"stop\"}"), "Expecting capabilities"));
    end();
}

static void a_client_that_does_not_read_is_slowed_down(void)
{
    CHECK(begin());
    struct chardev *c = connection();
    CHECK(monitor_add_qmp(m, c, false, NULL));
    ask(c, "{\"execute\":\"qmp_capabilities\"}");
    stuck = true;
    int taken = 0;
    while (chr_backend_room(c) && taken < 100000) {
        type(c, "{\"execute\":\"query-commands\"}");
        taken++;
    }
    CHECK(taken < 1000);
    stuck = false;
    text_free(&written);
    chr_backend_writable(c);
    CHECK(chr_backend_room(c));
    CHECK(written.len > 65536);
    end();
}

static const char *hmp(const char *line)
{
    text_free(&written);
    hmp_execute(m, line, &written);
    return text_str(&written);
}

static void hmp_prints_what_qemu_prints(void)
{
    static const uint8_t bytes[16] = { 0x43, 0x24, 0x83, 0xc4, 0x20, 0x5b, 0x5e, 0x5f,
                                       0x5d, 0xc3, 0x55, 0x57, 0x56, 0x53, 0x83, 0xec };
    static const struct {
        const char *line, *out;
    } cases[] = {
        { "", "" },
        { "nope", "unknown command: 'nope'\n" },
        { "info nope", "unknown command: 'info nope'\n" },
        { "x", "unexpected end of expression\nTry \"help x\" for more information\n" },
        { "x/z 3", "invalid char in format: 'z'\nTry \"help x\" for more information\n" },
        { "p 1+", "unexpected end of expression\nTry \"help print\" for more information\n" },
        { "p 1<<4", "print|p: extraneous characters at the end of line\nTry \"help print\" for "
                    "more information\n" },
        { "p/d 3*(4+5)", "27\n" },
        { "p/x -1", "0xffffffffffffffff\n" },
        { "p 7/0", "division by zero\nTry \"help print\" for more information\n" },
        { "p -9223372036854775807-1", "-9223372036854775808\n" },
        { "p (0-9223372036854775807-1)/(0-1)", "-9223372036854775808\n" },
        { "p $nope", "unknown register\nTry \"help print\" for more information\n" },
        { "p $eip&0xffff", "65520\n" },
        { "p $cs.base", "4294901760\n" },
        { "sendkey foo", "key 'foo' is unknown\n" },
        { "sendkey", "sendkey: string expected\nTry \"help sendkey\" for more information\n" },
        { "screendump",
          "screendump: filename expected\nTry \"help screendump\" for more information\n" },
        { "xp/4x 0x1000", "0000000000001000: 0xc4832443 0x5f5e5b20 0x5755c35d 0xec835356\n" },
        { "x/2gx 0x1000", "0000000000001000: 0x5f5e5b20c4832443 0xec8353565755c35d\n" },
        { "xp/10bx 0x1000", "0000000000001000: 0x43 0x24 0x83 0xc4 0x20 0x5b 0x5e "
                            "0x5f\n0000000000001008: 0x5d 0xc3\n" },
        { "x/2uh 0x1000", "0000000000001000:  9283 50307\n" },
        { "xp/2o 0x1000", "0000000000001000: 030440622103 013727455440\n" },
        { "x/5c 0x1000", "0000000000001000: 'C' '$' '\\x83' '\\xc4' ' '\n" },
        { "x/1dw 0x1000", "0000000000001000: -998038461\n" },
        { "sum 0x1000 16", NULL },
        { "info mem", "PG disabled\n" },
        { "info tlb", "PG disabled\n" },
        { "info status", "VM status: paused (prelaunch)\n" },
        { "info mice", "* Mouse #2: QEMU PS/2 Mouse\n" },
        { "mouse_set 7", "Mouse at index '7' not found\n" },
        { "mouse_set 1", "Input device 'QEMU PS/2 Keyboard' is not a mouse\n" },
        { "mouse_set 2", "" },
        { "mouse_move 1 -1", "" },
        { "mouse_button 1", "" },
        { "info uuid", "00000000-0000-0000-0000-000000000000\n" },
        { "help x", "x /fmt addr -- virtual memory dump starting at 'addr'\n" },
        { "memsave 0 10",
          "memsave: filename expected\nTry \"help memsave\" for more information\n" },
        { "screendump \"/nonexistent/a",
          "unterminated string\nTry \"help screendump\" for more information\n" },
    };
    CHECK(begin());
    dma_write(&m->mem, 0x1000, bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *out = hmp(cases[i].line);
        if (cases[i].out)
            CHECK_STR(out, cases[i].out);
    }
    CHECK(strstr(hmp("info registers"), "EIP=0000fff0"));
    CHECK(strstr(hmp("info pci"), "Host bridge: PCI device 8086:1237"));
    CHECK(strstr(hmp("info qtree"), "bus: main-system-bus\n  type System\n"));
    CHECK(strstr(hmp("info qdm"), "name \"isa-debug-exit\", bus ISA"));
    CHECK(strstr(hmp("info mtree -f"), "(prio 0, ram)"));
    end();
}

/* Page tables that all point at themselves: every level is every other one. */
static void media_change(void)
{
    char path[64], line[160];
    snprintf(path, sizeof path, "/tmp/slipway-test-medium-%d", (int)getpid());
    FILE *f = fopen(path, "wb");
    CHECK(f && fseek(f, 1474559, SEEK_SET) == 0 && fputc(0, f) == 0 && fclose(f) == 0);
    CHECK(begin());
    static const struct {
        const char *command, *answer;
    } lines[] = {
        { "info block",
          "floppy0: [not inserted]\n    Removable device: not locked, tray closed\n" },
        { "change floppy0 /nonexistent", "Error: " },
        { "change floppy0 @ raw read-only", "" },
        { "info block floppy0", "floppy0: @ (raw, read-only)\n" },
        { "change floppy0 @", "" },
        { "info block floppy0", "floppy0: @ (raw)\n" },
        { "change floppy0 @ qcow9", "Error: Unknown driver 'qcow9'\n" },
        { "change floppy0 @ raw read-never", "Error: Invalid parameter 'read-never'\n" },
        { "eject -f floppy0", "" },
        { "eject floppy0", "" },
        { "info block", "floppy0: [not inserted]\n" },
        { "eject sda", "Error: Device 'sda' not found\n" },
        { "eject", "eject: string expected\n" },
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct text out = { 0 };
        char want[160];
        const char *at = strchr(lines[i].command, '@'), *at2 = strchr(lines[i].answer, '@');
        snprintf(line, sizeof line, "%.*s%s%s", at ? (int)(at - lines[i].command) : 100,
                 lines[i].command, at ? path : "", at ? at + 1 : "");
        snprintf(want, sizeof want, "%.*s%s%s", at2 ? (int)(at2 - lines[i].answer) : 100,
                 lines[i].answer, at2 ? path : "", at2 ? at2 + 1 : "");
        hmp_execute(m, line, &out);
        const char *got = text_str(&out);
        if (*want ? strncmp(got, want, strlen(want)) : *got)
            TEST_FAIL_("%s: '%s', not '%s'", line, got, want);
        text_free(&out);
    }
    unlink(path);
    end();
}

static void endless_page_tables_end(void)
{
    CHECK(begin());
    uint64_t table[512];
    for (int i = 0; i < 512; i++)
        table[i] = 0x2000 | 7;
    dma_write(&m->mem, 0x2000, table, sizeof table);
    m->cpus[0]->cr0 |= CR0_PG | CR0_PE;
    m->cpus[0]->cr4 |= CR4_PAE;
    m->cpus[0]->efer |= EFER_LME | EFER_LMA;
    m->cpus[0]->cr3 = 0x2000;
    CHECK(strstr(hmp("info mem"), "too many entries"));
    end();
}

static uint32_t seed = 3;

static const char *pick(const char *const *words, size_t count)
{
    seed = seed * 1664525u + 1013904223u;
    return words[(seed >> 8) % count];
}

static void random_lines_are_harmless(void)
{
    static const char *const words[] = { "x",
                                         "xp",
                                         "p",
                                         "print",
                                         "info",
                                         "registers",
                                         "mem",
                                         "mtree",
                                         "-f",
                                         "help",
                                         "sendkey",
                                         "a-b",
                                         "stop",
                                         "cont",
                                         "sum",
                                         "/4xb",
                                         "/9i",
                                         "/300x",
                                         "$eax",
                                         "$cs",
                                         "(",
                                         ")",
                                         "+",
                                         "-",
                                         "*",
                                         "/",
                                         "%",
                                         "~",
                                         "'a'",
                                         "0x",
                                         "0xffffffffffffffff",
                                         "99999999999999999999",
                                         "\"",
                                         "\\",
                                         "\xff",
                                         "\t",
                                         " ",
                                         "qtree",
                                         "i",
                                         "o",
                                         "nmi",
                                         "gva2gpa",
                                         "0",
                                         "1" };
    CHECK(begin());
    for (int i = 0; i < 10000; i++) {
        char line[512] = "";
        for (int k = (int)(seed >> 10) % 8; k >= 0; k--) {
            strcat(line, pick(words, sizeof words / sizeof words[0]));
            if (seed & 0x100000)
                strcat(line, " ");
        }
        hmp(line);
    }
    struct chardev *c = connection();
    CHECK(monitor_add_hmp(m, c, NULL));
    for (int i = 0; i < 100000; i++) { /* the line editor: keys and escape sequences */
        static const char *const keys[] = { "a",       "\033[A",   "\033[B", "\033[C", "\033[D",
                                            "\033[3~", "\x01",     "\x05",   "\x7f",   "\x0b",
                                            "\x15",    "help x\r", "\033",   "[",      "9",
                                            "p 1",     "\xff",     "\r" };
        type(c, pick(keys, sizeof keys / sizeof keys[0]));
        text_free(&written);
    }
    end();
}

static void random_requests_are_harmless(void)
{
    static const char *const bits[] = { "{\"execute\":",
                                        "\"query-status\"",
                                        "\"human-monitor-command\"",
                                        ",\"arguments\":{",
                                        "\"command-line\":",
                                        "\"info pci\"",
                                        "}",
                                        "}}",
                                        "\"send-key\"",
                                        "\"keys\":[",
                                        "{\"type\":\"qcode\",\"data\":\"a\"}",
                                        "]",
                                        "\"id\":",
                                        "1",
                                        "-1",
                                        "1e9",
                                        ",",
                                        "\"qmp_capabilities\"",
                                        "\"cpu-index\":",
                                        "\"query-block\"",
                                        "\"query-chardev\"",
                                        "null",
                                        "[",
                                        "{",
                                        "@",
                                        "\n",
                                        "\"hold-time\":" };
    CHECK(begin());
    struct chardev *c = connection();
    CHECK(monitor_add_qmp(m, c, true, NULL));
    type(c, "{\"execute\":\"qmp_capabilities\"}");
    for (int i = 0; i < 60000; i++) {
        type(c, pick(bits, sizeof bits / sizeof bits[0]));
        text_free(&written);
    }
    end();
}

int main(void)
{
    RUN(qmp_answers_as_qemu_does);
    RUN(a_new_client_begins_anew);
    RUN(a_client_that_does_not_read_is_slowed_down);
    RUN(hmp_prints_what_qemu_prints);
    RUN(media_change);
    RUN(endless_page_tables_end);
    RUN(random_lines_are_harmless);
    RUN(random_requests_are_harmless);
    return test_done();
}
