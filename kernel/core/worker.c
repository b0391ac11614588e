/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c — CPU-bound work off the loop.
 *
 *   loop: submit -> [ waiting, bounded ] -> a worker: fn(arg) -> [ finished ] -> loop: done(arg)
 *
 * Always true, under the lock: waiting <= JOB_QUEUE_MAX; a worker's bit in `idle` is set exactly
 * while it found nothing to do and goes to park, so whoever adds a job knows whom to wake. A wake
 * that comes before the park is kept by platform_worker_park.
 *
 * A job belongs to its worker from the moment it is taken until `done` runs on the loop. */
#include "kernel/core/worker.h"
#include "kernel/base/limits.h"
#include "kernel/core/core_impl.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/platform.h"

struct job_list {
    struct job *first, *last;
};
struct worker_pool {
    struct platform_lock lock;
    struct job_list waiting, finished;
    u32 waiting_count, idle;
    struct worker_stats stats;
    u32 count;
    struct loop_post finish;      /* runs the done() of what has finished */
    struct job *current[1 + WORKER_MAX]; /* by platform_thread(); written by that worker only */
};
static struct worker_pool boot_pool;
static struct worker_pool *const pool = &boot_pool;

static void push(struct job_list *list, struct job *job) {
    job->next = NULL;
    if (list->last) list->last->next = job;
    else list->first = job;
    list->last = job;
}

static struct job *pop(struct job_list *list) {
    struct job *job = list->first;
    if (!job) return NULL;
    list->first = job->next;
    if (!list->first) list->last = NULL;
    return job;
}

/* ---- On the workers -------------------------------------------------------------------------- */

/* The next job, or NULL with the worker's idle bit set. */
static struct job *take(u32 worker) {
    platform_lock(&pool->lock);
    struct job *job = pop(&pool->waiting);
    if (job) pool->waiting_count--;
    else pool->idle |= 1u << worker;
    platform_unlock(&pool->lock);
    return job;
}

static void finish(struct job *job, u64 busy_ns) {
    platform_lock(&pool->lock);
    push(&pool->finished, job);
    pool->stats.busy_ns += busy_ns;
    platform_unlock(&pool->lock);
    loop_post_from_any(&pool->finish);
}

static void worker_main(void *arg) {
    u32 worker = (u32)(uintptr_t)arg, thread = platform_thread();
    CHECK(thread == worker + 1);
    for (;;) {
        struct job *job = take(worker);
        if (!job) {
            platform_worker_park(worker);
            continue;
        }
        u64 start_ns = platform_clock_ns();
        pool->current[thread] = job;
        job->fn(job->arg);
        pool->current[thread] = NULL;
        finish(job, platform_clock_ns() - start_ns);
    }
}

str worker_request_id(u32 thread) {
    struct job *job = thread <= WORKER_MAX ? pool->current[thread] : NULL;
    return job ? job->request_id : (str){NULL, 0};
}

/* ---- On the loop ----------------------------------------------------------------------------- */

static void run_finished(void *unused) {
    (void)unused;
    platform_lock(&pool->lock);
    struct job_list done = pool->finished;
    pool->finished = (struct job_list){0};
    platform_unlock(&pool->lock);
    for (struct job *job; (job = pop(&done));) job->done(job->arg);
}

rc_t worker_init(void) {
    *pool = (struct worker_pool){0};
    pool->count = MIN(platform_worker_count(), (u32)WORKER_MAX);
    pool->finish = (struct loop_post){.fn = run_finished};
    for (u32 i = 0; i < pool->count; i++) {
        rc_t rc = platform_worker_start(i, worker_main, (void *)(uintptr_t)i);
        if (rc) return rc;
    }
    return RC_OK;
}

static rc_t submit(struct job *job) {
    CHECK(job->fn && job->done);
    platform_lock(&pool->lock);
    if (pool->waiting_count >= JOB_QUEUE_MAX) {
        pool->stats.refused++;
        platform_unlock(&pool->lock);
        return RC_LIMIT;
    }
    push(&pool->waiting, job);
    pool->stats.jobs++;
    pool->waiting_count++;
    pool->stats.queue_peak = MAX(pool->stats.queue_peak, pool->waiting_count);
    u32 idle = pool->idle, first = idle ? (u32)__builtin_ctz(idle) : 0;
    pool->idle &= ~(1u << first);
    platform_unlock(&pool->lock);
    if (idle) platform_worker_wake(first);
    return RC_OK;
}

rc_t worker_submit(struct job *job) {
    job->request_id = (str){NULL, 0};
    return submit(job);
}

/* A job on the stack of the fiber that waits for it. */
struct parked_run {
    struct job job;
    void (*fn)(void *arg);
    void *arg;
    struct fiber *fiber;
    bool finished;
};

static void run_call(void *arg) {
    struct parked_run *run = arg;
    run->fn(run->arg);
}

static void run_done(void *arg) {
    struct parked_run *run = arg;
    run->finished = true;
    fiber_wake(run->fiber);
}

rc_t worker_run(void (*fn)(void *arg), void *arg) {
    if (!fiber_inside()) {
        CHECK(!loop_running()); /* on the loop it would stop everybody */
        fn(arg);
        return RC_OK;
    }
    struct parked_run run = {.fn = fn, .arg = arg, .fiber = fiber_self()};
    run.job = (struct job){
        .fn = run_call, .done = run_done, .arg = &run, .request_id = fiber_request_id()};
    rc_t rc = submit(&run.job);
    if (rc) return rc;
    while (!run.finished) {
        rc = fiber_park(UINT64_MAX);
        CHECK(!rc); /* without a deadline it only ever wakes */
    }
    return RC_OK;
}

u32 worker_count(void) { return pool->count; }

u32 worker_queue_length(void) {
    platform_lock(&pool->lock);
    u32 n = pool->waiting_count;
    platform_unlock(&pool->lock);
    return n;
}

void worker_stats_get(struct worker_stats *out) {
    platform_lock(&pool->lock);
    *out = pool->stats;
    platform_unlock(&pool->lock);
}
