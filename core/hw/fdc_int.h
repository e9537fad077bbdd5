/*
 * Inside the floppy controller: what fdc.c (phases, transfers, registers) and fdc_commands.c share.
 */
#ifndef SLIPWAY_HW_FDC_INT_H
#define SLIPWAY_HW_FDC_INT_H

#include "clock.h"
#include "hw/device.h"
#include "hw/fdc.h"
#include "memory.h"

#define FDC_IRQ      6
#define FDC_DMA      2
#define SECTOR_BYTES 512u
#define READ_ID_NS   10000000
#define DMA_RETRY_NS 1000000
#define DMA_RETRIES  500 /* then it is an overrun */
#define MAX_TRACK    85  /* where the head bangs */

enum {
    DOR_SELECT = 0x03,
    DOR_NRESET = 0x04,
    DOR_DMAEN = 0x08,
    DOR_MOTOR0 = 0x10,

    MSR_CMDBUSY = 0x10,
    MSR_NONDMA = 0x20,
    MSR_DIO = 0x40,
    MSR_RQM = 0x80,

    DSR_RATE = 0x03,
    DSR_POWERDOWN = 0x40,
    DSR_RESET = 0x80,

    ST0_SEEK = 0x20,
    ST0_ABNORMAL = 0x40,
    ST0_INVALID = 0x80,
    ST0_POLLING = 0xc0,
    ST1_MISSING_AM = 0x01,
    ST1_NOT_WRITABLE = 0x02,
    ST1_NO_DATA = 0x04,
    ST1_OVERRUN = 0x10,
    ST1_DATA_ERROR = 0x20,
    ST1_END_OF_CYL = 0x80,
    ST2_WRONG_CYL = 0x10,
    ST2_SCAN_EQUAL = 0x08,
    ST2_SCAN_FAILED = 0x04,
    ST2_CONTROL_MARK = 0x40,

    CMD_MT = 0x80,
    CMD_SK = 0x20,

    CONFIG_EIS = 0x40,
    CONFIG_EFIFO = 0x20, /* disables it */
    CONFIG_POLL = 0x10,  /* disables it */
};

enum fdc_phase { PHASE_COMMAND, PHASE_EXECUTION, PHASE_RESULT };
/* What a command in its execution phase does with a sector. */
enum fdc_op { OP_READ, OP_WRITE, OP_VERIFY, OP_SCAN, OP_FORMAT };

struct fdc_drive {
    bool present;
    struct blk *blk;
    const struct fdc_geometry *geo; /* of the medium, or a default while there is none */
    uint8_t type;                   /* enum fdc_drive_type */
    uint8_t track;                  /* where the head is */
    bool changed;                   /* DSKCHG */
};

struct fdc {
    struct device dev;
    struct i8257 *dma;
    struct mem_region regs, dir;
    struct fdc_drive drives[FDC_DRIVES];

    uint8_t dor, dsr, tdr;
    uint8_t phase, op;
    uint8_t cmd[18], cmd_len, cmd_want;
    uint8_t result[16], result_len, result_pos;
    uint8_t st0_pending; /* of the finished seek that SENSE INTERRUPT will report */
    bool seek_done, irq_level;
    uint8_t reset_sense; /* SENSE INTERRUPTs left that answer a reset */
    uint8_t pcn[4];      /* present cylinder of each drive */
    uint8_t config, pretrk, srt_hut, hlt_nd, perpendicular;
    bool locked;
    uint8_t last_eot;

    /* Execution phase */
    uint8_t track, head, sector, eot;
    uint16_t left; /* FORMAT, READ TRACK, VERIFY with count: sectors to do; 0: up to EOT */
    bool counted, scan_hit_low, scan_bad, tc;
    uint8_t st2;
    uint16_t pos;   /* bytes of data that went through */
    bool fifo_wait; /* non-DMA: the host has to move bytes */
    uint16_t retries;
    struct timer timer; /* READ ID, and tries of DMA */
    bool timer_is_read_id;
    uint8_t data[SECTOR_BYTES];
    uint8_t disk[SECTOR_BYTES]; /* SCAN: what the disk has */
    bool inflight, stale;       /* a block request is out; its result is for no one */
};

/* fdc.c and fdc_commands.c */
void fdc_set_irq(struct fdc *f, bool level);
struct fdc_drive *fdc_drive(struct fdc *f, unsigned n);
void fdc_step_to(struct fdc_drive *d, unsigned track);
void fdc_to_command(struct fdc *f);
void fdc_to_result(struct fdc *f, unsigned len);
void fdc_seek_finished(struct fdc *f, unsigned unit, uint8_t st0);
void fdc_invalid_command(struct fdc *f);
unsigned fdc_selected(const struct fdc *f);
void fdc_transfer_result(struct fdc *f, uint8_t st0, uint8_t st1, uint8_t st2);
void fdc_end_transfer(struct fdc *f, uint8_t st0, uint8_t st1, uint8_t st2);
void fdc_data_finished(struct fdc *f);
unsigned fdc_block_bytes(const struct fdc *f);
void fdc_run_dma(struct fdc *f);
void fdc_next_sector(struct fdc *f);
void fdc_start_transfer(struct fdc *f, enum fdc_op op);
void fdc_timer_fired(void *opaque);
uint8_t fdc_fifo_read(struct fdc *f);
void fdc_fifo_write(struct fdc *f, uint8_t v);

#endif
