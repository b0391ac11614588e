/* SPDX-License-Identifier: Apache-2.0 */
/* users.c — accounts, managed by administrators: list, create, read, change, remove.
 *
 * Always true: the last active administrator cannot be removed, demoted or disabled (asked inside
 * the write that would do it, so two requests cannot do it together); a change of role, state or
 * password ends what the old state allowed: sessions end, verified tokens are dropped. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/id.h"
#include "app/page.h"

enum { ANSWER_MAX = 1 << 18 };

static bool state_member(struct request *rq, const cJSON *body, str *out) {
    if (!request_member_text(rq, body, "state", false, 1, 16, out)) return false;
    if (!out->ptr || str_eq(*out, S("active")) || str_eq(*out, S("disabled"))) return true;
    reply_problem(rq, 422, "state_invalid", "state: active or disabled.");
    return false;
}

/* ---- List ------------------------------------------------------------------------------------ */

#define USERS_WHERE                                                                                \
    " FROM user WHERE (?1 IS NULL OR role=?1) AND (?2 IS NULL OR state=?2)"                        \
    " AND (?3 IS NULL OR instr(email,lower(?3))>0 OR instr(lower(name),lower(?3))>0)"             \
    " AND (?4 IS NULL OR org_id=?4)"

static struct db_value text_or_null(str s) {
    return s.ptr ? DB_TEXT(s) : DB_NULL;
}

struct users_filter {
    str role, state, text, org_id; /* ptr NULL: any */
};
static rc_t users_items(struct db_txn *t, struct request *rq, const struct page *page,
                        struct json_writer *w, u64 *out_total, void *arg) {
    const struct users_filter *f = arg;
    struct db_rows *r = NULL;
    struct db_value role = text_or_null(f->role), state = text_or_null(f->state),
                    text = text_or_null(f->text), org = text_or_null(f->org_id);
    rc_t rc = db_query(t, &r, "SELECT count(*)" USERS_WHERE, role, state, text, org);
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out_total = (u64)db_column_int(r, 0);
    db_done(r);
    if (rc) return rc;
    rc = db_query(t, &r, "SELECT " USER_COLUMNS USERS_WHERE " ORDER BY email LIMIT ?5 OFFSET ?6",
                  role, state, text, org, DB_INT(page->limit), DB_INT(page->offset));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        struct user user;
        if ((rc = user_read(r, rq->arena, &user))) break;
        user_json(w, NULL, &user, true);
    }
    db_done(r);
    return rc;
}

void users_get(struct request *rq) {
    struct users_filter f = {0};
    struct page page;
    if (!request_page(rq, &page) || !request_query_text(rq, "role", 16, &f.role) ||
        !request_query_text(rq, "state", 16, &f.state) ||
        !request_query_text(rq, "q", 100, &f.text) ||
        !request_query_text(rq, "organisation", 36, &f.org_id))
        return;
    if (rq->actor.org_id.len) f.org_id = rq->actor.org_id;
    page_answer(rq, &page, ANSWER_MAX, users_items, &f, "Listing the accounts");
}

/* ---- Create ---------------------------------------------------------------------------------- */

void users_post(struct request *rq) {
    static const char *const members[] = {"email", "password", "name", "role", "organisation",
                                          NULL};
    struct user user = {
        .role = S("user"), .state = S("active"), .org_id = rq->actor.org_id};
    char phc[PHC_ROOM];
    cJSON *body;
    str password;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !user_email_member(rq, body, true, &user.email) ||
        !request_member_text(rq, body, "name", true, 1, NAME_MAX_BYTES, &user.name) ||
        !user_role_member(rq, body, false, &user.role) ||
        !org_member(rq, body, &user.org_id) || !user_role_fits(rq, user.role, user.org_id) ||
        !request_member_text(rq, body, "password", true, 1, 1024, &password) ||
        !user_password_acceptable(rq, password, user.email))
        return;
    if (!user_password_hash(rq, password, phc, &user.phc)) return;
    struct audit_event event = {
        .action = "user.create",
        .result = "ok",
        .detail = arena_printf(rq->arena, "{\"email\":\"%.*s\",\"role\":\"%.*s\"}", STR(user.email),
                               STR(user.role)),
    };
    if (!user_create(rq, &user, &event, "Creating the account")) return;
    reply_location(rq, arena_join(rq->arena, S("/api/v1/auth/users/"), user.id));
    user_answer(rq, 201, &user, true);
}

