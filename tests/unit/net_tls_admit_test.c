/* SPDX-License-Identifier: Apache-2.0 */
/* net_tls_admit_test.c — whose handshake is worked on: what is begun comes first, the rest in
 * order; what is too late, too much or stalled is dropped before it costs anything; and the sum
 * of it: far more clients than there is time for, and those served are as many as the workers
 * can do. */
#include "net/tls_admit.c"
#include "kernel/core/fiber.h"
#include "kernel/host/sim.h"
#include "tests/test.h"

#define DEADLINE_NS (10 * NS_PER_S)

struct fake {
    struct tls_turn turn;
    u32 id, steps;
    rc_t why;
    bool refuses; /* its step finds no memory */
};
static struct fake fakes[3000];
static u32 begun[8000], begun_count;

static bool fake_step(struct tls_turn *t) {
    struct fake *f = CONTAINER_OF(t, struct fake, turn);
    if (f->refuses) {
        tls_turn_end(t, false);
        return false;
    }
    f->steps++;
    begun[begun_count++ % ARRAY_LEN(begun)] = f->id;
    return true;
}
static void fake_shed(struct tls_turn *t, rc_t why) {
    CONTAINER_OF(t, struct fake, turn)->why = why;
    tls_turn_end(t, false);
}
static const struct tls_turn_calls fake_calls = {fake_step, fake_shed};

static void stop(void *arg) {
    (void)arg;
    loop_stop();
}
static void run_ms(u64 ms) {
    struct timer t;
    timer_init(&t, stop, NULL);
    EXPECT_OK(timer_start_after_ms(&t, ms));
    loop_run();
}

static void begin_test(void) {
    static bool again;
    if (again) {
        run_ms(60000);
        EXPECT(!silent.first && !waiting.first && !answering.first && !continuing.first);
        EXPECT_EQ(started, 0);
        EXPECT_EQ(steps, 0);
    } else {
        sim_start(&(struct sim_options){.seed = test_seed(), .worker_count = 1});
        memory_init(MIB(64));
        loop_init();
        EXPECT_OK(fiber_init(2));
        EXPECT_OK(worker_init());
    }
    again = true;
    cost_ns = 0;
    begun_count = 0;
    tls_counters = (struct tls_stats){0};
    memset(fakes, 0, sizeof fakes);
}

static struct tls_turn *arrive(u32 id) {
    fakes[id].id = id;
    tls_turn_init(&fakes[id].turn, &fake_calls, platform_clock_ns() + DEADLINE_NS);
    return &fakes[id].turn;
}
static void finish(u32 id) {
    tls_turn_done(&fakes[id].turn, NS_PER_MS);
    tls_turn_end(&fakes[id].turn, true);
}

TEST(in_the_order_they_came_and_few_at_a_time) {
    begin_test();
    for (u32 i = 0; i < 6; i++) EXPECT_OK(tls_turn_ask(arrive(i)));
    EXPECT_EQ(begun_count, 0); /* not inside the call */
    run_ms(1);
    EXPECT_EQ(begun_count, STEPS_PER_WORKER);
    for (u32 i = 0; i < 6; i++) {
        finish(i);
        run_ms(1);
    }
    for (u32 i = 0; i < 6; i++) EXPECT_EQ(begun[i], i);
    EXPECT_EQ(tls_counters.started, 6);
    EXPECT_EQ(tls_counters.shed, 0);
}

TEST(what_is_begun_goes_before_what_is_not) {
    begin_test();
    for (u32 i = 0; i < 5; i++) EXPECT_OK(tls_turn_ask(arrive(i)));
    run_ms(1);
    tls_turn_done(&fakes[0].turn, NS_PER_MS);
    tls_turn_done(&fakes[1].turn, NS_PER_MS);
    EXPECT_OK(tls_turn_ask(&fakes[1].turn)); /* the second client answers at once */
    EXPECT_OK(tls_turn_ask(&fakes[1].turn)); /* and more of it comes */
    run_ms(1);
    EXPECT_EQ(begun[2], 1);
    EXPECT_EQ(begun[3], 2);
    EXPECT_EQ(begun_count, 4);
    EXPECT_OK(tls_turn_ask(&fakes[1].turn)); /* bytes while its step runs: it is asked for later */
    finish(1);
    finish(2);
    EXPECT_OK(tls_turn_ask(&fakes[0].turn));
    run_ms(1);
    EXPECT_EQ(begun[4], 0);
    EXPECT_EQ(begun[5], 3);
    finish(0);
    finish(3);
    run_ms(1);
    finish(4);
}

