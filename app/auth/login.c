/* SPDX-License-Identifier: Apache-2.0 */
/* login.c — POST login, refresh, logout, logout-all.
 *
 *    delay table -> read the user -> argon2id on a worker (for nobody, too) -> one write: session,
 *    user row, audit row -> sign on a worker -> answer
 *
 * Always true: an unknown address, a wrong password, a disabled account get the same status, text
 * and work; each judged try leaves one audit row; nothing is answered before its write is durable.
 */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/config/config.h"
#include "app/metrics/metrics.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"

enum { LOCK_AFTER = 5, LOCK_S = 900, SECOND_S = 300 };

void password_busy(struct request *rq) {
    metric_add(METRIC_PASSWORD_BUSY, 1);
    rc_t rc = http_answer_field(rq->x, S("Retry-After"), S("2"));
    (void)rc; /* a hint only */
    reply_problem(rq, 503, "busy", "Too many logins at once; try again in a few seconds.");
}

void too_many(struct request *rq, u64 wait_ns) {
    char seconds[24];
    u64 s = (wait_ns + NS_PER_S - 1) / NS_PER_S;
    size_t n = 0;
    for (u64 d = s; d || !n; d /= 10) n++;
    for (size_t i = n, d = s; i--; d /= 10) seconds[i] = (char)('0' + d % 10);
    rc_t rc = http_answer_field(rq->x, S("Retry-After"), str_of(seconds, n));
    (void)rc;
    reply_problem(rq, 429, "too_many_tries", "Too many failed logins; try again in %llu seconds.",
                  (unsigned long long)s);
}

void session_answer(struct request *rq, int status, const struct user *user, str session_id,
                    str refresh_token) {
    struct json_writer w;
    str access;
    rc_t rc = token_issue(rq->arena, user, session_id, &access);
    if (rc) {
        reply_rc(rq, rc, "Signing the token");
        return;
    }
    json_open(&w, 16384);
    json_object(&w, NULL);
    json_text(&w, "access_token", access);
    json_text(&w, "refresh_token", refresh_token);
    json_text(&w, "token_type", S("Bearer"));
    json_int(&w, "expires_in", ACCESS_SECONDS);
    user_json(&w, "user", user, false);
    json_object_end(&w);
    reply_json(rq, status, &w);
}

/* ---- Login ----------------------------------------------------------------------------------- */

struct attempt {
    str email, password;
    struct user user;
    str code; /* of the second factor, if it came along; ptr NULL: it did not */
    bool known, right;
    bool cookie, remember; /* carried by a cookie; for a month */
    bool second;           /* the second factor was shown */
    str old_phc, new_phc;  /* a hash made elsewhere, and ours instead; ptr NULL: as it is */
    enum stage { STAGE_IN, STAGE_SECOND, STAGE_WRONG_CODE, STAGE_UNVERIFIED } stage;
    struct factor_methods methods;
    str ticket; /* STAGE_SECOND: for the second step */
    str return_to; /* of a browser on its way; ptr NULL: JSON is wanted */
};

static rc_t attempt_read(struct request *rq, struct attempt *a) {
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = user_by_email(t, rq->arena, a->email, &a->user);
    db_read_end(t);
    a->known = rc == RC_OK;
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t attempt_judge(struct attempt *a) {
    bool match = false;
    bool may = a->known && str_eq(a->user.state, S("active"));
    rc_t rc = may ? password_verify(a->password, a->user.phc, &match)
                  : password_verify_nobody(a->password);
    a->right = rc == RC_OK && may && match;
    return rc;
}

/* The one moment the password of an imported account is known. It may wait for another sign-in. */
static void replace_foreign(struct request *rq, struct attempt *a) {
    char *to = arena_alloc(rq->arena, PHC_ROOM);
    if (!to || password_hash(a->password, to)) return;
    a->old_phc = a->user.phc;
    a->new_phc = str_from_c(to);
}

static rc_t failed_write(struct db_txn *t, struct request *rq, struct attempt *a) {
    struct audit_event event = {
        .action = "user.login",
        .resource =
            a->known ? arena_printf(rq->arena, "user/%.*s", STR(a->user.id)) : str_of(NULL, 0),
        .result = "failed",
    };
    rc_t rc = RC_OK;
    if (a->known) {
        s64 failures = a->user.failures + 1, others = 1;
        bool lock = config_bool("auth.lockout") && failures >= LOCK_AFTER;
        /* The last administrator is only slowed: nobody may lock everybody out. */
        if (lock && str_eq(a->user.role, S("admin")))
            rc = user_other_admins(t, a->user.id, &others);
        if (rc) return rc;
        lock = lock && others;
        rc = db_run(t, "UPDATE user SET failures=failures+1,locked_ns=?2 WHERE id=?1",
                    DB_TEXT(a->user.id), DB_INT(lock ? auth_now_ns() + LOCK_S * NS_PER_S : 0));
    }
    rq->actor.email = a->email; /* the address typed; there is no id: nobody was proved */
    if (rc == RC_OK) rc = audit_add(t, rq, &event);
    rq->actor.email = str_of(NULL, 0);
    return rc;
}

static void failed(struct request *rq, struct attempt *a) {
    struct db_txn *t;
    metric_add(METRIC_LOGIN_FAILED, 1);
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) {
        rc = failed_write(t, rq, a);
        rc = db_write_end(t, rc);
    }
    if (rc) {
        reply_rc(rq, rc, "Recording the login");
        return;
    }
    reply_problem(rq, 401, "login_failed", "The e-mail address or the password is wrong.");
}

