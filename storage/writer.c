/* SPDX-License-Identifier: Apache-2.0 */
/* writer.c — the writer's turn and the group commit.
 *
 *   begin: wait for the turn -> BEGIN IMMEDIATE, or a savepoint in the group that is open
 *   commit: join the group; others wait and the group has room? -> the turn is theirs, park
 *           else -> COMMIT: one write, one flush, for all members; tell each; pass the turn
 *
 * While a commit waits for the disk it keeps the turn, so those who come meanwhile line up and make
 * the next group: under load a flush serves as many writers as arrive during the one before. Alone,
 * a writer never waits for company.
 *
 * The first of a group needs no savepoint: if it rolls back nobody else is in. An error after which
 * SQLite gives the whole transaction up (disk full, no memory, the disk itself) takes the group
 * with it: every member hears the reason, and nothing of any of them remains.
 *
 * Always true: group_open exactly when the connection is inside a transaction that is not lost;
 * members in the list have ended their part and only wait; nobody is told RC_OK before the
 * flush. */
#include "kernel/base/log.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "storage/db_impl.h"

/* ---- The turn -------------------------------------------------------------------------------- */

static rc_t turn_take(void) {
    if (!db->turn_taken) {
        db->turn_taken = true;
        return RC_OK;
    }
    CHECK(fiber_inside());
    if (db->writers_waiting.count >= DB_WAIT_MAX) return RC_LIMIT;
    db->counts.busy_waits++;
    return wait_queue_wait(&db->writers_waiting, platform_clock_ns() + (u64)DB_WAIT_MS * NS_PER_MS);
}

void writer_turn_pass(void) {
    CHECK(db->turn_taken);
    if (!wait_queue_wake_one(&db->writers_waiting)) db->turn_taken = false;
}

static struct db_txn *txn_take(void) {
    struct db_txn *t = db->free_txns;
    if (t) db->free_txns = t->next;
    else t = memory_alloc(MEMORY_SQL, sizeof *t);
    if (t) *t = (struct db_txn){.c = &db->writer, .writer = true, .fiber = fiber_self()};
    return t;
}

static void txn_give(struct db_txn *t) {
    t->next = db->free_txns;
    db->free_txns = t;
}

static u64 undone; /* never starts over: the next database is another one */
u64 db_undone(void) { return undone; }
void writer_forget(void) { undone++; }

void writer_end(void) {
    while (db->free_txns) {
        struct db_txn *t = db->free_txns;
        db->free_txns = t->next;
        memory_free(MEMORY_SQL, t);
    }
}

/* ---- The group ------------------------------------------------------------------------------- */

static void group_add(struct db_txn *t) {
    t->next = NULL;
    if (db->group_last) db->group_last->next = t;
    else db->group_first = t;
    db->group_last = t;
    db->group_count++;
}

static void group_limit_restore(void) {
    if (!db->roomy) return;
    rc_t rc = db_page_limit_set(db->pages_soft);
    db->roomy = rc != RC_OK; /* tried again after the next group */
}

/* Ends the group: nothing of it is open any more, its members know. */
static void group_end(rc_t rc) {
    struct db_txn *t = db->group_first;
    if (rc) undone++;
    db->group_first = db->group_last = NULL;
    db->group_count = 0;
    db->group_open = false;
    db->writer.lost = RC_OK;
    group_limit_restore();
    while (t) {
        struct db_txn *next = t->next; /* t is its fiber's again once it is done */
        t->rc = rc;
        t->done = true;
        if (t->fiber) fiber_wake(t->fiber);
        t = next;
    }
}

static void rollback_all(void) {
    if (sqlite3_get_autocommit(db->writer.handle)) return;
    rc_t rc = connection_fixed(&db->writer, FIXED_ROLLBACK);
    if (rc) log_error("storage", "a rollback failed", "rc=%s", rc_name(rc));
    CHECK(sqlite3_get_autocommit(db->writer.handle));
}

/* One flush for all. Keeps the turn. */
static rc_t group_commit(void) {
    u32 members = db->group_count;
    u64 start = platform_clock_ns();
    rc_t rc = connection_fixed(&db->writer, FIXED_COMMIT);
    if (rc) {
        rollback_all();
        db->counts.rollbacks += members;
    } else {
        db->counts.groups++;
        db->counts.commits += members;
        db->counts.flush_us_total += (platform_clock_ns() - start) / NS_PER_US;
    }
    group_end(rc);
    return rc;
}

