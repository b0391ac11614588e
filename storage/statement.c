/* SPDX-License-Identifier: Apache-2.0 */
/* statement.c — prepared statements kept per connection, values in, rows out.
 *
 *   SQL text's address -> guess, compared with the kept text -> hit
 *                      -> hash of the text -> bucket -> hit, or prepared and kept; the least
 *                         recently used goes when there are too many or memory is short
 *
 * Values are bound without copies (the caller's bytes outlive the call; for rows: until db_done),
 * and all of a statement's parameters are bound each time, so none is left from an earlier use.
 *
 * Always true: a kept statement that is not busy is reset; a busy one is never dropped, and the
 * same text asked for meanwhile gets a statement of its own. */
#include "kernel/base/log.h"
#include "kernel/core/memory.h"
#include "storage/db_impl.h"

/* ---- The cache ------------------------------------------------------------------------------- */

static u32 text_hash(const char *sql) { return (u32)str_hash(str_from_c(sql), 0x5851F42D4C957F2D); }

/* Each query asks this once. Eight bytes at a time wherever the texts lie: a library's strcmp may
 * go byte by byte unless both are aligned, and literals are not. */
static bool text_is(const struct statement *s, const char *sql) {
    size_t n = strlen(sql), i = 0;
    if (n != s->sql_len) return false;
    for (; i + 8 <= n; i += 8) {
        u64 a, b;
        memcpy(&a, s->sql + i, 8);
        memcpy(&b, sql + i, 8);
        if (a != b) return false;
    }
    while (i < n && s->sql[i] == sql[i]) i++;
    return i == n;
}

static u32 guess_of(const char *sql) {
    return (u32)(((uintptr_t)sql * 0x9E3779B97F4A7C15ull) >> 57) & (STATEMENT_GUESSES - 1);
}

static void unlink_use(struct statement_cache *cache, struct statement *s) {
    if (s->newer) s->newer->older = s->older;
    else cache->newest = s->older;
    if (s->older) s->older->newer = s->newer;
    else cache->oldest = s->newer;
    s->newer = s->older = NULL;
}

static void link_newest(struct statement_cache *cache, struct statement *s) {
    s->older = cache->newest;
    s->newer = NULL;
    if (cache->newest) cache->newest->newer = s;
    else cache->oldest = s;
    cache->newest = s;
}

static void statement_drop(struct statement_cache *cache, struct statement *s) {
    CHECK(!s->busy);
    unlink_use(cache, s);
    struct statement **at = &cache->buckets[s->hash % STATEMENT_BUCKETS];
    while (*at != s) at = &(*at)->chain;
    *at = s->chain;
    for (u32 i = 0; i < STATEMENT_GUESSES; i++)
        if (cache->guesses[i] == s) cache->guesses[i] = NULL;
    cache->count--;
    sqlite3_finalize(s->handle);
    memory_free(MEMORY_SQL, s);
}

/* False: nothing left that could go. */
static bool drop_oldest(struct statement_cache *cache) {
    struct statement *s = cache->oldest;
    while (s && s->busy) s = s->newer;
    if (s) statement_drop(cache, s);
    return s != NULL;
}

void statement_cache_close(struct statement_cache *cache) {
    while (drop_oldest(cache)) {}
    CHECK(cache->count == 0);
}

static struct statement *find(struct statement_cache *cache, const char *sql, u32 *out_hash) {
    struct statement **guess = &cache->guesses[guess_of(sql)];
    if (*guess && !(*guess)->busy && text_is(*guess, sql)) return *guess;
    *out_hash = text_hash(sql);
    struct statement *s = cache->buckets[*out_hash % STATEMENT_BUCKETS];
    while (s && (s->hash != *out_hash || s->busy || !text_is(s, sql))) s = s->chain;
    if (s) *guess = s;
    return s;
}

