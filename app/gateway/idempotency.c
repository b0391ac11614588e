/* SPDX-License-Identifier: Apache-2.0 */
/* idempotency.c — a POST sent twice with one Idempotency-Key acts once.
 *
 *   key unknown  -> row "pending" made durable -> handler -> row gets the answer -> answer leaves
 *   key finished -> the same answer again, with Idempotency-Replayed: true
 *   key pending  -> 409: running now, or its outcome was lost in a power cut
 *   other body   -> 422: the key was used for something else
 *
 * Keys belong to the signed-in user and are kept for a day. A guest's key is not honoured: anyone
 * could guess it and be handed another guest's answer.
 *
 * Always true: the row is durable before the handler runs and the answer is durable before it
 * leaves, so no crash makes a retry act a second time; an answer of 500 or above frees the key. */
#include "app/gateway/gateway_impl.h"
#include "app/metrics/metrics.h"
#include "app/reply.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"

#define KEY_BYTES_MAX 200u
#define KEPT_S (24 * 3600)
#define PURGE_EVERY_S 600

struct claim { /* a key whose handler runs in this moment */
    str owner, key;
    struct claim *next;
};
static struct claim *running;
static s64 purged_s;

static const char *const key_steps[] = {
    "CREATE TABLE idempotency ("
    " owner TEXT NOT NULL, key TEXT NOT NULL, made_s INTEGER NOT NULL,"
    " request BLOB NOT NULL," /* 16 bytes that tell one request from another */
    " status INTEGER,"        /* NULL: pending */
    " content_type TEXT, location TEXT, etag TEXT, body BLOB,"
    " PRIMARY KEY (owner, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX idempotency_made ON idempotency (made_s);",
    NULL,
};
static const struct db_schema key_schema = {.module = "idempotency", .steps = key_steps};

static s64 now_s(void) { return (s64)(platform_wall_ns() / NS_PER_S); }

static bool key_ok(str key) {
    if (!key.len || key.len > KEY_BYTES_MAX) return false;
    for (size_t i = 0; i < key.len; i++)
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~') return false;
    return true;
}

static struct claim *find_running(str owner, str key) {
    struct claim *c = running;
    while (c && !(str_eq(c->owner, owner) && str_eq(c->key, key))) c = c->next;
    return c;
}

/* What was asked: path and body. The user's own key guards it, so no cryptography is needed. */
static str fingerprint(struct request *rq, str body) {
    u64 *words = arena_alloc(rq->arena, 16);
    if (!words) return (str){0};
    words[0] = str_hash(body, str_hash(rq->http->path, 1));
    words[1] = str_hash(body, str_hash(rq->http->path, 0x6F70656E706F6C69ull));
    return str_of((const char *)words, 16);
}

/* ---- An earlier answer --------------------------------------------------------------------- */

struct earlier {
    bool finished, same;
    int status;
    str content_type, location, etag, body;
};

static rc_t read_earlier(struct request *rq, str key, str print, struct earlier *out) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(t, &rows,
                  "SELECT request, status, content_type, location, etag, body FROM idempotency"
                  " WHERE owner=?1 AND key=?2 AND made_s>=?3",
                  DB_TEXT(rq->actor.user_id), DB_TEXT(key), DB_INT(now_s() - KEPT_S));
    if (!rc && !(rc = db_next(rows))) {
        out->same = str_eq(db_column_text(rows, 0), print);
        out->finished = !db_column_null(rows, 1);
        out->status = (int)db_column_int(rows, 1);
        out->content_type = arena_copy(rq->arena, db_column_text(rows, 2));
        out->location = arena_copy(rq->arena, db_column_text(rows, 3));
        out->etag = arena_copy(rq->arena, db_column_text(rows, 4));
        out->body = arena_copy(rq->arena, db_column_text(rows, 5));
        if (!out->body.ptr) rc = RC_NO_MEMORY;
    }
    db_done(rows);
    db_read_end(t);
    return rc;
}

static void replay(struct request *rq, const struct earlier *e) {
    metric_add(METRIC_IDEMPOTENT_REPLAYS, 1);
    rc_t rc = http_answer_field(rq->x, S("Idempotency-Replayed"), S("true"));
    if (!rc && e->location.len) rc = http_answer_field(rq->x, S("Location"), e->location);
    if (!rc && e->etag.len) rc = http_answer_field(rq->x, S("ETag"), e->etag);
    if (rc)
        reply_rc(rq, rc, "Repeating the earlier answer");
    else
        http_answer(rq->x, e->status, e->content_type, e->body);
}

