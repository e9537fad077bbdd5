/*
 * Interrupt controllers: local APIC, IOAPIC, 8259 pair and the PCI lines that lead to them, as a
 * CPU sees them. SDM vol. 3 chapter 11, data sheets 82093AA and 8259A.
 */
#include "chipset.h"
#include "hw/apic.h"
#include "hw/ioapic.h"
#include "hw/pci/pci.h"

/* ---- local APIC ---- */

static void apic_priorities_and_eoi(void)
{
    fresh();
    write32(APIC + 0x300, 0x40000 | 0x41); /* self IPI */
    write32(APIC + 0x300, 0x40000 | 0x62);
    CHECK(intr());
    CHECK_EQ(read32(APIC + 0x220), 1u << 1); /* IRR 0x40-0x5f */
    CHECK_EQ(ack(), 0x62);
    CHECK_EQ(read32(APIC + 0xa0), 0x60);   /* PPR */
    CHECK(!intr());                        /* 0x41 is of a lower class */
    write32(APIC + 0x300, 0x40000 | 0x63); /* same class: waits too */
    CHECK(!intr());
    write32(APIC + 0x300, 0x40000 | 0x71);
    CHECK_EQ(ack(), 0x71);
    apic_eoi();
    CHECK_EQ(read32(APIC + 0x130), 1u << 2); /* ISR 0x60-0x7f: 0x62 */
    apic_eoi();
    CHECK_EQ(ack(), 0x63);
    apic_eoi();
    CHECK_EQ(ack(), 0x41);
    apic_eoi();
    CHECK_EQ(ack(), -1);
}

static void apic_task_priority(void)
{
    fresh();
    struct apic *a = m->cpus[0]->apic;
    apic_set_cr8(a, 5);
    CHECK_EQ(read32(APIC + 0x80), 0x50);
    write32(APIC + 0x300, 0x40000 | 0x5f);
    CHECK(!intr());
    write32(APIC + 0x80, 0x4f);
    CHECK_EQ(apic_get_cr8(a), 4);
    CHECK_EQ(ack(), 0x5f);
}

static void apic_errors(void)
{
    fresh();
    write32(APIC + 0x370, 0xfe); /* LVT error */
    write32(APIC + 0x300, 0x40000 | 0x0f);
    CHECK_EQ(read32(APIC + 0x280), 0); /* latched by a write */
    CHECK_EQ(ack(), 0xfe);
    write32(APIC + 0x280, 0);
    CHECK_EQ(read32(APIC + 0x280), 0x20);
    read32(APIC + 0x40); /* no such register */
    write32(APIC + 0x280, 0);
    CHECK_EQ(read32(APIC + 0x280), 0x80);
    write32(APIC + 0x280, 0);
    CHECK_EQ(read32(APIC + 0x280), 0);
}

static void apic_software_disable(void)
{
    fresh();
    write32(APIC + 0x320, 0x20030);
    write32(APIC + 0xf0, 0xff);
    CHECK_EQ(read32(APIC + 0x320), 0x30030); /* masked ... */
    write32(APIC + 0x320, 0x20030);
    CHECK_EQ(read32(APIC + 0x320), 0x30030); /* ... and stays so */
    write32(APIC + 0x300, 0x40000 | 0x55);
    CHECK(!intr());
}

static void apic_msi_and_logical(void)
{
    fresh();
    dma_write32(&m->mem, 0xfee00000,
                0x4045); /* destination 0: the address of the APIC's own page */
    CHECK_EQ(ack(), 0x45);
    apic_eoi();
    dma_write32(&m->mem, 0xfee01000, 0x4046); /* somebody else */
    CHECK(!intr());
    write32(APIC + 0xd0, 0x04000000);
    write32(APIC + 0xe0, 0xffffffff);
    dma_write32(&m->mem, 0xfee06004, 0x0047); /* logical, flat: 6 & 4 */
    CHECK_EQ(ack(), 0x47);
    apic_eoi();
    write32(APIC + 0xe0, 0x0fffffff); /* cluster model */
    write32(APIC + 0xd0, 0x21000000);
    dma_write32(&m->mem, 0xfee23004, 0x0148); /* lowest priority */
    CHECK_EQ(ack(), 0x48);
    apic_eoi();
    dma_write32(&m->mem, 0xfee13004, 0x0049);
    CHECK(!intr());
    dma_write32(&m->mem, 0xfeeff000, 0x0400); /* NMI to all */
    CHECK(m->cpus[0]->intr & CPU_INTR_NMI);
}

