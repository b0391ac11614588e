/* SPDX-License-Identifier: Apache-2.0 */
/* core_disk_test.c — disk calls: split, bounced, queued, polled before the loop; every error
 * reaches its caller. */
#include "kernel/core/disk.c"
#include "kernel/core/memory.h"
#include "kernel/core/timer.h"
#include "kernel/host/sim.h"
#include "tests/test.h"

static struct sim_options machine;
static void begin(void) {
    machine.seed = test_seed();
    if (!machine.disk_count) machine.disk_count = 1;
    machine.disk_bytes = MIB(4);
    sim_start(&machine);
    memory_init(MIB(256));
    loop_init();
    EXPECT_OK(fiber_init(8));
    EXPECT_OK(disk_init());
}
static struct timer stopper;
static void stop(void *arg) {
    (void)arg;
    loop_stop();
}
static void run(void (*fn)(void *), void *arg, u32 fibers) {
    for (u32 i = 0; i < fibers; i++)
        EXPECT_OK(fiber_start("test", fn, (char *)arg + i, NULL));
    timer_init(&stopper, stop, NULL);
    for (u32 i = 0; i < 10000 && fiber_count(); i++) {
        EXPECT_OK(timer_start_after_ms(&stopper, 10));
        loop_run();
    }
    timer_stop(&stopper);
    EXPECT_EQ(fiber_count(), 0);
}
static void end(void) {
    sim_stop();
    machine = (struct sim_options){0};
}

static u8 big[300 * 512 + 64] __attribute__((aligned(4096)));
static u8 back[sizeof big] __attribute__((aligned(4096)));
static void fill(u8 *to, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] = (u8)test_random();
}

/* Writes and reads 300 blocks, aligned by `arg` bytes off a page. */
static void there_and_back(void *arg) {
    size_t off = (size_t)(uintptr_t)arg;
    fill(big, sizeof big);
    memset(back, 0, sizeof back);
    EXPECT_OK(disk_write(0, 100, 300, big + off));
    EXPECT_OK(disk_flush(0));
    EXPECT_OK(disk_read(0, 100, 300, back + off));
    EXPECT(memcmp(big + off, back + off, 300 * 512) == 0);
}

TEST(large_and_unaligned_transfers_arrive_whole) {
    for (size_t off = 0; off <= 17; off += off ? 15 : 1) {
        machine.op_bytes_max = off == 16 ? 4096 : 0;
        begin();
        run(there_and_back, (void *)off, 1);
        EXPECT(memcmp(sim_disk_bytes(0) + 100 * 512, big + off, 300 * 512) == 0);
        struct disk_stats s;
        disk_stats_get(0, &s);
        EXPECT_EQ(s.bytes_written, 300 * 512);
        EXPECT_EQ(s.bytes_read, 300 * 512);
        EXPECT_EQ(s.flushes, 1);
        EXPECT_EQ(s.errors, 0);
        EXPECT_EQ(s.in_flight, 0);
        EXPECT(s.flush_ns_total > 0);
        EXPECT_EQ(s.writes, off == 16 ? 38 : 3);
        EXPECT_EQ(sim_disk_flush_count(0), 1);
        end();
    }
}

TEST(blocks_of_4096_work) {
    machine.block_bytes = 4096;
    begin();
    u8 *page = big;
    fill(page, 8192);
    EXPECT_OK(disk_write(0, 3, 2, page));
    EXPECT_OK(disk_read(0, 3, 2, back + 1));
    EXPECT(memcmp(page, back + 1, 8192) == 0);
    end();
}

TEST(before_the_loop_the_calls_poll) {
    begin();
    there_and_back((void *)0);
    there_and_back((void *)3);
    EXPECT_OK(disk_discard(0, 100, 300));
    EXPECT_EQ(sim_disk_bytes(0)[100 * 512], 0);
    end();
}

static u32 threads_done;
static void hammer(void *arg) {
    u8 mine[4 * 512] __attribute__((aligned(16))), read[4 * 512 + 1];
    u64 at = (u64)(uintptr_t)arg * 64;
    for (u32 i = 0; i < 40; i++) {
        memset(mine, (int)(i + at), sizeof mine);
        EXPECT_OK(disk_write(0, at + i % 8, 4, mine));
        if (i % 5 == 0) EXPECT_OK(disk_flush(0));
        EXPECT_OK(disk_read(0, at + i % 8, 4, read + i % 2));
        EXPECT(memcmp(mine, read + i % 2, sizeof mine) == 0);
    }
    threads_done++;
}

TEST(many_fibers_share_a_short_queue) {
    machine.queue_max = 2;
    begin();
    threads_done = 0;
    run(hammer, NULL, 8);
    EXPECT_EQ(threads_done, 8);
    EXPECT_EQ(disks->bounce_free, disks->bounce_made);
    EXPECT(disks->bounce_made <= BOUNCE_COUNT);
    end();
}

