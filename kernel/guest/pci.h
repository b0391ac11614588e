/* SPDX-License-Identifier: Apache-2.0 */
/* pci.h — devices on the PCI bus. Loop only. Register numbers: PCI Local Bus 3.0 chapter 6. */
#pragma once
#include "kernel/base/base.h"

struct pci_device {
    u8 bus, slot, function;
    u16 vendor, device, subsystem;
};
enum { PCI_CAP_VENDOR = 0x09, PCI_CAP_MSIX = 0x11 };

u32 pci_read(const struct pci_device *d, u32 reg); /* 32 bits; reg a multiple of 4 */
void pci_write(const struct pci_device *d, u32 reg, u32 v);
/* The next capability of this kind after `from` (0: the first); 0: none. Bounded. */
u32 pci_capability(const struct pci_device *d, u8 kind, u32 from);
u64 pci_bar(const struct pci_device *d, u32 index); /* memory BAR's address; 0: none */
void pci_enable(const struct pci_device *d);        /* memory decoding, bus mastering */
/* Maps and arms the MSI-X table: entry i raises vectors[i]. RC_NOT_FOUND: it has none. */
rc_t pci_msix(const struct pci_device *d, const u8 *vectors, u32 count);

void virtio_pci_found(const struct pci_device *d); /* virtio/pci.c */
