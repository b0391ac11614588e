/* SPDX-License-Identifier: Apache-2.0 */
/* heap.c — blocks for lwIP: packet buffers, segments, control blocks, all from MEMORY_NET.
 *
 *   size -> class of 64 bytes -> free list -> (empty: memory_alloc)
 *
 * Every request takes and returns the same few sizes, so a block that comes back waits in its
 * class's list for the next taker: about ten instructions instead of a walk through malloc. What
 * waits is bounded by HEAP_KEPT_BYTES_MAX; the rest goes back at once, so no size starves another.
 *
 * Always true: used counts what callers hold, never what waits. Loop only, so no lock. Under
 * AddressSanitizer nothing waits: every block is malloc's, and a use after free is seen. */
#include "net/heap.h"

#define CLASS_BYTES 64u
#define CLASS_COUNT 33u /* blocks up to 2,048 bytes, which holds a full frame and its header */
#define HEAP_KEPT_BYTES_MAX KIB(384)
#if defined(__SANITIZE_ADDRESS__)
#define HEAP_KEEPS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEAP_KEEPS 0
#endif
#endif
#ifndef HEAP_KEEPS
#define HEAP_KEEPS 1
#endif

struct waiting {
    struct waiting *next;
};
static struct {
    struct waiting *free[CLASS_COUNT];
    size_t kept, used, limit;
} heap;

static size_t class_of(size_t n) {
    return (n + CLASS_BYTES - 1) / CLASS_BYTES;
}

void *net_heap_alloc(size_t n) {
    size_t c = class_of(n ? n : 1), room = c * CLASS_BYTES;
    void *p;
    if (c < CLASS_COUNT && heap.free[c]) {
        p = heap.free[c];
        heap.free[c] = heap.free[c]->next;
        heap.kept -= room;
    } else {
        p = memory_alloc(MEMORY_NET, room);
        if (!p) return NULL;
    }
    heap.used += room;
    return p;
}

void *net_heap_zero(size_t count, size_t size) {
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) return NULL;
    void *p = net_heap_alloc(n);
    if (p) memset(p, 0, n);
    return p;
}

void net_heap_free(void *p) {
    if (!p) return;
    size_t room = memory_size(p), c = room / CLASS_BYTES;
    CHECK(heap.used >= room);
    heap.used -= room;
    if (HEAP_KEEPS && c < CLASS_COUNT && heap.kept + room <= HEAP_KEPT_BYTES_MAX) {
        struct waiting *w = p;
        w->next = heap.free[c];
        heap.free[c] = w;
        heap.kept += room;
        return;
    }
    memory_free(MEMORY_NET, p);
}

size_t net_heap_used(void) {
    return heap.used;
}

size_t net_heap_limit(void) {
    if (!heap.limit) {
        struct memory_use use;
        memory_use_get(MEMORY_NET, &use);
        heap.limit = use.limit;
    }
    return heap.limit;
}

bool net_heap_tight(void) {
    return heap.used > net_heap_limit() / 4 * 3;
}
