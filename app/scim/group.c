/* SPDX-License-Identifier: Apache-2.0 */
/* group.c — groups as a directory manages them (RFC 7643 4.2).
 *
 *    displayName "Sales, East"  ->  auth_group.title, and name "sales-east", which policies see
 *    members [{"value": id}]    ->  auth_member
 *
 * A group made here gives no roles: an administrator decides that, at /api/v1/auth/groups. Who adds
 * members hands its roles on, so that wants somebody who has them. Members are accounts of the
 * group's own organisation. Always true: a PATCH is one write, whole or not at all; a change counts
 * from the next request on, since every verified token is dropped. */
#include "app/audit/audit.h"
#include "app/id.h"
#include "app/scim/scim_impl.h"
#include <stdio.h>

#define COLUMNS "id,org_id,name,roles,created_ns,version,external_id,title,updated_ns"
#define PLACE SCIM_BASE "/Groups/"
enum { SHORT_NAME_MAX = 40, TITLE_MAX = 200, GROUPS_OF_USER_MAX = 32 };

struct group {
    str id, org_id, name, roles, external_id, title;
    u64 created_ns, updated_ns;
    s64 version;
};

static const struct scim_column names[] = {
    {"id", "id", SCIM_EXACT},
    {"externalId", "external_id", SCIM_EXACT},
    {"displayName", "CASE title WHEN '' THEN name ELSE title END", SCIM_TEXT},
    {"members", "EXISTS(SELECT 1 FROM auth_member WHERE group_id=auth_group.id AND user_id=?)",
     SCIM_MEMBER},
    {"members.value",
     "EXISTS(SELECT 1 FROM auth_member WHERE group_id=auth_group.id AND user_id=?)", SCIM_MEMBER},
    {"meta.created", "created_ns", SCIM_TIME},
    {"meta.lastModified", "max(created_ns,updated_ns)", SCIM_TIME},
    {NULL, NULL, SCIM_TEXT},
};

/* ---- Reading --------------------------------------------------------------------------------- */

static rc_t group_read(struct db_rows *r, struct arena *a, struct group *g) {
    *g = (struct group){.id = arena_copy(a, db_column_text(r, 0)),
                        .org_id = arena_copy(a, db_column_text(r, 1)),
                        .name = arena_copy(a, db_column_text(r, 2)),
                        .roles = arena_copy(a, db_column_text(r, 3)),
                        .created_ns = (u64)db_column_int(r, 4),
                        .version = db_column_int(r, 5),
                        .external_id = arena_copy(a, db_column_text(r, 6)),
                        .title = arena_copy(a, db_column_text(r, 7)),
                        .updated_ns = (u64)db_column_int(r, 8)};
    if (!g->title.len) g->title = g->name; /* one that was not made here */
    bool whole =
        g->id.ptr && g->org_id.ptr && g->name.ptr && g->roles.ptr && g->external_id.ptr;
    return whole && g->title.ptr ? RC_OK : RC_NO_MEMORY;
}

static rc_t group_find(struct db_txn *t, struct request *rq, str id, struct group *g) {
    struct db_rows *r = NULL;
    if (!id_valid(id)) return RC_NOT_FOUND;
    rc_t rc = db_query(t, &r,
                       "SELECT " COLUMNS " FROM auth_group WHERE id=?1 AND (?2='' OR org_id=?2)",
                       DB_TEXT(id), DB_TEXT(rq->actor.org_id.len ? rq->actor.org_id : S("")));
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) rc = group_read(r, rq->arena, g);
    db_done(r);
    return rc;
}