/* Memory short of a statement is made by dropping others. */
static rc_t prepare(struct connection *c, const char *sql, sqlite3_stmt **out) {
    int code;
    do {
        code = sqlite3_prepare_v3(c->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
    } while (rc_from_sqlite(code) == RC_NO_MEMORY && drop_oldest(&c->cache));
    return code ? connection_error(c, code) : RC_OK;
}

static rc_t acquire(struct connection *c, const char *sql, struct statement **out) {
    struct statement_cache *cache = &c->cache;
    u32 hash = 0;
    struct statement *s = find(cache, sql, &hash);
    if (s) {
        db->counts.statements_hit++;
        if (cache->newest != s) {
            unlink_use(cache, s);
            link_newest(cache, s);
        }
        s->busy = true;
        *out = s;
        return RC_OK;
    }
    db->counts.statements_miss++;
    if (cache->count >= cache->max) drop_oldest(cache);
    s = memory_zero(MEMORY_SQL, sizeof *s);
    if (!s) return RC_NO_MEMORY;
    rc_t rc = prepare(c, sql, &s->handle);
    if (rc || !s->handle) {
        memory_free(MEMORY_SQL, s);
        return rc ? rc : RC_INVALID; /* no statement in the text */
    }
    s->sql = sqlite3_sql(s->handle);
    s->sql_len = strlen(s->sql);
    s->hash = hash;
    s->parameters = sqlite3_bind_parameter_count(s->handle);
    s->busy = true;
    s->kept = cache->count < cache->max;
    if (s->kept) {
        s->chain = cache->buckets[hash % STATEMENT_BUCKETS];
        cache->buckets[hash % STATEMENT_BUCKETS] = s;
        cache->guesses[guess_of(sql)] = s;
        link_newest(cache, s);
        cache->count++;
    }
    *out = s;
    return RC_OK;
}

static void release(struct statement *s) {
    sqlite3_reset(s->handle);
    s->busy = false;
    if (s->kept) return;
    sqlite3_finalize(s->handle);
    memory_free(MEMORY_SQL, s);
}

/* ---- Values ---------------------------------------------------------------------------------- */

static int bind_one(sqlite3_stmt *s, int at, const struct db_value *v) {
    /* A NULL pointer would bind NULL; an empty text is a text. */
    const char *bytes = v->bytes.ptr ? v->bytes.ptr : "";
    switch (v->kind) {
    case DB_KIND_INT: return sqlite3_bind_int64(s, at, v->integer);
    case DB_KIND_REAL: return sqlite3_bind_double(s, at, v->real);
    case DB_KIND_TEXT:
        return sqlite3_bind_text64(s, at, bytes, v->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
    case DB_KIND_BLOB: return sqlite3_bind_blob64(s, at, bytes, v->bytes.len, SQLITE_STATIC);
    case DB_KIND_NULL:
    case DB_KIND_END: break;
    }
    return sqlite3_bind_null(s, at);
}

static rc_t bind_all(struct connection *c, struct statement *s, const struct db_value *values) {
    int n = 0;
    for (; values[n].kind != DB_KIND_END; n++) {
        int code = bind_one(s->handle, n + 1, &values[n]);
        if (code) return connection_error(c, code);
    }
    if (n == s->parameters) return RC_OK;
    log_error("storage", "a statement got the wrong number of values", "wants=%d got=%d sql=%s",
              s->parameters, n, LOGSTR(str_from_c(s->sql)));
    return RC_INVALID;
}

/* ---- Running --------------------------------------------------------------------------------- */

static void note_slow(const struct statement *s, u64 spent_ns) {
    if (spent_ns < (u64)DB_SLOW_QUERY_MS * NS_PER_MS) return;
    db->counts.slow_queries++;
    log_warn("storage", "slow statement", "ms=%llu sql=%s",
             (unsigned long long)(spent_ns / NS_PER_MS), LOGSTR(str_from_c(s->sql)));
}

/* SQLite ends a transaction by itself after some errors; then nothing of it remains. */
static rc_t note_lost(struct db_txn *t, rc_t rc) {
    if (rc && !t->c->lost && sqlite3_get_autocommit(t->c->handle)) t->c->lost = rc;
    return rc;
}

rc_t db_use_reserve(struct db_txn *t) {
    if (!t->writer || db->roomy || db_pages() + 64 < db->pages_soft) return RC_OK;
    db->roomy = true;
    return db_page_limit_set(db->pages_hard);
}

static rc_t start(struct db_txn *t, const char *sql, const struct db_value *values,
                  struct statement **out) {
    if (t->c->lost) return t->c->lost;
    /* Rows that go make room: a full database must still let its content be deleted. */
    rc_t rc = (sql[0] | 32) == 'd' ? db_use_reserve(t) : RC_OK;
    if (!rc) rc = acquire(t->c, sql, out);
    if (rc) return note_lost(t, rc);
    rc = bind_all(t->c, *out, values);
    if (rc) release(*out);
    return rc;
}

rc_t db_run_values(struct db_txn *t, const char *sql, const struct db_value *values) {
    struct statement *s;
    rc_t rc = start(t, sql, values, &s);
    if (rc) return rc;
    u64 spent = 0;
    bool row = true;
    while (!rc && row) rc = connection_step(t->c, s->handle, &spent, &row);
    note_slow(s, spent);
    release(s);
    return note_lost(t, rc);
}

s64 db_changes(struct db_txn *t) { return sqlite3_changes64(t->c->handle); }
s64 db_last_id(struct db_txn *t) { return sqlite3_last_insert_rowid(t->c->handle); }
const char *db_error_text(struct db_txn *t) { return t->c->error; }
void db_patience(struct db_txn *t, u64 ms) { t->c->limit_ns = ms * NS_PER_MS; }

rc_t db_query_values(struct db_txn *t, struct db_rows **out, const char *sql,
                     const struct db_value *values) {
    struct connection *c = t->c;
    struct db_rows *r = NULL;
    for (u32 i = 0; i < DB_ROWS_MAX && !r; i++)
        if (!c->rows[i].statement) r = &c->rows[i];
    *out = NULL;
    if (!r) return RC_LIMIT;
    struct statement *s;
    rc_t rc = start(t, sql, values, &s);
    if (rc) return rc;
    *r = (struct db_rows){.c = c, .statement = s};
    *out = r;
    return RC_OK;
}

rc_t db_next(struct db_rows *r) {
    bool row = false;
    if (r->ended) return RC_NOT_FOUND;
    rc_t rc = connection_step(r->c, r->statement->handle, &r->spent_ns, &row);
    if (rc && !r->c->lost && sqlite3_get_autocommit(r->c->handle)) r->c->lost = rc;
    r->ended = rc || !row;
    return rc ? rc : row ? RC_OK : RC_NOT_FOUND;
}

static u64 take_count(struct db_rows *r, int which) {
    return (u64)sqlite3_stmt_status(r->statement->handle, which, 1);
}

void db_cost_begin(struct db_rows *r) {
    (void)take_count(r, SQLITE_STMTSTATUS_VM_STEP);
    (void)take_count(r, SQLITE_STMTSTATUS_FULLSCAN_STEP);
    (void)take_count(r, SQLITE_STMTSTATUS_SORT);
}

void db_cost_add(struct db_rows *r, struct db_cost *io) {
    io->steps += take_count(r, SQLITE_STMTSTATUS_VM_STEP);
    io->scanned += take_count(r, SQLITE_STMTSTATUS_FULLSCAN_STEP);
    io->sorts += take_count(r, SQLITE_STMTSTATUS_SORT);
    io->spent_ns += r->spent_ns;
}

void db_done(struct db_rows *r) {
    if (!r || !r->statement) return;
    note_slow(r->statement, r->spent_ns);
    release(r->statement);
    r->statement = NULL;
}

void connection_rows_close(struct connection *c) {
    for (u32 i = 0; i < DB_ROWS_MAX; i++) db_done(&c->rows[i]);
}

/* ---- Columns --------------------------------------------------------------------------------- */

s64 db_column_int(struct db_rows *r, int column) {
    return sqlite3_column_int64(r->statement->handle, column);
}
double db_column_real(struct db_rows *r, int column) {
    return sqlite3_column_double(r->statement->handle, column);
}
bool db_column_null(struct db_rows *r, int column) {
    return sqlite3_column_type(r->statement->handle, column) == SQLITE_NULL;
}

str db_column_text(struct db_rows *r, int column) {
    /* The value itself, asked three times, costs a third of asking for the column three times.
     * It is an "unprotected" one, which means something where there are threads. */
    sqlite3_value *v = sqlite3_column_value(r->statement->handle, column);
    int type = sqlite3_value_type(v);
    if (type == SQLITE_NULL) return (str){NULL, 0};
    const char *p =
        type == SQLITE_BLOB ? sqlite3_value_blob(v) : (const char *)sqlite3_value_text(v);
    int n = sqlite3_value_bytes(v);
    return p ? (str){p, (size_t)n} : (str){"", 0}; /* a blob of no bytes has no pointer */
}
