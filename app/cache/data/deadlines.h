/* SPDX-License-Identifier: Apache-2.0 */
/* deadlines.h — who ends when: a binary heap whose first is the next to end. Items keep their slot
 * themselves (a u32, 0: not in the heap), `slot_at` bytes from their start. Times are whatever the
 * owner counts in. */
#pragma once
#include "kernel/base/base.h"

struct deadline {
    s64 at;
    void *item;
};
struct deadlines {
    struct deadline **chunks;
    u32 chunk_room, chunk_count;
    u32 count;
    u16 slot_at;
};

void deadlines_open(struct deadlines *h, size_t slot_at);
void deadlines_close(struct deadlines *h); /* items' slots are not touched */
void deadlines_set(struct deadlines *h, void *item, s64 at); /* adds or moves */
void deadlines_drop(struct deadlines *h, void *item);        /* harmless when not in it */
/* The item has moved in memory (its slot came along). */
void deadlines_moved(struct deadlines *h, void *item);
static inline u32 deadlines_slot(const struct deadlines *h, const void *item) {
    return *(const u32 *)((const char *)item + h->slot_at);
}
s64 deadlines_at(const struct deadlines *h, const void *item); /* must be in it */
const struct deadline *deadlines_first(const struct deadlines *h); /* NULL: empty */
const struct deadline *deadlines_some(const struct deadlines *h, u32 i); /* the ith, i < count */
size_t deadlines_bytes(const struct deadlines *h);