static rc_t members_json(struct db_txn *t, struct request *rq, str id, struct json_writer *w) {
    struct db_rows *r = NULL;
    if (!scim_wanted(rq, "members")) return RC_OK;
    rc_t rc = db_query(t, &r,
                       "SELECT u.id,u.name FROM auth_member m JOIN user u ON u.id=m.user_id"
                       " WHERE m.group_id=?1 ORDER BY u.id",
                       DB_TEXT(id));
    json_array(w, "members");
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        json_object(w, NULL);
        json_text(w, "value", db_column_text(r, 0));
        json_text(w, "display", db_column_text(r, 1));
        json_text(w, "type", S("User"));
        json_object_end(w);
    }
    db_done(r);
    json_array_end(w);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t group_json(struct db_txn *t, struct request *rq, const struct group *g,
                       struct json_writer *w) {
    json_object(w, NULL);
    scim_head_json(w, SCIM_CORE "Group", g->id, g->external_id);
    json_text(w, "displayName", g->title);
    rc_t rc = members_json(t, rq, g->id, w);
    scim_meta_json(rq, w, "Group", "Groups", g->id, g->created_ns,
                   MAX(g->created_ns, g->updated_ns), g->version);
    json_object_end(w);
    return rc;
}

static rc_t item(struct db_txn *t, struct request *rq, struct db_rows *r, struct json_writer *w) {
    struct group g;
    rc_t rc = group_read(r, rq->arena, &g);
    return rc ? rc : group_json(t, rq, &g, w);
}

void scim_groups_get(struct request *rq) {
    static const struct scim_list list = {
        .table = "auth_group", .columns = COLUMNS, .order = "id", .names = names,
        .mine = "org_id=?", .item = item};
    scim_list_answer(rq, &list);
}

static void no_such_group(struct request *rq) {
    reply_problem(rq, 404, "not_found", "There is no group with this id.");
}

static void group_answer(struct request *rq, int status, str id) {
    struct group g;
    struct json_writer w;
    struct db_txn *t;
    json_open(&w, SCIM_ANSWER_MAX);
    rc_t rc = db_read_begin(&t);
    if (rc == RC_OK) {
        rc = group_find(t, rq, id, &g);
        if (rc == RC_OK) rc = group_json(t, rq, &g, &w);
        db_read_end(t);
    }
    if (rc == RC_OK && !(status == 200 && reply_not_modified(rq, g.version))) {
        if (status == 201) reply_etag(rq, g.version);
        scim_reply(rq, status, &w);
        return;
    }
    json_close(&w);
    if (rc == RC_NOT_FOUND) no_such_group(rq);
    else if (rc) reply_rc(rq, rc, "Reading the group");
}

