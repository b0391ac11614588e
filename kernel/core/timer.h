/* SPDX-License-Identifier: Apache-2.0 */
/* timer.h — deadlines on the loop: a binary heap of caller-owned entries. Start, move and stop cost
 * O(log n) at worst; moving a deadline later is O(1) (checked again when it would have fired). */
#pragma once
#include "kernel/base/base.h"

struct timer {
    u64 deadline_ns;  /* platform clock */
    void (*fn)(void *arg);
    void *arg;
    u32 slot;         /* 1 + index in the heap; 0 = not waiting */
    u64 queued_ns;    /* the key in the heap, <= deadline_ns */
};
void timer_init(struct timer *t, void (*fn)(void *arg), void *arg);
rc_t timer_start(struct timer *t, u64 deadline_ns); /* or moves; RC_LIMIT: TIMER_MAX */
rc_t timer_start_after_ms(struct timer *t, u64 ms);
void timer_stop(struct timer *t);                   /* harmless when not waiting */
static inline bool timer_waiting(const struct timer *t) { return t->slot != 0; }

u64 timer_next_ns(void);        /* earliest key; UINT64_MAX: none. The loop's */
bool timer_run(u64 now_ns);     /* fires what is due; true: something fired. The loop's */