TEST(a_waiter_leaves_from_anywhere_in_the_line) {
    begin_test();
    for (u32 i = 0; i < 7; i++) EXPECT_OK(tls_turn_ask(arrive(i)));
    run_ms(1);
    tls_turn_end(&fakes[2].turn, false); /* first of those that wait, one inside, the last */
    tls_turn_end(&fakes[4].turn, false);
    tls_turn_end(&fakes[6].turn, false);
    tls_turn_end(&fakes[6].turn, false); /* said again */
    struct tls_stats s;
    tls_admit_stats(&s);
    EXPECT_EQ(s.waiting, 2);
    EXPECT_EQ(s.in_progress, 2);
    finish(0);
    finish(1);
    run_ms(1);
    EXPECT_EQ(begun[2], 3);
    EXPECT_EQ(begun[3], 5);
    finish(3);
    finish(5);
}

TEST(too_late_is_dropped_instead_of_begun) {
    begin_test();
    for (u32 i = 0; i < 4; i++) EXPECT_OK(tls_turn_ask(arrive(i)));
    run_ms(1);
    run_ms(DEADLINE_NS / NS_PER_MS - ANSWER_NS / NS_PER_MS);
    EXPECT_OK(tls_turn_ask(arrive(4)));
    finish(0);
    run_ms(1);
    EXPECT_EQ(fakes[2].why, RC_TIMEOUT);
    EXPECT_EQ(fakes[3].why, RC_TIMEOUT);
    EXPECT_EQ(fakes[2].steps + fakes[3].steps, 0);
    EXPECT_EQ(begun[2], 4);
    EXPECT_EQ(tls_counters.shed, 2);
    finish(1);
    finish(4);
}

TEST(no_more_wait_than_there_is_room_for) {
    begin_test();
    static struct fake many[TLS_WAITING_MAX + 1];
    for (u32 i = 0; i <= TLS_WAITING_MAX; i++) {
        tls_turn_init(&many[i].turn, &fake_calls, platform_clock_ns() + DEADLINE_NS);
        EXPECT_RC(tls_turn_ask(&many[i].turn), i < TLS_WAITING_MAX ? RC_OK : RC_LIMIT);
    }
    EXPECT_EQ(tls_counters.shed, 1);
    for (u32 i = 0; i <= TLS_WAITING_MAX; i++) tls_turn_end(&many[i].turn, false);
}

/* Every place is taken by a client that says hello and then nothing. */
TEST(the_silent_make_room_for_those_who_wait) {
    begin_test();
    u32 max = started_max();
    for (u32 i = 0; i < max + 3; i++) EXPECT_OK(tls_turn_ask(arrive(i)));
    for (u32 i = 0; i < max; i++) {
        run_ms(1);
        tls_turn_done(&fakes[i].turn, NS_PER_MS);
    }
    run_ms(1);
    EXPECT_EQ(begun_count, max);
    EXPECT_EQ(tls_counters.shed, 0);
    run_ms(STALLED_NS / NS_PER_MS);
    EXPECT_EQ(fakes[0].why, RC_TIMEOUT); /* the one that has been silent longest */
    EXPECT_EQ(fakes[1].why, RC_TIMEOUT);
    EXPECT_EQ(begun_count, max + STEPS_PER_WORKER);
    EXPECT_EQ(begun[max], max);
    finish(max);
    finish(max + 1);
    run_ms(1);
    EXPECT_EQ(begun[max + 2], max + 2);
    finish(max + 2);
    for (u32 i = 2; i < max; i++) tls_turn_end(&fakes[i].turn, false);
    EXPECT_EQ(tls_counters.shed, 2);
}

