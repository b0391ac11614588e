/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c — what a definition is in the database.
 *
 *   d7              STRICT; a column per field. A dropped field's column stays, empty: dropping it
 *                   would write every row anew while nobody else can write
 *   d7_f3, d7_x4    indexes of one field, of several
 *   d7_fts          words of the searched fields
 *
 * From one definition to the next: what is no more goes first, then what is new comes, so that a
 * name is free before it is taken. All of it in the transaction that changes the definition. */
#include "app/data/draft.h"

/* ---- Tables ---------------------------------------------------------------------------------- */

static rc_t run_parts(struct db_txn *t, const char *const *parts, const str *names,
                      struct db_value v) {
    struct sql s;
    sql_open(&s);
    for (u32 i = 0; parts[i]; i++) {
        sql_put(&s, parts[i]);
        if (names[i].ptr) sql_put_name(&s, names[i]);
    }
    if (v.kind != DB_KIND_END) sql_bind(&s, v);
    rc_t rc = sql_run(&s, t);
    sql_close(&s);
    return rc;
}
#define RUN(t, v, ...)                                                                             \
    run_parts_of(t, v, (const struct part[]){__VA_ARGS__ __VA_OPT__(, ){NULL, {NULL, 0}}})
struct part {
    const char *text;
    str name;
};
#define NO_VALUE ((struct db_value){.kind = DB_KIND_END})
static rc_t run_parts_of(struct db_txn *t, struct db_value v, const struct part *parts) {
    const char *texts[12];
    str names[12];
    u32 n = 0;
    for (; parts[n].text; n++) texts[n] = parts[n].text, names[n] = parts[n].name;
    texts[n] = NULL;
    return run_parts(t, texts, names, v);
}

/* No REFERENCES: write.c keeps relations, and a dropped field's column must not hold on to a table.
 */
static void put_column(struct sql *s, const struct field *f) {
    sql_put_name(s, f->column);
    sql_put(s, " ");
    sql_put(s, field_column_type(f->type));
}

static bool wants_index(const struct field *f) {
    return f->unique || f->indexed || f->type == FIELD_RELATION; /* a delete looks for referrers */
}

