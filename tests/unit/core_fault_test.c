/* SPDX-License-Identifier: Apache-2.0 */
/* core_fault_test.c — the nth allocation finds no memory, for every n until the case passes
 * untouched, once and for ever: each time a clean refusal, nothing lost, nothing kept. */
#include "kernel/base/limits.h"
#include "kernel/core/console.h"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/host/sim.h"
#include "tests/test.h"

static u32 done_right, refused;
static u8 pattern[3 * 512] __attribute__((aligned(16)));

static void tally(rc_t rc) {
    if (rc) {
        EXPECT(rc == RC_NO_MEMORY || rc == RC_LIMIT);
        refused++;
    } else {
        done_right++;
    }
}

static void count(void *arg) { *(u32 *)arg += 1; }

/* What a request does: sleeps, works, writes and reads, aligned and not. */
static void request(void *arg) {
    u8 room[3 * 512 + 16] __attribute__((aligned(16)));
    u64 block = (u64)(uintptr_t)arg * 8;
    u32 worked = 0;
    fiber_sleep_ms(1 + block % 3);
    tally(worker_run(count, &worked));
    tally(disk_write(0, block, 3, pattern));
    rc_t rc = disk_read(0, block, 3, room + 1); /* through a bounce buffer, which needs memory */
    tally(rc);
    if (!rc) EXPECT(memcmp(room + 1, pattern, sizeof pattern) == 0);
    void *p = memory_alloc(MEMORY_REQUESTS, 1000);
    tally(p ? RC_OK : RC_NO_MEMORY);
    memory_free(MEMORY_REQUESTS, p);
}

static void stop(void *arg) {
    (void)arg;
    loop_stop();
}
static void run_until_idle(void) {
    struct timer stopper;
    timer_init(&stopper, stop, NULL);
    for (u32 i = 0; i < 200 && fiber_count(); i++) {
        if (timer_start_after_ms(&stopper, 10)) { /* no memory for the first timer: once more */
            EXPECT_OK(timer_start_after_ms(&stopper, 10));
        }
        loop_run();
    }
    timer_stop(&stopper);
    EXPECT_EQ(fiber_count(), 0);
}

static rc_t start_core(void) {
    rc_t rc;
    loop_init();
    if ((rc = fiber_init(8)) || (rc = worker_init()) || (rc = console_init())) return rc;
    return disk_init();
}

static size_t used_now(enum memory_budget b) {
    struct memory_use use;
    memory_use_get(b, &use);
    return use.used;
}

static u32 start_requests(void) {
    u32 started = 0;
    for (u64 i = 0; i < 4; i++)
        started += fiber_start("request", request, (void *)(uintptr_t)i, NULL) == RC_OK;
    return started;
}

/* While the core starts; true: the fault was never reached. */
static bool fail_at_start(u64 nth, bool for_ever) {
    sim_start(&(struct sim_options){.seed = nth, .disk_count = 1, .disk_bytes = MIB(1)});
    memory_init(MIB(256));
    memory_fault_set(nth, for_ever);
    rc_t rc = start_core();
    memory_fault_set(0, false);
    if (rc) EXPECT_RC(rc, RC_NO_MEMORY);
    EXPECT_OK(start_core()); /* nothing is in the way of the next try */
    sim_stop();
    return rc == RC_OK;
}

/* While requests run; true: the fault was never reached. */
static bool fail_at_work(u64 nth, bool for_ever) {
    sim_start(&(struct sim_options){.seed = nth, .disk_count = 1, .disk_bytes = MIB(1)});
    memory_init(MIB(256));
    EXPECT_OK(start_core());
    size_t before = used_now(MEMORY_REQUESTS);
    done_right = refused = 0;
    memory_fault_set(nth, for_ever);
    u32 started = start_requests();
    run_until_idle();
    memory_fault_set(0, false);
    EXPECT_EQ(done_right + refused, started * 4); /* every step was answered */
    EXPECT_EQ(used_now(MEMORY_REQUESTS), before);
    bool untouched = started == 4 && refused == 0;
    refused = 0;
    EXPECT_EQ(start_requests(), 4); /* afterwards all is as if nothing had been */
    run_until_idle();
    EXPECT_EQ(refused, 0);
    sim_stop();
    return untouched;
}

static void sweep(bool (*one_case)(u64 nth, bool for_ever)) {
    u64 n = 1;
    for (u32 i = 0; i < sizeof pattern; i++) pattern[i] = (u8)test_random();
    while (n < 200 && !one_case(n, false)) n++;
    EXPECT(n > 1 && n < 200); /* some were reached, or this proves nothing */
    for (u64 m = 1; m <= n; m++) (void)one_case(m, true);
}

TEST(every_allocation_may_fail_while_the_core_starts) { sweep(fail_at_start); }
TEST(every_allocation_may_fail_while_requests_run) { sweep(fail_at_work); }
