/* SPDX-License-Identifier: Apache-2.0 */
/* storage_db_test.c — the database on a simulated disk: rows survive, readers do not wait for the
 * writer, and writers that come together share a flush. */
#include "storage/db.c"
#include "tests/storage.h"
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const struct sim_options machine = {.seed = 1, .disk_count = 1, .disk_bytes = MIB(32)};

TEST(a_row_survives_a_restart) {
    storage_begin(&machine);
    REQUIRE(storage_open() == RC_OK);
    EXPECT_OK(storage_put_one(1, 1));
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 1);
    db_close();
    REQUIRE(storage_open() == RC_OK);
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 1);
    db_close();
    sim_stop();
}

static void begin(void) {
    storage_begin(&machine);
    EXPECT_OK(storage_open());
}
static void end(void) {
    db_close();
    struct memory_use use;
    memory_use_get(MEMORY_SQL, &use);
    EXPECT(use.used < KIB(64)); /* what the library itself keeps */
    sim_stop();
}

/* ---- Group commit ---------------------------------------------------------------------------- */

static u64 acked;
static void write_one(void *arg) {
    u64 n = (u64)(uintptr_t)arg;
    if (storage_put_one(n % 8, n) == RC_OK) acked++;
}

TEST(a_commit_is_one_write_and_one_flush) {
    begin();
    for (u64 n = 0; n < 5; n++) {
        struct disk_stats before, after;
        disk_stats_get(0, &before);
        storage_fiber(write_one, (void *)(uintptr_t)(n + 1));
        storage_run();
        disk_stats_get(0, &after);
        EXPECT_EQ(after.flushes - before.flushes, 1);
        EXPECT_EQ(after.writes - before.writes, 1);
        EXPECT_EQ(after.reads, before.reads);
    }
    end();
}

TEST(writers_that_come_together_share_a_flush) {
    begin();
    struct db_status before, after;
    struct disk_stats disk_before, disk_after;
    acked = 0;
    EXPECT_OK(storage_put_one(9, 9));
    db_status_get(&before);
    disk_stats_get(0, &disk_before);
    for (u64 n = 0; n < 64; n++) storage_fiber(write_one, (void *)(uintptr_t)n);
    storage_run();
    db_status_get(&after);
    disk_stats_get(0, &disk_after);
    EXPECT_EQ(acked, 64);
    EXPECT_EQ(after.commits - before.commits, 64);
    EXPECT(DB_GROUP_MAX < 32 || after.groups - before.groups <= 3);
    EXPECT_EQ(disk_after.flushes - disk_before.flushes, after.groups - before.groups);
    EXPECT(disk_after.writes - disk_before.writes <= 2 * (after.groups - before.groups));
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 65);
    end();
}

/* Every third rolls back, every fifth breaks a rule: the others of the group stay. */
static void write_or_not(void *arg) {
    u64 n = (u64)(uintptr_t)arg;
    struct db_txn *t;
    rc_t rc;
    while ((rc = db_write_begin(&t)) == RC_LIMIT) fiber_sleep_ms(1);
    EXPECT_OK(rc);
    EXPECT_OK(storage_put(t, 1, n));
    fiber_yield();
    if (n % 3 == 0) {
        db_write_rollback(t);
    } else if (n % 5 == 0) {
        EXPECT_RC(storage_put(t, 1, n), RC_CONFLICT);
        db_write_rollback(t);
    } else {
        EXPECT_OK(db_write_commit(t));
        acked++;
    }
}

TEST(who_rolls_back_leaves_the_group_unharmed) {
    begin();
    acked = 0;
    for (u64 n = 0; n < 100; n++) storage_fiber(write_or_not, (void *)(uintptr_t)n);
    storage_run();
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), acked);
    EXPECT_EQ(storage_number("SELECT count(*) FROM item WHERE n%3=0 OR n%5=0"), 0);
    EXPECT(acked > 40);
    end();
}

static u64 read_while_writing;
static bool writer_parked;
static void slow_writer(void *arg) {
    struct db_txn *t;
    (void)arg;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(storage_put(t, 1, 1));
    writer_parked = true;
    fiber_sleep_ms(50);
    writer_parked = false;
    EXPECT_OK(db_write_commit(t));
}
static void reader(void *arg) {
    (void)arg;
    while (!writer_parked) fiber_yield();
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 0); /* not committed, not seen */
    if (writer_parked) read_while_writing++;
}

