/*
 * The AC'97 controller of Intel's 82801AA (ICH) with a SigmaTel STAC9700 codec; what QEMU calls
 * AC97. Follows Intel's "82801AA and 82801AB I/O Controller Hub, AC'97 Programmer's Reference" and
 * the "Audio Codec '97 Component Specification 2.2"; the codec's registers have the values and the
 * writable bits that QEMU's have.
 *
 * BAR 0 holds the codec's mixer registers (NAM), BAR 1 those of three bus masters (NABM): PCM in,
 * PCM out, microphone. A bus master goes through a ring of 32 descriptors in memory (address,
 * length in samples, flags) from CIV to LVI, where it halts until LVI changes:
 *
 *     stopped --run bit--> moving --end of buffer LVI--> halted --LVI written--> moving
 *
 * Samples move as virtual time passes, at the rate in the codec's registers: whenever a register is
 * looked at, when a buffer's end is due, and every PERIOD_NS. PCM out is heard on the audiodev, PCM
 * in and the microphone hear silence. A descriptor of length 0 takes no time; as the ring has an
 * end, so has every loop here.
 */
#include "hw/ac97.h"

#include <string.h>

#include "audio/audio.h"
#include "clock.h"
#include "hw/pci/pci.h"
#include "machine.h"

/* Codec */
enum {
    NAM_RESET = 0x00,
    NAM_MASTER = 0x02,
    NAM_PCM_OUT = 0x18,
    NAM_RECORD_SELECT = 0x1a,
    NAM_RECORD_GAIN = 0x1c,
    NAM_POWERDOWN = 0x26,
    NAM_EXT_ID = 0x28,
    NAM_EXT_CONTROL = 0x2a,
    NAM_DAC_RATE = 0x2c,
    NAM_ADC_RATE = 0x32,
    NAM_MIC_RATE = 0x34,
    NAM_VENDOR1 = 0x7c,
    NAM_VENDOR2 = 0x7e,
    NAM_SIZE = 0x80,
};
#define MUTE           0x8000u
#define POWER_READY    0x000fu
#define EXT_VRA        0x0001u /* variable rates */
#define EXT_VRM        0x0008u /* of the microphone, too */
#define RATE_FULL      48000u
#define RATE_MIN       8000u
#define PCM_OUT_0_DB   8
#define VOLUME_UNIT    (1 << 15)
#define VOLUME_STEP    27571 /* 1.5 dB, in units */
#define VOLUME_STEP_UP 38945
#define MASTER_VOLUME  0x3fu
#define PCM_VOLUME     0x1fu

/* Bus masters */
enum { PCM_IN, PCM_OUT, MIC, MASTERS };
enum { BM_BDBAR = 0, BM_CIV = 4, BM_LVI = 5, BM_SR = 6, BM_PICB = 8, BM_PIV = 10, BM_CR = 11 };
enum { NABM_MASTER_SIZE = 0x10, NABM_CONTROL = 0x2c, NABM_STATUS = 0x30, NABM_CAS = 0x34 };
enum { SR_HALTED = 1, SR_AT_LAST = 2, SR_LAST_DONE = 4, SR_DONE = 8, SR_FIFO_ERROR = 16 };
#define SR_CLEARABLE (SR_LAST_DONE | SR_DONE | SR_FIFO_ERROR)
enum { CR_RUN = 1, CR_RESET = 2, CR_LAST_IRQ = 4, CR_FIFO_IRQ = 8, CR_DONE_IRQ = 16 };
#define CR_KEPT   (CR_LAST_IRQ | CR_FIFO_IRQ | CR_DONE_IRQ)
#define CR_STORED (CR_KEPT | CR_RUN)
enum { GC_COLD = 2, GC_WARM = 4, GC_STORED = 0x3b };
#define GS_CODEC_READY 0x100u
#define GS_INTERRUPTS  0xe0u
#define DESCRIPTORS    32u
#define BD_DONE_IRQ    (1u << 31)

#define NAM_BAR_SIZE  1024 /* as QEMU's */
#define NABM_BAR_SIZE 256
#define NABM_SIZE     0x40
#define PERIOD_NS     (NS_PER_SEC / 100)
#define SOONEST_NS    (NS_PER_SEC / 1000)
#define BATCH         512 /* samples */

