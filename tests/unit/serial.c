/*
 * The 16550A beyond what tests/devices/serial_qemu.c compares: character timeouts, trigger levels
 * against a chardev, back-pressure, break, modem lines in loopback, a shared IRQ.
 */
#include "char/char_impl.h"
#include "devtest.h"
#include "hw/serial.h"

#define COM1 0x3f8
#define COM3 0x3e8

/* A back end that the test plays: takes @room bytes of output, and says how much input the port
 * wants. */
static char sent[256];
static size_t sent_len, room;

static size_t fake_write(struct chardev *c, const uint8_t *buf, size_t len)
{
    size_t n = len < room ? len : room;
    if (sent_len + n > sizeof sent)
        n = 0;
    memcpy(sent + sent_len, buf, n);
    sent_len += n;
    room -= n;
    return n;
}

static void fake_nothing(struct chardev *c)
{
}

static const struct chr_backend fake = { fake_write, fake_nothing, fake_nothing };
static struct chardev *line;

static void out(unsigned port, unsigned v)
{
    mem_write(&m->io, port, v, 1);
}

static unsigned in(unsigned port)
{
    return (unsigned)mem_read(&m->io, port, 1);
}

static void begin(void)
{
    struct error err;
    if (m) {
        line->open = false; /* nobody reads what may still be queued */
        board_free();
    }
    board_new();
    line = chr_alloc(m, "line");
    line->ops = &fake;
    line->open = true;
    sent_len = 0;
    room = sizeof sent;
    if (!serial_new(m, 0, line, &err) || !serial_new(m, 2, NULL, &err))
        abort();
}

static void type(const char *text)
{
    size_t n = strlen(text);
    while (n && chr_backend_room(line)) {
        chr_backend_input(line, (const uint8_t *)text++, 1);
        n--;
    }
}

static void pass(int64_t ns)
{
    m->clock.stopped_ns += ns;
    clock_run_timers(&m->clock);
}

static void input_waits_for_room_and_interrupts_at_the_trigger_level(void)
{
    begin();
    CHECK_EQ(chr_backend_room(line), 1);
    out(COM1 + 2, 0x81); /* FIFO, level 8 */
    out(COM1 + 1, 1);
    CHECK_EQ(chr_backend_room(line), 8);
    type("1234567");
    CHECK_EQ(isa_level[4], 0);
    CHECK_EQ(in(COM1 + 2), 0xc1);
    type("8");
    CHECK_EQ(isa_level[4], 1);
    CHECK_EQ(in(COM1 + 2), 0xc4);
    type("9abcdefgXXXX");
    CHECK_EQ(chr_backend_room(line), 0);
    for (const char *p = "123456789abcdefg"; *p; p++)
        CHECK_EQ(in(COM1), (unsigned char)*p);
    CHECK_EQ(in(COM1 + 5), 0x60);
    CHECK_EQ(isa_level[4], 0);
}

static void a_few_bytes_time_out_after_four_characters(void)
{
    begin();
    out(COM1 + 3, 0x83);
    out(COM1, 12); /* 9600 baud: 1.04 ms a character */
    out(COM1 + 1, 0);
    out(COM1 + 3, 3);
    out(COM1 + 2, 0xc1);
    out(COM1 + 1, 1);
    type("ab");
    pass(4000000);
    CHECK_EQ(isa_level[4], 0);
    pass(300000);
    CHECK_EQ(isa_level[4], 1);
    CHECK_EQ(in(COM1 + 2), 0xcc);
    CHECK_EQ(in(COM1), 'a');
    CHECK_EQ(isa_level[4], 0);
    pass(4300000);
    CHECK_EQ(in(COM1 + 2), 0xcc);
    CHECK_EQ(in(COM1), 'b');
    pass(10000000);
    CHECK_EQ(in(COM1 + 2), 0xc1);
}

