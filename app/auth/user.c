/* SPDX-License-Identifier: Apache-2.0 */
/* user.c — rows of the `user` table, and the two things everybody types: an address, a password.
 *
 * An e-mail address is kept lower case and plain ASCII, so that one person has one account and no
 * two addresses look alike. Always true: at least one active admin remains (user_other_admins is
 * asked inside the same write that would remove one); a password leaves this row only as its PHC
 * string, and that never leaves the process. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/id.h"

static bool local_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-/=?^_`{|}~.", c));
}
static bool domain_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

/* Parts between dots must not be empty; all letters must be allowed. */
static bool part_fine(str s, bool (*letter)(char)) {
    for (size_t i = 0; i < s.len; i++) {
        if (!letter(s.ptr[i])) return false;
        if (s.ptr[i] == '.' && (i == 0 || i + 1 == s.len || s.ptr[i - 1] == '.')) return false;
    }
    return s.len > 0;
}

const char *email_normalise(str text, char *to, str *out) {
    text = str_trim(text);
    if (text.len < EMAIL_MIN || text.len > EMAIL_MAX)
        return "An e-mail address has 3 to 254 characters.";
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        to[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    to[text.len] = 0;
    *out = str_of(to, text.len);
    size_t at = str_find_byte(*out, '@');
    str local = str_take(*out, at), domain = str_skip(*out, at + 1);
    if (at == out->len || local.len > 64 || !part_fine(local, local_letter) ||
        !part_fine(domain, domain_letter) || domain.ptr[0] == '-')
        return "An e-mail address looks like name@example.org, in ASCII.";
    return NULL;
}

rc_t user_read(struct db_rows *r, struct arena *a, struct user *out) {
    *out = (struct user){
        .id = arena_copy(a, db_column_text(r, 0)),
        .email = arena_copy(a, db_column_text(r, 1)),
        .name = arena_copy(a, db_column_text(r, 2)),
        .role = arena_copy(a, db_column_text(r, 3)),
        .state = arena_copy(a, db_column_text(r, 4)),
        .phc = arena_copy(a, db_column_text(r, 5)),
        .created_ns = (u64)db_column_int(r, 6),
        .updated_ns = (u64)db_column_int(r, 7),
        .password_ns = (u64)db_column_int(r, 8),
        .login_ns = (u64)db_column_int(r, 9),
        .locked_ns = (u64)db_column_int(r, 10),
        .failures = db_column_int(r, 11),
        .version = db_column_int(r, 12),
        .verified_ns = (u64)db_column_int(r, 13),
        .org_id = arena_copy(a, db_column_text(r, 14)),
    };
    bool whole = out->id.ptr && out->email.ptr && out->name.ptr && out->role.ptr &&
                 out->state.ptr && out->phc.ptr && out->org_id.ptr;
    return whole ? RC_OK : RC_NO_MEMORY;
}

static rc_t one(struct db_rows *r, rc_t rc, struct arena *a, struct user *out) {
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) rc = user_read(r, a, out);
    db_done(r);
    return rc;
}

rc_t user_by_email(struct db_txn *t, struct arena *a, str email, struct user *out) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r, "SELECT " USER_COLUMNS " FROM user WHERE email=?1", DB_TEXT(email));
    return one(r, rc, a, out);
}

rc_t user_by_id(struct db_txn *t, struct arena *a, str id, struct user *out) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r, "SELECT " USER_COLUMNS " FROM user WHERE id=?1", DB_TEXT(id));
    return one(r, rc, a, out);
}

rc_t user_asking(struct request *rq, struct user *out) {
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = user_by_id(t, rq->arena, rq->actor.user_id, out);
    db_read_end(t);
    return rc;
}

