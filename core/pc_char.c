/*
 * The board's devices on character devices: serial ports (-serial) and the debug console
 * (-debugcon).
 */
#include "pc.h"

#include <stdio.h>
#include <string.h>

#include "char/char.h"
#include "hw/debugcon.h"
#include "hw/serial.h"
#include "machine.h"
#include "options.h"

bool pc_add_chardevs(struct machine *m, struct error *err)
{
    int index = 0;
    for (struct string_list *s = m->opt->serials; s; s = s->next, index++) {
        char label[24];
        if (!strcmp(s->value, "none"))
            continue;
        snprintf(label, sizeof label, "serial%d", index);
        struct chardev *c = chr_open(m, label, s->value, err);
        if (!c || !serial_new(m, index, c, err))
            return error_prepend(err, "-serial %s", s->value);
    }
    if (m->opt->debugcon) {
        struct chardev *c = chr_open(m, "debugcon", m->opt->debugcon, err);
        if (!c || !isa_debugcon_new(m, c, err))
            return error_prepend(err, "-debugcon %s", m->opt->debugcon);
    }
    return true;
}
