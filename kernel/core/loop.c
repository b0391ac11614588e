/* SPDX-License-Identifier: Apache-2.0 */
/* loop.c — the event loop of the boot core.
 *
 *            +-------------------------------- one turn --------------------------------+
 *   wait ->  | pollers whose bit was raised -> timers due -> posts -> fibers that are ready |
 *    ^       | -> before-sleep hooks (only if anything ran)                             |
 *    +-------+---------------------- runnable? look only : sleep -----------------------+
 *
 * Always true: nothing here allocates or parks; a call posted while posts run waits for the next
 * turn, so that a chain of posts cannot starve the devices; a wake from another thread is never
 * lost, because platform_wait keeps it until the loop has looked at the list.
 *
 * What it costs when idle: nothing. What it costs per busy turn: two readings of the clock, one
 * look at the devices, and one branch per kind of work.
 *
 * Everything a loop knows is in struct loop, reached through `here`: one more loop on another core
 * is one more struct. */
#include "kernel/core/loop.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/core/core_impl.h"
#include "kernel/platform.h"

struct poller {
    loop_poll_fn *fn;
    void *arg;
    u32 bits;
    bool again; /* stopped early, or has never run */
};
struct hook {
    void (*fn)(void *arg);
    void *arg;
};
struct post_list {
    struct loop_post *first, *last;
};

struct loop {
    u64 now_ns;
    struct post_list posts; /* from the loop itself */
    u32 raised;             /* bits kept for the next turn */
    bool again;             /* some poller has work left */
    bool running, stopping;
    u32 poller_count, hook_count;
    struct poller pollers[LOOP_POLLER_MAX];
    struct hook hooks[LOOP_HOOK_MAX];
    struct loop_stats stats;
    u64 stall_said_ns; /* when a stall was last logged */
    /* The longest turn of this span and of the one before: reading changes nothing, so that any
     * number of readers see the same, and a stall stays visible between two scrapes. */
    u64 lag_ns, lag_before_ns, lag_until_ns;
    /* Shared with the other threads. */
    struct platform_lock lock;
    struct post_list remote;
};
static struct loop boot_loop;
static struct loop *const here = &boot_loop;

#define SLOW_TURN_NS ((u64)LOOP_SLICE_US * 50 * NS_PER_US)
#define LAG_SPAN_NS (10 * NS_PER_S)
#define STALL_NS (250 * NS_PER_MS)     /* worth a line in the log ... */
#define STALL_SAY_NS (10 * NS_PER_S)   /* ... but not a flood of them */

void loop_init(void) {
    *here = (struct loop){0};
    here->now_ns = platform_clock_ns();
}

u64 loop_now_ns(void) { return here->now_ns; }
bool loop_running(void) { return here->running; }
void loop_stop(void) { here->stopping = true; }
void loop_raise(u32 wait_bits) { here->raised |= wait_bits; }

rc_t loop_poller_add(u32 wait_bits, loop_poll_fn *fn, void *arg) {
    if (here->poller_count == LOOP_POLLER_MAX) return RC_LIMIT;
    here->pollers[here->poller_count++] = (struct poller){fn, arg, wait_bits, true};
    here->again = true;
    return RC_OK;
}

rc_t loop_before_sleep_add(void (*fn)(void *arg), void *arg) {
    if (here->hook_count == LOOP_HOOK_MAX) return RC_LIMIT;
    here->hooks[here->hook_count++] = (struct hook){fn, arg};
    return RC_OK;
}

/* ---- Posts ----------------------------------------------------------------------------------- */

static void push(struct post_list *list, struct loop_post *post) {
    post->next = NULL;
    if (list->last) list->last->next = post;
    else list->first = post;
    list->last = post;
}

void loop_post(struct loop_post *post) {
    if (__atomic_exchange_n(&post->queued, true, __ATOMIC_ACQ_REL)) return;
    push(&here->posts, post);
}

void loop_post_from_any(struct loop_post *post) {
    if (__atomic_exchange_n(&post->queued, true, __ATOMIC_ACQ_REL)) return;
    platform_lock(&here->lock);
    bool was_empty = !here->remote.first;
    push(&here->remote, post);
    platform_unlock(&here->lock);
    if (was_empty) platform_loop_wake(); /* otherwise a wake is on its way already */
}

