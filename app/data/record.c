/* SPDX-License-Identifier: Apache-2.0 */
/* record.c — one record: from rows, to JSON, from JSON; and which rows an actor may read.
 *
 * record_from begins every statement that reads records:
 *
 *   FROM d7 WHERE (what the collection's `read` rule leaves) AND org_id IN ('', theirs)
 *
 * There is no other way to rows of a collection in this folder, but for the writer's that has
 * asked the rules about the record itself. */
#include "app/access/access.h"
#include "app/data/data_impl.h"
#include "kernel/platform.h"

u64 data_now_ns(void) {
    u64 wall = platform_wall_ns();
    return wall ? wall : platform_clock_ns();
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static bool copy_text(struct arena *a, str from, str *out) {
    *out = from.len ? arena_copy(a, from) : S("");
    return out->ptr != NULL;
}

rc_t record_read(struct db_rows *r, const struct collection *c, struct arena *a,
                 struct record *out) {
    *out = (struct record){.num = db_column_int(r, 0),
                           .version = db_column_int(r, 2),
                           .created_ns = (u64)db_column_int(r, 5),
                           .updated_ns = (u64)db_column_int(r, 6)};
    out->values = arena_alloc(a, (c->field_count + 1) * sizeof *out->values);
    if (!out->values || !copy_text(a, db_column_text(r, 1), &out->id) ||
        !copy_text(a, db_column_text(r, 3), &out->org_id) ||
        !copy_text(a, db_column_text(r, 4), &out->owner_id))
        return RC_NO_MEMORY;
    for (u32 i = 0; i < c->field_count; i++) {
        int column = RECORD_COLUMN_COUNT + (int)i;
        struct db_value *v = &out->values[i];
        enum field_type t = c->fields[i].type;
        *v = DB_NULL;
        if (db_column_null(r, column)) continue;
        if (t == FIELD_INTEGER || t == FIELD_BOOL)
            *v = DB_INT(db_column_int(r, column));
        else if (t == FIELD_NUMBER)
            *v = DB_REAL(db_column_real(r, column));
        else {
            *v = DB_TEXT(S(""));
            if (!copy_text(a, db_column_text(r, column), &v->bytes)) return RC_NO_MEMORY;
        }
    }
    return RC_OK;
}

void record_json(struct json_writer *w, const struct collection *c, const struct record *r,
                 const struct selection *s) {
    bool all = !s || !s->some;
    if (all || s->id) json_text(w, "id", r->id);
    if (all || s->version) json_int(w, "version", r->version);
    if (all || s->created) json_time(w, "created_at", r->created_ns);
    if (all || s->updated) json_time(w, "updated_at", r->updated_ns);
    if (all || s->owner)
        json_text(w, "created_by", r->owner_id.len ? r->owner_id : str_of(NULL, 0));
    for (u32 i = 0; i < c->field_count; i++)
        if (all || s->fields >> i & 1) field_json(w, &c->fields[i], &r->values[i]);
}

str record_text(struct arena *a, const struct collection *c, const struct record *r) {
    struct json_writer w;
    json_open(&w, MIB(2));
    json_object(&w, NULL);
    record_json(&w, c, r, NULL);
    json_object_end(&w);
    str text = w.out.failed ? (str){0} : arena_copy(a, buf_str(&w.out));
    json_close(&w);
    return text;
}

bool selection_parse(const struct collection *c, str text, struct selection *out,
                     struct flaws *flaws) {
    str name;
    *out = (struct selection){.some = text.len > 0};
    while (text.len && str_split(&text, ',', &name)) {
        name = str_trim(name);
        const struct field *f = collection_field(c, name);
        if (f)
            out->fields |= 1ull << (f - c->fields);
        else if (str_eq(name, S("id")))
            out->id = true;
        else if (str_eq(name, S("version")))
            out->version = true;
        else if (str_eq(name, S("created_at")))
            out->created = true;
        else if (str_eq(name, S("updated_at")))
            out->updated = true;
        else if (str_eq(name, S("created_by")))
            out->owner = true;
        else {
            flaw_add(flaws, "fields", "field_unknown", "\"%.*s\" is no field of it",
                     STR(str_take(name, 60)));
            return false;
        }
    }
    return true;
}

/* ---- From a client --------------------------------------------------------------------------- */

static const cJSON *member_of(const cJSON *body, str name) {
    for (const cJSON *m = body->child; m; m = m->next)
        if (str_eq(str_from_c(m->string), name)) return m;
    return NULL;
}

static bool members_known(const struct collection *c, const cJSON *body, struct flaws *flaws) {
    static const char *const ours[] = {"id", "version", "created_at", "updated_at", "created_by"};
    bool ok = true;
    for (const cJSON *m = body->child; m; m = m->next) {
        bool known = collection_field(c, str_from_c(m->string)) != NULL;
        for (size_t i = 0; i < ARRAY_LEN(ours) && !known; i++) known = !strcmp(ours[i], m->string);
        if (known) continue;
        flaw_add(flaws, m->string, "field_unknown", "%.*s has no such field", STR(c->name));
        ok = false;
    }
    return ok;
}

bool record_whole(const struct collection *c, struct record *io, struct flaws *flaws) {
    bool ok = true;
    for (u32 i = 0; i < c->field_count; i++) {
        const struct field *f = &c->fields[i];
        const struct db_value *v = &io->values[i];
        bool empty = v->kind == DB_KIND_NULL ||
                     (v->kind == DB_KIND_TEXT && !v->bytes.len && f->type == FIELD_TEXT);
        if (!f->required || !empty) continue;
        char name[DATA_NAME_MAX + 1];
        if (str_to_c(f->name, name, sizeof name)) name[0] = 0;
        flaw_add(flaws, name, "field_required", "a value is wanted");
        ok = false;
    }
    return ok;
}

bool record_take(const struct collection *c, struct arena *a, const cJSON *body, bool whole,
                 struct record *io, struct flaws *flaws) {
    if (!cJSON_IsObject(body)) {
        flaw_add(flaws, "", "object_wanted", "a record is an object");
        return false;
    }
    bool ok = members_known(c, body, flaws);
    for (u32 i = 0; i < c->field_count; i++) {
        const struct field *f = &c->fields[i];
        const cJSON *m = member_of(body, f->name);
        if (m)
            ok &= field_take(f, a, m, &io->values[i], flaws);
        else if (whole)
            io->values[i] = f->fallback;
    }
    return ok && record_whole(c, io, flaws);
}

/* ---- Which rows ------------------------------------------------------------------------------ */

rc_t record_from(struct request *rq, struct collection *c, const char *join, struct sql *s,
                 struct diag *why) {
    sql_put(s, " FROM ");
    sql_put_name(s, c->table);
    if (join) sql_put(s, join);
    sql_put(s, " WHERE ");
    rc_t rc = rules_condition(rq, c, s, why);
    if (rc) return rc;
    if (access_reaches(&rq->actor, S("-"))) return RC_OK; /* every organisation's */
    sql_put(s, " AND org_id IN ('',");
    sql_bind(s, DB_TEXT(rq->actor.org_id.len ? rq->actor.org_id : S("")));
    sql_put(s, ")");
    return RC_OK;
}

rc_t record_find(struct request *rq, struct db_txn *t, struct collection *c, str id,
                 struct record *out, struct diag *why) {
    struct db_rows *r = NULL;
    struct sql s;
    sql_open(&s);
    sql_put(&s, "SELECT ");
    sql_put_name(&s, c->columns);
    rc_t rc = record_from(rq, c, NULL, &s, why);
    sql_put(&s, " AND id=");
    sql_bind(&s, DB_TEXT(id));
    if (!rc) rc = sql_query(&s, t, &r);
    if (!rc) rc = db_next(r);
    if (!rc) rc = record_read(r, c, rq->arena, out);
    db_done(r);
    sql_close(&s);
    return rc == RC_DENIED || rc == RC_INVALID ? RC_NOT_FOUND : rc;
}
