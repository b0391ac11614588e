/* SPDX-License-Identifier: Apache-2.0 */
/* invite.c — an administrator asks somebody in: a ticket for one address and one role.
 *
 *    POST /invites  ->  opi_<43 letters>, in the answer and in the outbox, for seven days
 *    POST /register with "invite"  ->  the account, its address proved
 *
 * Always true: a ticket makes one account, for the address it names; it decides the role, not the
 * body; what is listed never shows the ticket. The row's data is "id address role". */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/id.h"
#include "app/page.h"

enum { INVITE_S = 7 * 86400, ANSWER_MAX = 1 << 17 };
#define INVITE_PREFIX "opi_"

/* "ID EMAIL ROLE", and the organisation's id behind it if there is one. */
static bool data_read(str data, str *id, str *role, str *email, str *org) {
    bool whole = str_split(&data, ' ', id) && str_split(&data, ' ', email) &&
                 str_split(&data, ' ', role) && role->len > 0;
    *org = whole && data.ptr ? data : S("");
    return whole;
}

static void invite_json(struct json_writer *w, str data, u64 created_ns, u64 expires_ns,
                        str ticket) {
    str id, role, email, org;
    if (!data_read(data, &id, &role, &email, &org)) return;
    json_object(w, NULL);
    json_text(w, "id", id);
    json_text(w, "email", email);
    json_text(w, "role", role);
    json_text(w, "organisation", org.len ? org : str_of(NULL, 0));
    json_time(w, "created_at", created_ns);
    json_time(w, "expires_at", expires_ns);
    if (ticket.len) json_text(w, "invite", ticket);
    json_object_end(w);
}

/* ---- Inviting -------------------------------------------------------------------------------- */

static rc_t taken(struct db_txn *t, struct arena *a, str email) {
    struct user user;
    rc_t rc = user_by_email(t, a, email, &user);
    return rc == RC_OK ? RC_CONFLICT : rc == RC_NOT_FOUND ? RC_OK : rc;
}

static rc_t invite_rows(struct db_txn *t, struct request *rq, str email, struct once *o, str id,
                        str *ticket) {
    rc_t rc = taken(t, rq->arena, email);
    /* A second invitation replaces the first. */
    if (rc == RC_OK)
        rc = db_run(t,
                    "DELETE FROM auth_once WHERE kind='invite'"
                    " AND substr(data,38,length(?1)+1)=?1||' '",
                    DB_TEXT(email));
    if (rc == RC_OK) rc = once_ticket(t, rq->arena, o, INVITE_PREFIX, INVITE_S, ticket);
    if (rc) return rc;
    struct message m = {
        .address = email,
        .kind = "invite",
        .subject = "You are invited",
        .body = arena_printf(rq->arena,
                             "An administrator invites you to make an account.\nYour invitation: "
                             "%.*s\nIt works once, for seven days.\n",
                             STR(*ticket)),
        .lifetime_s = INVITE_S,
    };
    if (!m.body.ptr) return RC_NO_MEMORY;
    if ((rc = outbox_add(t, &m))) return rc;
    struct audit_event event = {
        .action = "invite.create",
        .resource = arena_printf(rq->arena, "invite/%.*s", STR(id)),
        .result = "ok",
        .detail = arena_printf(rq->arena, "{\"email\":\"%.*s\"}", STR(email)),
    };
    return audit_add(t, rq, &event);
}

void invites_post(struct request *rq) {
    static const char *const members[] = {"email", "role", "organisation", NULL};
    struct once o = {.kind = S("invite")};
    str email, role = S("user"), id, ticket, org = rq->actor.org_id;
    char id_room[ID_ROOM];
    struct json_writer w;
    struct db_txn *t;
    cJSON *body;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members) ||
        !user_email_member(rq, body, true, &email) || !user_role_member(rq, body, false, &role) ||
        !org_member(rq, body, &org) || !user_role_fits(rq, role, org))
        return;
    rc_t rc = id_make(id_room, &id);
    if (rc == RC_OK) {
        o.data = arena_join(rq->arena, id, S(" "), email, S(" "), role, org.len ? S(" ") : S(""),
                            org.len ? org : S(""));
        rc = o.data.ptr ? db_write_begin(&t) : RC_NO_MEMORY;
    }
    if (rc == RC_OK) rc = db_write_end(t, invite_rows(t, rq, email, &o, id, &ticket));
    if (rc == RC_CONFLICT) {
        user_email_taken(rq);
        return;
    }
    if (rc) {
        reply_rc(rq, rc, "Inviting");
        return;
    }
    json_open(&w, 4096);
    invite_json(&w, o.data, auth_now_ns(), auth_now_ns() + INVITE_S * NS_PER_S, ticket);
    reply_json(rq, 201, &w);
}

/* Those of one's organisation; of all, for whoever is in none. */
#define REACHED(org) " AND (" org "='' OR data LIKE '% '||" org ")"

static rc_t items(struct db_txn *t, struct request *rq, const struct page *page,
                  struct json_writer *w, u64 *out_total, void *arg) {
    struct db_rows *r = NULL;
    struct db_value now = DB_INT(auth_now_ns()),
                    org = DB_TEXT(rq->actor.org_id.len ? rq->actor.org_id : S(""));
    (void)arg;
    rc_t rc = db_query(t, &r,
                       "SELECT count(*) FROM auth_once WHERE kind='invite' AND"
                       " expires_ns>?1" REACHED("?2"),
                       now, org);
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out_total = (u64)db_column_int(r, 0);
    db_done(r);
    if (rc) return rc;
    rc = db_query(t, &r,
                  "SELECT data,created_ns,expires_ns FROM auth_once WHERE kind='invite' AND"
                  " expires_ns>?1" REACHED("?2") " ORDER BY data DESC LIMIT ?3 OFFSET ?4",
                  now, org, DB_INT(page->limit), DB_INT(page->offset));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK)
        invite_json(w, db_column_text(r, 0), (u64)db_column_int(r, 1), (u64)db_column_int(r, 2),
                    S(""));
    db_done(r);
    return rc;
}

void invites_get(struct request *rq) {
    struct page page;
    if (request_page(rq, &page))
        page_answer(rq, &page, ANSWER_MAX, items, NULL, "Listing the invitations");
}

void invite_delete(struct request *rq) {
    row_remove(rq, &(struct removal){
                       .sql = "DELETE FROM auth_once WHERE kind='invite' AND substr(data,1,36)=?1"
                              REACHED("?2"),
                       .kind = "invite",
                       .missing = "invite_not_found",
                       .sentence = "There is no invitation with this id.",
                       .doing = "Removing the invitation"});
}

/* ---- Accepting ------------------------------------------------------------------------------- */

rc_t invite_take(struct db_txn *t, struct arena *a, str ticket, struct user *user) {
    struct once once;
    str id, role, email, org;
    rc_t rc = once_take(t, a, S("invite"), ticket, &once);
    if (rc) return rc == RC_NOT_FOUND ? RC_DENIED : rc;
    if (!data_read(once.data, &id, &role, &email, &org)) return RC_CORRUPT;
    if (!str_eq(email, user->email)) return RC_DENIED; /* taken back with the write */
    user->role = role;
    user->org_id = org;
    user->verified_ns = auth_now_ns();
    return RC_OK;
}
