/* SPDX-License-Identifier: Apache-2.0 */
/* ram.c — who gets which part of memory.
 *
 *   low RAM    | image |   | heap ->                <- kept: tables, rings, stacks |
 *   high RAM   (above 4 GiB, when it is the larger)   | heap ->                    |
 *
 * The heap is the largest usable range (sbrk grows upwards in it). What is kept for ever comes
 * from the top of the largest range below 4 GiB, so that every device can reach it. That need not
 * be the range with the image: UEFI firmware keeps pieces for itself at 8 MiB, close behind it. On
 * small machines heap and kept memory share a range and meet in the middle, save for a reserve
 * that only page tables may use: a guard page below a new stack may need one. Nothing here touches
 * the memory: a 64 GiB guest costs its host only what is used. */
#include "kernel/guest/guest.h"
#include "kernel/platform.h"
#include <errno.h>
#include <malloc.h>

enum { RESERVE_BYTES = 256 * 1024 }; /* 64 tables: guards in 128 MiB of stacks */

static u64 total_bytes;
static u64 heap_start, heap_at, heap_end; /* heap_end is moved down by keep_at when shared */
static u64 keep_floor, keep_at, keep_top; /* grows down */
static bool shared;                       /* heap and kept memory are in one range */
static struct platform_lock lock;

static void take_larger(struct ram_range *best, u64 start, u64 end) {
    if (end > start && end - start > best->end - best->start)
        *best = (struct ram_range){start, end};
}

void ram_start(const struct handoff *h) {
    struct ram_range low = {0}, high = {0};
    bool held = false;
    for (u32 i = 0; i < h->ram_count; i++) {
        struct ram_range r = h->ram[i];
        total_bytes += r.end - r.start;
        bool holds = r.start <= (u64)image_start && (u64)image_end <= r.end;
        held |= holds;
        /* A range across 4 GiB is two. */
        take_larger(&low, holds ? (u64)image_end : r.start, MIN(r.end, 1ull << 32));
        take_larger(&high, MAX(r.start, 1ull << 32), r.end);
    }
    if (!held || low.end <= low.start)
        panic("The image is not in usable memory; give the machine 64 MiB.");
    shared = low.end - low.start >= high.end - high.start;
    struct ram_range heap = shared ? low : high;
    heap_start = heap_at = heap.start;
    heap_end = heap.end;
    keep_floor = low.start;
    keep_at = keep_top = low.end;
}

u64 ram_bytes(void) { return total_bytes; }
u64 ram_heap_bytes(void) {
    return (shared ? keep_at - RESERVE_BYTES : heap_end) - heap_start;
}

static void *keep(size_t bytes, size_t align, u64 reserve) {
    platform_lock(&lock);
    u64 floor = (shared ? heap_at : keep_floor) + reserve;
    u64 at = 0;
    if (floor > keep_at) floor = keep_at;
    if (bytes <= keep_at - floor) at = (keep_at - bytes) & ~((u64)align - 1);
    if (at < floor) at = 0;
    if (at) keep_at = at;
    platform_unlock(&lock);
    return (void *)at;
}

void *ram_keep(size_t bytes, size_t align) { return keep(bytes, align, RESERVE_BYTES); }

void *ram_keep_table(void) { return keep(PAGE_BYTES, PAGE_BYTES, 0); }

void *ram_keep_zero(size_t bytes, size_t align) {
    void *p = ram_keep(bytes, align);
    if (!p) panic("The machine has too little memory: %zu bytes more are needed to start.", bytes);
    return memset(p, 0, bytes);
}

void *ram_sbrk(ptrdiff_t more) {
    void *old = (void *)-1;
    platform_lock(&lock);
    u64 end = shared ? keep_at - RESERVE_BYTES : heap_end;
    u64 room = end > heap_at ? end - heap_at : 0; /* tables may have eaten into the reserve */
    bool fits = more >= 0 ? (u64)more <= room : (u64)-more <= heap_at - heap_start;
    if (fits) {
        old = (void *)heap_at;
        heap_at += (u64)more;
    } else {
        errno = ENOMEM;
    }
    platform_unlock(&lock);
    return old;
}

/* What was freed lies within the heap's range mostly, behind younger blocks: it is free for whoever
 * asks next, so it counts as free. */
u64 platform_memory_used(void) {
    u64 heap = heap_at - heap_start, freed = mallinfo().fordblks;
    return (u64)(image_end - image_start) + (keep_top - keep_at) + heap - MIN(freed, heap);
}

void *platform_stack(size_t bytes) {
    CHECK(bytes && bytes % PAGE_BYTES == 0);
    u8 *p = ram_keep(bytes + PAGE_BYTES, PAGE_BYTES);
    if (!p) return NULL;
    page_set((u64)p, PAGE_BYTES, PAGE_NONE);
    return p + PAGE_BYTES;
}

const void *ram_view(u64 phys, size_t n) {
    if (!n || phys < 0x10000 || phys + n < phys || phys + n > 1ull << 46) return NULL;
    for (u64 page = phys & ~4095ull; page < phys + n; page += PAGE_BYTES)
        if (!page_is_mapped(page)) page_set(page, PAGE_BYTES, PAGE_READ);
    return (const void *)phys;
}
