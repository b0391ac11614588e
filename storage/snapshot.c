/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.c — a consistent copy of the database, page by page, while writers go on.
 *
 *   BEGIN; SELECT data FROM sqlite_dbpage WHERE pgno = 1, 2, 3 ...; COMMIT
 *
 * The read transaction sees the pages of one moment, from the database or from the log. It also
 * keeps the log from starting over; so a copy whose taker is slower than the writers are fast would
 * fill the log in the end. Then the copy is given up, not the writers.
 *
 * Always true: the connection belongs to the snapshot alone; it is closed by whoever ends it unless
 * SQLite is at work in it, and then by that fiber as soon as it is not. */
#include "storage/backup.h"
#include "storage/db_impl.h"
#include "kernel/base/log.h"
#include "storage/sum.h"

#define SNAPSHOT_CACHE_KIB 64u

struct db_snapshot {
    struct connection c;
    sqlite3_stmt *page;
    u32 next, count;
    bool open, busy, given_up;
};
static struct db_snapshot the_snapshot;

static void shut(struct db_snapshot *s) {
    sqlite3_finalize(s->page);
    s->page = NULL;
    connection_close(&s->c); /* its transaction ends with it */
}

bool snapshot_running(void) { return the_snapshot.c.handle != NULL; }

void snapshot_give_up(const char *why) {
    struct db_snapshot *s = &the_snapshot;
    if (!s->open || s->given_up) return;
    log_warn("storage", "a backup was given up", "why=%s page=%u of=%u", why, s->next, s->count);
    s->given_up = true;
    if (!s->busy) shut(s);
}

static rc_t begin(struct db_snapshot *s) {
    s64 pages = 0;
    rc_t rc = connection_open(&s->c, SNAPSHOT_CACHE_KIB, 1, NULL);
    if (rc) return rc;
    s->c.limit_ns = 0;
    rc = connection_fixed(&s->c, FIXED_BEGIN);
    if (!rc) rc = connection_number(&s->c, "PRAGMA page_count", &pages);
    if (rc) return rc;
    s->count = (u32)pages;
    s->next = 1;
    int code = sqlite3_prepare_v3(s->c.handle, "SELECT data FROM sqlite_dbpage WHERE pgno=?1", -1,
                                  SQLITE_PREPARE_PERSISTENT, &s->page, NULL);
    return code ? connection_error(&s->c, code) : RC_OK;
}

rc_t db_snapshot_open(struct db_snapshot **out, u64 *out_bytes) {
    struct db_snapshot *s = &the_snapshot;
    *out = NULL;
    if (!db->open || db->stopping) return RC_CLOSED;
    if (db->down || db->paused) return RC_IO;
    if (s->open) return RC_CONFLICT;
    *s = (struct db_snapshot){.open = true, .busy = true};
    rc_t rc = begin(s);
    s->busy = false;
    if (!rc && s->given_up) rc = RC_LIMIT;
    if (rc) {
        shut(s);
        s->open = false;
        return rc;
    }
    *out = s;
    *out_bytes = (u64)s->count * LAYOUT_PAGE_BYTES;
    return RC_OK;
}

static rc_t page_read(struct db_snapshot *s, u8 *to) {
    u64 spent = 0;
    bool row = false;
    sqlite3_reset(s->page);
    sqlite3_bind_int64(s->page, 1, s->next);
    rc_t rc = connection_step(&s->c, s->page, &spent, &row);
    if (rc) return rc;
    if (!row || sqlite3_column_bytes(s->page, 0) != (int)LAYOUT_PAGE_BYTES) return RC_CORRUPT;
    const void *page = sqlite3_column_blob(s->page, 0);
    if (!page) return RC_NO_MEMORY;
    memcpy(to, page, LAYOUT_PAGE_BYTES);
    page_sum_set(to); /* out of the log it has the sum of an older one */
    s->next++;
    return RC_OK;
}

rc_t db_snapshot_read(struct db_snapshot *s, u8 *to, size_t room, size_t *got) {
    rc_t rc = RC_OK;
    *got = 0;
    if (s->given_up) return RC_LIMIT;
    if (s->next > s->count) return RC_NOT_FOUND;
    s->busy = true;
    while (!rc && !s->given_up && s->next <= s->count && room - *got >= LAYOUT_PAGE_BYTES) {
        rc = page_read(s, to + *got);
        if (!rc) *got += LAYOUT_PAGE_BYTES;
    }
    s->busy = false;
    if (s->given_up) {
        shut(s);
        return RC_LIMIT;
    }
    return rc;
}

void db_snapshot_close(struct db_snapshot *s) {
    if (!s->given_up) shut(s);
    s->open = false;
}
