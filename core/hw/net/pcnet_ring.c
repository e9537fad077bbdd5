/*
 * Am79C970A, the data path: initialization block, descriptors in their four layouts, rings; data
 * sheet chapters "Buffer management" and "Software access".
 *
 * The software style (BCR20) says how blocks in memory look: 16-bit structures as the LANCE's
 * (style 0), or 32-bit ones, with buffer address first (1, 2) or last (3). struct desc is what all
 * have in common.
 *
 * Transmission: the descriptors of a frame, from STP to ENP, are read and the frame gathered before
 * any is written back. When the peer has no room nothing has happened yet, and writable() begins
 * again.
 *
 * Reception: the free descriptors must have room for the whole frame and its FCS; until they do it
 * is refused. Drivers give descriptors back by writing to memory only, so writes to CSR0 and a
 * timer (pcnet.c) look again.
 *
 * Hostile rings: one call handles at most BURST descriptors, a frame is bounded by frame[], and DMA
 * to our own registers is ignored (busy).
 */
#include "hw/net/pcnet.h"

#include <string.h>

#include "hw/net/eth.h"
#include "log.h"
#include "machine.h"

enum {
    BURST = 512, /* the longest ring of the initialization block */
    MAX_RLEN = 9,

    /* status: the upper half of TMD1 and RMD1 */
    D_OWN = 0x8000,
    D_ERR = 0x4000,
    D_ADD_FCS = 0x2000, /* transmit */
    D_LTINT = 0x1000,   /* transmit */
    D_BUFF = 0x0400,    /* receive */
    D_STP = 0x0200,
    D_ENP = 0x0100,
    D_PAM = 0x0040,  /* receive, and so on: matched by physical, */
    D_LAFM = 0x0020, /* logical, */
    D_BAM = 0x0010,  /* broadcast address */
    D_TX_RESULT = D_ERR | 0x1c00 | 0x0080,

    PADDED_LENGTH = 46, /* shorter 802.3 frames are padded */
};
#define TX_LCAR (1u << 27) /* in TMD2 */

struct desc {
    uint32_t at, buffer, misc;
    uint16_t status, bcnt;
};

static unsigned style(const struct pcnet *s)
{
    return s->bcr[BCR_SWS] & 0xff;
}

static uint32_t pair(const struct pcnet *s, unsigned csr)
{
    return s->csr[csr] | (uint32_t)s->csr[csr + 1] << 16;
}

static void set_pair(struct pcnet *s, unsigned csr, uint32_t v)
{
    s->csr[csr] = (uint16_t)v;
    s->csr[csr + 1] = (uint16_t)(v >> 16);
}

/* 16-bit structures have 24-bit addresses; the rest comes from the block's own address. */
static uint32_t upper_address(const struct pcnet *s)
{
    return (uint32_t)(s->csr[CSR_IADR + 1] & 0xff00) << 16;
}

/* ---- descriptors ---- */

uint32_t pcnet_desc_addr(const struct pcnet *s, unsigned base_csr, unsigned length_csr,
                         unsigned index)
{
    unsigned length = pcnet_ring_length(s, length_csr);
    return pair(s, base_csr) + (length ? index % length : 0) * (style(s) ? 16u : 8u);
}

static struct desc read_desc(struct pcnet *s, uint32_t at)
{
    uint8_t b[16];
    struct desc d = { .at = at };
    if (style(s) == 0) {
        pci_dma_read(&s->pci, at, b, 8);
        d.buffer = upper_address(s) | (uint32_t)b[2] << 16 | pci_get16(b);
        d.status = (uint16_t)(b[3] << 8);
        d.bcnt = pci_get16(b + 4);
        d.misc = pci_get16(b + 6);
        return d;
    }
    pci_dma_read(&s->pci, at, b, 12);
    bool last = style(s) == 3;
    d.buffer = pci_get32(b + (last ? 8 : 0));
    d.misc = pci_get32(b + (last ? 0 : 8));
    d.bcnt = pci_get16(b + 4);
    d.status = pci_get16(b + 6);
    return d;
}

/* Writes status and misc (of which a 16-bit structure keeps the upper half for transmission, the
 * lower one for reception) back. */