TEST(readers_do_not_wait_for_the_writer) {
    begin();
    read_while_writing = 0;
    storage_fiber(slow_writer, NULL);
    u32 readers = DB_READERS + 1; /* one of them waits for another, none for the writer */
    for (u32 i = 0; i < readers; i++) storage_fiber(reader, NULL);
    storage_run();
    EXPECT_EQ(read_while_writing, readers);
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 1);
    end();
}

TEST(a_reader_keeps_its_snapshot) {
    begin();
    struct db_txn *t;
    struct db_rows *r;
    EXPECT_OK(storage_put_one(1, 1));
    EXPECT_OK(db_read_begin(&t));
    for (u32 i = 0; i < 2; i++) {
        EXPECT_OK(db_query(t, &r, "SELECT count(*) FROM item"));
        EXPECT_OK(db_next(r));
        EXPECT_EQ(db_column_int(r, 0), 1);
        EXPECT_RC(db_next(r), RC_NOT_FOUND);
        EXPECT_RC(db_next(r), RC_NOT_FOUND);
        db_done(r);
        if (i == 0) EXPECT_OK(storage_put_one(1, 2));
    }
    db_read_end(t);
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 2);
    end();
}

static bool writing;
static void read_and_linger(void *arg) {
    struct db_txn *t;
    struct db_rows *r;
    fiber_sleep_ms((u64)(uintptr_t)arg);
    while (writing) {
        EXPECT_OK(db_read_begin(&t));
        EXPECT_OK(db_query(t, &r, "SELECT count(*) FROM item"));
        EXPECT_OK(db_next(r));
        fiber_sleep_ms(4);
        db_read_end(t);
    }
}
static void write_much(void *arg) {
    u32 *longest = arg;
    for (u64 n = 0; n < 1200; n++) {
        EXPECT_OK(storage_put_one(1, n));
        *longest = MAX(*longest, vfs_wal_frames());
    }
    writing = false;
}
TEST(overlapping_readers_do_not_fill_the_log) {
    begin();
    u32 longest = 0;
    writing = true;
    storage_fiber(write_much, &longest);
    for (u32 i = 0; i < DB_READERS; i++) storage_fiber(read_and_linger, (void *)(uintptr_t)i);
    storage_run();
    EXPECT(longest >= db->log_frames && longest < db->log_frames + 30);
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 1200);
    end();
}

/* One snapshot held for long: writers go on until the log is full, are told, and recover. */
static void hold_a_snapshot(void *arg) {
    struct db_txn *t;
    struct db_rows *r;
    u64 rows = 0;
    (void)arg;
    EXPECT_OK(storage_put_one(1, 0));
    EXPECT_OK(db_read_begin(&t));
    EXPECT_OK(db_query(t, &r, "SELECT count(*) FROM item"));
    EXPECT_OK(db_next(r));
    u64 start = platform_clock_ns();
    rc_t rc = RC_OK;
    while (rows < 2000 && !rc) rc = storage_put_one(2, rows++);
    EXPECT_RC(rc, RC_FULL);
    EXPECT(platform_clock_ns() - start < 5 * NS_PER_S); /* one wait, not one for each commit */
    EXPECT(vfs_wal_frames() > wal_frames_max(&db->store.wal) / 8 * 7);
    if (DB_READERS > 1) EXPECT_EQ(storage_number("SELECT count(*) FROM item"), rows);
    db_read_end(t);
    EXPECT_OK(storage_put_one(3, 3));
    EXPECT(vfs_wal_frames() < 100); /* it has started over */
}
TEST(a_snapshot_held_too_long_fills_the_log_and_no_more) {
    begin();
    storage_fiber(hold_a_snapshot, NULL);
    storage_run();
    end();
}

static u32 refused;
static void crowd(void *arg) {
    struct db_txn *t;
    (void)arg;
    rc_t rc = db_write_begin(&t);
    if (rc) {
        EXPECT_RC(rc, RC_TIMEOUT);
        refused++;
        return;
    }
    fiber_sleep_ms(DB_WAIT_MS + 1000);
    db_write_rollback(t);
}
TEST(who_waits_too_long_is_told) {
    begin();
    refused = 0;
    storage_fiber(crowd, NULL);
    storage_fiber(crowd, NULL);
    storage_run();
    EXPECT_EQ(refused, 1);
    end();
}

/* ---- Statements and values ------------------------------------------------------------------- */

