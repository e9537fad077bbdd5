/*
 * Descriptor watches of the native loop: added and removed from within callbacks, and hooks.
 */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/host.h"
#include "host/native.h"
#include "test.h"

#define MS 1000000ll

struct end {
    struct host_poll poll;
    int read_fd, write_fd, calls;
    struct end *kill, *revive;
};

static void ready(void *opaque, short revents)
{
    struct end *e = opaque;
    char c;
    CHECK(revents & POLLIN);
    CHECK_EQ(read(e->read_fd, &c, 1), 1);
    e->calls++;
    if (e->kill)
        host_poll_remove(&e->kill->poll);
    if (e->revive) {
        host_poll_add(&e->revive->poll);
        e->revive = NULL;
    }
}

static void open_end(struct end *e)
{
    int fds[2];
    CHECK_EQ(pipe(fds), 0);
    *e = (struct end){ .read_fd = fds[0], .write_fd = fds[1] };
    e->poll = (struct host_poll){ .fd = fds[0], .events = POLLIN, .ready = ready, .opaque = e };
    host_poll_add(&e->poll);
    CHECK_EQ(write(fds[1], "abc", 3), 3);
}

static void close_end(struct end *e)
{
    host_poll_remove(&e->poll);
    close(e->read_fd);
    close(e->write_fd);
}

static void removed_in_a_callback_is_not_called(void)
{
    struct end e[40];
    for (int i = 0; i < 40; i++)
        open_end(&e[i]);
    e[3].kill = &e[20];
    e[5].kill = &e[5];
    host_loop_once(0);
    CHECK_EQ(e[3].calls, 1);
    CHECK_EQ(e[20].calls, 0);
    CHECK_EQ(e[39].calls, 1);
    e[3].kill = NULL;
    e[3].revive = &e[20];
    e[4].poll.events = 0;
    host_loop_once(0);
    CHECK_EQ(e[20].calls, 0); /* added: the next turn looks at it */
    host_loop_once(0);
    CHECK_EQ(e[20].calls, 1);
    CHECK_EQ(e[5].calls, 1);
    CHECK_EQ(e[4].calls, 1);
    CHECK_EQ(e[39].calls, 3);
    for (int i = 0; i < 40; i++)
        close_end(&e[i]);
}

static int prepared, checked;
static struct end late;

static void prepare(void *opaque, int64_t *wait_ns)
{
    if (!prepared++)
        open_end(&late);
    *wait_ns = 0;
}

static void check(void *opaque)
{
    checked++;
    CHECK_EQ(late.calls, checked);
}

static void hook_prepares_and_checks(void)
{
    struct host_poll_hook hook = { .prepare = prepare, .check = check };
    host_poll_hook_add(&hook);
    int64_t start = host_monotonic_ns();
    host_loop_once(60000 * MS);
    host_loop_once(60000 * MS);
    CHECK(host_monotonic_ns() - start < 50000 * MS);
    CHECK_EQ(prepared, 2);
    CHECK_EQ(checked, 2);
    host_poll_hook_remove(&hook);
    host_loop_once(0);
    CHECK_EQ(prepared, 2);
    close_end(&late);
}

int main(void)
{
    RUN(removed_in_a_callback_is_not_called);
    RUN(hook_prepares_and_checks);
    return test_done();
}