static rc_t row_delete(struct db_txn *t, struct request *rq, const struct removal *r, str id) {
    /* A statement may take the asker, or their organisation, as ?2. */
    str org = r->of_asker ? rq->actor.user_id : rq->actor.org_id.len ? rq->actor.org_id : S("");
    rc_t rc = strstr(r->sql, "?2") ? db_run(t, r->sql, DB_TEXT(id), DB_TEXT(org))
                                   : db_run(t, r->sql, DB_TEXT(id));
    if (rc == RC_OK && db_changes(t) == 0) return RC_NOT_FOUND;
    str action = arena_printf(rq->arena, "%s.delete%c", r->kind, 0);
    struct audit_event event = {
        .action = action.ptr,
        .resource = arena_printf(rq->arena, "%s/%.*s", r->kind, STR(id)),
        .result = "ok",
    };
    if (rc == RC_OK && !action.ptr) rc = RC_NO_MEMORY;
    return rc ? rc : audit_add(t, rq, &event);
}

void row_remove(struct request *rq, const struct removal *r) {
    struct db_txn *t;
    rc_t rc = id_valid(rq->params[0]) ? db_write_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) rc = db_write_end(t, row_delete(t, rq, r, rq->params[0]));
    if (rc == RC_OK) reply_empty(rq, 204);
    else if (rc == RC_NOT_FOUND) reply_problem(rq, 404, r->missing, "%s", r->sentence);
    else reply_rc(rq, rc, r->doing);
}

rc_t user_insert(struct db_txn *t, struct arena *a, struct user *user) {
    char *id = arena_alloc(a, ID_ROOM);
    if (!id) return RC_NO_MEMORY;
    rc_t rc = id_make(id, &user->id);
    if (rc) return rc;
    user->created_ns = user->updated_ns = user->password_ns = auth_now_ns();
    user->version = 1;
    return db_run(
        t,
        "INSERT INTO user(id,email,name,role,state,password,created_ns,updated_ns,password_ns,"
        "verified_ns,org_id) VALUES(?1,?2,?3,?4,?5,?6,?7,?7,?7,?8,?9)",
        DB_TEXT(user->id), DB_TEXT(user->email), DB_TEXT(user->name), DB_TEXT(user->role),
        DB_TEXT(user->state), DB_TEXT(user->phc), DB_INT(user->created_ns),
        DB_INT(user->verified_ns), DB_TEXT(user->org_id.ptr ? user->org_id : S("")));
}

bool user_reached(const struct request *rq, const struct user *user) {
    return !rq->actor.org_id.len || str_eq(rq->actor.org_id, user->org_id);
}

bool user_route_reached(struct request *rq) {
    struct user user;
    struct db_txn *t;
    rc_t rc = id_valid(rq->params[0]) ? db_read_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) {
        rc = user_by_id(t, rq->arena, rq->params[0], &user);
        db_read_end(t);
    }
    if (rc == RC_OK && !user_reached(rq, &user)) rc = RC_NOT_FOUND;
    if (rc == RC_NOT_FOUND)
        reply_problem(rq, 404, "user_not_found", "There is no account with this id.");
    else if (rc)
        reply_rc(rq, rc, "Reading the account");
    return rc == RC_OK;
}

bool user_role_fits(struct request *rq, str role, str org_id) {
    if (!str_eq(role, S("admin")) || (!org_id.len && !rq->actor.org_id.len)) return true;
    reply_problem(rq, 422, "role_invalid",
                  "role: administrators of the appliance are in no organisation; a group with the "
                  "role manager looks after one.");
    return false;
}

rc_t user_other_admins(struct db_txn *t, str except_id, s64 *out) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r,
                       "SELECT count(*) FROM user WHERE role='admin' AND state='active' AND id<>?1",
                       DB_TEXT(except_id));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out = db_column_int(r, 0);
    db_done(r);
    return rc;
}

rc_t user_set_password(struct db_txn *t, str id, str phc) {
    return db_run(t,
                  "UPDATE user SET password=?2,password_ns=?3,updated_ns=?3,failures=0,locked_ns=0,"
                  "version=version+1 WHERE id=?1",
                  DB_TEXT(id), DB_TEXT(phc), DB_INT(auth_now_ns()));
}

