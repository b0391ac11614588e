/* SPDX-License-Identifier: Apache-2.0 */
/* core_fiber_test.c — Fibers: order, parking with and without deadlines, wakes early and late,
 * meeting points, an empty pool, what survives a switch, how deep stacks get. */
#include "kernel/core/fiber.c"
#include "kernel/core/worker.h"
#include "kernel/host/host_impl.h"
#include "kernel/host/sim.h"
#include "tests/test.h"
#include <pthread.h>
#include <xmmintrin.h>

static char trail[256];
static size_t trail_len;
static void mark(char c) {
    if (trail_len < sizeof trail - 1) trail[trail_len++] = c;
}

static void begin(u32 fibers) {
    sim_start(&(struct sim_options){.seed = test_seed()});
    memory_init(MIB(256));
    loop_init();
    EXPECT_OK(fiber_init(fibers));
    memset(trail, 0, sizeof trail);
    trail_len = 0;
}

static struct timer stopper;
static void stop(void *arg) {
    (void)arg;
    loop_stop();
}
/* Runs until every fiber has ended or a virtual minute has passed. */
static void run_all(void) {
    timer_init(&stopper, stop, NULL);
    for (u32 i = 0; i < 6000 && fiber_count(); i++) {
        EXPECT_OK(timer_start_after_ms(&stopper, 10));
        loop_run();
    }
    timer_stop(&stopper);
    EXPECT_EQ(fiber_count(), 0);
    sim_stop();
}

static void say_thrice(void *arg) {
    for (int i = 0; i < 3; i++) {
        mark((char)(uintptr_t)arg);
        fiber_yield();
    }
}

TEST(yield_goes_round) {
    begin(4);
    for (u64 c = 'a'; c <= 'c'; c++) EXPECT_OK(fiber_start("say", say_thrice, (void *)c, NULL));
    EXPECT_EQ(fiber_count(), 3);
    run_all();
    EXPECT_STR(str_from_c(trail), S("abcabcabc"));
    EXPECT_EQ(fiber_count_peak(), 3);
}

static void nap(void *arg) {
    u64 before = platform_clock_ns();
    fiber_sleep_ms((u64)(uintptr_t)arg);
    u64 took = platform_clock_ns() - before;
    EXPECT(took >= (u64)(uintptr_t)arg * NS_PER_MS);
    EXPECT(took < ((u64)(uintptr_t)arg + 2) * NS_PER_MS);
    mark((char)('0' + (uintptr_t)arg / 10));
}

TEST(sleeps_end_in_order_and_never_early) {
    begin(4);
    EXPECT_OK(fiber_start("nap", nap, (void *)30, NULL));
    EXPECT_OK(fiber_start("nap", nap, (void *)10, NULL));
    EXPECT_OK(fiber_start("nap", nap, (void *)20, NULL));
    run_all();
    EXPECT_STR(str_from_c(trail), S("123"));
}

static void quick(void *arg) { mark((char)(uintptr_t)arg); }

TEST(a_pool_that_is_empty_refuses_and_recovers) {
    begin(2);
    EXPECT_OK(fiber_start("a", quick, (void *)'a', NULL));
    EXPECT_OK(fiber_start("b", quick, (void *)'b', NULL));
    EXPECT_RC(fiber_start("c", quick, (void *)'c', NULL), RC_LIMIT);
    EXPECT_EQ(fiber_capacity(), 2);
    run_all();
    begin(2);
    for (u32 round = 0; round < 50; round++) { /* stacks are used again */
        EXPECT_OK(fiber_start("d", quick, (void *)'d', NULL));
        fiber_run_ready();
        EXPECT_EQ(fiber_count(), 0);
    }
    u32 stacks = 0;
    for (u32 i = 0; i < 2; i++) stacks += pool->all[i].stack != NULL;
    EXPECT_EQ(stacks, 1);
    EXPECT_STR(str_take(str_from_c(trail), 3), S("ddd"));
    run_all();
}

