/* SPDX-License-Identifier: Apache-2.0 */
/* factor.c — the second factor: an authenticator app, and ten recovery codes for when it is lost.
 *
 *    POST /mfa/totp          a secret, as text, as an address for apps, as a picture (pending)
 *    POST /mfa/totp/confirm  one code of it: on from now; the answer shows the recovery codes, once
 *    POST /login             password right -> 401 second_factor_required with `mfa_token`
 *    POST /login/second-factor  that token and a code: signed in
 *
 * Always true: a code works once (the newest step used is kept, older ones are refused), a recovery
 * code too (its row is removed); FAILURES_MAX wrong ones in a row switch codes off until an
 * administrator removes the factor; nothing here is changed by a key, or on a sign-in older than
 * ten minutes; secrets of apps leave the table only while they are pending. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/id.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include <qrcodegen.h>

enum {
    SECRET_BYTES = 20,
    RECOVERY_LETTERS = 10,
    FAILURES_MAX = 100,
    PENDING_S = 900,
};

/* ---- Judging --------------------------------------------------------------------------------- */

rc_t factor_methods(struct db_txn *t, str user_id, struct factor_methods *out) {
    struct db_rows *r = NULL;
    *out = (struct factor_methods){0};
    rc_t rc = db_query(t, &r,
                       "SELECT (SELECT count(*) FROM factor_totp WHERE user_id=?1 AND"
                       " confirmed_ns>0),(SELECT count(*) FROM factor_recovery WHERE user_id=?1),"
                       "(SELECT count(*) FROM passkey WHERE user_id=?1)",
                       DB_TEXT(user_id));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK)
        *out = (struct factor_methods){.totp = db_column_int(r, 0) > 0,
                                       .recovery_codes = (u32)db_column_int(r, 1),
                                       .passkeys = (u32)db_column_int(r, 2)};
    db_done(r);
    return rc;
}

struct totp {
    str secret;
    s64 step, failures;
    u64 confirmed_ns, created_ns;
};

static rc_t totp_read(struct db_txn *t, struct arena *a, str user_id, struct totp *out) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r,
                       "SELECT secret,step,failures,confirmed_ns,created_ns FROM factor_totp"
                       " WHERE user_id=?1",
                       DB_TEXT(user_id));
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) {
        out->secret = arena_copy(a, db_column_text(r, 0));
        out->step = db_column_int(r, 1);
        out->failures = db_column_int(r, 2);
        out->confirmed_ns = (u64)db_column_int(r, 3);
        out->created_ns = (u64)db_column_int(r, 4);
        if (!out->secret.ptr) rc = RC_NO_MEMORY;
    }
    db_done(r);
    return rc;
}

static void recovery_hash(str user_id, const char code[RECOVERY_LETTERS], u8 hash[SHA256_BYTES]) {
    char both[ID_LEN + RECOVERY_LETTERS];
    memset(both, 0, sizeof both);
    memcpy(both, user_id.ptr, MIN(user_id.len, (size_t)ID_LEN));
    memcpy(both + ID_LEN, code, RECOVERY_LETTERS);
    sha256(str_of(both, sizeof both), hash);
    secret_wipe(both, sizeof both);
}

static rc_t recovery_take(struct db_txn *t, str user_id, str typed, bool *out_right) {
    char code[RECOVERY_LETTERS];
    u8 hash[SHA256_BYTES];
    if (!code_normalise(typed, code, RECOVERY_LETTERS)) return RC_OK;
    recovery_hash(user_id, code, hash);
    rc_t rc = db_run(t, "DELETE FROM factor_recovery WHERE user_id=?1 AND hash=?2",
                     DB_TEXT(user_id), DB_BLOB(str_of((char *)hash, sizeof hash)));
    *out_right = rc == RC_OK && db_changes(t) == 1;
    return rc;
}

rc_t factor_check(struct db_txn *t, struct arena *a, str user_id, str code, bool *out_right) {
    struct totp totp;
    s64 step = 0;
    *out_right = false;
    rc_t rc = totp_read(t, a, user_id, &totp);
    /* With passkeys alone there are recovery codes, and nothing else to type. */
    if (rc == RC_NOT_FOUND || (rc == RC_OK && !totp.confirmed_ns))
        return recovery_take(t, user_id, code, out_right);
    if (rc) return rc;
    if (totp.failures >= FAILURES_MAX) return RC_OK;
    if (totp_check(totp.secret, code, auth_now_ns() / NS_PER_S, totp.step, &step))
        *out_right = true;
    else if ((rc = recovery_take(t, user_id, code, out_right)))
        return rc;
    return db_run(t,
                  *out_right
                      ? "UPDATE factor_totp SET failures=0,step=max(step,?2) WHERE user_id=?1"
                      : "UPDATE factor_totp SET failures=failures+1 WHERE user_id=?1"
                        " AND ?2=?2",
                  DB_TEXT(user_id), DB_INT(step));
}

