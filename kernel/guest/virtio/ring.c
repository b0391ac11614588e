/* SPDX-License-Identifier: Apache-2.0 */
/* ring.c — one virtio split queue [virtio 1.2, 2.7].
 *
 *   driver fills desc[] -> avail ring -> device works -> used ring -> driver frees
 *
 * Always true: free + in flight == size; only ring_poll moves used_seen; what the driver must be
 * sure of lives in slots[], which the device cannot write: a used id that is not in flight, or a
 * length beyond what was lent, breaks the ring and touches nothing.
 * Knows no bus and no device: so tests run it on the host against a hostile device. */
#include "kernel/guest/virtio/ring.h"

static u16 *used_event(struct ring *r) { return &r->avail->ring[r->size]; }
static u16 *avail_event(struct ring *r) { return (u16 *)&r->used->ring[r->size]; }

static size_t avail_offset(u16 size) { return 16u * size; }
static size_t used_offset(u16 size) { return (avail_offset(size) + 6 + 2u * size + 3) & ~3ull; }

size_t ring_bytes(u16 size) { return used_offset(size) + 6 + 8u * size; }

void ring_open(struct ring *r, u16 size, void *shared, bool event_idx) {
    CHECK(size && size <= RING_SIZE_MAX && (size & (size - 1)) == 0);
    *r = (struct ring){.size = size, .free_count = size, .event_idx = event_idx};
    r->desc = shared;
    r->avail = (struct vring_avail *)((u8 *)shared + avail_offset(size));
    r->used = (struct vring_used *)((u8 *)shared + used_offset(size));
    for (u16 i = 0; i < size; i++) r->slots[i].next = (u16)(i + 1);
    ring_disarm(r);
}

rc_t ring_add(struct ring *r, const struct ring_part *parts, u32 reads, u32 writes, void *token) {
    u32 n = reads + writes;
    CHECK(n && token);
    if (r->broken || n > r->free_count) return RC_AGAIN;
    u16 head = r->free_head, at = head, last = head;
    u32 room = 0;
    for (u32 i = 0; i < n; i++) {
        u16 flags = (u16)((i + 1 < n ? DESC_NEXT : 0) | (i >= reads ? DESC_WRITE : 0));
        u16 next = r->slots[at].next;
        r->desc[at] = (struct vring_desc){(u64)(uintptr_t)parts[i].at, parts[i].bytes, flags, next};
        if (i >= reads) room += parts[i].bytes;
        last = at;
        at = next;
    }
    r->free_head = r->slots[last].next;
    r->free_count = (u16)(r->free_count - n);
    struct ring_slot *s = &r->slots[head];
    s->token = token;
    s->count = (u16)n;
    s->room = room;
    r->avail->ring[r->avail_index & (r->size - 1)] = head;
    r->avail_index++;
    __atomic_store_n(&r->avail->index, r->avail_index, __ATOMIC_RELEASE);
    return RC_OK;
}

bool ring_kick_due(struct ring *r) {
    u16 new = r->avail_index, old = r->kicked;
    if (new == old || r->broken) return false;
    r->kicked = new;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* published before we read what the device wants */
    if (!r->event_idx) return !(*(volatile u16 *)&r->used->flags & USED_NO_NOTIFY);
    u16 event = *(volatile u16 *)avail_event(r);
    return (u16)(new - event - 1) < (u16)(new - old); /* 2.7.10: it lies between old and new */
}

rc_t ring_poll(struct ring *r, void **out_token, u32 *out_bytes) {
    if (!ring_has_used(r)) return r->broken ? RC_CORRUPT : RC_AGAIN;
    volatile struct vring_used_element *e = &r->used->ring[r->used_seen & (r->size - 1)];
    u32 id = e->id, bytes = e->bytes; /* once: the device may change its mind */
    u16 waiting = (u16)(__atomic_load_n(&r->used->index, __ATOMIC_RELAXED) - r->used_seen);
    if (waiting > r->size || id >= r->size || !r->slots[id].token || bytes > r->slots[id].room) {
        r->broken = true;
        return RC_CORRUPT;
    }
    struct ring_slot *s = &r->slots[id];
    u16 last = (u16)id;
    for (u16 i = 1; i < s->count; i++) last = r->slots[last].next;
    r->slots[last].next = r->free_head;
    r->free_head = (u16)id;
    r->free_count = (u16)(r->free_count + s->count);
    *out_token = s->token;
    *out_bytes = bytes;
    s->token = NULL;
    r->used_seen++;
    return RC_OK;
}

void ring_arm(struct ring *r) {
    if (r->event_idx) *(volatile u16 *)used_event(r) = r->used_seen;
    else *(volatile u16 *)&r->avail->flags = 0;
}

void ring_disarm(struct ring *r) {
    /* With event indexes an old one is as good as none: it will not be crossed again. */
    if (r->event_idx) *(volatile u16 *)used_event(r) = (u16)(r->used_seen - 1);
    else *(volatile u16 *)&r->avail->flags = AVAIL_NO_INTERRUPT;
}
