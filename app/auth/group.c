/* SPDX-License-Identifier: Apache-2.0 */
/* group.c — groups: people who get roles together.
 *
 *    input.actor.groups   "staff"        a group of no organisation
 *                         "laval/staff"  one of the organisation laval
 *    input.actor.roles    the roles of all of them, one after the other
 *
 * A name of an organisation's group carries the organisation's, so that nobody makes a group that a
 * policy takes for another's. Always true: members are accounts of the group's own organisation;
 * groups of an organisation never give the role admin; only whoever has a role may hand it on, so
 * that a manager makes managers and nothing more; a change counts from the next request on. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/id.h"
#include "app/page.h"

enum { ANSWER_MAX = 1 << 17, ROLES_MAX = 16, ROLES_BYTES = 512, GROUPS_OF_USER_MAX = 32 };

/* ---- What an account is in ------------------------------------------------------------------- */

static rc_t append(struct arena *a, str *list, str word) {
    if (word.len) *list = list->len ? arena_join(a, *list, S(" "), word) : arena_copy(a, word);
    return list->ptr ? RC_OK : RC_NO_MEMORY;
}

rc_t membership_fill(struct db_txn *t, struct arena *a, const struct user *user,
                     struct token_proof *out) {
    struct db_rows *r = NULL;
    out->groups = out->roles = S("");
    out->org_id = user->org_id;
    rc_t rc = db_query(t, &r,
                       "SELECT CASE g.org_id WHEN '' THEN g.name ELSE o.name||'/'||g.name END,"
                       "g.roles FROM auth_member m JOIN auth_group g ON g.id=m.group_id"
                       " LEFT JOIN org o ON o.id=g.org_id WHERE m.user_id=?1 AND g.org_id=?2"
                       " ORDER BY g.name",
                       DB_TEXT(user->id), DB_TEXT(user->org_id));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        rc = append(a, &out->groups, db_column_text(r, 0));
        if (rc == RC_OK) rc = append(a, &out->roles, db_column_text(r, 1));
    }
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

/* ---- Reading --------------------------------------------------------------------------------- */

#define GROUP_COLUMNS                                                                              \
    "id,org_id,name,roles,created_ns,version,"                                                     \
    "(SELECT count(*) FROM auth_member WHERE group_id=auth_group.id)"

struct group {
    str id, org_id, name, roles; /* in the arena */
    s64 version;
};

static void group_json(struct json_writer *w, struct db_rows *r) {
    str rest = db_column_text(r, 3), org = db_column_text(r, 1), word;
    json_text(w, "id", db_column_text(r, 0));
    json_text(w, "organisation", org.len ? org : str_of(NULL, 0));
    json_text(w, "name", db_column_text(r, 2));
    json_array(w, "roles");
    while (rest.len && str_split(&rest, ' ', &word)) json_text(w, NULL, word);
    json_array_end(w);
    json_time(w, "created_at", (u64)db_column_int(r, 4));
    json_int(w, "version", db_column_int(r, 5));
    json_int(w, "member_count", db_column_int(r, 6));
}

static rc_t items(struct db_txn *t, struct request *rq, const struct page *page,
                  struct json_writer *w, u64 *out_total, void *arg) {
    struct db_rows *r = NULL;
    struct db_value mine = DB_TEXT(rq->actor.org_id.len ? rq->actor.org_id : S(""));
    (void)arg;
    rc_t rc = db_query(t, &r, "SELECT count(*) FROM auth_group WHERE ?1='' OR org_id=?1", mine);
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out_total = (u64)db_column_int(r, 0);
    db_done(r);
    if (rc) return rc;
    rc = db_query(t, &r,
                  "SELECT " GROUP_COLUMNS " FROM auth_group WHERE ?1='' OR org_id=?1"
                  " ORDER BY org_id,name LIMIT ?2 OFFSET ?3",
                  mine, DB_INT(page->limit), DB_INT(page->offset));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        json_object(w, NULL);
        group_json(w, r);
        json_object_end(w);
    }
    db_done(r);
    return rc;
}

void groups_get(struct request *rq) {
    struct page page;
    if (request_page(rq, &page))
        page_answer(rq, &page, ANSWER_MAX, items, NULL, "Listing the groups");
}