TEST(without_memory_they_wait_for_it) {
    begin_test();
    struct memory_use use;
    memory_use_get(MEMORY_TLS, &use);
    size_t all = use.limit - use.used - SESSION_BYTES / 2;
    EXPECT(memory_charge(MEMORY_TLS, all));
    EXPECT_OK(tls_turn_ask(arrive(0)));
    run_ms(50);
    EXPECT_EQ(begun_count, 0);
    memory_refund(MEMORY_TLS, all);
    tls_admit_again();
    run_ms(1);
    EXPECT_EQ(begun_count, 1);
    finish(0);
}

TEST(a_step_that_cannot_be_taken_holds_up_nobody) {
    begin_test();
    for (u32 i = 0; i < 6; i++) EXPECT_OK(tls_turn_ask(arrive(i)));
    for (u32 i = 0; i < 4; i++) fakes[i].refuses = true;
    run_ms(1);
    EXPECT_EQ(begun_count, 2);
    EXPECT_EQ(started, 2);
    finish(4);
    finish(5);
}

TEST(who_has_said_nothing_for_long_can_go) {
    begin_test();
    EXPECT(tls_admit_silent() == NULL);
    struct tls_turn *first = arrive(0);
    (void)arrive(1);
    EXPECT(tls_admit_silent() == NULL); /* it has only just come */
    run_ms(STALLED_NS / NS_PER_MS);
    EXPECT(tls_admit_silent() == first);
    EXPECT_OK(tls_turn_ask(first));
    EXPECT(tls_admit_silent() == &fakes[1].turn);
    run_ms(1);
    finish(0);
    tls_turn_end(&fakes[1].turn, false);
}

/* ---- Overload -----------------------------------------------------------------------------------
 *
 * A worker that needs 40 ms for a handshake (30 for the first step), clients that answer after 20,
 * and leave after PATIENCE_MS. */

#define CLIENTS 1000u
#define FIRST_MS 30u
#define SECOND_MS 10u
#define ANSWER_MS 20u
#define PATIENCE_MS 10000u

static u32 in_time;
static struct fake *at_worker[64];
static u32 at_worker_count;

static bool queued_step(struct tls_turn *t) {
    CHECK(at_worker_count < ARRAY_LEN(at_worker));
    at_worker[at_worker_count++] = CONTAINER_OF(t, struct fake, turn);
    return true;
}
static const struct tls_turn_calls overload_calls = {queued_step, fake_shed};

static void answer(void *arg) {
    struct fake *f = arg;
    if (f->turn.started) EXPECT_OK(tls_turn_ask(&f->turn));
}

static void work_once(void) {
    struct fake *f = at_worker[0];
    u32 ms = f->steps ? SECOND_MS : FIRST_MS;
    at_worker_count--;
    memmove(at_worker, at_worker + 1, at_worker_count * sizeof *at_worker);
    run_ms(ms);
    tls_turn_done(&f->turn, ms * NS_PER_MS);
    if (f->steps++) {
        if (platform_clock_ns() < f->turn.deadline_ns) in_time++;
        tls_turn_end(&f->turn, true);
        return;
    }
    static struct timer timers[CLIENTS];
    struct timer *t = &timers[f->id];
    timer_init(t, answer, f);
    EXPECT_OK(timer_start_after_ms(t, ANSWER_MS));
}

TEST(a_thousand_at_once_get_what_the_machine_can_do) {
    begin_test();
    in_time = 0;
    u64 began_ns = platform_clock_ns();
    u32 came = 0;
    for (u32 i = 0; i < MIN(CLIENTS, (u32)TLS_WAITING_MAX); i++, came++) {
        fakes[i].id = i;
        tls_turn_init(&fakes[i].turn, &overload_calls, began_ns + PATIENCE_MS * NS_PER_MS);
        EXPECT_OK(tls_turn_ask(&fakes[i].turn));
    }
    while (platform_clock_ns() < began_ns + 2 * PATIENCE_MS * NS_PER_MS) {
        if (at_worker_count) work_once();
        else run_ms(1);
    }
    u32 possible = MIN(came, PATIENCE_MS / (FIRST_MS + SECOND_MS));
    EXPECT(in_time >= possible * 9 / 10);
    EXPECT_EQ(in_time + tls_counters.shed, came);
    EXPECT_EQ(tls_counters.started, in_time); /* nothing was begun in vain */
}
