/* SPDX-License-Identifier: Apache-2.0 */
/* heap.c — bump memory in a list of blocks that is kept from use to use.
 *
 *   first -> [16K used] -> [32K used] -> [64K | current, at..end] -> [128K free] -> NULL
 *
 * Blocks double in size up to HEAP_BLOCK_BYTES_MAX; what is larger than a block gets one of its
 * own size. A rewind goes back to the first block; what is held beyond HEAP_KEEP_BYTES is freed,
 * so one large evaluation does not cost its memory for good. Always: `held` <= `bytes_max`.
 *
 * A frugal heap begins with a block of 1 KiB and grows by an eighth of what it holds: of what is
 * kept for long, no more than that lies idle at its end. */
#include "app/policy/value/heap.h"
#include <stdlib.h>
#include "kernel/base/limits.h"

struct heap_block {
    struct heap_block *next;
    size_t room;
};
enum { HEAP_BLOCK_BYTES_MAX = 1 << 20, HEAP_FRUGAL_BYTES = 1 << 10 };
static_assert(sizeof(struct heap_block) == 16, "blocks start aligned");

void heap_open(struct heap *h, size_t bytes_max) {
    *h = (struct heap){.bytes_max = bytes_max};
}

void heap_open_frugal(struct heap *h, size_t bytes_max) {
    *h = (struct heap){.bytes_max = bytes_max, .frugal = true};
}

static void free_from(struct heap *h, struct heap_block **link) {
    struct heap_block *b = *link;
    *link = NULL;
    while (b) {
        struct heap_block *next = b->next;
        h->held -= sizeof *b + b->room;
        free(b);
        b = next;
    }
}

void heap_close(struct heap *h) {
    free_from(h, &h->first);
    *h = (struct heap){.bytes_max = h->bytes_max, .frugal = h->frugal};
}

static void use_block(struct heap *h, struct heap_block *b) {
    h->current = b;
    h->at = (char *)(b + 1);
    h->end = h->at + b->room;
}

void heap_rewind(struct heap *h) {
    h->used = 0, h->exhausted = false;
    if (!h->first) return;
    size_t kept = 0;
    struct heap_block **link = &h->first;
    for (; *link && kept + (*link)->room <= HEAP_KEEP_BYTES; link = &(*link)->next)
        kept += (*link)->room;
    free_from(h, link);
    if (h->first) use_block(h, h->first);
    else h->current = NULL, h->at = h->end = NULL;
}

struct heap_mark heap_mark(const struct heap *h) {
    return (struct heap_mark){h->current, h->at, h->used};
}

void heap_release(struct heap *h, struct heap_mark mark) {
    if (!mark.block) { /* nothing had been made yet */
        if (h->first) use_block(h, h->first);
    } else {
        use_block(h, mark.block);
        h->at = mark.at;
    }
    h->used = mark.used;
}

static size_t usual_room(const struct heap *h) {
    if (h->frugal)
        return MIN(MAX(h->held / 8, (size_t)HEAP_FRUGAL_BYTES), (size_t)HEAP_BLOCK_BYTES_MAX);
    if (!h->current) return HEAP_BLOCK_BYTES;
    return MIN(h->current->room * 2, (size_t)HEAP_BLOCK_BYTES_MAX);
}

/* A block with at least `n` bytes behind `h->current`: one that is there, or a new one. */
static struct heap_block *next_block(struct heap *h, size_t n) {
    struct heap_block **link = h->current ? &h->current->next : &h->first;
    if (*link && (*link)->room >= n) return *link;
    size_t room = usual_room(h);
    if (room < n) room = n;
    size_t left = h->bytes_max > h->held ? h->bytes_max - h->held : 0;
    if (left < sizeof(struct heap_block) + n) return NULL;
    room = MIN(room, left - sizeof(struct heap_block)) & ~(size_t)15;
    if (room < n) return NULL;
    struct heap_block *b = malloc(sizeof *b + room);
    if (!b) return NULL;
    *b = (struct heap_block){.next = *link, .room = room};
    *link = b;
    h->held += sizeof *b + room;
    return b;
}

void *heap_alloc_slow(struct heap *h, size_t n) {
    size_t need = ALIGN_UP(n, (size_t)16);
    struct heap_block *b = h->exhausted || need < n ? NULL : next_block(h, need);
    if (!b) {
        h->exhausted = true;
        h->end = h->at; /* so that small requests fail as well: the answer would be incomplete */
        return NULL;
    }
    use_block(h, b);
    void *p = h->at;
    h->at += need, h->used += need;
    return p;
}