TEST(every_kind_of_value_comes_back) {
    begin();
    struct db_txn *t;
    struct db_rows *r;
    EXPECT_OK(db_read_begin(&t));
    EXPECT_OK(db_query(t, &r, "SELECT ?1, ?2, ?3, ?4, ?5, ?6", DB_INT(-7), DB_REAL(1.5),
                       DB_TEXT(S("caf\xc3\xa9")), DB_BLOB(S("a\0b")), DB_NULL,
                       DB_TEXT(((str){NULL, 0}))));
    EXPECT_OK(db_next(r));
    EXPECT_EQ(db_column_int(r, 0), -7);
    EXPECT(db_column_real(r, 1) == 1.5);
    EXPECT_STR(db_column_text(r, 2), S("caf\xc3\xa9"));
    EXPECT_STR(db_column_text(r, 3), S("a\0b"));
    EXPECT(db_column_null(r, 4));
    EXPECT(db_column_text(r, 4).ptr == NULL);
    EXPECT(!db_column_null(r, 5)); /* an empty text is not NULL */
    EXPECT_STR(db_column_text(r, 5), S(""));
    EXPECT_STR(db_column_text(r, 0), S("-7"));
    db_done(r);
    db_read_end(t);
    end();
}

TEST(wrong_sql_and_wrong_counts_are_refused) {
    begin();
    struct db_txn *t;
    struct db_rows *r;
    EXPECT_OK(db_read_begin(&t));
    EXPECT_RC(db_run(t, "SELEC 1"), RC_INVALID);
    EXPECT(strstr(db_error_text(t), "syntax"));
    EXPECT_RC(db_run(t, "SELECT ?1"), RC_INVALID);
    EXPECT_RC(db_run(t, "SELECT ?1", DB_INT(1), DB_INT(2)), RC_INVALID);
    EXPECT_RC(db_run(t, "-- nothing"), RC_INVALID);
    EXPECT_RC(db_run(t, "ATTACH 'x.db' AS x"), RC_IO); /* no such file, and no way to make one */
    struct db_rows *all[DB_ROWS_MAX];
    for (u32 i = 0; i < DB_ROWS_MAX; i++)
        EXPECT_OK(db_query(t, &all[i], "SELECT 1 UNION SELECT 2"));
    EXPECT_RC(db_query(t, &r, "SELECT 1"), RC_LIMIT);
    db_done(r);
    for (u32 i = 0; i < DB_ROWS_MAX; i++) EXPECT_OK(db_next(all[i]));
    db_read_end(t); /* closes what is open */
    end();
}

TEST(statements_are_kept_and_the_oldest_goes) {
    begin();
    struct db_txn *t;
    struct db_status s;
    EXPECT_OK(db_read_begin(&t));
    for (u32 round = 0; round < 2; round++)
        for (u32 i = 0; i < DB_STATEMENTS_MAX + 20u; i++) {
            char sql[40]; /* the same address with other text each time */
            snprintf(sql, sizeof sql, "SELECT %u", i);
            struct db_rows *r;
            EXPECT_OK(db_query(t, &r, sql));
            EXPECT_OK(db_next(r));
            EXPECT_EQ(db_column_int(r, 0), i);
            db_done(r);
        }
    db_status_get(&s);
    u64 missed = s.statements_miss;
    EXPECT(t->c->cache.count <= DB_STATEMENTS_MAX);
    for (u32 i = 0; i < 10; i++) EXPECT_OK(db_run(t, "SELECT 'kept'"));
    db_status_get(&s);
    EXPECT_EQ(s.statements_miss, missed + 1);
    db_read_end(t);
    end();
}

static void endless(void *arg) {
    struct db_txn *t;
    (void)arg;
    u64 start = platform_clock_ns();
    EXPECT_OK(db_read_begin(&t));
    t->c->limit_ns = 10 * NS_PER_US; /* a turn of the simulated clock is 1 us */
    EXPECT_RC(
        db_run(
            t,
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c) SELECT max(n) FROM c"),
        RC_TIMEOUT);
    db_read_end(t);
    u64 us = (platform_clock_ns() - start) / NS_PER_US;
    EXPECT(us >= 10 && us < 100);
}
static void ticker(void *arg) {
    u32 *ticks = arg;
    while (*ticks < 50) {
        fiber_yield();
        ++*ticks;
    }
}
TEST(an_endless_query_yields_and_ends_at_its_deadline) {
    begin();
    u32 ticks = 0;
    storage_fiber(endless, NULL);
    storage_fiber(ticker, &ticks);
    storage_run();
    EXPECT_EQ(ticks, 50);
    end();
}