TEST(no_memory_for_a_stack_refuses) {
    begin(2);
    struct memory_use u;
    memory_use_get(MEMORY_FIBERS, &u);
    EXPECT(memory_charge(MEMORY_FIBERS, u.limit - u.used));
    EXPECT_RC(fiber_start("a", quick, NULL, NULL), RC_LIMIT);
    memory_refund(MEMORY_FIBERS, u.limit - u.used);
    EXPECT_OK(fiber_start("a", quick, (void *)'a', NULL));
    run_all();
    EXPECT_RC(fiber_init(0), RC_INVALID);
}

static struct fiber *sleeper;
static rc_t sleeper_rc;
static void park_for_ever(void *arg) {
    (void)arg;
    sleeper_rc = fiber_park(UINT64_MAX);
    mark('w');
}
static void park_ten_ms(void *arg) {
    (void)arg;
    sleeper_rc = fiber_park(platform_clock_ns() + 10 * NS_PER_MS);
    mark('t');
}
static void wake_it(void *arg) {
    fiber_sleep_ms((u64)(uintptr_t)arg);
    fiber_wake(sleeper);
    fiber_wake(sleeper); /* twice is once */
    mark('k');
}

TEST(wake_and_deadline_race_fairly) {
    begin(4);
    EXPECT_OK(fiber_start("park", park_for_ever, NULL, &sleeper));
    EXPECT_OK(fiber_start("wake", wake_it, (void *)5, NULL));
    run_all();
    EXPECT_RC(sleeper_rc, RC_OK);
    EXPECT_STR(str_from_c(trail), S("kw"));

    begin(4);
    EXPECT_OK(fiber_start("park", park_ten_ms, NULL, &sleeper));
    EXPECT_OK(fiber_start("wake", wake_it, (void *)20, NULL)); /* late: its fiber is free then */
    run_all();
    EXPECT_RC(sleeper_rc, RC_TIMEOUT);
    EXPECT_STR(str_from_c(trail), S("tk"));
}

static void wake_self_then_park(void *arg) {
    (void)arg;
    fiber_wake(fiber_self());
    EXPECT_OK(fiber_park(UINT64_MAX)); /* not lost */
    EXPECT_RC(fiber_park(platform_clock_ns()), RC_TIMEOUT); /* and used up */
    fiber_wake(fiber_self());
    fiber_sleep_ms(5); /* a sleep keeps what was meant for a park */
    EXPECT_OK(fiber_park(UINT64_MAX));
    mark('x');
}
TEST(a_wake_before_the_park_is_kept) {
    begin(2);
    EXPECT_OK(fiber_start("self", wake_self_then_park, NULL, NULL));
    run_all();
    EXPECT_STR(str_from_c(trail), S("x"));
}

/* ---- Meeting points -------------------------------------------------------------------------- */

static struct wait_queue queue;
static void wait_in_line(void *arg) {
    u64 ms = (u64)(uintptr_t)arg >> 8;
    rc_t rc = wait_queue_wait(&queue, ms ? platform_clock_ns() + ms * NS_PER_MS : UINT64_MAX);
    mark(rc == RC_OK ? (char)(uintptr_t)arg : '-');
}
static void call_them(void *arg) {
    (void)arg;
    fiber_sleep_ms(50);
    EXPECT_EQ(queue.count, 3);
    fiber_wake(queue.first); /* stray: nobody called it */
    fiber_sleep_ms(1);
    EXPECT_EQ(queue.count, 3);
    EXPECT(wait_queue_wake_one(&queue));
    fiber_yield();
    wait_queue_wake_all(&queue);
    EXPECT(!wait_queue_wake_one(&queue));
}

