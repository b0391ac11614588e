/* SPDX-License-Identifier: Apache-2.0 */
/* host_sim_test.c — The simulated machine itself: a test tool that is wrong makes every test
 * that uses it worthless. Same seed, same run; a cut keeps what was flushed and may lose or tear
 * the rest; each fault does what it says. */
#include "kernel/host/sim_disk.c"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "tests/test.h"
#include <signal.h>
#include <unistd.h>

static u8 image[MIB(1)], page[4096] __attribute__((aligned(16)));

static void begin(u64 seed) {
    sim_start(&(struct sim_options){
        .seed = seed, .disk_count = 2, .disk_bytes = MIB(1), .nic_count = 1});
    memory_init(MIB(256));
    loop_init();
    EXPECT_OK(fiber_init(8));
    EXPECT_OK(disk_init());
}
static void put(u64 block, int byte) {
    memset(page, byte, sizeof page);
    EXPECT_OK(disk_write(0, block, 8, page));
}
static bool holds(const u8 *bytes, u64 block, int byte) {
    for (u32 i = 0; i < 4096; i++)
        if (bytes[block * 512 + i] != (u8)byte) return false;
    return true;
}

TEST(a_cut_keeps_what_was_flushed) {
    begin(3);
    put(0, 1);
    put(8, 2);
    EXPECT_OK(disk_flush(0));
    put(8, 3);
    put(16, 4);
    u64 n = sim_disk_log_count(0);
    EXPECT_EQ(n, 5);
    EXPECT_EQ(sim_disk_open_writes(0, n), 2);
    EXPECT_EQ(sim_disk_log(0, 2)->covers, 2);
    sim_disk_state(0, n, SIM_NONE, 0, image);
    EXPECT(holds(image, 0, 1) && holds(image, 8, 2) && holds(image, 16, 0));
    sim_disk_state(0, n, SIM_ALL, 0, image);
    EXPECT(holds(image, 0, 1) && holds(image, 8, 3) && holds(image, 16, 4));
    EXPECT(memcmp(image, sim_disk_bytes(0), sizeof image) == 0);
    sim_disk_state(0, n, SIM_SUBSET, 2, image); /* only the second of the two */
    EXPECT(holds(image, 8, 2) && holds(image, 16, 4));
    sim_disk_state(0, 2, SIM_NONE, 0, image); /* before the flush nothing is sure */
    EXPECT(holds(image, 0, 0) && holds(image, 8, 0));
    sim_stop();
}

TEST(torn_states_mix_sectors_of_old_and_new) {
    begin(4);
    put(0, 1);
    EXPECT_OK(disk_flush(0));
    put(0, 9);
    bool mixed = false, differ = false;
    static u8 first[MIB(1)];
    sim_disk_state(0, 3, SIM_TORN, 0, first);
    for (u64 seed = 0; seed < 20; seed++) {
        sim_disk_state(0, 3, SIM_TORN, seed, image);
        u32 fresh = 0;
        for (u32 s = 0; s < 8; s++) {
            EXPECT(image[s * 512] == 1 || image[s * 512] == 9);
            EXPECT_EQ(image[s * 512], image[s * 512 + 511]);
            fresh += image[s * 512] == 9;
        }
        mixed |= fresh > 0 && fresh < 8;
        differ |= memcmp(first, image, sizeof image) != 0;
    }
    EXPECT(mixed && differ);
    sim_stop();
}

TEST(a_tail_is_new_behind_old_sectors) {
    bool seen[9] = {0};
    begin(4);
    put(0, 1);
    EXPECT_OK(disk_flush(0));
    put(0, 9);
    for (u64 seed = 0; seed < 200; seed++) {
        u32 old = 0;
        sim_disk_state(0, 3, SIM_TAIL, seed, image);
        while (old < 8 && image[old * 512] == 1) old++;
        for (u32 s = old; s < 8; s++) EXPECT_EQ(image[s * 512], 9);
        seen[old] = true;
    }
    for (u32 old = 0; old <= 8; old++) EXPECT(seen[old]);
    sim_stop();
}

TEST(reversed_lets_the_earlier_write_win) {
    begin(5);
    put(0, 1);
    put(0, 2);
    sim_disk_state(0, 2, SIM_REVERSED, 0, image);
    EXPECT(holds(image, 0, 1));
    sim_disk_cut(0, 8);
    EXPECT_EQ(sim_disk_log_count(0), 0);
    for (u32 s = 0; s < 8; s++) EXPECT(sim_disk_bytes(0)[s * 512] <= 2);
    sim_stop();
}

TEST(a_lying_flush_keeps_nothing) { /* the control: a test that passes on this proves nothing */
    begin(6);
    sim_disk_lie(0, true);
    put(0, 1);
    EXPECT_OK(disk_flush(0));
    EXPECT_EQ(sim_disk_flush_count(0), 0);
    sim_disk_state(0, sim_disk_log_count(0), SIM_NONE, 0, image);
    EXPECT(holds(image, 0, 0));
    sim_stop();
}

