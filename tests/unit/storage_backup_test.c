/* SPDX-License-Identifier: Apache-2.0 */
/* storage_backup_test.c — the database out as one file and in again: copies of one moment under
 * writers, restores that happen whole or not at all, and files that must not get in. */
#include "storage/restore.c"
#include "storage/snapshot.c"
#include "tests/storage.h"
#include <stdlib.h>

#define DISK_BYTES MIB(24)
static struct sim_options machine = {.disk_count = 1, .disk_bytes = DISK_BYTES};

static u8 *copy; /* a whole database */
static size_t copy_len;
static u64 rows_then;

static void take_copy(void *arg) {
    struct db_snapshot *s, *second;
    u64 bytes = 0, *writes_between = arg, n = 1000;
    size_t got;
    rc_t rc = RC_OK;
    copy_len = 0;
    EXPECT_OK(db_snapshot_open(&s, &bytes));
    EXPECT_EQ(db_snapshot_open(&second, &bytes), RC_CONFLICT);
    copy = realloc(copy, (size_t)bytes);
    while (!(rc = db_snapshot_read(s, copy + copy_len, LAYOUT_PAGE_BYTES, &got))) {
        copy_len += got;
        for (u64 i = 0; i < *writes_between; i++) EXPECT_OK(storage_put_one(7, n++));
    }
    EXPECT_EQ(rc, RC_NOT_FOUND);
    EXPECT_EQ(copy_len, bytes);
    db_snapshot_close(s);
}

static void put_rows(void *arg) {
    u64 n = *(u64 *)arg;
    for (u64 i = 0; i < n; i++) EXPECT_OK(storage_put_one(1, rows_then + i));
    rows_then += n;
}
static void begin_with(u64 rows) {
    storage_begin(&machine);
    EXPECT_OK(storage_open());
    rows_then = 0;
    storage_fiber(put_rows, &rows);
    storage_run();
}

struct restoring {
    const u8 *bytes;
    size_t len;
    u64 announced; /* 0: len */
    bool arm;
    rc_t rc;
    struct diag why;
};
static void restore_copy(void *arg) {
    struct restoring *x = arg;
    struct db_restore *r, *second;
    x->why = (struct diag){0};
    x->rc = db_restore_open(x->announced ? x->announced : x->len, &r, &x->why);
    if (x->rc) return;
    EXPECT_EQ(db_restore_open(LAYOUT_PAGE_BYTES, &second, &x->why), RC_CONFLICT);
    x->why = (struct diag){0};
    for (size_t at = 0; at < x->len && !x->rc; at += 5000)
        x->rc = db_restore_write(
            r, str_of((const char *)x->bytes + at, MIN((size_t)5000, x->len - at)), &x->why);
    if (!x->rc) x->rc = db_restore_check(r, &x->why);
    s64 n = 0;
    if (!x->rc) EXPECT_OK(db_restore_number(r, "SELECT count(*) FROM item WHERE writer=1", &n));
    if (x->arm) {
        EXPECT_EQ(db_restore_arm(r, S("by a test")), x->rc ? RC_INVALID : RC_OK);
    }
    db_restore_close(r);
}
static rc_t restore(const u8 *bytes, size_t len, bool arm, struct diag *why) {
    struct restoring x = {.bytes = bytes, .len = len, .arm = arm};
    storage_fiber(restore_copy, &x);
    storage_run();
    if (why) *why = x.why;
    return x.rc;
}
static void close_db(void *arg) {
    (void)arg;
    db_close();
}
static void stop(void) {
    storage_fiber(close_db, NULL);
    storage_run();
}
static s64 seen;
static void look(void *arg) { seen = storage_number(arg); }
static s64 number(const char *sql) {
    storage_fiber(look, (void *)(uintptr_t)sql);
    storage_run();
    return seen;
}
#define ROWS_OF_1 "SELECT count(*) FROM item WHERE writer=1"
#define ROWS_OF_7 "SELECT count(*) FROM item WHERE writer=7"