static void no_such_group(struct request *rq) {
    reply_problem(rq, 404, "group_not_found", "There is no group with this id.");
}

/* The group of the route, if whoever asks may reach it; as JSON too when `w` is given. */
static rc_t group_find(struct db_txn *t, struct request *rq, str id, struct group *out,
                       struct json_writer *w) {
    struct db_rows *r = NULL;
    if (!id_valid(id)) return RC_NOT_FOUND;
    rc_t rc = db_query(t, &r,
                       "SELECT " GROUP_COLUMNS " FROM auth_group WHERE id=?1 AND"
                       " (?2='' OR org_id=?2)",
                       DB_TEXT(id), DB_TEXT(rq->actor.org_id.len ? rq->actor.org_id : S("")));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        *out = (struct group){.id = arena_copy(rq->arena, db_column_text(r, 0)),
                              .org_id = arena_copy(rq->arena, db_column_text(r, 1)),
                              .name = arena_copy(rq->arena, db_column_text(r, 2)),
                              .roles = arena_copy(rq->arena, db_column_text(r, 3)),
                              .version = db_column_int(r, 5)};
        if (w) group_json(w, r);
        bool whole = out->id.ptr && out->org_id.ptr && out->name.ptr && out->roles.ptr;
        if (!whole) rc = RC_NO_MEMORY;
    }
    db_done(r);
    return rc;
}

static rc_t members_json(struct db_txn *t, str group_id, struct json_writer *w) {
    struct db_rows *r = NULL;
    json_array(w, "members");
    rc_t rc = db_query(t, &r,
                       "SELECT u.id,u.email,u.name FROM auth_member m JOIN user u ON u.id=m.user_id"
                       " WHERE m.group_id=?1 ORDER BY u.email LIMIT 500",
                       DB_TEXT(group_id));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        json_object(w, NULL);
        json_text(w, "id", db_column_text(r, 0));
        json_text(w, "email", db_column_text(r, 1));
        json_text(w, "name", db_column_text(r, 2));
        json_object_end(w);
    }
    db_done(r);
    json_array_end(w);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t group_whole(struct db_txn *t, struct request *rq, str id, struct json_writer *w) {
    struct group g;
    json_object(w, NULL);
    rc_t rc = group_find(t, rq, id, &g, w);
    if (rc == RC_OK) rc = members_json(t, g.id, w);
    json_object_end(w);
    if (rc == RC_OK) reply_etag(rq, g.version);
    return rc;
}

static void group_answer(struct request *rq, rc_t rc, int status, struct json_writer *w) {
    if (rc == RC_OK) {
        reply_json(rq, status, w);
        return;
    }
    json_close(w);
    if (rc == RC_NOT_FOUND)
        no_such_group(rq);
    else if (rc == RC_CONFLICT)
        reply_problem(rq, 409, "name_taken", "There is a group of this name already.");
    else
        reply_rc(rq, rc, "The group");
}

void group_get(struct request *rq) {
    struct json_writer w;
    struct db_txn *t;
    json_open(&w, ANSWER_MAX);
    rc_t rc = db_read_begin(&t);
    if (rc == RC_OK) {
        rc = group_whole(t, rq, rq->params[0], &w);
        db_read_end(t);
    }
    group_answer(rq, rc, 200, &w);
}

/* ---- Changing -------------------------------------------------------------------------------- */

struct group_change {
    str id, org_id, name, roles; /* ptr NULL: as it was */
};

static bool listed(str list, str word) {
    str one;
    while (list.len && str_split(&list, ' ', &one))
        if (str_eq(one, word)) return true;
    return false;
}

static bool role_name_valid(str name) {
    if (!name.len || name.len > 40) return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return true;
}

/* NULL: fine. */
static const char *role_wrong(const struct request *rq, str role, str org_id) {
    if (!role_name_valid(role)) return "names of a-z, 0-9, - and _ are wanted, at most 16.";
    if (org_id.len && str_eq(role, S("admin")))
        return "groups of an organisation do not give the role admin; manager looks after one.";
    bool operator = !rq->actor.org_id.len && str_eq(rq->actor.role, S("admin"));
    if (operator || str_eq(role, rq->actor.role) || listed(rq->actor.roles, role)) return NULL;
    return "one hands on only roles one has.";
}

