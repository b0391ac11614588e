/* SPDX-License-Identifier: Apache-2.0 */
/* acpi_table.h — the facts we take from ACPI tables, without an interpreter. Pure functions over
 * firmware's bytes; `view` says which may be read. Numbers: ACPI 6.5 chapters 5, 7 and 19. */
#pragma once
#include "kernel/guest/handoff.h"

enum { ACPI_CPU_MAX = 64, ACPI_IOAPIC_MAX = 4, ACPI_OVERRIDE_MAX = 16, ACPI_MMIO_MAX = 24 };

struct acpi_device { /* a virtio-mmio device named in the DSDT */
    u64 base;
    u32 gsi;
};

struct acpi_register { /* generic address structure; space 0xFF: not there */
    u8 space;          /* 0 memory, 1 port */
    u64 at;
};
struct acpi_facts {
    bool fadt, madt;
    /* MADT */
    u32 cpu_count; /* usable ones */
    u32 ioapic_count;
    struct {
        u64 at;
        u32 gsi_base;
    } ioapic[ACPI_IOAPIC_MAX];
    u32 override_count;
    struct {
        u8 irq;
        bool level, active_low;
        u32 gsi;
    } override[ACPI_OVERRIDE_MAX];
    /* FADT */
    bool reduced_hardware;
    u16 sci, pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm_timer;
    u8 pm1_event_bytes;
    u16 smi_command;
    u8 acpi_enable;
    bool reset_works;
    struct acpi_register reset, sleep_control;
    u8 reset_value;
    /* DSDT: found by scanning, good for the machines we know */
    bool s5;
    u8 s5_a, s5_b;
    bool ged; /* a generic event device (QEMU microvm's power button) */
    u32 mmio_count;
    struct acpi_device mmio[ACPI_MMIO_MAX];
    /* MCFG */
    u64 ecam;
    u8 ecam_last_bus;
};

/* Follows the root pointer. RC_NOT_FOUND: not one. Broken tables are skipped. */
rc_t acpi_read(view_fn view, u64 rsdp, struct acpi_facts *out);

/* acpi.c: the n-th virtio-mmio device; false: no more. */
bool acpi_virtio_mmio(u32 n, struct acpi_device *out);
