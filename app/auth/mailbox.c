/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox.c — what a code by mail proves: that an address is theirs, or that they may choose a new
 * password.
 *
 *    verify/send, forgot-password   202 at once, whoever asked; the looking up and writing happen
 *                                   after the answer, so neither text nor time tells who has an
 *                                   account
 *    verify, reset-password         the code: 8 digits, 5 tries, once (once.c)
 *
 * Always true: a wrong code, an expired one and an unknown address get the same answer and the same
 * work (one write with one audit row); a reset ends every session and never skips a second factor;
 * at most five messages of a kind per account in ten minutes. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

enum { VERIFY_S = 86400, RESET_S = 900, WISHES_MAX = 32 };

/* ---- Messages -------------------------------------------------------------------------------- */

rc_t mailbox_send(struct db_txn *t, struct arena *a, const struct user *user, bool reset) {
    struct once o = {.kind = reset ? S("reset") : S("verify"), .user_id = user->id};
    u64 lifetime = reset ? RESET_S : VERIFY_S;
    bool enough = false;
    str code;
    rc_t rc = outbox_lately(t, user->id, reset ? "reset" : "verify", &enough);
    if (rc || enough) return rc;
    if ((rc = once_code(t, a, &o, lifetime, &code))) return rc;
    struct message m = {
        .user_id = user->id,
        .address = user->email,
        .kind = reset ? "reset" : "verify",
        .subject = reset ? "Choose a new password" : "Confirm your e-mail address",
        .body = arena_printf(a,
                             reset ? "Your code to choose a new password: %.*s\n"
                                     "It works once, for 15 minutes. If you did not ask for it, do "
                                     "nothing.\n"
                                   : "Your code to confirm this address: %.*s\n"
                                     "It works once, for 24 hours.\n",
                             STR(code)),
        .lifetime_s = lifetime,
    };
    return m.body.ptr ? outbox_add(t, &m) : RC_NO_MEMORY;
}

/* ---- After the answer ------------------------------------------------------------------------ */

struct wish {
    char email[EMAIL_MAX + 1];
    bool reset;
};
static u32 wishes; /* being done */

static rc_t wish_write(struct db_txn *t, struct arena *a, const struct wish *w) {
    struct user user;
    rc_t rc = user_by_email(t, a, str_from_c(w->email), &user);
    if (rc == RC_NOT_FOUND) return RC_OK;
    if (rc) return rc;
    if (!str_eq(user.state, S("active")) || (!w->reset && user.verified_ns)) return RC_OK;
    struct audit_event event = {
        .action = w->reset ? "user.forgot_password" : "user.verify_send",
        .resource = arena_printf(a, "user/%.*s", STR(user.id)),
        .result = "ok",
    };
    if ((rc = mailbox_send(t, a, &user, w->reset))) return rc;
    return audit_add(t, NULL, &event);
}

static void wish_do(void *arg) {
    struct wish *w = arg;
    struct db_txn *t;
    struct arena a;
    arena_open(&a, NULL, 0, KIB(32));
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, wish_write(t, &a, w));
    if (rc) log_warn("auth", "a message was not written", "rc=%s", rc_name(rc));
    arena_close(&a);
    memory_free(MEMORY_SERVICES, w);
    wishes--;
}

static rc_t wish_start(str email, bool reset) {
    struct wish *w = wishes < WISHES_MAX ? memory_zero(MEMORY_SERVICES, sizeof *w) : NULL;
    if (!w) return RC_LIMIT;
    w->reset = reset;
    rc_t rc = str_to_c(email, w->email, sizeof w->email);
    if (rc == RC_OK) rc = fiber_start("message", wish_do, w, NULL);
    if (rc)
        memory_free(MEMORY_SERVICES, w);
    else
        wishes++;
    return rc;
}

/* The tries of one network for one address, apart from those of its password. */
static u64 wait_for(struct request *rq, const char *what, str email) {
    str key = arena_printf(rq->arena, "(%s) %.*s", what, STR(email));
    return delay_take(key.ptr ? key : email, &rq->http->peer, platform_clock_ns());
}

