/* SPDX-License-Identifier: Apache-2.0 */
/* restore.c — another database in the place of this one, whole or not at all.
 *
 *   | database, in use | free ...... | staged: the file that came |     the database's partition
 *   0                  pages         fence                        end
 *
 *   1 open    a fence: the database may not grow into the staged pages
 *   2 write   pages go to the disk as they come; nothing else knows of them
 *   3 check   SQLite reads them as a file that never changes: integrity, foreign keys, schema
 *   4 arm     db_close writes the mark, as its last act, and flushes
 *   5 start   with a mark: forget the log, copy, flush, note that it is done. As often as needed
 *
 * The mark is one block with a checksum: it is there or not. Staged and final pages never overlap,
 * so a copy may be cut anywhere and begun again.
 *
 * What a file may bring along is only data: tables and indexes. Triggers, views and virtual tables
 * must be word for word those of this database. */
#include "kernel/base/log.h"
#include "kernel/base/bytes.h"
#include "kernel/core/disk.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "storage/backup.h"
#include "storage/db_impl.h"
#include "storage/gpt.h"
#include "storage/seal.h"
#include "storage/sum.h"

#define RUN_BYTES (16u * LAYOUT_PAGE_BYTES)
#define RESTORE_CACHE_KIB 512u

struct db_restore {
    bool open, armed, checked;
    u64 first_page, page_count, bytes;
    u8 *run; /* RUN_BYTES; holds the last written % RUN_BYTES bytes */
    u64 written;
    struct connection c;
    char note[sizeof((struct layout_restore *)0)->note];
};
static struct db_restore the_restore;
static struct layout_restore found; /* at this start */

static rc_t pages_move(const struct store_disk *at, u64 page, u8 *bytes, size_t n, bool write) {
    u32 per_page = LAYOUT_PAGE_BYTES / at->block_bytes, count = (u32)(n / at->block_bytes);
    u64 block = at->first_block + page * per_page;
    return write ? sealed_write(at->disk, block, count, bytes)
                 : sealed_read(at->disk, block, count, bytes);
}

/* ---- Staging --------------------------------------------------------------------------------- */

bool restore_armed(void) { return the_restore.armed; }
bool restore_running(void) { return the_restore.c.handle != NULL; }

u64 restore_fence(void) {
    const struct db_restore *r = &the_restore;
    return r->open ? r->first_page * LAYOUT_PAGE_BYTES : UINT64_MAX;
}

rc_t db_restore_open(u64 bytes, struct db_restore **out, struct diag *why) {
    struct db_restore *r = &the_restore;
    *out = NULL;
    if (!db->open || db->stopping) return RC_CLOSED;
    if (r->open) {
        diag_set(why, "another restore is under way");
        return RC_CONFLICT;
    }
    u64 room = db->store.pages.at.bytes / LAYOUT_PAGE_BYTES, n = bytes / LAYOUT_PAGE_BYTES;
    if (n == 0 || bytes % LAYOUT_PAGE_BYTES) {
        diag_set(why, "a backup is whole pages of %u bytes; this has %llu bytes", LAYOUT_PAGE_BYTES,
                 (unsigned long long)bytes);
        return RC_INVALID;
    }
    u64 taken = MAX(db_pages() + db_pages() / 16 + 64, n); /* some room to grow meanwhile */
    if (n > room || room - n < taken) {
        diag_set(why, "the disk has room for a database of %llu MiB beside this one, this needs "
                      "%llu MiB: make the disk larger",
                 (unsigned long long)((room - MIN(room, taken)) * LAYOUT_PAGE_BYTES >> 20),
                 (unsigned long long)(bytes >> 20) + 1);
        return RC_FULL;
    }
    u8 *run = memory_alloc(MEMORY_SQL, RUN_BYTES);
    if (!run) return RC_NO_MEMORY;
    *r = (struct db_restore){.open = true, .first_page = room - n, .page_count = n, .bytes = bytes,
                             .run = run};
    db->store.pages.fence = restore_fence();
    *out = r;
    return RC_OK;
}