static void write_desc(struct pcnet *s, const struct desc *d, bool tx)
{
    uint8_t b[4];
    if (style(s) == 0) {
        pci_set16(b, (uint16_t)(tx ? d->misc >> 16 : d->misc));
        pci_dma_write(&s->pci, d->at + 6, b, 2);
        b[0] = (uint8_t)(d->status >> 8);
        pci_dma_write(&s->pci, d->at + 3, b, 1);
        return;
    }
    pci_set32(b, d->misc);
    pci_dma_write(&s->pci, d->at + (style(s) == 3 ? 0 : 8), b, 4);
    pci_set16(b, d->status);
    pci_dma_write(&s->pci, d->at + 6, b, 2);
}

static size_t buffer_size(const struct desc *d)
{
    return 4096 - (d->bcnt & 0xfffu);
}

static uint16_t next(const struct pcnet *s, unsigned index, unsigned length_csr)
{
    unsigned length = pcnet_ring_length(s, length_csr);
    return (uint16_t)(index + 1 >= length ? 0 : index + 1);
}

/* ---- initialization block ---- */

void pcnet_init_block(struct pcnet *s)
{
    uint8_t b[28];
    unsigned rlen, tlen;
    uint32_t rdra, tdra;
    const uint8_t *padr, *ladrf;
    if (style(s) == 0) {
        pci_dma_read(&s->pci, pair(s, CSR_IADR), b, 24);
        padr = b + 2;
        ladrf = b + 8;
        rdra = (pci_get32(b + 16) & 0xffffff) | upper_address(s);
        tdra = (pci_get32(b + 20) & 0xffffff) | upper_address(s);
        rlen = b[19] >> 5;
        tlen = b[23] >> 5;
    } else {
        pci_dma_read(&s->pci, pair(s, CSR_IADR), b, 28);
        padr = b + 4;
        ladrf = b + 12;
        rdra = pci_get32(b + 20);
        tdra = pci_get32(b + 24);
        rlen = b[2] >> 4;
        tlen = b[3] >> 4;
    }
    s->csr[CSR_MODE] = pci_get16(b);
    for (int i = 0; i < 3; i++)
        s->csr[CSR_PADR + i] = pci_get16(padr + 2 * i);
    for (int i = 0; i < 4; i++)
        s->csr[CSR_LADRF + i] = pci_get16(ladrf + 2 * i);
    set_pair(s, CSR_BADR, rdra);
    set_pair(s, CSR_BADX, tdra);
    s->csr[6] = (uint16_t)(tlen << 12 | rlen << 8);
    s->csr[CSR_RCVRL] = (uint16_t) - (1 << (rlen < MAX_RLEN ? rlen : MAX_RLEN));
    s->csr[CSR_XMTRL] = (uint16_t) - (1 << (tlen < MAX_RLEN ? tlen : MAX_RLEN));
    s->rx_index = s->tx_index = 0;
    nic_set_mac(s->nic, padr);
}

/* ---- reception ---- */

/* D_ bits of the match; *wanted: is there one? */
static uint16_t accepts(const struct pcnet *s, const uint8_t *frame, bool *wanted)
{
    uint16_t mode = s->csr[CSR_MODE], match = 0;
    enum eth_dest dest = eth_dest(frame);
    if (dest == ETH_UNICAST) {
        uint8_t padr[ETH_ADDR_LEN];
        for (int i = 0; i < 3; i++)
            pci_set16(padr + 2 * i, s->csr[CSR_PADR + i]);
        if (!(mode & CSR15_DRCVPA) && !memcmp(frame, padr, ETH_ADDR_LEN))
            match = D_PAM;
    } else if (dest == ETH_BROADCAST && !(mode & CSR15_DRCVBC)) {
        match = D_BAM;
    } else {
        unsigned hash = net_crc32_le(frame, ETH_ADDR_LEN) >> 26;
        if (s->csr[CSR_LADRF + (hash >> 4)] >> (hash & 15) & 1)
            match = D_LAFM;
    }
    *wanted = match || (mode & CSR15_PROM);
    return mode & CSR15_PROM ? 0 : match;
}

static void count_missed(struct pcnet *s)
{
    s->csr[0] |= CSR0_MISS;
    if (++s->csr[CSR_MFC] == 0)
        s->csr[4] |= CSR4_MFCO;
    pcnet_update_irq(s);
}

/* Free descriptors must have room for @total bytes; *never: they can't, whatever the driver does.
 */