void user_json(struct json_writer *w, const char *key, const struct user *user, bool for_admin) {
    json_object(w, key);
    json_text(w, "id", user->id);
    json_text(w, "email", user->email);
    json_text(w, "name", user->name);
    json_text(w, "role", user->role);
    json_text(w, "state", user->state);
    json_text(w, "organisation", user->org_id.len ? user->org_id : str_of(NULL, 0));
    json_time(w, "created_at", user->created_ns);
    json_time(w, "updated_at", user->updated_ns);
    json_time(w, "password_changed_at", user->password_ns);
    json_time(w, "last_login_at", user->login_ns);
    json_time(w, "email_verified_at", user->verified_ns);
    if (for_admin) {
        json_int(w, "failed_logins", user->failures);
        json_bool(w, "locked", user->locked_ns > auth_now_ns());
    }
    json_int(w, "version", user->version);
    json_object_end(w);
}

bool user_email_member(struct request *rq, const cJSON *body, bool required, str *out) {
    str text = {0};
    char *to = arena_alloc(rq->arena, EMAIL_MAX + 1);
    if (!to) {
        reply_rc(rq, RC_NO_MEMORY, "Reading the address");
        return false;
    }
    if (!request_member_text(rq, body, "email", required, 1, 1024, &text)) return false;
    if (!text.ptr) return true;
    const char *wrong = email_normalise(text, to, out);
    if (wrong) reply_problem(rq, 422, "email_invalid", "email: %s", wrong);
    return !wrong;
}

bool user_role_member(struct request *rq, const cJSON *body, bool required, str *out) {
    if (!request_member_text(rq, body, "role", required, 1, 16, out)) return false;
    if (!out->ptr || str_eq(*out, S("admin")) || str_eq(*out, S("user"))) return true;
    reply_problem(rq, 422, "role_invalid", "role: admin or user.");
    return false;
}

bool user_password_acceptable(struct request *rq, str password, str email) {
    const char *weak = password_weakness(password, email);
    rc_t rc = weak ? RC_OK : password_strength(password, email, &weak);
    if (weak)
        reply_problem(rq, 422, "weak_password", "password: %s", weak);
    else if (rc == RC_LIMIT || rc == RC_NO_MEMORY)
        password_busy(rq);
    else if (rc)
        reply_rc(rq, rc, "Judging the password");
    return !weak && !rc;
}

/* ---- What several routes answer -------------------------------------------------------------- */

void user_answer(struct request *rq, int status, const struct user *user, bool for_admin) {
    struct json_writer w;
    json_open(&w, 8192);
    user_json(&w, NULL, user, for_admin);
    reply_etag(rq, user->version);
    reply_json(rq, status, &w);
}

void user_email_taken(struct request *rq) {
    reply_problem(rq, 409, "email_taken", "There is an account with this e-mail address already.");
}

bool user_password_hash(struct request *rq, str password, char phc[PHC_ROOM], str *out) {
    rc_t rc = password_hash(password, phc);
    *out = str_from_c(rc ? "" : phc);
    if (rc == RC_LIMIT || rc == RC_NO_MEMORY)
        password_busy(rq);
    else if (rc)
        reply_rc(rq, rc, "Hashing the password");
    return rc == RC_OK;
}

static rc_t create_write(struct request *rq, struct user *user, struct audit_event *event) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = user_insert(t, rq->arena, user);
    event->resource = arena_printf(rq->arena, "user/%.*s", STR(user->id));
    if (rc == RC_OK) rc = audit_add(t, rq, event);
    return db_write_end(t, rc);
}

bool user_create(struct request *rq, struct user *user, struct audit_event *event,
                 const char *what) {
    rc_t rc = create_write(rq, user, event);
    if (rc == RC_CONFLICT)
        user_email_taken(rq);
    else if (rc)
        reply_rc(rq, rc, what);
    return rc == RC_OK;
}