static void a_full_line_holds_the_transmitter_and_loses_nothing(void)
{
    begin();
    static uint8_t filler[CHR_QUEUE_SIZE + 1];
    room = 0;
    CHECK_EQ(chr_write(line, filler, sizeof filler), CHR_QUEUE_SIZE);
    out(COM1 + 2, 1);
    out(COM1 + 1, 2);
    in(COM1 + 2);
    out(COM1, 'x');
    CHECK_EQ(in(COM1 + 5), 0x20); /* in the shift register */
    out(COM1, 'y');
    CHECK_EQ(in(COM1 + 5), 0x00);
    CHECK_EQ(isa_level[4], 0);
    for (int i = 0; i <= CHR_QUEUE_SIZE / 256; i++) { /* what was queued before */
        sent_len = 0;
        room = 256;
        chr_backend_writable(line);
    }
    sent_len = 0;
    room = 256;
    chr_backend_writable(line);
    CHECK_EQ(in(COM1 + 5), 0x60);
    CHECK_EQ(isa_level[4], 1);
    CHECK_EQ(in(COM1 + 2), 0xc2);
    CHECK_EQ(isa_level[4], 0);
}

static void output_arrives_in_order(void)
{
    begin();
    for (const char *p = "hello"; *p; p++)
        out(COM1, (unsigned char)*p);
    CHECK_EQ(sent_len, 5);
    CHECK(!memcmp(sent, "hello", 5));
}

static void break_is_a_zero_with_its_error_bits(void)
{
    begin();
    out(COM1 + 2, 1);
    out(COM1 + 1, 4);
    type("q");
    chr_backend_event(line, CHR_EVENT_BREAK);
    CHECK_EQ(in(COM1 + 5), 0xe1); /* further back in the FIFO: only bit 7 shows */
    CHECK_EQ(isa_level[4], 0);
    CHECK_EQ(in(COM1), 'q');
    CHECK_EQ(isa_level[4], 1);
    CHECK_EQ(in(COM1 + 2), 0xc6);
    CHECK_EQ(in(COM1 + 5), 0xf9);
    CHECK_EQ(in(COM1 + 5), 0x61);
    CHECK_EQ(in(COM1), 0);
    CHECK_EQ(in(COM1 + 5), 0x60);
}

static void loopback_turns_modem_outputs_into_inputs(void)
{
    begin();
    out(COM1 + 4, 0);
    CHECK_EQ(in(COM1 + 6), 0xb0);
    out(COM1 + 4, 0x10);
    CHECK_EQ(in(COM1 + 6), 0x0b); /* CTS, DSR, DCD fell */
    out(COM1 + 4, 0x14);
    CHECK_EQ(in(COM1 + 6), 0x40);
    out(COM1 + 1, 8);
    out(COM1 + 4, 0x10);
    CHECK_EQ(isa_level[4], 1);
    CHECK_EQ(in(COM1 + 2), 0x00);
    CHECK_EQ(in(COM1 + 6), 0x04); /* RI's trailing edge */
    CHECK_EQ(isa_level[4], 0);
    out(COM1 + 3, 0x43);
    CHECK_EQ(in(COM1 + 5), 0x79); /* break, seen by ourselves */
}

static void ports_that_share_an_irq_are_ored(void)
{
    begin();
    out(COM1 + 1, 2);
    out(COM3 + 1, 2);
    CHECK_EQ(isa_level[4], 1);
    in(COM1 + 2);
    CHECK_EQ(isa_level[4], 1);
    in(COM3 + 2);
    CHECK_EQ(isa_level[4], 0);
}

static void any_register_access_is_harmless(void)
{
    begin();
    for (int i = 0; i < 200000; i++) {
        unsigned reg = rnd() % 8;
        if (rnd() & 1)
            out(COM1 + reg, rnd() & 0xff);
        else
            in(COM1 + reg);
        if (rnd() % 16 == 0) {
            room = sent_len = 0;
            if (rnd() & 1)
                type("some text");
            room = rnd() % 200;
            chr_backend_writable(line);
        }
        if (rnd() % 64 == 0)
            pass(1000000);
    }
}

int main(void)
{
    RUN(input_waits_for_room_and_interrupts_at_the_trigger_level);
    RUN(a_few_bytes_time_out_after_four_characters);
    RUN(a_full_line_holds_the_transmitter_and_loses_nothing);
    RUN(output_arrives_in_order);
    RUN(break_is_a_zero_with_its_error_bits);
    RUN(loopback_turns_modem_outputs_into_inputs);
    RUN(ports_that_share_an_irq_are_ored);
    RUN(any_register_access_is_harmless);
    line->open = false;
    board_free();
    return test_done();
}
