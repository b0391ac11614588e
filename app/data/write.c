/* SPDX-License-Identifier: Apache-2.0 */
/* write.c — one record made, changed or deleted, with all that belongs to it, in one transaction:
 *
 *   take and check the values -> the rules -> relations -> the row -> words -> change log
 *
 * What a delete takes along (on_delete) goes the same way, record by record, so that each has its
 * line in the change log. The rules are asked about the record that was named alone: who may delete
 * an author may delete what the collection's definition says goes with them.
 *
 * Always true: record_write_prepare ran before the transaction began, so no condition is worked out
 * (which would park) while the writer's turn is held. */
#include <stdlib.h>
#include "app/access/access.h"
#include "app/data/data_impl.h"

rc_t record_write_prepare(struct request *rq, struct collection *c, struct diag *why) {
    struct sql s;
    rc_t rc = RC_OK;
    sql_open(&s);
    (void)!!rules_condition(rq, c, &s, why);
    sql_close(&s);
    for (u32 i = 0; !rc && i < c->field_count; i++) {
        if (c->fields[i].type != FIELD_RELATION) continue;
        struct db_txn *t;
        struct collection *target;
        if ((rc = db_read_begin(&t))) break;
        rc = collection_load(t, c->fields[i].target, &target);
        db_read_end(t);
        if (rc) break;
        sql_open(&s);
        (void)!!rules_condition(rq, target, &s, why);
        sql_close(&s);
        collection_release(target);
    }
    return rc;
}

/* ---- Words ----------------------------------------------------------------------------------- */

static rc_t words_drop(struct db_txn *t, const struct collection *c, s64 num) {
    struct sql s;
    if (!c->searched) return RC_OK;
    sql_open(&s);
    sql_put(&s, "DELETE FROM ");
    sql_put_name(&s, c->table);
    sql_put(&s, "_fts WHERE rowid=");
    sql_bind(&s, DB_INT(num));
    rc_t rc = sql_run(&s, t);
    sql_close(&s);
    return rc;
}

static rc_t words_add(struct db_txn *t, const struct collection *c, const struct record *r) {
    struct sql s;
    if (!c->searched) return RC_OK;
    sql_open(&s);
    sql_put(&s, "INSERT INTO ");
    sql_put_name(&s, c->table);
    sql_put(&s, "_fts(rowid");
    for (u32 i = 0; i < c->field_count; i++) {
        if (!c->fields[i].search) continue;
        sql_put(&s, ",t");
        sql_put_number(&s, c->fields[i].key);
    }
    sql_put(&s, ") VALUES(");
    sql_bind(&s, DB_INT(r->num));
    for (u32 i = 0; i < c->field_count; i++) {
        if (!c->fields[i].search) continue;
        sql_put(&s, ",");
        sql_bind(&s, r->values[i]);
    }
    sql_put(&s, ")");
    rc_t rc = sql_run(&s, t);
    sql_close(&s);
    return rc;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

static rc_t row_insert(struct db_txn *t, const struct collection *c, struct record *r) {
    struct sql s;
    sql_open(&s);
    sql_put(&s, "INSERT INTO ");
    sql_put_name(&s, c->table);
    sql_put(&s, "(id,version,org_id,owner_id,created_ns,updated_ns");
    for (u32 i = 0; i < c->field_count; i++) {
        sql_put(&s, ",");
        sql_put_name(&s, c->fields[i].column);
    }
    sql_put(&s, ") VALUES(");
    const struct db_value ours[] = {DB_TEXT(r->id),        DB_INT(r->version),
                                    DB_TEXT(r->org_id),    DB_TEXT(r->owner_id),
                                    DB_INT(r->created_ns), DB_INT(r->updated_ns)};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
        if (i) sql_put(&s, ",");
        sql_bind(&s, ours[i]);
    }
    for (u32 i = 0; i < c->field_count; i++) {
        sql_put(&s, ",");
        sql_bind(&s, r->values[i]);
    }
    sql_put(&s, ")");
    rc_t rc = sql_run(&s, t);
    sql_close(&s);
    if (!rc) r->num = db_last_id(t);
    return rc ? rc : words_add(t, c, r);
}

static rc_t row_update(struct db_txn *t, const struct collection *c, const struct record *r) {
    struct sql s;
    sql_open(&s);
    sql_put(&s, "UPDATE ");
    sql_put_name(&s, c->table);
    sql_put(&s, " SET version=");
    sql_bind(&s, DB_INT(r->version));
    sql_put(&s, ",updated_ns=");
    sql_bind(&s, DB_INT(r->updated_ns));
    for (u32 i = 0; i < c->field_count; i++) {
        sql_put(&s, ",");
        sql_put_name(&s, c->fields[i].column);
        sql_put(&s, "=");
        sql_bind(&s, r->values[i]);
    }
    sql_put(&s, " WHERE num=");
    sql_bind(&s, DB_INT(r->num));
    rc_t rc = sql_run(&s, t);
    sql_close(&s);
    if (!rc) rc = words_drop(t, c, r->num);
    return rc ? rc : words_add(t, c, r);
}