static void beyond(void *arg) {
    (void)arg;
    struct disk_info info;
    EXPECT_OK(disk_info_get(0, &info));
    EXPECT_EQ(info.block_count, MIB(4) / 512);
    u64 n = info.block_count;
    EXPECT_OK(disk_read(0, n - 1, 1, back));
    EXPECT_RC(disk_read(0, n, 1, back), RC_INVALID);
    EXPECT_RC(disk_read(0, n - 1, 2, back), RC_INVALID);
    EXPECT_RC(disk_write(0, UINT64_MAX, 1, back), RC_INVALID);
    EXPECT_RC(disk_write(0, 1, UINT32_MAX, back), RC_INVALID);
    EXPECT_RC(disk_discard(0, n, 1), RC_INVALID);
    EXPECT_OK(disk_read(0, n, 0, back));
    EXPECT_OK(disk_discard(0, 5, 0));
    EXPECT_RC(disk_read(1, 0, 1, back), RC_NOT_FOUND);
    EXPECT_RC(disk_write(7, 0, 1, back), RC_NOT_FOUND);
    EXPECT_RC(disk_flush(1), RC_NOT_FOUND);
    EXPECT_RC(disk_discard(1, 0, 1), RC_NOT_FOUND);
    EXPECT_RC(disk_info_get(1, &info), RC_NOT_FOUND);
    struct disk_stats s;
    disk_stats_get(1, &s);
    EXPECT_EQ(s.reads, 0);
}
TEST(what_is_beyond_the_end_is_refused) {
    begin();
    run(beyond, NULL, 1);
    end();
}

static void errors(void *arg) {
    (void)arg;
    sim_disk_fail(0, DISK_READ, 2, RC_IO, false);
    EXPECT_OK(disk_read(0, 0, 1, back));
    EXPECT_RC(disk_read(0, 0, 1, back), RC_IO);
    EXPECT_OK(disk_read(0, 0, 1, back));
    sim_disk_full(0, true);
    EXPECT_RC(disk_write(0, 0, 300, big), RC_FULL);
    EXPECT_RC(disk_write(0, 0, 300, big + 1), RC_FULL);
    sim_disk_full(0, false);
    EXPECT_OK(disk_write(0, 0, 1, big));
    sim_disk_fail(0, DISK_FLUSH, 1, RC_IO, true);
    EXPECT_RC(disk_flush(0), RC_IO);
    EXPECT_RC(disk_flush(0), RC_IO);
    sim_disk_fail(0, DISK_FLUSH, 0, RC_OK, false);
    EXPECT_OK(disk_flush(0));
    disk_fault_set(0, DISK_WRITE, 2, RC_FULL, false); /* our own switch: the device is not asked */
    u64 before = sim_disk_log_count(0);
    EXPECT_OK(disk_write(0, 0, 1, big));
    EXPECT_RC(disk_write(0, 0, 1, big), RC_FULL);
    EXPECT_EQ(sim_disk_log_count(0), before + 1);
    disk_fault_set(0, DISK_READ, 1, RC_IO, true);
    EXPECT_RC(disk_read(0, 0, 1, back), RC_IO);
    EXPECT_RC(disk_read(0, 0, 1, back), RC_IO);
    disk_fault_set(0, DISK_READ, 0, RC_OK, false);
    EXPECT_OK(disk_read(0, 0, 1, back));
    struct disk_stats s;
    disk_stats_get(0, &s);
    EXPECT_EQ(s.errors, 8);
}
TEST(errors_reach_the_caller) {
    begin();
    run(errors, NULL, 1);
    end();
}

static void read_one(void *arg) {
    (void)arg;
    EXPECT_OK(disk_read(0, 9, 1, back));
}
static void watch_stall(void *arg) {
    struct disk_stats s;
    (void)arg;
    fiber_sleep_ms(5000);
    disk_stats_get(0, &s);
    EXPECT_EQ(s.in_flight, 1);
    EXPECT(s.oldest_ns > 4 * NS_PER_S);
    fiber_sleep_ms(60000);
    disk_stats_get(0, &s);
    EXPECT_EQ(s.in_flight, 0);
    EXPECT_EQ(s.oldest_ns, 0);
}
TEST(a_stall_shows_and_ends) {
    begin();
    sim_disk_stall(0, 30 * NS_PER_S);
    EXPECT_OK(fiber_start("watch", watch_stall, NULL, NULL));
    run(read_one, NULL, 1);
    end();
}

TEST(no_cache_no_flush) {
    machine.write_through = true;
    begin();
    u64 before = sim_disk_log_count(0);
    EXPECT_OK(disk_flush(0));
    EXPECT_EQ(sim_disk_log_count(0), before);
    disk_fault_set(0, DISK_FLUSH, 1, RC_IO, false);
    EXPECT_RC(disk_flush(0), RC_IO);
    end();
}

static void after_resize(void *arg) {
    (void)arg;
    struct disk_info info;
    sim_disk_resize(0, MIB(2));
    fiber_sleep_ms(1);
    EXPECT_OK(disk_info_get(0, &info));
    EXPECT_EQ(info.block_count, MIB(2) / 512);
    EXPECT_RC(disk_read(0, MIB(3) / 512, 1, back), RC_INVALID);
    sim_disk_read_only(0, true);
    EXPECT_RC(disk_write(0, 0, 1, big), RC_DENIED); /* by the device */
    sim_disk_resize(0, MIB(2));
    fiber_sleep_ms(1);
    EXPECT_RC(disk_write(0, 0, 1, big), RC_DENIED); /* known by now */
    EXPECT_RC(disk_discard(0, 0, 1), RC_DENIED);
}
TEST(a_changed_size_is_noticed) {
    begin();
    run(after_resize, NULL, 1);
    end();
}

TEST(no_disk_is_no_error) {
    machine.disk_count = 0;
    sim_start(&(struct sim_options){.seed = 1});
    loop_init();
    EXPECT_OK(disk_init());
    EXPECT_RC(disk_read(0, 0, 1, back), RC_NOT_FOUND);
    end();
}
