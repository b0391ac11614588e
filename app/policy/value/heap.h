/* SPDX-License-Identifier: Apache-2.0 */
/* heap.h — memory of values: bump allocation in blocks, dropped or rewound all at once.
 *
 * A heap is rewound after each evaluation and keeps its blocks, so that a policy asked again
 * allocates nothing. Reaching `bytes_max` sets `exhausted` and returns NULL from then on, until
 * the heap is rewound. Not for more than one thread at a time; what was made in it may be read by
 * any number of threads once they have been handed it. */
#pragma once
#include "kernel/base/base.h"

struct heap_block;
struct heap {
    char *at, *end;            /* free bytes of the current block */
    struct heap_block *first;  /* in order of use */
    struct heap_block *current;
    size_t used;               /* bytes handed out since the last rewind */
    size_t held;               /* bytes of all blocks */
    size_t bytes_max;
    bool exhausted;            /* bytes_max was reached, or a value was nested too deep */
    bool frugal;               /* what is made in it stays: blocks are small beside what is held */
};

void heap_open(struct heap *h, size_t bytes_max); /* allocates nothing yet */
void heap_open_frugal(struct heap *h, size_t bytes_max);
void heap_close(struct heap *h);
void heap_rewind(struct heap *h); /* forgets every value; keeps up to HEAP_KEEP_BYTES */
struct heap_mark { struct heap_block *block; char *at; size_t used; };
struct heap_mark heap_mark(const struct heap *h);
void heap_release(struct heap *h, struct heap_mark mark); /* forgets what was made since */

void *heap_alloc_slow(struct heap *h, size_t n);
/* 16-byte aligned, not zeroed. NULL: exhausted. */
static inline void *heap_alloc(struct heap *h, size_t n) {
    size_t need = ALIGN_UP(n, (size_t)16);
    if (__builtin_expect(need < n || need > (size_t)(h->end - h->at), 0))
        return heap_alloc_slow(h, n);
    void *p = h->at;
    h->at += need, h->used += need;
    return p;
}