static rc_t row_delete(struct db_txn *t, const struct collection *c, const struct record *r) {
    struct sql s;
    rc_t rc = words_drop(t, c, r->num);
    if (rc) return rc;
    sql_open(&s);
    sql_put(&s, "DELETE FROM ");
    sql_put_name(&s, c->table);
    sql_put(&s, " WHERE num=");
    sql_bind(&s, DB_INT(r->num));
    rc = sql_run(&s, t);
    sql_close(&s);
    return rc;
}

/* Which unique field or index refused the row; for the error's words. */
static void tell_conflict(struct db_txn *t, const struct collection *c, struct flaws *flaws) {
    const char *said = db_error_text(t); /* "UNIQUE constraint failed: d7.f3, d7.f4" */
    for (u32 i = 0; i < c->field_count; i++) {
        char column[24], name[DATA_NAME_MAX + 1];
        const char *at;
        if (str_to_c(c->fields[i].column, column, sizeof column) ||
            str_to_c(c->fields[i].name, name, sizeof name) || !(at = strstr(said, column)))
            continue;
        char after = at[strlen(column)];
        if (at == said || at[-1] != '.' || (after >= '0' && after <= '9')) continue;
        flaw_add(flaws, name, "field_unique", "another record has this value");
        return;
    }
    flaw_add(flaws, "id", "field_unique", "another record has this value");
}

/* ---- Relations ------------------------------------------------------------------------------- */

/* What a record points to is there, and the actor may read it: else anybody could find out what
 * exists by pointing at it. */
static rc_t relations_hold(struct request *rq, struct db_txn *t, const struct collection *c,
                           const struct record *r, const struct record *before,
                           struct flaws *flaws) {
    for (u32 i = 0; i < c->field_count; i++) {
        const struct field *f = &c->fields[i];
        struct collection *target;
        struct record found;
        struct diag why = {0};
        char name[DATA_NAME_MAX + 1];
        if (f->type != FIELD_RELATION || r->values[i].kind != DB_KIND_TEXT) continue;
        if (before && before->values[i].kind == DB_KIND_TEXT &&
            str_eq(before->values[i].bytes, r->values[i].bytes))
            continue;
        rc_t rc = collection_load(t, f->target, &target);
        if (rc) return rc;
        rc = record_find(rq, t, target, r->values[i].bytes, &found, &why);
        collection_release(target);
        if (rc && rc != RC_NOT_FOUND) return rc;
        if (!rc) continue;
        if (str_to_c(f->name, name, sizeof name)) name[0] = 0;
        flaw_add(flaws, name, "relation_unknown", "there is no such record of %.*s",
                 STR(f->target));
        return RC_INVALID;
    }
    return RC_OK;
}

struct cascade { /* what one delete takes along */
    struct request *rq;
    struct db_txn *t;
    struct flaws *flaws;
    u32 count, depth;
    int status;
};

static rc_t cascade_delete(struct cascade *x, struct collection *c, const struct record *r);

