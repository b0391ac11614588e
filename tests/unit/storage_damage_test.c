/* SPDX-License-Identifier: Apache-2.0 */
/* storage_damage_test.c — damaged pages and logs, with SQLite itself under the sanitizers (the fuzz
 * targets leave it uninstrumented): seeded edits, a start from each, errors but never a crash. */
#include "tests/fuzz/storage_fuzz.h"
#include "tests/test.h"

static void damage(u8 *region, u32 bytes) {
    u32 edits = 1 + (u32)(test_random() % 6);
    while (edits--) {
        u64 x = test_random();
        u32 at = (u32)(x >> 8) % (bytes - 64);
        switch (x & 3) {
        case 0: region[at] ^= (u8)(1u << (x >> 40 & 7)); break;
        case 1:
            region[(at & ~4095u) + (x >> 40 & 127)] = (u8)(x >> 48);
            break; /* a page's header */
        case 2: memset(region + at, (int)(x >> 48), 1 + (x >> 40) % 60); break;
        default: /* one page over another */
            memmove(region + (at & ~4095u) % (bytes - 8192),
                    region + ((u32)(x >> 40) % (bytes - 8192) & ~4095u), 4096);
        }
    }
}

static u32 opened;
static void open_damaged(void *arg) {
    struct diag why = {0};
    (void)arg;
    rc_t rc = volume_open(&fuzz_volume, &why);
    EXPECT_OK(rc);
    rc = db_open(&fuzz_volume, fuzz_schemas, &why);
    EXPECT((rc == RC_OK) == (why.text[0] == 0));
    if (rc) return;
    opened++;
    fuzz_use(NULL);
    db_close();
}

static void end(void) {
    free(fuzz_base);
    fuzz_base = NULL;
    sim_stop();
}

/* Every other round the sums are set right again, so that what is above them meets the damage. */
static void run(bool log, u32 rounds) {
    fuzz_start(log);
    opened = 0;
    for (u32 i = 0; i < rounds; i++) {
        u8 *region = sim_disk_bytes(0) + fuzz_part(log ? VOLUME_WAL : VOLUME_DATABASE);
        sim_disk_load(0, fuzz_base);
        if (i) damage(region, 60 * 4096);
        if (!log && i % 2) fuzz_sum(region, 60 * 4096);
        fuzz_run(open_damaged, NULL);
        if (i == 0) EXPECT_EQ(opened, 1);
    }
    if (!log) EXPECT(opened > 1);
    end();
}

TEST(damaged_pages_give_errors) { run(false, 80); }
TEST(damaged_logs_give_errors) { run(true, 60); }

/* ---- One bit ----------------------------------------------------------------------------------
 */

#define ROWS 60 /* of fuzz_fill: one transaction each */

/* What reading everything gave. `rows` counts what a whole transaction wrote, nothing else. */
static struct reading {
    rc_t rc;
    bool refused, wrong; /* not opened; a row that nobody wrote */
    u32 rows;
} reading;

static rc_t read_items(struct db_txn *t) {
    struct db_rows *r;
    rc_t rc = db_query(t, &r, "SELECT item.id, name, body, n FROM item JOIN part ON item=id "
                              "ORDER BY item.id");
    while (!rc && !(rc = db_next(r))) {
        str body = db_column_text(r, 2);
        s64 i = reading.rows++;
        bool right = db_column_int(r, 0) == i && db_column_int(r, 3) == i * i &&
                     db_column_text(r, 1).len == (size_t)i + 5 && body.len == (size_t)i * 50;
        for (size_t n = 0; right && n < body.len; n++) right = body.ptr[n] == 'a' + i % 26;
        reading.wrong |= !right;
    }
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static void read_all(void *arg) {
    struct diag why = {0};
    struct db_txn *t;
    void (*between)(void) = (void (*)(void))arg;
    reading = (struct reading){0};
    if (volume_open(&fuzz_volume, &why)) return;
    reading.rc = db_open(&fuzz_volume, fuzz_schemas, &why);
    reading.refused = reading.rc != RC_OK;
    if (reading.rc) return;
    if (between) between();
    if (!(reading.rc = db_read_begin(&t))) {
        reading.rc = read_items(t);
        db_read_end(t);
    }
    db_close();
}

static void flip(u64 from, u64 bytes) {
    u64 bit = test_random() % (bytes * 8);
    sim_disk_bytes(0)[from + bit / 8] ^= (u8)(1u << (bit & 7));
}

static u64 log_bytes; /* of the base's committed frames */
static void measure(void) { log_bytes = vfs_wal_committed_end(); }

TEST(a_changed_bit_of_a_page_is_never_served) {
    u32 found = 0;
    fuzz_start(false);
    for (u32 i = 0; i < 150; i++) {
        sim_disk_load(0, fuzz_base);
        flip(fuzz_part(VOLUME_DATABASE), 30 * 4096);
        fuzz_run(read_all, NULL);
        EXPECT(!reading.wrong && (reading.rc == RC_CORRUPT || reading.rows == ROWS));
        found += reading.rc == RC_CORRUPT;
    }
    EXPECT(found > 20);
    end();
}

/* Nothing follows the last commit: damage in it looks as if the power had failed before it. */
TEST(a_damaged_log_is_told_from_one_that_was_cut) {
    u32 refused = 0;
    fuzz_start(true);
    sim_disk_load(0, fuzz_base);
    fuzz_run(read_all, (void *)measure);
    EXPECT(reading.rows == ROWS && log_bytes > 60 * 4096);
    for (u32 i = 0; i < 150; i++) {
        sim_disk_load(0, fuzz_base);
        flip(fuzz_part(VOLUME_WAL), log_bytes);
        fuzz_run(read_all, NULL);
        EXPECT(!reading.wrong);
        if (reading.refused) EXPECT_RC(reading.rc, RC_CORRUPT);
        else EXPECT(reading.rows == ROWS || reading.rows == ROWS - 1);
        refused += reading.refused;
    }
    EXPECT(refused > 100);
    end();
}

/* Behind a log that is open: what it has in memory is let go, and the disk has changed, where the
 * newest frames are: older ones of the same pages are read no more. */
#define NEWEST (20u * WAL_FRAME_BYTES)
static void change_under(void) {
    struct wal *w = &db->store.wal;
    CHECK(w->dirty_from == w->dirty_to);
    w->start = w->end = w->dirty_from = w->dirty_to = 0;
    flip(fuzz_part(VOLUME_WAL) + log_bytes - NEWEST, NEWEST);
}

TEST(a_frame_that_changed_since_is_never_served) {
    u32 found = 0;
    fuzz_start(true);
    sim_disk_load(0, fuzz_base);
    fuzz_run(read_all, (void *)measure);
    for (u32 i = 0; i < 100; i++) {
        sim_disk_load(0, fuzz_base);
        fuzz_run(read_all, (void *)change_under);
        EXPECT(!reading.refused && !reading.wrong);
        EXPECT(reading.rc == RC_CORRUPT || reading.rows == ROWS);
        found += reading.rc == RC_CORRUPT;
    }
    EXPECT(found > 5);
    end();
}
