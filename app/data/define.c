/* SPDX-License-Identifier: Apache-2.0 */
/* define.c — collections made, changed and dropped.
 *
 *   definition, as pieces --changes--> pieces --> definition --parsed, checked--> row and tables
 *        (draft.c)                                                                    (tables.c)
 *
 * A change is a list of steps ({"op": "add_field", ...}) that hold together or not at all: steps
 * are worked out in memory first, the result is read by the same parser as any definition, and then
 * the row and all tables change in one transaction. What a field asks holds for what is written
 * from then on; uniqueness and a default hold for what is there, too. */
#include "app/access/access.h"
#include "app/audit/audit.h"
#include "app/data/draft.h"
#include "app/metrics/metrics.h"

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
    if (!c->is_view) rc = tables_make(t, c);
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
        if (!cJSON_IsObject(step) || !draft_step(d, rq->arena, step, flaws)) return false;
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
    if (!rc && !c->is_view) rc = tables_change(t, old, c, flaws);
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
    struct diag why = {0};
    rc_t rc = d ? json_parse(rq->arena, old->definition, &o, &why) : RC_NO_MEMORY;
    if (rc) return rc;
    if (!draft_read(d, rq->arena, o, true, flaws)) return RC_NO_MEMORY; /* it was read before */
    if (!take_steps(rq, d, steps, flaws)) return RC_INVALID;
    rc = draft_parse(rq, d, old->name, out, flaws);
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
        if (!rc) rc = tables_drop(t, c);
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
        changes_tell(); /* streams of it end */
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