static void take_remote(void) {
    platform_lock(&here->lock);
    struct post_list taken = here->remote;
    here->remote = (struct post_list){0};
    platform_unlock(&here->lock);
    if (!taken.first) return;
    if (here->posts.last) here->posts.last->next = taken.first;
    else here->posts.first = taken.first;
    here->posts.last = taken.last;
}

static bool run_posts(void) {
    struct loop_post *post = here->posts.first;
    if (!post) return false;
    here->posts = (struct post_list){0};
    while (post) {
        struct loop_post *next = post->next; /* read first: fn may post it again or free it */
        void (*fn)(void *) = post->fn;
        void *arg = post->arg;
        __atomic_store_n(&post->queued, false, __ATOMIC_RELEASE);
        fn(arg);
        post = next;
    }
    return true;
}

/* ---- A turn ---------------------------------------------------------------------------------- */

static bool run_pollers(u32 bits) {
    bool any = false, again = false;
    for (u32 i = 0; i < here->poller_count; i++) {
        struct poller *p = &here->pollers[i];
        if (!(p->bits & bits) && !p->again) continue;
        p->again = p->fn(p->arg, p->bits & bits);
        again |= p->again;
        any = true;
    }
    here->again = again;
    return any;
}

static void turn_lag_span(u64 now_ns) {
    bool next = now_ns < here->lag_until_ns + LAG_SPAN_NS;
    here->lag_before_ns = next ? here->lag_ns : 0; /* slept through a whole span: all is old */
    here->lag_ns = 0;
    here->lag_until_ns = now_ns + LAG_SPAN_NS;
}

static void account(u64 busy_ns, u64 idle_ns) {
    struct loop_stats *s = &here->stats;
    s->turns++;
    s->busy_ns += busy_ns;
    s->idle_ns += idle_ns;
    if (here->now_ns >= here->lag_until_ns) turn_lag_span(here->now_ns);
    if (busy_ns > here->lag_ns) here->lag_ns = busy_ns;
}

static void note_slow(u64 busy_ns) {
    here->stats.slow_turns++;
    if (busy_ns < STALL_NS) return;
    if (here->stall_said_ns && here->now_ns - here->stall_said_ns < STALL_SAY_NS) return;
    here->stall_said_ns = here->now_ns;
    log_warn("loop", "a turn took too long", "ms=%llu",
             (unsigned long long)(busy_ns / NS_PER_MS));
}

/* Sleeps if there is nothing to run, then runs one turn; returns the clock at its end. */
static u64 turn(u64 before_ns) {
    bool runnable = here->again || here->raised || here->posts.first || fiber_any_ready();
    u32 bits = platform_wait(runnable ? 0 : timer_next_ns()) | here->raised;
    u64 start_ns = here->now_ns = platform_clock_ns();
    here->raised = 0;
    bool did = false;
    if (bits & WAIT_WAKE) take_remote();
    if (bits || here->again) did |= run_pollers(bits);
    did |= timer_run(start_ns);
    did |= run_posts();
    did |= fiber_run_ready();
    if (did)
        for (u32 i = 0; i < here->hook_count; i++) here->hooks[i].fn(here->hooks[i].arg);
    u64 end_ns = platform_clock_ns();
    account(end_ns - start_ns, start_ns - before_ns);
    if (end_ns - start_ns > SLOW_TURN_NS) note_slow(end_ns - start_ns);
    return end_ns;
}

void loop_run(void) {
    CHECK(!here->running);
    here->running = true;
    here->stopping = false;
    u64 at_ns = platform_clock_ns();
    while (!here->stopping) at_ns = turn(at_ns);
    here->running = false;
}

void loop_stats_get(struct loop_stats *out) {
    bool old = platform_clock_ns() >= here->lag_until_ns + LAG_SPAN_NS;
    *out = here->stats;
    out->lag_us_max = old ? 0 : MAX(here->lag_ns, here->lag_before_ns) / NS_PER_US;
}
