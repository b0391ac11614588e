/* SPDX-License-Identifier: Apache-2.0 */
/* db_impl.h — what the files behind db.h tell each other and nobody else.
 *
 *   db.c          open, close, state
 *   connection.c  one SQLite connection: settings, deadline, yielding, transactions
 *   statement.c   prepared statements, values, rows
 *   reader.c      the pool of readers
 *   writer.c      the writer's turn and the group commit
 *   checkpoint.c  moving the log into the database
 *   repair.c      after a device error
 *   schema.c      migrations
 *
 * Everything runs on the loop; state changes only where a fiber parks. */
#pragma once
#include "kernel/base/limits.h"
#include "kernel/core/fiber.h"
#include "storage/db.h"
#include "storage/store.h"
#include <sqlite3.h>

/* ---- Statements ------------------------------------------------------------------------------ */

struct statement {
    sqlite3_stmt *handle;
    const char *sql; /* the handle's own copy */
    size_t sql_len;
    u32 hash;
    int parameters;
    bool busy;  /* somebody runs it */
    bool kept;  /* in the cache; others end with their use */
    struct statement *chain;         /* same bucket */
    struct statement *newer, *older; /* by last use */
};
#define STATEMENT_BUCKETS 64u
#define STATEMENT_GUESSES 128u
struct statement_cache {
    struct statement *buckets[STATEMENT_BUCKETS]; /* by text */
    struct statement *guesses[STATEMENT_GUESSES]; /* by the text's address; checked before use */
    struct statement *newest, *oldest;
    u32 count, max;
};

struct connection;
struct db_rows {
    struct connection *c;
    struct statement *statement; /* NULL: free */
    u64 spent_ns;
    bool ended;
};
#define DB_ROWS_MAX 8u /* open at once in one transaction */

/* ---- Connections ----------------------------------------------------------------------------- */

enum fixed { FIXED_BEGIN, FIXED_BEGIN_WRITE, FIXED_COMMIT, FIXED_ROLLBACK, FIXED_SAVEPOINT,
             FIXED_RELEASE, FIXED_BACK_TO, FIXED_COUNT };
struct connection {
    sqlite3 *handle;
    sqlite3_stmt *fixed[FIXED_COUNT];
    struct statement_cache cache;
    struct db_rows rows[DB_ROWS_MAX];
    u64 limit_ns;    /* a statement may run this long; 0: for ever */
    u64 deadline_ns; /* of the statement running */
    u64 slice_ns;    /* when it last gave the loop a turn */
    u32 slice_looks; /* at the clock since then */
    rc_t lost;       /* SQLite rolled the transaction back by itself, for this reason */
    char error[160];
};
rc_t connection_open(struct connection *c, u32 cache_kib, u32 statements_max, struct diag *why);
void connection_close(struct connection *c);
rc_t connection_fixed(struct connection *c, enum fixed which);
/* After a change of the schema: SQLite would prepare them anew when they are next used, and the way
 * back must not need memory. */
void connection_fixed_forget(struct connection *c);
rc_t connection_exec(struct connection *c, const char *sql); /* any number of statements, no rows */
rc_t connection_number(struct connection *c, const char *sql, s64 *out); /* the first column */
rc_t connection_text_is(struct connection *c, const char *sql, const char *want, bool *out);
rc_t connection_step(struct connection *c, sqlite3_stmt *s, u64 *spent_ns, bool *out_row);
rc_t connection_error(struct connection *c, int code); /* keeps the text; rc_from_sqlite */
rc_t rc_from_sqlite(int code);
void statement_cache_close(struct statement_cache *cache);
void connection_rows_close(struct connection *c); /* all that a transaction left open */

/* ---- Transactions ---------------------------------------------------------------------------- */

struct db_txn {
    struct connection *c;
    bool writer, savepoint;
    /* A member of a group waiting for its commit. */
    bool done;
    rc_t rc;
    struct fiber *fiber;
    struct db_txn *next;
};

struct reader {
    struct connection c; /* c.handle NULL: not opened yet */
    struct db_txn txn;
    bool busy;
};

struct db {
    bool open;
    bool healthy; /* the disk worked when last tried */
    bool paused;  /* being opened anew: everybody waits */
    bool down;    /* could not be opened anew: no connections */
    bool stopping;
    struct volume volume;
    struct store store;
    s64 schema_version; /* migrations applied, in all */
    u32 cache_kib_writer, cache_kib_reader, statements_max;

    struct reader readers[DB_READERS];
    u32 reader_count; /* as many as the memory feeds */
    struct wait_queue readers_waiting;

    struct connection writer;
    bool turn_taken;
    struct wait_queue writers_waiting;
    bool group_open;
    u32 group_count;
    struct db_txn *group_first, *group_last;
    struct db_txn *free_txns;
    u32 pages_soft, pages_hard; /* ordinary writes and deletes stop here */
    bool roomy;                 /* the hard figure is in force until the group ends */

    struct connection checkpointer;
    bool checkpointing, checkpoint_asked;
    struct wait_queue checkpoint_waiting;
    u32 checkpoint_frames; /* so many not copied start one */
    u32 log_frames;        /* a log this long starts over before anything is added */
    u64 no_wait_until_ns;  /* a reader stays: commits go on without waiting for it */
    u32 free_pages;        /* as of the last checkpoint */

    bool repairing, watching;
    u64 watched_ns; /* when the disk was last tried because somebody asked */
    struct timer repair_timer;
    u64 cut_at; /* where acknowledged frames ended when the store failed */

    struct db_status counts;
};
extern struct db *const db;

u64 db_pages(void); /* the database's size, committed */
void db_bounds_set(void);           /* from the store's size */
rc_t db_page_limit_set(u32 pages);  /* the writer's; with its turn */
void grow_watch(void);              /* the disk's size */
rc_t db_stores_open(void);
void db_stores_close(void);
void db_connections_close(bool checkpoint); /* readers, checkpointer, writer */
rc_t db_writer_open(struct diag *why);

void readers_wake(void);
void writer_turn_pass(void); /* to the next in line */
void writer_forget(void);    /* db_undone changes */
void writer_end(void);       /* frees what writer.c keeps */

void checkpoint_consider(void);     /* after a commit: starts one if the log is long */
rc_t checkpoint_make_room(void);    /* with the writer's turn, no group open */
rc_t checkpoint_run(bool *out_complete);

void repair_ask(void); /* after a device error; does not park */
void repair_watch(void); /* somebody wants to know: tries the disk, if that is due; does not park */
rc_t repair_try(void); /* one attempt: RC_OK: healthy again */

bool snapshot_running(void);             /* a copy's transaction is open */
void snapshot_give_up(const char *why);  /* does not park; ends when its fiber is next at work */
bool restore_armed(void);                /* the database is about to go: nothing is written */
bool restore_running(void);              /* SQLite has what is staged open */
u64 restore_fence(void);                 /* in bytes; UINT64_MAX: none */
rc_t restore_finish(const struct volume *v, struct diag *why); /* before the database is opened */
void restore_commit(const struct volume *v); /* after it was closed */
rc_t connection_open_staged(struct connection *c, u32 cache_kib, struct diag *why);

rc_t schema_migrate(const struct db_schema *const *schemas, struct diag *why);
