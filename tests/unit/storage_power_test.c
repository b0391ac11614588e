/* SPDX-License-Identifier: Apache-2.0 */
/* storage_power_test.c — power cuts, simulated.
 *
 *   one life: writers commit, each acknowledgement is noted with the disk log's length then
 *   for many moments k of that log, and several ways the unflushed rest may have arrived or torn:
 *       make that disk, open it as after power-on, compare with what was acknowledged by k
 *
 * A writer's history is a function of its number and how many of its transactions count, so what a
 * cut leaves must be exactly the state after the acknowledged ones, or after one more: nothing
 * lost, nothing in half, nothing out of order. The recovery's own writes are cut again.
 *
 * The controls break one promise each and must be caught; one that passes fails the test. */
#define _GNU_SOURCE /* memmem */
#include "storage/db.c"
rc_t honest_wal_sync(struct wal *w);
#define wal_sync honest_wal_sync
#include "storage/wal.c"
#undef wal_sync
#include "storage/seal.h"
#include "tests/storage.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WRITERS 4u
#define TXNS 24u
#define ROWS_STEP 8u
#define SWEEP_SECONDS 30 /* a test has 60 */
#define DISK_BYTES MIB(16)
#define LOG_AT MIB(2) /* where the volume keeps the log on a disk of this size */

enum control {
    HONEST,
    FLUSH_DROPPED,
    ACK_BEFORE_COMMIT,
    SYNC_NORMAL,
    LOG_KEPT,
    HEADER_NOT_FLUSHED
};
struct plan { /* shared with the life's process */
    enum control control;
    u64 acked_at[WRITERS][TXNS]; /* log entries when the answer left; 0: none */
    u32 failed;
    u64 open_at; /* log entries when the database was open */
};
static struct plan *plan;

/* A log that starts over is given a new header, which must be durable before the first frame behind
 * it is written: with the old header, what is left of the old frames would count again, and undo
 * what a checkpoint has long since written. HEADER_NOT_FLUSHED leaves that flush out. */
rc_t wal_sync(struct wal *w) {
    bool header = w->dirty_from == 0 && w->dirty_to == WAL_HEADER_BYTES;
    if (header && plan && plan->control == HEADER_NOT_FLUSHED) return RC_OK;
    return honest_wal_sync(w);
}

static struct sim_options machine = {
    .disk_count = 1, .disk_bytes = DISK_BYTES, .log_bytes_max = MIB(64)};

static u32 mixed(u64 writer, u64 i, u32 below) {
    u64 x = (writer * 1000 + i + 1) * 0x9E3779B97F4A7C15ull;
    return (u32)((x ^ x >> 29) >> 33) % below;
}
/* Transaction i of a writer: some rows in, those of an older one out; every seventh is taken
 * back. */
static bool taken_back(u64 writer, u64 i) { return mixed(writer, i, 7) == 0; }
static u32 rows_in(u64 writer, u64 i) {
    return mixed(writer, i + 5000, 40) == 0 ? ROWS_STEP : 1 + mixed(writer, i, 3);
}
static bool row_lives(u64 writer, u64 n, u64 txns) { /* after so many transactions */
    u64 i = n / ROWS_STEP, j = n % ROWS_STEP;
    if (i >= txns || taken_back(writer, i) || j >= rows_in(writer, i)) return false;
    return i + 6 >= txns || taken_back(writer, i + 6);
}

/* ---- The life -------------------------------------------------------------------------------- */

static rc_t transaction(u64 writer, u64 i) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    for (u32 j = 0; j < rows_in(writer, i) && !rc; j++)
        rc = storage_put(t, writer, i * ROWS_STEP + j);
    if (!rc && i >= 6)
        rc = db_run(t, "DELETE FROM item WHERE writer=?1 AND n>=?2 AND n<?3", DB_INT(writer),
                    DB_INT((i - 6) * ROWS_STEP), DB_INT((i - 5) * ROWS_STEP));
    if (rc || taken_back(writer, i)) {
        db_write_rollback(t);
        return rc;
    }
    if (plan->control == ACK_BEFORE_COMMIT) plan->acked_at[writer][i] = sim_disk_log_count(0);
    return db_write_commit(t);
}