struct bus_master {
    uint32_t ring;
    uint8_t civ, lvi, piv, cr; /* index now, last valid, next */
    uint16_t sr, picb;         /* samples left in the buffer */
    bool loaded;               /* CIV's descriptor was read */
    uint32_t addr, flags;      /* of the buffer's rest; the descriptor's second word */
    int64_t since_ns;          /* when it began to move (or its rate changed) ... */
    uint64_t moved;            /* ... and samples since then */
};

struct ac97 {
    struct pci_device pci;
    struct mem_region nam, nabm;
    uint16_t codec[NAM_SIZE / 2];
    struct bus_master bm[MASTERS];
    uint8_t control, cas;
    struct timer timer;
    struct audio *out;
    int32_t volume[2]; /* in units of VOLUME_UNIT */
    char *audiodev;
};

static int64_t now_ns(const struct ac97 *s)
{
    return clock_now_ns(&s->pci.dev.machine->clock);
}

/* ---- the codec ---- */

static const struct codec_register {
    uint16_t number, reset, writable;
} codec_registers[] = {
    { NAM_MASTER, MUTE, 0xbf3f },
    { NAM_PCM_OUT, MUTE | 0x0808, 0x9f1f },
    { NAM_RECORD_SELECT, 0, 0x0707 },
    { NAM_RECORD_GAIN, MUTE | 0x0808, 0x8f0f },
    { NAM_POWERDOWN, POWER_READY, 0x7ff0 },
    { NAM_EXT_ID, 0x0809, 0 },
    { NAM_EXT_CONTROL, EXT_VRA | EXT_VRM, EXT_VRA | EXT_VRM },
    { NAM_DAC_RATE, RATE_FULL, 0xffff },
    { 0x2e, RATE_FULL, 0 },
    { 0x30, RATE_FULL, 0 },
    { NAM_ADC_RATE, RATE_FULL, 0xffff },
    { NAM_MIC_RATE, RATE_FULL, 0xffff },
    { NAM_VENDOR1, 0x8384, 0 },
    { NAM_VENDOR2, 0x7600, 0 },
};
#define CODEC_REGISTERS (sizeof codec_registers / sizeof codec_registers[0])

static const struct codec_register *find_register(unsigned number)
{
    for (size_t i = 0; i < CODEC_REGISTERS; i++)
        if (codec_registers[i].number == number)
            return &codec_registers[i];
    return NULL;
}

static int32_t gain(int steps_down)
{
    int64_t g = VOLUME_UNIT;
    for (; steps_down > 0; steps_down--)
        g = g * VOLUME_STEP >> 15;
    for (; steps_down < 0; steps_down++)
        g = g * VOLUME_STEP_UP >> 15;
    return (int32_t)g;
}

static void update_volume(struct ac97 *s)
{
    unsigned master = s->codec[NAM_MASTER / 2], pcm = s->codec[NAM_PCM_OUT / 2];
    for (int channel = 0; channel < 2; channel++) {
        int shift = channel ? 0 : 8;
        int down = (int)(master >> shift & MASTER_VOLUME) + (int)(pcm >> shift & PCM_VOLUME);
        s->volume[channel] = (master | pcm) & MUTE ? 0 : gain(down - PCM_OUT_0_DB);
    }
}

static unsigned rate_of(const struct ac97 *s, int n)
{
    static const uint8_t registers[MASTERS] = { NAM_ADC_RATE, NAM_DAC_RATE, NAM_MIC_RATE };
    unsigned rate = s->codec[registers[n] / 2];
    return rate < RATE_MIN ? RATE_MIN : rate > RATE_FULL ? RATE_FULL : rate;
}

static unsigned samples_a_second(const struct ac97 *s, int n)
{
    return rate_of(s, n) * (n == MIC ? 1 : 2);
}

static void reset_codec(struct ac97 *s)
{
    memset(s->codec, 0, sizeof s->codec);
    for (size_t i = 0; i < CODEC_REGISTERS; i++)
        s->codec[codec_registers[i].number / 2] = codec_registers[i].reset;
    update_volume(s);
}

/* ---- bus masters ---- */