TEST(write_through_keeps_all) {
    sim_start(&(struct sim_options){
        .seed = 1, .disk_count = 1, .disk_bytes = MIB(1), .write_through = true});
    loop_init();
    EXPECT_OK(disk_init());
    put(0, 1);
    sim_disk_state(0, 1, SIM_NONE, 0, image);
    EXPECT(holds(image, 0, 1));
    sim_stop();
}

TEST(bad_sectors_rot_and_misdirection) {
    begin(7);
    put(0, 1);
    sim_disk_fail_range(0, DISK_READ, 4, 2, RC_IO);
    EXPECT_OK(disk_read(0, 0, 4, page));
    EXPECT_RC(disk_read(0, 0, 8, page), RC_IO);
    EXPECT_OK(disk_read(0, 6, 2, page));
    sim_disk_rot(0, 700, 0x40);
    EXPECT_OK(disk_read(0, 1, 1, page));
    EXPECT_EQ(page[700 - 512], 1 ^ 0x40);
    sim_disk_misdirect(0, 2);
    put(800, 5);
    put(900, 6);
    EXPECT(holds(sim_disk_bytes(0), 800, 5));
    EXPECT(!holds(sim_disk_bytes(0), 900, 6));
    EXPECT(sim_disk_log(0, sim_disk_log_count(0) - 1)->block != 900);
    EXPECT_OK(disk_discard(0, 800, 8));
    EXPECT(holds(sim_disk_bytes(0), 800, 0));
    memset(image, 7, sizeof image);
    sim_disk_load(0, image);
    EXPECT(holds(sim_disk_bytes(0), 40, 7));
    EXPECT_EQ(sim_disk_log_count(0), 0);
    EXPECT_OK(platform_disk_emergency_write(1, 3, page, 1));
    EXPECT_EQ(sim_disk_log_count(1), 1);
    sim_stop();
}

/* ---- The same seed --------------------------------------------------------------------------- */

static void scribble(void *arg) {
    (void)arg;
    u8 bytes[1024] __attribute__((aligned(16)));
    for (u32 i = 0; i < 50; i++) {
        rc_t rc = platform_entropy(bytes, sizeof bytes);
        EXPECT_OK(rc);
        EXPECT_OK(disk_write(0, sim_random(1000), 2, bytes));
        if (sim_random(4) == 0) EXPECT_OK(disk_flush(0));
        if (sim_random(4) == 0) fiber_sleep_ms(sim_random(20));
    }
    if (fiber_count() == 1) loop_stop();
}
static u64 one_run(u64 seed, u8 *left) {
    begin(seed);
    for (u32 i = 0; i < 4; i++) EXPECT_OK(fiber_start("scribble", scribble, NULL, NULL));
    loop_run();
    memcpy(left, sim_disk_bytes(0), MIB(1));
    u64 hash = sim_trace_hash();
    sim_stop();
    return hash;
}
TEST(the_same_seed_is_the_same_run) {
    static u8 other[MIB(1)];
    u64 seed = test_seed(), hash = one_run(seed, image);
    EXPECT_EQ(hash, one_run(seed, other));
    EXPECT(memcmp(image, other, sizeof image) == 0);
    EXPECT(hash != one_run(seed + 1, other));
}

/* ---- Lives ----------------------------------------------------------------------------------- */

static void first_life(void *arg) {
    (void)arg;
    put(0, 1);
    EXPECT_OK(disk_flush(0));
    put(8, 2);
    put(16, 3);
}
static void dies_early(void *arg) {
    (void)arg;
    sim_disk_cut_at(0, 3); /* write, flush, then the second write */
    first_life(NULL);
}
static void hangs(void *arg) {
    (void)arg;
    for (;;) pause();
}
static void says_seven(void *arg) {
    (void)arg;
    sim_end_life(7);
}
TEST(a_life_ends_and_its_disk_stays) {
    begin(11);
    EXPECT_EQ(sim_life(first_life, NULL, 20), 0);
    EXPECT(holds(sim_disk_bytes(0), 16, 3));
    EXPECT_EQ(sim_disk_log_count(0), 4);
    sim_stop();
    begin(12);
    EXPECT_EQ(sim_life(dies_early, NULL, 20), SIM_CUT);
    EXPECT(holds(sim_disk_bytes(0), 0, 1));
    EXPECT(holds(sim_disk_bytes(0), 16, 0));
    EXPECT(sim_disk_log_count(0) >= 2 && sim_disk_log_count(0) <= 3);
    EXPECT_EQ(sim_life(says_seven, NULL, 20), 7);
    EXPECT_EQ(sim_life(hangs, NULL, 1), 128 + SIGALRM);
    sim_stop();
}

/* ---- Clock, entropy, wire -------------------------------------------------------------------- */

