/*
 * The 82441FX host bridge (PMC) of the i440FX: DRAM decoding with PAM and SMRAM, and configuration
 * mechanism #1.
 *
 * Who adds regions to m->mem:
 *   priority -1  PCI BARs (never over RAM)
 *   priority  0  RAM: 0-640K, 1M up to ram_below_4g, 4G up (the board)
 *   priority  1  the BIOS and its alias at 0xe0000-0xfffff (the board), VGA at 0xa0000
 *   priority  2  PAM: shadow RAM over 0xc0000-0xfffff as 0x59-0x5f enable it
 *   priority  3  SMRAM over 0xa0000-0xbffff while open
 */
#ifndef SLIPWAY_HW_PCI_I440FX_H
#define SLIPWAY_HW_PCI_I440FX_H

#include <stdint.h>

#include "error.h"

struct machine;
struct pci_bus;

/* Makes the bridge at 00.0 and bus 0 (m->pci), with windows on m->ram (at least 1 MB). @bios: the
 * last 128 KB of the BIOS image (not copied, must outlive the bridge), which reads see below
 * write-only shadow RAM; NULL: none. Hooks SMM entry and exit of all CPUs. */
struct pci_bus *i440fx_new(struct machine *m, const uint8_t *bios, struct error *err);

#endif
