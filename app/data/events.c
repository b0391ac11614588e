/* SPDX-License-Identifier: Apache-2.0 */
/* events.c — changes as they happen, as server-sent events (WHATWG HTML, 9.2).
 *
 *   id: 417
 *   event: update
 *   data: {"collection":"bills","id":"0190...","at":"...","record":{...}}
 *
 *   event: ready     where the stream begins, so that a client has an id to come back with
 *   event: gap       changes before this one are no longer kept: read the list again
 *   event: gone      the collection was dropped
 *
 * A stream is a loop: read some of the change log in one snapshot, end it, write, wait. What is
 * shown is the record as it is now, if this listener may read it now: the same statement as a
 * list's. Of a deleted record the rules are asked as it was. A record that a change hides from a
 * listener is not shown, and not announced either.
 *
 * Always true: no snapshot is open while a client is waited for; each round's memory is dropped
 * before the next; a stream ends after STREAM_S at the latest, so that whoever lost their rights
 * loses the stream (clients come back by themselves, with Last-Event-ID). */
#include "app/data/target.h"
#include "app/metrics/metrics.h"
#include "kernel/core/fiber.h"
#include "kernel/platform.h"
#include <stdio.h>

enum {
    STREAM_S = 600,
    TICK_MS = 1000,    /* between two looks whether the appliance stops */
    STILL_HERE_S = 15, /* proxies close what is silent */
    AT_ONCE = 50,      /* changes of one snapshot */
    ROUND_BYTES = 65536,
    ROUND_ARENA = 8 << 20
};

static u32 streams;
u32 changes_subscribers(void) {
    return streams;
}

struct stream_state {
    struct request rq; /* with an arena of the round's own */
    struct arena arena;
    str name, filter;
    s64 last;          /* everything up to here was looked at */
    bool gone, behind; /* behind: there is more to read at once */
    struct buf out;
    struct flaws flaws;
};

static const char *const kinds[] = {"", "create", "update", "delete"};

static void put_event(struct stream_state *s, s64 id, const char *event, str data) {
    (void)buf_printf(&s->out, "id: %lld\nevent: %s\ndata: ", (long long)id, event);
    (void)buf_add(&s->out, data); /* JSON of ours: no line ends in it */
    (void)buf_add(&s->out, S("\n\n"));
}

/* ---- What this listener may see -------------------------------------------------------------- */

struct change_row {
    s64 seq, kind, at_ns;
    str id, before;
};

static bool put_filter(struct stream_state *s, const struct collection *c, struct sql *to) {
    if (!s->filter.len) return true;
    sql_put(to, " AND ");
    return filter_parse(c, s->rq.arena, s->filter, to, &s->flaws);
}

static rc_t find_now(struct stream_state *s, struct db_txn *t, const struct target *target, str id,
                     struct record *out) {
    struct diag why = {0};
    struct db_rows *r = NULL;
    struct sql q;
    sql_open(&q);
    sql_put(&q, "SELECT ");
    sql_put_name(&q, target->c->columns);
    rc_t rc = target_from(&s->rq, target, NULL, &q, &why);
    sql_put(&q, " AND id=");
    sql_bind(&q, DB_TEXT(id));
    if (!rc && !put_filter(s, target->c, &q)) rc = RC_INVALID;
    if (!rc) rc = sql_query(&q, t, &r);
    if (!rc) rc = db_next(r);
    if (!rc) rc = record_read(r, target->c, s->rq.arena, out);
    db_done(r);
    sql_close(&q);
    return rc;
}

static void put_as(struct sql *q, struct db_value v, const char *as, str column) {
    sql_bind(q, v);
    sql_put(q, as);
    if (column.len) sql_put_name(q, column);
}

