/* SPDX-License-Identifier: Apache-2.0 */
/* timer.c — deadlines: a binary heap of (key, entry) pairs over caller-owned entries.
 *
 *   heap[0] is the earliest; children of i are 2i+1 and 2i+2; entry->slot == 1 + its index
 *
 * Always true: heap[i].key_ns == heap[i].timer->queued_ns <= heap[i].timer->deadline_ns.
 * Most deadlines are timeouts that are moved later again and again and never fire: moving later
 * only writes deadline_ns, and the entry is put right when its old key comes up.
 *
 * The array doubles up to TIMER_MAX and never shrinks: no allocation in the steady state. */
#include "kernel/core/timer.h"
#include "kernel/base/limits.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

struct entry {
    u64 key_ns; /* beside the pointer, so that comparing touches one cache line */
    struct timer *timer;
};
struct timer_heap {
    struct entry *at;
    u32 count, room;
};
static struct timer_heap boot_heap;
static struct timer_heap *const heap = &boot_heap;

#define TIMER_FIRST_ROOM 256u
#define TIMER_RUN_MAX 256u /* fired in one turn; what is left fires in the next */

static void put(u32 i, struct entry e) {
    heap->at[i] = e;
    e.timer->slot = i + 1;
    e.timer->queued_ns = e.key_ns;
}

static void sift_up(u32 i, struct entry e) {
    while (i > 0 && heap->at[(i - 1) / 2].key_ns > e.key_ns) {
        put(i, heap->at[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(i, e);
}

static void sift_down(u32 i, struct entry e) {
    for (;;) {
        u32 child = 2 * i + 1;
        if (child >= heap->count) break;
        if (child + 1 < heap->count && heap->at[child + 1].key_ns < heap->at[child].key_ns) child++;
        if (heap->at[child].key_ns >= e.key_ns) break;
        put(i, heap->at[child]);
        i = child;
    }
    put(i, e);
}

static rc_t grow(void) {
    if (heap->count == TIMER_MAX) return RC_LIMIT;
    u32 room = MIN(heap->room ? heap->room * 2 : TIMER_FIRST_ROOM, (u32)TIMER_MAX);
    struct entry *at = memory_resize(MEMORY_SERVICES, heap->at, room * sizeof *at);
    if (!at) return RC_LIMIT;
    heap->at = at;
    heap->room = room;
    return RC_OK;
}

void timer_init(struct timer *t, void (*fn)(void *arg), void *arg) {
    *t = (struct timer){.fn = fn, .arg = arg};
}

rc_t timer_start(struct timer *t, u64 deadline_ns) {
    CHECK(t->fn);
    t->deadline_ns = deadline_ns;
    if (t->slot) {
        if (deadline_ns < t->queued_ns) sift_up(t->slot - 1, (struct entry){deadline_ns, t});
        return RC_OK;
    }
    if (heap->count == heap->room) {
        rc_t rc = grow();
        if (rc) return rc;
    }
    sift_up(heap->count++, (struct entry){deadline_ns, t});
    return RC_OK;
}

rc_t timer_start_after_ms(struct timer *t, u64 ms) {
    /* The clock itself, not loop_now_ns: after a long turn the deadline would come early. */
    u64 ns;
    if (__builtin_mul_overflow(ms, NS_PER_MS, &ns)) ns = UINT64_MAX;
    if (__builtin_add_overflow(platform_clock_ns(), ns, &ns)) ns = UINT64_MAX;
    return timer_start(t, ns);
}

void timer_stop(struct timer *t) {
    if (!t->slot) return;
    u32 i = t->slot - 1;
    CHECK(i < heap->count && heap->at[i].timer == t);
    t->slot = 0;
    struct entry last = heap->at[--heap->count];
    if (i == heap->count) return;
    if (i > 0 && heap->at[(i - 1) / 2].key_ns > last.key_ns) sift_up(i, last);
    else sift_down(i, last);
}

u64 timer_next_ns(void) { return heap->count ? heap->at[0].key_ns : UINT64_MAX; }

bool timer_run(u64 now_ns) {
    bool fired = false;
    for (u32 n = 0; n < TIMER_RUN_MAX && heap->count && heap->at[0].key_ns <= now_ns; n++) {
        struct timer *t = heap->at[0].timer;
        if (t->deadline_ns > now_ns) { /* was moved later */
            sift_down(0, (struct entry){t->deadline_ns, t});
            continue;
        }
        timer_stop(t);
        fired = true;
        t->fn(t->arg);
    }
    return fired;
}