/* The session that was in this browser ends: whoever put its cookie there must not share ours. */
static rc_t end_cookies_session(struct db_txn *t, struct request *rq, str *old) {
    struct session_state state;
    struct user user;
    str cookie = cookie_of(rq);
    *old = str_of(NULL, 0);
    if (!cookie.ptr) return RC_OK;
    rc_t rc = session_by_cookie(t, rq->arena, cookie, &user, &state);
    if (rc == RC_DENIED) return RC_OK;
    *old = state.session_id;
    return rc ? rc : session_end(t, state.session_id);
}

/* The ticket of the second step remembers what was asked for: "c" a cookie, "r" for a month. */
static rc_t second_begin(struct db_txn *t, struct request *rq, struct attempt *a) {
    struct once o = {.kind = S("second"),
                     .user_id = a->user.id,
                     .data = a->cookie ? a->remember ? S("cr") : S("c") : S("-")};
    a->stage = STAGE_SECOND;
    return once_ticket(t, rq->arena, &o, "opm_", SECOND_S, &a->ticket);
}

/* Where a right password leads to; only STAGE_IN makes a session. */
static rc_t stage_of(struct db_txn *t, struct request *rq, struct attempt *a) {
    bool right = false;
    a->stage = STAGE_IN;
    if (config_bool("auth.verify_email") && !a->user.verified_ns &&
        !str_eq(a->user.role, S("admin"))) {
        a->stage = STAGE_UNVERIFIED;
        return RC_OK;
    }
    rc_t rc = a->second ? RC_OK : factor_methods(t, a->user.id, &a->methods);
    if (rc || a->second || !(a->methods.totp || a->methods.passkeys)) return rc;
    if (!a->code.ptr) return second_begin(t, rq, a);
    rc = factor_check(t, rq->arena, a->user.id, a->code, &right);
    a->second = right;
    if (!right) a->stage = STAGE_WRONG_CODE;
    return rc;
}

static rc_t stage_event(struct db_txn *t, struct request *rq, struct attempt *a) {
    struct audit_event event = {
        .action = "user.login",
        .resource = arena_printf(rq->arena, "user/%.*s", STR(a->user.id)),
        .result = "failed",
        .detail = a->stage == STAGE_SECOND       ? S("{\"stage\":\"second factor wanted\"}")
                  : a->stage == STAGE_WRONG_CODE ? S("{\"stage\":\"second factor wrong\"}")
                                                 : S("{\"stage\":\"address not verified\"}"),
    };
    rq->actor.email = a->user.email; /* as typed; nobody is signed in */
    rc_t rc = audit_add(t, rq, &event);
    rq->actor.email = str_of(NULL, 0);
    return rc;
}

