/* SPDX-License-Identifier: Apache-2.0 */
/* ring.h — one virtio split queue. Not for more than one thread. Physical = virtual address. */
#pragma once
#include "kernel/guest/virtio/virtio.h"

#define RING_SIZE_MAX 256u

struct ring_part {
    void *at;
    u32 bytes;
};
struct ring_slot { /* what the driver remembers; the device cannot see or change it */
    void *token;   /* of the request that begins here; NULL: none does */
    u32 room;      /* bytes the device may write for it */
    u16 count;     /* descriptors of the request */
    u16 next;      /* free list, and the chain of a request */
};
struct ring {
    u16 size; /* power of two */
    bool event_idx, broken;
    u16 free_head, free_count;
    u16 avail_index; /* as published */
    u16 kicked;      /* avail_index at the last look whether to kick */
    u16 used_seen;
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    struct ring_slot slots[RING_SIZE_MAX];
};

size_t ring_bytes(u16 size); /* of shared memory, 4096-aligned */
/* `shared` is zeroed memory of ring_bytes(size), aligned to 4096. */
void ring_open(struct ring *r, u16 size, void *shared, bool event_idx);
/* A request: parts the device reads, then parts it writes. `token` comes back from ring_poll.
 * RC_AGAIN: no room. */
rc_t ring_add(struct ring *r, const struct ring_part *parts, u32 reads, u32 writes, void *token);
bool ring_kick_due(struct ring *r); /* does the device want to be told what was added? */
static inline bool ring_has_used(const struct ring *r) {
    return !r->broken && __atomic_load_n(&r->used->index, __ATOMIC_ACQUIRE) != r->used_seen;
}
/* A finished request and the bytes written. RC_AGAIN: none. RC_CORRUPT: the device broke the
 * rules; the ring is dead, and the device must be reset before its memory is used again. */
rc_t ring_poll(struct ring *r, void **out_token, u32 *out_bytes);
void ring_arm(struct ring *r);    /* interrupt at the next finished request; then look again */
void ring_disarm(struct ring *r); /* no interrupts, please (a hint) */