/* The rules of a row that is no more: the same condition, over the values it had. */
static rc_t was_theirs(struct stream_state *s, struct db_txn *t, const struct target *target,
                       const struct record *was) {
    struct collection *c = target->c;
    struct diag why = {0};
    struct db_rows *r = NULL;
    struct sql q;
    sql_open(&q);
    sql_put(&q, "WITH was AS (SELECT ");
    put_as(&q, DB_TEXT(was->id), " AS id,", S(""));
    put_as(&q, DB_INT(was->version), " AS version,", S(""));
    put_as(&q, DB_TEXT(was->org_id), " AS org_id,", S(""));
    put_as(&q, DB_TEXT(was->owner_id), " AS owner_id,", S(""));
    put_as(&q, DB_INT(was->created_ns), " AS created_ns,", S(""));
    put_as(&q, DB_INT(was->updated_ns), " AS updated_ns", S(""));
    for (u32 i = 0; i < c->field_count; i++) {
        sql_put(&q, ",");
        put_as(&q, was->values[i], " AS ", c->fields[i].column);
    }
    sql_put(&q, ") SELECT 1");
    struct collection shown = *c; /* its table is the row that was */
    shown.table = S("was");
    struct target over = {&shown, target->view};
    rc_t rc = target_from(&s->rq, &over, NULL, &q, &why);
    if (!rc && !put_filter(s, c, &q)) rc = RC_INVALID;
    if (!rc) rc = sql_query(&q, t, &r);
    if (!rc) rc = db_next(r);
    db_done(r);
    sql_close(&q);
    return rc;
}

static u64 time_member(const cJSON *o, const char *name) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    s64 ns = 0;
    return cJSON_IsString(v) && !str_to_s64(str_from_c(v->valuestring), &ns) ? (u64)ns : 0;
}
static str text_member(const cJSON *o, const char *name) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    return cJSON_IsString(v) ? str_from_c(v->valuestring) : S("");
}

/* As change_text wrote it; fields added since then are empty. */
static rc_t record_that_was(struct stream_state *s, const struct collection *c, str text,
                            struct record *out) {
    struct diag why = {0};
    cJSON *o;
    rc_t rc = json_parse(s->rq.arena, text, &o, &why);
    if (rc) return rc;
    *out = (struct record){.id = text_member(o, "id"),
                           .org_id = text_member(o, "org_id"),
                           .owner_id = text_member(o, "owner_id"),
                           .created_ns = time_member(o, "created_ns"),
                           .updated_ns = time_member(o, "updated_ns")};
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(o, "version");
    if (cJSON_IsNumber(version)) out->version = (s64)version->valuedouble;
    const cJSON *fields = cJSON_GetObjectItemCaseSensitive(o, "f");
    out->values = arena_alloc(s->rq.arena, (c->field_count + 1) * sizeof *out->values);
    if (!out->values) return RC_NO_MEMORY;
    for (u32 i = 0; i < c->field_count; i++) {
        char column[24];
        struct flaws ignored = {0};
        if (str_to_c(c->fields[i].column, column, sizeof column)) return RC_LIMIT;
        if (!field_take(&c->fields[i], s->rq.arena,
                        cJSON_GetObjectItemCaseSensitive(fields, column), &out->values[i],
                        &ignored))
            return RC_INVALID;
    }
    return RC_OK;
}

/* ---- One round ------------------------------------------------------------------------------- */

static void put_change(struct stream_state *s, const struct target *target,
                       const struct change_row *row, const struct record *r) {
    struct selection selection = {0};
    struct json_writer w;
    json_open(&w, MIB(2));
    json_object(&w, NULL);
    json_text(&w, "collection", s->name);
    json_text(&w, "id", row->id);
    json_time(&w, "at", (u64)row->at_ns);
    if (row->kind != CHANGE_DELETE && target_selection(target, S(""), &selection, &s->flaws)) {
        json_object(&w, "record");
        record_json(&w, target->c, r, &selection);
        json_object_end(&w);
    }
    json_object_end(&w);
    if (!w.out.failed) put_event(s, row->seq, kinds[row->kind], buf_str(&w.out));
    json_close(&w);
    metric_add(METRIC_DATA_EVENTS, 1);
}