static void writing(void *arg) {
    u64 writer = (u64)(uintptr_t)arg;
    for (u64 i = 0; i < TXNS; i++) {
        if (transaction(writer, i)) plan->failed++;
        if (!plan->acked_at[writer][i]) plan->acked_at[writer][i] = sim_disk_log_count(0);
        if (mixed(writer, i, 5) == 0) fiber_sleep_ms(1);
    }
}

static void life(void *arg) {
    (void)arg;
    storage_core_start(MIB(64));
    if (storage_open()) sim_end_life(1);
    db->checkpoint_frames = 20, db->log_frames = 60; /* so that the log starts over several times */
    if (plan->control == LOG_KEPT) db->checkpoint_frames = db->log_frames = UINT32_MAX;
    if (plan->control == SYNC_NORMAL && connection_exec(&db->writer, "PRAGMA synchronous=NORMAL"))
        sim_end_life(1);
    plan->open_at = sim_disk_log_count(0);
    sim_disk_lie(0, plan->control == FLUSH_DROPPED);
    for (u64 w = 0; w < WRITERS; w++) storage_fiber(writing, (void *)(uintptr_t)w);
    storage_run();
}

static bool live(enum control control, u64 seed) {
    struct sim_options o = machine;
    o.seed = seed;
    sim_start(&o);
    *plan = (struct plan){.control = control};
    int status = sim_life(life, NULL, 50);
    if (status) test_fail(__FILE__, __LINE__, "the life ended with %d", status);
    EXPECT_EQ(plan->failed, 0);
    return status == 0;
}

/* ---- The check ------------------------------------------------------------------------------- */

static u64 acked(u64 writer, u64 k) {
    u64 n = 0;
    while (n < TXNS && plan->acked_at[writer][n] && plan->acked_at[writer][n] <= k) n++;
    return n;
}

static bool history_is(struct db_txn *t, u64 writer, u64 txns) {
    struct db_rows *r;
    u8 body[1500];
    bool right = true;
    u64 next = 0;
    rc_t rc =
        db_query(t, &r, "SELECT n, body FROM item WHERE writer=?1 ORDER BY n", DB_INT(writer));
    while (!rc && right) {
        rc = db_next(r);
        u64 n = rc ? TXNS * ROWS_STEP : (u64)db_column_int(r, 0);
        for (; next < n && right; next++)
            right = !row_lives(writer, next, txns); /* none is missing */
        if (rc || !right) break;
        size_t len = storage_body(writer, n, body, sizeof body);
        right =
            row_lives(writer, n, txns) && str_eq(db_column_text(r, 1), str_of((char *)body, len));
        next = n + 1;
    }
    db_done(r);
    return right && (rc == RC_NOT_FOUND || !rc);
}

/* Opens the disk as it is now. 0: all promises kept. */
static int check(u64 k) {
    char room[1000];
    struct arena a;
    struct db_txn *t;
    str report = S("");
    if (storage_open()) return 1;
    arena_open(&a, room, sizeof room, 4096);
    if (db_integrity_check(&a, &report) || !str_eq(report, S("ok"))) return 2;
    arena_close(&a);
    if (db_read_begin(&t)) return 3;
    int wrong = 0;
    for (u64 w = 0; w < WRITERS && !wrong; w++) {
        u64 n = acked(w, k);
        if (!history_is(t, w, n) && !(n < TXNS && history_is(t, w, n + 1))) wrong = 10 + (int)w;
    }
    if (!wrong && storage_number("SELECT count(*) FROM item INDEXED BY item_n") !=
                      storage_number("SELECT count(*) FROM item NOT INDEXED"))
        wrong = 4;
    db_read_end(t);
    db_close();
    return wrong;
}

static u8 image[DISK_BYTES], again[DISK_BYTES];

static int check_in_child(const u8 *disk, u64 k, u32 cuts_of_recovery);

