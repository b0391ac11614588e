/* SPDX-License-Identifier: Apache-2.0 */
/* storage_fault_test.c — the nth operation fails, for every n until the case passes untouched.
 *
 * Reads, writes, flushes and SQLite's allocations; once each, and all but reads also for ever.
 * Whatever fails: a clean result code, no panic, nothing acknowledged is lost, nothing of a refused
 * transaction stays, the database is healthy again by itself, and integrity_check is ok. */
#include "kernel/core/memory.h"
static bool alloc_fails(void);
static inline void *failing_alloc(enum memory_budget b, size_t n) {
    return alloc_fails() ? NULL : memory_alloc(b, n);
}
static inline void *failing_resize(enum memory_budget b, void *p, size_t n) {
    return alloc_fails() ? NULL : memory_resize(b, p, n);
}
#define memory_alloc failing_alloc
#define memory_resize failing_resize
#include "storage/heap.c"
#undef memory_alloc
#undef memory_resize
#include "storage/db_impl.h"
#include "tests/storage.h"

static const struct sim_options machine = {
    .seed = 3, .disk_count = 1, .disk_bytes = MIB(16), .log_bytes_max = MIB(64)};

static u64 alloc_nth, alloc_count;
static bool alloc_for_ever;
static bool alloc_fails(void) {
    alloc_count++;
    return alloc_nth && (alloc_for_ever ? alloc_count >= alloc_nth : alloc_count == alloc_nth);
}

/* What the story below was told about each of its rows. */
enum { ROWS = 24 };
static struct {
    bool acked[ROWS], refused[ROWS], deleted[ROWS], maybe_deleted[ROWS];
    u32 failures;
    rc_t last;
} told;

static void note(rc_t rc) {
    bool clean =
        rc == RC_OK || rc == RC_IO || rc == RC_NO_MEMORY || rc == RC_FULL || rc == RC_NOT_FOUND;
    if (!clean) test_fail(__FILE__, __LINE__, "a failure came as %s", rc_name(rc));
    if (rc == RC_OK) return;
    told.failures++;
    told.last = rc;
}

static void put(void *arg) {
    u64 n = (u64)(uintptr_t)arg;
    rc_t rc = storage_put_one(1, n);
    *(rc ? &told.refused[n] : &told.acked[n]) = true;
    note(rc);
}

static void take_out(u64 n) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (!rc) {
        rc = db_run(t, "DELETE FROM item WHERE writer=1 AND n=?1", DB_INT(n));
        if (rc) db_write_rollback(t);
        else rc = db_write_commit(t);
    }
    if (!rc) told.deleted[n] = true;
    note(rc);
}

static void look(u64 n) {
    struct db_txn *t;
    struct db_rows *r;
    rc_t rc = db_read_begin(&t);
    note(rc);
    if (rc) return;
    rc = db_query(t, &r, "SELECT length(body) FROM item WHERE writer=1 AND n=?1", DB_INT(n));
    if (!rc) rc = db_next(r);
    if (rc == RC_NOT_FOUND) EXPECT(!told.acked[n] || told.deleted[n]);
    else note(rc);
    db_done(r);
    db_read_end(t);
}

/* Writes alone and in a crowd, reads, deletes, moves the log, and goes on. */
static void story(void *arg) {
    bool complete;
    (void)arg;
    for (u64 n = 0; n < 4; n++) put((void *)(uintptr_t)n);
    for (u64 n = 4; n < 14; n++) storage_fiber(put, (void *)(uintptr_t)n);
    fiber_sleep_ms(20);
    for (u64 n = 0; n < 14; n += 3) look(n);
    take_out(2);
    rc_t rc = checkpoint_run(&complete);
    note(rc);
    for (u64 n = 14; n < ROWS; n++) put((void *)(uintptr_t)n);
    take_out(15);
    look(15);
    look(16);
}

static void heal(void *arg) {
    struct db_status s;
    (void)arg;
    for (u32 i = 0; i < 200; i++) {
        db_status_get(&s);
        if (s.healthy) break;
        fiber_sleep_ms(100);
    }
    EXPECT(s.healthy);
    EXPECT_OK(storage_put_one(2, 1)); /* works again */
}

static s64 row_count(u64 n) {
    struct db_txn *t;
    struct db_rows *r;
    s64 count = -1;
    if (db_read_begin(&t)) return -1;
    rc_t rc = db_query(t, &r, "SELECT count(*) FROM item WHERE writer=1 AND n=?1", DB_INT(n));
    if (!rc) rc = db_next(r);
    if (!rc) count = db_column_int(r, 0);
    db_done(r);
    db_read_end(t);
    return count;
}