/* ---- What is on ------------------------------------------------------------------------------ */

void mfa_get(struct request *rq) {
    struct factor_methods m;
    struct json_writer w;
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc == RC_OK) {
        rc = factor_methods(t, rq->actor.user_id, &m);
        db_read_end(t);
    }
    if (rc) {
        reply_rc(rq, rc, "Reading the second factor");
        return;
    }
    json_open(&w, 1024);
    json_object(&w, NULL);
    json_bool(&w, "enabled", m.totp || m.passkeys);
    json_bool(&w, "totp", m.totp);
    json_int(&w, "recovery_codes", m.recovery_codes);
    json_int(&w, "passkeys", m.passkeys);
    json_bool(&w, "shown", rq->actor.mfa);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

/* ---- Turning it on --------------------------------------------------------------------------- */

enum { QR_VERSION = 14 }; /* 362 bytes: the longest address fits */
struct qr_job {
    const char *text;
    u8 *code, *scratch;
    bool fits;
};
static void qr_make(void *arg) {
    struct qr_job *job = arg;
    job->fits = qrcodegen_encodeText(job->text, job->scratch, job->code, qrcodegen_Ecc_MEDIUM, 1,
                                     QR_VERSION, qrcodegen_Mask_AUTO, true);
}

/* One path of unit squares on white. */
static str qr_svg(struct arena *a, str text) {
    struct qr_job job = {
        .text = text.ptr,
        .code = arena_alloc(a, qrcodegen_BUFFER_LEN_FOR_VERSION(QR_VERSION)),
        .scratch = arena_alloc(a, qrcodegen_BUFFER_LEN_FOR_VERSION(QR_VERSION)),
    };
    struct buf svg;
    if (!job.code || !job.scratch || worker_run(qr_make, &job) || !job.fits) return str_of(NULL, 0);
    const u8 *code = job.code;
    int size = qrcodegen_getSize(code);
    buf_open(&svg, KIB(64));
    rc_t rc = buf_printf(&svg,
                         "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                         "shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h%dv%dH0z\"/>"
                         "<path d=\"",
                         size + 8, size + 8, size + 8, size + 8);
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size && !rc; x++)
            if (qrcodegen_getModule(code, x, y))
                rc = buf_printf(&svg, "M%d %dh1v1h-1z", x + 4, y + 4);
    if (!rc) rc = buf_add(&svg, S("\"/></svg>"));
    str out = rc ? str_of(NULL, 0) : arena_copy(a, buf_str(&svg));
    buf_close(&svg);
    return out;
}

static rc_t begin_write(struct request *rq, const u8 secret[SECRET_BYTES]) {
    struct factor_methods m;
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = factor_methods(t, rq->actor.user_id, &m);
    if (rc == RC_OK && m.totp) rc = RC_CONFLICT;
    if (rc == RC_OK)
        rc = db_run(t,
                    "INSERT INTO factor_totp(user_id,secret,step,failures,confirmed_ns,created_ns)"
                    " VALUES(?1,?2,0,0,0,?3) ON CONFLICT(user_id) DO UPDATE SET secret=?2,step=0,"
                    "failures=0,created_ns=?3",
                    DB_TEXT(rq->actor.user_id), DB_BLOB(str_of((const char *)secret, SECRET_BYTES)),
                    DB_INT(auth_now_ns()));
    return db_write_end(t, rc);
}