static rc_t session_rows(struct db_txn *t, struct request *rq, struct attempt *a,
                         struct session_start *session, str *old) {
    struct session_options options = {.cookie = a->cookie,
                                      .remember = a->remember,
                                      .mfa = a->second,
                                      .admin = str_eq(a->user.role, S("admin"))};
    a->user.login_ns = auth_now_ns();
    rc_t rc = db_run(t, "UPDATE user SET failures=0,locked_ns=0,login_ns=?2 WHERE id=?1",
                     DB_TEXT(a->user.id), DB_INT(a->user.login_ns));
    if (rc == RC_OK && a->cookie) rc = end_cookies_session(t, rq, old);
    if (rc == RC_OK) rc = session_begin(t, rq, a->user.id, &options, session);
    if (rc == RC_OK) rc = device_seen(t, rq, &a->user);
    if (rc) return rc;
    rq->actor = (struct actor){.user_id = a->user.id,
                               .email = a->user.email,
                               .role = a->user.role,
                               .org_id = a->user.org_id,
                               .kind = ACTOR_USER,
                               .mfa = a->second};
    struct audit_event event = {
        .action = "user.login",
        .resource = arena_printf(rq->arena, "user/%.*s", STR(a->user.id)),
        .result = "ok",
        .detail = arena_printf(rq->arena, "{\"session\":\"%.*s\",\"second_factor\":%s}",
                               STR(session->session_id), a->second ? "true" : "false"),
    };
    return audit_add(t, rq, &event);
}

static rc_t succeeded_write(struct db_txn *t, struct request *rq, struct attempt *a,
                            struct session_start *session, str *old) {
    rc_t rc =
        user_by_id(t, rq->arena, a->user.id, &a->user); /* as it is now, not before the hash */
    if (rc) return rc == RC_NOT_FOUND ? RC_DENIED : rc;
    if (!str_eq(a->user.state, S("active"))) return RC_DENIED;
    if (a->new_phc.ptr &&
        (rc = db_run(t, "UPDATE user SET password=?2 WHERE id=?1 AND password=?3",
                     DB_TEXT(a->user.id), DB_TEXT(a->new_phc), DB_TEXT(a->old_phc))))
        return rc;
    if ((rc = stage_of(t, rq, a))) return rc;
    return a->stage == STAGE_IN ? session_rows(t, rq, a, session, old) : stage_event(t, rq, a);
}

static void browser_sent(struct request *rq, str to) {
    rc_t rc = http_answer_field(rq->x, S("Location"), to);
    if (rc)
        reply_rc(rq, rc, "Sending the browser back");
    else
        reply_empty(rq, 303);
}