static void apic_timer_modes(void)
{
    fresh();
    write32(APIC + 0x320, 0x30); /* one shot */
    write32(APIC + 0x3e0, 0x3);  /* divide by 16 */
    write32(APIC + 0x380, 1000);
    advance(8000);
    CHECK_EQ(read32(APIC + 0x390), 500);
    advance(7999);
    CHECK(!intr());
    advance(1);
    CHECK_EQ(ack(), 0x30);
    apic_eoi();
    CHECK_EQ(read32(APIC + 0x390), 0);
    advance(1000000);
    CHECK(!intr());

    write32(APIC + 0x3e0, 0xb); /* by 1 */
    write32(APIC + 0x320, 0x20031);
    write32(APIC + 0x380, 1000003);
    int fired = 0;
    int64_t start = clock_now_ns(&m->clock);
    for (int i = 0; i < 3000; i++) {
        advance(500000);
        while (ack() >= 0) {
            fired++;
            apic_eoi();
        }
    }
    CHECK_EQ(fired, (clock_now_ns(&m->clock) - start) / 1000003);
    write32(APIC + 0x320, 0x30031); /* masked: counts, doesn't interrupt */
    advance(2000000);
    CHECK(!intr());
    CHECK(read32(APIC + 0x390) != 0);
    write32(APIC + 0x380, 0);
}

static void apic_tsc_deadline(void)
{
    fresh();
    struct apic *a = m->cpus[0]->apic;
    apic_set_tsc_deadline(a, 12345); /* wrong mode: ignored */
    CHECK_EQ(apic_get_tsc_deadline(a), 0);
    write32(APIC + 0x320, 0x40032);
    write32(APIC + 0x380, 1000);
    CHECK_EQ(read32(APIC + 0x380), 0);
    uint64_t at = cpu_tsc(m->cpus[0]) + CPU_TSC_HZ / 100;
    apic_set_tsc_deadline(a, at);
    CHECK_EQ(apic_get_tsc_deadline(a), at);
    advance(9999999);
    CHECK(!intr());
    advance(2);
    CHECK_EQ(ack(), 0x32);
    CHECK_EQ(apic_get_tsc_deadline(a), 0);
    apic_eoi();
    apic_set_tsc_deadline(a, cpu_tsc(m->cpus[0])); /* past: at once, before any timer runs */
    CHECK_EQ(apic_get_tsc_deadline(a), 0);
    CHECK_EQ(ack(), 0x32);
}

static void apic_base_and_x2apic(void)
{
    fresh();
    struct apic *a = m->cpus[0]->apic;
    CHECK_EQ(apic_get_base(a), 0xfee00900);
    CHECK(!apic_set_base(a, 1));
    apic_allow_x2apic(a, true);
    CHECK(!apic_set_base(a, 0xfee00500)); /* EXTD without EN */
    CHECK(apic_set_base(a, 0xfed90900));
    CHECK_EQ(read32(0xfed90030), 0x50014);
    CHECK(apic_set_base(a, 0xfee00d00));
    uint64_t v;
    CHECK(apic_msr_read(a, 0x803, &v) && v == 0x50014);
    CHECK(!apic_msr_read(a, 0x80b, &v) && !apic_msr_read(a, 0x80e, &v));
    CHECK(!apic_msr_write(a, 0x80b, 1) && !apic_msr_write(a, 0x802, 1));
    CHECK(apic_msr_write(a, 0x83f, 0x77));
    CHECK_EQ(ack(), 0x77);
    CHECK(apic_msr_write(a, 0x80b, 0));
    CHECK(apic_msr_write(a, 0x830, 0x78)); /* destination 0: us */
    CHECK_EQ(ack(), 0x78);
    CHECK(!apic_set_base(a, 0xfee00900)); /* only through disabled */
    CHECK(apic_set_base(a, 0xfee00100));
    CHECK(apic_set_base(a, 0xfee00900));
}