void scim_group_get(struct request *rq) {
    group_answer(rq, 200, rq->params[0]);
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* "Sales, East" -> "sales-east": what policies see; at least two letters. */
static str short_name(struct arena *a, str title) {
    char *to = arena_alloc(a, SHORT_NAME_MAX);
    size_t n = 0;
    if (!to) return str_of(NULL, 0);
    for (size_t i = 0; i < title.len && n < SHORT_NAME_MAX; i++) {
        char c = title.ptr[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (plain) to[n++] = c;
        else if (n && to[n - 1] != '-') to[n++] = '-';
    }
    while (n && to[n - 1] == '-') n--;
    return n < 2 ? arena_join(a, S("group-"), str_of(to, n)) : str_of(to, n);
}

static rc_t wrong(struct diag *why, const char *text) {
    diag_set(why, "%s", text);
    return RC_INVALID;
}

/* ---- Members --------------------------------------------------------------------------------- */

struct changing {
    struct request *rq;
    struct db_txn *t;
    struct group *g;
    u32 added, removed;
};

static bool listed(str list, str wanted) {
    str one;
    while (list.len && str_split(&list, ' ', &one))
        if (str_eq(one, wanted)) return true;
    return false;
}

static bool may_hand_on(const struct request *rq, str roles) {
    str one;
    if (!rq->actor.org_id.len && str_eq(rq->actor.role, S("admin"))) return true;
    while (roles.len && str_split(&roles, ' ', &one))
        if (!str_eq(one, rq->actor.role) && !listed(rq->actor.roles, one)) return false;
    return true;
}

static rc_t member_add(struct changing *c, str id, struct diag *why) {
    struct user user;
    rc_t rc = id_valid(id) ? user_by_id(c->t, c->rq->arena, id, &user) : RC_NOT_FOUND;
    if (rc == RC_NOT_FOUND || (rc == RC_OK && !str_eq(user.org_id, c->g->org_id)))
        return wrong(why, "invalidValue: members: the group can have no account with this id");
    if (rc) return rc;
    if (!may_hand_on(c->rq, c->g->roles))
        return wrong(why, "invalidValue: members: the group gives roles that you do not have");
    rc = db_run(c->t,
                "INSERT INTO auth_member(user_id,group_id) SELECT ?1,?2 WHERE"
                " (SELECT count(*) FROM auth_member WHERE user_id=?1)<?3 ON CONFLICT DO NOTHING",
                DB_TEXT(id), DB_TEXT(c->g->id), DB_INT(GROUPS_OF_USER_MAX));
    if (rc == RC_OK) c->added += (u32)db_changes(c->t);
    return rc;
}

static rc_t member_remove(struct changing *c, str id) {
    rc_t rc = db_run(c->t, "DELETE FROM auth_member WHERE group_id=?2 AND (?1='' OR user_id=?1)",
                     DB_TEXT(id), DB_TEXT(c->g->id));
    if (rc == RC_OK) c->removed += (u32)db_changes(c->t);
    return rc;
}

/* {"value": id}, a list of them, or an id alone. */
static rc_t members_each(struct changing *c, bool add, const cJSON *value, struct diag *why) {
    const cJSON *one = cJSON_IsArray(value) ? value->child : value;
    if (cJSON_IsArray(value) && cJSON_GetArraySize(value) > SCIM_MEMBERS_MAX)
        return wrong(why, "tooMany: members: at most 1000 at once");
    for (; one; one = cJSON_IsArray(value) ? one->next : NULL) {
        str id = cJSON_IsString(one) ? str_from_c(one->valuestring) : scim_text(one, "value");
        if (!id.len) return wrong(why, "invalidValue: members: {\"value\": id} is wanted");
        rc_t rc = add ? member_add(c, id, why) : member_remove(c, id);
        if (rc) return rc;
    }
    return RC_OK;
}

/* members[value eq "id"], and several of them joined by or. */
static rc_t members_where(struct changing *c, const struct scim_filter *f, struct diag *why) {
    if (f->kind == SCIM_OR) {
        rc_t rc = members_where(c, f->left, why);
        return rc ? rc : members_where(c, f->right, why);
    }
    bool plain = f->kind == SCIM_TEST && f->op == SCIM_EQ && cJSON_IsString(f->value) &&
                 str_eq_nocase(f->path, S("value")) && f->value->valuestring[0];
    if (!plain) return wrong(why, "invalidFilter: members[value eq \"id\"] is wanted");
    return member_remove(c, str_from_c(f->value->valuestring));
}

static rc_t members_apply(struct changing *c, enum scim_verb verb, const struct scim_path *path,
                          const cJSON *value, struct diag *why) {
    rc_t rc = RC_OK;
    if (path->where)
        return verb == SCIM_REMOVE ? members_where(c, path->where, why)
                                   : wrong(why, "noTarget: members are added and removed");
    if (verb == SCIM_REMOVE && value) return members_each(c, false, value, why); /* as Azure does */
    if (verb != SCIM_ADD) rc = member_remove(c, S(""));
    return rc || verb == SCIM_REMOVE ? rc : members_each(c, true, value, why);
}

static rc_t apply(void *arg, enum scim_verb verb, const struct scim_path *path, const cJSON *value,
                  struct diag *why) {
    struct changing *c = arg;
    str at = path->attribute, text = str_from_c(cJSON_IsString(value) ? value->valuestring : "");
    if (str_eq_nocase(at, S("members"))) return members_apply(c, verb, path, value, why);
    if (str_eq_nocase(at, S("displayName"))) {
        text = str_trim(text);
        if (verb == SCIM_REMOVE || !text.len || text.len > TITLE_MAX)
            return wrong(why, "invalidValue: displayName has 1 to 200 bytes");
        if (!str_eq(text, c->g->title)) c->g->name = short_name(c->rq->arena, text);
        c->g->title = text;
        return c->g->name.ptr ? RC_OK : RC_NO_MEMORY;
    }
    if (str_eq_nocase(at, S("externalId"))) {
        if (text.len > SCIM_ID_MAX) return wrong(why, "invalidValue: externalId is too long");
        c->g->external_id = verb == SCIM_REMOVE ? S("") : text;
        return RC_OK;
    }
    if (str_eq_nocase(at, S("id")) || str_eq_nocase(at, S("meta")))
        return wrong(why, "mutability: that is not the client's to change");
    return RC_OK; /* not kept */
}

/* ---- Writing --------------------------------------------------------------------------------- */

static rc_t event_add(struct changing *c, const char *action, const struct group *from) {
    struct json_writer w;
    json_open(&w, 4096);
    json_object(&w, NULL);
    json_text(&w, "by", S("scim"));
    if (!str_eq(from->title, c->g->title)) {
        json_object(&w, "name");
        json_text(&w, "from", from->title);
        json_text(&w, "to", c->g->title);
        json_object_end(&w);
    }
    json_int(&w, "added", c->added);
    json_int(&w, "removed", c->removed);
    json_object_end(&w);
    struct audit_event event = {
        .action = action,
        .resource = arena_join(c->rq->arena, S("group/"), c->g->id),
        .result = "ok",
        .detail = w.out.failed ? str_of(NULL, 0) : arena_copy(c->rq->arena, buf_str(&w.out)),
    };
    json_close(&w);
    return event.detail.ptr ? audit_add(c->t, c->rq, &event) : RC_NO_MEMORY;
}

static rc_t row_set(struct changing *c) {
    return db_run(c->t,
                  "UPDATE auth_group SET name=?2,external_id=?3,title=?4,updated_ns=?5,"
                  "version=version+1 WHERE id=?1",
                  DB_TEXT(c->g->id), DB_TEXT(c->g->name), DB_TEXT(c->g->external_id),
                  DB_TEXT(c->g->title), DB_INT(auth_now_ns()));
}

/* What PUT and POST say. */
static rc_t group_whole(struct changing *c, const cJSON *body, struct diag *why) {
    static const char *const kept[] = {"displayName", "externalId", "members", NULL};
    rc_t rc = RC_OK;
    for (u32 i = 0; kept[i] && rc == RC_OK; i++) {
        struct scim_path path = {.attribute = str_from_c(kept[i]), .sub = S("")};
        const cJSON *value = scim_member(body, kept[i]);
        bool remove = !value || cJSON_IsNull(value);
        rc = apply(c, remove ? SCIM_REMOVE : SCIM_REPLACE, &path, remove ? NULL : value, why);
    }
    return rc;
}

static rc_t create_rows(struct db_txn *t, struct request *rq, struct group *g, const cJSON *body,
                        struct diag *why) {
    struct changing c = {.rq = rq, .t = t, .g = g};
    const struct group nothing = {.title = S("")};
    rc_t rc = db_run(t,
                     "INSERT INTO auth_group(id,org_id,name,roles,created_ns,version)"
                     " VALUES(?1,?2,?1,'',?3,0)",
                     DB_TEXT(g->id), DB_TEXT(g->org_id), DB_INT(auth_now_ns()));
    if (rc == RC_OK) rc = group_whole(&c, body, why);
    if (rc == RC_OK) rc = row_set(&c);
    return rc ? rc : event_add(&c, "group.create", &nothing);
}

static void taken(struct request *rq) {
    reply_problem(rq, 409, "uniqueness", "There is a group of this name already.");
}

void scim_groups_post(struct request *rq) {
    struct group g = {.org_id = rq->actor.org_id.len ? rq->actor.org_id : S(""),
                      .roles = S(""), .external_id = S(""), .title = S(""), .name = S("")};
    struct diag why = {0};
    char id[ID_ROOM];
    struct db_txn *t;
    cJSON *body;
    if (!scim_body(rq, &body)) return;
    rc_t rc = id_make(id, &g.id);
    if (rc == RC_OK) rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, create_rows(t, rq, &g, body, &why));
    if (rc == RC_CONFLICT) {
        taken(rq);
    } else if (rc) {
        scim_refuse(rq, rc, &why, "Making the group");
    } else {
        token_cache_drop_all();
        reply_location(rq, arena_join(rq->arena, S(PLACE), g.id));
        group_answer(rq, 201, g.id);
    }
}

/* The version that If-Match, where sent, must name; false: answered. */
static bool version_read(struct request *rq, s64 *out) {
    struct group g;
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc == RC_OK) {
        rc = group_find(t, rq, rq->params[0], &g);
        db_read_end(t);
    }
    if (rc == RC_NOT_FOUND) no_such_group(rq);
    else if (rc) reply_rc(rq, rc, "Reading the group");
    else *out = g.version;
    return rc == RC_OK && request_if_match(rq, *out, false);
}