TEST(a_copy_shows_one_moment_and_comes_back) {
    u64 one = 1, more = 40;
    char note[64] = "";
    begin_with(300);
    storage_fiber(take_copy, &one);
    storage_run();
    EXPECT(number(ROWS_OF_7) > 40); /* written while it was taken, not in it */
    storage_fiber(put_rows, &more);
    storage_run();
    EXPECT_EQ(number(ROWS_OF_1), 340);
    EXPECT(!db_restored(note, sizeof note));
    EXPECT_OK(restore(copy, copy_len, false, NULL)); /* a look changes nothing */
    stop();
    EXPECT_OK(storage_open());
    EXPECT_EQ(number(ROWS_OF_1), 340);

    EXPECT_OK(restore(copy, copy_len, true, NULL));
    EXPECT_EQ(number(ROWS_OF_1), 340); /* not before the stop */
    stop();
    EXPECT_OK(storage_open());
    EXPECT_EQ(number(ROWS_OF_1), 300);
    EXPECT_EQ(number(ROWS_OF_7), 0);
    EXPECT(db_restored(note, sizeof note));
    EXPECT_STR(str_from_c(note), S("by a test"));
    EXPECT_OK(db_restored_forget());
    u64 ten = 10;
    rows_then = 5000;
    storage_fiber(put_rows, &ten);
    storage_run();
    stop();
    EXPECT_OK(storage_open()); /* once is enough */
    EXPECT(!db_restored(note, sizeof note));
    EXPECT_EQ(number(ROWS_OF_1), 310);
    stop();
}

/* Every write and flush on the way may be the last one before the lights go out. */
TEST(a_restore_happens_whole_or_not_at_all) {
    u64 none = 0, more = 40;
    begin_with(200);
    storage_fiber(take_copy, &none);
    storage_run();
    storage_fiber(put_rows, &more);
    storage_run();
    EXPECT_OK(restore(copy, copy_len, true, NULL));
    stop();
    u8 *armed = malloc(DISK_BYTES);
    memcpy(armed, sim_disk_bytes(0), DISK_BYTES);
    u32 failed = 0;
    bool all = false;
    for (int verb = DISK_WRITE; verb <= DISK_FLUSH; verb++, all = false) {
        for (u64 nth = 1; !all && nth < 200; nth++) {
            sim_disk_load(0, armed);
            sim_disk_fail(0, (enum disk_verb)verb, nth, RC_IO, true);
            rc_t rc = storage_open();
            sim_disk_fail(0, (enum disk_verb)verb, 0, RC_OK, false);
            failed += rc != RC_OK;
            all = rc == RC_OK;
            if (!rc) stop();
            EXPECT_OK(storage_open());
            EXPECT_EQ(number(ROWS_OF_1), 200);
            stop();
        }
        EXPECT(all);
    }
    EXPECT(failed > 5);
    free(armed);
}

TEST(a_mark_that_is_not_whole_counts_for_nothing) {
    u64 none = 0, more = 40;
    begin_with(200);
    storage_fiber(take_copy, &none);
    storage_run();
    storage_fiber(put_rows, &more);
    storage_run();
    EXPECT_OK(restore(copy, copy_len, true, NULL));
    stop();
    u8 *mark = sim_disk_bytes(0) + LAYOUT_ALIGN_BYTES + LAYOUT_RESTORE_AT;
    EXPECT_EQ(memcmp(mark, LAYOUT_RESTORE_MAGIC, 8), 0);
    mark[100] ^= 1;
    EXPECT_OK(storage_open());
    EXPECT_EQ(number(ROWS_OF_1), 240);
    stop();
}

static void say_newer(void *arg) {
    (void)arg;
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, "INSERT INTO schema_version VALUES('test', 9, '')"));
    EXPECT_OK(db_write_end(t, RC_OK));
}
static void add_trigger(void *arg) {
    (void)arg;
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, "DELETE FROM schema_version WHERE version=9"));
    EXPECT_OK(db_run(t, "CREATE TRIGGER mine AFTER INSERT ON item BEGIN DELETE FROM item; END"));
    EXPECT_OK(db_write_end(t, RC_OK));
}
static void drop_trigger(void *arg) {
    (void)arg;
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, "DROP TRIGGER mine"));
    EXPECT_OK(db_write_end(t, RC_OK));
}