static void compare(const char *when, u64 nth) {
    char room[1000];
    struct arena a;
    str report;
    for (u64 n = 0; n < ROWS; n++) {
        s64 wanted = told.acked[n] && !told.deleted[n];
        s64 got = row_count(n);
        /* A refused delete of an acknowledged row leaves the row. */
        if (got != wanted)
            test_fail(__FILE__, __LINE__, "%s, n=%llu: row %llu is there %lld times, not %lld",
                      when, (unsigned long long)nth, (unsigned long long)n, (long long)got,
                      (long long)wanted);
    }
    arena_open(&a, room, sizeof room, 4096);
    EXPECT_OK(db_integrity_check(&a, &report));
    EXPECT_STR(report, S("ok"));
    arena_close(&a);
}

/* One run with the fault set after opening; false: nothing failed any more. */
static bool run(enum disk_verb verb, u64 nth, bool for_ever, rc_t fault) {
    storage_begin(&machine);
    memset(&told, 0, sizeof told);
    if (storage_open()) {
        test_fail(__FILE__, __LINE__, "a sound disk does not open");
        return false;
    }
    struct disk_stats before, after;
    disk_stats_get(0, &before);
    if (nth) sim_disk_fail(0, verb, nth, fault, for_ever);
    storage_fiber(story, NULL);
    storage_run();
    sim_disk_fail(0, verb, 0, RC_OK, false);
    disk_stats_get(0, &after);
    u64 errors = after.errors - before.errors;
    storage_fiber(heal, NULL);
    storage_run();
    compare("alive", nth);
    db_close();
    if (storage_open())
        test_fail(__FILE__, __LINE__, "does not open again, n=%llu", (unsigned long long)nth);
    compare("opened again", nth);
    db_close();
    sim_stop();
    return errors > 0;
}

static void sweep(enum disk_verb verb, bool for_ever, rc_t fault, u64 at_least) {
    u64 n = 1;
    log_console_level_set(LOG_ERROR + 1);
    while (run(verb, n, for_ever, fault)) n++;
    log_console_level_set(LOG_WARN);
    printf("fault: %llu runs with a failing operation of kind %d\n", (unsigned long long)(n - 1),
           verb);
    EXPECT(n - 1 >= at_least);
}

TEST(nothing_fails) {
    EXPECT(!run(DISK_READ, 0, false, RC_OK));
    EXPECT_EQ(told.failures, 0);
}
TEST(any_write_fails_once) { sweep(DISK_WRITE, false, RC_IO, 15); }
TEST(writes_fail_from_then_on) { sweep(DISK_WRITE, true, RC_IO, 15); }
TEST(any_flush_fails_once) { sweep(DISK_FLUSH, false, RC_IO, 15); }
TEST(flushes_fail_from_then_on) { sweep(DISK_FLUSH, true, RC_IO, 15); }
TEST(the_disk_is_full_at_any_write) { sweep(DISK_WRITE, false, RC_FULL, 15); }
TEST(the_disk_stays_full) { sweep(DISK_WRITE, true, RC_FULL, 15); }

/* Reads happen when a disk with a log is opened: there each may fail, and then the next start
 * works. */
TEST(any_read_fails_while_opening) {
    static u8 image[MIB(16)];
    storage_begin(&machine);
    memset(&told, 0, sizeof told);
    EXPECT_OK(storage_open());
    for (u64 n = 0; n < 10; n++) EXPECT_OK(storage_put_one(1, n));
    memcpy(image, sim_disk_bytes(0), sizeof image); /* as a cut right now leaves it */
    db_close();
    log_console_level_set(LOG_ERROR + 1);
    u64 n = 1;
    for (bool failed = true; failed; n++) {
        struct volume v;
        struct diag why = {0};
        sim_disk_load(0, image);
        sim_disk_fail(0, DISK_READ, n, RC_IO, false);
        rc_t rc = volume_open(&v, &why);
        if (!rc) rc = db_open(&v, storage_schemas, &why);
        failed = rc != RC_OK;
        if (failed) EXPECT(rc == RC_IO && why.text[0]);
        else db_close();
        sim_disk_fail(0, DISK_READ, 0, RC_OK, false);
        sim_disk_load(0, image);
        EXPECT_OK(storage_open());
        EXPECT_EQ(storage_number("SELECT count(*) FROM item WHERE writer=1"), 10);
        db_close();
    }
    log_console_level_set(LOG_WARN);
    EXPECT(n > 10);
    sim_stop();
}

