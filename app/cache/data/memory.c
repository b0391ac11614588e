/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c — what cached data costs, counted to the byte.
 *
 *   used:    sum of malloc_usable_size + 8 over all live blocks
 *   charged: what MEMORY_CACHE was told, in steps of 64 KiB, always >= used while it has room
 *
 * Commands are admitted before they run (cache_room, evict.c), so an allocation inside one is
 * small against what was asked for, and is never refused: if the budget is used up to the byte the
 * data overdraws it, and the next command evicts or is refused. Should malloc itself have nothing,
 * a reserve taken at start is given back to it, and only when that is gone the machine ends.
 *
 * Always true: charged is a multiple of the step, and returns to 0 when used does. */
#include "app/cache/data/memory.h"
#include "kernel/base/log.h"
#include "kernel/core/memory.h"
#include <malloc.h>
#include <stdlib.h>

#define STEP KIB(64)
#define OVERHEAD 8u /* the allocator's own, per block */

static struct {
    size_t used, peak, charged, limit, fixed;
    void *reserve;
} m;

rc_t cache_memory_open(size_t bytes_max) {
    cache_memory_limit(bytes_max);
    if (!m.reserve && !(m.reserve = malloc(MIN(cache_memory_budget() / 16, MIB(4)))))
        return RC_NO_MEMORY;
    return RC_OK;
}

size_t cache_memory_budget(void) {
    struct memory_use use;
    memory_use_get(MEMORY_CACHE, &use);
    return use.limit;
}

void cache_memory_limit(size_t bytes_max) { m.limit = bytes_max; }
size_t cache_memory_limit_get(void) { return m.limit; }
void cache_fixed_set(size_t bytes) { m.fixed = bytes; }
size_t cache_fixed(void) { return m.fixed; }
size_t cache_used(void) { return m.used; }
size_t cache_used_peak(void) { return m.peak; }
void cache_used_peak_reset(void) { m.peak = m.used; }

bool cache_room(size_t more) {
    size_t budget = cache_memory_budget();
    return m.used < budget && more <= budget - m.used && (m.reserve || more < KIB(64));
}

static void count(size_t before, size_t after) {
    m.used += after;
    m.used -= before;
    if (m.used > m.peak) m.peak = m.used;
    while (m.charged < m.used && memory_charge(MEMORY_CACHE, STEP)) m.charged += STEP;
    while (m.charged >= m.used + 2 * STEP || (!m.used && m.charged)) {
        memory_refund(MEMORY_CACHE, STEP);
        m.charged -= STEP;
    }
}

size_t cache_size(const void *p) {
    return p ? malloc_usable_size((void *)(uintptr_t)p) + OVERHEAD : 0;
}

/* malloc had nothing: once, the reserve helps. */
static void starved(void) {
    if (!m.reserve) panic("cache: the machine has no memory left");
    free(m.reserve);
    m.reserve = NULL;
    log_error("cache", "no memory left; the reserve is in use: give the machine more memory or "
                       "lower cache.memory");
}

void *cache_alloc(size_t n) {
    void *p;
    while (!(p = malloc(n ? n : 1))) starved();
    count(0, cache_size(p));
    return p;
}

void *cache_zero(size_t n) {
    return memset(cache_alloc(n), 0, n);
}

void *cache_resize(void *p, size_t n) {
    size_t before = cache_size(p);
    void *to;
    while (!(to = realloc(p, n ? n : 1))) starved();
    count(before, cache_size(to));
    return to;
}

void cache_free(void *p) {
    if (!p) return;
    count(cache_size(p), 0);
    free(p);
}
