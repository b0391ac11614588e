/* SPDX-License-Identifier: Apache-2.0 */
/* fiber.h — straight-line code that parks: one small stack per request, switched in about ten
 * instructions. Fibers run only on the loop, one at a time, never preempted: state shared between
 * them changes only where one parks, so it needs no locks. */
#pragma once
#include "kernel/base/base.h"
#include "kernel/core/timer.h"

struct fiber;

rc_t fiber_init(u32 count); /* the pool; <= FIBER_MAX */
/* Starts fn(arg) soon (next turn at the latest). RC_LIMIT: every stack is in use; shed. */
rc_t fiber_start(const char *name, void (*fn)(void *arg), void *arg, struct fiber **out);
struct fiber *fiber_self(void);       /* NULL outside fibers */
bool fiber_inside(void);
void fiber_yield(void);               /* lets others run; back in the next turn */
void fiber_sleep_ms(u64 ms);
/* Parks until fiber_wake(self) or the deadline (platform clock, UINT64_MAX = never). RC_TIMEOUT;
 * RC_LIMIT: no timer left, not parked. A wake that came before the park is not lost, and one meant
 * for an earlier wait can arrive late: wait in a loop over your own condition. */
rc_t fiber_park(u64 deadline_ns);
void fiber_wake(struct fiber *f);     /* on the loop; harmless when it runs already */
void fiber_wake_from_any(struct fiber *f); /* any thread */

/* Whose work this is, for log lines; the bytes must outlive the fiber's use of them. */
void fiber_set_request_id(str id);
str fiber_request_id(void);
void *fiber_local(void);              /* one pointer of the owner's */
void fiber_set_local(void *p);

u32 fiber_count(void);                /* in use */
u32 fiber_count_peak(void);
u32 fiber_capacity(void);
void fiber_each(void (*see)(void *arg, const char *name, u64 parked_ns), void *arg);
/* How deep stacks get: paint before the first fiber starts, ask at any time (0: not painted). */
void fiber_stack_paint(void);
size_t fiber_stack_peak_bytes(void);
/* Whose stack (or the unmapped page below it) an address lies in; NULL: no fiber's. For panics. */
const char *fiber_name_at(const void *address);

/* ---- Meeting points, all FIFO ---------------------------------------------------------------- */

/* A queue of waiting fibers. */
struct wait_queue {
    struct fiber *first, *last;
    u32 count;
};
rc_t wait_queue_wait(struct wait_queue *q, u64 deadline_ns); /* RC_TIMEOUT */
bool wait_queue_wake_one(struct wait_queue *q);              /* false: nobody waits */
void wait_queue_wake_all(struct wait_queue *q);

/* Mutual exclusion across park points. */
struct fiber_mutex {
    struct fiber *owner;
    struct wait_queue waiting;
};
rc_t fiber_mutex_lock(struct fiber_mutex *m, u64 deadline_ns); /* RC_TIMEOUT */
void fiber_mutex_unlock(struct fiber_mutex *m);
