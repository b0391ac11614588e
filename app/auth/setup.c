/* SPDX-License-Identifier: Apache-2.0 */
/* setup.c — the first administrator. There is no default password.
 *
 *   admin.email + admin.password in the machine's configuration: that account is made at start and
 *   kept an active administrator; its password is set when it is made and again only when the
 *   configured one changed (compared by argon2id, in the background, never by a fast hash);
 *   otherwise, while there is no administrator, the console shows a code to type once:
 *
 *       XXXX-XXXX-XXXX   60 random bits in Crockford's alphabet; a new one at each start
 *
 * Always true: the database holds only the code's hash; ten wrong tries make it worthless and the
 * console shows another; two requests with the right code make one administrator. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/config/config.h"
#include "kernel/base/log.h"
#include "kernel/core/console.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

enum { CODE_LETTERS = 12, CODE_TRIES = 10, CONFIGURED_MIN = 8, COMPARE_AFTER_MS = 2000 };

/* ---- The code -------------------------------------------------------------------------------- */

static rc_t code_make(char code[CODE_LETTERS], u8 hash[SHA256_BYTES]) {
    rc_t rc = code_draw(code, CODE_LETTERS);
    if (rc) return rc;
    sha256(str_of(code, CODE_LETTERS), hash);
    return RC_OK;
}

static void code_show(const char code[CODE_LETTERS]) {
    console_print(
        "\n  There is no administrator yet. Open this appliance in a browser, or POST to\n"
        "  /api/v1/setup, and give this setup code (it works once):\n\n"
        "      setup code: %.4s-%.4s-%.4s\n\n",
        code, code + 4, code + 8);
}

/* A new code: its hash into the row, itself to the console once that is durable. */
static rc_t code_replace(struct db_txn *t, char code[CODE_LETTERS]) {
    u8 hash[SHA256_BYTES];
    rc_t rc = code_make(code, hash);
    if (rc) return rc;
    return db_run(t,
                  "INSERT INTO auth_setup(id,code_hash,tries) VALUES(1,?1,0)"
                  " ON CONFLICT(id) DO UPDATE SET code_hash=excluded.code_hash,tries=0",
                  DB_BLOB(str_of((char *)hash, sizeof hash)));
}

static rc_t code_start(void) {
    char code[CODE_LETTERS];
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = db_write_end(t, code_replace(t, code));
    if (rc == RC_OK) code_show(code);
    return rc;
}

/* RC_OK: right; RC_DENIED: wrong; RC_CONFLICT: there is an administrator, no code is wanted. */
static rc_t code_check(struct db_txn *t, const char typed[CODE_LETTERS], s64 *out_tries) {
    struct db_rows *r = NULL;
    u8 hash[SHA256_BYTES];
    s64 admins = 0;
    rc_t rc = user_other_admins(t, S(""), &admins);
    if (rc) return rc;
    if (admins) return RC_CONFLICT;
    sha256(str_of(typed, CODE_LETTERS), hash);
    rc = db_query(t, &r,
                  "SELECT code_hash,tries FROM auth_setup WHERE id=1 AND code_hash IS NOT NULL");
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) {
        *out_tries = db_column_int(r, 1);
        if (!str_eq_secret(db_column_text(r, 0), str_of((char *)hash, sizeof hash))) rc = RC_DENIED;
    }
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_DENIED : rc;
}

/* Counts a wrong try; the tenth makes a new code. */
static rc_t code_wrong(struct db_txn *t, struct request *rq, s64 tries, char code[CODE_LETTERS],
                       bool *out_replaced) {
    struct audit_event event = {.action = "setup.code", .result = "failed"};
    *out_replaced = tries + 1 >= CODE_TRIES;
    rc_t rc = *out_replaced ? code_replace(t, code)
                            : db_run(t, "UPDATE auth_setup SET tries=tries+1 WHERE id=1");
    return rc ? rc : audit_add(t, rq, &event);
}

static rc_t code_try(struct request *rq, const char typed[CODE_LETTERS]) {
    char code[CODE_LETTERS];
    bool replaced = false;
    struct db_txn *t;
    s64 tries = 0;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc_t verdict = code_check(t, typed, &tries);
    if (verdict != RC_DENIED) {
        db_write_rollback(t);
        return verdict;
    }
    rc = db_write_end(t, code_wrong(t, rq, tries, code, &replaced));
    if (rc) return rc;
    if (replaced) {
        log_warn("auth", "ten wrong setup codes: a new one is on the console");
        code_show(code);
    }
    return RC_DENIED;
}

/* ---- The routes ------------------------------------------------------------------------------ */

