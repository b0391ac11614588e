/* SPDX-License-Identifier: Apache-2.0 */
/* acpi_table.c — reads RSDP -> XSDT or RSDT -> FADT, MADT, MCFG, DSDT.
 *
 *   every table: signature[4] length revision checksum oem... then its own fields
 *
 * The DSDT is byte code for an interpreter we do not have; the few facts needed from it stand in
 * plain sight: the package _S5_ (what to write for power off), the name of the event device, and
 * where virtio-mmio devices are.
 * Always true: nothing is read that `view` did not allow; a table with a wrong length or checksum
 * is as good as absent. */
#include "kernel/guest/acpi_table.h"

enum { HEAD_BYTES = 36, TABLE_BYTES_MAX = 1 << 20, TABLES_MAX = 128 };

static u32 get16(const u8 *p) { return p[0] | (u32)p[1] << 8; }
static u32 get32(const u8 *p) { return get16(p) | get16(p + 2) << 16; }
static u64 get64(const u8 *p) { return get32(p) | (u64)get32(p + 4) << 32; }

static bool sums_to_zero(const u8 *p, size_t n) {
    u8 sum = 0;
    for (size_t i = 0; i < n; i++) sum = (u8)(sum + p[i]);
    return sum == 0;
}

static const u8 *table_at(view_fn view, u64 at, u32 *out_bytes) {
    const u8 *p = view(at, HEAD_BYTES);
    if (!p) return NULL;
    u32 bytes = get32(p + 4);
    if (bytes < HEAD_BYTES || bytes > TABLE_BYTES_MAX) return NULL;
    if (!(p = view(at, bytes))) return NULL;
    *out_bytes = bytes;
    return p;
}

static void read_madt(const u8 *t, u32 bytes, struct acpi_facts *out) {
    if (bytes < 44 || out->madt) return;
    out->madt = true;
    for (u32 i = 44; i + 2 <= bytes;) {
        const u8 *e = t + i;
        u8 type = e[0], n = e[1];
        if (n < 2 || n > bytes - i) return;
        bool cpu = (type == 0 && n >= 8 && (e[4] & 1)) || (type == 9 && n >= 16 && (e[8] & 1));
        if (cpu && out->cpu_count < ACPI_CPU_MAX) out->cpu_count++;
        if (type == 1 && n >= 12 && out->ioapic_count < ACPI_IOAPIC_MAX) {
            out->ioapic[out->ioapic_count].at = get32(e + 4);
            out->ioapic[out->ioapic_count++].gsi_base = get32(e + 8);
        }
        if (type == 2 && n >= 10 && out->override_count < ACPI_OVERRIDE_MAX) {
            u32 flags = get16(e + 8), k = out->override_count++;
            out->override[k].irq = e[3];
            out->override[k].gsi = get32(e + 4);
            out->override[k].active_low = (flags & 3) == 3;
            out->override[k].level = (flags >> 2 & 3) == 3;
        }
        i += n;
    }
}

static struct acpi_register generic_register(const u8 *p) {
    u64 at = get64(p + 4);
    return (struct acpi_register){at && p[0] <= 1 ? p[0] : 0xFF, at};
}

/* Device(VRnn) { _HID "LNRO0005", _CRS { Memory32Fixed 0x86 9 0 rw base bytes, Interrupt 0x89 6 0
 * flags 1 gsi } }: the name, and soon after it the two descriptors (ACPI 6.5, 6.4.3). */
static void scan_virtio_mmio(const u8 *t, u32 bytes, u32 name_at, struct acpi_facts *out) {
    enum { NEAR = 96 };
    u64 base = 0;
    for (u32 i = name_at + 8; i < name_at + NEAR && i + 12 <= bytes; i++) {
        if (t[i] == 0x86 && t[i + 1] == 9 && t[i + 2] == 0) base = get32(t + i + 4);
        if (!base || t[i] != 0x89 || t[i + 1] != 6 || t[i + 2] != 0) continue;
        if (out->mmio_count < ACPI_MMIO_MAX)
            out->mmio[out->mmio_count++] = (struct acpi_device){base, get32(t + i + 5)};
        return;
    }
}

