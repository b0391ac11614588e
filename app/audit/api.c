/* SPDX-License-Identifier: Apache-2.0 */
/* api.c — reading the audit log: a filtered page, an export, a verdict on the chain.
 *
 * The export streams in batches, each with a snapshot of its own, so a log of any size neither
 * holds memory nor keeps the database from checkpointing; the log only grows, so batches fit
 * together. */
#include "app/audit/audit_impl.h"
#include "app/filter.h"
#include "app/page.h"
#include "app/reply.h"
#include "kernel/base/log.h"

enum { EXPORT_ROWS = 64, ANSWER_MAX = 1 << 20 };

static bool filter_read(struct request *rq, struct filter *f) {
    str action = {0}, actor = {0}, resource = {0}, result = {0};
    filter_open(f, rq->arena);
    if (rq->actor.org_id.len) filter_add(f, "org_id=?", DB_TEXT(rq->actor.org_id));
    if (!request_query_text(rq, "action", 64, &action) ||
        !request_query_text(rq, "actor", 256, &actor) ||
        !request_query_text(rq, "resource", 256, &resource) ||
        !request_query_text(rq, "result", 16, &result))
        return false;
    bool by_email = str_find_byte(actor, '@') < actor.len;
    if (action.ptr) filter_add(f, "action=?", DB_TEXT(action));
    if (actor.ptr) filter_add(f, by_email ? "actor=?" : "actor_id=?", DB_TEXT(actor));
    if (resource.ptr) filter_add(f, "substr(resource,1,length(?))=?", DB_TEXT(resource));
    if (result.ptr) filter_add(f, "result=?", DB_TEXT(result));
    return filter_time(rq, f, "at__gte", "at_ns>=?") && filter_time(rq, f, "at__lt", "at_ns<?");
}

static void row_json(struct json_writer *w, const char *key, const struct audit_row *row) {
    char hash[AUDIT_HASH_BYTES * 2 + 1] = "";
    if (row->hash.len == AUDIT_HASH_BYTES &&
        str_hex(row->hash.ptr, row->hash.len, hash, sizeof hash))
        hash[0] = 0;
    json_object(w, key);
    json_int(w, "id", row->id);
    json_time(w, "at", (u64)row->at_ns);
    json_text(w, "actor_id", row->actor_id);
    json_text(w, "actor", row->actor);
    json_text(w, "role", row->role);
    json_text(w, "action", row->action);
    json_text(w, "resource", row->resource);
    json_text(w, "result", row->result);
    json_text(w, "address", row->address);
    json_text(w, "client", row->client);
    json_text(w, "request_id", row->request_id);
    if (row->detail.len)
        json_raw(w, "detail", row->detail);
    else
        json_null(w, "detail");
    json_text(w, "hash", str_from_c(hash));
}

/* Ids have no gaps, so the highest counts all rows; with filters the rows are read. */
static rc_t count_rows(struct db_txn *t, const struct filter *f, u64 *out) {
    struct db_rows *r = NULL;
    const char *head = f->where.len ? "SELECT count(*) FROM audit"
                                    : "SELECT max(id)-coalesce((SELECT removed_id FROM"
                                      " audit_anchor),0) FROM audit";
    str sql = filter_sql(f, head, "");
    if (!sql.ptr) return RC_NO_MEMORY;
    rc_t rc = db_query_values(t, &r, sql.ptr, f->values);
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out = (u64)db_column_int(r, 0);
    db_done(r);
    return rc;
}

static rc_t list_items(struct db_txn *t, struct request *rq, const struct page *page,
                       struct json_writer *w, u64 *out_total, void *arg) {
    struct filter *f = arg;
    struct db_rows *r = NULL;
    rc_t rc = count_rows(t, f, out_total);
    if (rc) return rc;
    u32 limit = filter_bind(f, DB_INT(page->limit));
    u32 offset = filter_bind(f, DB_INT(page->offset));
    str tail = arena_printf(rq->arena, " ORDER BY id DESC LIMIT ?%u OFFSET ?%u", limit, offset);
    str sql = tail.ptr ? filter_sql(f, "SELECT " AUDIT_COLUMNS " FROM audit", tail.ptr) : tail;
    if (!sql.ptr) return RC_NO_MEMORY;
    rc = db_query_values(t, &r, sql.ptr, f->values);
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        struct audit_row row;
        audit_row_read(r, &row);
        row_json(w, NULL, &row);
        json_object_end(w);
    }
    db_done(r);
    return rc;
}

