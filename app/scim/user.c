/* SPDX-License-Identifier: Apache-2.0 */
/* user.c — accounts as a directory manages them (RFC 7643 4.1).
 *
 *    userName            the account's address: here one signs in with it
 *    displayName, name   the account's name, and its parts
 *    externalId, active  what the directory calls it; may it sign in?
 *    emails, groups, id, meta   shown; what is sent there is not kept
 *
 * Other attributes of the schema are accepted and not kept, as the RFC lets a provider do. An
 * account made here has the role user, no password, and an address that counts as proven, since
 * the directory vouches for it: its person signs in through single sign-on, or sets a password by
 * mail. Always true: one that is deactivated or removed loses its sessions in the same write; the
 * last active administrator is neither; an organisation's key reaches its own accounts alone. */
#include "app/audit/audit.h"
#include "app/id.h"
#include "app/scim/scim_impl.h"

#define COLUMNS USER_COLUMNS ",external_id,given_name,family_name"
#define PLACE SCIM_BASE "/Users/"

struct person {
    struct user user;
    str external_id, given, family;
    str formatted; /* as sent; displayName is told first */
    bool active;
};

static const struct scim_column names[] = {
    {"id", "id", SCIM_EXACT},
    {"externalId", "external_id", SCIM_EXACT},
    {"userName", "email", SCIM_LOWER},
    {"emails", "email", SCIM_LOWER},
    {"emails.value", "email", SCIM_LOWER},
    {"emails.type", "'work'", SCIM_LOWER},
    {"emails.primary", "1", SCIM_FLAG},
    {"displayName", "name", SCIM_TEXT},
    {"name.formatted", "name", SCIM_TEXT},
    {"name.givenName", "given_name", SCIM_TEXT},
    {"name.familyName", "family_name", SCIM_TEXT},
    {"active", "state='active'", SCIM_FLAG},
    {"groups", "EXISTS(SELECT 1 FROM auth_member WHERE user_id=user.id AND group_id=?)",
     SCIM_MEMBER},
    {"groups.value", "EXISTS(SELECT 1 FROM auth_member WHERE user_id=user.id AND group_id=?)",
     SCIM_MEMBER},
    {"meta.created", "created_ns", SCIM_TIME},
    {"meta.lastModified", "updated_ns", SCIM_TIME},
    {NULL, NULL, SCIM_TEXT},
};

/* ---- Reading --------------------------------------------------------------------------------- */

static rc_t person_read(struct db_rows *r, struct arena *a, struct person *p) {
    rc_t rc = user_read(r, a, &p->user);
    if (rc) return rc;
    p->external_id = arena_copy(a, db_column_text(r, USER_COLUMN_COUNT));
    p->given = arena_copy(a, db_column_text(r, USER_COLUMN_COUNT + 1));
    p->family = arena_copy(a, db_column_text(r, USER_COLUMN_COUNT + 2));
    p->active = str_eq(p->user.state, S("active"));
    return p->external_id.ptr && p->given.ptr && p->family.ptr ? RC_OK : RC_NO_MEMORY;
}

/* RC_NOT_FOUND also when it is another organisation's. */
static rc_t person_find(struct db_txn *t, struct request *rq, str id, struct person *p) {
    struct db_rows *r = NULL;
    if (!id_valid(id)) return RC_NOT_FOUND;
    rc_t rc = db_query(t, &r, "SELECT " COLUMNS " FROM user WHERE id=?1", DB_TEXT(id));
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) rc = person_read(r, rq->arena, p);
    db_done(r);
    return rc == RC_OK && !user_reached(rq, &p->user) ? RC_NOT_FOUND : rc;
}

