/* SPDX-License-Identifier: Apache-2.0 */
/* index.c — the search index follows the documents, a moment behind.
 *
 *    commit -> search_index_later -> a quiet moment
 *        -> batch: texts read | stems made | one write -> next batch
 *    search -> search_index_catch_up: batches until all that was committed before the search is in
 *
 * Entering a text into a full-text index costs a quarter of storing it, alone as much again: so
 * writers are answered first, and their words follow together when nobody has written for a while,
 * when many wait, or when somebody searches.
 *
 * What is missing is on the disk, in no queue: documents numbered above the highest in the index,
 * and those in policy_stale, which the change of an older document's content enters in its own
 * transaction. So a power cut loses nothing, and the first search after it finds everything.
 *
 * Always true: no document up to the highest number in the index is missing there, unless it is in
 * policy_stale with its version; stems are made outside the write, and enter only if the
 * document is still what they were made of; one batch runs at a time; a search sees what was
 * acknowledged before it began, or fails. */
#include "app/policies/policies_impl.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/core/timer.h"
#include "kernel/core/worker.h"

enum {
    BATCH_DOCUMENTS = 64,
    BATCH_BYTES = 128 << 10, /* of text; one document may be longer */
    BATCH_MEMORY = 4 << 20,
    STEMS_ON_LOOP = 2048, /* bytes of text: about 50 us */
    QUIET_MS = 1000,      /* without a new document: then there is time for the index ... */
    WAITING_MAX = 2000,   /* ... or when so many wait: a search must not wait long for its answer */
    RETRY_MS = 5000,
};

static struct {
    struct timer timer;
    struct fiber_mutex batch;
    /* Commits with new content so far, and how many of them were found in the index. The first is
     * whatever was there before this start. */
    u64 asked, done;
    bool started, running;
} state;

/* ---- What is missing ------------------------------------------------------------------------- */

struct entry {
    s64 num, version;
    bool stale;   /* the index has older words of it; these come first */
    bool current; /* as of the write */
    str id;
    enum language language;
    str texts[4]; /* title, summary, body, tags; later their stems */
};
struct batch {
    struct arena arena;
    struct entry entries[BATCH_DOCUMENTS];
    u32 count;
    size_t bytes;
    bool whole; /* nothing else is missing */
    rc_t rc;    /* of the stems */
};

static bool batch_full(const struct batch *b) {
    return b->count == BATCH_DOCUMENTS || b->bytes >= BATCH_BYTES;
}

static rc_t entry_read(struct batch *b, struct db_rows *r, bool stale) {
    struct entry *e = &b->entries[b->count];
    *e = (struct entry){.num = db_column_int(r, 0), .version = db_column_int(r, 1), .stale = stale};
    e->id = arena_copy(&b->arena, db_column_text(r, 2));
    e->language = str_eq(db_column_text(r, 3), S("fr")) ? FRENCH : ENGLISH;
    if (!e->id.ptr) return RC_NO_MEMORY;
    for (int i = 0; i < (int)ARRAY_LEN(e->texts); i++) {
        e->texts[i] = arena_copy(&b->arena, db_column_text(r, 4 + i));
        if (!e->texts[i].ptr) return RC_NO_MEMORY;
        b->bytes += e->texts[i].len;
    }
    b->count++;
    return RC_OK;
}