void audit_list_get(struct request *rq) {
    struct filter f;
    struct page page;
    if (!request_page(rq, &page) || !filter_read(rq, &f)) return;
    page_answer(rq, &page, ANSWER_MAX, list_items, &f, "Reading the audit log");
}

/* ---- Export ---------------------------------------------------------------------------------- */

/* The next rows after *id as lines of JSON into `out`; *count of them. */
static rc_t export_some(struct filter *f, const char *sql, s64 *id, struct buf *out, u32 *count) {
    struct db_txn *t;
    struct db_rows *r = NULL;
    struct json_writer w;
    *count = 0;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    f->values[f->count - 1] = DB_INT(*id); /* the cursor */
    rc = db_query_values(t, &r, sql, f->values);
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        struct audit_row row;
        audit_row_read(r, &row);
        json_open(&w, ANSWER_MAX);
        row_json(&w, NULL, &row);
        json_int(&w, "at_ns", row.at_ns); /* exact: the hash covers it */
        json_object_end(&w);
        rc = buf_add(out, buf_str(&w.out));
        if (rc == RC_OK) rc = buf_add_byte(out, '\n');
        json_close(&w);
        *id = row.id;
        (*count)++;
    }
    db_done(r);
    db_read_end(t);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t export_all(struct request *rq, struct filter *f, const char *sql) {
    struct buf lines;
    s64 id = 0;
    u32 count = EXPORT_ROWS;
    buf_open(&lines, ANSWER_MAX);
    rc_t rc = http_answer_begin(rq->x, 200, S("application/x-ndjson"), -1);
    while (rc == RC_OK && count == EXPORT_ROWS) {
        buf_clear(&lines);
        if ((rc = export_some(f, sql, &id, &lines, &count))) break;
        rc = http_answer_write(rq->x, buf_str(&lines));
    }
    buf_close(&lines);
    if (rc == RC_OK) return http_answer_end(rq->x);
    http_close_after(rq->x); /* an export without its end must not look whole */
    return rc;
}

void audit_export_get(struct request *rq) {
    struct filter f;
    if (!filter_read(rq, &f)) return;
    filter_add(&f, "id>?", DB_INT(0));
    str tail = arena_printf(rq->arena, " ORDER BY id LIMIT %d", EXPORT_ROWS);
    str sql = tail.ptr ? filter_sql(&f, "SELECT " AUDIT_COLUMNS " FROM audit", tail.ptr) : tail;
    rc_t rc = sql.ptr ? export_all(rq, &f, sql.ptr) : RC_NO_MEMORY;
    if (rc && !http_answered(rq->x))
        reply_rc(rq, rc, "Exporting the audit log");
    else if (rc)
        log_warn("audit", "an export broke off", "rc=%s", rc_name(rc));
}

/* ---- Verify ---------------------------------------------------------------------------------- */

void audit_verify_get(struct request *rq) {
    struct json_writer w;
    u64 rows;
    s64 bad;
    rc_t rc = audit_verify(&rows, &bad);
    if (rc && rc != RC_CORRUPT) {
        reply_rc(rq, rc, "Checking the audit log");
        return;
    }
    json_open(&w, 1024);
    json_object(&w, NULL);
    json_bool(&w, "intact", rc == RC_OK);
    json_int(&w, "rows", (s64)rows);
    if (rc)
        json_int(&w, "first_bad_row", bad);
    else
        json_null(&w, "first_bad_row");
    json_object_end(&w);
    reply_json(rq, 200, &w);
}
