/* SPDX-License-Identifier: Apache-2.0 */
/* core_worker_test.c — Jobs: all run, off the loop, a full queue refuses, results come back on
 * the loop; with threads and, repeatably, with the simulated machine's workers. */
#include "kernel/core/worker.c"
#include "kernel/core/memory.h"
#include "kernel/core/timer.h"
#include "kernel/host/host_impl.h"
#include "kernel/host/sim.h"
#include "tests/test.h"

#define JOBS 3000u
static struct {
    struct job job;
    u32 thread, runs, dones;
} work[JOBS];
static u32 submitted, done_count;

static struct timer stopper;
static void stop(void *arg) {
    (void)arg;
    loop_stop();
}
static void run_for(u64 ms) {
    timer_init(&stopper, stop, NULL);
    EXPECT_OK(timer_start_after_ms(&stopper, ms));
    loop_run();
    timer_stop(&stopper);
}
static void simulate(u32 workers) {
    sim_start(&(struct sim_options){.seed = test_seed(), .worker_count = workers});
    memory_init(MIB(256));
    loop_init();
    EXPECT_OK(fiber_init(8));
    EXPECT_OK(worker_init());
    EXPECT_EQ(worker_count(), workers);
}

static void do_work(void *arg) {
    u32 i = (u32)(uintptr_t)arg;
    work[i].thread = platform_thread();
    work[i].runs++;
    volatile u32 spin = 0;
    for (u32 n = 0; n < 200; n++) spin = spin + n;
}
static void work_done(void *arg);
static void submit_more(void) {
    while (submitted < JOBS) {
        u32 i = submitted;
        work[i].job = (struct job){.fn = do_work, .done = work_done, .arg = (void *)(uintptr_t)i};
        if (worker_submit(&work[i].job)) return; /* full: more when one is done */
        submitted++;
    }
}
static void work_done(void *arg) {
    EXPECT_EQ(platform_thread(), 0);
    work[(uintptr_t)arg].dones++;
    if (++done_count == JOBS) loop_stop();
    submit_more();
}
static void check_all(void) {
    EXPECT_EQ(done_count, JOBS);
    for (u32 i = 0; i < JOBS; i++) {
        EXPECT_EQ(work[i].runs, 1);
        EXPECT_EQ(work[i].dones, 1);
        EXPECT(work[i].thread >= 1 && work[i].thread <= worker_count());
    }
}

TEST(every_job_runs_once_simulated) {
    simulate(2);
    memset(work, 0, sizeof work);
    submitted = done_count = 0;
    submit_more();
    EXPECT_EQ(submitted, JOB_QUEUE_MAX); /* nobody has run yet: the queue is full */
    EXPECT_EQ(worker_queue_length(), JOB_QUEUE_MAX);
    run_for(1000000);
    check_all();
    struct worker_stats s;
    worker_stats_get(&s);
    EXPECT_EQ(s.jobs, JOBS);
    EXPECT(s.refused >= 1);
    EXPECT_EQ(s.queue_peak, JOB_QUEUE_MAX);
    sim_stop();
}

static u32 finished, refused;
static void nothing(void *arg) { *(u32 *)arg += 1; }
static void asks(void *arg) {
    rc_t rc = worker_run(nothing, arg);
    if (rc == RC_LIMIT) refused++;
    else finished++;
}
static void fill_then_ask(void *arg) {
    static struct job filler[JOB_QUEUE_MAX];
    static u32 unused;
    for (u32 i = 0; i < JOB_QUEUE_MAX; i++) {
        filler[i] = (struct job){.fn = nothing, .done = nothing, .arg = &unused};
        EXPECT_OK(worker_submit(&filler[i]));
    }
    asks(arg);
}

TEST(a_fiber_waits_for_its_job_or_is_refused) {
    u32 count = 0;
    simulate(1);
    finished = refused = 0;
    for (int i = 0; i < 3; i++) EXPECT_OK(fiber_start("asks", asks, &count, NULL));
    run_for(1000);
    EXPECT_EQ(finished, 3);
    EXPECT_EQ(count, 3);
    EXPECT_OK(fiber_start("fill", fill_then_ask, &count, NULL));
    run_for(1000);
    EXPECT_EQ(refused, 1);
    EXPECT_EQ(count, 3); /* refused means: not done, and not later either */
    EXPECT_EQ(fiber_count(), 0);
    EXPECT_OK(worker_run(nothing, &count)); /* before the loop: in place */
    EXPECT_EQ(count, 4);
    sim_stop();
}

static u64 one_run(u64 seed) {
    u32 count = 0;
    sim_start(&(struct sim_options){.seed = seed, .worker_count = 2});
    loop_init();
    EXPECT_OK(fiber_init(8));
    EXPECT_OK(worker_init());
    for (int i = 0; i < 3; i++) EXPECT_OK(fiber_start("asks", asks, &count, NULL));
    run_for(1000);
    u64 hash = sim_trace_hash();
    sim_stop();
    return hash;
}
TEST(the_same_seed_is_the_same_run) {
    EXPECT_EQ(one_run(7), one_run(7));
    EXPECT(one_run(7) != one_run(8));
}

TEST(every_job_runs_once_on_threads) { /* last: threads stay */
    host_options.cpus = 4;
    host_wait_start();
    memory_init(MIB(256));
    loop_init();
    EXPECT_OK(fiber_init(4));
    EXPECT_OK(worker_init());
    memset(work, 0, sizeof work);
    submitted = done_count = 0;
    submit_more();
    run_for(20000);
    check_all();
    EXPECT_EQ(worker_queue_length(), 0);
}