void setup_get(struct request *rq) {
    struct json_writer w;
    struct db_txn *t;
    s64 admins = 0;
    rc_t rc = db_read_begin(&t);
    if (rc == RC_OK) {
        rc = user_other_admins(t, S(""), &admins);
        db_read_end(t);
    }
    if (rc) {
        reply_rc(rq, rc, "Looking for an administrator");
        return;
    }
    json_open(&w, 256);
    json_object(&w, NULL);
    json_bool(&w, "required", admins == 0);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

static rc_t first_admin_rows(struct db_txn *t, struct request *rq, const char typed[CODE_LETTERS],
                             struct user *user, struct session_start *session) {
    s64 tries;
    rc_t rc = code_check(t, typed, &tries); /* again: another request may have been first */
    if (rc == RC_OK) rc = user_insert(t, rq->arena, user);
    if (rc == RC_OK) rc = db_run(t, "UPDATE auth_setup SET code_hash=NULL WHERE id=1");
    if (rc == RC_OK) rc = session_begin(t, rq, user->id, NULL, session);
    if (rc) return rc;
    rq->actor = (struct actor){
        .user_id = user->id, .email = user->email, .role = user->role, .kind = ACTOR_USER};
    struct audit_event event = {
        .action = "setup.admin",
        .resource = arena_printf(rq->arena, "user/%.*s", STR(user->id)),
        .result = "ok",
    };
    return audit_add(t, rq, &event);
}

static rc_t first_admin_write(struct request *rq, const char typed[CODE_LETTERS], struct user *user,
                              struct session_start *session) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = first_admin_rows(t, rq, typed, user, session);
    return db_write_end(t, rc);
}

static void setup_refused(struct request *rq, rc_t rc) {
    if (rc == RC_CONFLICT)
        reply_problem(rq, 409, "already_set_up", "This appliance has an administrator already.");
    else if (rc == RC_DENIED)
        reply_problem(rq, 403, "wrong_code", "This is not the setup code on the console.");
    else if (rc == RC_LIMIT || rc == RC_NO_MEMORY)
        password_busy(rq);
    else
        reply_rc(rq, rc, "Setting up");
}

void setup_post(struct request *rq) {
    static const char *const members[] = {"code", "email", "password", "name", NULL};
    struct user user = {.role = S("admin"), .state = S("active"), .name = S("Administrator")};
    struct session_start session;
    char typed[CODE_LETTERS], phc[PHC_ROOM];
    cJSON *body;
    str code, password;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "code", true, 1, 64, &code))
        return;
    if (!code_normalise(code, typed, CODE_LETTERS))
        memset(typed, '!', sizeof typed); /* counts as a wrong one */
    rc_t rc = code_try(rq, typed);
    if (rc) {
        setup_refused(rq, rc);
        return;
    }
    if (!user_email_member(rq, body, true, &user.email) ||
        !request_member_text(rq, body, "name", false, 1, NAME_MAX_BYTES, &user.name) ||
        !request_member_text(rq, body, "password", true, 1, 1024, &password) ||
        !user_password_acceptable(rq, password, user.email))
        return;
    rc = password_hash(password, phc);
    user.phc = str_from_c(phc);
    if (rc == RC_OK) rc = first_admin_write(rq, typed, &user, &session);
    if (rc)
        setup_refused(rq, rc);
    else
        session_answer(rq, 201, &user, session.session_id, session.refresh_token);
}

/* ---- The configured administrator ------------------------------------------------------------ */

static struct {
    char email[EMAIL_MAX + 1], password[PASSWORD_MAX + 1], recorded_phc[PHC_ROOM], user_id[40];
} configured; /* wiped once compared */

static rc_t configured_rows(struct db_txn *t, struct arena *a, str user_id, str email, str phc,
                            struct user *fresh) {
    struct audit_event event = {.result = "ok",
                                .action = fresh ? "user.create" : "user.password",
                                .detail = S("{\"source\":\"configuration\"}")};
    s64 ended;
    rc_t rc = fresh ? user_insert(t, a, fresh) : user_set_password(t, user_id, phc);
    if (fresh) user_id = fresh->id;
    if (rc == RC_OK) rc = session_end_all(t, user_id, S(""), &ended);
    if (rc == RC_OK)
        rc = db_run(
            t,
            "INSERT INTO auth_setup(id,tries,configured_email,configured_phc) VALUES(1,0,?1,?2)"
            " ON CONFLICT(id) DO UPDATE SET configured_email=?1,configured_phc=?2,code_hash=NULL",
            DB_TEXT(email), DB_TEXT(phc));
    event.resource = arena_printf(a, "user/%.*s", STR(user_id));
    return rc ? rc : audit_add(t, NULL, &event);
}

static rc_t configured_write(struct arena *a, str user_id, str email, str phc, struct user *fresh) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = configured_rows(t, a, user_id, email, phc, fresh);
    rc = db_write_end(t, rc);
    if (rc == RC_OK && !fresh) token_cache_drop_user(user_id);
    return rc;
}

/* Said, not refused: who writes the machine's configuration is its owner. */
static void warn_of_weakness(str password, str email) {
    const char *weak = password_weakness(password, email);
    if (!weak && password_strength(password, email, &weak)) weak = NULL;
    if (weak) log_warn("auth", "admin.password is weak", "why=\"%s\"", weak);
}

