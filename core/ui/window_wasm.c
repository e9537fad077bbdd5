/*
 * No window in the wasm build: the page, or nobody under Node, looks at the display.
 */
#include "ui/window.h"

bool window_open(struct machine *m, struct error *err)
{
    (void)m;
    (void)err;
    return true;
}

void window_close(void)
{
}
