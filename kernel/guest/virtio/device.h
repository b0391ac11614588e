/* SPDX-License-Identifier: Apache-2.0 */
/* device.h — a virtio device on whatever bus: features, queues, configuration, interrupts.
 * pci.c and mmio.c find devices and fill in struct virtio; nic.c, disk.c, rng.c and console.c
 * drive them. Loop only, except where an interrupt handler is meant. */
#pragma once
#include "kernel/guest/virtio/ring.h"

struct virtio;
struct virtio_bus {
    u32 (*features)(struct virtio *v, u32 word);
    void (*features_set)(struct virtio *v, u32 word, u32 bits);
    u8 (*status)(struct virtio *v);
    void (*status_set)(struct virtio *v, u8 status);
    u32 (*generation)(struct virtio *v);
    u16 (*queue_size_max)(struct virtio *v, u16 queue); /* 0: no such queue */
    void (*queue_on)(struct virtio *v, u16 queue, const struct ring *r);
    void (*kick)(struct virtio *v, u16 queue);
};
struct virtio {
    const struct virtio_bus *bus;
    u32 kind;                     /* VIRTIO_NET... */
    u64 features;                 /* agreed */
    volatile bool config_changed; /* interrupt side sets, driver clears */
    bool dead;                    /* broke the rules and was reset */
    u64 config;                   /* address of its configuration */
    u32 config_bytes;
    u64 common, notify;           /* pci: register blocks */
    u32 notify_step;
    u64 notify_at[4];             /* pci: by queue */
    bool has_vectors;
    u64 base;                     /* mmio */
    char where[24];               /* for the log: "pci 00:03.0", "mmio 0xfeb00e00" */
};

/* Reset, then agree on what of `wanted` is offered; VERSION_1 is demanded. RC_INVALID: it is not
 * a modern device, or refuses. */
rc_t virtio_begin(struct virtio *v, u64 wanted);
/* Memory for a queue of at most size_max and its hand-over. RC_NOT_FOUND, RC_NO_MEMORY. */
rc_t virtio_queue(struct virtio *v, u16 queue, u16 size_max, struct ring *out);
/* The same queue again after a reset, in the memory it had. */
void virtio_queue_again(struct virtio *v, u16 queue, struct ring *r);
void virtio_go(struct virtio *v); /* DRIVER_OK */
void virtio_kick(struct virtio *v, u16 queue, struct ring *r); /* if it is due */
/* Whole reads of a configuration field, consistent across changes; zeros beyond its end. */
void virtio_config(struct virtio *v, u32 offset, void *to, u32 bytes);
/* It broke the rules: reset it, say so, and never speak to it again. */
void virtio_kill(struct virtio *v, const char *why);

/* A device was found (by pci.c or mmio.c): the right driver takes it, or nobody. `v` stays. */
void virtio_found(struct virtio *v);
void nic_found(struct virtio *v);
void disk_found(struct virtio *v);
void rng_found(struct virtio *v);
void virtio_console_found(struct virtio *v);