/* The records of `c` whose field `f` is this id; a few at a time, as each goes or forgets it. */
static rc_t referrers(struct cascade *x, struct collection *c, const struct field *f, str id,
                      struct record *out, u32 room, u32 *count) {
    struct db_rows *rows = NULL;
    struct sql s;
    sql_open(&s);
    sql_put(&s, "SELECT ");
    sql_put_name(&s, c->columns);
    sql_put(&s, " FROM ");
    sql_put_name(&s, c->table);
    sql_put(&s, " WHERE ");
    sql_put_name(&s, f->column);
    sql_put(&s, "=");
    sql_bind(&s, DB_TEXT(id));
    sql_put(&s, " LIMIT 20");
    *count = 0;
    rc_t rc = sql_query(&s, x->t, &rows);
    while (!rc && *count < room && (rc = db_next(rows)) == RC_OK)
        rc = record_read(rows, c, x->rq->arena, &out[(*count)++]);
    db_done(rows);
    sql_close(&s);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t forget_reference(struct cascade *x, struct collection *c, const struct field *f,
                             struct record *r) {
    r->values[f - c->fields] = DB_NULL;
    r->version++;
    r->updated_ns = data_now_ns();
    rc_t rc = row_update(x->t, c, r);
    return rc ? rc : changes_add(x->t, c, CHANGE_UPDATE, r);
}

static rc_t cascade_field(struct cascade *x, struct collection *c, const struct field *f, str id) {
    enum { AT_ONCE = 20 };
    struct record *found = arena_alloc(x->rq->arena, AT_ONCE * sizeof *found);
    u32 n;
    rc_t rc = found ? RC_OK : RC_NO_MEMORY;
    for (;;) {
        if (!rc) rc = referrers(x, c, f, id, found, AT_ONCE, &n);
        if (rc || !n) return rc;
        if (f->on_delete == ON_DELETE_RESTRICT) {
            flaw_add(x->flaws, "", "record_in_use", "records of %.*s refer to it", STR(c->name));
            x->status = 409;
            return RC_CONFLICT;
        }
        for (u32 i = 0; !rc && i < n; i++) {
            if (++x->count > DATA_CASCADE_MAX) {
                flaw_add(x->flaws, "", "too_many_referrers",
                         "more than %d records refer to it: change or delete those first",
                         DATA_CASCADE_MAX);
                x->status = 409;
                return RC_CONFLICT;
            }
            rc = f->on_delete == ON_DELETE_CASCADE ? cascade_delete(x, c, &found[i])
                                                   : forget_reference(x, c, f, &found[i]);
        }
    }
}

/* Collections with a relation to this one. */
static rc_t referring_collections(struct cascade *x, str name, struct collection **out, u32 room,
                                  u32 *count) {
    struct db_rows *r = NULL;
    str names[16];
    u32 n = 0;
    *count = 0;
    rc_t rc = db_query(x->t, &r,
                       "SELECT DISTINCT c.name FROM data_collection c,"
                       " json_each(c.definition,'$.fields') f"
                       " WHERE json_extract(f.value,'$.collection')=?1",
                       DB_TEXT(name));
    while (!rc && (rc = db_next(r)) == RC_OK) {
        if (n == ARRAY_LEN(names))
            rc = RC_LIMIT;
        else if (!(names[n++] = arena_copy(x->rq->arena, db_column_text(r, 0))).ptr)
            rc = RC_NO_MEMORY;
    }
    db_done(r);
    if (rc == RC_NOT_FOUND) rc = RC_OK;
    for (u32 i = 0; !rc && i < n && i < room; i++)
        if (!(rc = collection_load(x->t, names[i], &out[*count]))) (*count)++;
    return rc;
}

static rc_t cascade_delete(struct cascade *x, struct collection *c, const struct record *r) {
    struct collection *others[16];
    u32 n = 0;
    if (++x->depth > 8) {
        flaw_add(x->flaws, "", "too_many_referrers", "records refer to records too deep");
        x->status = 409;
        return RC_CONFLICT;
    }
    rc_t rc = referring_collections(x, c->name, others, ARRAY_LEN(others), &n);
    for (u32 i = 0; i < n; i++) {
        for (u32 k = 0; !rc && k < others[i]->field_count; k++)
            if (str_eq(others[i]->fields[k].target, c->name))
                rc = cascade_field(x, others[i], &others[i]->fields[k], r->id);
        collection_release(others[i]);
    }
    if (!rc) rc = row_delete(x->t, c, r);
    if (!rc) rc = changes_add(x->t, c, CHANGE_DELETE, r);
    x->depth--;
    return rc;
}

/* ---- The four -------------------------------------------------------------------------------- */

static rc_t refuse(struct write *w, int status) {
    w->status = status;
    return RC_INVALID;
}

/* Somebody who has not signed in might be let after it. */
static rc_t denied(struct write *w, const struct actor *who, const struct collection *c,
                   const char *what, struct flaws *flaws) {
    bool guest = !who->user_id.len;
    flaw_add(flaws, "", guest ? "sign_in_required" : "denied",
             "the rules of %.*s do not let %s %s this", STR(c->name), guest ? "guests" : "you",
             what);
    return refuse(w, guest ? 401 : 403);
}

static rc_t create(struct request *rq, struct db_txn *t, struct collection *c, struct write *w,
                   struct flaws *flaws) {
    struct record *r = &w->done;
    char room[ID_ROOM];
    *r = (struct record){.version = 1};
    if (w->ready)
        r->values = w->ready->values;
    else if (!(r->values = arena_zero(rq->arena, (c->field_count + 1) * sizeof *r->values)))
        return RC_NO_MEMORY;
    bool ok =
        w->ready ? record_whole(c, r, flaws) : record_take(c, rq->arena, w->body, true, r, flaws);
    if (!ok) return refuse(w, 422);
    if (w->id.len && !id_valid(w->id)) {
        flaw_add(flaws, "id", "field_type", "a UUID is wanted");
        return refuse(w, 422);
    }
    if (w->id.len)
        r->id = w->id;
    else {
        str made;
        rc_t rc = id_make(room, &made);
        if (rc) return rc;
        if (!(r->id = arena_copy(rq->arena, made)).ptr) return RC_NO_MEMORY;
    }
    r->owner_id = rq->actor.user_id.ptr ? rq->actor.user_id : S("");
    r->org_id = rq->actor.org_id.ptr ? rq->actor.org_id : S("");
    r->created_ns = r->updated_ns = data_now_ns();
    str after = record_text(rq->arena, c, r);
    if (!after.ptr) return RC_NO_MEMORY;
    if (!rules_allow(rq, c, ACTION_CREATE, S(""), after))
        return denied(w, &rq->actor, c, "make", flaws);
    rc_t rc = relations_hold(rq, t, c, r, NULL, flaws);
    if (rc == RC_INVALID) w->status = 422;
    if (!rc) rc = row_insert(t, c, r);
    w->made = true;
    return rc ? rc : changes_add(t, c, CHANGE_CREATE, r);
}

/* The record that is named, if the actor may read it, in the version they mean. */
static rc_t find_for(struct request *rq, struct db_txn *t, struct collection *c, struct write *w,
                     struct record *out, struct flaws *flaws) {
    struct diag why = {0};
    rc_t rc = record_find(rq, t, c, w->id, out, &why);
    if (rc == RC_NOT_FOUND) {
        if (w->kind != WRITE_UPSERT)
            flaw_add(flaws, "id", "not_found", "there is no such record of %.*s", STR(c->name));
        w->status = 404;
        return rc;
    }
    if (rc) return rc;
    if (!w->if_version || w->if_version == out->version) return RC_OK;
    flaw_add(flaws, "version", "changed_meanwhile",
             "it is version %lld now: read it again and apply your change",
             (long long)out->version);
    w->done = *out;
    return refuse(w, 412);
}

static rc_t update(struct request *rq, struct db_txn *t, struct collection *c, struct write *w,
                   struct record *old, struct flaws *flaws) {
    struct record *r = &w->done;
    *r = *old;
    r->values = arena_alloc(rq->arena, (c->field_count + 1) * sizeof *r->values);
    if (!r->values) return RC_NO_MEMORY;
    memcpy(r->values, w->ready ? w->ready->values : old->values,
           c->field_count * sizeof *r->values);
    bool ok = w->ready ? record_whole(c, r, flaws)
                       : record_take(c, rq->arena, w->body, w->kind == WRITE_REPLACE, r, flaws);
    if (!ok) return refuse(w, 422);
    r->version = old->version + 1;
    r->updated_ns = data_now_ns();
    str before = record_text(rq->arena, c, old), after = record_text(rq->arena, c, r);
    if (!before.ptr || !after.ptr) return RC_NO_MEMORY;
    if (!rules_allow(rq, c, ACTION_UPDATE, before, after))
        return denied(w, &rq->actor, c, "change", flaws);
    rc_t rc = relations_hold(rq, t, c, r, old, flaws);
    if (rc == RC_INVALID) w->status = 422;
    if (!rc) rc = row_update(t, c, r);
    return rc ? rc : changes_add(t, c, CHANGE_UPDATE, r);
}

static rc_t delete (struct request *rq, struct db_txn *t, struct collection *c, struct write *w,
                    const struct record *old, struct flaws *flaws) {
    struct cascade x = {.rq = rq, .t = t, .flaws = flaws};
    str before = record_text(rq->arena, c, old);
    if (!before.ptr) return RC_NO_MEMORY;
    if (!rules_allow(rq, c, ACTION_DELETE, before, S("")))
        return denied(w, &rq->actor, c, "delete", flaws);
    w->done = *old;
    rc_t rc = cascade_delete(&x, c, old);
    if (x.status) w->status = x.status;
    return rc;
}

rc_t record_write(struct request *rq, struct db_txn *t, struct collection *c, struct write *w,
                  struct flaws *flaws) {
    struct record old;
    rc_t rc = RC_NOT_FOUND;
    w->status = 0;
    w->made = false;
    bool find = w->kind != WRITE_CREATE && (w->kind != WRITE_UPSERT || w->id.len);
    if (find) rc = find_for(rq, t, c, w, &old, flaws);
    if (w->kind == WRITE_CREATE || (w->kind == WRITE_UPSERT && rc == RC_NOT_FOUND)) {
        w->status = 0;
        rc = create(rq, t, c, w, flaws);
    } else if (!rc) {
        rc = w->kind == WRITE_DELETE ? delete (rq, t, c, w, &old, flaws)
                                     : update(rq, t, c, w, &old, flaws);
    }
    if (rc == RC_CONFLICT && !w->status) {
        w->status = 409;
        tell_conflict(t, c, flaws);
    }
    return rc;
}