static rc_t groups_json(struct db_txn *t, struct request *rq, str id, struct json_writer *w) {
    struct db_rows *r = NULL;
    if (!scim_wanted(rq, "groups")) return RC_OK;
    rc_t rc = db_query(t, &r,
                       "SELECT g.id,CASE g.title WHEN '' THEN g.name ELSE g.title END"
                       " FROM auth_member m JOIN auth_group g ON g.id=m.group_id"
                       " WHERE m.user_id=?1 ORDER BY g.name",
                       DB_TEXT(id));
    json_array(w, "groups");
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        json_object(w, NULL);
        json_text(w, "value", db_column_text(r, 0));
        json_text(w, "display", db_column_text(r, 1));
        json_text(w, "type", S("direct"));
        json_object_end(w);
    }
    db_done(r);
    json_array_end(w);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static void name_json(struct request *rq, struct json_writer *w, const struct person *p) {
    if (!scim_wanted(rq, "name")) return;
    json_object(w, "name");
    json_text(w, "formatted", p->user.name);
    if (p->given.len) json_text(w, "givenName", p->given);
    if (p->family.len) json_text(w, "familyName", p->family);
    json_object_end(w);
}

static rc_t person_json(struct db_txn *t, struct request *rq, const struct person *p,
                        struct json_writer *w) {
    json_object(w, NULL);
    scim_head_json(w, SCIM_CORE "User", p->user.id, p->external_id);
    json_text(w, "userName", p->user.email);
    name_json(rq, w, p);
    if (scim_wanted(rq, "displayName")) json_text(w, "displayName", p->user.name);
    if (scim_wanted(rq, "active")) json_bool(w, "active", str_eq(p->user.state, S("active")));
    if (scim_wanted(rq, "emails")) {
        json_array(w, "emails");
        json_object(w, NULL);
        json_text(w, "value", p->user.email);
        json_text(w, "type", S("work"));
        json_bool(w, "primary", true);
        json_object_end(w);
        json_array_end(w);
    }
    rc_t rc = groups_json(t, rq, p->user.id, w);
    scim_meta_json(rq, w, "User", "Users", p->user.id, p->user.created_ns, p->user.updated_ns,
                   p->user.version);
    json_object_end(w);
    return rc;
}

static rc_t item(struct db_txn *t, struct request *rq, struct db_rows *r, struct json_writer *w) {
    struct person p = {0};
    rc_t rc = person_read(r, rq->arena, &p);
    return rc ? rc : person_json(t, rq, &p, w);
}

void scim_users_get(struct request *rq) {
    static const struct scim_list list = {
        .table = "user", .columns = COLUMNS, .order = "id", .names = names, .mine = "org_id=?",
        .item = item};
    scim_list_answer(rq, &list);
}

static void no_such_user(struct request *rq) {
    reply_problem(rq, 404, "not_found", "There is no account with this id.");
}

static void person_answer(struct request *rq, int status, str id) {
    struct person p = {0};
    struct json_writer w;
    struct db_txn *t;
    json_open(&w, 65536);
    rc_t rc = db_read_begin(&t);
    if (rc == RC_OK) {
        rc = person_find(t, rq, id, &p);
        if (rc == RC_OK) rc = person_json(t, rq, &p, &w);
        db_read_end(t);
    }
    if (rc == RC_OK && !(status == 200 && reply_not_modified(rq, p.user.version))) {
        if (status == 201) reply_etag(rq, p.user.version);
        scim_reply(rq, status, &w);
        return;
    }
    json_close(&w);
    if (rc == RC_NOT_FOUND) no_such_user(rq);
    else if (rc) reply_rc(rq, rc, "Reading the account");
}

void scim_user_get(struct request *rq) {
    person_answer(rq, 200, rq->params[0]);
}

/* ---- What a client says ---------------------------------------------------------------------- */

static rc_t wrong(struct diag *why, const char *member, const char *wanted) {
    diag_set(why, "invalidValue: %s %s", member, wanted);
    return RC_INVALID;
}

/* A text of a person's, or "" when it is taken away. */
static rc_t text_set(const cJSON *v, const char *member, size_t len_max, str *to,
                     struct diag *why) {
    if (v && !cJSON_IsNull(v) && !cJSON_IsString(v)) return wrong(why, member, "is a text");
    str text = str_trim(str_from_c(cJSON_IsString(v) ? v->valuestring : ""));
    if (text.len > len_max) return wrong(why, member, "is too long");
    *to = text;
    return RC_OK;
}