/* No token for the page's scripts: the cookie, which they cannot read, is all there is. */
static void cookie_answer(struct request *rq, const struct attempt *a, str cookie) {
    struct json_writer w;
    cookie_set(rq, cookie, a->remember);
    if (a->return_to.ptr) {
        browser_sent(rq, a->return_to);
        return;
    }
    json_open(&w, 16384);
    json_object(&w, NULL);
    user_json(&w, "user", &a->user, false);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

/* Of a path without quotes and angles (sso.c sees to it) what may stand in an attribute. */
static str attribute_text(struct arena *a, str path) {
    str text = S(""), rest = path, part;
    while (str_split(&rest, '&', &part)) {
        text = arena_join(a, text, part, rest.len ? S("&amp;") : S(""));
        if (!text.ptr) break;
    }
    return text;
}

/* For a browser that comes from another provider; sso.c has the script. */
static void second_page(struct request *rq, const struct attempt *a) {
    str to = attribute_text(rq->arena, a->return_to);
    str page = arena_printf(
        rq->arena,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width\"><title>Sign in</title><h1>Second factor</h1>"
        "<form id=\"f\" data-ticket=\"%.*s\" data-to=\"%.*s\"><p%s><label>Code "
        "<input name=\"code\" autocomplete=\"one-time-code\"></label> <button>Sign in</button></p>"
        "<p%s><button type=\"button\" id=\"p\">Use a passkey</button></p>"
        "<p id=\"m\" role=\"alert\"></p></form>"
        "<script src=\"/api/v1/auth/sso/second.js\"></script>",
        STR(a->ticket), STR(to), a->methods.totp || a->methods.recovery_codes ? "" : " hidden",
        a->methods.passkeys ? "" : " hidden");
    if (page.ptr && to.ptr)
        reply_text(rq, 200, "text/html; charset=utf-8", page);
    else
        reply_rc(rq, RC_NO_MEMORY, "Asking for the second factor");
}

/* 401 like any sign-in that is not complete, with what the next step needs. */
static void second_answer(struct request *rq, const struct attempt *a) {
    struct json_writer w;
    json_open(&w, 4096);
    json_object(&w, NULL);
    json_text(&w, "type", S("about:blank"));
    json_text(&w, "title", S("Unauthorized"));
    json_int(&w, "status", 401);
    json_text(&w, "code", S("second_factor_required"));
    json_text(&w, "detail", S("Show the second factor: POST /api/v1/auth/login/second-factor."));
    json_text(&w, "request_id", rq->http->id);
    json_text(&w, "mfa_token", a->ticket);
    json_int(&w, "expires_in", SECOND_S);
    json_array(&w, "methods");
    if (a->methods.totp) json_text(&w, NULL, S("totp"));
    if (a->methods.recovery_codes) json_text(&w, NULL, S("recovery_code"));
    if (a->methods.passkeys) json_text(&w, NULL, S("passkey"));
    json_array_end(&w);
    json_object_end(&w);
    reply_problem_json(rq, 401, &w);
}

static void stage_answer(struct request *rq, const struct attempt *a) {
    if (a->stage == STAGE_SECOND) {
        if (a->return_to.ptr) second_page(rq, a);
        else second_answer(rq, a);
        return;
    }
    metric_add(METRIC_LOGIN_FAILED, 1);
    if (a->stage == STAGE_UNVERIFIED)
        reply_problem(rq, 403, "email_unverified",
                      "Confirm your e-mail address first: POST /api/v1/auth/verify.");
    else
        reply_problem(rq, 401, "code_refused", "The code is wrong, was used, or is too old.");
}

static void signed_in(struct request *rq, struct attempt *a, const struct session_start *session) {
    metric_add(METRIC_LOGIN_OK, 1);
    if (a->cookie)
        cookie_answer(rq, a, session->cookie);
    else
        session_answer(rq, 200, &a->user, session->session_id, session->refresh_token);
}

/* `old`: the session this browser had before. */
static void attempt_done(struct request *rq, rc_t rc, struct attempt *a,
                        struct session_start *session, str old) {
    if (rc) {
        reply_rc(rq, rc, "Recording the login");
        return;
    }
    if (a->stage != STAGE_IN) {
        stage_answer(rq, a);
        return;
    }
    if (session->ended_others) token_cache_drop_user(a->user.id);
    if (old.ptr) token_cache_drop_session(old);
    signed_in(rq, a, session);
}

static void succeeded(struct request *rq, struct attempt *a) {
    struct session_start session;
    struct db_txn *t;
    str old = {NULL, 0};
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) {
        rc = succeeded_write(t, rq, a, &session, &old);
        rc = db_write_end(t, rc);
    }
    if (rc == RC_DENIED) { /* disabled or removed while the password was being looked at */
        failed(rq, a);
        return;
    }
    if (rc == RC_OK && a->stage == STAGE_IN && a->code.ptr) factor_delay_over(rq, a->user.id);
    attempt_done(rq, rc, a, &session, old);
}

static bool login_read(struct request *rq, struct attempt *a) {
    static const char *const members[] = {"email", "password", "code", "cookie", "remember", NULL};
    char *to = arena_alloc(rq->arena, EMAIL_MAX + 1);
    cJSON *body;
    str typed;
    if (!to) {
        reply_rc(rq, RC_NO_MEMORY, "The login");
        return false;
    }
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "email", true, 1, 1024, &typed) ||
        !request_member_text(rq, body, "password", true, 1, 1024, &a->password) ||
        !request_member_text(rq, body, "code", false, 1, 32, &a->code) ||
        !request_member_bool(rq, body, "cookie", false, &a->cookie) ||
        !request_member_bool(rq, body, "remember", false, &a->remember) ||
        (a->cookie && !cookie_same_origin(rq, false)))
        return false;
    /* What cannot be an address is nobody's: it goes the whole way like any unknown one. */
    if (email_normalise(typed, to, &a->email)) a->email = S("(not an address)");
    return true;
}

void login_post(struct request *rq) {
    struct attempt a = {0};
    if (!login_read(rq, &a)) return;
    const struct net_address *peer = &rq->http->peer;
    u64 wait = delay_take(a.email, peer, platform_clock_ns());
    if (wait) {
        too_many(rq, wait);
        return;
    }
    rc_t rc = attempt_read(rq, &a);
    if (rc == RC_OK && config_bool("auth.lockout") && a.known && a.user.locked_ns > auth_now_ns()) {
        too_many(rq, a.user.locked_ns - auth_now_ns());
        return;
    }
    if (rc == RC_OK) rc = attempt_judge(&a);
    if (rc) {
        delay_returned(a.email, peer, platform_clock_ns());
        if (rc == RC_LIMIT || rc == RC_NO_MEMORY)
            password_busy(rq);
        else
            reply_rc(rq, rc, "Checking the password");
        return;
    }
    if (a.right) {
        delay_succeeded(a.email, peer, platform_clock_ns());
        if (password_is_foreign(a.user.phc)) replace_foreign(rq, &a);
        wait = a.code.ptr ? factor_delay(rq, a.user.id) : 0;
        if (wait)
            too_many(rq, wait);
        else
            succeeded(rq, &a);
    } else {
        failed(rq, &a);
    }
}

