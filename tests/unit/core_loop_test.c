/* SPDX-License-Identifier: Apache-2.0 */
/* core_loop_test.c — Turns: who runs when, posts from the loop and from threads, statistics,
 * stopping. */
#include "kernel/core/loop.c"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/host/host_impl.h"
#include "kernel/host/sim.h"
#include "tests/test.h"
#include <pthread.h>

static u32 polled, hooked, polled_bits;
static bool more_work;

static void begin(void) {
    sim_start(&(struct sim_options){.seed = test_seed()});
    memory_init(MIB(64));
    loop_init();
    polled = hooked = polled_bits = 0;
    more_work = false;
}

static bool poll_it(void *arg, u32 bits) {
    (void)arg;
    polled++;
    polled_bits |= bits;
    return more_work && polled < 5;
}
static void hook_it(void *arg) {
    (void)arg;
    hooked++;
}
static void stop(void *arg) {
    (void)arg;
    loop_stop();
}
static void stop_at(u64 ms, struct timer *t) {
    timer_init(t, stop, NULL);
    EXPECT_OK(timer_start_after_ms(t, ms));
}

TEST(a_poller_runs_at_start_and_for_its_bits_only) {
    struct timer t;
    begin();
    EXPECT_OK(loop_poller_add(WAIT_POWER, poll_it, NULL));
    EXPECT_OK(loop_before_sleep_add(hook_it, NULL));
    stop_at(10, &t);
    loop_run();
    EXPECT_EQ(polled, 1);
    EXPECT_EQ(polled_bits, 0);
    sim_power_button();
    stop_at(10, &t);
    loop_run();
    EXPECT_EQ(polled, 2);
    EXPECT_EQ(polled_bits, WAIT_POWER);
    platform_loop_wake(); /* another bit */
    stop_at(10, &t);
    loop_run();
    EXPECT_EQ(polled, 2);
    EXPECT(hooked >= 3);
    sim_stop();
}

TEST(a_poller_that_stopped_early_runs_again) {
    struct timer t;
    begin();
    more_work = true;
    EXPECT_OK(loop_poller_add(WAIT_NIC, poll_it, NULL));
    stop_at(10, &t);
    loop_run();
    EXPECT_EQ(polled, 5);
    sim_stop();
}

TEST(bits_taken_elsewhere_are_kept) {
    struct timer t;
    begin();
    EXPECT_OK(loop_poller_add(WAIT_DISK, poll_it, NULL));
    loop_raise(WAIT_DISK);
    stop_at(1, &t);
    loop_run();
    EXPECT_EQ(polled_bits, WAIT_DISK);
    sim_stop();
}

TEST(tables_are_bounded) {
    begin();
    for (u32 i = 0; i < LOOP_POLLER_MAX; i++) EXPECT_OK(loop_poller_add(WAIT_NIC, poll_it, NULL));
    EXPECT_RC(loop_poller_add(WAIT_NIC, poll_it, NULL), RC_LIMIT);
    for (u32 i = 0; i < LOOP_HOOK_MAX; i++) EXPECT_OK(loop_before_sleep_add(hook_it, NULL));
    EXPECT_RC(loop_before_sleep_add(hook_it, NULL), RC_LIMIT);
    sim_stop();
}

static struct loop_post post_a, post_b;
static u32 a_runs, b_runs, turns_at_b;
static void run_a(void *arg) {
    (void)arg;
    a_runs++;
    if (a_runs < 3) loop_post(&post_a); /* itself again: next turn */
    loop_post(&post_b);
    loop_post(&post_b); /* waiting already: once */
}
static void run_b(void *arg) {
    (void)arg;
    b_runs++;
    turns_at_b = (u32)here->stats.turns;
}

TEST(posts_run_once_each_and_in_later_turns) {
    struct timer t;
    begin();
    a_runs = b_runs = 0;
    post_a = (struct loop_post){.fn = run_a};
    post_b = (struct loop_post){.fn = run_b};
    loop_post(&post_a);
    loop_post(&post_a);
    stop_at(5, &t);
    loop_run();
    EXPECT_EQ(a_runs, 3);
    EXPECT_EQ(b_runs, 2); /* the second was asked for while it was waiting */
    EXPECT(turns_at_b >= 2);
    sim_stop();
}

#define THREADS 3
#define POSTS 2000
static struct loop_post posts[THREADS][POSTS];
static u32 seen;
static void count(void *arg) {
    (void)arg;
    if (++seen == THREADS * POSTS) loop_stop();
}
static void *poster(void *arg) {
    struct loop_post *mine = arg;
    for (u32 i = 0; i < POSTS; i++) {
        mine[i] = (struct loop_post){.fn = count};
        loop_post_from_any(&mine[i]);
        loop_post_from_any(&mine[i]);
    }
    return NULL;
}

TEST(posts_from_threads_all_arrive) { /* on the real machine: a lost wake would hang */
    pthread_t threads[THREADS];
    host_wait_start();
    loop_init();
    seen = 0;
    for (u32 i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, poster, posts[i]);
    struct timer give_up;
    stop_at(20000, &give_up);
    loop_run();
    timer_stop(&give_up);
    for (u32 i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    /* A second post may find the first one done and count again. */
    EXPECT(seen >= THREADS * POSTS);
}

static void be_slow(void *arg) {
    u64 until = platform_clock_ns() + (u64)(uintptr_t)arg;
    while (platform_clock_ns() < until) {}
}

TEST(slow_turns_are_noticed) {
    struct loop_stats s;
    struct timer t, slow;
    loop_init();
    timer_init(&slow, be_slow, (void *)(uintptr_t)(300 * NS_PER_MS));
    EXPECT_OK(timer_start_after_ms(&slow, 1));
    stop_at(400, &t);
    u64 line = log_next_seq();
    loop_run();
    loop_stats_get(&s);
    EXPECT(s.slow_turns >= 1);
    EXPECT(s.lag_us_max >= 300000);
    EXPECT(s.busy_ns >= 300 * NS_PER_MS);
    EXPECT(s.idle_ns > 0);
    EXPECT(log_next_seq() > line);
    loop_stats_get(&s);
    EXPECT(s.lag_us_max >= 300000); /* reading changes nothing */
}

TEST(the_longest_turn_is_forgotten_in_time) {
    struct loop_stats s;
    struct timer t;
    begin();
    account(7 * NS_PER_MS, 0);
    for (u32 second = 1; second < 10; second++) {
        stop_at(1000, &t);
        loop_run();
        loop_stats_get(&s);
        EXPECT_EQ(s.lag_us_max, 7000);
    }
    stop_at(5000, &t); /* in the span before by now */
    loop_run();
    loop_stats_get(&s);
    EXPECT_EQ(s.lag_us_max, 7000);
    stop_at(30000, &t);
    loop_run();
    loop_stats_get(&s);
    EXPECT(s.lag_us_max < 1000);
    sim_stop();
}

static void sleep_for_ever(void *arg) {
    (void)arg;
    begin();
    loop_run();
}
TEST(the_simulated_machine_finds_a_loop_that_sleeps_for_ever) {
    EXPECT_PANIC(sleep_for_ever, NULL, "lost wake");
}
