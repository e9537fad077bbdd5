/*
 * An interrupt line (or any one-bit wire): who drives it calls irq_set, who receives it gave the
 * function. Level semantics; an edge is a set to 1 then 0. A line without receiver (fn NULL) is
 * unconnected.
 */
#ifndef SLIPWAY_HW_IRQ_H
#define SLIPWAY_HW_IRQ_H

#include <stddef.h>

struct irq {
    void (*fn)(void *opaque, int n, int level);
    void *opaque;
    int n;
};

static inline void irq_set(const struct irq *line, int level)
{
    if (line->fn)
        line->fn(line->opaque, line->n, level);
}

static inline void irq_pulse(const struct irq *line)
{
    irq_set(line, 1);
    irq_set(line, 0);
}

#endif