static rc_t change_rows(struct db_txn *t, struct request *rq, const cJSON *body, bool whole,
                        s64 version, struct diag *why) {
    struct group g, before;
    struct changing c = {.rq = rq, .t = t, .g = &g};
    rc_t rc = group_find(t, rq, rq->params[0], &g);
    if (rc) return rc;
    if (g.version != version) return RC_AGAIN;
    before = g;
    rc = whole ? group_whole(&c, body, why) : scim_patch(rq->arena, body, apply, &c, why);
    if (rc == RC_OK) rc = row_set(&c);
    return rc ? rc : event_add(&c, "group.update", &before);
}

static void change(struct request *rq, bool whole) {
    struct diag why = {0};
    struct db_txn *t;
    cJSON *body;
    s64 version;
    if (!scim_body(rq, &body) || !version_read(rq, &version)) return;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, change_rows(t, rq, body, whole, version, &why));
    if (rc == RC_OK) token_cache_drop_all();
    if (rc == RC_OK) group_answer(rq, 200, rq->params[0]);
    else if (rc == RC_NOT_FOUND) no_such_group(rq);
    else if (rc == RC_CONFLICT) taken(rq);
    else if (rc == RC_AGAIN)
        reply_problem(rq, 409, "changed_meanwhile", "Somebody changed it; read it again.");
    else scim_refuse(rq, rc, &why, "Changing the group");
}
void scim_group_put(struct request *rq) {
    change(rq, true);
}
void scim_group_patch(struct request *rq) {
    change(rq, false);
}

static rc_t delete_rows(struct db_txn *t, struct request *rq) {
    struct group g;
    struct changing c = {.rq = rq, .t = t, .g = &g};
    rc_t rc = group_find(t, rq, rq->params[0], &g);
    if (rc == RC_OK) rc = db_run(t, "DELETE FROM auth_group WHERE id=?1", DB_TEXT(g.id));
    return rc ? rc : event_add(&c, "group.delete", &g);
}

void scim_group_delete(struct request *rq) {
    struct db_txn *t;
    s64 version;
    if (!version_read(rq, &version)) return;
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, delete_rows(t, rq));
    if (rc == RC_OK) token_cache_drop_all();
    if (rc == RC_OK) reply_empty(rq, 204);
    else if (rc == RC_NOT_FOUND) no_such_group(rq);
    else reply_rc(rq, rc, "Removing the group");
}
