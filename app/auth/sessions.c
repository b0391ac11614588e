/* SPDX-License-Identifier: Apache-2.0 */
/* sessions.c — where somebody is signed in: their own list, and an administrator's view of it.
 *
 * Always true: nobody learns of or ends another's session here (an id that is not one's own is
 * 404); an ended session is dead in the next request, its verified tokens are dropped after the
 * commit. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/id.h"
#include "app/page.h"

enum { ANSWER_MAX = 1 << 17 };

static void session_json(struct json_writer *w, struct db_rows *r, str current) {
    str id = db_column_text(r, 0);
    json_object(w, NULL);
    json_text(w, "id", id);
    json_time(w, "created_at", (u64)db_column_int(r, 1));
    json_time(w, "last_used_at", (u64)db_column_int(r, 2));
    json_time(w, "expires_at", (u64)db_column_int(r, 3));
    json_text(w, "address", db_column_text(r, 4));
    json_text(w, "client", db_column_text(r, 5));
    json_bool(w, "second_factor", db_column_int(r, 6) != 0);
    json_text(w, "kind",
              db_column_null(r, 8) ? db_column_int(r, 7) ? S("cookie") : S("token")
                                   : S("application"));
    json_bool(w, "current", str_eq(id, current));
    json_object_end(w);
}

static rc_t items(struct db_txn *t, struct request *rq, const struct page *page,
                  struct json_writer *w, u64 *out_total, void *arg) {
    str user_id = *(const str *)arg;
    struct db_rows *r = NULL;
    struct db_value now = DB_INT(auth_now_ns());
    rc_t rc = db_query(t, &r, "SELECT count(*) FROM session WHERE user_id=?1 AND expires_ns>?2",
                       DB_TEXT(user_id), now);
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out_total = (u64)db_column_int(r, 0);
    db_done(r);
    if (rc) return rc;
    rc = db_query(t, &r,
                  "SELECT id,created_ns,refreshed_ns,expires_ns,address,client,mfa,"
                  "cookie IS NOT NULL,client_id FROM session WHERE user_id=?1 AND expires_ns>?2"
                  " ORDER BY refreshed_ns DESC,id LIMIT ?3 OFFSET ?4",
                  DB_TEXT(user_id), now, DB_INT(page->limit), DB_INT(page->offset));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) session_json(w, r, rq->actor.session_id);
    db_done(r);
    return rc;
}

static void list(struct request *rq, str user_id) {
    struct page page;
    if (!request_page(rq, &page)) return;
    page_answer(rq, &page, ANSWER_MAX, items, &user_id, "Listing the sessions");
}

void sessions_get(struct request *rq) {
    list(rq, rq->actor.user_id);
}

static void not_found(struct request *rq, const char *code, const char *text) {
    reply_problem(rq, 404, code, "%s", text);
}

void user_sessions_get(struct request *rq) {
    if (user_route_reached(rq)) list(rq, rq->params[0]);
}

/* ---- Ending ---------------------------------------------------------------------------------- */

static rc_t end_rows(struct db_txn *t, struct request *rq, str session_id) {
    rc_t rc = db_run(t, "DELETE FROM session WHERE id=?1 AND user_id=?2", DB_TEXT(session_id),
                     DB_TEXT(rq->actor.user_id));
    if (rc == RC_OK && db_changes(t) == 0) return RC_NOT_FOUND;
    struct audit_event event = {
        .action = "session.end",
        .resource = arena_printf(rq->arena, "session/%.*s", STR(session_id)),
        .result = "ok",
    };
    return rc ? rc : audit_add(t, rq, &event);
}

void session_delete(struct request *rq) {
    struct db_txn *t;
    if (!person_only(rq)) return;
    rc_t rc = id_valid(rq->params[0]) ? db_write_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) {
        rc = end_rows(t, rq, rq->params[0]);
        rc = db_write_end(t, rc);
    }
    if (rc == RC_OK) token_cache_drop_session(rq->params[0]);
    if (rc == RC_OK)
        reply_empty(rq, 204);
    else if (rc == RC_NOT_FOUND)
        not_found(rq, "session_not_found", "You have no session with this id.");
    else
        reply_rc(rq, rc, "Ending the session");
}

static rc_t end_all_rows(struct db_txn *t, struct request *rq) {
    struct user user;
    s64 ended = 0;
    rc_t rc = user_by_id(t, rq->arena, rq->params[0], &user);
    if (rc == RC_OK && !user_reached(rq, &user)) rc = RC_NOT_FOUND;
    if (rc == RC_OK) rc = session_end_all(t, user.id, S(""), &ended);
    struct audit_event event = {
        .action = "user.sessions_end",
        .resource = arena_printf(rq->arena, "user/%.*s", STR(rq->params[0])),
        .result = "ok",
        .detail = arena_printf(rq->arena, "{\"sessions\":%lld}", (long long)ended),
    };
    return rc ? rc : audit_add(t, rq, &event);
}

void user_sessions_delete(struct request *rq) {
    struct db_txn *t;
    rc_t rc = id_valid(rq->params[0]) ? db_write_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) {
        rc = end_all_rows(t, rq);
        rc = db_write_end(t, rc);
    }
    if (rc == RC_OK) token_cache_drop_user(rq->params[0]);
    if (rc == RC_OK)
        reply_empty(rq, 204);
    else if (rc == RC_NOT_FOUND)
        not_found(rq, "user_not_found", "There is no account with this id.");
    else
        reply_rc(rq, rc, "Ending the sessions");
}