/* The first page says what this is. */
static rc_t look_at_header(const struct db_restore *r, struct diag *why) {
    struct layout_sqlite_header h;
    memcpy(&h, r->run, sizeof h);
    if (memcmp(h.magic, "SQLite format 3", 16) != 0)
        diag_set(why, "this is not a SQLite database");
    else if ((h.page_bytes[0] << 8 | h.page_bytes[1]) != LAYOUT_PAGE_BYTES ||
             h.reserved_bytes != SUM_BYTES)
        diag_set(why, "its pages are not %u bytes: it was not made by this appliance",
                 LAYOUT_PAGE_BYTES);
    else if (h.write_version != 2 || h.read_version != 2) /* it would not be opened at the start */
        diag_set(why, "it is not in WAL mode: another program changed it; run PRAGMA "
                      "journal_mode=WAL there");
    else if (be32(h.page_count) != r->page_count)
        diag_set(why, "it should have %u pages and has %llu: it is not whole", be32(h.page_count),
                 (unsigned long long)r->page_count);
    else
        return RC_OK;
    return RC_INVALID;
}

static rc_t run_write(struct db_restore *r, size_t n, struct diag *why) {
    u64 page = (r->written - n) / LAYOUT_PAGE_BYTES;
    if (page == 0) {
        rc_t rc = look_at_header(r, why);
        if (rc) return rc;
    }
    for (size_t at = 0; at < n; at += LAYOUT_PAGE_BYTES) {
        if (page_sum_right(r->run + at)) continue;
        diag_set(why, "page %llu is not as the backup had it: it is damaged or was changed",
                 (unsigned long long)(page + at / LAYOUT_PAGE_BYTES) + 1);
        return RC_CORRUPT;
    }
    rc_t rc = pages_move(&db->store.pages.at, r->first_page + page, r->run, n, true);
    if (rc) diag_set(why, "the disk took no more at byte %llu", (unsigned long long)r->written);
    return rc;
}

rc_t db_restore_write(struct db_restore *r, str bytes, struct diag *why) {
    if (bytes.len > r->bytes - r->written) {
        diag_set(why, "more bytes came than the %llu announced", (unsigned long long)r->bytes);
        return RC_INVALID;
    }
    while (bytes.len) {
        if (!db->open || db->stopping) return RC_CLOSED;
        if (db->paused || db->down) return RC_IO;
        size_t at = (size_t)(r->written % RUN_BYTES), n = MIN(bytes.len, RUN_BYTES - at);
        memcpy(r->run + at, bytes.ptr, n);
        r->written += n;
        bytes = str_skip(bytes, n);
        if (at + n < RUN_BYTES && r->written < r->bytes) continue;
        rc_t rc = run_write(r, at + n, why);
        if (rc) return rc;
    }
    return RC_OK;
}

/* For the VFS: a file that never changes. */
u64 restore_bytes(void) { return the_restore.open ? the_restore.bytes : 0; }

rc_t restore_read(u64 at, void *to, size_t n, bool *out_short) {
    struct db_restore *r = &the_restore;
    u64 page = at / LAYOUT_PAGE_BYTES, offset = at % LAYOUT_PAGE_BYTES;
    *out_short = at > r->bytes || n > r->bytes - at;
    memset(to, 0, n);
    if (*out_short) return RC_OK;
    if (offset + n > LAYOUT_PAGE_BYTES) return RC_INVALID;
    u8 *whole = memory_alloc(MEMORY_SQL, LAYOUT_PAGE_BYTES);
    if (!whole) return RC_NO_MEMORY;
    rc_t rc =
        pages_move(&db->store.pages.at, r->first_page + page, whole, LAYOUT_PAGE_BYTES, false);
    if (!rc && !page_sum_right(whole)) rc = RC_CORRUPT;
    if (!rc) memcpy(to, whole + offset, n);
    memory_free(MEMORY_SQL, whole);
    return rc;
}

/* ---- Checking -------------------------------------------------------------------------------- */

static rc_t refuse(struct diag *why, rc_t rc, const char *text) {
    if (!why->text[0]) diag_set(why, "%s", text);
    return rc;
}

static rc_t check_soundness(struct db_restore *r, struct diag *why) {
    bool sound = false;
    s64 broken = 0;
    rc_t rc = connection_text_is(&r->c, "PRAGMA integrity_check(1)", "ok", &sound);
    if (rc == RC_NO_MEMORY || rc == RC_IO) return rc;
    if (rc || !sound) return refuse(why, RC_CORRUPT, "it is damaged: its integrity check fails");
    rc = connection_number(&r->c, "SELECT count(*) FROM pragma_foreign_key_check", &broken);
    if (rc) return refuse(why, rc, "its foreign keys cannot be checked");
    if (broken)
        return refuse(why, RC_CORRUPT, "it is damaged: rows refer to rows that are missing");
    return RC_OK;
}