static void update_irq(struct ac97 *s)
{
    bool any = false;
    for (int n = 0; n < MASTERS; n++) {
        const struct bus_master *b = &s->bm[n];
        any = any || (b->sr & SR_LAST_DONE && b->cr & CR_LAST_IRQ) ||
              (b->sr & SR_DONE && b->cr & CR_DONE_IRQ);
    }
    pci_set_irq(&s->pci, any);
}

static uint32_t status(const struct ac97 *s)
{
    static const uint8_t bits[MASTERS] = { 0x20, 0x40, 0x80 };
    uint32_t v = GS_CODEC_READY;
    for (int n = 0; n < MASTERS; n++) {
        const struct bus_master *b = &s->bm[n];
        if ((b->sr & SR_LAST_DONE && b->cr & CR_LAST_IRQ) ||
            (b->sr & SR_DONE && b->cr & CR_DONE_IRQ))
            v |= bits[n];
    }
    return v;
}

static bool is_moving(const struct bus_master *b)
{
    return (b->cr & CR_RUN) && !(b->sr & SR_HALTED);
}

static void start_counting(struct ac97 *s, struct bus_master *b)
{
    b->since_ns = now_ns(s);
    b->moved = 0;
}

static void next_buffer(struct ac97 *s, struct bus_master *b)
{
    uint8_t d[8];
    b->civ = b->piv;
    b->piv = (uint8_t)((b->piv + 1) % DESCRIPTORS);
    pci_dma_read(&s->pci, b->ring + 8u * b->civ, d, sizeof d);
    b->addr = pci_get32(d) & ~1u;
    b->flags = pci_get32(d + 4);
    b->picb = (uint16_t)b->flags;
    b->loaded = true;
}

/* The buffer is at its end. */
static void finish_buffer(struct ac97 *s, struct bus_master *b)
{
    b->sr &= (uint16_t)~SR_AT_LAST;
    if (b->flags & BD_DONE_IRQ)
        b->sr |= SR_DONE;
    if (b->civ == b->lvi)
        b->sr |= SR_LAST_DONE | SR_HALTED | SR_AT_LAST;
    else
        next_buffer(s, b);
}

static void play(struct ac97 *s, const uint8_t *bytes, unsigned samples)
{
    int16_t frames[BATCH];
    for (unsigned i = 0; i < samples; i++) {
        int64_t v = (int64_t)(int16_t)pci_get16(bytes + (size_t)2 * i) * s->volume[i & 1] >> 15;
        frames[i] = (int16_t)(v > INT16_MAX ? INT16_MAX : v < INT16_MIN ? INT16_MIN : v);
    }
    audio_write(s->out, frames, samples / 2);
}

/* Moves @samples of the buffer that is under way. */
static void move(struct ac97 *s, int n, unsigned samples)
{
    struct bus_master *b = &s->bm[n];
    uint8_t bytes[BATCH * 2] = { 0 };
    if (n == PCM_OUT) {
        pci_dma_read(&s->pci, b->addr, bytes, (size_t)samples * 2);
        play(s, bytes, samples);
    } else {
        pci_dma_write(&s->pci, b->addr, bytes, (size_t)samples * 2);
    }
    b->addr += samples * 2;
    b->picb = (uint16_t)(b->picb - samples);
    b->moved += samples;
}

/* What was due up to now. */
static void catch_up(struct ac97 *s, int n)
{
    struct bus_master *b = &s->bm[n];
    unsigned hz = samples_a_second(s, n);
    int64_t passed = now_ns(s) - b->since_ns;
    if (!is_moving(b))
        return;
    uint64_t due = passed > 0 ? clock_ticks(passed, hz) : 0;
    if (n != MIC)
        due &= ~1ull;          /* both channels */
    if (due > b->moved + hz) { /* time made a jump */
        b->since_ns = now_ns(s);
        b->moved = due = 0;
    }
    while (is_moving(b)) {
        uint64_t left = due - b->moved;
        unsigned most = left < BATCH ? (unsigned)left : BATCH;
        if (due <= b->moved && b->picb)
            break;
        if (b->picb)
            move(s, n, b->picb < most ? b->picb : most);
        if (!b->picb)
            finish_buffer(s, b);
    }
    if (n == PCM_OUT && !is_moving(b))
        audio_pause(s->out);
}

