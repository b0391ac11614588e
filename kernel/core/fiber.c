/* SPDX-License-Identifier: Apache-2.0 */
/* fiber.c — straight-line code that parks.
 *
 *                fiber_start            switch to it
 *      FREE ------------------> READY --------------> RUNNING
 *       ^                         ^                    |   |
 *       |                         +--- PARKED <--------+   |   wake or deadline: PARKED -> READY
 *       +--------------------------------------------------+   fn returned
 *
 * Always true: at most one fiber is RUNNING, and then the loop waits in run_one() for it; a fiber
 * is in the ready list exactly when it is READY; a FREE fiber that once ran waits inside
 * fiber_main() on its own stack, so starting the next request there is one assignment and one
 * switch. A wake that finds its fiber RUNNING or READY is remembered for its next park.
 *
 * Stacks come from platform_stack (an unmapped page below each), on first use, and are never given
 * back; the most recently freed is used first, because its pages are in the cache. */
#include "kernel/core/fiber.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/base/panic.h"
#include "kernel/core/core_impl.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif
#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
/* Red zones around every variable: the stack the limit names, several times over. */
#define STACK_BYTES ((size_t)FIBER_STACK_BYTES * 4)
#else
#define STACK_BYTES ((size_t)FIBER_STACK_BYTES)
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

enum fiber_state { FIBER_FREE, FIBER_READY, FIBER_RUNNING, FIBER_PARKED };

struct fiber {
    void *sp; /* top of the saved stack while not running */
    enum fiber_state state;
    bool woken;     /* a wake came while it ran: the next park returns at once */
    bool timed_out; /* what ended the park */
    struct fiber *next;                     /* in the ready list or the free list */
    struct fiber *wait_before, *wait_after; /* in a wait queue */
    struct wait_queue *queue;               /* which one; NULL: none */
    void (*fn)(void *arg);
    void *arg;
    const char *name;
    str request_id;
    void *local;
    u64 parked_ns;
    struct timer timer;
    struct loop_post remote_wake;
    char *stack; /* lowest byte; NULL until first used */
#ifdef FIBER_ASAN
    void *fake_stack;
#endif
#ifdef __SANITIZE_THREAD__
    void *tsan;
#endif
};

struct fiber_list {
    struct fiber *first, *last;
};
struct fiber_pool {
    struct fiber *running; /* NULL: the loop itself */
    void *loop_sp;
    struct fiber_list ready;
    struct fiber *free;
    struct fiber *all;
    u32 capacity, in_use, ran_max;
    bool painted; /* fresh stacks are filled with a pattern, to measure their use */
#ifdef FIBER_ASAN
    const void *loop_bottom;
    size_t loop_bytes;
    void *loop_fake_stack;
#endif
#ifdef __SANITIZE_THREAD__
    void *loop_tsan;
#endif
};
static struct fiber_pool boot_pool;
static struct fiber_pool *const pool = &boot_pool;

#define PAINT 0xA5A5A5A5A5A5A5A5ull

/* ---- Switching ------------------------------------------------------------------------------- */

static void ready_push(struct fiber *f) {
    f->state = FIBER_READY;
    f->next = NULL;
    if (pool->ready.last) pool->ready.last->next = f;
    else pool->ready.first = f;
    pool->ready.last = f;
}

/* From a fiber to the loop. Returns when the loop runs this fiber again. */
static void switch_to_loop(struct fiber *f) {
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(&f->fake_stack, pool->loop_bottom, pool->loop_bytes);
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_switch_to_fiber(pool->loop_tsan, 0);
#endif
    fiber_switch(&f->sp, pool->loop_sp);
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(f->fake_stack, &pool->loop_bottom, &pool->loop_bytes);
#endif
}

/* From the loop to a fiber. Returns when it parks, yields or ends. */
static void run_one(struct fiber *f) {
    CHECK(f->state == FIBER_READY);
    f->state = FIBER_RUNNING;
    pool->running = f;
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(&pool->loop_fake_stack, f->stack, STACK_BYTES);
#endif
#ifdef __SANITIZE_THREAD__
    pool->loop_tsan = __tsan_get_current_fiber();
    if (!f->tsan) f->tsan = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(f->tsan, 0);
#endif
    fiber_switch(&pool->loop_sp, f->sp);
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(pool->loop_fake_stack, NULL, NULL);
#endif
    pool->running = NULL;
}

bool fiber_any_ready(void) { return pool->ready.first != NULL; }

bool fiber_run_ready(void) {
    if (!pool->ready.first) return false;
    for (u32 n = 0; n < FIBER_RUNS_PER_TURN && pool->ready.first; n++) {
        struct fiber *f = pool->ready.first;
        pool->ready.first = f->next;
        if (!f->next) pool->ready.last = NULL;
        run_one(f);
    }
    return true;
}

