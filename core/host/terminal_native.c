/*
 * The terminal that stdio runs on: raw while the machine has it, as it was at exit. One terminal a
 * process.
 *
 * Raw means: no line editing, no echo, no flow control and no CR/LF mapping on input; output
 * processing stays, so that log lines on stderr still start in column one. Ctrl-C and its like stay
 * the host's unless the guest gets them.
 */
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "host/native.h"

static int raw_fd = -1;
static bool raw_keeps_signals;
static struct termios original;

static void apply(void)
{
    struct termios t = original;
    t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t.c_oflag |= OPOST;
    t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!raw_keeps_signals)
        t.c_lflag &= ~(tcflag_t)ISIG;
    t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    tcsetattr(raw_fd, TCSANOW, &t);
}

void terminal_restore(void)
{
    if (raw_fd >= 0)
        tcsetattr(raw_fd, TCSANOW, &original);
}

void terminal_raw(int fd, bool keep_signals)
{
    static bool registered;
    if (!isatty(fd) || (raw_fd < 0 && tcgetattr(fd, &original) < 0))
        return;
    raw_fd = fd;
    raw_keeps_signals = keep_signals;
    if (!registered) {
        registered = true;
        atexit(terminal_restore);
    }
    apply();
}

void terminal_resume(void)
{
    if (raw_fd >= 0)
        apply();
}
