/* SPDX-License-Identifier: Apache-2.0 */
/* export.c — all records that somebody may read, as CSV or JSON lines, as long as it takes.
 *
 *   some rows in one snapshot --> bytes --> the client takes them --> the next rows
 *
 * No snapshot is open while the client is waited for, so a slow one costs others nothing; the price
 * is that the file is not of one instant: a record changed meanwhile is in it as it was or as it
 * became, and each is in it once. A backup is of one instant.
 *
 * An export that fails midway is cut short without its end, so that nobody takes it for whole. */
#include "app/data/csv.h"
#include "app/data/target.h"

enum { ROUND_ARENA = 24 << 20, ROUND_BYTES = 1 << 20 };

struct export {
    struct request rq; /* with an arena of the round's own */
    struct arena arena;
    struct target target;
    struct selection selection;
    str filter;
    bool csv, done;
    s64 last; /* row */
    struct buf out;
    struct flaws flaws;
};

static bool shows(const struct export *e, u32 i) {
    return !e->selection.some || e->selection.fields >> i & 1;
}

static const char *const ours[] = {"id", "version", "created_at", "updated_at", "created_by"};
static bool shows_ours(const struct export *e, u32 i) {
    const bool asked[] = {e->selection.id, e->selection.version, e->selection.created,
                          e->selection.updated, e->selection.owner};
    return !e->selection.some || asked[i];
}

static void put_header(struct export *e) {
    bool any = false;
    for (u32 i = 0; i < ARRAY_LEN(ours); i++) {
        if (!shows_ours(e, i)) continue;
        (void)buf_add(&e->out, any ? S(",") : S(""));
        (void)buf_add(&e->out, str_from_c(ours[i]));
        any = true;
    }
    for (u32 i = 0; i < e->target.c->field_count; i++) {
        if (!shows(e, i)) continue;
        (void)buf_add(&e->out, any ? S(",") : S(""));
        (void)buf_add(&e->out, e->target.c->fields[i].name);
        any = true;
    }
    (void)buf_add(&e->out, S("\r\n"));
}

/* A member's JSON as a cell: texts as they are, null as nothing. */
static void put_cell(struct export *e, const cJSON *v, bool json, bool *any) {
    if (*any) (void)buf_add(&e->out, S(","));
    *any = true;
    if (!v || cJSON_IsNull(v)) return;
    if (cJSON_IsString(v) && !json) {
        csv_put(&e->out, str_from_c(v->valuestring), true);
        return;
    }
    struct json_writer w;
    json_open(&w, MIB(1));
    json_key(&w, str_of(NULL, 0));
    json_put_tree(&w, v);
    csv_put(&e->out, buf_str(&w.out), json);
    json_close(&w);
}

static rc_t put_csv(struct export *e, str json) {
    const struct collection *c = e->target.c;
    struct diag why = {0};
    cJSON *o;
    bool any = false;
    rc_t rc = json_parse(e->rq.arena, json, &o, &why);
    if (rc) return rc;
    const cJSON *m = o->child;
    for (u32 i = 0; i < ARRAY_LEN(ours); i++) {
        if (!shows_ours(e, i)) continue;
        put_cell(e, m, false, &any);
        m = m ? m->next : NULL;
    }
    for (u32 i = 0; i < c->field_count; i++) {
        if (!shows(e, i)) continue;
        put_cell(e, m, c->fields[i].type == FIELD_JSON, &any);
        m = m ? m->next : NULL;
    }
    (void)buf_add(&e->out, S("\r\n"));
    return RC_OK;
}

static rc_t put_record(struct export *e, const struct record *r) {
    struct json_writer w;
    rc_t rc = RC_OK;
    json_open(&w, MIB(2));
    json_object(&w, NULL);
    record_json(&w, e->target.c, r, &e->selection);
    json_object_end(&w);
    if (w.out.failed)
        rc = RC_LIMIT;
    else if (e->csv)
        rc = put_csv(e, buf_str(&w.out));
    else {
        (void)buf_add(&e->out, buf_str(&w.out));
        (void)buf_add(&e->out, S("\n"));
    }
    json_close(&w);
    return rc;
}

static rc_t build(struct export *e, struct sql *s, struct diag *why) {
    sql_put(s, "SELECT ");
    sql_put_name(s, e->target.c->columns);
    rc_t rc = target_from(&e->rq, &e->target, NULL, s, why);
    if (rc) return rc;
    if (e->filter.len) {
        sql_put(s, " AND ");
        if (!filter_parse(e->target.c, e->rq.arena, e->filter, s, &e->flaws)) return RC_PASS;
    }
    sql_put(s, " AND num>");
    sql_bind(s, DB_INT(e->last));
    sql_put(s, " ORDER BY num LIMIT ");
    sql_bind(s, DB_INT(DATA_EXPORT_ROWS));
    return RC_OK;
}