/* The bottom frame of every fiber: runs what it is given, one request after the other. */
static void fiber_main(void *arg) {
    struct fiber *f = arg;
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(NULL, &pool->loop_bottom, &pool->loop_bytes);
#endif
    for (;;) {
        f->fn(f->arg);
        CHECK(!f->queue);
        CHECK(!timer_waiting(&f->timer));
        f->state = FIBER_FREE;
        f->next = pool->free;
        pool->free = f;
        pool->in_use--;
        switch_to_loop(f);
    }
}

/* ---- Starting -------------------------------------------------------------------------------- */

static void on_deadline(void *arg) {
    struct fiber *f = arg;
    CHECK(f->state == FIBER_PARKED);
    f->timed_out = true;
    ready_push(f);
}

static void on_remote_wake(void *arg) { fiber_wake(arg); }

static str current_request_id(void) {
    u32 thread = platform_thread();
    if (thread) return worker_request_id(thread);
    return fiber_request_id();
}

rc_t fiber_init(u32 count) {
    CHECK(!pool->in_use);
    memory_free(MEMORY_FIBERS, pool->all);
    *pool = (struct fiber_pool){.painted = pool->painted};
    count = MIN(count, (u32)FIBER_MAX);
    if (count == 0) return RC_INVALID;
    pool->all = memory_zero(MEMORY_FIBERS, count * sizeof *pool->all);
    if (!pool->all) return RC_NO_MEMORY;
    pool->capacity = count;
    for (u32 i = count; i-- > 0;) {
        struct fiber *f = &pool->all[i];
        timer_init(&f->timer, on_deadline, f);
        f->remote_wake = (struct loop_post){.fn = on_remote_wake, .arg = f};
        f->next = pool->free;
        pool->free = f;
    }
    log_request_id = current_request_id;
    panic_stack_owner = fiber_name_at;
    return RC_OK;
}

/* What fiber_switch expects to find on a parked stack; the picture is in fiber_x86_64.S. */
static void *first_frame(char *stack, struct fiber *f) {
    u32 control[2] = {0x1F80, 0x037F}; /* mxcsr and x87 word as the ABI starts a program */
    u64 *top = (u64 *)(void *)(stack + STACK_BYTES);
    u64 *sp = top - 10; /* 8 words popped, and 16 bytes that stay: the ABI's alignment */
    memset(sp, 0, 10 * sizeof *sp);
    memcpy(&sp[0], control, sizeof control);
    sp[3] = (u64)(uintptr_t)f;          /* r13 */
    sp[4] = (u64)(uintptr_t)fiber_main; /* r12 */
    sp[7] = (u64)(uintptr_t)fiber_enter;
    return sp;
}

static rc_t give_stack(struct fiber *f) {
    if (!memory_charge(MEMORY_FIBERS, FIBER_STACK_BYTES)) return RC_LIMIT;
    f->stack = platform_stack(STACK_BYTES);
    if (!f->stack) {
        memory_refund(MEMORY_FIBERS, FIBER_STACK_BYTES);
        return RC_LIMIT;
    }
    CHECK(((uintptr_t)f->stack & 4095) == 0);
    if (pool->painted)
        for (u64 *p = (u64 *)(void *)f->stack; (char *)p < f->stack + STACK_BYTES; p++) *p = PAINT;
    f->sp = first_frame(f->stack, f);
    return RC_OK;
}

rc_t fiber_start(const char *name, void (*fn)(void *arg), void *arg, struct fiber **out) {
    struct fiber *f = pool->free;
    if (!f) return RC_LIMIT;
    if (!f->stack) {
        rc_t rc = give_stack(f);
        if (rc) return rc;
    }
    CHECK(f->state == FIBER_FREE);
    pool->free = f->next;
    pool->in_use++;
    if (pool->in_use > pool->ran_max) pool->ran_max = pool->in_use;
    f->name = name;
    f->fn = fn;
    f->arg = arg;
    f->local = NULL;
    f->request_id = (str){NULL, 0};
    f->woken = f->timed_out = false;
    f->parked_ns = loop_now_ns();
    ready_push(f);
    if (out) *out = f;
    return RC_OK;
}

/* ---- Parking and waking ---------------------------------------------------------------------- */

struct fiber *fiber_self(void) { return pool->running; }
bool fiber_inside(void) { return pool->running != NULL; }

void fiber_yield(void) {
    struct fiber *f = pool->running;
    CHECK(f);
    ready_push(f);
    switch_to_loop(f);
}

rc_t fiber_park(u64 deadline_ns) {
    struct fiber *f = pool->running;
    CHECK(f);
    if (f->woken) {
        f->woken = false;
        return RC_OK;
    }
    f->timed_out = false;
    if (deadline_ns != UINT64_MAX) {
        rc_t rc = timer_start(&f->timer, deadline_ns);
        if (rc) return rc;
    }
    f->parked_ns = loop_now_ns();
    f->state = FIBER_PARKED;
    switch_to_loop(f);
    timer_stop(&f->timer);
    f->woken = false;
    return f->timed_out ? RC_TIMEOUT : RC_OK;
}

