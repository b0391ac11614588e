/* SPDX-License-Identifier: Apache-2.0 */
/* reader.c — the pool of reading connections: one snapshot each, never waiting for the writer.
 *
 * A connection is opened when all others are busy for the first time, so that a quiet machine pays
 * for one. Whoever finds none free waits in line.
 * Always true: a busy reader is inside BEGIN ... COMMIT and belongs to one fiber. */
#include "kernel/platform.h"
#include "storage/db_impl.h"

static struct reader *reader_free(void) {
    struct reader *unopened = NULL;
    for (u32 i = 0; i < db->reader_count; i++) {
        struct reader *r = &db->readers[i];
        if (r->busy) continue;
        if (r->c.handle) return r;
        if (!unopened) unopened = r;
    }
    return unopened;
}

void readers_wake(void) { wait_queue_wake_all(&db->readers_waiting); }

static rc_t reader_wait(u64 deadline_ns) {
    if (!fiber_inside()) return RC_AGAIN;
    if (db->readers_waiting.count >= DB_WAIT_MAX) return RC_LIMIT;
    db->counts.busy_waits++;
    return wait_queue_wait(&db->readers_waiting, deadline_ns);
}

static void reader_put(struct reader *r) {
    r->busy = false;
    wait_queue_wake_one(&db->readers_waiting);
}

rc_t db_read_begin(struct db_txn **out) {
    struct reader *r = NULL;
    u64 deadline = platform_clock_ns() + (u64)DB_WAIT_MS * NS_PER_MS;
    *out = NULL;
    while (db->open && !db->down && (db->paused || !(r = reader_free()))) {
        rc_t rc = reader_wait(deadline);
        if (rc) return rc;
    }
    if (!db->open) return RC_CLOSED;
    if (db->down) return RC_IO;
    r->busy = true;
    rc_t rc = RC_OK;
    if (!r->c.handle) rc = connection_open(&r->c, db->cache_kib_reader, db->statements_max, NULL);
    if (!rc) {
        r->c.lost = RC_OK;
        rc = connection_fixed(&r->c, FIXED_BEGIN);
    }
    if (rc) {
        reader_put(r);
        return rc;
    }
    db->counts.reads++;
    r->txn = (struct db_txn){.c = &r->c};
    *out = &r->txn;
    return RC_OK;
}

void db_read_end(struct db_txn *t) {
    struct reader *r = CONTAINER_OF(t, struct reader, txn);
    CHECK(!t->writer);
    CHECK(r->busy);
    connection_rows_close(t->c);
    if (!sqlite3_get_autocommit(t->c->handle)) {
        rc_t rc = connection_fixed(t->c, FIXED_COMMIT);
        if (rc && !sqlite3_get_autocommit(t->c->handle))
            rc = connection_fixed(t->c, FIXED_ROLLBACK);
        if (rc) db->counts.errors++;
    }
    reader_put(r);
}