TEST(time_is_virtual) {
    begin(13);
    u64 wall = platform_wall_ns(), clock = platform_clock_ns();
    EXPECT(wall > 1700000000ull * NS_PER_S);
    EXPECT_EQ(platform_wait(clock + 3600 * NS_PER_S), 0);
    EXPECT(platform_clock_ns() >= clock + 3600 * NS_PER_S);
    EXPECT(platform_wall_ns() >= wall + 3600 * NS_PER_S);
    clock = platform_clock_ns();
    sim_wall_step(-(s64)(7200 * NS_PER_S));
    EXPECT(platform_wall_ns() < wall);
    EXPECT_EQ(platform_clock_ns(), clock);
    platform_wall_set(5 * NS_PER_S);
    EXPECT_EQ(platform_wall_ns(), 5 * NS_PER_S);
    u8 key[16];
    sim_entropy_fails(true);
    EXPECT_RC(platform_entropy(key, sizeof key), RC_IO);
    sim_entropy_fails(false);
    EXPECT_OK(platform_entropy(key, sizeof key));
    sim_start(&(struct sim_options){.seed = 1, .wall_ns = SIM_NO_WALL});
    EXPECT_EQ(platform_wall_ns(), 0);
    sim_stop();
}

static u32 heard;
static u8 last_heard[NIC_FRAME_MAX];
static size_t last_heard_len;
static void hear(void *arg, const u8 *bytes, size_t n) {
    (void)arg;
    heard++;
    last_heard_len = n;
    memcpy(last_heard, bytes, n);
}
static void send_frame(const char *a, const char *b) {
    str parts[2] = {str_from_c(a), str_from_c(b)};
    EXPECT_OK(platform_nic_send(0, &(struct nic_tx){.parts = parts, .count = 2}));
    platform_nic_kick(0);
}
static u32 receive_all(u8 *last, size_t *last_len) {
    u32 n = 0, flags;
    (void)platform_wait(platform_clock_ns() + 100 * NS_PER_MS);
    while (platform_nic_recv(0, last, NIC_FRAME_MAX, last_len, &flags) == RC_OK) n++;
    return n;
}

TEST(a_good_wire_carries_everything_in_order) {
    begin(14);
    struct nic_info info;
    EXPECT_EQ(platform_nic_count(), 1);
    EXPECT_OK(platform_nic_open(0, &info));
    EXPECT_RC(platform_nic_open(1, &info), RC_NOT_FOUND);
    EXPECT(platform_nic_up(0));
    sim_wire_peer(hear, NULL);
    heard = 0;
    send_frame("hello ", "wire");
    EXPECT_EQ(platform_wait(platform_clock_ns() + NS_PER_MS), 0);
    EXPECT_EQ(heard, 1);
    EXPECT_STR(str_of((char *)last_heard, last_heard_len), S("hello wire"));
    sim_wire_send("abc", 3);
    EXPECT_EQ(platform_wait(platform_clock_ns() + NS_PER_MS), WAIT_NIC);
    u8 frame[NIC_FRAME_MAX];
    size_t n = 0;
    EXPECT_EQ(receive_all(frame, &n), 1);
    EXPECT_STR(str_of((char *)frame, n), S("abc"));
    sim_wire_block(true);
    str part = S("x");
    EXPECT_RC(platform_nic_send(0, &(struct nic_tx){.parts = &part, .count = 1}), RC_AGAIN);
    sim_wire_block(false);
    EXPECT_EQ(platform_wait(0), WAIT_NIC);
    sim_wire_link(false);
    EXPECT_EQ(platform_wait(0), WAIT_LINK);
    EXPECT(!platform_nic_up(0));
    sim_wire_send("abc", 3);
    EXPECT_EQ(receive_all(frame, &n), 0);
    sim_stop();
}

TEST(a_bad_wire_does_all_it_is_told) {
    begin(15);
    struct nic_info info;
    EXPECT_OK(platform_nic_open(0, &info));
    sim_wire_set(&(struct sim_wire){.loss = 100, .duplicate = 100, .reorder = 100, .corrupt = 100,
                                    .truncate = 50, .delay_ns_max = 2 * NS_PER_MS},
                 &(struct sim_wire){0});
    u8 frame[NIC_FRAME_MAX];
    u8 sent[64];
    size_t n = 0;
    u32 arrived = 0;
    memset(sent, 5, sizeof sent);
    for (u32 i = 0; i < 1000; i++) {
        sim_wire_send(sent, sizeof sent);
        if (i % 50 == 0) arrived += receive_all(frame, &n);
    }
    while (sim_wire_next_ns() != UINT64_MAX) arrived += receive_all(frame, &n);
    struct sim_wire_stats s;
    sim_wire_stats_get(&s);
    EXPECT_EQ(s.in, 1000);
    EXPECT(s.lost > 50 && s.lost < 200);
    EXPECT(s.duplicated > 50 && s.reordered > 50 && s.corrupted > 50 && s.truncated > 20);
    EXPECT_EQ(arrived + s.overflowed, 1000 - s.lost + s.duplicated);
    for (u32 i = 0; i < 300; i++) sim_wire_send(sent, sizeof sent); /* more than the ring holds */
    (void)receive_all(frame, &n);
    sim_wire_stats_get(&s);
    sim_stop();
}
