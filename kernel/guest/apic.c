/* SPDX-License-Identifier: Apache-2.0 */
/* apic.c — the interrupt controllers: a local APIC per CPU (x2APIC where offered), the I/O APICs,
 * and the 8259 pair, which is only silenced.
 *
 *   device -> I/O APIC pin or MSI message -> boot CPU's LAPIC -> vector -> trap.c
 *
 * All devices interrupt the boot CPU, because the loop runs there. Interrupts between CPUs only
 * wake. The LAPIC timer runs one-shot, or by TSC deadline where the CPU has it.
 * Registers: SDM 3A chapter 11; I/O APIC: 82093AA data sheet. */
#include "kernel/guest/guest.h"
#include "kernel/platform.h"

enum { /* LAPIC register offsets */
    LAPIC_ID = 0x20,
    LAPIC_EOI = 0xB0,
    LAPIC_SPURIOUS = 0xF0,
    LAPIC_COMMAND = 0x300,
    LAPIC_COMMAND_HIGH = 0x310,
    LAPIC_TIMER = 0x320,
    LAPIC_LINT0 = 0x350,
    LAPIC_LINT1 = 0x360,
    LAPIC_TIMER_START = 0x380,
    LAPIC_TIMER_NOW = 0x390,
    LAPIC_TIMER_DIVIDE = 0x3E0,
};
enum {
    MASKED = 1 << 16,
    TIMER_DEADLINE = 2 << 17,
    DELIVER_NMI = 4 << 8,
    DELIVER_INIT = 5 << 8,
    DELIVER_STARTUP = 6 << 8,
    LEVEL_ASSERT = 1 << 14,
    TO_OTHERS = 3 << 18,
    COMMAND_PENDING = 1 << 12,
    APIC_ENABLED = 1 << 11, /* in MSR_APIC_BASE */
    APIC_X2 = 1 << 10,
    DIVIDE_BY_16 = 3,
    IOAPIC_MAX = 4,
};

static u64 lapic SEALED; /* registers, when not in x2APIC mode */
static bool x2 SEALED;
static bool ready SEALED;
static struct {
    u64 at;
    u32 base, pins;
} ioapics[IOAPIC_MAX] SEALED;
static u32 ioapic_count SEALED;

static u32 reg_read(u32 reg) {
    return x2 ? (u32)msr_read(MSR_X2APIC + reg / 16) : mmio_read32(lapic + reg);
}
static void reg_write(u32 reg, u32 v) {
    if (x2) msr_write(MSR_X2APIC + reg / 16, v);
    else mmio_write32(lapic + reg, v);
}

/* ---- Between CPUs ---------------------------------------------------------------------------- */

static void command(u32 to, u32 what) {
    if (x2) {
        msr_write(MSR_X2APIC + LAPIC_COMMAND / 16, (u64)to << 32 | what);
        return;
    }
    for (u32 i = 0; i < 100000 && (reg_read(LAPIC_COMMAND) & COMMAND_PENDING); i++) cpu_pause();
    reg_write(LAPIC_COMMAND_HIGH, to << 24);
    reg_write(LAPIC_COMMAND, what);
}

u32 apic_id(void) { return x2 ? reg_read(LAPIC_ID) : reg_read(LAPIC_ID) >> 24; }
void apic_done(void) { reg_write(LAPIC_EOI, 0); }
void apic_send(u32 to, u8 vector) {
    irq_state_t before = irq_save(); /* two writes make one command */
    command(to, LEVEL_ASSERT | vector);
    irq_restore(before);
}
void apic_send_nmi_others(void) {
    if (ready) command(0, TO_OTHERS | LEVEL_ASSERT | DELIVER_NMI);
}
void apic_send_init_others(void) { command(0, TO_OTHERS | LEVEL_ASSERT | DELIVER_INIT); }
void apic_send_startup_others(u8 page) {
    command(0, TO_OTHERS | LEVEL_ASSERT | DELIVER_STARTUP | page);
}

/* ---- I/O APIC -------------------------------------------------------------------------------- */

static u32 io_read(u64 at, u32 reg) {
    mmio_write32(at, reg);
    return mmio_read32(at + 0x10);
}
static void io_write(u64 at, u32 reg, u32 v) {
    mmio_write32(at, reg);
    mmio_write32(at + 0x10, v);
}

static bool pin_of(u32 gsi, u64 *at, u32 *reg) {
    for (u32 i = 0; i < ioapic_count; i++)
        if (gsi >= ioapics[i].base && gsi - ioapics[i].base < ioapics[i].pins) {
            *at = ioapics[i].at;
            *reg = 0x10 + 2 * (gsi - ioapics[i].base);
            return true;
        }
    return false;
}