static void send(struct request *rq, bool reset) {
    static const char *const members[] = {"email", NULL};
    cJSON *body;
    str email;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !user_email_member(rq, body, true, &email))
        return;
    u64 wait = wait_for(rq, reset ? "forgot" : "send", email);
    if (wait) {
        too_many(rq, wait);
        return;
    }
    rc_t rc = wish_start(email, reset);
    if (rc)
        reply_rc(rq, rc, "Writing the message");
    else
        reply_empty(rq, 202);
}
void forgot_password_post(struct request *rq) {
    send(rq, true);
}
void verify_send_post(struct request *rq) {
    send(rq, false);
}

/* ---- The code -------------------------------------------------------------------------------- */

/* Who a code is for; an unknown address is nobody, with the same work to come. */
static rc_t holder(struct db_txn *t, struct arena *a, str email, struct user *user) {
    rc_t rc = user_by_email(t, a, email, user);
    if (rc == RC_OK && str_eq(user->state, S("active"))) return RC_OK;
    if (rc == RC_OK || rc == RC_NOT_FOUND) {
        *user = (struct user){.id = S("")};
        return RC_OK;
    }
    return rc;
}

struct proof {
    str email, code, phc; /* phc: of the password wanted, for a reset */
    struct user user;
    bool right;
};

static rc_t proof_apply(struct db_txn *t, struct request *rq, struct proof *p) {
    s64 ended;
    rc_t rc = db_run(t, "UPDATE user SET verified_ns=max(verified_ns,?2) WHERE id=?1",
                     DB_TEXT(p->user.id), DB_INT(auth_now_ns()));
    if (rc || !p->phc.len) return rc;
    if ((rc = user_set_password(t, p->user.id, p->phc))) return rc;
    if ((rc = session_end_all(t, p->user.id, S(""), &ended))) return rc;
    return notice_add(t, rq->arena, &p->user, NOTICE_PASSWORD, rq);
}

static rc_t proof_rows(struct db_txn *t, struct request *rq, struct proof *p) {
    struct once once;
    rc_t rc = holder(t, rq->arena, p->email, &p->user);
    if (rc) return rc;
    rc = once_code_take(t, rq->arena, p->phc.len ? S("reset") : S("verify"), p->user.id, p->code,
                        &once);
    p->right = rc == RC_OK && p->user.id.len;
    if (rc && rc != RC_NOT_FOUND) return rc;
    if (p->right && (rc = proof_apply(t, rq, p))) return rc;
    struct audit_event event = {
        .action = p->phc.len ? "user.reset_password" : "user.verify",
        .resource = p->user.id.len ? arena_printf(rq->arena, "user/%.*s", STR(p->user.id))
                                   : str_of(NULL, 0),
        .result = p->right ? "ok" : "failed",
    };
    rq->actor.email = p->email; /* as typed: nobody was proved yet */
    rc = audit_add(t, rq, &event);
    rq->actor.email = str_of(NULL, 0);
    return rc;
}

static void judge(struct request *rq, struct proof *p) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, proof_rows(t, rq, p));
    if (rc) {
        reply_rc(rq, rc, "Checking the code");
        return;
    }
    if (!p->right) {
        reply_problem(rq, 403, "code_refused",
                      "The code is wrong, was used, or is too old; ask for another.");
        return;
    }
    if (p->phc.len) token_cache_drop_user(p->user.id);
    reply_empty(rq, 204);
}

static bool code_member(struct request *rq, const cJSON *body, struct proof *p) {
    return user_email_member(rq, body, true, &p->email) &&
           request_member_text(rq, body, "code", true, ONCE_DIGITS, ONCE_DIGITS, &p->code);
}

void verify_post(struct request *rq) {
    static const char *const members[] = {"email", "code", NULL};
    struct proof p = {0};
    cJSON *body;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !code_member(rq, body, &p))
        return;
    u64 wait = wait_for(rq, "verify", p.email);
    if (wait)
        too_many(rq, wait);
    else
        judge(rq, &p);
}

void reset_password_post(struct request *rq) {
    static const char *const members[] = {"email", "code", "new_password", NULL};
    struct proof p = {0};
    char phc[PHC_ROOM];
    cJSON *body;
    str password;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !code_member(rq, body, &p) ||
        !request_member_text(rq, body, "new_password", true, 1, 1024, &password) ||
        !user_password_acceptable(rq, password, p.email))
        return;
    u64 wait = wait_for(rq, "reset", p.email);
    if (wait)
        too_many(rq, wait);
    else if (user_password_hash(rq, password, phc, &p.phc)) /* for anybody: it takes the time */
        judge(rq, &p);
}
