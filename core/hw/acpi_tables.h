/*
 * The ACPI tables of the machine, handed to the firmware through fw_cfg ("etc/acpi/rsdp",
 * "etc/acpi/tables" and the script "etc/table-loader" by which SeaBIOS places, links and checksums
 * them).
 */
#ifndef SLIPWAY_HW_ACPI_TABLES_H
#define SLIPWAY_HW_ACPI_TABLES_H

#include "error.h"

struct machine;

/* To be called when all devices are there: the tables list those that are. */
bool acpi_tables_add(struct machine *m, struct error *err);

#endif
