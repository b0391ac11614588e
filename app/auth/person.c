/* SPDX-License-Identifier: Apache-2.0 */
/* person.c — what only a person may do, and only one who has lately shown who they are.
 *
 * Keys and applications act for somebody, but making further keys, changing passwords and second
 * factors stays with the person at a login: a leaked key must not be able to outlive its removal.
 * For those, what a session proved gets stale: REAUTH_S after the last proof the password (or the
 * second factor) is asked again, so that an unlocked screen is not an unlocked account. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "kernel/platform.h"

bool person_only(struct request *rq) {
    if (rq->actor.kind == ACTOR_USER) return true;
    reply_problem(rq, 403, "sign_in_wanted",
                  "Keys and applications may not do this: sign in yourself.");
    return false;
}

static rc_t proved_read(struct request *rq, u64 *out_ns) {
    struct db_rows *r = NULL;
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc =
        db_query(t, &r, "SELECT proved_ns FROM session WHERE id=?1", DB_TEXT(rq->actor.session_id));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out_ns = (u64)db_column_int(r, 0);
    db_done(r);
    db_read_end(t);
    return rc;
}

bool person_recent(struct request *rq) {
    u64 proved_ns = 0, now = auth_now_ns();
    if (!person_only(rq)) return false;
    rc_t rc = proved_read(rq, &proved_ns);
    if (rc && rc != RC_NOT_FOUND) {
        reply_rc(rq, rc, "Looking at the session");
        return false;
    }
    if (now - proved_ns <= REAUTH_S * NS_PER_S && proved_ns) return true;
    reply_problem(rq, 403, "reauthentication_required",
                  "Show who you are again: POST /api/v1/auth/reauthenticate.");
    return false;
}

/* ---- Once more ------------------------------------------------------------------------------- */

static rc_t proved_write(struct request *rq, const char *result) {
    bool proved = str_eq(str_from_c(result), S("ok"));
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    if (proved)
        rc = db_run(t, "UPDATE session SET proved_ns=?2 WHERE id=?1", DB_TEXT(rq->actor.session_id),
                    DB_INT(auth_now_ns()));
    struct audit_event event = {
        .action = "user.reauthenticate",
        .resource = arena_printf(rq->arena, "user/%.*s", STR(rq->actor.user_id)),
        .result = result,
    };
    return db_write_end(t, rc ? rc : audit_add(t, rq, &event));
}

void reauthenticate_post(struct request *rq) {
    static const char *const members[] = {"password", NULL};
    struct user user;
    cJSON *body;
    str password;
    bool match = false;
    if (!person_only(rq) || !request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "password", true, 1, 1024, &password))
        return;
    const struct net_address *peer = &rq->http->peer;
    u64 wait = delay_take(rq->actor.email, peer, platform_clock_ns());
    if (wait) {
        too_many(rq, wait);
        return;
    }
    rc_t rc = user_asking(rq, &user);
    if (rc == RC_OK) rc = password_verify(password, user.phc, &match);
    if (rc)
        delay_returned(rq->actor.email, peer, platform_clock_ns());
    else if (match)
        delay_succeeded(rq->actor.email, peer, platform_clock_ns());
    if (rc == RC_OK) rc = proved_write(rq, match ? "ok" : "failed");
    if (rc == RC_LIMIT || rc == RC_NO_MEMORY)
        password_busy(rq);
    else if (rc)
        reply_rc(rq, rc, "Checking the password");
    else if (match)
        reply_empty(rq, 204);
    else
        reply_problem(rq, 403, "wrong_password", "password is not your password.");
}
