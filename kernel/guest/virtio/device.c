/* SPDX-License-Identifier: Apache-2.0 */
/* device.c — what every virtio device needs, whatever its bus [virtio 1.2, 3.1]:
 *
 *   reset -> ACKNOWLEDGE -> DRIVER -> features -> FEATURES_OK (still?) -> queues -> DRIVER_OK
 *
 * A device that breaks the rules is reset and left alone: after the reset it may not touch our
 * memory, and a machine without that device is better than one with a liar in it. */
#include "kernel/guest/virtio/device.h"
#include "kernel/guest/guest.h"
#include "kernel/base/log.h"

enum { RESET_TRIES = 100000 };

static void device_reset(struct virtio *v) {
    v->bus->status_set(v, 0);
    for (u32 i = 0; i < RESET_TRIES && v->bus->status(v); i++) cpu_pause();
}

rc_t virtio_begin(struct virtio *v, u64 wanted) {
    device_reset(v);
    v->bus->status_set(v, STATUS_ACKNOWLEDGE);
    v->bus->status_set(v, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    u64 offered = v->bus->features(v, 0) | (u64)v->bus->features(v, 1) << 32;
    v->features = offered & (wanted | FEATURE_VERSION_1);
    v->bus->features_set(v, 0, (u32)v->features);
    v->bus->features_set(v, 1, (u32)(v->features >> 32));
    u8 status = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK;
    v->bus->status_set(v, status);
    if ((v->features & FEATURE_VERSION_1) && (v->bus->status(v) & STATUS_FEATURES_OK)) return RC_OK;
    v->bus->status_set(v, STATUS_FAILED);
    log_error("virtio", "the device speaks only the old interface; offer it as a modern one",
              "device=%s kind=%u", v->where, v->kind);
    return RC_INVALID;
}

rc_t virtio_queue(struct virtio *v, u16 queue, u16 size_max, struct ring *out) {
    u16 size = v->bus->queue_size_max(v, queue);
    if (size == 0) return RC_NOT_FOUND;
    size = MIN(size, MIN(size_max, (u16)RING_SIZE_MAX));
    while (size & (size - 1)) size = (u16)(size & (size - 1)); /* a power of two, downwards */
    void *shared = ram_keep(ring_bytes(size), PAGE_BYTES);
    if (!shared) return RC_NO_MEMORY;
    memset(shared, 0, ring_bytes(size));
    ring_open(out, size, shared, v->features & FEATURE_EVENT_IDX);
    v->bus->queue_on(v, queue, out);
    return RC_OK;
}

void virtio_queue_again(struct virtio *v, u16 queue, struct ring *r) {
    void *shared = r->desc;
    u16 size = r->size;
    memset(shared, 0, ring_bytes(size));
    ring_open(r, size, shared, v->features & FEATURE_EVENT_IDX);
    (void)v->bus->queue_size_max(v, queue); /* selects it */
    v->bus->queue_on(v, queue, r);
}

void virtio_go(struct virtio *v) {
    v->bus->status_set(v,
                       STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
}

void virtio_kick(struct virtio *v, u16 queue, struct ring *r) {
    if (ring_kick_due(r) && !v->dead) v->bus->kick(v, queue);
}

static void config_copy(struct virtio *v, u32 offset, u8 *to, u32 bytes) {
    bool words = bytes % 4 == 0 && offset % 4 == 0; /* fields are read in their own width */
    for (u32 i = 0; i < bytes; i += words ? 4 : bytes == 2 ? 2 : 1) {
        u64 at = v->config + offset + i;
        if (words) memcpy(to + i, &(u32){mmio_read32(at)}, 4);
        else if (bytes == 2) memcpy(to + i, &(u16){mmio_read16(at)}, 2);
        else to[i] = mmio_read8(at);
    }
}

void virtio_config(struct virtio *v, u32 offset, void *to, u32 bytes) {
    memset(to, 0, bytes);
    if (offset > v->config_bytes || bytes > v->config_bytes - offset) return;
    for (int tries = 0; tries < 8; tries++) {
        u32 before = v->bus->generation(v);
        config_copy(v, offset, to, bytes);
        if (v->bus->generation(v) == before) return;
    }
}

void virtio_kill(struct virtio *v, const char *why) {
    if (v->dead) return;
    v->dead = true;
    device_reset(v);
    log_error("virtio", "a device broke the rules and was switched off; restart the machine",
              "device=%s kind=%u why=\"%s\"", v->where, v->kind, why);
}

void virtio_found(struct virtio *v) {
    switch (v->kind) {
    case VIRTIO_NET: nic_found(v); break;
    case VIRTIO_BLOCK: disk_found(v); break;
    case VIRTIO_RNG: rng_found(v); break;
    case VIRTIO_CONSOLE: virtio_console_found(v); break;
    default: break; /* not ours */
    }
}
