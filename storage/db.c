/* SPDX-License-Identifier: Apache-2.0 */
/* db.c — the database opens, closes and says how it is.
 *
 * Memory (the budget MEMORY_SQL): a quarter for the cache below the connections (pages.c), an
 * eighth for the writer's pages, an eighth for the readers', an eighth for the log's window
 * (wal.c); the rest is schemas, statements and sorting. A machine of 64 MiB gets two readers.
 *
 * Opening: volume -> stores -> recovery by the writer's first read -> migrations. Closing: a
 * checkpoint, after which the database partition is a plain SQLite file and the log is empty. */
#include "storage/db.h"
#include "kernel/base/log.h"
#include "kernel/core/disk.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "storage/db_impl.h"
#include "storage/seal.h"
#include "storage/sum.h"

static struct db the_db;
struct db *const db = &the_db;

#define CHECKPOINT_FRAMES 1000u /* 4 MiB of log: recovery reads it in a few large pieces */
#define CLOSE_STEP_MS 5u
#define CLOSE_STEPS 2000u      /* ten seconds for those who are busy */
#define PAGES_HEADROOM_MIN 32u /* for deleting when full */

/* ---- Parts ----------------------------------------------------------------------------------- */

static size_t budget(void) {
    struct memory_use use;
    memory_use_get(MEMORY_SQL, &use);
    return use.limit;
}

rc_t db_stores_open(void) {
    size_t bytes = budget();
    db->store = (struct store){.on_error = repair_ask};
    rc_t rc = pages_open(&db->store.pages, &db->volume, MIN(bytes / 4, MIB(256)));
    if (rc) return rc;
    db->store.pages.fence = restore_fence();
    rc = wal_open(&db->store.wal, &db->volume, MIN(MAX(bytes / 8, KIB(256)), MIB(8)));
    if (rc) pages_close(&db->store.pages);
    return rc;
}

void db_stores_close(void) {
    pages_close(&db->store.pages);
    wal_close(&db->store.wal);
}

static void memory_divide(void) {
    size_t bytes = budget();
    db->reader_count = bytes >= MIB(16) ? DB_READERS : MIN((u32)DB_READERS, 2u);
    db->cache_kib_writer = (u32)(MIN(bytes / 8, MIB(64)) >> 10);
    db->cache_kib_reader = (u32)(MIN(bytes / 8, MIB(64)) / db->reader_count >> 10);
    db->statements_max = (u32)MIN((size_t)DB_STATEMENTS_MAX, bytes / KIB(64));
}

void db_bounds_set(void) {
    const struct store *s = &db->store;
    u32 reserve;
    db->pages_hard = (u32)(s->pages.at.bytes / LAYOUT_PAGE_BYTES);
    reserve = MAX(db->pages_hard / 64, PAGES_HEADROOM_MIN);
    db->pages_soft = db->pages_hard - reserve;
    /* What a checkpoint copies should still be in the log's window: read back from the disk, a
     * frame costs more than it cost to write. */
    u32 near = s->wal.window_bytes_max / 4 * 3 / WAL_FRAME_BYTES;
    db->checkpoint_frames = MIN(MIN(CHECKPOINT_FRAMES, near), wal_frames_max(&s->wal) / 4);
    db->log_frames = db->checkpoint_frames * 3;
}

static bool is_summed(void) {
    struct layout_sqlite_header h;
    bool is_short;
    return !pages_read(&db->store.pages, 0, &h, sizeof h, &is_short) && !is_short &&
           h.reserved_bytes == SUM_BYTES;
}

/* Another program may have had this database. Pages of another size would not fit what lies below,
 * and without the log there would have to be a rollback journal, for which there is no place. */
