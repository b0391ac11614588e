/* SPDX-License-Identifier: Apache-2.0 */
/* connection.c — one SQLite connection and how it behaves on the loop.
 *
 * Every PROGRESS_OPS instructions of SQLite's machine the progress handler looks at the clock: past
 * the statement's deadline it interrupts, and when a slice of the loop is used up it yields. Time
 * spent waiting for the disk counts towards the deadline; time a caller spends between two rows
 * does not.
 *
 * Always true: a connection is used by one fiber at a time (its owner in reader.c, writer.c or
 * checkpoint.c); foreign result codes end here, in rc_from_sqlite. */
#include "kernel/base/log.h"
#include "kernel/platform.h"
#include "storage/db_impl.h"
#include <stdio.h>

#define PROGRESS_OPS 500
#define SLICE_LOOKS_MAX 16u /* also when the clock stands still, as a simulated one does */

static const char *const fixed_sql[FIXED_COUNT] = {
    [FIXED_BEGIN] = "BEGIN",
    [FIXED_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [FIXED_COMMIT] = "COMMIT",
    [FIXED_ROLLBACK] = "ROLLBACK",
    [FIXED_SAVEPOINT] = "SAVEPOINT member",
    [FIXED_RELEASE] = "RELEASE member",
    [FIXED_BACK_TO] = "ROLLBACK TO member",
};

rc_t rc_from_sqlite(int code) {
    if (code == SQLITE_IOERR_NOMEM) return RC_NO_MEMORY;
    if (code == SQLITE_IOERR_CORRUPTFS || code == SQLITE_IOERR_DATA) return RC_CORRUPT;
    switch (code & 0xFF) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return RC_OK;
    case SQLITE_CONSTRAINT: return RC_CONFLICT;
    case SQLITE_FULL: return RC_FULL;
    case SQLITE_NOMEM: return RC_NO_MEMORY;
    case SQLITE_INTERRUPT: return RC_TIMEOUT;
    case SQLITE_TOOBIG: return RC_LIMIT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return RC_CORRUPT;
    case SQLITE_IOERR:
    case SQLITE_PROTOCOL:
    case SQLITE_BUSY:
    case SQLITE_CANTOPEN: return RC_IO;
    case SQLITE_READONLY: return RC_DENIED;
    default: return RC_INVALID; /* the SQL is wrong: a defect of ours */
    }
}

rc_t connection_error(struct connection *c, int code) {
    rc_t rc = rc_from_sqlite(code);
    snprintf(c->error, sizeof c->error, "%s",
             c->handle ? sqlite3_errmsg(c->handle) : sqlite3_errstr(code));
    if (rc == RC_CONFLICT || rc == RC_TIMEOUT || rc == RC_FULL)
        return rc; /* the caller's to tell */
    db->counts.errors++;
    log_error("storage", "a statement failed", "code=%d rc=%s text=%s", code, rc_name(rc),
              LOGSTR(str_from_c(c->error)));
    return rc;
}

/* ---- Running --------------------------------------------------------------------------------- */

static int on_progress(void *arg) {
    struct connection *c = arg;
    u64 now = platform_clock_ns();
    if (now >= c->deadline_ns) return 1;
    bool used_up = now - c->slice_ns >= (u64)LOOP_SLICE_US * NS_PER_US / 2;
    if (!used_up && ++c->slice_looks < SLICE_LOOKS_MAX) return 0;
    if (fiber_inside()) fiber_yield();
    c->slice_ns = platform_clock_ns();
    c->slice_looks = 0;
    return 0;
}

rc_t connection_step(struct connection *c, sqlite3_stmt *s, u64 *spent_ns, bool *out_row) {
    u64 start = platform_clock_ns();
    c->slice_ns = start;
    c->deadline_ns = UINT64_MAX;
    if (c->limit_ns)
        c->deadline_ns = start + (*spent_ns < c->limit_ns ? c->limit_ns - *spent_ns : 0);
    int code = sqlite3_step(s);
    *spent_ns += platform_clock_ns() - start;
    *out_row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? RC_OK : connection_error(c, code);
}

static rc_t fixed_ready(struct connection *c, enum fixed which) {
    sqlite3_stmt **s = &c->fixed[which];
    if (*s) return RC_OK;
    int code =
        sqlite3_prepare_v3(c->handle, fixed_sql[which], -1, SQLITE_PREPARE_PERSISTENT, s, NULL);
    return code ? connection_error(c, code) : RC_OK;
}

/* The way back is there before the first step: without memory nothing begins that cannot end. */
static rc_t fixed_ready_both_ways(struct connection *c, enum fixed which) {
    rc_t rc = fixed_ready(c, which);
    if (!rc && (which == FIXED_BEGIN || which == FIXED_BEGIN_WRITE)) {
        rc = fixed_ready(c, FIXED_COMMIT);
        if (!rc) rc = fixed_ready(c, FIXED_ROLLBACK);
    }
    if (!rc && which == FIXED_SAVEPOINT) {
        rc = fixed_ready(c, FIXED_RELEASE);
        if (!rc) rc = fixed_ready(c, FIXED_BACK_TO);
    }
    return rc;
}

