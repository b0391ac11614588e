/* SPDX-License-Identifier: Apache-2.0 */
/* pci.c — virtio devices on the PCI bus [virtio 1.2, 4.1]: modern interface only.
 *
 *   vendor capabilities say which BAR holds what:
 *   common (negotiation, queues) | notify (doorbells) | device (its configuration)
 *
 * Two MSI-X entries per device: 0 for the configuration, 1 for all queues. Transitional devices
 * (old ids) are driven by their modern capabilities too. Offsets and lengths are the device's
 * claim; nothing beyond them is mapped or touched. */
#include "kernel/guest/pci.h"
#include "kernel/guest/guest.h"
#include "kernel/guest/virtio/device.h"
#include "kernel/base/log.h"
#include <stdio.h>

enum { DEVICES_MAX = 16, BLOCK_BYTES_MAX = 1 << 20 };
enum { MSIX_CONFIG = 0, MSIX_QUEUES = 1 };
static struct virtio devices[DEVICES_MAX];
static u32 device_count;

static u32 features(struct virtio *v, u32 word) {
    mmio_write32(v->common + COMMON_DEVICE_FEATURE_SELECT, word);
    return mmio_read32(v->common + COMMON_DEVICE_FEATURE);
}
static void features_set(struct virtio *v, u32 word, u32 bits) {
    mmio_write32(v->common + COMMON_DRIVER_FEATURE_SELECT, word);
    mmio_write32(v->common + COMMON_DRIVER_FEATURE, bits);
}
static u8 status(struct virtio *v) { return mmio_read8(v->common + COMMON_STATUS); }
static void status_set(struct virtio *v, u8 s) {
    mmio_write8(v->common + COMMON_STATUS, s);
    if (s == STATUS_ACKNOWLEDGE) /* a reset has forgotten the vectors */
        mmio_write16(v->common + COMMON_CONFIG_VECTOR, v->has_vectors ? MSIX_CONFIG : NO_VECTOR);
}
static u32 generation(struct virtio *v) { return mmio_read8(v->common + COMMON_GENERATION); }
static u16 queue_size_max(struct virtio *v, u16 queue) {
    mmio_write16(v->common + COMMON_QUEUE_SELECT, queue);
    return mmio_read16(v->common + COMMON_QUEUE_SIZE);
}

static void pair_write(struct virtio *v, u32 reg, const void *p) {
    mmio_write32(v->common + reg, (u32)(u64)p);
    mmio_write32(v->common + reg + 4, (u32)((u64)p >> 32));
}
static void queue_on(struct virtio *v, u16 queue, const struct ring *r) {
    mmio_write16(v->common + COMMON_QUEUE_SELECT, queue);
    mmio_write16(v->common + COMMON_QUEUE_SIZE, r->size);
    mmio_write16(v->common + COMMON_QUEUE_VECTOR, v->has_vectors ? MSIX_QUEUES : NO_VECTOR);
    pair_write(v, COMMON_QUEUE_DESC, r->desc);
    pair_write(v, COMMON_QUEUE_DRIVER, r->avail);
    pair_write(v, COMMON_QUEUE_DEVICE, r->used);
    u64 at = (u64)mmio_read16(v->common + COMMON_QUEUE_NOTIFY_OFFSET) * v->notify_step;
    if (queue < ARRAY_LEN(v->notify_at)) {
        v->notify_at[queue] = v->notify + at;
        page_set(v->notify_at[queue], 4, PAGE_DEVICE);
    }
    mmio_write16(v->common + COMMON_QUEUE_ENABLE, 1);
}
static void kick(struct virtio *v, u16 queue) { mmio_write16(v->notify_at[queue], queue); }

static const struct virtio_bus bus = {
    .features = features,
    .features_set = features_set,
    .status = status,
    .status_set = status_set,
    .generation = generation,
    .queue_size_max = queue_size_max,
    .queue_on = queue_on,
    .kick = kick,
};

static void queue_interrupt(void *arg) { (void)arg; /* waking up is all it is for */ }
static void config_interrupt(void *arg) { ((struct virtio *)arg)->config_changed = true; }

/* One block of registers: the first capability of its kind, as 4.1.4 demands. */
static void block_read(const struct pci_device *d, u32 cap, struct virtio *v) {
    u32 kind = pci_read(d, cap) >> 24;
    u64 bar = pci_bar(d, pci_read(d, cap + 4) & 0xFF);
    u64 at = bar + pci_read(d, cap + 8);
    u32 bytes = pci_read(d, cap + 12);
    if (!bar || bytes == 0 || bytes > BLOCK_BYTES_MAX * 4u) return;
    bytes = MIN(bytes, (u32)BLOCK_BYTES_MAX);
    if (kind == PCI_CAP_COMMON && !v->common && bytes >= COMMON_BYTES) {
        v->common = at;
        page_set(at, COMMON_BYTES, PAGE_DEVICE);
    } else if (kind == PCI_CAP_NOTIFY && !v->notify) {
        v->notify = at;
        v->notify_step = pci_read(d, cap + 16);
    } else if (kind == PCI_CAP_DEVICE && !v->config) {
        v->config = at;
        v->config_bytes = MIN(bytes, (u32)PAGE_BYTES);
        page_set(at, v->config_bytes, PAGE_DEVICE);
    }
}

void virtio_pci_found(const struct pci_device *d) {
    bool modern_id = d->device >= 0x1040 && d->device < 0x1080;
    bool old_id = d->device >= 0x1000 && d->device < 0x1040;
    if ((!modern_id && !old_id) || device_count == DEVICES_MAX) return;
    struct virtio *v = &devices[device_count];
    *v = (struct virtio){.bus = &bus, .kind = modern_id ? d->device - 0x1040u : d->subsystem};
    snprintf(v->where, sizeof v->where, "pci %02x:%02x.%x", d->bus, d->slot, d->function);
    for (u32 cap = 0, i = 0; i < 16 && (cap = pci_capability(d, PCI_CAP_VENDOR, cap)); i++)
        block_read(d, cap, v);
    if (!v->common || !v->notify) {
        log_error("virtio", "no modern interface, or its memory is not assigned; offer it as a "
                  "modern device", "device=\"%s\" kind=%u", v->where, v->kind);
        return;
    }
    pci_enable(d);
    u8 vectors[2];
    bool ok = !trap_claim_device(config_interrupt, v, &vectors[MSIX_CONFIG]) &&
              !trap_claim_device(queue_interrupt, v, &vectors[MSIX_QUEUES]) &&
              !pci_msix(d, vectors, 2);
    if (!ok) {
        log_error("virtio", "no MSI-X interrupts for this device", "device=\"%s\" kind=%u",
                  v->where, v->kind);
        return;
    }
    v->has_vectors = true;
    device_count++;
    virtio_found(v);
}