/* _S5_ := Package { SLP_TYPa, SLP_TYPb, ... }: name, 0x12, length, count, then small integers. */
static void scan_dsdt(const u8 *t, u32 bytes, struct acpi_facts *out) {
    for (u32 i = HEAD_BYTES; i + 16 <= bytes; i++) {
        if (t[i] == 'A' && !memcmp(t + i, "ACPI0013", 8)) out->ged = true;
        if (t[i] == 'L' && !memcmp(t + i, "LNRO0005", 8)) scan_virtio_mmio(t, bytes, i, out);
        if (out->s5 || t[i] != '_' || memcmp(t + i, "_S5_", 4) || t[i + 4] != 0x12) continue;
        u32 at = i + 5;
        at += 1 + (t[at] >> 6); /* the length's own bytes */
        at++;                   /* element count */
        u8 v[2] = {0, 0};
        for (int k = 0; k < 2 && at + 2 <= bytes; k++) {
            if (t[at] == 0x0A) at++; /* byte prefix; else 0 and 1 are themselves */
            v[k] = t[at++];
        }
        out->s5 = true;
        out->s5_a = v[0] & 7;
        out->s5_b = v[1] & 7;
    }
}

static void read_fadt(view_fn view, const u8 *t, u32 bytes, struct acpi_facts *out) {
    if (bytes < 116 || out->fadt) return;
    out->fadt = true;
    u32 flags = get32(t + 112);
    out->reduced_hardware = flags >> 20 & 1;
    out->sci = (u16)get16(t + 46);
    out->smi_command = (u16)get32(t + 48);
    out->acpi_enable = t[52];
    out->pm1a_event = (u16)get32(t + 56);
    out->pm1b_event = (u16)get32(t + 60);
    out->pm1a_control = (u16)get32(t + 64);
    out->pm1b_control = (u16)get32(t + 68);
    out->pm_timer = t[91] >= 4 ? (u16)get32(t + 76) : 0;
    out->pm1_event_bytes = t[88];
    out->reset = out->sleep_control = (struct acpi_register){0xFF, 0};
    if (bytes >= 129) {
        out->reset = generic_register(t + 116);
        out->reset_value = t[128];
        out->reset_works = (flags >> 10 & 1) && out->reset.space != 0xFF;
    }
    if (bytes >= 256) out->sleep_control = generic_register(t + 244);
    u64 dsdt = get32(t + 40);
    if (bytes >= 148 && get64(t + 140)) dsdt = get64(t + 140);
    u32 n;
    const u8 *d = table_at(view, dsdt, &n);
    if (d && !memcmp(d, "DSDT", 4)) scan_dsdt(d, n, out);
}

static void read_mcfg(const u8 *t, u32 bytes, struct acpi_facts *out) {
    if (bytes < 60 || get16(t + 52) != 0) return; /* segment 0 only */
    out->ecam = get64(t + 44);
    out->ecam_last_bus = t[55];
}

static void read_table(view_fn view, u64 at, struct acpi_facts *out) {
    u32 bytes;
    const u8 *t = table_at(view, at, &bytes);
    if (!t) return;
    bool madt = !memcmp(t, "APIC", 4), fadt = !memcmp(t, "FACP", 4), mcfg = !memcmp(t, "MCFG", 4);
    if ((!madt && !fadt && !mcfg) || !sums_to_zero(t, bytes)) return;
    if (madt) read_madt(t, bytes, out);
    if (fadt) read_fadt(view, t, bytes, out);
    if (mcfg) read_mcfg(t, bytes, out);
}

rc_t acpi_read(view_fn view, u64 rsdp, struct acpi_facts *out) {
    *out = (struct acpi_facts){0};
    const u8 *r = rsdp ? view(rsdp, 20) : NULL;
    if (!r || memcmp(r, "RSD PTR ", 8) || !sums_to_zero(r, 20)) return RC_NOT_FOUND;
    u64 at = get32(r + 16);
    u32 step = 4;
    if (r[15] >= 2 && (r = view(rsdp, 36)) && get64(r + 24)) {
        at = get64(r + 24);
        step = 8;
    }
    u32 bytes;
    const u8 *t = table_at(view, at, &bytes);
    if (!t || memcmp(t, step == 8 ? "XSDT" : "RSDT", 4)) return RC_NOT_FOUND;
    u32 n = MIN((bytes - HEAD_BYTES) / step, (u32)TABLES_MAX);
    for (u32 i = 0; i < n; i++) {
        const u8 *e = t + HEAD_BYTES + i * step;
        read_table(view, step == 8 ? get64(e) : get32(e), out);
    }
    return RC_OK;
}
