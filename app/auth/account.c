/* SPDX-License-Identifier: Apache-2.0 */
/* account.c — one's own account: me, change-password, register.
 *
 * Always true: role and state are never taken from a body here; a changed password ends every other
 * session of the account at once; registration is off unless the operator turned it on. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/config/config.h"
#include "kernel/base/log.h"

void me_get(struct request *rq) {
    struct user user;
    rc_t rc = user_asking(rq, &user);
    if (rc)
        reply_rc(rq, rc, "Reading the account");
    else
        user_answer(rq, 200, &user, false);
}

static rc_t rename_write(struct request *rq, str name, struct user *out) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = db_run(t, "UPDATE user SET name=?2,updated_ns=?3,version=version+1 WHERE id=?1",
                DB_TEXT(rq->actor.user_id), DB_TEXT(name), DB_INT(auth_now_ns()));
    struct audit_event event = {
        .action = "user.update",
        .resource = arena_printf(rq->arena, "user/%.*s", STR(rq->actor.user_id)),
        .result = "ok",
        .detail = S("{\"changed\":[\"name\"]}"),
    };
    if (rc == RC_OK) rc = audit_add(t, rq, &event);
    if (rc == RC_OK) rc = user_by_id(t, rq->arena, rq->actor.user_id, out);
    return db_write_end(t, rc);
}

void me_put(struct request *rq) {
    static const char *const members[] = {"name", NULL};
    struct user user;
    cJSON *body;
    str name;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "name", true, 1, NAME_MAX_BYTES, &name))
        return;
    rc_t rc = user_asking(rq, &user);
    if (rc == RC_OK && !request_if_match(rq, user.version, false)) return;
    if (rc == RC_OK) rc = rename_write(rq, name, &user);
    if (rc)
        reply_rc(rq, rc, "Changing the account");
    else
        user_answer(rq, 200, &user, false);
}

/* ---- Password -------------------------------------------------------------------------------- */

static rc_t password_write(struct request *rq, const struct user *user, str phc, s64 *out_ended) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = user_set_password(t, rq->actor.user_id, phc);
    if (rc == RC_OK) rc = session_end_all(t, rq->actor.user_id, rq->actor.session_id, out_ended);
    if (rc == RC_OK) rc = notice_add(t, rq->arena, user, NOTICE_PASSWORD, rq);
    struct audit_event event = {
        .action = "user.password",
        .resource = arena_printf(rq->arena, "user/%.*s", STR(rq->actor.user_id)),
        .result = "ok",
        .detail = arena_printf(rq->arena, "{\"sessions_ended\":%lld}", (long long)*out_ended),
    };
    if (rc == RC_OK) rc = audit_add(t, rq, &event);
    rc = db_write_end(t, rc);
    if (rc == RC_OK)
        token_cache_drop_user(rq->actor.user_id); /* one's own token proves itself again */
    return rc;
}

static bool change_read(struct request *rq, str *current, str *wanted) {
    static const char *const members[] = {"current_password", "new_password", NULL};
    cJSON *body;
    return request_json(rq, &body) && request_members_known(rq, body, members) &&
           request_member_text(rq, body, "current_password", true, 1, 1024, current) &&
           request_member_text(rq, body, "new_password", true, 1, 1024, wanted) &&
           user_password_acceptable(rq, *wanted, rq->actor.email);
}

/* A stolen token must not become a password oracle: tries count as failed logins. */
static rc_t current_fits(struct request *rq, str current, const struct user *user, bool *out) {
    const struct net_address *peer = &rq->http->peer;
    rc_t rc = password_verify(current, user->phc, out);
    if (rc)
        delay_returned(user->email, peer, platform_clock_ns());
    else if (*out)
        delay_succeeded(user->email, peer, platform_clock_ns());
    return rc;
}

void change_password_post(struct request *rq) {
    char phc[PHC_ROOM];
    struct user user;
    str current, wanted, hashed = {0};
    bool match = false;
    s64 ended = 0;
    if (!person_only(rq) || !change_read(rq, &current, &wanted)) return;
    rc_t rc = user_asking(rq, &user);
    if (rc == RC_OK && delay_take(user.email, &rq->http->peer, platform_clock_ns())) {
        reply_problem(rq, 429, "too_many_tries", "Too many wrong passwords; try again later.");
        return;
    }
    if (rc == RC_OK) rc = current_fits(rq, current, &user, &match);
    if (rc == RC_OK && !match) {
        reply_problem(rq, 403, "wrong_password", "current_password is not your password.");
        return;
    }
    if (rc == RC_OK && !user_password_hash(rq, wanted, phc, &hashed)) return;
    if (rc == RC_OK) rc = password_write(rq, &user, hashed, &ended);
    if (rc == RC_LIMIT || rc == RC_NO_MEMORY)
        password_busy(rq);
    else if (rc)
        reply_rc(rq, rc, "Changing the password");
    else
        reply_empty(rq, 204);
}

