/* SPDX-License-Identifier: Apache-2.0 */
/* core_timer_test.c — Deadlines fire in order, once, never early; moving later is free; the heap
 * stays a heap. */
#include "kernel/core/timer.c"
#include "kernel/host/sim.h"
#include "tests/test.h"
#include <stdlib.h>

static u64 fired[4096];
static u32 fired_count;
static struct timer timers[2048];

static void note(void *arg) { fired[fired_count++] = (u64)(uintptr_t)arg; }

static void check_heap(void) {
    for (u32 i = 0; i < heap->count; i++) {
        struct entry *e = &heap->at[i];
        EXPECT_EQ(e->timer->slot, i + 1);
        EXPECT_EQ(e->timer->queued_ns, e->key_ns);
        EXPECT(e->key_ns <= e->timer->deadline_ns);
        if (i) EXPECT(heap->at[(i - 1) / 2].key_ns <= e->key_ns);
    }
}

static void begin(void) {
    fired_count = 0;
    for (u64 i = 0; i < ARRAY_LEN(timers); i++) timer_init(&timers[i], note, (void *)(uintptr_t)i);
}

TEST(fires_in_order_and_once) {
    begin();
    u64 at[] = {50, 10, 40, 20, 30};
    for (u32 i = 0; i < 5; i++) EXPECT_OK(timer_start(&timers[i], at[i]));
    EXPECT_EQ(timer_next_ns(), 10);
    EXPECT(!timer_run(9));
    EXPECT(timer_run(35));
    EXPECT_EQ(fired_count, 3);
    EXPECT_EQ(fired[0], 1);
    EXPECT_EQ(fired[1], 3);
    EXPECT_EQ(fired[2], 4);
    EXPECT(timer_run(UINT64_MAX - 1));
    EXPECT_EQ(fired_count, 5);
    EXPECT(!timer_run(UINT64_MAX - 1));
    EXPECT_EQ(timer_next_ns(), UINT64_MAX);
}

TEST(moving_later_keeps_the_key_and_fires_at_the_new_time) {
    begin();
    EXPECT_OK(timer_start(&timers[0], 10));
    EXPECT_OK(timer_start(&timers[0], 100));
    EXPECT_EQ(timer_next_ns(), 10); /* wakes early once */
    EXPECT(!timer_run(10));
    EXPECT_EQ(timer_next_ns(), 100);
    EXPECT(timer_waiting(&timers[0]));
    EXPECT(timer_run(100));
    EXPECT(!timer_waiting(&timers[0]));
}

TEST(moving_earlier_takes_effect_at_once) {
    begin();
    EXPECT_OK(timer_start(&timers[0], 100));
    EXPECT_OK(timer_start(&timers[1], 50));
    EXPECT_OK(timer_start(&timers[0], 20));
    EXPECT_EQ(timer_next_ns(), 20);
    EXPECT(timer_run(20));
    EXPECT_EQ(fired[0], 0);
    timer_stop(&timers[1]);
    timer_stop(&timers[1]); /* harmless */
    EXPECT(!timer_run(1000));
}

TEST(stays_a_heap_under_random_work) {
    begin();
    u64 now = 1;
    for (u32 step = 0; step < 20000; step++) {
        struct timer *t = &timers[test_random() % ARRAY_LEN(timers)];
        switch (test_random() % 4) {
        case 0:
        case 1: EXPECT_OK(timer_start(t, now + test_random() % 5000)); break;
        case 2: timer_stop(t); break;
        case 3:
            now += test_random() % 50;
            fired_count = 0;
            timer_run(now);
            for (u32 i = 0; i < fired_count; i++) EXPECT(timers[fired[i]].deadline_ns <= now);
            break;
        }
        if (step % 500 == 0) check_heap();
    }
    for (u32 i = 0; i < ARRAY_LEN(timers); i++) timer_stop(&timers[i]);
    EXPECT_EQ(heap->count, 0);
}

static struct timer again;
static u32 again_count;
static void start_again(void *arg) {
    again_count++;
    EXPECT_OK(timer_start(&again, (u64)(uintptr_t)arg));
}

TEST(a_timer_that_rearms_itself_for_now_does_not_hold_the_loop) {
    again_count = 0;
    timer_init(&again, start_again, (void *)5);
    EXPECT_OK(timer_start(&again, 5));
    EXPECT(timer_run(10));
    EXPECT_EQ(again_count, TIMER_RUN_MAX);
    timer_stop(&again);
}

TEST(refuses_more_than_the_limit) {
    struct timer *many = calloc(TIMER_MAX + 1, sizeof *many);
    REQUIRE(many);
    for (u32 i = 0; i < TIMER_MAX; i++) {
        timer_init(&many[i], note, NULL);
        EXPECT_OK(timer_start(&many[i], 1000 + i));
    }
    timer_init(&many[TIMER_MAX], note, NULL);
    EXPECT_RC(timer_start(&many[TIMER_MAX], 1), RC_LIMIT);
    EXPECT(!timer_waiting(&many[TIMER_MAX]));
    EXPECT_OK(timer_start(&many[0], 2)); /* those that wait can be moved all the same */
    check_heap();
    for (u32 i = 0; i < TIMER_MAX; i++) timer_stop(&many[i]);
    free(many);
}

TEST(refuses_when_memory_is_short) {
    struct memory_use use;
    memory_use_get(MEMORY_SERVICES, &use);
    while (heap->count < heap->room) {
        struct timer *t = malloc(sizeof *t);
        REQUIRE(t);
        timer_init(t, note, NULL);
        EXPECT_OK(timer_start(t, 1));
    }
    if (heap->room == TIMER_MAX) goto done; /* nothing more to grow */
    EXPECT(memory_charge(MEMORY_SERVICES, use.limit - use.used));
    struct timer one;
    timer_init(&one, note, NULL);
    EXPECT_RC(timer_start(&one, 1), RC_LIMIT);
    memory_refund(MEMORY_SERVICES, use.limit - use.used);
done:
    while (heap->count) {
        struct timer *t = heap->at[heap->count - 1].timer;
        timer_stop(t);
        free(t);
    }
}

TEST(far_deadlines_saturate) {
    sim_start(&(struct sim_options){.seed = 1});
    struct timer t;
    timer_init(&t, note, NULL);
    EXPECT_OK(timer_start_after_ms(&t, UINT64_MAX));
    EXPECT_EQ(t.deadline_ns, UINT64_MAX);
    EXPECT_OK(timer_start_after_ms(&t, 5));
    EXPECT_EQ(t.deadline_ns, platform_clock_ns() + 5 * NS_PER_MS);
    timer_stop(&t);
    sim_stop();
}