TEST(a_queue_is_first_come_first_served) {
    begin(8);
    queue = (struct wait_queue){0};
    EXPECT_OK(fiber_start("q", wait_in_line, (void *)(u64)'a', NULL));
    EXPECT_OK(fiber_start("q", wait_in_line, (void *)(10ull << 8 | 'b'), NULL)); /* gives up */
    EXPECT_OK(fiber_start("q", wait_in_line, (void *)(u64)'c', NULL));
    EXPECT_OK(fiber_start("q", wait_in_line, (void *)(5000ull << 8 | 'd'), NULL));
    EXPECT_OK(fiber_start("caller", call_them, NULL, NULL));
    run_all();
    EXPECT_STR(str_from_c(trail), S("-acd"));
    EXPECT_EQ(queue.count, 0);
    EXPECT(!queue.first && !queue.last);
}

static struct fiber_mutex mutex;
static u32 inside, inside_max;
static void use_mutex(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++) {
        EXPECT_OK(fiber_mutex_lock(&mutex, UINT64_MAX));
        inside++;
        if (inside > inside_max) inside_max = inside;
        fiber_sleep_ms(sim_random(3));
        inside--;
        fiber_mutex_unlock(&mutex);
        if (sim_random(2)) fiber_yield();
    }
}
static void hold_mutex(void *arg) {
    (void)arg;
    EXPECT_OK(fiber_mutex_lock(&mutex, UINT64_MAX));
    fiber_sleep_ms(100);
    fiber_mutex_unlock(&mutex);
}
static void fail_mutex(void *arg) {
    (void)arg;
    EXPECT_RC(fiber_mutex_lock(&mutex, platform_clock_ns() + 10 * NS_PER_MS), RC_TIMEOUT);
    EXPECT_OK(fiber_mutex_lock(&mutex, platform_clock_ns() + 200 * NS_PER_MS));
    fiber_mutex_unlock(&mutex);
    mark('m');
}

TEST(a_mutex_excludes) {
    begin(8);
    mutex = (struct fiber_mutex){0};
    inside_max = 0;
    for (int i = 0; i < 6; i++) EXPECT_OK(fiber_start("m", use_mutex, NULL, NULL));
    run_all();
    EXPECT_EQ(inside_max, 1);
    begin(8);
    EXPECT_OK(fiber_start("hold", hold_mutex, NULL, NULL));
    EXPECT_OK(fiber_start("fail", fail_mutex, NULL, NULL));
    run_all();
    EXPECT_STR(str_from_c(trail), S("m"));
    EXPECT(!mutex.owner);
}

/* ---- What belongs to a fiber ----------------------------------------------------------------- */

static str id_in_job;
static void job_looks(void *arg) {
    (void)arg;
    id_in_job = log_request_id();
}
static void has_things(void *arg) {
    EXPECT(fiber_local() == NULL); /* nothing left from the last one on this stack */
    EXPECT_EQ(fiber_request_id().len, 0);
    fiber_set_local(arg);
    fiber_set_request_id(S("01J-abc"));
    fiber_yield();
    EXPECT(fiber_local() == arg);
    EXPECT_STR(log_request_id(), S("01J-abc"));
    EXPECT_OK(worker_run(job_looks, NULL));
    EXPECT_STR(id_in_job, S("01J-abc"));
    EXPECT(fiber_inside());
}
TEST(request_id_and_local_stay_with_their_fiber) {
    begin(2);
    EXPECT_OK(worker_init());
    EXPECT_OK(fiber_start("one", has_things, (void *)1, NULL));
    EXPECT_OK(fiber_start("two", has_things, (void *)2, NULL));
    run_all();
    EXPECT(!fiber_inside());
    EXPECT(fiber_local() == NULL);
    EXPECT_EQ(log_request_id().len, 0);
    fiber_set_request_id(S("nobody"));
    EXPECT_EQ(log_request_id().len, 0);
}