void fiber_sleep_ms(u64 ms) {
    u64 ns, until;
    if (__builtin_mul_overflow(ms, NS_PER_MS, &ns)) ns = UINT64_MAX;
    if (__builtin_add_overflow(platform_clock_ns(), ns, &until)) until = UINT64_MAX;
    bool kept = false; /* a wake meant for a later park must survive the sleep */
    rc_t rc;
    while ((rc = fiber_park(until)) == RC_OK) kept = true;
    if (kept) pool->running->woken = true;
    if (rc == RC_LIMIT) /* no timer left: come back turn by turn, slower but never wrong */
        while (platform_clock_ns() < until) fiber_yield();
}

void fiber_wake(struct fiber *f) {
    if (f->state == FIBER_PARKED) {
        timer_stop(&f->timer);
        ready_push(f);
    } else if (f->state != FIBER_FREE) {
        f->woken = true;
    }
}

void fiber_wake_from_any(struct fiber *f) { loop_post_from_any(&f->remote_wake); }

/* ---- What is known about a fiber ------------------------------------------------------------- */

void fiber_set_request_id(str id) {
    if (pool->running) pool->running->request_id = id;
}
str fiber_request_id(void) { return pool->running ? pool->running->request_id : (str){NULL, 0}; }
void *fiber_local(void) { return pool->running ? pool->running->local : NULL; }
void fiber_set_local(void *p) {
    CHECK(pool->running);
    pool->running->local = p;
}

u32 fiber_count(void) { return pool->in_use; }
u32 fiber_count_peak(void) { return pool->ran_max; }
u32 fiber_capacity(void) { return pool->capacity; }

void fiber_each(void (*see)(void *arg, const char *name, u64 parked_ns), void *arg) {
    for (u32 i = 0; i < pool->capacity; i++) {
        struct fiber *f = &pool->all[i];
        if (f->state != FIBER_FREE)
            see(arg, f->name, f->state == FIBER_PARKED ? loop_now_ns() - f->parked_ns : 0);
    }
}

void fiber_stack_paint(void) { pool->painted = true; }

size_t fiber_stack_peak_bytes(void) {
    size_t peak = 0;
    if (!pool->painted) return 0;
    for (u32 i = 0; i < pool->capacity && pool->all[i].stack; i++) {
        const u64 *p = (const u64 *)(const void *)pool->all[i].stack;
        size_t words = STACK_BYTES / sizeof *p, clean = 0;
        while (clean < words && p[clean] == PAINT) clean++;
        peak = MAX(peak, (words - clean) * sizeof *p);
    }
    return peak;
}

/* Finds the fiber whose stack, or the guard page below it, holds `address`: for last words. */
const char *fiber_name_at(const void *address) {
    uintptr_t a = (uintptr_t)address;
    for (u32 i = 0; i < pool->capacity; i++) {
        uintptr_t low = (uintptr_t)pool->all[i].stack;
        if (low && a >= low - 4096 && a < low + STACK_BYTES) return pool->all[i].name;
    }
    return NULL;
}

/* ---- Meeting points -------------------------------------------------------------------------- */

static void leave_queue(struct fiber *f) {
    struct wait_queue *q = f->queue;
    if (f->wait_before) f->wait_before->wait_after = f->wait_after;
    else q->first = f->wait_after;
    if (f->wait_after) f->wait_after->wait_before = f->wait_before;
    else q->last = f->wait_before;
    q->count--;
    f->queue = NULL;
    f->wait_before = f->wait_after = NULL;
}

rc_t wait_queue_wait(struct wait_queue *q, u64 deadline_ns) {
    struct fiber *f = pool->running;
    CHECK(f);
    CHECK(!f->queue);
    f->queue = q;
    f->wait_before = q->last;
    f->wait_after = NULL;
    if (q->last) q->last->wait_after = f;
    else q->first = f;
    q->last = f;
    q->count++;
    rc_t rc = RC_OK;
    /* Only leaving the queue counts: a stray fiber_wake sends us round again. */
    while (f->queue && !rc) rc = fiber_park(deadline_ns);
    if (!f->queue) return RC_OK; /* called, perhaps in the very turn of the deadline */
    leave_queue(f);
    return rc;
}

bool wait_queue_wake_one(struct wait_queue *q) {
    struct fiber *f = q->first;
    if (!f) return false;
    leave_queue(f);
    if (f->state == FIBER_PARKED) fiber_wake(f); /* READY: its deadline came first; it will see */
    return true;
}

void wait_queue_wake_all(struct wait_queue *q) {
    while (wait_queue_wake_one(q)) {}
}

rc_t fiber_mutex_lock(struct fiber_mutex *m, u64 deadline_ns) {
    CHECK(pool->running);
    CHECK(m->owner != pool->running);
    if (!m->owner) {
        m->owner = pool->running;
        return RC_OK;
    }
    rc_t rc = wait_queue_wait(&m->waiting, deadline_ns);
    if (rc) return rc;
    CHECK(m->owner == pool->running); /* handed over by unlock: nobody slips in between */
    return RC_OK;
}

void fiber_mutex_unlock(struct fiber_mutex *m) {
    CHECK(m->owner == pool->running);
    m->owner = m->waiting.first;
    wait_queue_wake_one(&m->waiting);
}