static rc_t check_shape(struct diag *why) {
    s64 page_bytes = 0;
    bool wal = false;
    rc_t rc = connection_number(&db->writer, "PRAGMA page_size", &page_bytes);
    if (!rc) rc = connection_text_is(&db->writer, "PRAGMA journal_mode", "wal", &wal);
    if (rc) {
        diag_set(why, "the database cannot be read: %s", db->writer.error);
    } else if (!is_summed()) {
        diag_set(why, "the database's pages have no sums: another program made it; restore a "
                      "backup");
        rc = RC_CORRUPT;
    } else if (page_bytes != LAYOUT_PAGE_BYTES) {
        diag_set(
            why,
            "the database has pages of %lld bytes, not %u: another program changed it; VACUUM it "
            "there with page_size %u, or restore a backup",
            (long long)page_bytes, LAYOUT_PAGE_BYTES, LAYOUT_PAGE_BYTES);
        rc = RC_CORRUPT;
    } else if (!wal) {
        diag_set(why, "the database is not in WAL mode: another program changed it; run PRAGMA "
                      "journal_mode=WAL there, or restore a backup");
        rc = RC_CORRUPT;
    }
    return rc;
}

/* Recovery takes a damaged log for one that ends there. */
static rc_t check_log(struct diag *why) {
    u32 frame = 0;
    rc_t rc = wal_look_past(&db->store.wal, vfs_wal_frames(), &frame);
    if (rc == RC_CORRUPT)
        diag_set(why, "the log is damaged at frame %u and acknowledged changes are behind it: "
                      "restore a backup onto another disk", frame);
    else if (rc)
        diag_set(why, "the log cannot be read (%s): check the disk", rc_name(rc));
    return rc;
}

rc_t db_page_limit_set(u32 pages) {
    char pragma[48];
    sqlite3_snprintf(sizeof pragma, pragma, "PRAGMA max_page_count=%u", pages);
    return connection_exec(&db->writer, pragma);
}

/* Opens the writer; its first read runs SQLite's recovery of the log. */
rc_t db_writer_open(struct diag *why) {
    s64 pages = 0;
    writer_forget();
    rc_t rc = connection_open(&db->writer, db->cache_kib_writer, db->statements_max, why);
    if (rc) return rc;
    db->writer.limit_ns = 0;
    rc = connection_number(&db->writer, "PRAGMA page_count", &pages);
    if (rc) {
        diag_set(why, "the database cannot be read: %s", db->writer.error);
        return rc;
    }
    u64 committed = vfs_wal_committed_end();
    wal_recovered(&db->store.wal, committed);
    if (committed) log_info("storage", "log recovered", "frames=%u", vfs_wal_frames());
    if ((rc = check_log(why)) || (rc = check_shape(why))) return rc;
    rc = db_page_limit_set(db->pages_soft);
    if (rc) diag_set(why, "the database cannot be used: %s", db->writer.error);
    db->writer.limit_ns = (u64)DB_QUERY_DEADLINE_MS * NS_PER_MS;
    return rc;
}