/* ---- IOAPIC, lines ---- */

static void ioapic_edge_and_level(void)
{
    fresh();
    ioapic_entry(4, 0x51);
    irq_set(&m->isa_irq[4], 1);
    CHECK_EQ(ack(), 0x51);
    apic_eoi();
    CHECK(!intr());
    irq_set(&m->isa_irq[4], 0);
    ioapic_entry(4, 0x10051);
    irq_set(&m->isa_irq[4], 1); /* an edge while masked is ignored */
    CHECK(!intr());
    ioapic_entry(4, 0x51);
    CHECK(!intr());
    irq_set(&m->isa_irq[4], 0);
    irq_set(&m->isa_irq[4], 1);
    CHECK_EQ(ack(), 0x51);
    apic_eoi();

    ioapic_entry(10, 0x8052);
    irq_set(&m->isa_irq[10], 1);
    CHECK_EQ(ioapic_low(10), 0xc052); /* Remote IRR */
    CHECK_EQ(ack(), 0x52);
    CHECK_EQ(read32(APIC + 0x180 + 0x20), 1u << 18); /* TMR */
    irq_set(&m->isa_irq[10], 0);
    irq_set(&m->isa_irq[10], 1); /* no second message before EOI */
    CHECK(!intr());
    apic_eoi();
    CHECK_EQ(ack(), 0x52); /* still high */
    irq_set(&m->isa_irq[10], 0);
    apic_eoi();
    CHECK(!intr());
    CHECK_EQ(ioapic_low(10), 0x8052);
}

static void pic_through_lint0(void)
{
    fresh();
    out8(0x21, 0xfd);
    irq_set(&m->isa_irq[1], 1);
    CHECK_EQ(ack(), 0x21);
    CHECK(!intr());
    out8(0x20, 0x20);
    write32(APIC + 0x350, 0x10700); /* LINT0 masked */
    irq_set(&m->isa_irq[1], 0);
    irq_set(&m->isa_irq[1], 1);
    CHECK(!intr());
    write32(APIC + 0x350, 0x700);
    CHECK_EQ(ack(), 0x21);
    out8(0x20, 0x20);
    /* A request of the slave that is masked before INTA: spurious, no ISR bit. */
    out8(0x21, 0xfb);
    out8(0xa1, 0xbf);
    irq_set(&m->isa_irq[14], 1);
    CHECK(intr());
    out8(0xa1, 0xff);
    CHECK_EQ(ack(), 0x2f);
    out8(0xa0, 0x0b);
    CHECK_EQ(in8(0xa0), 0);
}

/* ---- PCI lines ---- */

static const struct pci_class_info dummy_info = {
    .vendor_id = 0x1234, .device_id = 1, .class_id = 0xff00, .has_intx = true
};

static bool dummy_realize(struct device *d, struct error *err)
{
    return pci_device_init((struct pci_device *)d, err) &&
           msix_init((struct pci_device *)d, 3, 1, err);
}

static void dummy_unrealize(struct device *d)
{
    pci_device_exit((struct pci_device *)d);
}

static const struct device_class dummy_class = { .name = "dummy",
                                                 .size = sizeof(struct pci_device),
                                                 .realize = dummy_realize,
                                                 .unrealize = dummy_unrealize,
                                                 .class_data = &dummy_info };

static struct pci_device *dummy(int slot)
{
    struct error err;
    struct pci_device *d = (struct pci_device *)device_new(m, &dummy_class);
    d->devfn = slot << 3;
    return device_realize(&d->dev, &err) ? d : NULL;
}

static struct pci_device *dev_a, *dev_b;