/* ---- Errors ---------------------------------------------------------------------------------- */

TEST(a_broken_deferred_key_fails_its_own_commit_only) {
    static const char *const steps[] = {
        "CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p INTEGER REFERENCES p(id)"
        " DEFERRABLE INITIALLY DEFERRED);",
        NULL};
    static const struct db_schema keys = {"keys", steps};
    static const struct db_schema *const schemas[] = {&keys, NULL};
    struct volume v;
    struct db_txn *t;
    storage_begin(&machine);
    EXPECT_OK(volume_open(&v, NULL));
    EXPECT_OK(db_open(&v, schemas, NULL));
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, "INSERT INTO c VALUES(7)"));
    EXPECT_RC(db_write_commit(t), RC_CONFLICT);
    EXPECT_EQ(storage_number("SELECT count(*) FROM c"), 0);
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, "INSERT INTO c VALUES(8)"));
    EXPECT_OK(db_run(t, "INSERT INTO p VALUES(8)"));
    EXPECT_EQ(db_last_id(t), 8);
    EXPECT_EQ(db_changes(t), 1);
    EXPECT_OK(db_write_commit(t));
    end();
}

static rc_t fill_until_full(u64 *rows) {
    for (;; ++*rows) {
        rc_t rc = storage_put_one(2, *rows);
        if (rc) return rc;
    }
}
static void fill(void *arg) {
    u64 *rows = arg;
    struct db_txn *t;
    struct db_status s;
    EXPECT_RC(fill_until_full(rows), RC_FULL);
    db_status_get(&s);
    EXPECT(s.full && s.healthy);
    EXPECT_EQ(storage_number("SELECT count(*) FROM item WHERE writer=2"), *rows);
    EXPECT_OK(db_write_begin(&t)); /* deleting works, with its audit row */
    EXPECT_OK(db_run(t, "DELETE FROM item WHERE writer=2 AND n < 2000"));
    EXPECT_OK(storage_put(t, 3, 3));
    EXPECT_OK(db_write_commit(t));
    EXPECT_OK(storage_put_one(3, 4)); /* and then there is room again */
}
TEST(a_full_database_says_so_and_lets_go) {
    storage_begin(&(struct sim_options){.seed = 2, .disk_count = 1, .disk_bytes = MIB(17)});
    EXPECT_OK(storage_open());
    u64 rows = 0;
    storage_fiber(fill, &rows);
    storage_run();
    EXPECT(rows > 4000);
    char bytes[400];
    struct arena a;
    str report;
    arena_open(&a, bytes, sizeof bytes, 4096);
    EXPECT_OK(db_integrity_check(&a, &report));
    EXPECT_STR(report, S("ok"));
    arena_close(&a);
    end();
}

/* ---- Migrations ------------------------------------------------------------------------------ */

static rc_t open_with(const char *const *steps, struct diag *why) {
    const struct db_schema one = {"test", steps};
    const struct db_schema *const schemas[] = {&one, NULL};
    struct volume v;
    rc_t rc = volume_open(&v, why);
    return rc ? rc : db_open(&v, schemas, why);
}

TEST(migrations_run_once_in_order_and_fail_whole) {
    const char *const first[] = {"CREATE TABLE a(x)", NULL};
    const char *const more[] = {"CREATE TABLE a(x)",
                                "INSERT INTO a VALUES(1); INSERT INTO a VALUES(2)", NULL};
    const char *const wrong[] = {more[0], more[1],
                                 "INSERT INTO a VALUES(3); INSERT INTO nowhere VALUES(1)", NULL};
    struct diag why = {0};
    struct db_status s;
    storage_begin(&machine);
    EXPECT_OK(open_with(first, &why));
    db_close();
    EXPECT_OK(open_with(more, &why));
    EXPECT_EQ(storage_number("SELECT sum(x) FROM a"), 3);
    db_status_get(&s);
    EXPECT_EQ(s.schema_version, 2);
    db_close();
    EXPECT_RC(open_with(wrong, &why), RC_INVALID);
    EXPECT(strstr(why.text, "migration 3 of test failed") && strstr(why.text, "nowhere"));
    EXPECT_OK(open_with(more, &why));
    EXPECT_EQ(storage_number("SELECT sum(x) FROM a"), 3);
    EXPECT_EQ(storage_number("SELECT count(*) FROM schema_version WHERE applied_at LIKE '2026-%Z'"),
              2);
    db_close();
    EXPECT_RC(open_with(first, &why), RC_CONFLICT);
    EXPECT(strstr(why.text, "newer than this program"));
    sim_stop();
}