/* When there is something to do next: a buffer that ends, or sound that should be heard. */
static void set_timer(struct ac97 *s)
{
    int64_t now = now_ns(s), next = INT64_MAX;
    for (int n = 0; n < MASTERS; n++) {
        const struct bus_master *b = &s->bm[n];
        if (!is_moving(b))
            continue;
        int64_t end = b->since_ns + clock_ticks_to_ns(b->moved + b->picb, samples_a_second(s, n));
        end = end > now + PERIOD_NS ? now + PERIOD_NS : end;
        next = end < next ? end : next;
    }
    if (next == INT64_MAX)
        timer_del(&s->timer);
    else
        timer_mod(&s->timer, next < now + SOONEST_NS ? now + SOONEST_NS : next);
}

/* To be called before registers are read or written. */
static void catch_up_all(struct ac97 *s)
{
    for (int n = 0; n < MASTERS; n++)
        catch_up(s, n);
}

/* To be called after registers changed. */
static void settle(struct ac97 *s)
{
    update_irq(s);
    set_timer(s);
}

static void tick(void *opaque)
{
    catch_up_all(opaque);
    settle(opaque);
}

static void set_moving(struct ac97 *s, int n, bool run)
{
    struct bus_master *b = &s->bm[n];
    if (!run) {
        b->sr |= SR_HALTED;
        if (n == PCM_OUT)
            audio_pause(s->out);
        return;
    }
    if (!b->loaded || !b->picb)
        next_buffer(s, b);
    b->sr &= (uint16_t)~SR_HALTED;
    start_counting(s, b);
}

static void reset_master(struct ac97 *s, int n)
{
    struct bus_master *b = &s->bm[n];
    set_moving(s, n, false);
    *b = (struct bus_master){ .sr = SR_HALTED, .cr = b->cr & CR_KEPT };
}

static void write_cr(struct ac97 *s, int n, uint8_t v)
{
    struct bus_master *b = &s->bm[n];
    bool ran = b->cr & CR_RUN;
    if (v & CR_RESET) {
        reset_master(s, n);
        return;
    }
    b->cr = v & CR_STORED;
    if (ran != (b->cr & CR_RUN))
        set_moving(s, n, !ran);
}

static void write_lvi(struct ac97 *s, int n, uint8_t v)
{
    struct bus_master *b = &s->bm[n];
    b->lvi = v % DESCRIPTORS;
    if (!(b->cr & CR_RUN) || !(b->sr & SR_HALTED))
        return;
    b->sr &= (uint16_t) ~(SR_HALTED | SR_AT_LAST);
    next_buffer(s, b);
    start_counting(s, b);
}

/* ---- registers ---- */

static uint64_t nam_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ac97 *s = opaque;
    s->cas = 0;
    if (size != 2 || offset >= NAM_SIZE || offset % 2)
        return UINT32_MAX;
    return s->codec[offset / 2];
}

static void codec_write(struct ac97 *s, const struct codec_register *r, uint16_t v)
{
    uint16_t *reg = &s->codec[r->number / 2];
    bool rate = r->number == NAM_DAC_RATE || r->number == NAM_ADC_RATE || r->number == NAM_MIC_RATE;
    unsigned needed = r->number == NAM_MIC_RATE ? EXT_VRM : EXT_VRA;
    if (rate) {
        if (!(s->codec[NAM_EXT_CONTROL / 2] & needed))
            return;
        v = (uint16_t)(v < RATE_MIN ? RATE_MIN : v > RATE_FULL ? RATE_FULL : v);
    }
    *reg = (uint16_t)((*reg & ~r->writable) | (v & r->writable));
    if (r->number == NAM_EXT_CONTROL) {
        if (!(v & EXT_VRA))
            s->codec[NAM_DAC_RATE / 2] = s->codec[NAM_ADC_RATE / 2] = RATE_FULL;
        if (!(v & EXT_VRM))
            s->codec[NAM_MIC_RATE / 2] = RATE_FULL;
    }
    if (rate || r->number == NAM_EXT_CONTROL) {
        for (int n = 0; n < MASTERS; n++)
            start_counting(s, &s->bm[n]);
        audio_set_rate(s->out, rate_of(s, PCM_OUT));
    }
    update_volume(s);
}