static bool roles_member(struct request *rq, const cJSON *body, str org_id, str *out) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "roles"), *one;
    const char *wrong = NULL;
    if (!list) return true;
    str roles = S("");
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > ROLES_MAX)
        wrong = "an array of at most 16 names is wanted.";
    cJSON_ArrayForEach(one, list) {
        str word = cJSON_IsString(one) ? str_from_c(one->valuestring) : S("");
        if (wrong || (wrong = role_wrong(rq, word, org_id))) break;
        if (listed(roles, word)) continue;
        if (append(rq->arena, &roles, word)) wrong = "too long.";
    }
    if (wrong) reply_problem(rq, 422, "roles_invalid", "roles: %s", wrong);
    *out = roles;
    return !wrong;
}

static bool name_member(struct request *rq, const cJSON *body, bool required, str *out) {
    if (!request_member_text(rq, body, "name", required, 1, 64, out)) return false;
    if (!out->ptr || short_name_valid(*out)) return true;
    reply_problem(rq, 422, "name_invalid", "name: 2 to 40 of a-z, 0-9 and -.");
    return false;
}

static rc_t group_event(struct db_txn *t, struct request *rq, const char *action, str id,
                        str detail) {
    struct audit_event event = {
        .action = action,
        .resource = arena_join(rq->arena, S("group/"), id),
        .result = "ok",
        .detail = detail,
    };
    return detail.ptr ? audit_add(t, rq, &event) : RC_NO_MEMORY;
}

static rc_t create_rows(struct db_txn *t, struct request *rq, const struct group_change *c,
                        struct json_writer *w) {
    rc_t rc = db_run(t,
                     "INSERT INTO auth_group(id,org_id,name,roles,created_ns)"
                     " VALUES(?1,?2,?3,?4,?5)",
                     DB_TEXT(c->id), DB_TEXT(c->org_id), DB_TEXT(c->name), DB_TEXT(c->roles),
                     DB_INT(auth_now_ns()));
    str detail = arena_join(rq->arena, S("{\"name\":\""), c->name, S("\",\"roles\":\""), c->roles,
                            S("\"}"));
    if (rc == RC_OK) rc = group_event(t, rq, "group.create", c->id, detail);
    return rc ? rc : group_whole(t, rq, c->id, w);
}

void groups_post(struct request *rq) {
    static const char *const members[] = {"name", "roles", "organisation", NULL};
    struct group_change c = {.roles = S(""),
                             .org_id = rq->actor.org_id.len ? rq->actor.org_id : S("")};
    char id[ID_ROOM];
    struct json_writer w;
    struct db_txn *t;
    cJSON *body;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !name_member(rq, body, true, &c.name) || !org_member(rq, body, &c.org_id) ||
        !roles_member(rq, body, c.org_id, &c.roles))
        return;
    json_open(&w, ANSWER_MAX);
    rc_t rc = id_make(id, &c.id);
    if (rc == RC_OK) rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, create_rows(t, rq, &c, &w));
    if (rc == RC_OK) reply_location(rq, arena_join(rq->arena, S("/api/v1/auth/groups/"), c.id));
    group_answer(rq, rc, 201, &w);
}

static rc_t update_rows(struct db_txn *t, struct request *rq, const struct group_change *c,
                        struct json_writer *w) {
    struct group before;
    rc_t rc = group_find(t, rq, rq->params[0], &before, NULL);
    if (rc) return rc;
    str name = c->name.ptr ? c->name : before.name, roles = c->roles.ptr ? c->roles : before.roles;
    rc = db_run(t, "UPDATE auth_group SET name=?2,roles=?3,version=version+1 WHERE id=?1",
                DB_TEXT(before.id), DB_TEXT(name), DB_TEXT(roles));
    str detail = arena_join(rq->arena, S("{\"name\":{\"from\":\""), before.name, S("\",\"to\":\""),
                            name, S("\"},\"roles\":{\"from\":\""), before.roles,
                            S("\",\"to\":\""), roles, S("\"}}"));
    if (rc == RC_OK) rc = group_event(t, rq, "group.update", before.id, detail);
    return rc ? rc : group_whole(t, rq, before.id, w);
}

static rc_t find_alone(struct request *rq, struct group *out) {
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = group_find(t, rq, rq->params[0], out, NULL);
    db_read_end(t);
    return rc;
}

