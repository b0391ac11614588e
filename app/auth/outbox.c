/* SPDX-License-Identifier: Apache-2.0 */
/* outbox.c — messages for people, written in the same transaction as what they tell of.
 *
 *    verify, reset, invite, change of address: a code or a ticket   notices: new device, password
 *
 * Nothing here sends mail. The table is the seam: a mail service takes the oldest unsent rows,
 * sends them and removes them; until there is one, an administrator
 * reads them (GET /api/v1/auth/outbox) and passes them on. Always true: a row is there if and only
 * if its change was committed; each look by a person leaves an audit row, for bodies hold codes; a
 * message is gone once what it carries has expired; at most OUTBOX_ROWS_MAX wait. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include "app/id.h"
#include "app/page.h"

enum { OUTBOX_ROWS_MAX = 10000, ANSWER_MAX = 1 << 19, LATELY_S = 600, LATELY_MAX = 5 };

rc_t outbox_add(struct db_txn *t, const struct message *m) {
    char id[ID_ROOM];
    str id_text;
    u64 now = auth_now_ns();
    rc_t rc = id_make(id, &id_text);
    if (rc == RC_OK) rc = db_run(t, "DELETE FROM outbox WHERE expires_ns<=?1", DB_INT(now));
    if (rc) return rc;
    return db_run(t,
                  "INSERT INTO outbox(id,user_id,address,kind,subject,body,created_ns,expires_ns)"
                  " SELECT ?1,?2,?3,?4,?5,?6,?7,?8 WHERE (SELECT count(*) FROM outbox)<?9",
                  DB_TEXT(id_text), m->user_id.len ? DB_TEXT(m->user_id) : DB_NULL,
                  DB_TEXT(m->address), DB_TEXT(str_from_c(m->kind)),
                  DB_TEXT(str_from_c(m->subject)), DB_TEXT(m->body), DB_INT(now),
                  DB_INT(now + m->lifetime_s * NS_PER_S), DB_INT(OUTBOX_ROWS_MAX));
}

rc_t outbox_lately(struct db_txn *t, str user_id, const char *kind, bool *out_enough) {
    struct db_rows *r = NULL;
    rc_t rc = db_query(
        t, &r, "SELECT count(*) FROM outbox WHERE user_id=?1 AND kind=?2 AND created_ns>?3",
        DB_TEXT(user_id), DB_TEXT(str_from_c(kind)), DB_INT(auth_now_ns() - LATELY_S * NS_PER_S));
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out_enough = db_column_int(r, 0) >= LATELY_MAX;
    db_done(r);
    return rc;
}

/* ---- For an administrator -------------------------------------------------------------------- */

static rc_t items(struct db_txn *t, struct request *rq, const struct page *page,
                  struct json_writer *w, u64 *out_total, void *arg) {
    struct db_rows *r = NULL;
    struct db_value now = DB_INT(auth_now_ns());
    (void)rq, (void)arg;
    rc_t rc = db_query(t, &r, "SELECT count(*) FROM outbox WHERE expires_ns>?1", now);
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out_total = (u64)db_column_int(r, 0);
    db_done(r);
    if (rc) return rc;
    rc = db_query(t, &r,
                  "SELECT id,address,kind,subject,body,created_ns,expires_ns FROM outbox"
                  " WHERE expires_ns>?1 ORDER BY id DESC LIMIT ?2 OFFSET ?3",
                  now, DB_INT(page->limit), DB_INT(page->offset));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        json_object(w, NULL);
        json_text(w, "id", db_column_text(r, 0));
        json_text(w, "to", db_column_text(r, 1));
        json_text(w, "kind", db_column_text(r, 2));
        json_text(w, "subject", db_column_text(r, 3));
        json_text(w, "body", db_column_text(r, 4));
        json_time(w, "created_at", (u64)db_column_int(r, 5));
        json_time(w, "expires_at", (u64)db_column_int(r, 6));
        json_object_end(w);
    }
    db_done(r);
    return rc;
}

void outbox_get(struct request *rq) {
    struct audit_event event = {.action = "outbox.read", .resource = S("outbox"), .result = "ok"};
    struct page page;
    if (!request_page(rq, &page)) return;
    rc_t rc = audit_add_alone(rq, &event); /* before anything is shown */
    if (rc)
        reply_rc(rq, rc, "Reading the outbox");
    else
        page_answer(rq, &page, ANSWER_MAX, items, NULL, "Reading the outbox");
}

void outbox_delete(struct request *rq) {
    row_remove(rq, &(struct removal){.sql = "DELETE FROM outbox WHERE id=?1",
                                     .kind = "outbox",
                                     .missing = "message_not_found",
                                     .sentence = "There is no message with this id.",
                                     .doing = "Removing the message"});
}