static rc_t address_set(struct arena *a, const cJSON *v, struct person *p, struct diag *why) {
    char *to = arena_alloc(a, EMAIL_MAX + 1);
    str text = S("");
    if (!to) return RC_NO_MEMORY;
    rc_t rc = text_set(v, "userName", 1024, &text, why);
    if (rc) return rc;
    if (email_normalise(text, to, &p->user.email))
        return wrong(why, "userName", "is an e-mail address, in ASCII");
    return RC_OK;
}

struct applying {
    struct arena *a;
    struct person *p;
};

static rc_t name_set(struct applying *s, str sub, const cJSON *v, struct diag *why) {
    struct person *p = s->p;
    rc_t rc = RC_OK;
    if (!sub.len) {
        for (const cJSON *m = cJSON_IsObject(v) ? v->child : NULL; m && rc == RC_OK; m = m->next)
            if (m->string[0]) rc = name_set(s, str_from_c(m->string), m, why);
        return rc;
    }
    if (str_eq_nocase(sub, S("givenName")))
        return text_set(v, "name.givenName", NAME_MAX_BYTES, &p->given, why);
    if (str_eq_nocase(sub, S("familyName")))
        return text_set(v, "name.familyName", NAME_MAX_BYTES, &p->family, why);
    if (str_eq_nocase(sub, S("formatted")))
        return text_set(v, "name.formatted", NAME_MAX_BYTES, &p->formatted, why);
    return RC_OK;
}

static rc_t apply(void *arg, enum scim_verb verb, const struct scim_path *path, const cJSON *value,
                  struct diag *why) {
    struct applying *s = arg;
    const cJSON *v = verb == SCIM_REMOVE ? NULL : value;
    str at = path->attribute;
    if (str_eq_nocase(at, S("userName"))) return address_set(s->a, v, s->p, why);
    if (str_eq_nocase(at, S("externalId")))
        return text_set(v, "externalId", SCIM_ID_MAX, &s->p->external_id, why);
    if (str_eq_nocase(at, S("displayName")))
        return text_set(v, "displayName", NAME_MAX_BYTES, &s->p->user.name, why);
    if (str_eq_nocase(at, S("name"))) return name_set(s, path->sub, v, why);
    if (str_eq_nocase(at, S("active")))
        return v && scim_flag(v, &s->p->active) ? RC_OK : wrong(why, "active", "is true or false");
    if (str_eq_nocase(at, S("id")) || str_eq_nocase(at, S("meta")) ||
        str_eq_nocase(at, S("groups"))) {
        diag_set(why, "mutability: %.*s is not the client's to change", STR(at));
        return RC_INVALID;
    }
    return RC_OK; /* of the schema or an extension, and not kept */
}

/* All that PUT and POST say: what is absent is as if taken away, but for `active`. */
static rc_t person_whole(struct arena *a, const cJSON *body, struct person *p, struct diag *why) {
    struct applying s = {a, p};
    static const char *const kept[] = {"userName", "externalId", "displayName", "name", NULL};
    rc_t rc = RC_OK;
    p->given = p->family = p->formatted = p->user.name = S("");
    for (u32 i = 0; kept[i] && rc == RC_OK; i++) {
        struct scim_path path = {.attribute = str_from_c(kept[i]), .sub = S("")};
        rc = apply(&s, SCIM_REPLACE, &path, scim_member(body, kept[i]), why);
    }
    const cJSON *active = scim_member(body, "active");
    if (rc == RC_OK && active && !scim_flag(active, &p->active))
        rc = wrong(why, "active", "is true or false");
    return rc;
}