static rc_t answer_earlier(struct request *rq, const struct earlier *e) {
    if (!e->same)
        reply_problem(rq, 422, "idempotency_key_reused",
                      "This Idempotency-Key was used for another request; take a new one.");
    else if (!e->finished)
        reply_problem(
            rq, 409, "idempotency_unknown",
            "The first attempt was interrupted and its outcome is not known: look whether "
            "it took effect before you try with a new key.");
    else
        replay(rq, e);
    return RC_CONFLICT;
}

/* ---- Claim, record, release ---------------------------------------------------------------- */

static rc_t claim_row(struct request *rq, str key, str print) {
    struct db_txn *t;
    s64 now = now_s();
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    if (now - purged_s > PURGE_EVERY_S) {
        rc = db_run(t, "DELETE FROM idempotency WHERE made_s < ?1", DB_INT(now - KEPT_S));
        purged_s = now;
    }
    if (!rc)
        rc = db_run(t,
                    "INSERT INTO idempotency (owner, key, made_s, request) VALUES (?1, ?2, ?3, ?4)"
                    " ON CONFLICT DO UPDATE SET made_s=?3, request=?4, status=NULL"
                    " WHERE made_s < ?5", /* expired, not yet purged */
                    DB_TEXT(rq->actor.user_id), DB_TEXT(key), DB_INT(now), DB_BLOB(print),
                    DB_INT(now - KEPT_S));
    return db_write_end(t, rc);
}

static rc_t record_row(struct request *rq, str key, int status, str type, str body) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    if (status >= 500)
        rc = db_run(t, "DELETE FROM idempotency WHERE owner=?1 AND key=?2",
                    DB_TEXT(rq->actor.user_id), DB_TEXT(key));
    else
        rc = db_run(
            t,
            "UPDATE idempotency SET status=?3, content_type=?4, location=?5, etag=?6, body=?7"
            " WHERE owner=?1 AND key=?2",
            DB_TEXT(rq->actor.user_id), DB_TEXT(key), DB_INT(status), DB_TEXT(type),
            DB_TEXT(rq->location), DB_TEXT(rq->etag), DB_BLOB(body.ptr ? body : S("")));
    return db_write_end(t, rc);
}

static void record(struct request *rq, int status, str content_type, str body) {
    struct claim *c = rq->before_answer_arg;
    rq->before_answer = NULL; /* the answers below are not to be recorded */
    rc_t rc = record_row(rq, c->key, status, content_type, body);
    if (rc) /* the change itself stands: a retry is told to look */
        log_warn("gateway", "an answer could not be kept for its Idempotency-Key", "rc=%s",
                 rc_name(rc));
    rq->before_answer = record;
}

static rc_t begin_claimed(struct request *rq, struct claim *c) {
    struct earlier e = {0};
    str body = {0};
    if (!request_body(rq, &body)) return RC_INVALID;
    str print = fingerprint(rq, body);
    if (!print.ptr) return RC_NO_MEMORY;
    rc_t rc = read_earlier(rq, c->key, print, &e);
    if (!rc) return answer_earlier(rq, &e);
    if (rc == RC_NOT_FOUND) rc = claim_row(rq, c->key, print);
    if (rc) reply_rc(rq, rc, "Keeping the Idempotency-Key");
    return rc;
}

static void release(struct claim *c) {
    struct claim **at = &running;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
}

rc_t idempotency_begin(struct request *rq) {
    str key = http_field(rq->http, S("Idempotency-Key"));
    if (!key.ptr || !rq->actor.user_id.len) return RC_OK;
    if (!key_ok(key)) {
        reply_problem(rq, 400, "idempotency_key_invalid",
                      "An Idempotency-Key has 1 to %u visible ASCII characters.", KEY_BYTES_MAX);
        return RC_INVALID;
    }
    if (find_running(rq->actor.user_id, key)) {
        reply_problem(rq, 409, "idempotency_running",
                      "A request with this Idempotency-Key is being served at this moment.");
        return RC_CONFLICT;
    }
    struct claim *c = arena_alloc(rq->arena, sizeof *c);
    if (!c) {
        reply_rc(rq, RC_NO_MEMORY, "The request");
        return RC_NO_MEMORY;
    }
    *c = (struct claim){rq->actor.user_id, key, running};
    running = c;
    rc_t rc = begin_claimed(rq, c);
    if (rc) {
        release(c);
        return rc;
    }
    rq->before_answer = record;
    rq->before_answer_arg = c;
    return RC_OK;
}

void idempotency_end(struct request *rq) { release(rq->before_answer_arg); }

const struct module idempotency_module = {.name = "idempotency", .schema = &key_schema};