static rc_t round_in(struct export *e, struct db_txn *t, struct diag *why) {
    struct db_rows *r = NULL;
    struct sql s;
    u32 n = 0;
    sql_open(&s);
    rc_t rc = build(e, &s, why);
    if (!rc) rc = sql_query(&s, t, &r);
    while (!rc && e->out.len < ROUND_BYTES && (rc = db_next(r)) == RC_OK) {
        struct record one;
        rc = record_read(r, e->target.c, e->rq.arena, &one);
        if (!rc) rc = put_record(e, &one);
        e->last = one.num;
        n++;
    }
    db_done(r);
    sql_close(&s);
    e->done = rc == RC_DENIED || (rc == RC_NOT_FOUND && n < DATA_EXPORT_ROWS);
    return rc == RC_NOT_FOUND || rc == RC_DENIED ? RC_OK : rc;
}

/* The definition may have changed since the last round: then the columns have, and it ends. */
static rc_t round_of(struct export *e, struct diag *why) {
    struct db_txn *t;
    struct collection *now;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = collection_load(t, e->target.c->name, &now);
    if (!rc) {
        bool same = now->version == e->target.c->version && now->num == e->target.c->num;
        collection_release(now);
        rc = same ? round_in(e, t, why) : RC_CONFLICT;
    }
    db_read_end(t);
    return rc ? rc : e->out.failed ? RC_LIMIT : RC_OK;
}

static bool export_begin(struct request *rq, struct export *e) {
    str format = {0}, fields = {0};
    struct db_txn *t;
    if (!request_query_text(rq, "format", 8, &format) ||
        !request_query_text(rq, "filter", DATA_FILTER_BYTES_MAX, &e->filter) ||
        !request_query_text(rq, "fields", 2048, &fields))
        return false;
    e->csv = str_eq(format, S("csv"));
    if (format.ptr && !e->csv && !str_eq(format, S("jsonl"))) {
        reply_problem(rq, 400, "query_invalid", "format: csv or jsonl.");
        return false;
    }
    rc_t rc = db_read_begin(&t);
    if (rc) {
        reply_rc(rq, rc, "The export");
        return false;
    }
    bool ok = target_of(rq, t, rq->params[0], &e->target);
    db_read_end(t);
    if (!ok || target_selection(&e->target, fields, &e->selection, &e->flaws)) return ok;
    reply_flaws(rq, 400, &e->flaws);
    target_release(&e->target);
    return false;
}

static void run(struct export *e, struct request *rq) {
    struct diag why = {0};
    if (e->csv) put_header(e);
    rc_t rc =
        round_of(e, &why); /* what is wrong with the question shows before the answer begins */
    if (rc) {
        if (rc == RC_PASS)
            reply_flaws(rq, 400, &e->flaws);
        else
            reply_read(rq, rc, &why);
        return;
    }
    str name = arena_join(rq->arena, S("attachment; filename=\""), rq->params[0],
                          e->csv ? S(".csv\"") : S(".jsonl\""));
    if (name.ptr) rc = http_answer_field(rq->x, S("Content-Disposition"), name);
    if (!rc)
        rc = http_answer_begin(
            rq->x, 200, e->csv ? S("text/csv; charset=utf-8") : S("application/x-ndjson"), -1);
    while (!rc) {
        if (e->out.len) rc = http_answer_write(rq->x, buf_str(&e->out));
        if (rc || e->done || rq->http->method == HTTP_HEAD) break;
        buf_clear(&e->out);
        arena_reset(&e->arena);
        rc = round_of(e, &why);
    }
    if (rc)
        http_close_after(rq->x);
    else
        (void)!!http_answer_end(rq->x);
}

void data_export_get(struct request *rq) {
    struct export *e = arena_zero(rq->arena, sizeof *e);
    if (!e) {
        reply_rc(rq, RC_NO_MEMORY, "The export");
        return;
    }
    if (!export_begin(rq, e)) return;
    arena_open(&e->arena, NULL, 0, ROUND_ARENA);
    e->rq = *rq;
    e->rq.arena = &e->arena;
    buf_open(&e->out, MIB(8));
    run(e, rq);
    buf_close(&e->out);
    arena_close(&e->arena);
    target_release(&e->target);
}