/* Calls see() for each row of a query of two columns on the staged database. */
static rc_t each_pair(struct db_restore *r, const char *sql,
                      rc_t (*see)(struct db_txn *live, str a, str b, struct diag *why),
                      struct db_txn *live, struct diag *why) {
    sqlite3_stmt *s = NULL;
    u64 spent = 0;
    bool row = false;
    if (sqlite3_prepare_v3(r->c.handle, sql, -1, 0, &s, NULL))
        return refuse(why, RC_INVALID, "it is not a database of this appliance");
    rc_t rc = RC_OK;
    while (!rc && !(rc = connection_step(&r->c, s, &spent, &row)) && row) {
        const char *a = (const char *)sqlite3_column_text(s, 0);
        const char *b = (const char *)sqlite3_column_text(s, 1);
        rc = a ? see(live, str_from_c(a), b ? str_from_c(b) : S(""), why) : RC_NO_MEMORY;
    }
    sqlite3_finalize(s);
    return rc;
}

static rc_t live_number(struct db_txn *live, const char *sql, str a, str b, s64 *out) {
    struct db_rows *rows = NULL;
    rc_t rc = db_query(live, &rows, sql, DB_TEXT(a), DB_TEXT(b));
    if (!rc) rc = db_next(rows);
    if (!rc) *out = db_column_int(rows, 0);
    db_done(rows);
    return rc;
}

static rc_t see_version(struct db_txn *live, str module, str version, struct diag *why) {
    s64 known = 0;
    rc_t rc =
        live_number(live,
                    "SELECT coalesce(max(version) >= CAST(?2 AS INTEGER), 0) FROM schema_version"
                    " WHERE module=?1",
                    module, version, &known);
    if (rc || known) return rc;
    diag_set(why, "it was made by a newer program (%.*s version %.*s): update this one first",
             STR(module), STR(version));
    return RC_CONFLICT;
}

/* What runs by itself must be our own. */
static rc_t see_object(struct db_txn *live, str name, str sql, struct diag *why) {
    s64 same = 0;
    rc_t rc = live_number(live, "SELECT count(*) FROM sqlite_schema WHERE name=?1 AND sql=?2", name,
                          sql, &same);
    if (rc || same) return rc;
    diag_set(why, "it holds a trigger, view or virtual table that is not ours: %.*s", STR(name));
    return RC_INVALID;
}

rc_t db_restore_check(struct db_restore *r, struct diag *why) {
    struct db_txn *live;
    if (r->written != r->bytes) {
        diag_set(why, "%llu of %llu bytes came", (unsigned long long)r->written,
                 (unsigned long long)r->bytes);
        return RC_INVALID;
    }
    rc_t rc = disk_flush(db->store.pages.at.disk);
    if (rc) return rc;
    rc = connection_open_staged(&r->c, RESTORE_CACHE_KIB, why);
    if (rc) return rc;
    r->c.limit_ns = 0;
    rc = check_soundness(r, why);
    if (rc || (rc = db_read_begin(&live))) return rc;
    rc = each_pair(r, "SELECT module, max(version) FROM schema_version GROUP BY module",
                   see_version, live, why);
    if (!rc)
        rc =
            each_pair(r,
                      "SELECT name, sql FROM sqlite_schema WHERE type IN ('trigger','view') OR sql "
                      "LIKE 'CREATE VIRTUAL%'",
                      see_object, live, why);
    db_read_end(live);
    r->checked = rc == RC_OK;
    return rc;
}

rc_t db_restore_number(struct db_restore *r, const char *sql, s64 *out) {
    if (!r->checked) return RC_INVALID;
    r->c.limit_ns = (u64)DB_QUERY_DEADLINE_MS * NS_PER_MS;
    return connection_number(&r->c, sql, out);
}

/* ---- Taking its place ------------------------------------------------------------------------ */

rc_t db_restore_arm(struct db_restore *r, str note) {
    if (!r->checked) return RC_INVALID;
    memset(r->note, 0, sizeof r->note);
    memcpy(r->note, note.ptr, MIN(note.len, sizeof r->note - 1));
    r->armed = true;
    return RC_OK;
}

void db_restore_close(struct db_restore *r) {
    connection_close(&r->c);
    if (r->armed) return;
    memory_free(MEMORY_SQL, r->run);
    *r = (struct db_restore){0};
    db->store.pages.fence = UINT64_MAX;
}

static rc_t mark_move(const struct volume *v, u8 *page, bool write) {
    u32 count = LAYOUT_PAGE_BYTES / v->info.block_bytes;
    u64 block = v->parts[VOLUME_CRASH].first_block + LAYOUT_RESTORE_AT / v->info.block_bytes;
    if (!write) return disk_read(v->disk, block, count, page);
    rc_t rc = disk_write(v->disk, block, count, page);
    return rc ? rc : disk_flush(v->disk);
}