/* ---- The second step ------------------------------------------------------------------------- */

/* RC_NOT_FOUND: no such ticket. The answer is in a->stage. */
static rc_t second_rows(struct db_txn *t, struct request *rq, str ticket, struct attempt *a,
                        struct session_start *session, str *old) {
    struct once once;
    bool right;
    rc_t rc = once_peek(t, rq->arena, S("second"), ticket, &once);
    if (rc == RC_OK) rc = user_by_id(t, rq->arena, once.user_id, &a->user);
    if (rc) return rc;
    if (!str_eq(a->user.state, S("active"))) return RC_NOT_FOUND;
    if ((rc = factor_check(t, rq->arena, a->user.id, a->code, &right))) return rc;
    a->cookie = str_starts(once.data, S("c"));
    a->remember = str_eq(once.data, S("cr"));
    a->second = right;
    a->stage = right ? STAGE_IN : STAGE_WRONG_CODE;
    rc = right ? once_take(t, rq->arena, S("second"), ticket, &once)
               : once_missed(t, rq->arena, S("second"), ticket);
    if (rc) return rc;
    return right ? session_rows(t, rq, a, session, old) : stage_event(t, rq, a);
}

/* ---- Proved otherwise: by a passkey, by another provider ------------------------------------- */

rc_t login_ticket_user(struct db_txn *t, struct arena *a, str ticket, str *out_user_id) {
    struct once once;
    rc_t rc = once_peek(t, a, S("second"), ticket, &once);
    if (rc == RC_OK) *out_user_id = once.user_id;
    return rc;
}

static rc_t proved_rows(struct db_txn *t, struct request *rq, const struct login_proof *p,
                        struct attempt *a, struct session_start *session, str *old) {
    struct once once;
    rc_t rc = user_by_id(t, rq->arena, p->user_id, &a->user);
    if (rc == RC_OK && !str_eq(a->user.state, S("active"))) rc = RC_DENIED;
    if (rc == RC_OK && p->also) rc = p->also(t, rq, p->arg);
    if (rc == RC_OK && p->ticket.ptr) {
        rc = once_take(t, rq->arena, S("second"), p->ticket, &once);
        if (rc == RC_OK && !str_eq(once.user_id, p->user_id)) rc = RC_DENIED;
        a->cookie = rc == RC_OK && str_starts(once.data, S("c"));
        a->remember = rc == RC_OK && str_eq(once.data, S("cr"));
    }
    if (rc == RC_OK) rc = stage_of(t, rq, a);
    if (rc) return rc;
    return a->stage == STAGE_IN ? session_rows(t, rq, a, session, old) : stage_event(t, rq, a);
}

static void proof_refused(struct request *rq, const struct login_proof *p) {
    struct audit_event event = {
        .action = "user.login",
        .resource = arena_join(rq->arena, S("user/"), p->user_id),
        .result = "failed",
    };
    metric_add(METRIC_LOGIN_FAILED, 1);
    rc_t rc = audit_add_alone(rq, &event);
    if (rc)
        reply_rc(rq, rc, "Recording the login");
    else
        reply_problem(rq, 401, "login_failed", "The sign-in is over or was refused; begin again.");
}

void login_proved(struct request *rq, const struct login_proof *p) {
    struct attempt a = {.cookie = p->cookie,
                        .remember = p->remember,
                        .return_to = p->return_to,
                        .second = !p->first};
    struct session_start session;
    struct db_txn *t;
    str old = {NULL, 0};
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, proved_rows(t, rq, p, &a, &session, &old));
    if (rc == RC_DENIED || rc == RC_NOT_FOUND) {
        proof_refused(rq, p);
        return;
    }
    attempt_done(rq, rc, &a, &session, old);
}