static void nam_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ac97 *s = opaque;
    const struct codec_register *r = find_register((unsigned)offset);
    s->cas = 0;
    if (size != 2)
        return;
    catch_up_all(s);
    if (offset == NAM_RESET) {
        reset_codec(s);
        audio_set_rate(s->out, rate_of(s, PCM_OUT));
    } else if (r) {
        codec_write(s, r, (uint16_t)value);
    }
    settle(s);
}

/* All registers of the bus masters as they lie there. */
static void nabm_image(const struct ac97 *s, uint8_t image[NABM_SIZE])
{
    memset(image, 0, NABM_SIZE);
    for (int n = 0; n < MASTERS; n++) {
        const struct bus_master *b = &s->bm[n];
        uint8_t *p = image + NABM_MASTER_SIZE * n;
        pci_set32(p + BM_BDBAR, b->ring);
        p[BM_CIV] = b->civ;
        p[BM_LVI] = b->lvi;
        pci_set16(p + BM_SR, b->sr);
        pci_set16(p + BM_PICB, b->picb);
        p[BM_PIV] = b->piv;
        p[BM_CR] = b->cr;
    }
    image[NABM_CONTROL] = s->control;
    pci_set32(image + NABM_STATUS, status(s));
    image[NABM_CAS] = s->cas;
}

static uint64_t nabm_read(void *opaque, uint64_t offset, unsigned size)
{
    struct ac97 *s = opaque;
    uint8_t image[NABM_SIZE];
    uint64_t v = 0;
    if (offset + size > NABM_SIZE)
        return UINT32_MAX;
    catch_up_all(s);
    settle(s);
    nabm_image(s, image);
    for (unsigned i = 0; i < size; i++)
        v |= (uint64_t)image[offset + i] << (8 * i);
    if (offset == NABM_CAS)
        s->cas = 1; /* who has read 0 has the codec */
    return v;
}

static void master_write(struct ac97 *s, int n, unsigned reg, uint8_t v)
{
    struct bus_master *b = &s->bm[n];
    switch (reg) {
    case BM_BDBAR:
    case BM_BDBAR + 1:
    case BM_BDBAR + 2:
    case BM_BDBAR + 3:
        b->ring = (b->ring & ~(0xffu << 8 * reg)) | (uint32_t)v << 8 * reg;
        b->ring &= ~7u;
        break;
    case BM_LVI: write_lvi(s, n, v); break;
    case BM_SR: b->sr &= (uint16_t) ~(v & SR_CLEARABLE); break;
    case BM_CR: write_cr(s, n, v); break;
    default: break;
    }
}

static void write_control(struct ac97 *s, uint8_t v)
{
    if ((s->control & GC_COLD) && !(v & GC_COLD))
        reset_codec(s);
    s->control = v & GC_STORED; /* a warm reset is done at once */
}

static void nabm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    struct ac97 *s = opaque;
    catch_up_all(s);
    for (unsigned i = 0; i < size && offset + i < NABM_SIZE; i++) {
        unsigned at = (unsigned)offset + i;
        uint8_t v = (uint8_t)(value >> (8 * i));
        if (at < MASTERS * NABM_MASTER_SIZE && at < NABM_CONTROL)
            master_write(s, (int)(at / NABM_MASTER_SIZE), at % NABM_MASTER_SIZE, v);
        else if (at == NABM_CONTROL)
            write_control(s, v);
    }
    settle(s);
}

static const struct mem_ops nam_ops = { nam_read, nam_write, 1, 4 };
static const struct mem_ops nabm_ops = { nabm_read, nabm_write, 1, 4 };

/* ---- life ---- */