static void sweep_allocations(bool for_ever) {
    u64 n = 1, step = 1;
    alloc_for_ever = for_ever;
    log_console_level_set(LOG_ERROR + 1);
    for (bool failed = true; failed; n += step) {
        storage_begin(&machine);
        memset(&told, 0, sizeof told);
        alloc_nth = 0;
        EXPECT_OK(storage_open());
        alloc_count = 0, alloc_nth = n;
        storage_fiber(story, NULL);
        storage_run();
        failed = alloc_count >= alloc_nth;
        alloc_nth = 0;
        storage_fiber(heal, NULL);
        storage_run();
        compare("alive", n);
        db_close();
        sim_stop();
        if (n > 60) step = 7; /* the first are each different, later ones repeat */
    }
    log_console_level_set(LOG_WARN);
    printf("fault: allocations failed up to the %lluth\n", (unsigned long long)n);
    alloc_for_ever = false;
    EXPECT(n > 100);
}
TEST(any_allocation_fails_once) { sweep_allocations(false); }
TEST(allocations_fail_from_then_on) { sweep_allocations(true); }

TEST(any_allocation_fails_while_opening) {
    log_console_level_set(LOG_ERROR + 1);
    u64 n = 1, step = 1;
    for (bool failed = true; failed; n += step) {
        struct volume v;
        struct diag why = {0};
        storage_begin(&machine);
        alloc_nth = 0;
        EXPECT_OK(volume_open(&v, &why));
        alloc_count = 0, alloc_nth = n;
        rc_t rc = db_open(&v, storage_schemas, &why);
        failed = alloc_count >= alloc_nth;
        alloc_nth = 0;
        if (rc) EXPECT_RC(rc, RC_NO_MEMORY);
        else db_close();
        EXPECT_OK(storage_open());
        db_close();
        sim_stop();
        if (n > 100) step = 13;
    }
    log_console_level_set(LOG_WARN);
    EXPECT(n > 100);
}

static void ask_for_a_while(void *arg) {
    struct db_status s;
    u32 *fell = arg;
    for (u32 i = 0; i < 200; i++) {
        db_status_get(&s);
        *fell += !s.healthy;
        fiber_sleep_ms(100);
    }
    EXPECT(s.healthy); /* and rose again */
}
static void mend(void *arg) {
    (void)arg;
    sim_disk_fail(0, DISK_WRITE, 0, RC_OK, false);
    sim_disk_fail(0, DISK_FLUSH, 0, RC_OK, false);
}
TEST(a_disk_that_dies_while_idle_is_noticed) {
    for (enum disk_verb verb = DISK_WRITE; verb <= DISK_FLUSH; verb++) {
        storage_begin(&machine);
        EXPECT_OK(storage_open());
        EXPECT_OK(storage_put_one(1, 1));
        log_console_level_set(LOG_ERROR + 1);
        sim_disk_fail(0, verb, 1, RC_IO, true);
        sim_at(platform_clock_ns() + 12 * NS_PER_S, mend, NULL);
        u32 fell = 0;
        storage_fiber(ask_for_a_while, &fell);
        storage_run();
        EXPECT(fell > 50 && fell < 100);
        EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 1);
        EXPECT_OK(storage_put_one(1, 2));
        db_close();
        log_console_level_set(LOG_WARN);
        sim_stop();
    }
}

/* The device drops a commit's write with somebody else's flush, then says "done" to the commit's
 * own: two flushes in flight, the first of them fails. */
static rc_t commit_rc;
static void commit_while_probing(void *arg) {
    (void)arg;
    for (u32 i = 0; i < 3; i++) fiber_yield(); /* the probe's flush goes first */
    commit_rc = storage_put_one(4, 4);
}
TEST(a_flush_of_others_that_fails_fails_the_commit) {
    static const struct sim_options slow = {.seed = 9,
                                            .disk_count = 1,
                                            .disk_bytes = MIB(16),
                                            .disk_ns_min = NS_PER_MS,
                                            .disk_ns_max = NS_PER_MS};
    storage_begin(&slow);
    EXPECT_OK(storage_open());
    log_console_level_set(LOG_ERROR + 1);
    sim_disk_fail(0, DISK_FLUSH, 1, RC_IO, false);
    storage_fiber(commit_while_probing, NULL);
    db->watched_ns -= 10 * NS_PER_S;
    struct db_status s;
    struct loop_post ask = {.fn = (void (*)(void *))db_status_get, .arg = &s};
    loop_post(&ask);
    storage_run();
    EXPECT_RC(commit_rc, RC_IO);
    storage_fiber(heal, NULL);
    storage_run();
    EXPECT_EQ(storage_number("SELECT count(*) FROM item WHERE writer=4"), 0);
    db_close();
    log_console_level_set(LOG_WARN);
    sim_stop();
}