/* In a child: the disk is powered on. Some states are cut once more while they recover. */
static int power_on(const u8 *disk, u64 k, u32 cuts) {
    struct sim_options o = machine;
    o.seed = k + 1;
    sim_start(&o);
    sim_disk_load(0, disk);
    storage_core_start(MIB(64));
    log_level_set(LOG_ERROR);
    int wrong = check(k);
    for (u32 i = 0; i < cuts && !wrong; i++) {
        u64 at = sim_random(sim_disk_log_count(0) + 1);
        sim_disk_state(0, at, i & 1 ? SIM_TORN : SIM_NONE, i, again);
        wrong = check_in_child(again, k, 0);
        if (wrong) wrong += 100;
    }
    return wrong;
}

static int check_in_child(const u8 *disk, u64 k, u32 cuts) {
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(40);
        test_exit(power_on(disk, k, cuts));
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {}
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

struct verdicts {
    u32 states, wrong;
    u64 flushes;
};
static void try_state(struct verdicts *v, u64 k, enum sim_tear tear, u64 seed, bool expect_right) {
    sim_disk_state(0, k, tear, seed, image);
    int wrong = check_in_child(image, k, v->states % 16 == 3 ? 3 : 0);
    v->states++;
    v->wrong += wrong != 0;
    if (wrong && expect_right)
        test_fail(__FILE__, __LINE__, "cut after entry %llu, tear %d/%llu: check %d failed",
                  (unsigned long long)k, tear, (unsigned long long)seed, wrong);
}

static void try_flush(struct verdicts *v, u64 k, bool expect_right) {
    u32 open = sim_disk_open_writes(0, k);
    try_state(v, k + 1, SIM_NONE, 0, expect_right);
    try_state(v, k, SIM_NONE, 0, expect_right);
    try_state(v, k, SIM_ALL, 0, expect_right);
    for (u32 i = 0; i < 3 && open; i++) try_state(v, k, SIM_TORN, test_random(), expect_right);
    for (u32 i = 0; i < 2 && open; i++) try_state(v, k, SIM_TAIL, test_random(), expect_right);
    if (open > 1) try_state(v, k, SIM_REVERSED, 0, expect_right);
    if (open > 1) try_state(v, k, SIM_SUBSET, test_random(), expect_right);
}

/* One flush in `stride`, in random order: the disk as the flush left it, and the ways the writes
 * before it can be cut short. Ends early once a control was caught, or when the machine is slow. */
static struct verdicts sweep(u32 stride, bool expect_right) {
    static u64 at[4096];
    struct verdicts v = {0};
    time_t until = time(NULL) + SWEEP_SECONDS;
    for (u64 k = plan->open_at; k < sim_disk_log_count(0) && v.flushes < ARRAY_LEN(at); k++)
        if (sim_disk_log(0, k)->verb == DISK_FLUSH) at[v.flushes++] = k;
    for (u64 i = v.flushes; i > 1; i--) {
        u64 j = test_random() % i, swap = at[i - 1];
        at[i - 1] = at[j], at[j] = swap;
    }
    for (u64 i = 0; i < v.flushes / stride && time(NULL) < until && (expect_right || !v.wrong); i++)
        try_flush(&v, at[i], expect_right);
    return v;
}

static u32 stride(u32 usual) {
    const char *given = getenv("POWER_STRIDE"); /* 1: every flush */
    return given ? (u32)MAX(atoi(given), 1) : usual;
}
static void plan_make(void) {
    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(plan != MAP_FAILED);
}

TEST(a_cut_at_any_moment_loses_nothing_acknowledged) {
    plan_make();
    if (!live(HONEST, test_seed())) return;
    struct verdicts v = sweep(stride(4), true);
    printf("power: %u states, %llu flushes, %llu log entries, %u wrong\n", v.states,
           (unsigned long long)v.flushes, (unsigned long long)sim_disk_log_count(0), v.wrong);
    EXPECT(v.flushes >= 30);
    EXPECT(v.states >= 8); /* usually a hundred; a busy machine ends the sweep early */
    sim_stop();
}

/* Larger blocks, torn inside: the seams between commits are rewritten eight sectors at a time. */
TEST(the_same_on_a_disk_with_blocks_of_4096_bytes) {
    plan_make();
    machine.block_bytes = 4096;
    if (live(HONEST, test_seed())) {
        struct verdicts v = sweep(stride(10), true);
        printf("power: blocks of 4096: %u states, %u wrong\n", v.states, v.wrong);
        EXPECT(v.states >= 8);
    }
    machine.block_bytes = 0;
    sim_stop();
}

/* Below the cipher a torn write is old or new by 16 bytes, so nothing changes. */
TEST(the_same_on_an_encrypted_disk) {
    EXPECT_OK(seal_offer(SEAL_BY_KEY, S("thirty-two bytes, a disk's key..")));
    for (u32 block = 512; block <= 4096; block += 3584) {
        plan_make();
        machine.block_bytes = block;
        if (live(HONEST, test_seed())) {
            struct verdicts v = sweep(stride(20), true);
            printf("power: encrypted, blocks of %u: %u states, %u wrong\n", block, v.states,
                   v.wrong);
            EXPECT(v.states >= 8);
            sim_disk_state(0, sim_disk_log_count(0), SIM_ALL, 0, image);
            EXPECT(!memmem(image, sizeof image, "CREATE TABLE item", 17));
        }
        sim_stop();
    }
    machine.block_bytes = 0;
    EXPECT_OK(seal_offer(SEAL_NONE, S("")));
}

static void control(enum control which, const char *name) {
    plan_make();
    if (!live(which, test_seed())) return;
    struct verdicts v = sweep(1, false);
    printf("power: control %s: caught after %u states\n", name, v.states);
    if (!v.wrong)
        test_fail(__FILE__, __LINE__, "the control %s was not caught in %u states", name, v.states);
    sim_stop();
}
TEST(control_dropped_flushes_are_caught) { control(FLUSH_DROPPED, "dropped flush"); }
TEST(control_an_early_answer_is_caught) { control(ACK_BEFORE_COMMIT, "ack before commit"); }
TEST(control_synchronous_normal_is_caught) { control(SYNC_NORMAL, "synchronous=NORMAL"); }

/* Did the log start over in the writes before this flush, with frames behind its header? */
static bool starts_over(u64 k) {
    u64 open = sim_disk_open_writes(0, k);
    for (u64 i = k; i-- > 0 && open;) {
        const struct sim_disk_entry *e = sim_disk_log(0, i);
        if (e->verb != DISK_WRITE) continue;
        open--;
        if (e->block == LOG_AT / 512 && e->count > 8) return true;
    }
    return false;
}
/* The state that shows it: the first sectors of the log are old, up to a commit, the rest is
 * new. */
static struct verdicts sweep_new_logs(enum control which, u32 rounds) {
    struct verdicts v = {0};
    time_t until = time(NULL) + SWEEP_SECONDS / 2;
    plan_make();
    if (!live(which, test_seed())) return v;
    for (u32 round = 0; round < rounds && !v.wrong; round++)
        for (u64 k = plan->open_at; k < sim_disk_log_count(0) && !v.wrong && time(NULL) < until;
             k++)
            if (sim_disk_log(0, k)->verb == DISK_FLUSH && starts_over(k)) {
                v.flushes += round == 0;
                try_state(&v, k, SIM_TAIL, test_random(), which == HONEST);
            }
    sim_stop();
    return v;
}
TEST(control_an_unflushed_header_is_caught) {
    struct verdicts honest = sweep_new_logs(HONEST, 4), v = sweep_new_logs(HEADER_NOT_FLUSHED, 40);
    printf("power: control header not flushed: caught after %u states; with the flush %u states "
           "are right\n",
           v.states, honest.states);
    EXPECT(honest.states > 0 && v.states > 0);
    EXPECT_EQ(honest.wrong, 0);
    EXPECT(v.wrong > 0);
}

/* A damaged frame ends the log there: what came after it is gone, and the check must see that. */
TEST(control_a_flipped_checksum_is_caught) {
    plan_make();
    if (!live(LOG_KEPT, test_seed())) return;
    u64 n = sim_disk_log_count(0);
    sim_disk_state(0, n, SIM_ALL, 0, image);
    u8 *frame = image + LOG_AT + WAL_HEADER_BYTES;
    EXPECT_EQ(check_in_child(image, n, 0), 0);
    frame[16] ^= 1;
    EXPECT(check_in_child(image, n, 0) != 0);
    sim_stop();
}
