/* SPDX-License-Identifier: Apache-2.0 */
/* define.c — collections made, changed and dropped.
 *
 *   definition, as pieces --changes--> pieces --> definition --parsed, checked--> row and tables
 *
 * A change is a list of steps ({"op": "add_field", ...}) that hold together or not at all: steps
 * are worked out in memory first, the result is read by the same parser as any definition, and then
 * the row and all tables change in one transaction. What a field asks holds for what is written
 * from then on; uniqueness and a default hold for what is there, too.
 *
 *   d7              STRICT; a column per field. A dropped field's column stays, empty: dropping it
 *                   would write every row anew while nobody else can write
 *   d7_f3, d7_x4    indexes of one field, of several
 *   d7_fts          words of the searched fields */
#include <stdlib.h>
#include "app/access/access.h"
#include "app/audit/audit.h"
#include "app/data/data_impl.h"
#include "app/metrics/metrics.h"

enum { KEYS_MAX = 150 }; /* columns of a table, dropped ones included */

struct draft { /* a definition in pieces; texts are JSON, in the request's arena */
    str fields[DATA_FIELDS_MAX];
    str field_names[DATA_FIELDS_MAX];
    u32 field_keys[DATA_FIELDS_MAX];
    u32 field_count;
    str indexes[DATA_INDEXES_MAX];
    u32 index_count, next_key;
    str rules, view; /* JSON; empty: none */
};

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* The object with this key in it instead of its own. */
static str with_key(struct arena *a, const cJSON *o, u32 key) {
    struct json_writer w;
    json_open(&w, DATA_DEFINITION_MAX);
    json_object(&w, NULL);
    json_int(&w, "key", key);
    for (const cJSON *m = o->child; m; m = m->next) {
        if (!strcmp(m->string, "key")) continue;
        json_put_name(&w, str_from_c(m->string));
        json_put_tree(&w, m);
    }
    json_object_end(&w);
    str text = w.out.failed ? (str){0} : arena_copy(a, buf_str(&w.out));
    json_close(&w);
    return text;
}

static str tree_text(struct arena *a, const cJSON *o) {
    struct json_writer w;
    json_open(&w, DATA_DEFINITION_MAX);
    json_key(&w, str_of(NULL, 0));
    json_put_tree(&w, o);
    str text = w.out.failed ? (str){0} : arena_copy(a, buf_str(&w.out));
    json_close(&w);
    return text;
}

static u32 key_of(const cJSON *o) {
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(o, "key");
    return cJSON_IsNumber(key) ? (u32)key->valueint : 0;
}

/* `key` 0: a new one. */
static bool draft_field(struct draft *d, struct arena *a, const cJSON *o, u32 at, u32 key,
                        struct flaws *flaws) {
    if (!cJSON_IsObject(o) || at == DATA_FIELDS_MAX || d->next_key > KEYS_MAX) {
        flaw_add(flaws, "fields", cJSON_IsObject(o) ? "too_many_fields" : "member_type",
                 cJSON_IsObject(o) ? "a collection has at most %d fields"
                                   : "a field is an object (a list has at most %d)",
                 DATA_FIELDS_MAX);
        return false;
    }
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(o, "name");
    d->field_keys[at] = key ? key : d->next_key++;
    d->field_names[at] = cJSON_IsString(name) ? str_from_c(name->valuestring) : S("");
    d->fields[at] = with_key(a, o, d->field_keys[at]);
    if (at == d->field_count) d->field_count++;
    return d->fields[at].ptr != NULL;
}

static bool draft_index(struct draft *d, struct arena *a, const cJSON *o, u32 key,
                        struct flaws *flaws) {
    if (!cJSON_IsObject(o) || d->index_count == DATA_INDEXES_MAX || d->next_key > KEYS_MAX) {
        flaw_add(flaws, "indexes", "member_value", "at most %d objects", DATA_INDEXES_MAX);
        return false;
    }
    for (const cJSON *m = o->child; m; m = m->next) {
        if (!strcmp(m->string, "key") || !strcmp(m->string, "fields") ||
            (!strcmp(m->string, "unique") && cJSON_IsBool(m)))
            continue;
        flaw_add(flaws, "indexes", "member_unknown", "\"%.60s\" is nothing an index has",
                 m->string);
        return false;
    }
    str text = with_key(a, o, key ? key : d->next_key++);
    d->indexes[d->index_count++] = text;
    return text.ptr != NULL;
}

