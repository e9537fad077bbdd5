/*
 * What a web page asks of the running PC besides its options, terminals and QMP: keys, the pointer,
 * how far the guest has come, captures. Called between two turns of the loop
 * (web/worker/worker.js). Under Node nobody calls these.
 */
#include <emscripten.h>
#include <stdio.h>

#include "cpu/cpu.h"
#include "host/host.h"
#include "host/wasm.h"
#include "machine.h"
#include "net/net.h"
#include "snapshot.h"
#include "ui/display.h"

/* ---- input; units as in ui/display.h ---- */

EMSCRIPTEN_KEEPALIVE void slipway_key(int hid, int down)
{
    loop_active();
    if (hid > 0 && hid < 256)
        input_key(loop_machine(), (uint8_t)hid, down);
}

EMSCRIPTEN_KEEPALIVE void slipway_pointer(int absolute, int x, int y, int wheel, unsigned buttons)
{
    loop_active();
    if (absolute)
        input_pointer_abs(loop_machine(), x, y, wheel, buttons);
    else
        input_pointer_rel(loop_machine(), x, y, wheel, buttons);
}

EMSCRIPTEN_KEEPALIVE void slipway_release_all(void)
{
    input_release_all(loop_machine());
}

/* ---- looking on ---- */

/* Instructions that the guest has run. */
EMSCRIPTEN_KEEPALIVE double slipway_instructions(void)
{
    return (double)cpu_icount(loop_machine()->cpus[0]);
}

static void captured(void *opaque, const void *data, size_t len)
{
    slipway_js_captured((int)(intptr_t)opaque, data, len);
}

/* Frames of netdev @netdev as a pcap stream for slipway_js_captured(@number), until object_del @id.
 * Returns NULL, or what is wrong. */
EMSCRIPTEN_KEEPALIVE const char *slipway_capture(const char *netdev, const char *id, int max_len,
                                                 int number)
{
    static struct error err;
    bool ok = net_dump_start(loop_machine(), netdev, id, (uint32_t)max_len, captured,
                             (void *)(intptr_t)number, &err);
    return ok ? NULL : err.msg;
}

/* ---- saved states ---- */

static bool write_state(void *opaque, const void *data, size_t len)
{
    return slipway_js_state_write(data, len);
}

static bool read_state(void *opaque, uint64_t offset, void *buf, size_t len)
{
    return slipway_js_state_read((double)offset, buf, len);
}

/* Both return NULL, or what is wrong. */
EMSCRIPTEN_KEEPALIVE const char *slipway_save_state(void)
{
    static struct error err;
    const struct snapshot_sink to = { write_state, NULL };
    return snapshot_save(loop_machine(), &to, &err) ? NULL : err.msg;
}

EMSCRIPTEN_KEEPALIVE const char *slipway_load_state(double size)
{
    static struct error err;
    const struct snapshot_source from = { read_state, (uint64_t)size, NULL };
    return snapshot_load(loop_machine(), &from, &err) ? NULL : err.msg;
}