void group_put(struct request *rq) {
    static const char *const members[] = {"name", "roles", NULL};
    struct group_change c = {.name = {NULL, 0}};
    struct json_writer w;
    struct group before;
    struct db_txn *t;
    cJSON *body;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members)) return;
    json_open(&w, ANSWER_MAX);
    rc_t rc = find_alone(rq, &before);
    if (rc == RC_OK && (!name_member(rq, body, false, &c.name) ||
                        !roles_member(rq, body, before.org_id, &c.roles))) {
        json_close(&w);
        return;
    }
    if (rc == RC_OK) rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, update_rows(t, rq, &c, &w));
    if (rc == RC_OK) token_cache_drop_all();
    group_answer(rq, rc, 200, &w);
}

static rc_t delete_rows(struct db_txn *t, struct request *rq) {
    struct group g;
    rc_t rc = group_find(t, rq, rq->params[0], &g, NULL);
    if (rc == RC_OK) rc = db_run(t, "DELETE FROM auth_group WHERE id=?1", DB_TEXT(g.id));
    return rc ? rc : group_event(t, rq, "group.delete", g.id, S(""));
}

static void gone_answer(struct request *rq, rc_t rc) {
    if (rc == RC_OK)
        reply_empty(rq, 204);
    else if (rc == RC_NOT_FOUND)
        no_such_group(rq);
    else if (rc == RC_DENIED)
        reply_problem(rq, 404, "user_not_found", "The group can have no account with this id.");
    else if (rc == RC_LIMIT)
        reply_problem(rq, 409, "too_many_groups", "An account is in at most %d groups.",
                      GROUPS_OF_USER_MAX);
    else
        reply_rc(rq, rc, "Changing the group");
}

void group_delete(struct request *rq) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, delete_rows(t, rq));
    if (rc == RC_OK) token_cache_drop_all();
    gone_answer(rq, rc);
}

/* ---- Members --------------------------------------------------------------------------------- */

/* Whoever adds somebody hands the group's roles on. */
static bool may_hand_on(const struct request *rq, const struct group *g) {
    str rest = g->roles, role;
    while (rest.len && str_split(&rest, ' ', &role))
        if (role_wrong(rq, role, g->org_id)) return false;
    return true;
}

static rc_t room_left(struct db_txn *t, str user_id) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r, "SELECT count(*) FROM auth_member WHERE user_id=?1",
                       DB_TEXT(user_id));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK && db_column_int(r, 0) >= GROUPS_OF_USER_MAX)
        rc = RC_LIMIT;
    db_done(r);
    return rc;
}

static rc_t member_rows(struct db_txn *t, struct request *rq, bool add) {
    struct group g;
    struct user user;
    rc_t rc = group_find(t, rq, rq->params[0], &g, NULL);
    if (rc) return rc;
    rc = id_valid(rq->params[1]) ? user_by_id(t, rq->arena, rq->params[1], &user) : RC_NOT_FOUND;
    if (rc == RC_NOT_FOUND || (rc == RC_OK && !str_eq(user.org_id, g.org_id))) return RC_DENIED;
    if (rc == RC_OK && add && !may_hand_on(rq, &g)) return RC_NOT_FOUND;
    if (rc == RC_OK && add) rc = room_left(t, user.id);
    if (rc) return rc;
    rc = db_run(t,
                add ? "INSERT INTO auth_member(user_id,group_id) VALUES(?1,?2)"
                      " ON CONFLICT DO NOTHING"
                    : "DELETE FROM auth_member WHERE user_id=?1 AND group_id=?2",
                DB_TEXT(user.id), DB_TEXT(g.id));
    str detail = arena_join(rq->arena, S("{\"user\":\""), user.id, S("\"}"));
    return rc ? rc : group_event(t, rq, add ? "group.add" : "group.remove", g.id, detail);
}

static void member_change(struct request *rq, bool add) {
    struct db_txn *t;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, member_rows(t, rq, add));
    if (rc == RC_OK) token_cache_drop_user(rq->params[1]);
    gone_answer(rq, rc);
}

void group_member_put(struct request *rq) {
    member_change(rq, true);
}
void group_member_delete(struct request *rq) {
    member_change(rq, false);
}
