/* SPDX-License-Identifier: Apache-2.0 */
/* pci.c — finds devices and gives access to them.
 *
 *   configuration space:  ECAM (one page per function, ACPI MCFG) or ports 0xCF8 / 0xCFC
 *   a device:             vendor, device | command | class | BARs | capabilities: MSI-X, virtio
 *
 * Firmware has assigned the BARs; one that is unassigned makes its device unusable and is named in
 * the log. Bus 0 is walked, and behind each bridge its secondary bus. Only MSI-X is used, because
 * pin interrupts would need the ACPI interpreter we do not have. */
#include "kernel/guest/pci.h"
#include "kernel/guest/guest.h"
#include "kernel/base/log.h"

enum {
    REG_ID = 0x00,
    REG_COMMAND = 0x04,
    REG_CLASS = 0x08,
    REG_HEADER = 0x0C,
    REG_BAR0 = 0x10,
    REG_BUSES = 0x18,
    REG_SUBSYSTEM = 0x2C,
    REG_CAPABILITIES = 0x34,
};
enum { COMMAND_MEMORY = 2, COMMAND_MASTER = 4, STATUS_CAPABILITIES = 1 << 20 };
enum { PORT_ADDRESS = 0xCF8, PORT_DATA = 0xCFC, CAPABILITIES_MAX = 48, BUSES_MAX = 32 };
enum { VENDOR_VIRTIO = 0x1AF4, ID_I440FX = 0x12378086, ID_Q35 = 0x29C08086 };

static u64 ecam;
static u8 ecam_last_bus;
static u32 buses_seen;
static str name;

str machine_name(void) { return name; }

/* ---- Configuration space --------------------------------------------------------------------- */

static u64 ecam_at(const struct pci_device *d, u32 reg) {
    return ecam + ((u64)d->bus << 20 | (u32)d->slot << 15 | (u32)d->function << 12 | reg);
}
static void port_select(const struct pci_device *d, u32 reg) {
    out32(PORT_ADDRESS, 1u << 31 | (u32)d->bus << 16 | (u32)d->slot << 11 |
                            (u32)d->function << 8 | (reg & 0xFC));
}

u32 pci_read(const struct pci_device *d, u32 reg) {
    if (ecam) return mmio_read32(ecam_at(d, reg));
    port_select(d, reg);
    return in32(PORT_DATA);
}

void pci_write(const struct pci_device *d, u32 reg, u32 v) {
    if (ecam) {
        mmio_write32(ecam_at(d, reg), v);
        return;
    }
    port_select(d, reg);
    out32(PORT_DATA, v);
}

u32 pci_capability(const struct pci_device *d, u8 kind, u32 from) {
    if (!(pci_read(d, REG_COMMAND) & STATUS_CAPABILITIES)) return 0;
    u32 at = from ? pci_read(d, from) >> 8 & 0xFC : pci_read(d, REG_CAPABILITIES) & 0xFC;
    for (int i = 0; i < CAPABILITIES_MAX && at >= 0x40; i++) { /* a list may be a circle */
        u32 head = pci_read(d, at);
        if ((head & 0xFF) == kind) return at;
        at = head >> 8 & 0xFC;
    }
    return 0;
}

u64 pci_bar(const struct pci_device *d, u32 index) {
    if (index > 5) return 0;
    u32 low = pci_read(d, REG_BAR0 + 4 * index);
    if (low & 1) return 0; /* ports */
    u64 at = low & ~15u;
    if ((low >> 1 & 3) == 2 && index < 5) at |= (u64)pci_read(d, REG_BAR0 + 4 * index + 4) << 32;
    return at;
}

void pci_enable(const struct pci_device *d) {
    u32 command = pci_read(d, REG_COMMAND) & 0xFFFF;
    pci_write(d, REG_COMMAND, command | COMMAND_MEMORY | COMMAND_MASTER);
}

rc_t pci_msix(const struct pci_device *d, const u8 *vectors, u32 count) {
    u32 cap = pci_capability(d, PCI_CAP_MSIX, 0);
    if (!cap) return RC_NOT_FOUND;
    u32 head = pci_read(d, cap), place = pci_read(d, cap + 4);
    u32 entries = (head >> 16 & 0x7FF) + 1;
    u64 table = pci_bar(d, place & 7);
    if (!table || entries < count) return RC_NOT_FOUND;
    table += place & ~7u;
    page_set(table, (u64)entries * 16, PAGE_DEVICE);
    for (u32 i = 0; i < count; i++) {
        u64 address;
        u32 data;
        apic_msi(vectors[i], &address, &data);
        mmio_write32(table + 16 * i, (u32)address);
        mmio_write32(table + 16 * i + 4, (u32)(address >> 32));
        mmio_write32(table + 16 * i + 8, data);
        mmio_write32(table + 16 * i + 12, 0); /* unmasked */
    }
    pci_write(d, cap, (head & ~(1u << 30)) | 1u << 31); /* on, whole function unmasked */
    return RC_OK;
}

/* ---- Finding --------------------------------------------------------------------------------- */

static void scan_bus(u8 bus);

static void function_found(struct pci_device *d, u32 id) {
    d->vendor = (u16)id;
    d->device = (u16)(id >> 16);
    u32 class = pci_read(d, REG_CLASS) >> 16;
    if (class == 0x0604) { /* bridge */
        u8 behind = (u8)(pci_read(d, REG_BUSES) >> 8);
        if (behind > d->bus) scan_bus(behind);
        return;
    }
    d->subsystem = (u16)(pci_read(d, REG_SUBSYSTEM) >> 16);
    if (d->vendor == VENDOR_VIRTIO) virtio_pci_found(d);
}

static void scan_bus(u8 bus) {
    if (buses_seen++ >= BUSES_MAX || (ecam && bus > ecam_last_bus)) return;
    if (ecam) page_set(ecam + ((u64)bus << 20), 1 << 20, PAGE_DEVICE);
    for (u8 slot = 0; slot < 32; slot++) {
        u8 functions = 1;
        for (u8 f = 0; f < functions; f++) {
            struct pci_device d = {.bus = bus, .slot = slot, .function = f};
            u32 id = pci_read(&d, REG_ID);
            if ((id & 0xFFFF) == 0xFFFF || id == 0) continue;
            if (f == 0 && (pci_read(&d, REG_HEADER) >> 16 & 0x80)) functions = 8;
            if (bus == 0 && slot == 0 && f == 0) {
                if (id == ID_I440FX) name = S("pc");
                if (id == ID_Q35) name = S("q35");
            }
            function_found(&d, id);
        }
    }
}

void pci_start(void) {
    ecam = acpi_pci_ecam(&ecam_last_bus);
    if (!ecam) {
        out32(PORT_ADDRESS, 1u << 31);
        if (in32(PORT_ADDRESS) != 1u << 31) { /* no PCI here */
            if (fwcfg_cpu_count()) name = S("microvm");
            return;
        }
    }
    scan_bus(0);
    if (!name.len && fwcfg_cpu_count()) name = S("microvm");
}