static rc_t group_begin(void) {
    rc_t rc = checkpoint_make_room();
    if (!rc) rc = connection_fixed(&db->writer, FIXED_BEGIN_WRITE);
    db->group_open = rc == RC_OK;
    return rc;
}

/* What is left to do when a writer ends without having joined. */
static void leave(void) {
    if (db->group_open && db->group_count > 0 &&
        (db->writers_waiting.count == 0 || db->group_count >= DB_GROUP_MAX)) {
        rc_t rc = group_commit(); /* for those who wait; they hear it */
        if (!rc) checkpoint_consider();
    }
    writer_turn_pass();
}

/* ---- For callers ----------------------------------------------------------------------------- */

rc_t db_write_begin(struct db_txn **out) {
    *out = NULL;
    if (!db->open || restore_armed()) return RC_CLOSED;
    if (db->store.failed) return RC_IO;
    rc_t rc = turn_take();
    if (rc) return rc;
    if (!db->open) return RC_CLOSED; /* closed meanwhile: there is no turn to pass on */
    struct db_txn *t = NULL;
    if (db->store.failed || db->paused) rc = RC_IO;
    else if (!(t = txn_take())) rc = RC_NO_MEMORY;
    else if (!db->group_open) rc = group_begin();
    else if (!(rc = connection_fixed(&db->writer, FIXED_SAVEPOINT))) t->savepoint = true;
    if (rc) {
        if (t) txn_give(t);
        if (db->group_open && sqlite3_get_autocommit(db->writer.handle)) group_end(rc);
        leave();
        return rc;
    }
    db->writer.limit_ns = (u64)DB_QUERY_DEADLINE_MS * NS_PER_MS; /* db_patience was another's */
    *out = t;
    return RC_OK;
}

/* Back to where t began; the others of its group stay in. */
static void take_back(struct db_txn *t) {
    rc_t lost = db->writer.lost;
    undone++;
    if (!lost && t->savepoint) {
        lost = connection_fixed(&db->writer, FIXED_BACK_TO);
        if (!lost) lost = connection_fixed(&db->writer, FIXED_RELEASE);
    }
    db->counts.rollbacks++;
    if (!lost && t->savepoint) return;
    CHECK(lost || db->group_count == 0);
    db->counts.rollbacks += db->group_count;
    rollback_all();
    group_end(lost);
}

void db_write_rollback(struct db_txn *t) {
    CHECK(t->writer);
    CHECK(db->turn_taken);
    connection_rows_close(&db->writer);
    take_back(t);
    txn_give(t);
    leave();
}

/* Deferred foreign keys are counted for the whole transaction; those who joined left none. */
static rc_t keys_hold(void) {
    int now = 0, peak = 0;
    sqlite3_db_status(db->writer.handle, SQLITE_DBSTATUS_DEFERRED_FKS, &now, &peak, 0);
    return now ? RC_CONFLICT : RC_OK;
}

rc_t db_write_commit(struct db_txn *t) {
    CHECK(t->writer);
    CHECK(db->turn_taken);
    connection_rows_close(&db->writer);
    rc_t rc = db->writer.lost;
    if (!rc) rc = keys_hold();
    if (!rc && t->savepoint) rc = connection_fixed(&db->writer, FIXED_RELEASE);
    if (rc) {
        take_back(t);
        txn_give(t);
        leave();
        return rc;
    }
    if (db->writers_waiting.count && db->group_count + 1 < DB_GROUP_MAX) {
        group_add(t);
        writer_turn_pass();
        while (!t->done) {
            rc_t woke = fiber_park(UINT64_MAX);
            CHECK(!woke);
        }
        rc = t->rc;
    } else {
        t->fiber = NULL;
        group_add(t);
        rc = group_commit();
        if (!rc) checkpoint_consider();
        writer_turn_pass();
    }
    txn_give(t);
    return rc;
}

rc_t db_write_end(struct db_txn *t, rc_t rc) {
    if (rc == RC_OK) return db_write_commit(t);
    db_write_rollback(t);
    return rc;
}