static void compare(void *arg) {
    struct arena a;
    char phc[PHC_ROOM];
    bool same = false;
    (void)arg;
    fiber_sleep_ms(COMPARE_AFTER_MS); /* after the start, which it must not slow */
    str password = str_from_c(configured.password), recorded = str_from_c(configured.recorded_phc);
    warn_of_weakness(password, str_from_c(configured.email));
    rc_t rc = recorded.len ? password_verify(password, recorded, &same) : RC_OK;
    if (rc == RC_OK && !same) {
        arena_open(&a, NULL, 0, KIB(16));
        rc = password_hash(password, phc);
        if (rc == RC_OK)
            rc = configured_write(&a, str_from_c(configured.user_id), str_from_c(configured.email),
                                  str_from_c(phc), NULL);
        if (rc == RC_OK)
            log_warn("auth", "admin.password changed: the account's password was set to it");
        arena_close(&a);
    }
    if (rc)
        log_error("auth", "admin.password could not be compared with the account", "rc=%s",
                  rc_name(rc));
    password_trim();
    secret_wipe(&configured, sizeof configured);
}

static rc_t configured_create(struct arena *a, str email, str password) {
    struct user user = {
        .email = email, .role = S("admin"), .state = S("active"), .name = S("Administrator")};
    char phc[PHC_ROOM];
    warn_of_weakness(password, email);
    rc_t rc = password_hash(password, phc);
    password_trim();
    if (rc) return rc;
    user.phc = str_from_c(phc);
    return configured_write(a, user.id, email, user.phc, &user);
}

/* An account that exists: an active administrator again if somebody changed that. */
static rc_t configured_keep(struct arena *a, const struct user *user) {
    struct audit_event event = {.action = "user.update",
                                .result = "ok",
                                .resource = arena_printf(a, "user/%.*s", STR(user->id)),
                                .detail = S("{\"source\":\"configuration\",\"role\":\"admin\"}")};
    struct db_txn *t;
    if (str_eq(user->role, S("admin")) && str_eq(user->state, S("active"))) return RC_OK;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = db_run(t, "UPDATE user SET role='admin',state='active',org_id='',version=version+1"
                " WHERE id=?1",
                DB_TEXT(user->id));
    if (rc == RC_OK) rc = audit_add(t, NULL, &event);
    return db_write_end(t, rc);
}

static rc_t configured_look(struct arena *a, str email, struct user *user, s64 *admins) {
    struct db_rows *r = NULL;
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = user_other_admins(t, S(""), admins);
    if (rc == RC_OK && email.len) {
        rc = user_by_email(t, a, email, user);
        if (rc == RC_NOT_FOUND) rc = RC_OK;
    }
    if (rc == RC_OK && user->id.len) {
        rc = db_query(t, &r,
                      "SELECT configured_phc FROM auth_setup WHERE configured_email=?1"
                      " AND configured_phc IS NOT NULL",
                      DB_TEXT(email));
        if (rc == RC_OK && (rc = db_next(r)) == RC_OK)
            rc = str_to_c(db_column_text(r, 0), configured.recorded_phc, PHC_ROOM);
        if (rc == RC_NOT_FOUND) rc = RC_OK;
        db_done(r);
    }
    db_read_end(t);
    return rc;
}

/* The configured pair, checked; both empty: none. */
static rc_t configured_read(str *email, str *password, struct diag *why) {
    str typed = config_text("admin.email"), secret = config_text("admin.password");
    *email = *password = str_of(NULL, 0);
    if (!typed.len && !secret.len) return RC_OK;
    const char *wrong = typed.len && secret.len ? email_normalise(typed, configured.email, email)
                                                : "admin.email and admin.password go together.";
    if (!wrong && (secret.len < CONFIGURED_MIN || secret.len > PASSWORD_MAX))
        wrong = "admin.password has 8 to 256 bytes.";
    if (wrong || str_to_c(secret, configured.password, sizeof configured.password)) {
        diag_set(why, "the configured administrator was not made: %s",
                 wrong ? wrong : "bad password");
        /* half a pair is none: nobody gets an account without a password */
        *email = str_of(NULL, 0);
        return RC_INVALID;
    }
    *password = str_from_c(configured.password);
    return RC_OK;
}

static rc_t configured_start(struct arena *a, str email, str password, const struct user *user) {
    if (!user->id.len) return configured_create(a, email, password);
    rc_t rc = configured_keep(a, user);
    if (rc) return rc;
    if ((rc = str_to_c(user->id, configured.user_id, sizeof configured.user_id))) return rc;
    return fiber_start("compare admin.password", compare, NULL, NULL);
}

rc_t setup_start(struct diag *why) {
    struct arena a;
    struct user user = {0};
    struct diag wrong = {0};
    str email, password;
    s64 admins = 0;
    arena_open(&a, NULL, 0, KIB(32));
    if (configured_read(&email, &password, &wrong)) log_error("auth", wrong.text);
    config_forget("admin.password");
    rc_t rc = configured_look(&a, email, &user, &admins);
    if (rc == RC_OK && email.len) {
        rc = configured_start(&a, email, password, &user);
        admins = 1;
    }
    if (rc == RC_OK && admins == 0) rc = code_start();
    if (rc) diag_set(why, "the first administrator could not be prepared (%s)", rc_name(rc));
    if (!user.id.len) secret_wipe(configured.password, sizeof configured.password);
    arena_close(&a);
    return rc;
}
