/* SPDX-License-Identifier: Apache-2.0 */
/* db.h — statements, rows, transactions: SQLite on the volume's partitions, for fibers.
 *
 * Readers never wait for the writer. Writers are let in one at a time; those that finish while a
 * commit is being made durable share the next one: one flush for all of them (group commit).
 * db_write_commit returns only when the flush has: an answer sent after it is durable.
 *
 *   struct db_txn *t;
 *   if ((rc = db_write_begin(&t))) return rc;
 *   rc = db_run(t, "UPDATE user SET name=?1 WHERE id=?2", DB_TEXT(name), DB_TEXT(id));
 *   return db_write_end(t, rc);         // commits, or takes back what failed
 *
 * Between begin and commit only db calls may park. SQL text is constant; every value is bound.
 * SQLITE_BUSY never leaves this file. */
#pragma once
#include "kernel/base/base.h"
#include "kernel/base/arena.h"
#include "storage/volume.h"

struct db_txn;   /* a reader's snapshot or a writer's turn */
struct db_rows;  /* a running statement */

struct db_schema { /* numbered migrations of one module, run in order at boot, once each */
    const char *module;
    /* SQL; steps[0] makes version 1; NULL-ended; never edited, only added */
    const char *const *steps;
};

rc_t db_open(const struct volume *v, const struct db_schema *const *schemas, struct diag *why);
void db_close(void); /* checkpoint, then a clean stop: the partition is a plain SQLite file */

/* Parks for a free reader. RC_LIMIT: DB_WAIT_MAX wait already: 503. RC_IO after the disk failed. */
rc_t db_read_begin(struct db_txn **out);
void db_read_end(struct db_txn *t);
rc_t db_write_begin(struct db_txn **out);
rc_t db_write_commit(struct db_txn *t); /* RC_FULL RC_IO: nothing of t remains */
void db_write_rollback(struct db_txn *t);
/* Ends t as its work went: commits when rc is RC_OK, else takes it back and returns rc. */
rc_t db_write_end(struct db_txn *t, rc_t rc);
/* Lets t use the last part of a full disk, which is kept for statements that delete. */
rc_t db_use_reserve(struct db_txn *t);
/* Changes whenever something that was written is taken back or the database is opened anew: what a
 * writer remembered of uncommitted rows is then no longer true. */
u64 db_undone(void);

/* Values for parameters ?1.. in order. */
enum db_kind { DB_KIND_END, DB_KIND_NULL, DB_KIND_INT, DB_KIND_REAL, DB_KIND_TEXT, DB_KIND_BLOB };
struct db_value {
    enum db_kind kind;
    s64 integer;
    double real;
    str bytes;
};
#define DB_NULL ((struct db_value){DB_KIND_NULL, 0, 0, {NULL, 0}})
#define DB_INT(n) ((struct db_value){DB_KIND_INT, (s64)(n), 0, {NULL, 0}})
#define DB_REAL(n) ((struct db_value){DB_KIND_REAL, 0, (n), {NULL, 0}})
#define DB_TEXT(s) ((struct db_value){DB_KIND_TEXT, 0, 0, (s)})
#define DB_BLOB(s) ((struct db_value){DB_KIND_BLOB, 0, 0, (s)})

/* Runs a statement that gives no rows (or whose rows do not matter). RC_CONFLICT: a UNIQUE, CHECK
 * or foreign key constraint; RC_FULL; RC_IO; RC_NO_MEMORY; RC_TIMEOUT (query deadline);
 * RC_LIMIT. */
#define db_run(t, sql, ...)                                                                        \
    db_run_values(                                                                                 \
        t, sql,                                                                                    \
        (const struct db_value[]){__VA_ARGS__ __VA_OPT__(, ){DB_KIND_END, 0, 0, {NULL, 0}}})
rc_t db_run_values(struct db_txn *t, const char *sql, const struct db_value *values);
s64 db_changes(struct db_txn *t); /* rows changed by the last db_run */
s64 db_last_id(struct db_txn *t);

/* Rows. Column bytes live until the next db_next or db_done; copy what you keep. Nothing is copied
 * on the way in either: bytes given as values must live until db_done. At most 8 at once. */
#define db_query(t, out, sql, ...)                                                                 \
    db_query_values(                                                                               \
        t, out, sql,                                                                               \
        (const struct db_value[]){__VA_ARGS__ __VA_OPT__(, ){DB_KIND_END, 0, 0, {NULL, 0}}})
rc_t db_query_values(struct db_txn *t, struct db_rows **out, const char *sql,
                     const struct db_value *values);
rc_t db_next(struct db_rows *r); /* RC_OK: a row; RC_NOT_FOUND: no more; else an error */
s64 db_column_int(struct db_rows *r, int column);
double db_column_real(struct db_rows *r, int column);
str db_column_text(struct db_rows *r, int column); /* NULL gives ptr NULL; blobs as bytes */
bool db_column_null(struct db_rows *r, int column);
void db_done(struct db_rows *r); /* always, also after an error; NULL is fine */
const char *db_error_text(struct db_txn *t); /* of the last failure, for logs */
/* What a running statement cost since db_cost_begin; db_cost_add adds to what is there. */
struct db_cost {
    u64 steps, scanned, sorts; /* of SQLite's machine; rows of tables gone through; sorts */
    u64 spent_ns;
};
void db_cost_begin(struct db_rows *r);
void db_cost_add(struct db_rows *r, struct db_cost *io);
/* A statement of this writer's transaction may take this long: building an index does. */
void db_patience(struct db_txn *t, u64 ms);

/* The statement cache is keyed by the SQL's pointer first, its text second. A query whose SQL is
 * assembled (filters) uses the same calls; its text must come from constants only. */

/* State, for health and metrics. `healthy` falls with the first device error and rises again after
 * a write probe succeeded; while it is down writes answer RC_IO at once. */
struct db_status {
    bool open, healthy, full;
    bool sealed; /* the disk is encrypted */
    u64 pages, page_bytes, free_pages, wal_frames, wal_frames_max, bytes_max;
    u64 commits, groups, rollbacks, checkpoints, reads, busy_waits, slow_queries, errors;
    u64 statements_hit, statements_miss, flush_us_total;
    u64 damaged; /* reads of pages that were not as they were written */
    s64 schema_version;
};
void db_status_get(struct db_status *out); /* and has the disk tried, every 5 s at most */
/* PRAGMA integrity_check and foreign_key_check, parking often; "ok" or the findings. */
rc_t db_integrity_check(struct arena *a, str *out_report);
