/* SPDX-License-Identifier: Apache-2.0 */
/* acpi.c — the power button, power off and reset, by the registers the tables name.
 *
 *   full hardware (pc, q35)      PM1 event block: button status and enable; PM1 control: sleep;
 *                                the SCI is a level interrupt, masked until the loop has looked
 *   reduced hardware (microvm)   sleep control register; button by the generic event device
 *
 * acpi_table.c reads the tables; what is missing there is simply not offered here. */
#include "kernel/guest/acpi_table.h"
#include "kernel/guest/guest.h"
#include "kernel/platform.h"

enum { BUTTON_STATUS = 1 << 8, SCI_ENABLED = 1, SLEEP_NOW = 1 << 13 };
/* QEMU include/hw/i386/microvm.h and hw/acpi/generic_event_device.h */
enum { GED_SELECT = 0xFEA00000, GED_IRQ = 9, GED_BUTTON = 1 << 1 };
enum { GED_SLEEP_S5 = 5 << 2 | 1 << 5 };

static struct acpi_facts facts;
static volatile bool pressed;
static u32 sci_gsi;

u32 acpi_cpu_count(void) { return facts.cpu_count; }
u16 acpi_pm_timer_port(void) { return facts.pm_timer; }
u64 acpi_pci_ecam(u8 *out_last_bus) {
    *out_last_bus = facts.ecam_last_bus;
    return facts.ecam;
}

u32 acpi_gsi_of_isa(u8 irq, bool *out_level, bool *out_low) {
    *out_level = *out_low = false;
    for (u32 i = 0; i < facts.override_count; i++)
        if (facts.override[i].irq == irq) {
            *out_level = facts.override[i].level;
            *out_low = facts.override[i].active_low;
            return facts.override[i].gsi;
        }
    return irq;
}

u32 acpi_ioapics(struct ioapic_at *out, u32 max) {
    u32 n = MIN(facts.ioapic_count, max);
    for (u32 i = 0; i < n; i++)
        out[i] = (struct ioapic_at){facts.ioapic[i].at, facts.ioapic[i].gsi_base};
    return n;
}

bool acpi_virtio_mmio(u32 n, struct acpi_device *out) {
    if (n >= facts.mmio_count) return false;
    *out = facts.mmio[n];
    return true;
}

void acpi_start(u64 rsdp) {
    if (acpi_read(ram_view, rsdp, &facts)) facts = (struct acpi_facts){0};
}

/* ---- The button ------------------------------------------------------------------------------ */

void acpi_button_on(void) {
    bool level = false, low = false;
    if (!facts.fadt) return;
    if (facts.reduced_hardware) {
        if (!facts.ged) return;
        page_set(GED_SELECT, 2 * PAGE_BYTES, PAGE_DEVICE);
        sci_gsi = GED_IRQ;
        if (apic_route(sci_gsi, VECTOR_POWER, false, false)) return;
        (void)mmio_read32(GED_SELECT); /* forget what was before us */
        return;
    }
    if (!facts.pm1a_event || facts.pm1_event_bytes < 4) return;
    if (facts.smi_command && facts.acpi_enable && !(in16(facts.pm1a_control) & SCI_ENABLED)) {
        out8(facts.smi_command, facts.acpi_enable);
        for (u32 i = 0; i < 10000 && !(in16(facts.pm1a_control) & SCI_ENABLED); i++) cpu_pause();
    }
    out16(facts.pm1a_event, BUTTON_STATUS);                              /* clear */
    out16(facts.pm1a_event + facts.pm1_event_bytes / 2, BUTTON_STATUS); /* enable only this */
    sci_gsi = acpi_gsi_of_isa((u8)facts.sci, &level, &low);
    bool stated = sci_gsi != facts.sci || level || low;
    if (apic_route(sci_gsi, VECTOR_POWER, true, stated ? low : false)) return;
}

void acpi_interrupt(void) {
    if (facts.reduced_hardware) {
        if (mmio_read32(GED_SELECT) & GED_BUTTON) pressed = true;
        return;
    }
    u16 status = in16(facts.pm1a_event);
    if (status & BUTTON_STATUS) pressed = true;
    out16(facts.pm1a_event, status); /* write one to clear: the level falls */
}

bool acpi_button_pressed(void) {
    bool was = pressed;
    pressed = false;
    return was;
}

/* ---- The end --------------------------------------------------------------------------------- */

static void register_write(struct acpi_register r, u8 v) {
    if (r.space == 1) {
        out8((u16)r.at, v);
    } else if (r.space == 0) {
        page_set(r.at, 1, PAGE_DEVICE);
        mmio_write8(r.at, v);
    }
}

void acpi_power_off(void) {
    if (!facts.fadt) return;
    if (facts.reduced_hardware) {
        register_write(facts.sleep_control, GED_SLEEP_S5);
        return;
    }
    if (!facts.s5 || !facts.pm1a_control) return;
    u16 keep = in16(facts.pm1a_control) & SCI_ENABLED;
    out16(facts.pm1a_control, (u16)(keep | facts.s5_a << 10 | SLEEP_NOW));
    if (facts.pm1b_control) out16(facts.pm1b_control, (u16)(keep | facts.s5_b << 10 | SLEEP_NOW));
}

void acpi_reset(void) {
    if (facts.fadt && facts.reset_works) register_write(facts.reset, facts.reset_value);
}