/* ---- One account ----------------------------------------------------------------------------- */

static rc_t read_one(struct request *rq, struct user *out) {
    struct db_txn *t;
    if (!id_valid(rq->params[0])) return RC_NOT_FOUND;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = user_by_id(t, rq->arena, rq->params[0], out);
    db_read_end(t);
    return rc == RC_OK && !user_reached(rq, out) ? RC_NOT_FOUND : rc;
}

static void no_such_user(struct request *rq) {
    reply_problem(rq, 404, "user_not_found", "There is no account with this id.");
}
static void last_admin(struct request *rq) {
    reply_problem(rq, 409, "last_admin",
                  "This is the last active administrator; make another one first.");
}

void user_get(struct request *rq) {
    struct user user;
    rc_t rc = read_one(rq, &user);
    if (rc == RC_NOT_FOUND)
        no_such_user(rq);
    else if (rc)
        reply_rc(rq, rc, "Reading the account");
    else if (!reply_not_modified(rq, user.version))
        user_answer(rq, 200, &user, true);
}

struct change {
    str email, name, role, state, phc, org_id; /* ptr NULL: as it was */
    bool unlock;
};

static bool change_read(struct request *rq, struct change *c, str *password) {
    static const char *const members[] = {"email",    "name",   "role", "state",
                                          "password", "locked", "organisation", NULL};
    bool locked = true;
    cJSON *body;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !user_email_member(rq, body, false, &c->email) ||
        !request_member_text(rq, body, "name", false, 1, NAME_MAX_BYTES, &c->name) ||
        !user_role_member(rq, body, false, &c->role) || !state_member(rq, body, &c->state) ||
        !org_member(rq, body, &c->org_id) ||
        !request_member_text(rq, body, "password", false, 1, 1024, password) ||
        !request_member_bool(rq, body, "locked", false, &locked))
        return false;
    c->unlock = !locked;
    return true;
}

static bool active_admin(str role, str state) {
    return str_eq(role, S("admin")) && str_eq(state, S("active"));
}

/* RC_DENIED: would leave no administrator. RC_AGAIN: somebody changed it meanwhile. */
static rc_t change_rows(struct db_txn *t, struct request *rq, const struct change *c, s64 version,
                        struct user *user) {
    s64 others = 1, ended = 0;
    rc_t rc = user_by_id(t, rq->arena, rq->params[0], user);
    if (rc == RC_OK && !user_reached(rq, user)) rc = RC_NOT_FOUND;
    if (rc) return rc;
    if (user->version != version) return RC_AGAIN;
    str org_id = c->org_id.ptr ? c->org_id : user->org_id;
    bool moves = !str_eq(org_id, user->org_id);
    str role = c->role.ptr ? c->role : user->role, state = c->state.ptr ? c->state : user->state;
    bool demoted = active_admin(user->role, user->state) && !active_admin(role, state);
    if (demoted && (rc = user_other_admins(t, user->id, &others))) return rc;
    if (others == 0) return RC_DENIED;
    if (moves) rc = db_run(t, "DELETE FROM auth_member WHERE user_id=?1", DB_TEXT(user->id));
    if (rc) return rc;
    rc = db_run(t,
                "UPDATE user SET org_id=?8,email=?2,name=?3,role=?4,state=?5,updated_ns=?6,"
                "version=version+1,"
                "failures=CASE WHEN ?7 THEN 0 ELSE failures END,"
                "locked_ns=CASE WHEN ?7 THEN 0 ELSE locked_ns END WHERE id=?1",
                DB_TEXT(user->id), DB_TEXT(c->email.ptr ? c->email : user->email),
                DB_TEXT(c->name.ptr ? c->name : user->name), DB_TEXT(role), DB_TEXT(state),
                DB_INT(auth_now_ns()), DB_INT(c->unlock), DB_TEXT(org_id));
    if (rc == RC_OK && c->phc.ptr) rc = user_set_password(t, user->id, c->phc);
    bool ends = c->phc.ptr || str_eq(state, S("disabled"));
    if (rc == RC_OK && ends) rc = session_end_all(t, user->id, S(""), &ended);
    if (rc) return rc;
    struct audit_event event = {
        .action = "user.update",
        .resource = arena_printf(rq->arena, "user/%.*s", STR(user->id)),
        .result = "ok",
        .detail = arena_printf(rq->arena,
                               "{\"role\":{\"from\":\"%.*s\",\"to\":\"%.*s\"},"
                               "\"state\":{\"from\":\"%.*s\",\"to\":\"%.*s\"},\"email_changed\":%s,"
                               "\"password_changed\":%s,\"sessions_ended\":%lld}",
                               STR(user->role), STR(role), STR(user->state), STR(state),
                               c->email.ptr ? "true" : "false", c->phc.ptr ? "true" : "false",
                               (long long)ended),
    };
    return audit_add(t, rq, &event);
}