void login_second_post(struct request *rq) {
    static const char *const members[] = {"mfa_token", "code", NULL};
    struct session_start session;
    struct attempt a = {0};
    struct db_txn *t;
    cJSON *body;
    str ticket, old = {NULL, 0};
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "mfa_token", true, 1, ONCE_TICKET_MAX, &ticket) ||
        !request_member_text(rq, body, "code", true, 1, 32, &a.code) ||
        !cookie_same_origin(rq, false))
        return;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, second_rows(t, rq, ticket, &a, &session, &old));
    if (rc == RC_NOT_FOUND) {
        reply_problem(rq, 401, "mfa_token_refused", "This sign-in is over; begin again.");
        return;
    }
    attempt_done(rq, rc, &a, &session, old);
}

/* ---- Refresh --------------------------------------------------------------------------------- */

static rc_t refresh_write(struct db_txn *t, struct request *rq, str token,
                          struct session_refresh *out, struct user *user) {
    rc_t rc = session_rotate(t, rq->arena, token, out);
    if (rc || out->result == REFRESH_REFUSED) return rc;
    if (out->result == REFRESH_REUSED) {
        struct audit_event event = {
            .action = "session.reuse",
            .resource = arena_printf(rq->arena, "session/%.*s", STR(out->session_id)),
            .result = "denied",
            .detail = arena_printf(rq->arena, "{\"user\":\"%.*s\"}", STR(out->user_id)),
        };
        return audit_add(t, rq, &event);
    }
    struct session_state state;
    rc = session_owner(t, rq->arena, out->session_id, out->user_id, user, &state);
    bool others = rc == RC_OK && state.client_id.ptr; /* an application refreshes at its own door */
    if (rc != RC_DENIED && !others) return rc;
    out->result = REFRESH_REFUSED; /* the account was disabled */
    return RC_OK;
}

void refresh_post(struct request *rq) {
    static const char *const members[] = {"refresh_token", NULL};
    struct session_refresh done = {.result = REFRESH_REFUSED};
    struct user user;
    struct db_txn *t;
    cJSON *body;
    str token;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "refresh_token", true, 1, TOKEN_MAX, &token))
        return;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) {
        rc = refresh_write(t, rq, token, &done, &user);
        bool changed = done.result == REFRESH_ROTATED || done.result == REFRESH_REUSED;
        if (rc == RC_OK && changed)
            rc = db_write_commit(t);
        else
            db_write_rollback(t);
    }
    if (rc) {
        reply_rc(rq, rc, "Refreshing the session");
        return;
    }
    if (done.result == REFRESH_REUSED) {
        token_cache_drop_session(done.session_id);
        log_warn("auth", "a refresh token was used twice; its session was ended", "session=%.*s",
                 STR(done.session_id));
    }
    if (done.result == REFRESH_ROTATED) session_rotated(&done, token);
    if (done.result == REFRESH_ROTATED || done.result == REFRESH_REPEATED)
        session_answer(rq, 200, &user, done.session_id, done.refresh_token);
    else
        reply_problem(rq, 401, "refresh_refused", "The refresh token is not valid; log in again.");
}

/* ---- Logout ---------------------------------------------------------------------------------- */

static rc_t logout_write(struct request *rq, bool all, s64 *out_count) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    *out_count = 1;
    rc = all ? session_end_all(t, rq->actor.user_id, S(""), out_count)
             : session_end(t, rq->actor.session_id);
    struct audit_event event = {
        .action = all ? "user.logout_all" : "user.logout",
        .resource = arena_printf(rq->arena, "user/%.*s", STR(rq->actor.user_id)),
        .result = "ok",
        .detail = arena_printf(rq->arena, "{\"sessions\":%lld}", (long long)*out_count),
    };
    if (rc == RC_OK) rc = audit_add(t, rq, &event);
    rc = db_write_end(t, rc);
    if (rc == RC_OK && all) token_cache_drop_user(rq->actor.user_id);
    if (rc == RC_OK && !all) token_cache_drop_session(rq->actor.session_id);
    return rc;
}

static void logout(struct request *rq, bool all) {
    s64 count;
    if (!person_only(rq)) return;
    rc_t rc = logout_write(rq, all, &count);
    if (rc) {
        reply_rc(rq, rc, "Logging out");
        return;
    }
    if (cookie_of(rq).ptr) cookie_clear(rq);
    reply_empty(rq, 204);
}
void logout_post(struct request *rq) {
    logout(rq, false);
}
void logout_all_post(struct request *rq) {
    logout(rq, true);
}