/* From a request's body or from a stored definition. */
static bool draft_read(struct draft *d, struct arena *a, const cJSON *o, bool stored,
                       struct flaws *flaws) {
    const cJSON *one, *next = cJSON_GetObjectItemCaseSensitive(o, "next_key");
    const cJSON *fields = cJSON_GetObjectItemCaseSensitive(o, "fields");
    const cJSON *indexes = cJSON_GetObjectItemCaseSensitive(o, "indexes");
    const cJSON *rules = cJSON_GetObjectItemCaseSensitive(o, "rules");
    const cJSON *view = cJSON_GetObjectItemCaseSensitive(o, "view");
    *d = (struct draft){.next_key = stored && next ? (u32)next->valueint : 1};
    bool lists = (!fields || cJSON_IsArray(fields)) && (!indexes || cJSON_IsArray(indexes));
    if (!lists || (rules && !cJSON_IsString(rules)) || (view && !cJSON_IsObject(view))) {
        flaw_add(flaws, "", "member_type",
                 "fields and indexes are lists, rules a text, view an object");
        return false;
    }
    cJSON_ArrayForEach(one, fields) if (!draft_field(d, a, one, d->field_count,
                                                     stored ? key_of(one) : 0, flaws)) return false;
    cJSON_ArrayForEach(
        one, indexes) if (!draft_index(d, a, one, stored ? key_of(one) : 0, flaws)) return false;
    if (rules) d->rules = tree_text(a, rules);
    if (view) d->view = tree_text(a, view);
    return (!rules || d->rules.ptr) && (!view || d->view.ptr);
}

static void put_list(struct json_writer *w, const char *name, const str *items, u32 count) {
    json_array(w, name);
    for (u32 i = 0; i < count; i++) json_raw(w, NULL, items[i]);
    json_array_end(w);
}