static rc_t make_field_index(struct db_txn *t, const struct collection *c, const struct field *f) {
    if (!wants_index(f)) return RC_OK;
    return RUN(t, NO_VALUE, {f->unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ", c->table},
               {"_", f->column}, {" ON ", c->table}, {"(", f->column}, {")", {0}});
}

static rc_t drop_field_index(struct db_txn *t, const struct collection *c, const struct field *f) {
    if (!wants_index(f)) return RC_OK;
    return RUN(t, NO_VALUE, {"DROP INDEX ", c->table}, {"_", f->column});
}

static rc_t make_index(struct db_txn *t, const struct collection *c, const struct index *x) {
    struct sql s;
    sql_open(&s);
    sql_put(&s, x->unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ");
    sql_put_name(&s, c->table);
    sql_put(&s, "_x");
    sql_put_number(&s, x->key);
    sql_put(&s, " ON ");
    sql_put_name(&s, c->table);
    for (u32 i = 0; i < x->count; i++) {
        sql_put(&s, i ? "," : "(");
        sql_put_name(&s, c->fields[x->fields[i]].column);
    }
    sql_put(&s, ")");
    rc_t rc = sql_run(&s, t);
    sql_close(&s);
    return rc;
}

static rc_t drop_index_table(struct db_txn *t, const struct collection *c, const struct index *x) {
    struct sql s;
    sql_open(&s);
    sql_put(&s, "DROP INDEX ");
    sql_put_name(&s, c->table);
    sql_put(&s, "_x");
    sql_put_number(&s, x->key);
    rc_t rc = sql_run(&s, t);
    sql_close(&s);
    return rc;
}

static void put_words(struct sql *s, const struct collection *c, const char *first,
                      bool as_columns) {
    sql_put(s, first);
    bool any = false;
    for (u32 i = 0; i < c->field_count; i++) {
        if (!c->fields[i].search) continue;
        if (any) sql_put(s, ",");
        any = true;
        if (as_columns) {
            sql_put_name(s, c->fields[i].column);
        } else {
            sql_put(s, "t");
            sql_put_number(s, c->fields[i].key);
        }
    }
}

static rc_t make_words(struct db_txn *t, const struct collection *c, bool fill) {
    struct sql s;
    if (!c->searched) return RC_OK;
    sql_open(&s);
    sql_put(&s, "CREATE VIRTUAL TABLE ");
    sql_put_name(&s, c->table);
    put_words(&s, c, "_fts USING fts5(", false);
    sql_put(&s, ",content='',contentless_delete=1,"
                "tokenize=\"unicode61 remove_diacritics 2\")");
    rc_t rc = sql_run(&s, t);
    sql_close(&s);
    if (rc || !fill) return rc;
    sql_open(&s);
    sql_put(&s, "INSERT INTO ");
    sql_put_name(&s, c->table);
    put_words(&s, c, "_fts(rowid,", false);
    put_words(&s, c, ") SELECT num,", true);
    sql_put(&s, " FROM ");
    sql_put_name(&s, c->table);
    rc = sql_run(&s, t);
    sql_close(&s);
    return rc;
}

rc_t tables_make(struct db_txn *t, const struct collection *c) {
    struct sql s;
    rc_t rc = changes_make_table(t);
    sql_open(&s);
    sql_put(&s, "CREATE TABLE ");
    sql_put_name(&s, c->table);
    sql_put(&s, "(num INTEGER PRIMARY KEY,id TEXT NOT NULL UNIQUE,version INTEGER NOT NULL,"
                "org_id TEXT NOT NULL,owner_id TEXT NOT NULL,created_ns INTEGER NOT NULL,"
                "updated_ns INTEGER NOT NULL");
    for (u32 i = 0; i < c->field_count; i++) {
        sql_put(&s, ",");
        put_column(&s, &c->fields[i]);
    }
    sql_put(&s, ") STRICT");
    if (!rc) rc = sql_run(&s, t);
    sql_close(&s);
    for (u32 i = 0; !rc && i < c->field_count; i++) rc = make_field_index(t, c, &c->fields[i]);
    for (u32 i = 0; !rc && i < c->index_count; i++) rc = make_index(t, c, &c->indexes[i]);
    return rc ? rc : make_words(t, c, false);
}

/* ---- From one definition to the next --------------------------------------------------------- */

static const struct field *by_key(const struct collection *c, u32 key) {
    for (u32 i = 0; i < c->field_count; i++)
        if (c->fields[i].key == key) return &c->fields[i];
    return NULL;
}
static const struct index *index_by_key(const struct collection *c, u32 key) {
    for (u32 i = 0; i < c->index_count; i++)
        if (c->indexes[i].key == key) return &c->indexes[i];
    return NULL;
}

static bool any_row(struct db_txn *t, const struct collection *c) {
    struct db_rows *r = NULL;
    struct sql s;
    sql_open(&s);
    sql_put(&s, "SELECT 1 FROM ");
    sql_put_name(&s, c->table);
    sql_put(&s, " LIMIT 1");
    bool any = sql_query(&s, t, &r) == RC_OK && db_next(r) == RC_OK;
    db_done(r);
    sql_close(&s);
    return any;
}

static rc_t add_column(struct db_txn *t, const struct collection *c, const struct field *f,
                       struct flaws *flaws) {
    struct sql s;
    if (f->required && f->fallback.kind == DB_KIND_NULL && any_row(t, c)) {
        flaw_add(flaws, "field", "field_needs_default",
                 "%.*s is required, and there are records: give it a default", STR(f->name));
        return RC_INVALID;
    }
    sql_open(&s);
    sql_put(&s, "ALTER TABLE ");
    sql_put_name(&s, c->table);
    sql_put(&s, " ADD COLUMN ");
    put_column(&s, f);
    rc_t rc = sql_run(&s, t);
    sql_close(&s);
    if (!rc && f->fallback.kind != DB_KIND_NULL)
        rc = RUN(t, f->fallback, {"UPDATE ", c->table}, {" SET ", f->column}, {"=", {0}});
    return rc ? rc : make_field_index(t, c, f);
}

static bool words_differ(const struct collection *a, const struct collection *b) {
    for (u32 i = 0; i < a->field_count; i++) {
        const struct field *f = by_key(b, a->fields[i].key);
        if (a->fields[i].search && (!f || !f->search)) return true;
    }
    return false;
}

static rc_t change_one(struct db_txn *t, const struct collection *next, const struct field *old,
                       const struct field *now, struct flaws *flaws) {
    if (old->type != now->type || !str_eq(old->target, now->target)) {
        flaw_add(flaws, "field", "type_fixed",
                 "%.*s keeps its type: add another field, and drop this one", STR(now->name));
        return RC_INVALID;
    }
    if (old->unique == now->unique && wants_index(old) == wants_index(now)) return RC_OK;
    rc_t rc = drop_field_index(t, next, old);
    return rc ? rc : make_field_index(t, next, now);
}

rc_t tables_change(struct db_txn *t, const struct collection *old, const struct collection *next,
                   struct flaws *flaws) {
    rc_t rc = RC_OK;
    for (u32 i = 0; !rc && i < old->index_count; i++)
        if (!index_by_key(next, old->indexes[i].key))
            rc = drop_index_table(t, old, &old->indexes[i]);
    for (u32 i = 0; !rc && i < old->field_count; i++) {
        const struct field *f = &old->fields[i];
        if (by_key(next, f->key)) continue;
        rc = drop_field_index(t, old, f);
        if (!rc)
            rc = RUN(t, NO_VALUE, {"UPDATE ", old->table}, {" SET ", f->column},
                     {"=NULL WHERE ", f->column}, {" IS NOT NULL", {0}});
    }
    for (u32 i = 0; !rc && i < next->field_count; i++) {
        const struct field *f = &next->fields[i], *was = by_key(old, f->key);
        rc = was ? change_one(t, next, was, f, flaws) : add_column(t, next, f, flaws);
    }
    for (u32 i = 0; !rc && i < next->index_count; i++)
        if (!index_by_key(old, next->indexes[i].key)) rc = make_index(t, next, &next->indexes[i]);
    if (rc || (!words_differ(old, next) && !words_differ(next, old))) return rc;
    if (old->searched) rc = RUN(t, NO_VALUE, {"DROP TABLE ", old->table}, {"_fts", {0}});
    return rc ? rc : make_words(t, next, true);
}

rc_t tables_drop(struct db_txn *t, const struct collection *c) {
    rc_t rc = RC_OK;
    if (c->searched) rc = RUN(t, NO_VALUE, {"DROP TABLE ", c->table}, {"_fts", {0}});
    return rc ? rc : RUN(t, NO_VALUE, {"DROP TABLE ", c->table});
}