static rc_t change_write(struct request *rq, const struct change *c, s64 version,
                         struct user *user) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = change_rows(t, rq, c, version, user);
    if (rc == RC_OK) rc = user_by_id(t, rq->arena, rq->params[0], user);
    rc = db_write_end(t, rc);
    if (rc == RC_OK) token_cache_drop_user(user->id);
    return rc;
}

void user_put(struct request *rq) {
    struct change c = {0};
    struct user user;
    char phc[PHC_ROOM];
    str password = {0};
    if (!change_read(rq, &c, &password)) return;
    rc_t rc = read_one(rq, &user);
    if (rc == RC_OK && !request_if_match(rq, user.version, false)) return;
    if (rc == RC_OK && !user_role_fits(rq, c.role.ptr ? c.role : user.role,
                                       c.org_id.ptr ? c.org_id : user.org_id))
        return;
    if (rc == RC_OK && password.ptr) {
        if (!user_password_acceptable(rq, password, c.email.ptr ? c.email : user.email)) return;
        if (!user_password_hash(rq, password, phc, &c.phc)) return;
    }
    if (rc == RC_OK) rc = change_write(rq, &c, user.version, &user);
    if (rc == RC_OK)
        user_answer(rq, 200, &user, true);
    else if (rc == RC_NOT_FOUND)
        no_such_user(rq);
    else if (rc == RC_DENIED)
        last_admin(rq);
    else if (rc == RC_AGAIN)
        reply_problem(rq, 409, "changed_meanwhile",
                      "Somebody changed this account; read it again.");
    else if (rc == RC_CONFLICT)
        user_email_taken(rq);
    else
        reply_rc(rq, rc, "Changing the account");
}

static rc_t delete_rows(struct db_txn *t, struct request *rq, struct user *user) {
    s64 others = 1, ended;
    rc_t rc = user_by_id(t, rq->arena, rq->params[0], user);
    if (rc == RC_OK && !user_reached(rq, user)) rc = RC_NOT_FOUND;
    if (rc) return rc;
    if (active_admin(user->role, user->state) && (rc = user_other_admins(t, user->id, &others)))
        return rc;
    if (others == 0) return RC_DENIED;
    rc = session_end_all(t, user->id, S(""), &ended);
    if (rc == RC_OK) rc = db_run(t, "DELETE FROM user WHERE id=?1", DB_TEXT(user->id));
    struct audit_event event = {
        .action = "user.delete",
        .resource = arena_printf(rq->arena, "user/%.*s", STR(user->id)),
        .result = "ok",
        .detail = arena_printf(rq->arena, "{\"email\":\"%.*s\"}", STR(user->email)),
    };
    return rc ? rc : audit_add(t, rq, &event);
}

void user_delete(struct request *rq) {
    struct user user;
    struct db_txn *t;
    rc_t rc = id_valid(rq->params[0]) ? db_write_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) {
        rc = delete_rows(t, rq, &user);
        rc = db_write_end(t, rc);
    }
    if (rc == RC_OK) token_cache_drop_user(user.id);
    if (rc == RC_OK)
        reply_empty(rq, 204);
    else if (rc == RC_NOT_FOUND)
        no_such_user(rq);
    else if (rc == RC_DENIED)
        last_admin(rq);
    else
        reply_rc(rq, rc, "Removing the account");
}