static void shared_pirq(void)
{
    fresh();
    config32(8, 0x60, 0x80800b80); /* PIRQA off, PIRQB to IRQ 11 */
    ioapic_entry(11, 0x8061);
    pci_set_irq(dev_a, 1); /* slot 2 and slot 6: both PIRQB */
    pci_set_irq(dev_b, 1);
    CHECK_EQ(ack(), 0x61);
    pci_set_irq(dev_a, 0);
    apic_eoi();
    CHECK_EQ(ack(), 0x61); /* the other one still asks */
    pci_set_irq(dev_b, 0);
    apic_eoi();
    CHECK(!intr());
    pci_set_irq(dev_a, 1);
    pci_set_irq(dev_a, 1); /* level, not count */
    CHECK_EQ(ack(), 0x61);
    config32((unsigned)dev_a->devfn, 4, 0x400); /* INTx disable */
    apic_eoi();
    CHECK(!intr());
    config32((unsigned)dev_a->devfn, 4, 0);
    CHECK_EQ(ack(), 0x61);
    /* Rerouted while high. */
    ioapic_entry(10, 0x8062);
    config32(8, 0x60, 0x80800a80);
    apic_eoi();
    CHECK_EQ(ack(), 0x62);
    pci_set_irq(dev_a, 0);
    apic_eoi();
    CHECK(!intr());
}

static void bars(void)
{
    fresh();
    unsigned f = (unsigned)dev_a->devfn;
    config32(f, 0x14, 0xffffffff);
    CHECK_EQ(pci_config_read(dev_a, 0x14, 4), 0xfffff000);
    config32(f, 4, 2);
    CHECK_EQ(pci_bar_address(dev_a, 1), PCI_BAR_UNMAPPED); /* the sizing pattern */
    config32(f, 0x14, 0);
    CHECK_EQ(pci_bar_address(dev_a, 1), PCI_BAR_UNMAPPED);
    config32(f, 0x14, 0xe0000000);
    CHECK_EQ(pci_bar_address(dev_a, 1), 0xe0000000);
    config32(f, 4, 0);
    CHECK_EQ(pci_bar_address(dev_a, 1), PCI_BAR_UNMAPPED);
    config32(f, 4, 2);
    write32(0x8000, 0xdeadbeef);
    config32(f, 0x14, 0x8000); /* over RAM: RAM wins */
    CHECK_EQ(read32(0x8000), 0xdeadbeef);
    machine_reset(m);
    CHECK_EQ(pci_config_read(dev_a, 0x14, 4), 0);
}

static void msix(void)
{
    fresh();
    unsigned f = (unsigned)dev_a->devfn;
    const uint64_t bar = 0xe0000000;
    config32(f, 0x14, (uint32_t)bar);
    config32(f, 4, 6);
    CHECK_EQ(pci_config_read(dev_a, 0x40, 4), 0x00020011);
    for (uint32_t v = 0; v < 3; v++) {
        CHECK_EQ(read32(bar + 16 * v + 12), 1); /* masked */
        write32(bar + 16 * v, 0xfee00000);
        write32(bar + 16 * v + 8, 0x70 + v);
    }
    msix_notify(dev_a, 0);
    CHECK(!intr()); /* not enabled: nothing */
    config32(f, 0x40, 0x80000000);
    msix_notify(dev_a, 1);
    CHECK(!intr());
    CHECK_EQ(read32(bar + 0x800), 2); /* pending */
    write32(bar + 16 + 12, 0);
    CHECK_EQ(ack(), 0x71);
    CHECK_EQ(read32(bar + 0x800), 0);
    apic_eoi();
    config32(f, 0x40, 0xc0000000); /* function mask */
    msix_notify(dev_a, 1);
    CHECK(!intr());
    config32(f, 0x40, 0x80000000);
    CHECK_EQ(ack(), 0x71);
    apic_eoi();
    config32(f, 4, 2); /* no bus master: no message */
    msix_notify(dev_a, 1);
    CHECK(!intr());
}

int main(void)
{
    if (!chipset_start())
        return 1;
    dev_a = dummy(2);
    dev_b = dummy(6);
    if (!dev_a || !dev_b)
        return 1;
    RUN(apic_priorities_and_eoi);
    RUN(apic_task_priority);
    RUN(apic_errors);
    RUN(apic_software_disable);
    RUN(apic_msi_and_logical);
    RUN(apic_timer_modes);
    RUN(apic_tsc_deadline);
    RUN(apic_base_and_x2apic);
    RUN(ioapic_edge_and_level);
    RUN(pic_through_lint0);
    RUN(shared_pirq);
    RUN(bars);
    RUN(msix);
    machine_free(m);
    return test_done();
}