static void close_one(struct connection *c, bool checkpoint) {
    if (c->handle && !checkpoint)
        sqlite3_db_config(c->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    connection_close(c);
}

void db_connections_close(bool checkpoint) {
    for (u32 i = 0; i < DB_READERS; i++) close_one(&db->readers[i].c, false);
    close_one(&db->checkpointer, false);
    close_one(&db->writer, checkpoint); /* the last one empties the log */
}

static void on_sqlite_log(void *arg, int code, const char *text) {
    (void)arg;
    int kind = code & 0xFF;
    if (kind == SQLITE_NOTICE || kind == SQLITE_CONSTRAINT || kind == SQLITE_SCHEMA ||
        kind == SQLITE_INTERRUPT || kind == SQLITE_FULL)
        return; /* said better elsewhere, or no news */
    log_warn("storage", "SQLite says", "code=%d text=%s", code, LOGSTR(str_from_c(text)));
}

static rc_t library_start(void) {
    static_assert(SQLITE_VERSION_NUMBER >= 3051003, "older ones have the WAL-reset bug");
    static bool started;
    if (started) return RC_OK;
    rc_t rc = heap_start();
    if (!rc && sqlite3_config(SQLITE_CONFIG_LOG, on_sqlite_log, NULL)) rc = RC_INVALID;
    if (!rc && sqlite3_initialize()) rc = RC_NO_MEMORY;
    started = rc == RC_OK;
    return rc;
}

/* ---- Opening and closing --------------------------------------------------------------------- */

rc_t db_open(const struct volume *v, const struct db_schema *const *schemas, struct diag *why) {
    CHECK(!db->open);
    *db = (struct db){.volume = *v, .healthy = true};
    rc_t rc = library_start();
    if (!rc) rc = restore_finish(v, why);
    if (!rc) rc = db_stores_open();
    if (rc && !(why && why->text[0])) {
        diag_set(why, "the database's partitions cannot be read (%s): check the disk", rc_name(rc));
    }
    if (rc) return rc;
    memory_divide();
    db_bounds_set();
    rc = vfs_start(&db->store);
    if (!rc) rc = db_writer_open(why);
    if (!rc) {
        db->writer.limit_ns = 0; /* migrations may take their time */
        rc = schema_migrate(schemas, why);
        db->writer.limit_ns = (u64)DB_QUERY_DEADLINE_MS * NS_PER_MS;
    }
    if (rc) {
        db_connections_close(false);
        vfs_stop();
        db_stores_close();
        return rc;
    }
    db->open = true;
    db->watched_ns = platform_clock_ns();
    grow_watch();
    checkpoint_consider();
    return RC_OK;
}

static bool in_use(void) {
    bool busy = db->turn_taken || db->checkpointing || db->checkpoint_asked || db->watching ||
                snapshot_running() || restore_running();
    for (u32 i = 0; i < db->reader_count; i++) busy |= db->readers[i].busy;
    return busy || (db->repairing && !timer_waiting(&db->repair_timer));
}

void db_close(void) {
    if (!db->open) return;
    db->stopping = true;
    snapshot_give_up("the appliance stops");
    for (u32 i = 0; in_use() && fiber_inside() && i < CLOSE_STEPS; i++)
        fiber_sleep_ms(CLOSE_STEP_MS);
    db->open = false;
    timer_stop(&db->repair_timer);
    readers_wake();
    wait_queue_wake_all(&db->writers_waiting);
    if (in_use()) { /* a fiber that hangs in the disk: what was acknowledged is in the log */
        log_warn("storage", "stopped while the database was in use", "");
        return;
    }
    bool failed = db->store.failed != RC_OK;
    db_connections_close(!failed);
    vfs_stop();
    db_stores_close();
    writer_end();
    if (!failed) restore_commit(&db->volume);
    *db = (struct db){0};
}

u64 db_pages(void) { return MAX(db->store.pages.size / LAYOUT_PAGE_BYTES, (u64)vfs_wal_pages()); }

/* ---- State ----------------------------------------------------------------------------------- */

void db_status_get(struct db_status *out) {
    const struct store *s = &db->store;
    repair_watch();
    *out = db->counts;
    out->open = db->open;
    out->sealed = db->open && seal_on();
    out->damaged = s->damaged;
    out->healthy = db->open && db->healthy && !db->store.failed;
    out->page_bytes = LAYOUT_PAGE_BYTES;
    out->free_pages = db->free_pages;
    out->bytes_max = s->pages.at.bytes;
    out->wal_frames = vfs_wal_frames();
    out->wal_frames_max = s->wal.at.bytes ? wal_frames_max(&s->wal) : 0;
    out->pages = db_pages();
    out->full = s->full || (db->open && out->pages >= db->pages_soft && out->free_pages == 0);
    out->schema_version = db->schema_version;
}

static rc_t report_rows(struct db_txn *t, const char *sql, struct arena *a, str *io) {
    struct db_rows *r;
    rc_t rc = db_query(t, &r, sql);
    while (!rc && !(rc = db_next(r))) {
        str line = db_column_text(r, 0);
        str more = arena_printf(a, "%.*s%s%.*s", STR(*io), io->len ? "\n" : "", STR(line));
        if (!more.ptr) rc = RC_NO_MEMORY;
        else *io = more;
    }
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

rc_t db_integrity_check(struct arena *a, str *out_report) {
    struct db_txn *t;
    *out_report = S("");
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    u64 limit = t->c->limit_ns;
    t->c->limit_ns = 0;
    rc = report_rows(t, "PRAGMA integrity_check(20)", a, out_report);
    if (!rc && str_eq(*out_report, S("ok"))) {
        str keys = S("");
        rc = report_rows(t,
                         "SELECT 'row ' || coalesce(rowid, '?') || ' of ' || \"table\" || ' refers "
                         "to a missing ' || "
                         "parent FROM pragma_foreign_key_check LIMIT 20",
                         a, &keys);
        if (keys.len) *out_report = keys;
    }
    t->c->limit_ns = limit;
    db_read_end(t);
    return rc;
}