/* RC_NOT_FOUND: nothing of it is theirs to see. */
static rc_t show(struct stream_state *s, struct db_txn *t, const struct target *target,
                 const struct change_row *row) {
    struct record r;
    rc_t rc;
    if (row->kind == CHANGE_DELETE) {
        rc = record_that_was(s, target->c, row->before, &r);
        if (!rc) rc = was_theirs(s, t, target, &r);
    } else {
        rc = find_now(s, t, target, row->id, &r);
    }
    if (!rc) put_change(s, target, row, &r);
    return rc == RC_INVALID || rc == RC_DENIED || rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t read_rows(struct stream_state *s, struct db_txn *t, s64 num, struct change_row *to,
                      u32 *count) {
    struct db_rows *r = NULL;
    *count = 0;
    rc_t rc = db_query(t, &r,
                       "SELECT seq,kind,at_ns,record,before FROM data_change"
                       " WHERE seq>?1 AND collection=?2 ORDER BY seq LIMIT 50",
                       DB_INT(s->last), DB_INT(num));
    while (!rc && *count < AT_ONCE && (rc = db_next(r)) == RC_OK) {
        struct change_row *row = &to[(*count)++];
        *row = (struct change_row){db_column_int(r, 0), db_column_int(r, 1), db_column_int(r, 2),
                                   arena_copy(s->rq.arena, db_column_text(r, 3)),
                                   arena_copy(s->rq.arena, db_column_text(r, 4))};
        if (!row->id.ptr || !row->before.ptr) rc = RC_NO_MEMORY;
    }
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t tell_gap(struct stream_state *s, struct db_txn *t, s64 *newest) {
    s64 oldest;
    char data[96];
    rc_t rc = changes_range(t, &oldest, newest);
    if (rc) return rc;
    bool missed = oldest > s->last + 1 || (!oldest && *newest > s->last);
    bool ahead = s->last > *newest; /* an id of another time: a database was put back */
    if (!missed && !ahead) return RC_OK;
    s64 from = s->last + 1, now = ahead || !oldest ? *newest : oldest - 1;
    int n =
        snprintf(data, sizeof data, "{\"from\":%lld,\"to\":%lld}", (long long)from, (long long)now);
    s->last = now;
    put_event(s, s->last, "gap", str_of(data, (size_t)n));
    return RC_OK;
}

static rc_t round_in(struct stream_state *s, struct db_txn *t) {
    struct change_row *rows = arena_alloc(s->rq.arena, AT_ONCE * sizeof *rows);
    struct target target = {0};
    s64 newest = 0;
    u32 n = 0, i = 0;
    s->behind = false;
    if (!rows) return RC_NO_MEMORY;
    rc_t rc = collection_load(t, s->name, &target.c);
    if (!rc && target.c->is_view) {
        target.view = target.c;
        rc = collection_load(t, target.view->view_from, &target.c);
    }
    s->gone = rc == RC_NOT_FOUND;
    if (!rc) rc = tell_gap(s, t, &newest);
    if (!rc) rc = read_rows(s, t, target.c->num, rows, &n);
    while (!rc && i < n && s->out.len < ROUND_BYTES) {
        rc = show(s, t, &target, &rows[i]);
        s->last = rows[i++].seq;
    }
    s->behind = i < n || n == AT_ONCE;
    if (!rc && !s->behind) s->last = newest;
    target_release(&target);
    return s->gone ? RC_OK : rc;
}

static rc_t round_of(struct stream_state *s) {
    struct db_txn *t;
    arena_reset(&s->arena);
    buf_clear(&s->out);
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = round_in(s, t);
    db_read_end(t);
    if (s->gone) put_event(s, s->last, "gone", S("{}"));
    return rc ? rc : s->out.failed ? RC_LIMIT : RC_OK;
}

/* ---- The stream ------------------------------------------------------------------------------ */

static void run(struct stream_state *s, struct http_exchange *x) {
    u64 end_ns = platform_clock_ns() + STREAM_S * NS_PER_S, said_ns = platform_clock_ns();
    u64 looked = changes_told() - 1;
    rc_t rc = RC_OK;
    while (!rc && !s->gone && !http_leaving(x) && platform_clock_ns() < end_ns) {
        bool look = looked != changes_told() || s->behind;
        looked = changes_told();
        buf_clear(&s->out);
        if (look) rc = round_of(s);
        u64 now = platform_clock_ns();
        bool silent = now - said_ns >= STILL_HERE_S * NS_PER_S;
        if (!rc && s->out.len)
            rc = http_answer_write(x, buf_str(&s->out));
        else if (!rc && silent)
            rc = http_answer_write(x, S(": still here\n\n"));
        if (s->out.len || silent) said_ns = now;
        bool nothing = looked == changes_told() && !s->behind && !s->gone;
        if (!rc && nothing && changes_wait(TICK_MS) == RC_LIMIT) rc = RC_LIMIT;
    }
}

static bool first_id(struct request *rq, struct db_txn *t, s64 *out) {
    s64 oldest;
    str id = str_trim(http_field(rq->http, S("Last-Event-ID")));
    if (!id.ptr && !request_query_text(rq, "last_event_id", 20, &id)) return false;
    if (!id.len) {
        rc_t rc = changes_range(t, &oldest, out);
        if (rc) reply_rc(rq, rc, "The changes");
        return rc == RC_OK;
    }
    if (!str_to_s64(id, out) && *out >= 0) return true;
    reply_problem(rq, 400, "event_id_invalid",
                  "Last-Event-ID is the id of an event of this stream.");
    return false;
}

/* Everything that can be wrong is told before the stream begins. */
static bool stream_begin(struct request *rq, struct stream_state *s) {
    struct target target;
    struct db_txn *t;
    struct sql q;
    if (!request_query_text(rq, "filter", DATA_FILTER_BYTES_MAX, &s->filter)) return false;
    rc_t rc = db_read_begin(&t);
    if (rc) {
        reply_rc(rq, rc, "The changes");
        return false;
    }
    bool ok = target_of(rq, t, rq->params[0], &target);
    if (ok) {
        sql_open(&q);
        ok = put_filter(s, target.c, &q);
        sql_close(&q);
        if (!ok) reply_flaws(rq, 400, &s->flaws);
        ok = ok && first_id(rq, t, &s->last);
        target_release(&target);
    }
    db_read_end(t);
    return ok;
}

void data_events_get(struct request *rq) {
    char ready[64];
    struct stream_state *s = arena_zero(rq->arena, sizeof *s);
    if (!s || streams >= DATA_SUBSCRIBERS_MAX) {
        reply_rc(rq, RC_LIMIT, "The stream of changes");
        return;
    }
    s->rq = *rq;
    s->rq.arena = rq->arena;
    s->name = rq->params[0];
    if (!stream_begin(rq, s)) return;
    arena_open(&s->arena, NULL, 0, ROUND_ARENA);
    s->rq.arena = &s->arena;
    buf_open(&s->out, MIB(4));
    streams++;
    metric_add(METRIC_DATA_STREAMS, 1);
    int n = snprintf(ready, sizeof ready, "retry: 1000\nid: %lld\nevent: ready\ndata: {}\n\n",
                     (long long)s->last);
    rc_t rc = http_answer_begin(rq->x, 200, S("text/event-stream"), -1);
    if (!rc) rc = http_answer_write(rq->x, str_of(ready, (size_t)n));
    if (!rc && rq->http->method != HTTP_HEAD) run(s, rq->x);
    (void)!!http_answer_end(rq->x);
    streams--;
    buf_close(&s->out);
    arena_close(&s->arena);
}