static bool ac97_realize(struct device *d, struct error *err)
{
    struct ac97 *s = (struct ac97 *)d;
    s->out = audio_open(d->machine->opt, s->audiodev, err);
    if (!s->out)
        return error_prepend(err, "AC97");
    if (!pci_device_init(&s->pci, err)) {
        audio_close(s->out);
        return false;
    }
    pci_set16(s->pci.config + PCI_STATUS, 0x0280); /* fast back-to-back, medium DEVSEL */
    timer_init(&s->timer, &d->machine->clock, tick, s);
    mem_region_init_io(&s->nam, "ac97-nam", NAM_BAR_SIZE, &nam_ops, s);
    mem_region_init_io(&s->nabm, "ac97-nabm", NABM_BAR_SIZE, &nabm_ops, s);
    pci_register_bar(&s->pci, 0, PCI_BAR_IO, &s->nam);
    pci_register_bar(&s->pci, 1, PCI_BAR_IO, &s->nabm);
    return true;
}

static void ac97_unrealize(struct device *d)
{
    struct ac97 *s = (struct ac97 *)d;
    timer_del(&s->timer);
    pci_device_exit(&s->pci);
    audio_close(s->out);
}

static void ac97_reset(struct device *d)
{
    struct ac97 *s = (struct ac97 *)d;
    timer_del(&s->timer);
    for (int n = 0; n < MASTERS; n++) {
        s->bm[n].cr = 0;
        reset_master(s, n);
    }
    reset_codec(s);
    audio_set_rate(s->out, rate_of(s, PCM_OUT));
    pci_set_irq(&s->pci, 0);
}

static void ac97_post_load(struct device *d)
{
    struct ac97 *s = (struct ac97 *)d;
    pci_device_post_load(&s->pci);
    for (int n = 0; n < MASTERS; n++) {
        struct bus_master *b = &s->bm[n];
        b->civ %= DESCRIPTORS;
        b->lvi %= DESCRIPTORS;
        b->piv %= DESCRIPTORS;
        if (b->since_ns < 0 || b->since_ns > now_ns(s) || b->moved > UINT32_MAX)
            start_counting(s, b);
    }
    update_volume(s);
    audio_pause(s->out);
    audio_set_rate(s->out, rate_of(s, PCM_OUT));
    settle(s);
}

#define BM_FIELDS(n)                                                                               \
    FIELD_U32(struct ac97, bm[n].ring, 0), FIELD_U8(struct ac97, bm[n].civ, 0),                    \
        FIELD_U8(struct ac97, bm[n].lvi, 0), FIELD_U8(struct ac97, bm[n].piv, 0),                  \
        FIELD_U8(struct ac97, bm[n].cr, 0), FIELD_U16(struct ac97, bm[n].sr, SR_HALTED),           \
        FIELD_U16(struct ac97, bm[n].picb, 0), FIELD_BOOL(struct ac97, bm[n].loaded, false),       \
        FIELD_U32(struct ac97, bm[n].addr, 0), FIELD_U32(struct ac97, bm[n].flags, 0),             \
        FIELD_I64(struct ac97, bm[n].since_ns, 0), FIELD_U64(struct ac97, bm[n].moved, 0)

static const struct field ac97_fields[] = {
    PCI_DEVICE_FIELDS,
    FIELD_U16(struct ac97, codec, 0),
    BM_FIELDS(PCM_IN),
    BM_FIELDS(PCM_OUT),
    BM_FIELDS(MIC),
    FIELD_U8(struct ac97, control, 0),
    FIELD_U8(struct ac97, cas, 0),
    FIELD_TIMER(struct ac97, timer),
    FIELD_END,
};

static const struct prop ac97_props[] = {
    { "audiodev", PROP_STRING, offsetof(struct ac97, audiodev), NULL,
      "where it is heard (without it: the first audiodev)" },
    PCI_DEVICE_PROPS,
    PROP_END,
};

static const struct pci_class_info ac97_info = {
    .vendor_id = 0x8086,
    .device_id = 0x2415,
    .revision = 1,
    .class_id = 0x0401,
    .has_intx = true,
};

const struct device_class ac97_class = {
    .name = "AC97",
    .desc = "Intel 82801AA AC97 Audio",
    .size = sizeof(struct ac97),
    .bus = "PCI",
    .fields = ac97_fields,
    .props = ac97_props,
    .realize = ac97_realize,
    .unrealize = ac97_unrealize,
    .reset = ac97_reset,
    .post_load = ac97_post_load,
    .class_data = &ac97_info,
};