static u32 mark_crc(struct layout_restore mark) {
    mark.crc = 0;
    return gpt_crc32(0, &mark, sizeof mark);
}

static rc_t mark_write(const struct volume *v, struct layout_restore *mark) {
    u8 *page = memory_zero(MEMORY_SQL, LAYOUT_PAGE_BYTES);
    if (!page) return RC_NO_MEMORY;
    if (mark) {
        mark->crc = mark_crc(*mark);
        memcpy(page, mark, sizeof *mark);
    }
    rc_t rc = mark_move(v, page, true);
    memory_free(MEMORY_SQL, page);
    return rc;
}

void restore_commit(const struct volume *v) {
    struct db_restore *r = &the_restore;
    struct layout_restore mark = {.state = LAYOUT_RESTORE_WAITING,
                                  .first_page = r->first_page,
                                  .page_count = r->page_count};
    if (!r->armed) return;
    memcpy(mark.magic, LAYOUT_RESTORE_MAGIC, sizeof mark.magic);
    memcpy(mark.note, r->note, sizeof mark.note);
    rc_t rc = mark_write(v, &mark);
    if (rc) log_error("storage", "the restore does not happen", "rc=%s", rc_name(rc));
    r->armed = false;
    db_restore_close(r);
}

static rc_t copy_staged(const struct store_disk *at, const struct layout_restore *mark) {
    u8 *run = memory_alloc(MEMORY_SQL, RUN_BYTES);
    if (!run) return RC_NO_MEMORY;
    rc_t rc = RC_OK;
    for (u64 page = 0; page < mark->page_count && !rc; page += RUN_BYTES / LAYOUT_PAGE_BYTES) {
        u64 n = MIN(mark->page_count - page, (u64)RUN_BYTES / LAYOUT_PAGE_BYTES);
        size_t bytes = (size_t)n * LAYOUT_PAGE_BYTES;
        rc = pages_move(at, mark->first_page + page, run, bytes, false);
        if (!rc) rc = pages_move(at, page, run, bytes, true);
    }
    memory_free(MEMORY_SQL, run);
    return rc ? rc : disk_flush(at->disk);
}

static rc_t replace(const struct volume *v, struct layout_restore *mark) {
    struct pages pages;
    struct wal wal;
    rc_t rc = pages_open(&pages, v, 0);
    if (rc) return rc;
    struct store_disk at = pages.at;
    pages_close(&pages);
    u64 room = at.bytes / LAYOUT_PAGE_BYTES;
    if (mark->first_page > room || mark->page_count > room - mark->first_page ||
        mark->page_count > mark->first_page || mark->page_count == 0)
        return RC_CORRUPT;
    if ((rc = wal_open(&wal, v, 0))) return rc;
    rc = wal_forget(&wal);
    wal_close(&wal);
    if (!rc) rc = copy_staged(&at, mark);
    mark->state = LAYOUT_RESTORE_DONE;
    return rc ? rc : mark_write(v, mark);
}

rc_t restore_finish(const struct volume *v, struct diag *why) {
    struct layout_restore mark;
    found = (struct layout_restore){0};
    u8 *page = memory_alloc(MEMORY_SQL, LAYOUT_PAGE_BYTES);
    if (!page) return RC_NO_MEMORY;
    rc_t rc = mark_move(v, page, false);
    memcpy(&mark, page, sizeof mark);
    memory_free(MEMORY_SQL, page);
    if (rc || memcmp(mark.magic, LAYOUT_RESTORE_MAGIC, sizeof mark.magic) != 0 ||
        mark.crc != mark_crc(mark))
        return rc;
    if (mark.state == LAYOUT_RESTORE_WAITING) {
        log_warn("storage", "a backup takes the database's place", "pages=%llu",
                 (unsigned long long)mark.page_count);
        rc = replace(v, &mark);
    }
    if (rc) diag_set(why, "the backup could not be put in place (%s); the next start tries again",
                     rc_name(rc));
    else found = mark;
    return rc;
}

bool db_restored(char *note, size_t room) {
    if (!found.state) return false;
    size_t n = MIN(strnlen(found.note, sizeof found.note), room - 1);
    memcpy(note, found.note, n);
    note[n] = 0;
    return true;
}

rc_t db_restored_forget(void) {
    if (!found.state) return RC_OK;
    rc_t rc = mark_write(&db->volume, NULL);
    if (!rc) found.state = 0;
    return rc;
}
