/* SPDX-License-Identifier: Apache-2.0 */
/* host_disk_test.c — a file as a disk: real bytes, real threads, its errors, its lock, its size. */
#include "kernel/host/disk.c"
#include "tests/test.h"
#include <stdlib.h>
#include <sys/wait.h>

static char path[64];
static void make_path(void) {
    snprintf(path, sizeof path, "/tmp/host_disk_test.%d.%llu", (int)getpid(),
             (unsigned long long)(test_random() % 1000000));
}
static void begin(u64 bytes) {
    host_wait_start();
    host_options = (struct host_options){.disks = {path}, .disk_count = 1, .disk_bytes = bytes};
    host_disks_start();
}
static u32 done_count;
static void done(struct disk_op *op) {
    (void)op;
    done_count++;
}
static rc_t perform(enum disk_verb verb, u64 block, u32 count, void *data) {
    struct disk_op op = {.verb = verb, .block = block, .count = count, .data = data, .done = done};
    done_count = 0;
    rc_t rc = platform_disk_submit(0, &op);
    if (rc) return rc;
    platform_disk_kick(0);
    for (u32 i = 0; i < 1000 && !done_count; i++) {
        EXPECT(platform_wait(platform_clock_ns() + 10 * NS_PER_S) & WAIT_DISK);
        platform_disk_poll(0);
    }
    EXPECT_EQ(done_count, 1);
    return op.rc;
}

static u8 page[4096] __attribute__((aligned(4096))), back[4096];

TEST(a_file_is_made_and_keeps_bytes) {
    struct disk_info info;
    make_path();
    begin(MIB(8));
    EXPECT_EQ(platform_disk_count(), 1);
    EXPECT_OK(platform_disk_open(0, &info));
    EXPECT_RC(platform_disk_open(1, &info), RC_NOT_FOUND);
    EXPECT_EQ(info.block_count, MIB(8) / 512);
    EXPECT(info.volatile_cache && info.discard && !info.read_only);
    memset(page, 0x5A, sizeof page);
    EXPECT_OK(perform(DISK_WRITE, 100, 8, page));
    EXPECT_OK(perform(DISK_FLUSH, 0, 0, NULL));
    EXPECT_OK(perform(DISK_READ, 100, 8, back));
    EXPECT(memcmp(page, back, sizeof page) == 0);
    EXPECT_OK(perform(DISK_DISCARD, 100, 8, NULL));
    EXPECT_OK(perform(DISK_READ, 100, 8, back));
    EXPECT(memcmp(page, back, sizeof page) != 0);
    EXPECT_OK(platform_disk_emergency_write(0, 7, page, 1));
    EXPECT_RC(platform_disk_emergency_write(1, 7, page, 1), RC_NOT_FOUND);
    EXPECT_OK(perform(DISK_READ, 7, 1, back));
    EXPECT_EQ(back[511], 0x5A);
    EXPECT_RC(perform(DISK_READ, MIB(8) / 512, 1, back), RC_IO); /* beyond the file */
    host_disks_stop();
    unlink(path);
}

TEST(a_changed_size_raises_its_bit) {
    make_path();
    begin(MIB(1));
    EXPECT_EQ(host_disks_check_size(), 0);
    EXPECT_EQ(truncate(path, MIB(3)), 0);
    u64 until = platform_clock_ns() + 5 * NS_PER_S;
    u32 bits = 0;
    while (!bits && platform_clock_ns() < until) bits = platform_wait(until);
    EXPECT_EQ(bits, WAIT_DISK_SIZE);
    struct disk_info info;
    EXPECT_OK(platform_disk_open(0, &info));
    EXPECT_EQ(info.block_count, MIB(3) / 512);
    host_disks_stop();
    unlink(path);
}

static struct disk_op many[DISK_QUEUE_MAX + 1];
TEST(a_full_queue_says_so) {
    make_path();
    begin(MIB(1));
    pthread_mutex_lock(&disks[0].lock); /* its thread cannot take any: all of them wait */
    disks[0].in_flight = DISK_QUEUE_MAX;
    pthread_mutex_unlock(&disks[0].lock);
    many[0] = (struct disk_op){.verb = DISK_FLUSH, .done = done};
    EXPECT_RC(platform_disk_submit(0, &many[0]), RC_AGAIN);
    pthread_mutex_lock(&disks[0].lock);
    disks[0].in_flight = 0;
    pthread_mutex_unlock(&disks[0].lock);
    u32 taken = 0;
    done_count = 0;
    for (u32 i = 0; i < DISK_QUEUE_MAX + 1; i++) {
        many[i] = (struct disk_op){.verb = DISK_FLUSH, .done = done};
        taken += platform_disk_submit(0, &many[i]) == RC_OK;
    }
    u64 until = platform_clock_ns() + 20 * NS_PER_S;
    while (done_count < taken && platform_clock_ns() < until) {
        (void)platform_wait(until);
        platform_disk_poll(0);
    }
    EXPECT_EQ(done_count, taken);
    host_disks_stop();
    unlink(path);
}

static int status_of(void (*fn)(void)) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        fn();
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
static void open_again(void) { begin(MIB(1)); }

TEST(two_processes_cannot_share_a_disk) {
    make_path();
    begin(MIB(1));
    EXPECT_EQ(status_of(open_again), EXIT_USAGE);
    host_disks_stop();
    unlink(path);
    snprintf(path, sizeof path, "/nonexistent/disk");
    EXPECT_EQ(status_of(open_again), EXIT_USAGE);
}

TEST(errors_have_their_codes) {
    EXPECT_RC(rc_from_errno(ENOSPC), RC_FULL);
    EXPECT_RC(rc_from_errno(EDQUOT), RC_FULL);
    EXPECT_RC(rc_from_errno(EROFS), RC_DENIED);
    EXPECT_RC(rc_from_errno(EBADF), RC_DENIED);
    EXPECT_RC(rc_from_errno(EIO), RC_IO);
    int full = open("/dev/full", O_RDWR);
    REQUIRE(full >= 0);
    EXPECT_RC(transfer(full, true, (char *)page, 512, 0), RC_FULL);
    close(full);
    int read_only = open("/dev/zero", O_RDONLY);
    EXPECT_RC(transfer(read_only, true, (char *)page, 512, 0), RC_DENIED);
    close(read_only);
}