/* An account has a name in any case. */
static rc_t name_settle(struct arena *a, struct person *p) {
    if (!p->user.name.len) p->user.name = p->formatted;
    if (!p->user.name.len && (p->given.len || p->family.len))
        p->user.name = str_trim(arena_join(a, p->given, S(" "), p->family));
    if (!p->user.name.len) p->user.name = p->user.email;
    p->user.name = str_take(p->user.name, NAME_MAX_BYTES);
    while (!str_is_utf8(p->user.name)) p->user.name.len--;
    return p->user.name.ptr ? RC_OK : RC_NO_MEMORY;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void change_json(struct json_writer *w, const char *member, str from, str to) {
    if (str_eq(from, to)) return;
    json_object(w, member);
    json_text(w, "from", from);
    json_text(w, "to", to);
    json_object_end(w);
}

static rc_t event_add(struct db_txn *t, struct request *rq, const char *action,
                      const struct person *from, const struct person *to) {
    struct json_writer w;
    json_open(&w, 8192);
    json_object(&w, NULL);
    json_text(&w, "by", S("scim"));
    change_json(&w, "email", from->user.email, to->user.email);
    change_json(&w, "name", from->user.name, to->user.name);
    change_json(&w, "state", from->user.state, to->user.state);
    change_json(&w, "external_id", from->external_id, to->external_id);
    change_json(&w, "given_name", from->given, to->given);
    change_json(&w, "family_name", from->family, to->family);
    json_object_end(&w);
    struct audit_event event = {
        .action = action,
        .resource = arena_join(rq->arena, S("user/"), to->user.id),
        .result = "ok",
        .detail = w.out.failed ? str_of(NULL, 0) : arena_copy(rq->arena, buf_str(&w.out)),
    };
    json_close(&w);
    return event.detail.ptr ? audit_add(t, rq, &event) : RC_NO_MEMORY;
}

static rc_t directory_set(struct db_txn *t, const struct person *p) {
    return db_run(t, "UPDATE user SET external_id=?2,given_name=?3,family_name=?4 WHERE id=?1",
                  DB_TEXT(p->user.id), DB_TEXT(p->external_id), DB_TEXT(p->given),
                  DB_TEXT(p->family));
}

static rc_t create_rows(struct db_txn *t, struct request *rq, struct person *p) {
    const struct person nobody = {.user = {.email = S(""), .name = S(""), .state = S("")},
                                  .external_id = S(""), .given = S(""), .family = S("")};
    rc_t rc = user_insert(t, rq->arena, &p->user);
    if (rc == RC_OK) rc = directory_set(t, p);
    return rc ? rc : event_add(t, rq, "user.create", &nobody, p);
}

static void taken(struct request *rq) {
    reply_problem(rq, 409, "uniqueness", "There is an account with this userName already.");
}

void scim_users_post(struct request *rq) {
    struct person p = {.user = {.role = S("user"),
                                .state = S("active"),
                                .phc = S(PASSWORD_NONE),
                                .org_id = rq->actor.org_id.len ? rq->actor.org_id : S(""),
                                .verified_ns = auth_now_ns()},
                       .external_id = S(""),
                       .active = true};
    struct diag why = {0};
    struct db_txn *t;
    cJSON *body;
    if (!scim_body(rq, &body)) return;
    rc_t rc = person_whole(rq->arena, body, &p, &why);
    if (rc == RC_OK) rc = name_settle(rq->arena, &p);
    if (rc) {
        scim_refuse(rq, rc, &why, "Making the account");
        return;
    }
    if (!p.active) p.user.state = S("disabled");
    rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, create_rows(t, rq, &p));
    if (rc == RC_CONFLICT) {
        taken(rq);
    } else if (rc) {
        reply_rc(rq, rc, "Making the account");
    } else {
        reply_location(rq, arena_join(rq->arena, S(PLACE), p.user.id));
        person_answer(rq, 201, p.user.id);
    }
}

struct changing {
    const cJSON *body;
    bool whole; /* PUT; else PATCH */
    s64 version;
    struct diag why;
    bool last_admin;
};

static rc_t admin_left(struct db_txn *t, const struct user *user, bool *last) {
    s64 others = 1;
    rc_t rc = RC_OK;
    if (str_eq(user->role, S("admin")) && str_eq(user->state, S("active")))
        rc = user_other_admins(t, user->id, &others);
    *last = rc == RC_OK && others == 0;
    return *last ? RC_DENIED : rc;
}

