/* SPDX-License-Identifier: Apache-2.0 */
/* address.c — another e-mail address for one's own account.
 *
 *    POST /change-email          the address wanted: a code goes there, 202 whatever becomes of it
 *    POST /change-email/confirm  the code: the address is theirs, and is the account's from now on
 *
 * Always true: nothing changes before somebody has read the new mailbox; the old one is told; an
 * address that has an account gets no code, and the answer does not say so; a code works once, for
 * fifteen minutes, five tries. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "kernel/platform.h"

enum { CHANGE_S = 900 };

static rc_t wanted_rows(struct db_txn *t, struct request *rq, str address) {
    struct once o = {.kind = S("email"), .user_id = rq->actor.user_id, .data = address};
    struct user other;
    bool enough = false;
    str code;
    rc_t rc = user_by_email(t, rq->arena, address, &other);
    if (rc != RC_NOT_FOUND) return rc;
    rc = outbox_lately(t, rq->actor.user_id, "email", &enough);
    if (rc || enough) return rc;
    if ((rc = once_code(t, rq->arena, &o, CHANGE_S, &code))) return rc;
    struct message m = {
        .user_id = rq->actor.user_id,
        .address = address,
        .kind = "email",
        .subject = "Confirm your new e-mail address",
        .body = arena_printf(rq->arena,
                             "Your code to use this address for your account: %.*s\n"
                             "It works once, for 15 minutes. If you did not ask for it, do "
                             "nothing.\n",
                             STR(code)),
        .lifetime_s = CHANGE_S,
    };
    if (!m.body.ptr) return RC_NO_MEMORY;
    struct audit_event event = {
        .action = "user.email_wanted",
        .resource = arena_join(rq->arena, S("user/"), rq->actor.user_id),
        .result = "ok",
    };
    rc = outbox_add(t, &m);
    return rc ? rc : audit_add(t, rq, &event);
}

void change_email_post(struct request *rq) {
    static const char *const members[] = {"email", NULL};
    struct db_txn *t;
    cJSON *body;
    str address;
    if (!person_recent(rq) || !request_json(rq, &body) ||
        !request_members_known(rq, body, members) || !user_email_member(rq, body, true, &address))
        return;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, wanted_rows(t, rq, address));
    if (rc)
        reply_rc(rq, rc, "Sending the code");
    else
        reply_empty(rq, 202);
}

/* RC_DENIED: a wrong code, which was counted: commit. */
static rc_t confirm_rows(struct db_txn *t, struct request *rq, str code, bool *out_right,
                         struct user *user) {
    struct once o;
    rc_t rc = once_code_take(t, rq->arena, S("email"), rq->actor.user_id, code, &o);
    *out_right = rc == RC_OK;
    if (rc) return rc == RC_NOT_FOUND ? RC_OK : rc;
    if ((rc = user_by_id(t, rq->arena, rq->actor.user_id, user))) return rc;
    if ((rc = notice_add(t, rq->arena, user, NOTICE_EMAIL, rq))) return rc; /* to the old one */
    str before = user->email;
    rc = db_run(t,
                "UPDATE user SET email=?2,verified_ns=?3,updated_ns=?3,version=version+1"
                " WHERE id=?1",
                DB_TEXT(user->id), DB_TEXT(o.data), DB_INT(auth_now_ns()));
    struct audit_event event = {
        .action = "user.email",
        .resource = arena_join(rq->arena, S("user/"), user->id),
        .result = "ok",
        .detail = arena_join(rq->arena, S("{\"from\":\""), before, S("\",\"to\":\""), o.data,
                             S("\"}")),
    };
    if (rc == RC_OK) rc = audit_add(t, rq, &event);
    return rc ? rc : user_by_id(t, rq->arena, user->id, user);
}

void change_email_confirm_post(struct request *rq) {
    static const char *const members[] = {"code", NULL};
    struct user user;
    struct db_txn *t;
    cJSON *body;
    bool right = false;
    str code;
    if (!person_only(rq) || !request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "code", true, ONCE_DIGITS, ONCE_DIGITS, &code))
        return;
    u64 wait = factor_delay(rq, rq->actor.user_id);
    if (wait) {
        too_many(rq, wait);
        return;
    }
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, confirm_rows(t, rq, code, &right, &user));
    if (rc == RC_CONFLICT) {
        user_email_taken(rq);
        return;
    }
    if (rc) {
        reply_rc(rq, rc, "Changing the address");
        return;
    }
    if (!right) {
        reply_problem(rq, 403, "code_refused", "The code is wrong, was used, or is too old.");
        return;
    }
    factor_delay_over(rq, rq->actor.user_id);
    token_cache_drop_user(user.id);
    user_answer(rq, 200, &user, false);
}
