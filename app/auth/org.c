/* SPDX-License-Identifier: Apache-2.0 */
/* org.c — organisations: tenants of one appliance, who never see each other.
 *
 * An account is in one organisation or in none. Whoever is in one reaches its rows alone (accounts,
 * groups, keys, sessions, invitations, audit rows, documents), whatever a policy lets them do;
 * whoever is in none belongs to the operator of the appliance. Always true: an administrator of the
 * appliance is in no organisation; an organisation that still has something is not removed. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/id.h"
#include "app/page.h"

enum { ANSWER_MAX = 1 << 17, TITLE_MAX = 200 };

bool short_name_valid(str name) {
    if (name.len < 2 || name.len > 40 || name.ptr[0] == '-') return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
    }
    return true;
}

/* ---- Which one ------------------------------------------------------------------------------- */

static rc_t org_find(struct arena *a, str id_or_name, str *out_id) {
    struct db_rows *r = NULL;
    struct db_txn *t;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(t, &r, "SELECT id FROM org WHERE id=?1 OR name=?1", DB_TEXT(id_or_name));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        *out_id = arena_copy(a, db_column_text(r, 0));
        if (!out_id->ptr) rc = RC_NO_MEMORY;
    }
    db_done(r);
    db_read_end(t);
    return rc;
}

bool org_member(struct request *rq, const cJSON *body, str *out_id) {
    str text = {NULL, 0};
    if (!request_member_text(rq, body, "organisation", false, 0, 40, &text)) return false;
    if (!text.ptr) return true;
    str found = S("");
    rc_t rc = text.len ? org_find(rq->arena, text, &found) : RC_OK;
    if (rc && rc != RC_NOT_FOUND) {
        reply_rc(rq, rc, "Looking for the organisation");
        return false;
    }
    bool may = !rq->actor.org_id.len || str_eq(found, rq->actor.org_id);
    if (rc == RC_OK && may) {
        *out_id = found;
        return true;
    }
    reply_problem(rq, 422, "organisation_unknown",
                  "organisation: none that you may put somebody into.");
    return false;
}

/* ---- Reading --------------------------------------------------------------------------------- */

#define ORG_COLUMNS                                                                                \
    "id,name,title,created_ns,version,(SELECT count(*) FROM user WHERE org_id=org.id)"

static void org_json(struct json_writer *w, struct db_rows *r) {
    json_object(w, NULL);
    json_text(w, "id", db_column_text(r, 0));
    json_text(w, "name", db_column_text(r, 1));
    json_text(w, "title", db_column_text(r, 2));
    json_time(w, "created_at", (u64)db_column_int(r, 3));
    json_int(w, "version", db_column_int(r, 4));
    json_int(w, "accounts", db_column_int(r, 5));
    json_object_end(w);
}

static rc_t items(struct db_txn *t, struct request *rq, const struct page *page,
                  struct json_writer *w, u64 *out_total, void *arg) {
    struct db_rows *r = NULL;
    struct db_value mine = DB_TEXT(rq->actor.org_id.len ? rq->actor.org_id : S(""));
    (void)arg;
    rc_t rc = db_query(t, &r, "SELECT count(*) FROM org WHERE ?1='' OR id=?1", mine);
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out_total = (u64)db_column_int(r, 0);
    db_done(r);
    if (rc) return rc;
    rc = db_query(t, &r,
                  "SELECT " ORG_COLUMNS " FROM org WHERE ?1='' OR id=?1 ORDER BY name"
                  " LIMIT ?2 OFFSET ?3",
                  mine, DB_INT(page->limit), DB_INT(page->offset));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) org_json(w, r);
    db_done(r);
    return rc;
}

void orgs_get(struct request *rq) {
    struct page page;
    if (request_page(rq, &page))
        page_answer(rq, &page, ANSWER_MAX, items, NULL, "Listing the organisations");
}

static void no_such_org(struct request *rq) {
    reply_problem(rq, 404, "organisation_not_found", "There is no organisation with this id.");
}

/* The row as it is in `t`, as the answer's JSON. */
static rc_t org_row(struct db_txn *t, str id, struct json_writer *w, s64 *version) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(t, &r, "SELECT " ORG_COLUMNS " FROM org WHERE id=?1", DB_TEXT(id));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        *version = db_column_int(r, 4);
        org_json(w, r);
    }
    db_done(r);
    return rc;
}

static void org_answer(struct request *rq, rc_t rc, int status, struct json_writer *w,
                       s64 version) {
    if (rc == RC_OK) {
        reply_etag(rq, version);
        reply_json(rq, status, w);
        return;
    }
    json_close(w);
    if (rc == RC_NOT_FOUND)
        no_such_org(rq);
    else if (rc == RC_CONFLICT)
        reply_problem(rq, 409, "name_taken", "There is an organisation of this name already.");
    else
        reply_rc(rq, rc, "The organisation");
}

static bool org_route_reached(const struct request *rq) {
    return id_valid(rq->params[0]) &&
           (!rq->actor.org_id.len || str_eq(rq->actor.org_id, rq->params[0]));
}

