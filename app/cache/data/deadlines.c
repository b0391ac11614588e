/* SPDX-License-Identifier: Apache-2.0 */
/* deadlines.c — a binary heap in chunks, so that it never has to be copied to grow.
 *
 * Slots count from 1: the children of slot i are 2i and 2i + 1, and 0 means "nowhere". A deadline
 * later than all others, the usual one, is placed in one step.
 *
 * Always true: no item ends before its parent; each item's slot names its place. */
#include "app/cache/data/deadlines.h"
#include "app/cache/data/memory.h"

#define CHUNK 256u /* deadlines, 4 KiB */

static struct deadline *at_slot(const struct deadlines *h, u32 slot) {
    return &h->chunks[(slot - 1) / CHUNK][(slot - 1) % CHUNK];
}

static u32 *slot_of(const struct deadlines *h, void *item) {
    return (u32 *)((char *)item + h->slot_at);
}

void deadlines_open(struct deadlines *h, size_t slot_at) {
    *h = (struct deadlines){.slot_at = (u16)slot_at};
}

void deadlines_close(struct deadlines *h) {
    for (u32 i = 0; i < h->chunk_count; i++) cache_free(h->chunks[i]);
    cache_free(h->chunks);
    deadlines_open(h, h->slot_at);
}

static void place(struct deadlines *h, u32 slot, struct deadline d) {
    *at_slot(h, slot) = d;
    *slot_of(h, d.item) = slot;
}

static void rise(struct deadlines *h, u32 slot, struct deadline d) {
    for (; slot > 1 && at_slot(h, slot / 2)->at > d.at; slot /= 2)
        place(h, slot, *at_slot(h, slot / 2));
    place(h, slot, d);
}

static void sink(struct deadlines *h, u32 slot, struct deadline d) {
    for (u32 child; (child = 2 * slot) <= h->count; slot = child) {
        if (child < h->count && at_slot(h, child + 1)->at < at_slot(h, child)->at) child++;
        if (at_slot(h, child)->at >= d.at) break;
        place(h, slot, *at_slot(h, child));
    }
    place(h, slot, d);
}

static void settle(struct deadlines *h, u32 slot, struct deadline d) {
    if (slot > 1 && at_slot(h, slot / 2)->at > d.at) rise(h, slot, d);
    else sink(h, slot, d);
}

static void room_for_one(struct deadlines *h) {
    if (h->count < h->chunk_count * CHUNK) return;
    if (h->chunk_count == h->chunk_room) {
        h->chunk_room = h->chunk_room ? 2 * h->chunk_room : 4;
        h->chunks = cache_resize(h->chunks, h->chunk_room * sizeof *h->chunks);
    }
    h->chunks[h->chunk_count++] = cache_alloc(CHUNK * sizeof(struct deadline));
}

void deadlines_set(struct deadlines *h, void *item, s64 at) {
    u32 slot = *slot_of(h, item);
    struct deadline d = {at, item};
    if (slot) {
        settle(h, slot, d);
        return;
    }
    room_for_one(h);
    rise(h, ++h->count, d);
}

void deadlines_drop(struct deadlines *h, void *item) {
    u32 slot = *slot_of(h, item);
    if (!slot) return;
    CHECK(slot <= h->count && at_slot(h, slot)->item == item);
    *slot_of(h, item) = 0;
    struct deadline last = *at_slot(h, h->count--);
    if (last.item != item) settle(h, slot, last);
    if (h->chunk_count > 1 && h->count + 2 * CHUNK <= h->chunk_count * CHUNK)
        cache_free(h->chunks[--h->chunk_count]);
}

void deadlines_moved(struct deadlines *h, void *item) {
    u32 slot = *slot_of(h, item);
    if (slot) at_slot(h, slot)->item = item;
}

s64 deadlines_at(const struct deadlines *h, const void *item) {
    return at_slot(h, deadlines_slot(h, item))->at;
}

const struct deadline *deadlines_first(const struct deadlines *h) {
    return h->count ? at_slot(h, 1) : NULL;
}

const struct deadline *deadlines_some(const struct deadlines *h, u32 i) {
    return i < h->count ? at_slot(h, i + 1) : NULL;
}

size_t deadlines_bytes(const struct deadlines *h) {
    return cache_size(h->chunks) + h->chunk_count * (CHUNK * sizeof(struct deadline) + 8);
}
