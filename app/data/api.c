/* SPDX-License-Identifier: Apache-2.0 */
/* api.c — one record: read, made, replaced, changed, deleted; and many operations at once, which
 * hold together or not at all.
 *
 * Each write is one transaction: the record, its words, what a delete takes along, the change log
 * and the audit log. An answer leaves after all of that is durable. */
#include "app/access/access.h"
#include "app/audit/audit.h"
#include "app/data/target.h"
#include "app/metrics/metrics.h"

static bool begin_read(struct request *rq, struct db_txn **t) {
    rc_t rc = db_read_begin(t);
    if (rc) reply_rc(rq, rc, "The records");
    return rc == RC_OK;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static void put_record(struct request *rq, int status, const struct collection *c,
                       const struct record *r) {
    struct json_writer w;
    json_open(&w, DATA_ANSWER_MAX);
    json_object(&w, NULL);
    record_json(&w, c, r, NULL);
    json_object_end(&w);
    reply_etag(rq, r->version);
    reply_json(rq, status, &w);
}

static rc_t find(struct request *rq, struct db_txn *t, const struct target *target,
                 struct record *out, struct diag *why) {
    struct db_rows *r = NULL;
    struct sql s;
    sql_open(&s);
    sql_put(&s, "SELECT ");
    sql_put_name(&s, target->c->columns);
    rc_t rc = target_from(rq, target, NULL, &s, why);
    sql_put(&s, " AND id=");
    sql_bind(&s, DB_TEXT(rq->params[1]));
    if (!rc) rc = sql_query(&s, t, &r);
    if (!rc) rc = db_next(r);
    if (!rc) rc = record_read(r, target->c, rq->arena, out);
    db_done(r);
    sql_close(&s);
    return rc == RC_DENIED ? RC_NOT_FOUND : rc;
}

/* Read whole inside the snapshot, answered once that is over: no slow client holds a reader. */
static rc_t read_one(struct request *rq, struct db_txn *t, str fields, str paths,
                     struct json_writer *w, struct record *out, bool *with_others,
                     struct flaws *flaws, struct diag *why) {
    struct target target;
    struct selection selection;
    struct expand expand;
    if (!target_of(rq, t, rq->params[0], &target)) return RC_CLOSED; /* answered */
    rc_t rc = RC_PASS;
    if (target_selection(&target, fields, &selection, flaws) &&
        expand_parse(target.c, paths, &expand, flaws))
        rc = find(rq, t, &target, out, why);
    if (!rc) {
        record_json(w, target.c, out, &selection);
        *with_others = expand.count > 0;
        if (expand.count) rc = expand_json(rq, t, target.c, out, &expand, w);
    }
    target_release(&target);
    return rc;
}

void data_get(struct request *rq) {
    struct flaws *flaws = arena_zero(rq->arena, sizeof *flaws);
    struct record r;
    struct json_writer w;
    struct diag why = {0};
    struct db_txn *t;
    str fields = {0}, paths = {0};
    bool with_others = false;
    if (!flaws) {
        reply_rc(rq, RC_NO_MEMORY, "The record");
        return;
    }
    if (!request_query_text(rq, "fields", 2048, &fields) ||
        !request_query_text(rq, "expand", 512, &paths) || !begin_read(rq, &t))
        return;
    json_open(&w, DATA_ANSWER_MAX);
    json_object(&w, NULL);
    rc_t rc = read_one(rq, t, fields, paths, &w, &r, &with_others, flaws, &why);
    json_object_end(&w);
    db_read_end(t);
    if (!rc && (with_others || !reply_not_modified(rq, r.version))) {
        reply_json(rq, 200, &w); /* with relations beside it, its version says too little */
        return;
    }
    json_close(&w);
    if (rc == RC_PASS)
        reply_flaws(rq, 400, flaws);
    else if (rc == RC_NOT_FOUND)
        reply_problem(rq, 404, "not_found", "There is no such record.");
    else if (rc && rc != RC_CLOSED)
        reply_read(rq, rc, &why);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static rc_t note(struct db_txn *t, struct request *rq, const struct collection *c,
                 const struct write *w) {
    const char *action = w->kind == WRITE_DELETE              ? "data.delete"
                         : w->kind == WRITE_CREATE || w->made ? "data.create"
                                                              : "data.update";
    str resource = arena_join(rq->arena, c->name, S("/"), w->done.id);
    struct audit_event e = {action, resource, "ok", S("")};
    return resource.ptr ? audit_add(t, rq, &e) : RC_NO_MEMORY;
}

static void answer_failure(struct request *rq, rc_t rc, const struct write *w,
                           const struct flaws *flaws) {
    if (!w->status) {
        reply_read(rq, rc, &(struct diag){0});
        return;
    }
    if (w->status == 412) reply_etag(rq, w->done.version);
    reply_flaws(rq, w->status, flaws);
}

/* The collection to write to, loaded, its rules worked out; false: answered. */
static bool writable(struct request *rq, str name, struct collection **out) {
    struct db_txn *t;
    struct diag why = {0};
    if (!begin_read(rq, &t)) return false;
    bool ok = collection_of(rq, t, name, out);
    db_read_end(t);
    if (!ok) return false;
    if ((*out)->is_view) {
        reply_problem(rq, 405, "view_read_only", "A view is read; write to its collection, %.*s.",
                      STR((*out)->view_from));
        collection_release(*out);
        return false;
    }
    rc_t rc = record_write_prepare(rq, *out, &why);
    if (!rc) return true;
    collection_release(*out);
    reply_rc(rq, rc, "The rules");
    return false;
}

/* If-Match as a version: 0 when there is none, or `*`. */
static bool wanted_version(struct request *rq, s64 *out) {
    str tag = str_trim(http_field(rq->http, S("If-Match")));
    *out = 0;
    if (!tag.ptr || str_eq(tag, S("*"))) return true;
    if (tag.len > 2 && tag.ptr[0] == '"' && tag.ptr[tag.len - 1] == '"' &&
        str_to_s64(str_of(tag.ptr + 1, tag.len - 2), out) == RC_OK && *out > 0)
        return true;
    reply_problem(rq, 412, "changed_meanwhile", "If-Match is not an ETag of this record.");
    return false;
}

/* In the writer's turn: the definition that holds now, not the one looked at before. */
static rc_t write_now(struct request *rq, struct db_txn *t, str name, struct write *w,
                      struct flaws *flaws) {
    struct collection *c;
    rc_t rc = collection_load(t, name, &c);
    if (rc) return rc;
    rc = c->is_view ? RC_NOT_FOUND : record_write(rq, t, c, w, flaws);
    if (!rc) rc = note(t, rq, c, w);
    collection_release(c);
    return rc;
}

static void write_one(struct request *rq, struct write *w) {
    struct flaws *flaws = arena_zero(rq->arena, sizeof *flaws);
    struct collection *c;
    struct db_txn *t;
    if (!flaws) {
        reply_rc(rq, RC_NO_MEMORY, "The record");
        return;
    }
    if (!wanted_version(rq, &w->if_version) || !writable(rq, rq->params[0], &c)) return;
    rc_t rc = db_write_begin(&t);
    if (!rc) {
        rc = db_write_end(t, write_now(rq, t, c->name, w, flaws));
        changes_tell();
    }
    if (rc) {
        answer_failure(rq, rc, w, flaws);
    } else {
        metric_add(METRIC_DATA_WRITTEN, 1);
        if (w->kind == WRITE_DELETE)
            reply_empty(rq, 204);
        else {
            if (w->kind == WRITE_CREATE)
                reply_location(
                    rq, arena_join(rq->arena, S("/api/v1/data/"), c->name, S("/"), w->done.id));
            put_record(rq, w->kind == WRITE_CREATE ? 201 : 200, c, &w->done);
        }
    }
    collection_release(c);
}

/* A body may name an id, as files that come from elsewhere do. */
static str id_member(const cJSON *body) {
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(body, "id");
    return cJSON_IsString(id)        ? str_from_c(id->valuestring)
           : id && !cJSON_IsNull(id) ? S("?")
                                     : S("");
}

void data_post(struct request *rq) {
    cJSON *body;
    if (!request_json(rq, &body)) return;
    write_one(rq, &(struct write){.kind = WRITE_CREATE, .id = id_member(body), .body = body});
}
void data_put(struct request *rq) {
    cJSON *body;
    if (!request_json(rq, &body)) return;
    write_one(rq, &(struct write){.kind = WRITE_REPLACE, .id = rq->params[1], .body = body});
}
void data_patch(struct request *rq) {
    cJSON *body;
    if (!request_json(rq, &body)) return;
    write_one(rq, &(struct write){.kind = WRITE_MERGE, .id = rq->params[1], .body = body});
}
void data_delete(struct request *rq) {
    write_one(rq, &(struct write){.kind = WRITE_DELETE, .id = rq->params[1]});
}

/* ---- Many at once ---------------------------------------------------------------------------- */

struct operation {
    str collection;
    struct write write;
};
struct batch {
    struct operation items[DATA_BATCH_MAX];
    u32 count, at; /* at: the one that failed */
    struct flaws flaws;
    char place[40];
};

static bool operation_read(struct request *rq, const cJSON *o, struct operation *out) {
    static const char *const known[] = {"op", "collection", "id", "version", "record", NULL};
    static const struct {
        const char *name;
        enum write_kind kind;
    } ops[] = {{"create", WRITE_CREATE},
               {"replace", WRITE_REPLACE},
               {"update", WRITE_MERGE},
               {"delete", WRITE_DELETE},
               {"upsert", WRITE_UPSERT}};
    str op = {0};
    *out = (struct operation){.write.id = S("")};
    if (!cJSON_IsObject(o)) {
        reply_problem(rq, 422, "member_type", "Each of \"operations\" is an object.");
        return false;
    }
    if (!request_members_known(rq, o, known) ||
        !request_member_text(rq, o, "op", true, 1, 16, &op) ||
        !request_member_text(rq, o, "collection", true, 1, DATA_NAME_MAX, &out->collection) ||
        !request_member_text(rq, o, "id", false, 1, 64, &out->write.id) ||
        !request_member_int(rq, o, "version", false, 1, INT64_MAX, &out->write.if_version))
        return false;
    size_t i = 0;
    while (i < ARRAY_LEN(ops) && !str_eq(op, str_from_c(ops[i].name))) i++;
    if (i == ARRAY_LEN(ops)) {
        reply_problem(rq, 422, "member_value",
                      "\"op\" is create, replace, update, delete or upsert.");
        return false;
    }
    out->write.kind = ops[i].kind;
    out->write.body = cJSON_GetObjectItemCaseSensitive(o, "record");
    bool body = out->write.kind != WRITE_DELETE;
    if (body && !out->write.id.len) out->write.id = id_member(out->write.body);
    if ((!body || cJSON_IsObject(out->write.body)) &&
        (out->write.id.len || out->write.kind == WRITE_CREATE || out->write.kind == WRITE_UPSERT))
        return true;
    reply_problem(rq, 422, "member_missing",
                  "An operation has a record, and an id unless it makes "
                  "one; a delete has an id.");
    return false;
}

static bool batch_read(struct request *rq, struct batch *b) {
    static const char *const known[] = {"operations", NULL};
    cJSON *body, *o;
    if (!request_json(rq, &body) || !request_members_known(rq, body, known)) return false;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "operations");
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (n < 1 || n > DATA_BATCH_MAX) {
        reply_problem(rq, 422, "member_value", "\"operations\" is a list of 1 to %d.",
                      DATA_BATCH_MAX);
        return false;
    }
    cJSON_ArrayForEach(o, list) if (!operation_read(rq, o, &b->items[b->count++])) return false;
    return true;
}

static bool batch_prepare(struct request *rq, struct batch *b) {
    for (u32 i = 0; i < b->count; i++) {
        struct collection *c;
        bool seen = false;
        for (u32 k = 0; k < i && !seen; k++)
            seen = str_eq(b->items[k].collection, b->items[i].collection);
        if (seen) continue;
        if (!writable(rq, b->items[i].collection, &c)) return false;
        collection_release(c);
    }
    return true;
}

static rc_t batch_run(struct request *rq, struct db_txn *t, struct batch *b) {
    rc_t rc = RC_OK;
    for (u32 i = 0; !rc && i < b->count; i++) {
        b->at = i;
        str place = arena_printf(rq->arena, "operations[%u]", i);
        b->flaws.prefix = place.ptr;
        rc = write_now(rq, t, b->items[i].collection, &b->items[i].write, &b->flaws);
    }
    return rc;
}

static void batch_answer(struct request *rq, const struct batch *b) {
    static const char *const done[] = {"created", "replaced", "updated", "deleted", "updated"};
    struct json_writer w;
    json_open(&w, DATA_ANSWER_MAX);
    json_object(&w, NULL);
    json_array(&w, "results");
    for (u32 i = 0; i < b->count; i++) {
        const struct write *one = &b->items[i].write;
        json_object(&w, NULL);
        json_text(&w, "collection", b->items[i].collection);
        json_text(&w, "id", one->done.id);
        json_text(&w, "result", str_from_c(one->made ? "created" : done[one->kind]));
        json_int(&w, "version", one->done.version);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

void data_batch_post(struct request *rq) {
    struct batch *b = arena_zero(rq->arena, sizeof *b);
    struct db_txn *t;
    if (!b) {
        reply_rc(rq, RC_NO_MEMORY, "The operations");
        return;
    }
    if (!batch_read(rq, b) || !batch_prepare(rq, b)) return;
    rc_t rc = db_write_begin(&t);
    if (!rc) {
        rc = db_write_end(t, batch_run(rq, t, b));
        changes_tell();
    }
    if (rc) {
        answer_failure(rq, rc, &b->items[b->at].write, &b->flaws);
        return;
    }
    metric_add(METRIC_DATA_WRITTEN, b->count);
    batch_answer(rq, b);
}