static rc_t change_rows(struct db_txn *t, struct request *rq, struct changing *c) {
    struct person before, p = {0};
    s64 ended;
    rc_t rc = person_find(t, rq, rq->params[0], &p);
    if (rc) return rc;
    if (p.user.version != c->version) return RC_AGAIN;
    before = p;
    p.formatted = S("");
    struct applying s = {rq->arena, &p};
    rc = c->whole ? person_whole(rq->arena, c->body, &p, &c->why)
                  : scim_patch(rq->arena, c->body, apply, &s, &c->why);
    if (rc == RC_OK && p.formatted.len && !c->whole) p.user.name = p.formatted;
    if (rc == RC_OK) rc = name_settle(rq->arena, &p);
    if (rc) return rc;
    bool ends = before.active && !p.active;
    p.user.state = p.active ? S("active") : S("disabled");
    if (ends && (rc = admin_left(t, &before.user, &c->last_admin))) return rc;
    rc = db_run(t,
                "UPDATE user SET email=?2,name=?3,state=?4,updated_ns=?5,version=version+1"
                " WHERE id=?1",
                DB_TEXT(p.user.id), DB_TEXT(p.user.email), DB_TEXT(p.user.name),
                DB_TEXT(p.user.state), DB_INT(auth_now_ns()));
    if (rc == RC_OK) rc = directory_set(t, &p);
    if (rc == RC_OK && ends) rc = session_end_all(t, p.user.id, S(""), &ended);
    return rc ? rc : event_add(t, rq, "user.update", &before, &p);
}

/* The version that If-Match, where sent, must name; false: answered. */
static bool version_read(struct request *rq, s64 *out) {
    struct person p;
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc == RC_OK) {
        rc = person_find(t, rq, rq->params[0], &p);
        db_read_end(t);
    }
    if (rc == RC_NOT_FOUND) no_such_user(rq);
    else if (rc) reply_rc(rq, rc, "Reading the account");
    else *out = p.user.version;
    return rc == RC_OK && request_if_match(rq, *out, false);
}

static void last_admin(struct request *rq) {
    reply_problem(rq, 409, "last_admin",
                  "This is the last active administrator; make another one first.");
}

static void change(struct request *rq, bool whole) {
    struct changing c = {.whole = whole};
    struct db_txn *t;
    cJSON *body;
    if (!scim_body(rq, &body) || !version_read(rq, &c.version)) return;
    c.body = body;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, change_rows(t, rq, &c));
    if (rc == RC_OK) token_cache_drop_user(rq->params[0]);
    if (rc == RC_OK) person_answer(rq, 200, rq->params[0]);
    else if (rc == RC_NOT_FOUND) no_such_user(rq);
    else if (rc == RC_CONFLICT) taken(rq);
    else if (c.last_admin) last_admin(rq);
    else if (rc == RC_AGAIN)
        reply_problem(rq, 409, "changed_meanwhile", "Somebody changed it; read it again.");
    else scim_refuse(rq, rc, &c.why, "Changing the account");
}
void scim_user_put(struct request *rq) {
    change(rq, true);
}
void scim_user_patch(struct request *rq) {
    change(rq, false);
}

static rc_t delete_rows(struct db_txn *t, struct request *rq, bool *last) {
    struct person p = {0};
    s64 ended;
    rc_t rc = person_find(t, rq, rq->params[0], &p);
    if (rc == RC_OK) rc = admin_left(t, &p.user, last);
    if (rc == RC_OK) rc = session_end_all(t, p.user.id, S(""), &ended);
    if (rc == RC_OK) rc = db_run(t, "DELETE FROM user WHERE id=?1", DB_TEXT(p.user.id));
    return rc ? rc : event_add(t, rq, "user.delete", &p, &p);
}

void scim_user_delete(struct request *rq) {
    struct db_txn *t;
    s64 version;
    bool last = false;
    if (!version_read(rq, &version)) return;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, delete_rows(t, rq, &last));
    if (rc == RC_OK) token_cache_drop_user(rq->params[0]);
    if (rc == RC_OK) reply_empty(rq, 204);
    else if (rc == RC_NOT_FOUND) no_such_user(rq);
    else if (last) last_admin(rq);
    else reply_rc(rq, rc, "Removing the account");
}