rc_t connection_fixed(struct connection *c, enum fixed which) {
    sqlite3_stmt **s = &c->fixed[which];
    u64 saved = c->limit_ns, spent = 0;
    bool row;
    rc_t rc = fixed_ready_both_ways(c, which);
    if (rc) return rc;
    c->limit_ns = 0; /* a commit is never interrupted */
    rc = connection_step(c, *s, &spent, &row);
    c->limit_ns = saved;
    sqlite3_reset(*s);
    return rc;
}

void connection_fixed_forget(struct connection *c) {
    for (u32 i = 0; i < FIXED_COUNT; i++) {
        sqlite3_finalize(c->fixed[i]);
        c->fixed[i] = NULL;
    }
}

rc_t connection_exec(struct connection *c, const char *sql) {
    c->slice_ns = platform_clock_ns();
    c->deadline_ns = c->limit_ns ? c->slice_ns + c->limit_ns : UINT64_MAX;
    int code = sqlite3_exec(c->handle, sql, NULL, NULL, NULL);
    return code ? connection_error(c, code) : RC_OK;
}

rc_t connection_number(struct connection *c, const char *sql, s64 *out) {
    sqlite3_stmt *s = NULL;
    u64 spent = 0;
    bool row = false;
    int code = sqlite3_prepare_v3(c->handle, sql, -1, 0, &s, NULL);
    if (code) return connection_error(c, code);
    rc_t rc = connection_step(c, s, &spent, &row);
    if (!rc && row) *out = sqlite3_column_int64(s, 0);
    if (!rc && !row) rc = RC_NOT_FOUND;
    sqlite3_finalize(s);
    return rc;
}

rc_t connection_text_is(struct connection *c, const char *sql, const char *want, bool *out) {
    sqlite3_stmt *s = NULL;
    u64 spent = 0;
    bool row = false;
    int code = sqlite3_prepare_v3(c->handle, sql, -1, 0, &s, NULL);
    if (code) return connection_error(c, code);
    rc_t rc = connection_step(c, s, &spent, &row);
    const char *text = !rc && row ? (const char *)sqlite3_column_text(s, 0) : NULL;
    *out = text && strcmp(text, want) == 0;
    sqlite3_finalize(s);
    return rc;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int configure(struct connection *c, u32 cache_kib) {
    char sql[64];
    sqlite3_extended_result_codes(c->handle, 1);
    sqlite3_progress_handler(c->handle, PROGRESS_OPS, on_progress, c);
    sqlite3_db_config(c->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(c->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* A large transaction stays in memory as long as it can: spilled pages are written twice. */
    snprintf(sql, sizeof sql, "PRAGMA cache_size=-%u", cache_kib);
    return sqlite3_exec(c->handle, sql, NULL, NULL, NULL);
}

static rc_t open_file(struct connection *c, const char *name, int flags, u32 cache_kib,
                      u32 statements_max, struct diag *why) {
    *c = (struct connection){.limit_ns = (u64)DB_QUERY_DEADLINE_MS * NS_PER_MS,
                             .deadline_ns = UINT64_MAX,
                             .cache = {.max = statements_max}};
    int code = sqlite3_open_v2(name, &c->handle, flags | SQLITE_OPEN_NOMUTEX, VFS_NAME);
    if (!code) code = configure(c, cache_kib);
    if (!code) return RC_OK;
    rc_t rc = connection_error(c, code);
    diag_set(why, "the database does not open: %s", c->error);
    connection_close(c);
    return rc;
}

rc_t connection_open(struct connection *c, u32 cache_kib, u32 statements_max, struct diag *why) {
    return open_file(c, VFS_DATABASE_NAME, SQLITE_OPEN_READWRITE, cache_kib, statements_max, why);
}

/* A stranger's file: read only, and every cell looked at before it is believed. */
rc_t connection_open_staged(struct connection *c, u32 cache_kib, struct diag *why) {
    rc_t rc = open_file(c, VFS_STAGED_NAME, SQLITE_OPEN_READONLY, cache_kib, 1, why);
    if (!rc) rc = connection_exec(c, "PRAGMA cell_size_check=ON");
    return rc;
}

void connection_close(struct connection *c) {
    if (!c->handle) return;
    connection_rows_close(c);
    statement_cache_close(&c->cache);
    connection_fixed_forget(c);
    c->deadline_ns = UINT64_MAX;
    int code = sqlite3_close(c->handle);
    CHECK(code == SQLITE_OK); /* BUSY would mean a statement that is not ours */
    *c = (struct connection){0};
}
