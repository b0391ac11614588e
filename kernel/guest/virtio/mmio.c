/* SPDX-License-Identifier: Apache-2.0 */
/* mmio.c — virtio devices behind plain registers [virtio 1.2, 4.2]: QEMU microvm, Firecracker.
 *
 * Where they are is said on the command line (`virtio_mmio.device=512@0xfeb00000:5`, Linux's own
 * syntax) or in the ACPI tables. One interrupt per device serves its rings and its configuration;
 * the handler must acknowledge in the device, or the line stays up. */
#include "kernel/guest/guest.h"
#include "kernel/guest/acpi_table.h"
#include "kernel/guest/words.h"
#include "kernel/guest/virtio/device.h"
#include "kernel/base/log.h"
#include <stdio.h>

enum { MMIO_DEVICES_MAX = 24 };
static struct virtio devices[MMIO_DEVICES_MAX];
static u32 device_count;

static void pair_write(struct virtio *v, u32 reg, const void *p) {
    mmio_write32(v->base + reg, (u32)(u64)p);
    mmio_write32(v->base + reg + 4, (u32)((u64)p >> 32));
}

static u32 features(struct virtio *v, u32 word) {
    mmio_write32(v->base + MMIO_DEVICE_FEATURES_SELECT, word);
    return mmio_read32(v->base + MMIO_DEVICE_FEATURES);
}
static void features_set(struct virtio *v, u32 word, u32 bits) {
    mmio_write32(v->base + MMIO_DRIVER_FEATURES_SELECT, word);
    mmio_write32(v->base + MMIO_DRIVER_FEATURES, bits);
}
static u8 status(struct virtio *v) { return (u8)mmio_read32(v->base + MMIO_STATUS); }
static void status_set(struct virtio *v, u8 s) { mmio_write32(v->base + MMIO_STATUS, s); }
static u32 generation(struct virtio *v) { return mmio_read32(v->base + MMIO_GENERATION); }
static u16 queue_size_max(struct virtio *v, u16 queue) {
    mmio_write32(v->base + MMIO_QUEUE_SELECT, queue);
    return (u16)MIN(mmio_read32(v->base + MMIO_QUEUE_SIZE_MAX), 32768u);
}
static void queue_on(struct virtio *v, u16 queue, const struct ring *r) {
    mmio_write32(v->base + MMIO_QUEUE_SELECT, queue);
    mmio_write32(v->base + MMIO_QUEUE_SIZE, r->size);
    pair_write(v, MMIO_QUEUE_DESC, r->desc);
    pair_write(v, MMIO_QUEUE_DRIVER, r->avail);
    pair_write(v, MMIO_QUEUE_DEVICE, r->used);
    mmio_write32(v->base + MMIO_QUEUE_READY, 1);
}
static void kick(struct virtio *v, u16 queue) { mmio_write32(v->base + MMIO_QUEUE_NOTIFY, queue); }

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

static void interrupt(void *arg) {
    struct virtio *v = arg;
    u32 why = mmio_read32(v->base + MMIO_INTERRUPT_STATUS);
    mmio_write32(v->base + MMIO_INTERRUPT_ACK, why);
    if (why & INTERRUPT_CONFIG) v->config_changed = true;
}

static void device_at(u64 base, u32 gsi) {
    for (u32 i = 0; i < device_count; i++)
        if (devices[i].base == base) return;
    if (device_count == MMIO_DEVICES_MAX) return;
    page_set(base, MMIO_BYTES, PAGE_DEVICE);
    if (mmio_read32(base + MMIO_MAGIC) != MMIO_MAGIC_VALUE) return;
    u32 kind = mmio_read32(base + MMIO_DEVICE_ID), version = mmio_read32(base + MMIO_VERSION);
    if (kind == 0) return; /* an empty place */
    struct virtio *v = &devices[device_count];
    *v = (struct virtio){.bus = &bus, .kind = kind, .base = base, .config = base + MMIO_CONFIG,
                         .config_bytes = MMIO_BYTES - MMIO_CONFIG};
    snprintf(v->where, sizeof v->where, "mmio 0x%llx", (unsigned long long)base);
    if (version != 2) {
        log_error("virtio",
                  "this device speaks only the old interface; start QEMU with "
                  "-global virtio-mmio.force-legacy=false",
                  "device=%s kind=%u", v->where, kind);
        return;
    }
    u8 vector;
    if (trap_claim_device(interrupt, v, &vector) || apic_route(gsi, vector, true, false)) {
        log_error("virtio", "no interrupt for this device", "device=%s gsi=%u", v->where, gsi);
        return;
    }
    device_count++;
    virtio_found(v);
}

void virtio_mmio_start(str command_line) {
    str word;
    while (str_split(&command_line, ' ', &word)) {
        u64 base;
        u32 gsi;
        if (!str_starts(word, S("virtio_mmio.device="))) continue;
        if (words_virtio_place(str_skip(word, 19), &base, &gsi) == RC_OK) device_at(base, gsi);
    }
    struct acpi_device at;
    for (u32 i = 0; acpi_virtio_mmio(i, &at); i++) device_at(at.base, at.gsi);
}