/* ---- Registration ---------------------------------------------------------------------------- */

static rc_t register_rows(struct db_txn *t, struct request *rq, str invite, struct user *user) {
    rc_t rc = invite.len ? invite_take(t, rq->arena, invite, user) : RC_OK;
    if (rc == RC_OK) rc = user_insert(t, rq->arena, user);
    if (rc == RC_OK && !user->verified_ns) rc = mailbox_send(t, rq->arena, user, false);
    if (rc) return rc;
    struct audit_event event = {
        .action = "user.register",
        .resource = arena_printf(rq->arena, "user/%.*s", STR(user->id)),
        .result = "ok",
        .detail = invite.len ? S("{\"invited\":true}") : str_of(NULL, 0),
    };
    rq->actor.email = user->email; /* a guest's: the row names the address, no account */
    rc = audit_add(t, rq, &event);
    rq->actor.email = str_of(NULL, 0);
    return rc;
}

/* Open: anyone. Otherwise only with an invitation, which counts whatever the setting is. */
static bool may_register(struct request *rq, const cJSON *body, str *invite) {
    if (!request_member_text(rq, body, "invite", false, 1, ONCE_TICKET_MAX, invite)) return false;
    if (invite->len || str_eq(config_text("auth.registration"), S("open"))) return true;
    reply_problem(rq, 403, "registration_closed", "Ask an administrator for an account.");
    return false;
}

void register_post(struct request *rq) {
    /* "role" is known so that old clients may send it; nobody looks at it. */
    static const char *const members[] = {"email", "password", "name", "role", "invite", NULL};
    struct user user = {.role = S("user"), .state = S("active")};
    char phc[PHC_ROOM];
    struct db_txn *t;
    cJSON *body;
    str password, invite = {NULL, 0};
    if (str_eq(config_text("auth.registration"), S("closed"))) {
        reply_problem(rq, 403, "registration_closed", "Ask an administrator for an account.");
        return;
    }
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !may_register(rq, body, &invite) || !user_email_member(rq, body, true, &user.email) ||
        !request_member_text(rq, body, "name", true, 1, NAME_MAX_BYTES, &user.name) ||
        !request_member_text(rq, body, "password", true, 1, 1024, &password) ||
        !user_password_acceptable(rq, password, user.email))
        return;
    if (!user_password_hash(rq, password, phc, &user.phc)) return;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, register_rows(t, rq, invite, &user));
    if (rc == RC_OK)
        user_answer(rq, 201, &user, false);
    else if (rc == RC_CONFLICT)
        user_email_taken(rq);
    else if (rc == RC_DENIED)
        reply_problem(rq, 403, "invite_refused",
                      "The invitation is wrong, was used, is too old, or is for another address.");
    else
        reply_rc(rq, rc, "Registering");
}

/* ---- Leaving --------------------------------------------------------------------------------- */

static rc_t leave_rows(struct db_txn *t, struct request *rq) {
    s64 others = 1, ended;
    str id = rq->actor.user_id;
    rc_t rc = str_eq(rq->actor.role, S("admin")) ? user_other_admins(t, id, &others) : RC_OK;
    if (rc == RC_OK && others == 0) return RC_CONFLICT;
    if (rc == RC_OK) rc = session_end_all(t, id, S(""), &ended);
    if (rc == RC_OK) rc = db_run(t, "DELETE FROM user WHERE id=?1", DB_TEXT(id));
    struct audit_event event = {
        .action = "user.delete",
        .resource = arena_printf(rq->arena, "user/%.*s", STR(id)),
        .result = "ok",
        .detail = S("{\"by\":\"owner\"}"),
    };
    return rc ? rc : audit_add(t, rq, &event);
}

void me_delete(struct request *rq) {
    struct db_txn *t;
    if (!person_recent(rq)) return;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, leave_rows(t, rq));
    if (rc == RC_OK) {
        token_cache_drop_user(rq->actor.user_id);
        if (cookie_of(rq).ptr) cookie_clear(rq);
        reply_empty(rq, 204);
    } else if (rc == RC_CONFLICT) {
        reply_problem(rq, 409, "last_admin",
                      "This is the last active administrator; make another one first.");
    } else {
        reply_rc(rq, rc, "Removing the account");
    }
}