static void rounding(void *arg) {
    u32 mine = (u32)(uintptr_t)arg;
    _mm_setcsr((_mm_getcsr() & ~0x6000u) | mine);
    for (int i = 0; i < 5; i++) {
        fiber_yield();
        EXPECT_EQ(_mm_getcsr() & 0x6000u, mine);
    }
}
TEST(rounding_modes_stay_with_their_fiber) {
    begin(4);
    u32 before = _mm_getcsr() & ~0x3Fu;
    for (u64 mode = 0; mode < 4; mode++)
        EXPECT_OK(fiber_start("round", rounding, (void *)(mode << 13), NULL));
    run_all();
    EXPECT_EQ(_mm_getcsr() & ~0x3Fu, before);
    begin(1); /* a stack is handed on as the ABI wants it... by whoever changed it */
    EXPECT_OK(fiber_start("round", quick, (void *)'r', NULL));
    run_all();
}

static u64 dig(u32 depth) {
    volatile char room[512];
    memset((char *)(uintptr_t)room, 1, sizeof room);
    return depth ? dig(depth - 1) + (u64)room[depth % sizeof room] : 0;
}
static void digs(void *arg) { EXPECT_EQ(dig((u32)(uintptr_t)arg), (u32)(uintptr_t)arg); }

TEST(the_high_water_mark_is_seen) {
    EXPECT_EQ(fiber_stack_peak_bytes(), 0);
    fiber_stack_paint();
    begin(2);
    EXPECT_OK(fiber_start("digs", digs, (void *)4, NULL));
    run_all();
    size_t little = fiber_stack_peak_bytes();
    EXPECT(little > 4 * 512 && little < STACK_BYTES / 2);
    begin(2);
    EXPECT_OK(fiber_start("digs", digs, (void *)40, NULL));
    run_all();
    EXPECT(fiber_stack_peak_bytes() >= little + 30 * 512);
    EXPECT(fiber_stack_peak_bytes() <= STACK_BYTES);
    pool->painted = false;
}

static u32 seen_count;
static void see(void *arg, const char *name, u64 parked_ns) {
    seen_count++;
    EXPECT_STR(str_from_c(name), S("park"));
    EXPECT(parked_ns <= (u64)(uintptr_t)arg);
}
static void look_around(void *arg) {
    (void)arg;
    fiber_sleep_ms(7);
    seen_count = 0;
    char here_on_my_stack;
    EXPECT_STR(str_from_c(fiber_name_at(&here_on_my_stack)), S("park"));
    EXPECT(fiber_name_at(pool->all[0].stack - 1) != NULL); /* its guard page */
    EXPECT(fiber_name_at(&seen_count) == NULL);
    fiber_each(see, (void *)(uintptr_t)(8 * NS_PER_MS));
    EXPECT_EQ(seen_count, 2);
    fiber_wake(sleeper);
}
TEST(each_fiber_can_be_seen) {
    begin(4);
    EXPECT_OK(fiber_start("park", park_for_ever, NULL, &sleeper));
    EXPECT_OK(fiber_start("park", look_around, NULL, NULL));
    run_all();
}

static void *wake_from_thread(void *arg) {
    fiber_wake_from_any(arg);
    return NULL;
}
static void wait_for_thread(void *arg) {
    (void)arg;
    pthread_t t;
    pthread_create(&t, NULL, wake_from_thread, fiber_self());
    EXPECT_OK(fiber_park(UINT64_MAX));
    pthread_join(t, NULL);
    loop_stop();
}
TEST(any_thread_can_wake) {
    host_wait_start();
    loop_init();
    EXPECT_OK(fiber_init(2));
    EXPECT_OK(fiber_start("wait", wait_for_thread, NULL, NULL));
    loop_run();
}

static void unlock_not_mine(void *arg) {
    (void)arg;
    begin(2);
    mutex = (struct fiber_mutex){.owner = (struct fiber *)8};
    fiber_mutex_unlock(&mutex);
}
static void park_outside(void *arg) {
    (void)arg;
    (void)fiber_park(0);
}
TEST(mistakes_are_caught) {
    EXPECT_PANIC(unlock_not_mine, NULL, "owner");
    EXPECT_PANIC(park_outside, NULL, "CHECK(f)");
}