void totp_post(struct request *rq) {
    u8 secret[SECRET_BYTES];
    char text[SECRET_BYTES * 8 / 5 + 2];
    struct json_writer w;
    if (!person_recent(rq)) return;
    rc_t rc = platform_entropy(secret, sizeof secret);
    if (rc == RC_OK) rc = begin_write(rq, secret);
    if (rc == RC_CONFLICT) {
        reply_problem(rq, 409, "already_on", "There is a second factor; remove it first.");
        return;
    }
    base32_encode(secret, sizeof secret, text);
    secret_wipe(secret, sizeof secret);
    str uri = arena_printf(rq->arena,
                           "otpauth://totp/OpenPolicy:%.*s?secret=%s&issuer=OpenPolicy"
                           "&algorithm=SHA1&digits=6&period=30",
                           STR(rq->actor.email), text);
    str svg = uri.ptr && !rc ? qr_svg(rq->arena, uri) : str_of(NULL, 0);
    if (rc || !svg.ptr) {
        reply_rc(rq, rc ? rc : RC_NO_MEMORY, "Making the secret");
        return;
    }
    json_open(&w, KIB(96));
    json_object(&w, NULL);
    json_text(&w, "secret", str_from_c(text));
    json_text(&w, "uri", uri);
    json_text(&w, "qr_svg", svg);
    json_int(&w, "expires_in", PENDING_S);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

rc_t recovery_make(struct db_txn *t, struct arena *a, str user_id, str out[RECOVERY_CODES]) {
    rc_t rc = db_run(t, "DELETE FROM factor_recovery WHERE user_id=?1", DB_TEXT(user_id));
    for (u32 i = 0; rc == RC_OK && i < RECOVERY_CODES; i++) {
        u8 hash[SHA256_BYTES];
        char code[RECOVERY_LETTERS];
        if ((rc = code_draw(code, RECOVERY_LETTERS))) break;
        recovery_hash(user_id, code, hash);
        out[i] = arena_printf(a, "%.5s-%.5s", code, code + 5);
        if (!out[i].ptr) return RC_NO_MEMORY;
        rc = db_run(t, "INSERT INTO factor_recovery(user_id,hash) VALUES(?1,?2)", DB_TEXT(user_id),
                    DB_BLOB(str_of((char *)hash, sizeof hash)));
    }
    return rc;
}

rc_t factor_event(struct db_txn *t, struct request *rq, str user_id, const char *action) {
    struct audit_event event = {
        .action = action,
        .resource = arena_printf(rq->arena, "user/%.*s", STR(user_id)),
        .result = "ok",
    };
    struct user user;
    rc_t rc = user_by_id(t, rq->arena, user_id, &user);
    if (rc == RC_OK) rc = notice_add(t, rq->arena, &user, NOTICE_FACTOR, rq);
    return rc ? rc : audit_add(t, rq, &event);
}

/* RC_NOT_FOUND: nothing is pending. RC_DENIED: not its code. */
static rc_t confirm_rows(struct db_txn *t, struct request *rq, str code,
                         str codes[RECOVERY_CODES]) {
    struct totp totp;
    u64 now = auth_now_ns();
    s64 step;
    str id = rq->actor.user_id;
    rc_t rc = totp_read(t, rq->arena, id, &totp);
    if (rc) return rc;
    if (totp.confirmed_ns) return RC_CONFLICT;
    if (now - totp.created_ns > PENDING_S * NS_PER_S) return RC_NOT_FOUND;
    if (!totp_check(totp.secret, code, now / NS_PER_S, 0, &step)) return RC_DENIED;
    rc = db_run(t, "UPDATE factor_totp SET confirmed_ns=?2,step=?3 WHERE user_id=?1", DB_TEXT(id),
                DB_INT(now), DB_INT(step));
    if (rc == RC_OK) rc = recovery_make(t, rq->arena, id, codes);
    /* Who turned it on has shown it: this session needs no second sign-in. */
    if (rc == RC_OK)
        rc = db_run(t, "UPDATE session SET mfa=1 WHERE id=?1", DB_TEXT(rq->actor.session_id));
    return rc ? rc : factor_event(t, rq, id, "user.mfa_on");
}

static void codes_answer(struct request *rq, str codes[RECOVERY_CODES]) {
    struct json_writer w;
    json_open(&w, 2048);
    json_object(&w, NULL);
    json_array(&w, "recovery_codes");
    for (u32 i = 0; i < RECOVERY_CODES; i++) json_text(&w, NULL, codes[i]);
    json_array_end(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

static void refused(struct request *rq, rc_t rc) {
    if (rc == RC_DENIED)
        reply_problem(rq, 403, "code_refused", "The code is wrong, was used, or is too old.");
    else if (rc == RC_NOT_FOUND)
        reply_problem(rq, 409, "nothing_pending", "Begin with POST /api/v1/auth/mfa/totp.");
    else if (rc == RC_CONFLICT)
        reply_problem(rq, 409, "already_on", "There is a second factor already.");
    else
        reply_rc(rq, rc, "Changing the second factor");
}

u64 factor_delay(struct request *rq, str user_id) {
    str key = arena_printf(rq->arena, "(code) %.*s", STR(user_id));
    return delay_take(key.ptr ? key : user_id, &rq->http->peer, platform_clock_ns());
}
void factor_delay_over(struct request *rq, str user_id) {
    str key = arena_printf(rq->arena, "(code) %.*s", STR(user_id));
    delay_succeeded(key.ptr ? key : user_id, &rq->http->peer, platform_clock_ns());
}

/* The one member most routes here have; false: answered. Waits are answered too. */
static bool code_read(struct request *rq, str *code) {
    static const char *const members[] = {"code", NULL};
    cJSON *body;
    if (!person_recent(rq) || !request_json(rq, &body) ||
        !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "code", true, 1, 32, code))
        return false;
    u64 wait = factor_delay(rq, rq->actor.user_id);
    if (wait) too_many(rq, wait);
    return !wait;
}

void totp_confirm_post(struct request *rq) {
    str code, codes[RECOVERY_CODES];
    struct db_txn *t;
    if (!code_read(rq, &code)) return;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, confirm_rows(t, rq, code, codes));
    if (rc) {
        refused(rq, rc);
        return;
    }
    token_cache_drop_session(rq->actor.session_id); /* its proof did not say mfa */
    factor_delay_over(rq, rq->actor.user_id);
    codes_answer(rq, codes);
}

/* ---- New recovery codes, and turning it off: with a code of it ------------------------------- */

static rc_t with_code(struct request *rq, str code, bool *out_right,
                      rc_t (*then)(struct db_txn *t, struct request *rq, void *arg), void *arg) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = factor_check(t, rq->arena, rq->actor.user_id, code, out_right);
    if (rc == RC_OK && *out_right) rc = then(t, rq, arg);
    return db_write_end(t, rc); /* a wrong code is committed too: it counts */
}