/* ---- What others may have done to it --------------------------------------------------------- */

TEST(a_database_of_another_shape_is_refused) {
    static const struct {
        u32 at;
        u8 bytes[2];
        const char *word;
    } edits[] = {{16, {0x02, 0x00}, ""},
                 {16, {0x20, 0x00}, ""},
                 {16, {0x00, 0x01}, ""},
                 {18, {0x01, 0x01}, "not in WAL mode"},
                 {20, {0x00, 0x40}, "have no sums"},
                 {0, {'X', 'X'}, "not a database"}};
    for (u32 i = 0; i < ARRAY_LEN(edits); i++) {
        struct volume v;
        struct diag why = {0};
        begin();
        for (u64 n = 0; n < 50; n++) EXPECT_OK(storage_put_one(1, n));
        db_close();
        EXPECT_OK(volume_open(&v, &why));
        u8 *page = sim_disk_bytes(0) + v.parts[VOLUME_DATABASE].first_block * v.info.block_bytes;
        memcpy(page + edits[i].at, edits[i].bytes, 2);
        page_sum_set(page);
        log_console_level_set(LOG_ERROR + 1);
        rc_t rc = db_open(&v, storage_schemas, &why);
        log_console_level_set(LOG_WARN);
        EXPECT(rc != RC_OK);
        if (!rc) db_close();
        if (!strstr(why.text, edits[i].word)) printf("%u: %s\n", i, why.text);
        EXPECT(why.text[0] && strstr(why.text, edits[i].word));
        sim_stop();
    }
}

/* ---- What Linux sees ------------------------------------------------------------------------- */

TEST(sqlite3_opens_the_partition_after_a_clean_stop) {
    begin();
    for (u64 n = 0; n < 300; n++) EXPECT_OK(storage_put_one(5, n));
    struct volume v = db->volume;
    db_close();
    char path[] = "/tmp/storage_db_test_XXXXXX", command[200], said[200] = "";
    int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    const struct volume_part_info *part = &v.parts[VOLUME_DATABASE];
    u64 bytes = part->block_count * v.info.block_bytes;
    EXPECT_EQ(pwrite(fd, sim_disk_bytes(0) + part->first_block * v.info.block_bytes, bytes, 0),
              bytes);
    close(fd);
    snprintf(command, sizeof command,
             "command -v sqlite3 >/dev/null && sqlite3 %s 'PRAGMA integrity_check; SELECT count(*) "
             "FROM item'",
             path);
    FILE *p = popen(command, "r");
    size_t n = fread(said, 1, sizeof said - 1, p);
    int status = pclose(p);
    if (n || status == 0) EXPECT_STR(str_of(said, n), S("ok\n300\n"));
    else printf("no sqlite3 here: the file was not opened by it\n");
    EXPECT(memcmp(sim_disk_bytes(0) + v.parts[VOLUME_WAL].first_block * v.info.block_bytes,
                  "\0\0\0\0", 4) == 0);
    /* And back: what sqlite3 added is there. */
    snprintf(command, sizeof command, "sqlite3 %s \"INSERT INTO item VALUES(6, 6, x'07')\"", path);
    if (n && system(command) == 0) {
        fd = open(path, O_RDONLY);
        ssize_t got =
            pread(fd, sim_disk_bytes(0) + part->first_block * v.info.block_bytes, bytes, 0);
        close(fd);
        EXPECT(got >= 4096);
        log_console_level_set(LOG_ERROR + 1); /* it set no sums: they are not ours any more */
        EXPECT(storage_open() || storage_number("SELECT count(*) FROM item") != 301);
        db_close();
        log_console_level_set(LOG_WARN);
        for (u64 at = 0; at < (u64)got; at += LAYOUT_PAGE_BYTES)
            page_sum_set(sim_disk_bytes(0) + part->first_block * v.info.block_bytes + at);
        EXPECT_OK(storage_open());
        EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 301);
        EXPECT_OK(storage_put_one(7, 7));
        db_close();
    }
    unlink(path);
    sim_stop();
}
