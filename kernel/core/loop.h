/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h — the event loop of the boot core. It owns every device and every fiber; one turn is:
 *
 *   look at devices -> run what is ready (pollers, timers, fibers, posted calls) -> before-sleep
 *   hooks (flush sends, doorbells) -> sleep until the next deadline or a device has work
 *
 * All calls on the loop unless marked "any thread". */
#pragma once
#include "kernel/base/base.h"
#include "kernel/core/timer.h"

void loop_init(void);
void loop_run(void); /* returns after loop_stop */
void loop_stop(void);
bool loop_running(void); /* false before loop_run and after it: then calls that park poll instead */
u64 loop_now_ns(void);   /* platform_clock_ns read once per turn: cheap, good for timeouts */

/* A poller is called in each turn in which one of the WAIT_* bits it asked for was raised (and once
 * at start). It returns true when it stopped early with work left; then it runs again next turn. */
typedef bool loop_poll_fn(void *arg, u32 wait_bits);
rc_t loop_poller_add(u32 wait_bits, loop_poll_fn *fn, void *arg); /* RC_LIMIT: LOOP_POLLER_MAX */
/* Called at the end of every turn that did anything, before sleeping: batches go out here. */
rc_t loop_before_sleep_add(void (*fn)(void *arg), void *arg);     /* RC_LIMIT: LOOP_HOOK_MAX */
/* WAIT_* bits somebody else took from platform_wait; their pollers run in the next turn. */
void loop_raise(u32 wait_bits);

/* Runs fn(arg) on the loop in a coming turn. `post` is the caller's until it ran; posting one that
 * is waiting does nothing. loop_post_from_any wakes the loop. */
struct loop_post {
    void (*fn)(void *arg);
    void *arg;
    struct loop_post *next;
    bool queued;
};
void loop_post(struct loop_post *post);
void loop_post_from_any(struct loop_post *post); /* any thread */

struct loop_stats {
    u64 turns, busy_ns, idle_ns; /* since start */
    u64 lag_us_max;              /* longest turn of the last 10 to 20 seconds */
    u64 slow_turns;              /* turns longer than LOOP_SLICE_US * 50 */
};
void loop_stats_get(struct loop_stats *out);
