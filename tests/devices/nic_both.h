/*
 * A NIC on a QEMU and on a board of ours, both plugged into something that the test drives: for
 * QEMU a stream socket (-netdev socket, each frame behind its length), for ours a client of the
 * test's. Frames go to both; what the NICs send is compared.
 */
#ifndef SLIPWAY_NIC_BOTH_H
#define SLIPWAY_NIC_BOTH_H

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "../unit/net_peer.h"
#include "both.h"

#define SLOT    3
#define PORT    0xc000u     /* where the I/O BAR is put, if the NIC is on PCI */
#define MMIO    0xe0000000u /* and the memory BAR */
#define MAC     "\x52\x54\x00\x12\x34\x56"
#define OTHER   "\x52\x54\x00\xaa\xbb\xcc"
#define WAIT_MS 20000

static struct net_peer *wire;
static int qemu_wire;
static struct device *nic_device;
static bool nic_on_pci;

static inline void nic_config(unsigned reg, uint32_t v)
{
    qtest_pci_write(qemu, SLOT, reg, v);
    pci_config_write((struct pci_device *)nic_device, (uint8_t)reg, v, 4);
}

/* Configuration space of both; bits of @mask agree. */
static inline void compare_config(unsigned reg, uint32_t mask)
{
    uint32_t theirs = qtest_pci_read(qemu, SLOT, reg);
    uint32_t ours = pci_config_read((struct pci_device *)nic_device, (uint8_t)reg, 4);
    if ((theirs ^ ours) & mask)
        DIFFER("configuration 0x%02x is 0x%08x, QEMU's 0x%08x", reg, ours, theirs);
}

/* INTA#, as the status register shows it. */
static inline void compare_intx(void)
{
    compare_config(PCI_COMMAND, (uint32_t)PCI_STATUS_INTX << 16);
}

/* A BIOS that halts: QEMU's NICs neither send nor receive while its machine is stopped. */
static inline const char *halting_bios(void)
{
    static char path[32];
    static uint8_t hlt[65536];
    strcpy(path, "/tmp/slipway-bios-XXXXXX");
    int fd = mkstemp(path);
    memset(hlt, 0xf4, sizeof hlt);
    if (fd < 0 || write(fd, hlt, sizeof hlt) != sizeof hlt)
        abort();
    close(fd);
    return path;
}

/* False: there is no QEMU. */
static inline bool nic_start(const struct device_class *cls)
{
    int fd[2];
    setvbuf(stdout, NULL, _IOLBF, 0);
    static char netdev[64], device[128];
    nic_on_pci = !strcmp(cls->bus, "PCI");
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd))
        abort();
    fcntl(fd[0], F_SETFD, FD_CLOEXEC);
    snprintf(netdev, sizeof netdev, "socket,id=n0,fd=%d", fd[1]);
    snprintf(device, sizeof device, "%s,netdev=n0,mac=52:54:00:12:34:56%s", cls->name,
             nic_on_pci ? ",addr=3,romfile=" : "");
    const char *bios = halting_bios();
    const char *args[] = { "-m", "16", "-netdev", netdev, "-device", device, "-bios", bios, NULL };
    qemu = qtest_start(args);
    unlink(bios);
    close(fd[1]);
    qemu_wire = fd[0];
    if (!qemu)
        return false;
    qtest_qmp(qemu, "{\"execute\": \"cont\"}");

    struct error err = { "" };
    board_new();
    wire = net_peer_new(m, "n0");
    nic_device = device_new(m, cls);
    if (!nic_device || !device_set_prop(nic_device, "netdev", "n0", &err) ||
        !device_set_prop(nic_device, "mac", "52:54:00:12:34:56", &err) ||
        (nic_on_pci && !device_set_prop(nic_device, "romfile", "", &err)) ||
        !device_realize(nic_device, &err)) {
        printf("%s\n", err.msg);
        abort();
    }
    if (nic_on_pci) {
        pci_device_reset((struct pci_device *)nic_device);
        nic_config(PCI_BASE_ADDRESS_0, PORT);
        nic_config(PCI_BASE_ADDRESS_0 + 4, MMIO);
        nic_config(PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    }
    return true;
}

static inline int nic_done(void)
{
    board_free();
    qtest_stop(qemu);
    close(qemu_wire);
    printf("%d differences\n", differences);
    return differences != 0;
}

/* A frame of @len bytes to @to, with a pattern. */
static inline const uint8_t *make_frame(const char *to, size_t len, unsigned salt)
{
    static uint8_t f[4096];
    for (size_t i = 0; i < len; i++)
        f[i] = (uint8_t)(i * 7 + salt);
    memcpy(f, to, 6);
    memcpy(f + 6, OTHER "\x88\xb5", 8);
    return f;
}

static inline void put_on_wire(const void *frame, size_t len)
{
    uint32_t n = htonl((uint32_t)len);
    if (write(qemu_wire, &n, 4) != 4 || write(qemu_wire, frame, len) != (ssize_t)len)
        abort();
    /* QEMU's main loop serves the socket and this protocol in turn. */
    for (int i = 0; i < 3; i++)
        qtest_in(qemu, 0x80, 1);
    net_peer_send(wire, frame, len);
    settle();
}

static inline void read_wire(void *buf, size_t len)
{
    uint8_t *p = buf;
    struct pollfd pfd = { .fd = qemu_wire, .events = POLLIN };
    while (len) {
        ssize_t n = poll(&pfd, 1, WAIT_MS) == 1 ? read(qemu_wire, p, len) : 0;
        if (n <= 0) {
            printf("%s: QEMU sent nothing\n", step);
            exit(1);
        }
        p += n;
        len -= (size_t)n;
    }
}

/* The next frame that QEMU's NIC sent must be the @n-th that ours did. @fcs: QEMU adds bytes. */
static inline void compare_sent(size_t n)
{
    static uint8_t theirs[NET_FRAME_MAX];
    uint32_t len;
    read_wire(&len, 4);
    len = ntohl(len);
    read_wire(theirs, len);
    if (n >= wire->count) {
        DIFFER("QEMU sent a frame of %u bytes, ours none", len);
        return;
    }
    const struct net_peer_frame *ours = &wire->frames[n];
    if (ours->len != len)
        DIFFER("frame %zu has %zu bytes, QEMU's %u", n, ours->len, len);
    for (size_t i = 0; i < len && i < ours->len; i++)
        if (ours->data[i] != theirs[i]) {
            DIFFER("frame %zu: byte %zu is 0x%02x, QEMU's 0x%02x", n, i, ours->data[i], theirs[i]);
            break;
        }
}

/* Until (port & mask) == want on QEMU; then both are compared in these bits. */
static inline void wait_in(uint16_t port, unsigned size, uint32_t mask, uint32_t want)
{
    uint32_t v = 0;
    for (int i = 0; i < WAIT_MS; i++) {
        v = qtest_in(qemu, port, size);
        if ((v & mask) == want)
            break;
        usleep(1000);
    }
    uint32_t ours = (uint32_t)mem_read(&m->io, port, size);
    if ((v & mask) != want || (ours & mask) != want)
        DIFFER("waited for port 0x%x & 0x%x to be 0x%x: ours 0x%x, QEMU's 0x%x", port, mask, want,
               ours, v);
}

#endif