void org_get(struct request *rq) {
    struct json_writer w;
    struct db_txn *t;
    s64 version = 0;
    json_open(&w, 8192);
    rc_t rc = org_route_reached(rq) ? db_read_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) {
        rc = org_row(t, rq->params[0], &w, &version);
        db_read_end(t);
    }
    org_answer(rq, rc, 200, &w, version);
}

/* ---- Changing -------------------------------------------------------------------------------- */

struct org_change {
    str id, name, title; /* ptr NULL: as it was */
    const char *action;
};

static bool change_read(struct request *rq, bool required, struct org_change *c) {
    static const char *const members[] = {"name", "title", NULL};
    cJSON *body;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "name", required, 1, 64, &c->name) ||
        !request_member_text(rq, body, "title", false, 0, TITLE_MAX, &c->title))
        return false;
    if (!c->name.ptr || short_name_valid(c->name)) return true;
    reply_problem(rq, 422, "name_invalid",
                  "name: 2 to 40 of a-z, 0-9 and -, such as city-of-laval.");
    return false;
}

static struct db_value text_or_null(str s) {
    return s.ptr ? DB_TEXT(s) : DB_NULL;
}

static rc_t change_rows(struct db_txn *t, struct request *rq, const struct org_change *c,
                        const char *sql, struct json_writer *w, s64 *version) {
    rc_t rc = db_run(t, sql, DB_TEXT(c->id), text_or_null(c->name), text_or_null(c->title),
                     DB_INT(auth_now_ns()));
    if (rc == RC_OK && db_changes(t) == 0) return RC_NOT_FOUND;
    struct audit_event event = {
        .action = c->action,
        .resource = arena_join(rq->arena, S("organisation/"), c->id),
        .result = "ok",
        .detail = c->name.ptr ? arena_join(rq->arena, S("{\"name\":\""), c->name, S("\"}")) : S(""),
    };
    if (rc == RC_OK) rc = audit_add(t, rq, &event);
    return rc ? rc : org_row(t, c->id, w, version);
}

static void change_write(struct request *rq, const struct org_change *c, const char *sql,
                         int status) {
    struct json_writer w;
    struct db_txn *t;
    s64 version = 0;
    json_open(&w, 8192);
    rc_t rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, change_rows(t, rq, c, sql, &w, &version));
    if (rc == RC_OK) token_cache_drop_all(); /* names of groups begin with it */
    org_answer(rq, rc, status, &w, version);
}

void orgs_post(struct request *rq) {
    struct org_change c = {.title = S(""), .action = "organisation.create"};
    char id[ID_ROOM];
    if (!change_read(rq, true, &c)) return;
    rc_t rc = id_make(id, &c.id);
    if (rc) {
        reply_rc(rq, rc, "The organisation");
        return;
    }
    reply_location(rq, arena_join(rq->arena, S("/api/v1/auth/organisations/"), c.id));
    change_write(rq, &c, "INSERT INTO org(id,name,title,created_ns) VALUES(?1,?2,?3,?4)", 201);
}

void org_put(struct request *rq) {
    struct org_change c = {.id = rq->params[0], .action = "organisation.update"};
    if (!org_route_reached(rq)) {
        no_such_org(rq);
        return;
    }
    if (!change_read(rq, false, &c)) return;
    change_write(rq, &c,
                 "UPDATE org SET name=coalesce(?2,name),title=coalesce(?3,title),"
                 "version=version+1 WHERE id=?1 AND ?4=?4",
                 200);
}

static rc_t delete_rows(struct db_txn *t, struct request *rq) {
    rc_t rc = db_run(t,
                     "DELETE FROM org WHERE id=?1 AND NOT EXISTS (SELECT 1 FROM user WHERE"
                     " org_id=?1) AND NOT EXISTS (SELECT 1 FROM policy WHERE org_id=?1)",
                     DB_TEXT(rq->params[0]));
    if (rc == RC_OK && db_changes(t) == 0) {
        struct json_writer w;
        s64 version;
        json_open(&w, 8192);
        rc = org_row(t, rq->params[0], &w, &version);
        json_close(&w);
        return rc ? rc : RC_DENIED;
    }
    if (rc == RC_OK)
        rc = db_run(t, "DELETE FROM auth_group WHERE org_id=?1", DB_TEXT(rq->params[0]));
    struct audit_event event = {
        .action = "organisation.delete",
        .resource = arena_join(rq->arena, S("organisation/"), rq->params[0]),
        .result = "ok",
    };
    return rc ? rc : audit_add(t, rq, &event);
}

void org_delete(struct request *rq) {
    struct db_txn *t;
    rc_t rc = org_route_reached(rq) ? db_write_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) rc = db_write_end(t, delete_rows(t, rq));
    if (rc == RC_OK)
        reply_empty(rq, 204);
    else if (rc == RC_NOT_FOUND)
        no_such_org(rq);
    else if (rc == RC_DENIED)
        reply_problem(rq, 409, "organisation_in_use",
                      "It still has accounts or documents; remove or move those first.");
    else
        reply_rc(rq, rc, "Removing the organisation");
}