TEST(what_is_not_a_sound_backup_does_not_get_in) {
    u64 none = 0;
    struct diag why;
    begin_with(400);
    storage_fiber(take_copy, &none);
    storage_run();
    u8 *bad = malloc(copy_len + LAYOUT_PAGE_BYTES);
    EXPECT_EQ(restore(copy, copy_len - 1, true, &why), RC_INVALID);
    EXPECT_EQ(restore(copy, copy_len - LAYOUT_PAGE_BYTES, true, &why), RC_INVALID);
    EXPECT(strstr(why.text, "not whole"));
    EXPECT_EQ(restore(copy, 0, true, &why), RC_INVALID);
    memset(bad, 'x', copy_len);
    EXPECT_EQ(restore(bad, copy_len, true, &why), RC_INVALID);
    EXPECT(strstr(why.text, "not a SQLite database"));
    memcpy(bad, copy, copy_len);
    bad[16] = 2; /* pages of 512 bytes */
    EXPECT_EQ(restore(bad, copy_len, true, &why), RC_INVALID);
    u32 refused = 0;
    for (size_t page = 1; page < copy_len / LAYOUT_PAGE_BYTES; page += 7) {
        memcpy(bad, copy, copy_len);
        memset(bad + page * LAYOUT_PAGE_BYTES, 0xA5, 64);
        refused += restore(bad, copy_len, true, &why) != RC_OK;
    }
    EXPECT(refused >= copy_len / LAYOUT_PAGE_BYTES / 7);
    struct restoring announced = {.bytes = copy, .len = copy_len,
                                  .announced = copy_len - LAYOUT_PAGE_BYTES};
    storage_fiber(restore_copy, &announced);
    storage_run();
    EXPECT_EQ(announced.rc, RC_INVALID);
    announced.announced = copy_len + LAYOUT_PAGE_BYTES;
    storage_fiber(restore_copy, &announced);
    storage_run();
    EXPECT_EQ(announced.rc, RC_INVALID);
    announced.announced = DISK_BYTES / LAYOUT_PAGE_BYTES * LAYOUT_PAGE_BYTES;
    storage_fiber(restore_copy, &announced);
    storage_run();
    EXPECT_EQ(announced.rc, RC_FULL);

    storage_fiber(say_newer, NULL);
    storage_run();
    storage_fiber(take_copy, &none);
    storage_run();
    storage_fiber(add_trigger, NULL);
    storage_run();
    EXPECT_EQ(restore(copy, copy_len, true, &why), RC_CONFLICT);
    EXPECT(strstr(why.text, "newer program"));
    storage_fiber(take_copy, &none);
    storage_run();
    storage_fiber(drop_trigger, NULL);
    storage_run();
    EXPECT_EQ(restore(copy, copy_len, true, &why), RC_INVALID);
    EXPECT(strstr(why.text, "not ours: mine"));
    stop();
    EXPECT_OK(storage_open());
    EXPECT_EQ(number(ROWS_OF_1), 400);
    stop();
    free(bad);
}

/* A taker who does not take: the log fills, and the writers win. */
static rc_t slow_rc;
static void take_slowly(void *arg) {
    struct db_snapshot *s;
    static u8 page[LAYOUT_PAGE_BYTES];
    u64 bytes;
    size_t got;
    bool *written = arg;
    EXPECT_OK(db_snapshot_open(&s, &bytes));
    EXPECT_OK(db_snapshot_read(s, page, sizeof page, &got));
    while (!*written) fiber_sleep_ms(1);
    slow_rc = db_snapshot_read(s, page, sizeof page, &got);
    db_snapshot_close(s);
}
static void write_much(void *arg) {
    fiber_sleep_ms(5);
    for (u64 i = 0; i < 6000; i++) EXPECT_OK(storage_put_one(3, i));
    *(bool *)arg = true;
}
TEST(a_copy_gives_way_to_writers) {
    bool written = false;
    begin_with(50);
    storage_fiber(take_slowly, &written);
    storage_fiber(write_much, &written);
    storage_run();
    EXPECT_EQ(slow_rc, RC_LIMIT);
    struct db_status status;
    db_status_get(&status);
    EXPECT(status.healthy && !status.full);
    stop();
}

TEST(a_stop_does_not_wait_for_a_copy) {
    bool written = false;
    begin_with(50);
    storage_fiber(take_slowly, &written);
    storage_fiber(close_db, NULL);
    u64 before = platform_clock_ns();
    for (int i = 0; i < 50; i++) {
        static struct timer stopper;
        timer_init(&stopper, storage_loop_stop, NULL);
        EXPECT_OK(timer_start_after_ms(&stopper, 1));
        loop_run();
    }
    written = true;
    storage_run();
    EXPECT_EQ(slow_rc, RC_LIMIT);
    EXPECT(platform_clock_ns() - before < 5 * NS_PER_S);
}