static rc_t renew(struct db_txn *t, struct request *rq, void *arg) {
    rc_t rc = recovery_make(t, rq->arena, rq->actor.user_id, arg);
    return rc ? rc : factor_event(t, rq, rq->actor.user_id, "user.recovery_codes");
}

static rc_t turn_off(struct db_txn *t, str user_id) {
    rc_t rc = db_run(t, "DELETE FROM factor_totp WHERE user_id=?1", DB_TEXT(user_id));
    if (rc == RC_OK)
        rc = db_run(t, "DELETE FROM factor_recovery WHERE user_id=?1", DB_TEXT(user_id));
    return rc;
}

static rc_t remove_own(struct db_txn *t, struct request *rq, void *arg) {
    (void)arg;
    rc_t rc = turn_off(t, rq->actor.user_id);
    return rc ? rc : factor_event(t, rq, rq->actor.user_id, "user.mfa_off");
}

void recovery_codes_post(struct request *rq) {
    str code, codes[RECOVERY_CODES];
    bool right = false;
    if (!code_read(rq, &code)) return;
    rc_t rc = with_code(rq, code, &right, renew, codes);
    if (rc || !right) {
        refused(rq, rc ? rc : RC_DENIED);
        return;
    }
    factor_delay_over(rq, rq->actor.user_id);
    codes_answer(rq, codes);
}

void totp_remove_post(struct request *rq) {
    bool right = false;
    str code;
    if (!code_read(rq, &code)) return;
    rc_t rc = with_code(rq, code, &right, remove_own, NULL);
    if (rc || !right) {
        refused(rq, rc ? rc : RC_DENIED);
        return;
    }
    factor_delay_over(rq, rq->actor.user_id);
    reply_empty(rq, 204);
}

/* ---- An administrator helps ------------------------------------------------------------------ */

static rc_t help_rows(struct db_txn *t, struct request *rq, str user_id) {
    s64 ended;
    struct user user;
    rc_t rc = user_by_id(t, rq->arena, user_id, &user);
    if (rc == RC_OK && !user_reached(rq, &user)) rc = RC_NOT_FOUND;
    if (rc == RC_OK) rc = turn_off(t, user_id);
    if (rc == RC_OK) rc = db_run(t, "DELETE FROM passkey WHERE user_id=?1", DB_TEXT(user_id));
    if (rc == RC_OK) rc = session_end_all(t, user_id, S(""), &ended);
    return rc ? rc : factor_event(t, rq, user_id, "user.mfa_reset");
}

void user_mfa_delete(struct request *rq) {
    str id = rq->params[0];
    struct db_txn *t;
    rc_t rc = id_valid(id) ? db_write_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) rc = db_write_end(t, help_rows(t, rq, id));
    if (rc == RC_OK) token_cache_drop_user(id);
    if (rc == RC_OK)
        reply_empty(rq, 204);
    else if (rc == RC_NOT_FOUND)
        reply_problem(rq, 404, "user_not_found", "There is no account with this id.");
    else
        reply_rc(rq, rc, "Removing the second factor");
}