/* Opening anew may fail as well: then there is no database for a while, which everybody is told. */
static u32 heard_down;
static void read_all_the_time(void *arg) {
    struct db_txn *t;
    bool *stop = arg;
    while (!*stop) {
        rc_t rc = db_read_begin(&t);
        if (rc) {
            EXPECT_RC(rc, RC_IO);
            heard_down++;
        } else {
            fiber_sleep_ms(30); /* repair waits for this one */
            db_read_end(t);
        }
        fiber_sleep_ms(7);
    }
}
static void heal_and_stop(void *stop) {
    heal(NULL);
    *(bool *)stop = true;
}
TEST(a_repair_that_fails_is_tried_again) {
    log_console_level_set(LOG_ERROR + 1);
    heard_down = 0;
    for (u64 nth = 2; nth < 9; nth++) {
        bool stop = false;
        storage_begin(&machine);
        EXPECT_OK(storage_open());
        EXPECT_OK(storage_put_one(1, 1));
        sim_disk_fail(0, DISK_FLUSH, 1, RC_IO, false);
        EXPECT_RC(storage_put_one(1, 2), RC_IO);
        EXPECT_RC(storage_put_one(1, 3), RC_IO);
        sim_disk_fail(0, DISK_READ, nth, RC_IO, false); /* the first read is the probe's */
        storage_fiber(read_all_the_time, &stop);
        storage_fiber(heal_and_stop, &stop);
        storage_run();
        EXPECT_EQ(storage_number("SELECT count(*) FROM item WHERE writer=1"), 1);
        db_close();
        sim_stop();
    }
    EXPECT(heard_down > 3);
    log_console_level_set(LOG_WARN);
}

/* A disk that forgot what it had acknowledged: said loudly, and what is left is used. */
TEST(lost_acknowledged_rows_are_told) {
    storage_begin(&machine);
    EXPECT_OK(storage_open());
    EXPECT_OK(storage_put_one(1, 1));
    EXPECT_OK(storage_put_one(1, 2));
    log_console_level_set(LOG_ERROR + 1);
    u64 last = vfs_wal_committed_end() - 2000; /* not in the block the next commit writes */
    sim_disk_rot(0, db->volume.parts[VOLUME_WAL].first_block * 512 + last, 1);
    sim_disk_fail(0, DISK_FLUSH, 1, RC_IO, false);
    EXPECT_RC(storage_put_one(1, 3), RC_IO);
    storage_fiber(heal, NULL);
    u64 seq = log_next_seq();
    storage_run();
    char line[LOG_LINE_MAX];
    size_t n;
    bool said = false;
    for (; log_read(&seq, line, sizeof line, &n) == RC_OK; seq++)
        said |= str_find(str_of(line, n), S("lost acknowledged rows")) < n;
    EXPECT(said);
    EXPECT_EQ(storage_number("SELECT count(*) FROM item WHERE writer=1"), 1);
    db_close();
    log_console_level_set(LOG_WARN);
    sim_stop();
}

/* A page that cannot be read fails the request that wanted it, and no other. */
static void read_a_bad_page(void *arg) {
    struct db_status s;
    bool complete;
    (void)arg;
    for (u64 n = 0; n < 8; n++) EXPECT_OK(storage_put_one(1, n));
    EXPECT_OK(checkpoint_run(&complete));
    EXPECT(complete);
    size_t slots = (size_t)db->store.pages.set_count * PAGES_WAYS;
    memset(db->store.pages.holds, 0, slots * sizeof *db->store.pages.holds);
    sim_disk_fail(0, DISK_READ, 2, RC_IO, false);
    EXPECT_EQ(storage_number("SELECT count(body) FROM item"), -1);
    db_status_get(&s);
    EXPECT(!s.healthy);
    EXPECT_OK(storage_put_one(1, 100)); /* writing goes on: no write failed */
    EXPECT_EQ(storage_number("SELECT count(body) FROM item"), 9);
    heal(NULL);
}
TEST(a_bad_page_fails_one_request) {
    storage_begin(&machine);
    EXPECT_OK(storage_open());
    log_console_level_set(LOG_ERROR + 1);
    storage_fiber(read_a_bad_page, NULL);
    storage_run();
    db_close();
    log_console_level_set(LOG_WARN);
    sim_stop();
}