static bool has_room(struct pcnet *s, size_t total, bool *never)
{
    unsigned length = pcnet_ring_length(s, CSR_RCVRL), limit = length < BURST ? length : BURST;
    size_t room = 0;
    *never = false;
    for (unsigned i = 0; i < limit; i++) {
        struct desc d =
            read_desc(s, pcnet_desc_addr(s, CSR_BADR, CSR_RCVRL, (unsigned)s->rx_index + i));
        if (!(d.status & D_OWN))
            return false;
        room += buffer_size(&d);
        if (room >= total)
            return true;
    }
    *never = true;
    return false;
}

static void store(struct pcnet *s, const uint8_t *frame, size_t len, const uint8_t *fcs,
                  size_t fcs_len, uint16_t match)
{
    size_t total = len + fcs_len, done = 0;
    for (unsigned i = 0; i < BURST && done < total; i++) {
        struct desc d = read_desc(s, pcnet_desc_addr(s, CSR_BADR, CSR_RCVRL, s->rx_index));
        size_t room = buffer_size(&d), n = room < total - done ? room : total - done;
        size_t data = done >= len ? 0 : n < len - done ? n : len - done;
        pci_dma_write(&s->pci, d.buffer, frame + (data ? done : 0), data);
        if (n > data)
            pci_dma_write(&s->pci, d.buffer + data, fcs + (done + data - len), n - data);
        d.status = done ? 0 : D_STP;
        d.misc = 0;
        done += n;
        if (done == total) {
            d.status |= D_ENP | match;
            d.misc = (uint32_t)total & 0xfff;
        }
        write_desc(s, &d, false);
        s->rx_index = next(s, s->rx_index, CSR_RCVRL);
    }
}

/* @fcs_len: 4, or 0 if the frame has its FCS already (loopback of such a one). */
static bool receive_frame(struct pcnet *s, const uint8_t *frame, size_t len, size_t fcs_len)
{
    uint8_t padded[ETH_MIN_LEN], fcs[ETH_FCS_LEN] = { 0 };
    bool wanted, never;
    if (!(s->csr[0] & CSR0_RXON) || len < ETH_HEADER_LEN)
        return true;
    uint16_t match = accepts(s, frame, &wanted);
    if (!wanted)
        return true;
    /* Senders may leave the padding to the wire, so a short frame is no runt unless runts are what
     * the driver asks for. */
    if (len < ETH_MIN_LEN && !(s->csr[CSR_TEST] & CSR124_RPA)) {
        memset(padded, 0, sizeof padded);
        memcpy(padded, frame, len);
        frame = padded;
        len = ETH_MIN_LEN;
    }
    size_t length_field = (size_t)frame[12] << 8 | frame[13];
    if ((s->csr[4] & CSR4_ASTRP_RCV) && length_field < PADDED_LENGTH) {
        len = ETH_HEADER_LEN + length_field;
        fcs_len = 0;
    }
    if (fcs_len)
        eth_fcs(frame, len, fcs);
    s->busy++;
    bool room = has_room(s, len + fcs_len, &never);
    if (room)
        store(s, frame, len, fcs, fcs_len, match);
    s->busy--;
    if (never) {
        log_mask(LOG_GUEST_ERRORS, "pcnet: receive ring too small for %zu bytes", len);
        count_missed(s);
        return true;
    }
    if (!room)
        return false;
    s->rint_repeated = false;
    s->csr[0] |= CSR0_RINT;
    pcnet_update_irq(s);
    return true;
}

bool pcnet_receive(struct net_client *nc, const struct net_frame *f)
{
    struct pcnet *s = (struct pcnet *)((struct nic *)nc)->device;
    if (s->csr[CSR_MODE] & CSR15_LOOP)
        return true;
    bool taken = (!pcnet_suspended(s) || !(s->csr[0] & CSR0_RXON)) &&
                 receive_frame(s, f->data, f->len, ETH_FCS_LEN);
    s->rx_waiting = !taken;
    if (!taken && !pcnet_suspended(s)) {
        int64_t at = clock_now_ns(s->poll.clock) + s->poll_ns;
        if (!timer_pending(&s->poll) || s->poll.expire_ns > at)
            timer_mod(&s->poll, at);
    }
    return taken;
}

/* ---- transmission ---- */

enum gathered { GATHERED, NOT_READY, TOO_LONG };