rc_t apic_route(u32 gsi, u8 vector, bool level, bool active_low) {
    u64 at;
    u32 reg;
    if (!pin_of(gsi, &at, &reg)) return RC_NOT_FOUND;
    io_write(at, reg + 1, cpus[0].apic_id << 24);
    io_write(at, reg, vector | (active_low ? 1u << 13 : 0) | (level ? 1u << 15 : 0));
    return RC_OK;
}

void apic_mask(u32 gsi, bool masked) {
    u64 at;
    u32 reg;
    if (!pin_of(gsi, &at, &reg)) return;
    u32 v = io_read(at, reg);
    io_write(at, reg, masked ? v | MASKED : v & ~(u32)MASKED);
}

static void ioapics_start(void) {
    struct ioapic_at found[IOAPIC_MAX] = {{0xFEC00000, 0}};
    u32 n = acpi_ioapics(found, IOAPIC_MAX);
    if (n == 0) n = 1; /* without tables: where every PC has it */
    for (u32 i = 0; i < n; i++) {
        page_set(found[i].phys, PAGE_BYTES, PAGE_DEVICE);
        u32 version = io_read(found[i].phys, 1);
        if (version == 0xFFFFFFFF || version == 0) continue; /* nobody there */
        ioapics[ioapic_count].at = found[i].phys;
        ioapics[ioapic_count].base = found[i].gsi_base;
        ioapics[ioapic_count++].pins = (version >> 16 & 0xFF) + 1;
    }
}

void apic_msi(u8 vector, u64 *out_address, u32 *out_data) {
    *out_address = 0xFEE00000 | (u64)(cpus[0].apic_id & 0xFF) << 12;
    *out_data = vector; /* edge, fixed */
}

/* ---- Start ----------------------------------------------------------------------------------- */

static void pic_silence(void) {
    static const u8 steps[][2] = {{0x20, 0x11}, {0xA0, 0x11}, {0x21, 0x20}, {0xA1, 0x28},
                                  {0x21, 4},    {0xA1, 2},    {0x21, 1},    {0xA1, 1},
                                  {0x21, 0xFF}, {0xA1, 0xFF}}; /* moved off the exceptions */
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) out8(steps[i][0], steps[i][1]);
}

void apic_cpu(void) {
    u64 base = msr_read(MSR_APIC_BASE);
    msr_write(MSR_APIC_BASE, base | APIC_ENABLED | (x2 ? (u64)APIC_X2 : 0));
    reg_write(LAPIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
    reg_write(LAPIC_LINT0, MASKED);
    reg_write(LAPIC_LINT1, DELIVER_NMI);
    reg_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_16);
    reg_write(LAPIC_TIMER, MASKED);
    this_cpu()->apic_id = apic_id();
}

void apic_start(void) {
    u64 base = msr_read(MSR_APIC_BASE);
    x2 = cpu_has.x2apic || (base & APIC_X2);
    lapic = base & 0xFFFFFF000ull;
    if (!x2) page_set(lapic, PAGE_BYTES, PAGE_DEVICE);
    pic_silence();
    apic_cpu();
    ioapics_start();
    ready = true;
}

/* ---- Timer ----------------------------------------------------------------------------------- */

u32 apic_timer_count(void) { return reg_read(LAPIC_TIMER_NOW); }
void apic_timer_free_run(void) {
    reg_write(LAPIC_TIMER, MASKED | VECTOR_TIMER);
    reg_write(LAPIC_TIMER_START, 0xFFFFFFFF);
}

void apic_timer_stop(void) {
    if (cpu_has.tsc_deadline) msr_write(MSR_TSC_DEADLINE, 0);
    else reg_write(LAPIC_TIMER_START, 0);
}

void apic_timer_at(u64 deadline_ns) {
    if (cpu_has.tsc_deadline) {
        reg_write(LAPIC_TIMER, TIMER_DEADLINE | VECTOR_TIMER);
        fence_full(); /* SDM 11.5.4.1: the mode must be in force before the deadline */
        msr_write(MSR_TSC_DEADLINE, clock_tsc_at(deadline_ns));
        return;
    }
    u64 now = platform_clock_ns();
    u64 wait = deadline_ns > now ? deadline_ns - now : 1;
    wait = MIN(wait, 10 * NS_PER_S); /* far deadlines are looked at again on the way */
    u64 ticks = wait * (clock_apic_hz() / 16 / 1000) / (NS_PER_MS) + 1;
    reg_write(LAPIC_TIMER, VECTOR_TIMER);
    reg_write(LAPIC_TIMER_START, (u32)MIN(ticks, 0xFFFFFFFFull));
}