static rc_t entries_read(struct batch *b, struct db_txn *t, const char *sql, s64 highest,
                         bool stale) {
    struct db_rows *r = NULL;
    rc_t rc = batch_full(b) ? RC_OK : db_query(t, &r, sql, DB_INT(highest));
    while (rc == RC_OK && !batch_full(b) && (rc = db_next(r)) == RC_OK)
        rc = entry_read(b, r, stale);
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t highest_get(struct db_txn *t, s64 *out) {
    struct db_rows *r = NULL;
    *out = 0;
    rc_t rc = db_query(t, &r, "SELECT rowid FROM policy_fts ORDER BY rowid DESC LIMIT 1");
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out = db_column_int(r, 0);
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

#define ENTRY "SELECT p.num,p.version,p.id,p.language,p.title,p.summary,p.body,p.tags FROM "
static rc_t batch_read(struct batch *b) {
    struct db_txn *t;
    s64 highest;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = highest_get(t, &highest);
    if (rc == RC_OK)
        rc = entries_read(
            b, t,
            ENTRY "policy_stale s JOIN policy p ON p.num=s.num WHERE s.num<=?1 ORDER BY s.num",
            highest, true);
    if (rc == RC_OK)
        rc = entries_read(b, t, ENTRY "policy p WHERE p.num>?1 ORDER BY p.num", highest, false);
    db_read_end(t);
    b->whole = !batch_full(b);
    return rc;
}

/* ---- Stems ----------------------------------------------------------------------------------- */

static void make_stems(void *arg) {
    struct batch *b = arg;
    struct buf stems;
    buf_open(&stems, 3 * BODY_MAX);
    for (u32 i = 0; i < b->count && b->rc == RC_OK; i++)
        for (size_t n = 0; n < ARRAY_LEN(b->entries[i].texts) && b->rc == RC_OK; n++) {
            struct entry *e = &b->entries[i];
            buf_clear(&stems);
            b->rc = text_stem(e->language, e->texts[n], &stems);
            if (b->rc == RC_OK) e->texts[n] = arena_copy(&b->arena, buf_str(&stems));
            if (!e->texts[n].ptr) b->rc = RC_NO_MEMORY;
        }
    buf_close(&stems);
}

static rc_t batch_stems(struct batch *b) {
    rc_t rc = RC_OK;
    if (b->bytes <= STEMS_ON_LOOP) make_stems(b);
    else rc = worker_run(make_stems, b);
    return rc ? rc : b->rc;
}

/* ---- The write ------------------------------------------------------------------------------- */

/* Is the document still what the stems were made of? If not, it is stale with a newer version, or
 * gone. The new ones are neighbours, so one statement asks for all of them. */
static bool is_entry(struct db_rows *r, const struct entry *e) {
    return db_column_int(r, 0) == e->num && db_column_int(r, 1) == e->version &&
           str_eq(db_column_text(r, 2), e->id);
}
static rc_t batch_compare(struct batch *b, struct db_txn *t) {
    struct db_rows *r = NULL;
    u32 i = 0;
    rc_t rc = RC_OK;
    for (; i < b->count && b->entries[i].stale && rc == RC_OK; i++) {
        rc = db_query(t, &r, "SELECT num,version,id FROM policy WHERE num=?1",
                      DB_INT(b->entries[i].num));
        if (rc == RC_OK) rc = db_next(r);
        b->entries[i].current = rc == RC_OK && is_entry(r, &b->entries[i]);
        if (rc == RC_NOT_FOUND) rc = RC_OK;
        db_done(r);
        r = NULL;
    }
    if (rc || i == b->count) return rc;
    rc = db_query(t, &r,
                  "SELECT num,version,id FROM policy WHERE num BETWEEN ?1 AND ?2 ORDER BY num",
                  DB_INT(b->entries[i].num), DB_INT(b->entries[b->count - 1].num));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        while (i < b->count && b->entries[i].num < db_column_int(r, 0)) i++;
        if (i < b->count) b->entries[i].current = is_entry(r, &b->entries[i]);
    }
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* INSERT ... SELECT could compare in the same statement, but SQLite sets a savepoint for it, at
 * which FTS5 writes out what it has gathered: then a batch would cost what its documents cost
 * alone. */
static rc_t entry_write(struct db_txn *t, const struct entry *e) {
    rc_t rc = RC_OK;
    if (!e->current) return RC_OK;
    if (e->stale) {
        rc = db_run(t, "DELETE FROM policy_stale WHERE num=?1", DB_INT(e->num));
        if (rc == RC_OK) rc = db_run(t, "DELETE FROM policy_fts WHERE rowid=?1", DB_INT(e->num));
        if (rc) return rc;
    }
    return db_run(t, "INSERT INTO policy_fts(rowid,title,summary,body,tags) VALUES(?1,?2,?3,?4,?5)",
                  DB_INT(e->num), DB_TEXT(e->texts[0]), DB_TEXT(e->texts[1]), DB_TEXT(e->texts[2]),
                  DB_TEXT(e->texts[3]));
}

static rc_t batch_write(struct batch *b) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = db_use_reserve(t); /* on a full disk what is there must still be found */
    if (rc == RC_OK) rc = batch_compare(b, t);
    for (u32 i = 0; i < b->count && rc == RC_OK; i++) rc = entry_write(t, &b->entries[i]);
    return db_write_end(t, rc);
}

static rc_t batch_run(bool *out_whole) {
    struct batch *b = memory_zero(MEMORY_SERVICES, sizeof *b);
    if (!b) return RC_NO_MEMORY;
    arena_open(&b->arena, NULL, 0, BATCH_MEMORY);
    rc_t rc = batch_read(b);
    if (rc == RC_OK && b->count) {
        rc = batch_stems(b);
        if (rc == RC_OK) rc = batch_write(b);
    }
    *out_whole = b->whole;
    arena_close(&b->arena);
    memory_free(MEMORY_SERVICES, b);
    return rc;
}

/* ---- When ------------------------------------------------------------------------------------ */

/* Until the commits counted in `upto` are in the index. Each batch reads a snapshot made after
 * `asked` was, so what it leaves out was not counted. */
static rc_t follow(u64 upto) {
    rc_t rc = fiber_mutex_lock(&state.batch, UINT64_MAX);
    while (rc == RC_OK && state.done < upto) {
        u64 asked = state.asked;
        bool whole = false;
        rc = batch_run(&whole);
        if (rc == RC_OK && whole) state.done = asked;
    }
    fiber_mutex_unlock(&state.batch);
    return rc;
}

static void follow_fiber(void *arg) {
    (void)arg;
    rc_t rc = follow(state.asked);
    state.running = false;
    if (rc)
        log_warn("policies", "the search index lags behind; trying again", "rc=%s", rc_name(rc));
    if (state.started && state.done < state.asked && !timer_waiting(&state.timer))
        rc = timer_start_after_ms(&state.timer, rc ? RETRY_MS : QUIET_MS);
}

static void on_timer(void *arg) {
    (void)arg;
    if (state.running) return;
    state.running = true;
    if (fiber_start("policy index", follow_fiber, NULL, NULL)) state.running = false;
}

void search_index_later(void) {
    state.asked++;
    if (!state.started || state.running) return;
    if (state.asked - state.done >= WAITING_MAX) on_timer(NULL);
    /* Without a timer the next search or the next commit makes up for it. */
    else (void)!!timer_start_after_ms(&state.timer, QUIET_MS);
}

rc_t search_index_catch_up(void) {
    return state.done < state.asked ? follow(state.asked) : RC_OK;
}

rc_t search_index_stale(struct db_txn *t, const struct policy *p) {
    return db_run(t, "INSERT OR REPLACE INTO policy_stale(num,version) VALUES(?1,?2)",
                  DB_INT(p->num), DB_INT(p->version));
}

rc_t search_index_drop(struct db_txn *t, const struct policy *p) {
    rc_t rc = db_run(t, "DELETE FROM policy_stale WHERE num=?1", DB_INT(p->num));
    return rc ? rc : db_run(t, "DELETE FROM policy_fts WHERE rowid=?1", DB_INT(p->num));
}

rc_t search_index_start(struct diag *why) {
    (void)why;
    timer_init(&state.timer, on_timer, NULL);
    state.started = true;
    search_index_later(); /* what a stop or a power cut left */
    return RC_OK;
}

/* What is missing stays missing until the next start: the documents themselves say so. */
void search_index_stop(void) {
    state.started = false;
    timer_stop(&state.timer);
}