/* Reads the frame that begins at tx_index; *count is how many descriptors it has. */
static enum gathered gather(struct pcnet *s, size_t *len, unsigned *count, uint16_t *status)
{
    unsigned length = pcnet_ring_length(s, CSR_XMTRL), limit = length < BURST ? length : BURST;
    bool fits = true;
    *len = *count = 0;
    *status = 0;
    while (*count < limit) {
        struct desc d =
            read_desc(s, pcnet_desc_addr(s, CSR_BADX, CSR_XMTRL, (unsigned)s->tx_index + *count));
        if (!(d.status & D_OWN))
            return NOT_READY;
        size_t n = buffer_size(&d);
        fits = fits && n <= sizeof s->frame - *len;
        if (fits) {
            pci_dma_read(&s->pci, d.buffer, s->frame + *len, n);
            *len += n;
        }
        ++*count;
        *status |= d.status; /* STP of the first, ADD_FCS, LTINT */
        if (!(*status & D_STP))
            return TOO_LONG; /* the middle of a frame: skipped */
        if (d.status & D_ENP)
            return fits ? GATHERED : TOO_LONG;
    }
    return limit ? TOO_LONG : NOT_READY;
}

static void release(struct pcnet *s, unsigned count, bool no_carrier)
{
    for (unsigned i = 0; i < count; i++) {
        struct desc d = read_desc(s, pcnet_desc_addr(s, CSR_BADX, CSR_XMTRL, s->tx_index));
        d.status &= (uint16_t) ~(D_OWN | D_TX_RESULT);
        d.misc = 0;
        if (no_carrier && (d.status & D_ENP)) {
            d.status |= D_ERR;
            d.misc = TX_LCAR;
        }
        write_desc(s, &d, true);
        s->tx_index = next(s, s->tx_index, CSR_XMTRL);
    }
}

/* The gathered frame, to the wire or back. False: the peer has no room. */
static bool send_frame(struct pcnet *s, size_t len, uint16_t status)
{
    bool add_fcs = !(s->csr[CSR_MODE] & CSR15_DXMTFCS) || (status & D_ADD_FCS);
    if ((s->csr[4] & CSR4_APAD_XMT) && len < ETH_MIN_LEN) {
        memset(s->frame + len, 0, ETH_MIN_LEN - len);
        len = ETH_MIN_LEN;
        add_fcs = true;
    }
    if (s->csr[CSR_MODE] & CSR15_LOOP) {
        if (!receive_frame(s, s->frame, len, add_fcs ? ETH_FCS_LEN : 0))
            count_missed(s);
        return true;
    }
    if (len > ETH_MAX_LEN)
        s->csr[0] |= CSR0_BABL;
    s->sending = true;
    bool taken = net_send_buf(&s->nic->nc, s->frame, len);
    s->sending = false;
    return taken;
}

static void transmitted(struct pcnet *s, uint16_t status, bool no_carrier)
{
    bool interrupt = !(s->csr[5] & CSR5_TOKINTD) || no_carrier;
    if (s->csr[5] & CSR5_LTINTEN)
        interrupt = status & D_LTINT;
    if (interrupt)
        s->csr[0] |= CSR0_TINT;
    if (no_carrier)
        s->csr[0] |= CSR0_CERR;
    s->csr[4] |= CSR4_TXSTRT;
    pcnet_update_irq(s);
}

bool pcnet_transmit(struct pcnet *s)
{
    bool any = false;
    if (s->sending || s->busy)
        return false;
    s->busy++;
    for (unsigned done = 0; done < BURST && (s->csr[0] & CSR0_TXON) && !pcnet_suspended(s);) {
        size_t len;
        unsigned count;
        uint16_t status;
        enum gathered g = gather(s, &len, &count, &status);
        bool no_carrier = !s->link && !(s->csr[CSR_MODE] & CSR15_LOOP);
        if (g == NOT_READY)
            break;
        if (g == TOO_LONG)
            log_mask(LOG_GUEST_ERRORS, "pcnet: descriptors that make no frame");
        else if (!no_carrier && !send_frame(s, len, status))
            break;
        release(s, count, no_carrier);
        if (g == GATHERED)
            transmitted(s, status, no_carrier);
        done += count;
        any = true;
    }
    s->busy--;
    return any;
}

void pcnet_writable(struct net_client *nc)
{
    struct pcnet *s = (struct pcnet *)((struct nic *)nc)->device;
    pcnet_transmit(s);
}