static str draft_text(const struct draft *d, struct arena *a) {
    struct json_writer w;
    json_open(&w, DATA_DEFINITION_MAX);
    json_object(&w, NULL);
    put_list(&w, "fields", d->fields, d->field_count);
    put_list(&w, "indexes", d->indexes, d->index_count);
    json_int(&w, "next_key", d->next_key);
    if (d->rules.len) json_raw(&w, "rules", d->rules);
    if (d->view.len) json_raw(&w, "view", d->view);
    json_object_end(&w);
    str text = w.out.failed ? (str){0} : arena_copy(a, buf_str(&w.out));
    json_close(&w);
    return text;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static u32 draft_find(const struct draft *d, const cJSON *name) {
    u32 i = 0;
    str want = cJSON_IsString(name) ? str_from_c(name->valuestring) : S("");
    while (i < d->field_count && !str_eq(d->field_names[i], want)) i++;
    return i;
}

static bool no_field(struct flaws *flaws, const char *member) {
    flaw_add(flaws, member, "field_unknown", "the collection has no such field");
    return false;
}

static bool drop_field(struct draft *d, const cJSON *step, struct flaws *flaws) {
    u32 at = draft_find(d, cJSON_GetObjectItemCaseSensitive(step, "name"));
    if (at == d->field_count) return no_field(flaws, "name");
    d->field_count--;
    for (u32 i = at; i < d->field_count; i++) {
        d->fields[i] = d->fields[i + 1];
        d->field_names[i] = d->field_names[i + 1];
        d->field_keys[i] = d->field_keys[i + 1];
    }
    return true;
}

static bool reparse(struct arena *a, str text, cJSON **out) {
    struct diag why = {0};
    return json_parse(a, text, out, &why) == RC_OK;
}

/* Also in the indexes that name it. */
static bool rename_field(struct draft *d, struct arena *a, const cJSON *step, struct flaws *flaws) {
    const cJSON *to = cJSON_GetObjectItemCaseSensitive(step, "to");
    u32 at = draft_find(d, cJSON_GetObjectItemCaseSensitive(step, "from"));
    cJSON *o, *n;
    if (at == d->field_count) return no_field(flaws, "from");
    if (!cJSON_IsString(to) || !name_valid(str_from_c(to->valuestring))) {
        flaw_add(flaws, "to", "name_invalid", "a field's name is wanted");
        return false;
    }
    str old = d->field_names[at];
    if (!reparse(a, d->fields[at], &o)) return false;
    cJSON_GetObjectItemCaseSensitive(o, "name")->valuestring = to->valuestring;
    d->fields[at] = tree_text(a, o);
    d->field_names[at] = str_from_c(to->valuestring);
    for (u32 i = 0; i < d->index_count; i++) {
        if (!reparse(a, d->indexes[i], &o)) return false;
        cJSON_ArrayForEach(n, cJSON_GetObjectItemCaseSensitive(o, "fields")) {
            if (str_eq(str_from_c(n->valuestring), old)) n->valuestring = to->valuestring;
        }
        if (!(d->indexes[i] = tree_text(a, o)).ptr) return false;
    }
    return d->fields[at].ptr != NULL;
}

static bool change_field(struct draft *d, struct arena *a, const cJSON *step, struct flaws *flaws) {
    const cJSON *field = cJSON_GetObjectItemCaseSensitive(step, "field");
    u32 at = draft_find(d, cJSON_GetObjectItemCaseSensitive(step, "name"));
    if (at == d->field_count) return no_field(flaws, "name");
    str name = d->field_names[at];
    if (!draft_field(d, a, field, at, d->field_keys[at], flaws)) return false;
    if (str_eq(name, d->field_names[at])) return true;
    flaw_add(flaws, "field", "member_value", "its name stays: rename_field renames");
    return false;
}

static bool drop_index(struct draft *d, struct arena *a, const cJSON *step, struct flaws *flaws) {
    const cJSON *fields = cJSON_GetObjectItemCaseSensitive(step, "fields");
    str want = fields ? tree_text(a, fields) : S("");
    cJSON *o;
    for (u32 i = 0; i < d->index_count; i++) {
        if (!reparse(a, d->indexes[i], &o)) return false;
        if (!str_eq(tree_text(a, cJSON_GetObjectItemCaseSensitive(o, "fields")), want)) continue;
        d->index_count--;
        for (u32 k = i; k < d->index_count; k++) d->indexes[k] = d->indexes[k + 1];
        return true;
    }
    flaw_add(flaws, "fields", "index_unknown", "there is no index of these fields");
    return false;
}

static bool take_step(struct draft *d, struct arena *a, const cJSON *step, struct flaws *flaws) {
    const cJSON *op = cJSON_GetObjectItemCaseSensitive(step, "op");
    str name = cJSON_IsString(op) ? str_from_c(op->valuestring) : S("");
    if (str_eq(name, S("add_field")))
        return draft_field(d, a, cJSON_GetObjectItemCaseSensitive(step, "field"), d->field_count, 0,
                           flaws);
    if (str_eq(name, S("drop_field"))) return drop_field(d, step, flaws);
    if (str_eq(name, S("rename_field"))) return rename_field(d, a, step, flaws);
    if (str_eq(name, S("change_field"))) return change_field(d, a, step, flaws);
    if (str_eq(name, S("add_index")))
        return draft_index(d, a, cJSON_GetObjectItemCaseSensitive(step, "index"), 0, flaws);
    if (str_eq(name, S("drop_index"))) return drop_index(d, a, step, flaws);
    if (str_eq(name, S("set_rules")) || str_eq(name, S("set_view"))) {
        bool rules = str_eq(name, S("set_rules"));
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(step, rules ? "rules" : "view");
        if (rules ? cJSON_IsString(v) : cJSON_IsObject(v)) {
            str text = tree_text(a, v);
            if (rules)
                d->rules = text;
            else
                d->view = text;
            return text.ptr != NULL;
        }
    }
    flaw_add(flaws, "op", "member_value",
             "add_field, drop_field, rename_field, change_field, add_index, drop_index, set_rules "
             "or set_view, with its member");
    return false;
}

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

static rc_t make_table(struct db_txn *t, const struct collection *c) {
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

static rc_t change_tables(struct db_txn *t, const struct collection *old,
                          const struct collection *next, struct flaws *flaws) {
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

/* ---- Checks that need the other collections -------------------------------------------------- */

/* The view's text is read as a list would read it. */
static bool view_holds(struct request *rq, struct db_txn *t, const struct collection *c,
                       struct flaws *flaws) {
    struct collection *from;
    struct sql s;
    struct order order;
    struct selection selection;
    if (!name_valid(c->view_from) || collection_load(t, c->view_from, &from)) {
        flaw_add(flaws, "view.from", "collection_unknown", "there is no such collection");
        return false;
    }
    sql_open(&s);
    bool ok = !from->is_view &&
              (!c->view_filter.len || filter_parse(from, rq->arena, c->view_filter, &s, flaws)) &&
              order_parse(from, c->view_sort, &order, flaws) &&
              selection_parse(from, c->view_fields, &selection, flaws);
    if (from->is_view) flaw_add(flaws, "view.from", "member_value", "not of another view");
    sql_close(&s);
    collection_release(from);
    return ok;
}

static bool relations_known(struct db_txn *t, const struct collection *c, struct flaws *flaws) {
    for (u32 i = 0; i < c->field_count; i++) {
        struct collection *target;
        if (c->fields[i].type != FIELD_RELATION) continue;
        if (str_eq(c->fields[i].target, c->name)) continue;
        rc_t rc = collection_load(t, c->fields[i].target, &target);
        bool view = !rc && target->is_view;
        if (!rc) collection_release(target);
        if (!rc && !view) continue;
        flaw_add(flaws, "fields", "collection_unknown", "%.*s: there is no collection %.*s",
                 STR(c->fields[i].name), STR(c->fields[i].target));
        return false;
    }
    return true;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void put_collection(struct request *rq, struct json_writer *w, const char *key,
                           const struct collection *c) {
    struct diag why = {0};
    cJSON *o;
    json_object(w, key);
    json_text(w, "name", c->name);
    json_text(w, "type", c->is_view ? S("view") : S("base"));
    json_int(w, "version", c->version);
    json_time(w, "created_at", c->created_ns);
    json_time(w, "updated_at", c->updated_ns);
    if (json_parse(rq->arena, c->definition, &o, &why) == RC_OK)
        for (const cJSON *m = o->child; m; m = m->next) {
            if (!strcmp(m->string, "next_key")) continue;
            json_put_name(w, str_from_c(m->string));
            json_put_tree(w, m);
        }
    json_object_end(w);
}

static void answer(struct request *rq, int status, const struct collection *c) {
    struct json_writer w;
    json_open(&w, MIB(1));
    put_collection(rq, &w, NULL, c);
    reply_etag(rq, c->version);
    reply_json(rq, status, &w);
}

static void answer_failure(struct request *rq, rc_t rc, struct flaws *flaws) {
    if (rc == RC_INVALID || (rc == RC_CONFLICT && flaws->count))
        reply_flaws(rq, rc == RC_CONFLICT ? 409 : 422, flaws);
    else
        reply_rc(rq, rc, "The collection");
}

static rc_t note(struct db_txn *t, struct request *rq, const char *action, str name) {
    str resource = arena_join(rq->arena, S("collection/"), name);
    struct audit_event e = {action, resource, "ok", S("")};
    return resource.ptr ? audit_add(t, rq, &e) : RC_NO_MEMORY;
}

/* ---- Making ---------------------------------------------------------------------------------- */

static rc_t count_collections(struct db_txn *t, s64 *out) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r, "SELECT count(*) FROM data_collection");
    if (!rc) rc = db_next(r);
    if (!rc) *out = db_column_int(r, 0);
    db_done(r);
    return rc;
}

static rc_t store_new(struct request *rq, struct db_txn *t, struct collection *c,
                      struct flaws *flaws) {
    s64 n = 0;
    rc_t rc = count_collections(t, &n);
    if (!rc && n >= DATA_COLLECTIONS_MAX) {
        flaw_add(flaws, "", "too_many_collections", "there are %d: drop one first",
                 DATA_COLLECTIONS_MAX);
        return RC_INVALID;
    }
    if (!rc && !relations_known(t, c, flaws)) return RC_INVALID;
    if (!rc && c->is_view && !view_holds(rq, t, c, flaws)) return RC_INVALID;
    c->created_ns = c->updated_ns = data_now_ns();
    c->version = 1;
    c->org_id = rq->actor.org_id.ptr ? rq->actor.org_id : S("");
    if (!rc)
        rc = db_run(t,
                    "INSERT INTO data_collection(name,version,org_id,created_ns,updated_ns,"
                    "definition) VALUES(?1,1,?2,?3,?3,?4)",
                    DB_TEXT(c->name), DB_TEXT(c->org_id), DB_INT(c->created_ns),
                    DB_TEXT(c->definition));
    if (rc == RC_CONFLICT)
        flaw_add(flaws, "name", "name_taken", "there is a collection of this name");
    if (rc) return rc;
    c->num = db_last_id(t);
    c->table = arena_printf(&c->arena, "d%lld", (long long)c->num);
    if (!c->table.ptr) return RC_NO_MEMORY;
    if (!c->is_view) rc = make_table(t, c);
    return rc ? rc : note(t, rq, "data.define", c->name);
}

/* Parsed and checked as any definition: also that its rules can be kept by the database. */
static rc_t draft_parse(struct request *rq, const struct draft *d, str name,
                        struct collection **out, struct flaws *flaws) {
    *out = NULL;
    str text = draft_text(d, rq->arena);
    if (!text.ptr) {
        flaw_add(flaws, "", "too_large", "the definition is larger than %d bytes",
                 DATA_DEFINITION_MAX);
        return RC_INVALID;
    }
    rc_t rc = collection_parse(name, text, out, flaws);
    if (!rc && !rules_check(*out, flaws)) rc = RC_INVALID;
    if (rc) {
        collection_release(*out);
        *out = NULL;
    }
    return rc;
}

void collections_post(struct request *rq) {
    static const char *const known[] = {"name", "fields", "indexes", "rules", "view", NULL};
    struct flaws *flaws = arena_zero(rq->arena, sizeof *flaws);
    struct draft *d = arena_zero(rq->arena, sizeof *d);
    struct collection *c = NULL;
    struct db_txn *t;
    cJSON *body;
    str name = {0};
    if (!flaws || !d) {
        reply_rc(rq, RC_NO_MEMORY, "The collection");
        return;
    }
    if (!request_json(rq, &body) || !request_members_known(rq, body, known) ||
        !request_member_text(rq, body, "name", true, 1, DATA_NAME_MAX, &name))
        return;
    if (!name_valid(name)) {
        flaw_add(flaws, "name", "name_invalid",
                 "a letter, then letters, digits and _, all lower case, at most %d", DATA_NAME_MAX);
        reply_flaws(rq, 422, flaws);
        return;
    }
    rc_t rc = draft_read(d, rq->arena, body, false, flaws) ? RC_OK : RC_INVALID;
    if (!rc) rc = draft_parse(rq, d, name, &c, flaws);
    if (!rc) rc = db_write_begin(&t);
    if (!rc) rc = db_write_end(t, store_new(rq, t, c, flaws));
    if (rc) {
        answer_failure(rq, rc, flaws);
    } else {
        metric_add(METRIC_DATA_DEFINED, 1);
        reply_location(rq, arena_join(rq->arena, S("/api/v1/collections/"), c->name));
        answer(rq, 201, c);
    }
    collection_release(c);
}

/* ---- Changing -------------------------------------------------------------------------------- */

static bool take_steps(struct request *rq, struct draft *d, const cJSON *steps,
                       struct flaws *flaws) {
    const cJSON *step;
    int n = 0;
    cJSON_ArrayForEach(step, steps) {
        str place = arena_printf(rq->arena, "changes[%d]", n++);
        flaws->prefix = place.ptr;
        if (!cJSON_IsObject(step) || !take_step(d, rq->arena, step, flaws)) return false;
    }
    flaws->prefix = NULL;
    return true;
}

static rc_t store_change(struct request *rq, struct db_txn *t, const struct collection *old,
                         struct collection *c, struct flaws *flaws) {
    c->num = old->num, c->table = old->table, c->created_ns = old->created_ns;
    c->org_id = old->org_id;
    c->version = old->version + 1;
    c->updated_ns = data_now_ns();
    if (old->is_view != c->is_view) {
        flaw_add(flaws, "view", "type_fixed", "a collection does not become a view");
        return RC_INVALID;
    }
    if (!relations_known(t, c, flaws) || (c->is_view && !view_holds(rq, t, c, flaws)))
        return RC_INVALID;
    rc_t rc =
        db_run(t,
               "UPDATE data_collection SET version=?2,updated_ns=?3,definition=?4"
               " WHERE num=?1 AND version=?2-1",
               DB_INT(c->num), DB_INT(c->version), DB_INT(c->updated_ns), DB_TEXT(c->definition));
    if (!rc && db_changes(t) != 1) {
        flaw_add(flaws, "", "changed_meanwhile", "the collection was changed meanwhile");
        return RC_CONFLICT;
    }
    if (!rc && !c->is_view) rc = change_tables(t, old, c, flaws);
    if (rc == RC_CONFLICT && !flaws->count)
        flaw_add(flaws, "unique", "field_unique", "records that are there have equal values");
    return rc ? rc : note(t, rq, "data.change", c->name);
}

static bool load(struct request *rq, struct collection **out) {
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc) {
        reply_rc(rq, rc, "The collection");
        return false;
    }
    bool ok = collection_of(rq, t, rq->params[0], out);
    db_read_end(t);
    return ok;
}

static rc_t change(struct request *rq, const struct collection *old, const cJSON *steps,
                   struct collection **out, struct flaws *flaws) {
    struct draft *d = arena_zero(rq->arena, sizeof *d);
    struct db_txn *t;
    cJSON *o;
    if (!d || !reparse(rq->arena, old->definition, &o) || !draft_read(d, rq->arena, o, true, flaws))
        return RC_NO_MEMORY;
    if (!take_steps(rq, d, steps, flaws)) return RC_INVALID;
    rc_t rc = draft_parse(rq, d, old->name, out, flaws);
    if (!rc) rc = db_write_begin(&t);
    if (rc) return rc;
    db_patience(t, DATA_CHANGE_MS);
    return db_write_end(t, store_change(rq, t, old, *out, flaws));
}

void collection_patch(struct request *rq) {
    static const char *const known[] = {"changes", NULL};
    struct flaws *flaws = arena_zero(rq->arena, sizeof *flaws);
    struct collection *old, *next = NULL;
    cJSON *body;
    if (!flaws) {
        reply_rc(rq, RC_NO_MEMORY, "The collection");
        return;
    }
    if (!request_json(rq, &body) || !request_members_known(rq, body, known) || !load(rq, &old))
        return;
    const cJSON *steps = cJSON_GetObjectItemCaseSensitive(body, "changes");
    if (!cJSON_IsArray(steps) || !steps->child || cJSON_GetArraySize(steps) > DATA_FIELDS_MAX) {
        flaw_add(flaws, "changes", "member_type", "a list of 1 to %d steps is wanted",
                 DATA_FIELDS_MAX);
        reply_flaws(rq, 422, flaws);
    } else if (request_if_match(rq, old->version, true)) {
        rc_t rc = change(rq, old, steps, &next, flaws);
        if (rc) {
            answer_failure(rq, rc, flaws);
        } else {
            metric_add(METRIC_DATA_DEFINED, 1);
            answer(rq, 200, next);
        }
        collection_release(next);
    }
    collection_release(old);
}

/* ---- Dropping, reading ----------------------------------------------------------------------- */

static rc_t used_by(struct db_txn *t, struct arena *a, str name, str *out) {
    struct db_rows *r = NULL;
    *out = S("");
    rc_t rc = db_query(t, &r,
                       "SELECT name FROM data_collection WHERE name<>?1 AND"
                       " (json_extract(definition,'$.view.from')=?1 OR EXISTS(SELECT 1 FROM"
                       " json_each(definition,'$.fields') f WHERE"
                       " json_extract(f.value,'$.collection')=?1)) LIMIT 1",
                       DB_TEXT(name));
    if (!rc && (rc = db_next(r)) == RC_OK) *out = arena_copy(a, db_column_text(r, 0));
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t drop(struct request *rq, struct db_txn *t, const struct collection *c,
                 struct flaws *flaws) {
    str user;
    rc_t rc = used_by(t, rq->arena, c->name, &user);
    if (!rc && user.len) {
        flaw_add(flaws, "", "collection_in_use", "the collection %.*s refers to it", STR(user));
        return RC_CONFLICT;
    }
    if (!rc) rc = db_run(t, "DELETE FROM data_collection WHERE num=?1", DB_INT(c->num));
    if (!rc && !c->is_view) {
        rc = db_run(t, "DELETE FROM data_change WHERE collection=?1", DB_INT(c->num));
        if (!rc && c->searched) rc = RUN(t, NO_VALUE, {"DROP TABLE ", c->table}, {"_fts", {0}});
        if (!rc) rc = RUN(t, NO_VALUE, {"DROP TABLE ", c->table});
    }
    return rc ? rc : note(t, rq, "data.drop", c->name);
}

void collection_delete(struct request *rq) {
    struct flaws *flaws = arena_zero(rq->arena, sizeof *flaws);
    struct collection *c;
    struct db_txn *t;
    if (!flaws) {
        reply_rc(rq, RC_NO_MEMORY, "The collection");
        return;
    }
    if (!load(rq, &c)) return;
    if (request_if_match(rq, c->version, true)) {
        rc_t rc = db_write_begin(&t);
        if (!rc) rc = db_write_end(t, drop(rq, t, c, flaws));
        if (rc)
            answer_failure(rq, rc, flaws);
        else
            reply_empty(rq, 204);
    }
    collection_release(c);
}

void collection_get(struct request *rq) {
    struct collection *c;
    if (!load(rq, &c)) return;
    if (!reply_not_modified(rq, c->version)) answer(rq, 200, c);
    collection_release(c);
}

void collections_get(struct request *rq) {
    str *names = arena_alloc(rq->arena, DATA_COLLECTIONS_MAX * sizeof *names);
    struct json_writer w;
    struct db_txn *t;
    u32 n = 0;
    rc_t rc = names ? db_read_begin(&t) : RC_NO_MEMORY;
    if (rc) {
        reply_rc(rq, rc, "The collections");
        return;
    }
    json_open(&w, MIB(4));
    json_object(&w, NULL);
    json_array(&w, "items");
    rc = collection_names(t, rq->arena, names, DATA_COLLECTIONS_MAX, &n);
    for (u32 i = 0; !rc && i < n; i++) {
        struct collection *c;
        if ((rc = collection_load(t, names[i], &c))) break;
        if (access_reaches(&rq->actor, c->org_id)) put_collection(rq, &w, NULL, c);
        collection_release(c);
    }
    db_read_end(t);
    json_array_end(&w);
    json_object_end(&w);
    if (!rc) {
        reply_json(rq, 200, &w);
        return;
    }
    json_close(&w);
    reply_rc(rq, rc, "The collections");
}
