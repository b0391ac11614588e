/* SPDX-License-Identifier: Apache-2.0 */
/* tls_admit.c — who gets a worker for its handshake, and in which order.
 *
 *   accepted -> silent --first bytes--> waiting ---begin---> [ steps on workers ] --> over
 *                 |                       |                    ^           |
 *                 '-- oldest makes room   '-- too late: shed   |           v
 *                     when connections                      continuing <- answering
 *                     run out                                       client's bytes
 *
 * A full handshake costs a thousand times what a request does. A thousand begun at once and worked
 * off in turns would all end after the last of their clients has given up: every one paid for, none
 * of use. So few are in work at a time, and what is begun is finished first:
 *
 *   - at most STEPS_PER_WORKER steps per worker are handed out, so that other work for the workers
 *     (passwords) finds its place in their queue;
 *   - a client that answers goes before all that have not begun;
 *   - the others wait in the order they came, their hello unread and nothing of the TLS library
 *     allocated. One that cannot be over before its deadline is dropped instead of begun, which
 *     costs a reset and no arithmetic; so is one whose client has gone (tls_session.c sees that);
 *   - those begun are at most TLS_STARTED_MAX, and fewer on a small machine. When all are taken by
 *     clients that do not answer, the one silent longest makes room after STALLED_NS.
 *
 * Always true: a turn is in at most one line, in none while its step runs; `steps` counts those;
 * `started` counts turns whose `started` is set. Nobody is called from within tls_turn_*(): lines
 * are worked off in a post of their own, so a batch of frames is seen whole before anybody is
 * chosen, and an owner may end any turn at any time. */
#include "net/tls_impl.h"
#include "net/net_impl.h"
#include "kernel/base/limits.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

#define STEPS_PER_WORKER 2u            /* one in work, one ready behind it */
#define STALLED_NS NS_PER_S            /* unanswered for so long, a place may be taken away */
#define ANSWER_NS (250 * NS_PER_MS)    /* what a client's own half may take */
#define COST_NS_MAX NS_PER_S           /* a machine that was paused learns nothing from it */
#define SESSION_BYTES KIB(40)          /* a session in its handshake, arithmetic included */

static struct tls_line silent, waiting, answering, continuing;
static u32 steps, started;
static u64 cost_ns; /* of one handshake's steps: a moving average */
static struct timer stall_timer;

static void work_off(void *unused);
static struct loop_post work_post = {.fn = work_off};

/* ---- Lines ----------------------------------------------------------------------------------- */

static void leave(struct tls_turn *t) {
    struct tls_line *l = t->line;
    if (!l) return;
    if (t->prev) t->prev->next = t->next;
    else l->first = t->next;
    if (t->next) t->next->prev = t->prev;
    else l->last = t->prev;
    l->count--;
    t->line = NULL;
    t->prev = t->next = NULL;
}

static void join(struct tls_turn *t, struct tls_line *l) {
    leave(t);
    t->line = l;
    t->prev = l->last;
    if (l->last) l->last->next = t;
    else l->first = t;
    l->last = t;
    l->count++;
    t->since_ns = platform_clock_ns();
}

/* ---- Bounds ---------------------------------------------------------------------------------- */

/* Half of the budget may go to handshakes; the rest is for those who are through. */
static u32 started_max(void) {
    struct memory_use use;
    memory_use_get(MEMORY_TLS, &use);
    return (u32)MIN((size_t)TLS_STARTED_MAX, MAX(use.limit / 2 / SESSION_BYTES, (size_t)2));
}

/* Better to refuse one more now than to run out in the middle of those that are in work. */
static bool memory_for_one_more(void) {
    struct memory_use use;
    memory_use_get(MEMORY_TLS, &use);
    return use.used + SESSION_BYTES * (steps + 1) <= use.limit;
}

static bool too_late(const struct tls_turn *t) {
    return platform_clock_ns() + cost_ns + ANSWER_NS > t->deadline_ns;
}

static void shed(struct tls_turn *t, rc_t why) {
    tls_counters.shed++;
    t->calls->shed(t, why);
    CHECK(!t->line && !t->started);
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* A place among those begun, taken from the client that has been silent longest if need be. */
static bool place_found(void) {
    struct tls_turn *t = answering.first;
    if (started < started_max()) return true;
    if (!t) return false; /* all are in work: one will be over soon */
    u64 at_ns = t->since_ns + STALLED_NS;
    if (platform_clock_ns() < at_ns) {
        if (!stall_timer.fn) timer_init(&stall_timer, work_off, NULL);
        (void)timer_start(&stall_timer, at_ns);
        return false;
    }
    shed(t, RC_TIMEOUT);
    return started < started_max();
}

static struct tls_turn *next_waiter(void) {
    while (waiting.first && too_late(waiting.first)) shed(waiting.first, RC_TIMEOUT);
    /* What finds no place or no memory goes on waiting: a refusal would be back at once. */
    return waiting.first && place_found() && memory_for_one_more() ? waiting.first : NULL;
}

static void begin(struct tls_turn *t) {
    leave(t);
    if (!t->started) {
        t->started = true;
        started++;
        tls_counters.started++;
    }
    t->running = t->calls->step(t);
    if (t->running) steps++;
}

static void work_off(void *unused) {
    (void)unused;
    while (steps < STEPS_PER_WORKER * worker_count()) {
        struct tls_turn *t = continuing.first ? continuing.first : next_waiter();
        if (!t) break;
        begin(t);
    }
    stream_deliver();
}

/* ---- What sessions say ----------------------------------------------------------------------- */

void tls_turn_init(struct tls_turn *t, const struct tls_turn_calls *calls, u64 deadline_ns) {
    *t = (struct tls_turn){.calls = calls, .deadline_ns = deadline_ns};
    join(t, &silent);
}

rc_t tls_turn_ask(struct tls_turn *t) {
    if (t->running || t->line == &waiting || t->line == &continuing) return RC_OK;
    if (!t->started && waiting.count >= TLS_WAITING_MAX) {
        leave(t);
        tls_counters.shed++;
        return RC_LIMIT;
    }
    join(t, t->started ? &continuing : &waiting);
    loop_post(&work_post);
    return RC_OK;
}

void tls_turn_done(struct tls_turn *t, u64 busy_ns) {
    CHECK(t->running && steps > 0);
    t->running = false;
    t->busy_ns += busy_ns;
    steps--;
    join(t, &answering);
    loop_post(&work_post);
}

void tls_turn_end(struct tls_turn *t, bool finished) {
    CHECK(!t->running);
    leave(t);
    if (finished) {
        u64 sample_ns = MIN(t->busy_ns, COST_NS_MAX);
        cost_ns = cost_ns ? cost_ns - cost_ns / 8 + sample_ns / 8 : sample_ns;
    }
    if (t->started) started--;
    t->started = false;
    tls_admit_again();
}

void tls_admit_again(void) {
    if (waiting.first) loop_post(&work_post);
}

struct tls_turn *tls_admit_silent(void) {
    struct tls_turn *t = silent.first;
    return t && platform_clock_ns() - t->since_ns >= STALLED_NS ? t : NULL;
}

void tls_admit_stats(struct tls_stats *out) {
    out->waiting = waiting.count;
    out->in_progress = started;
}
