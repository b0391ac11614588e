/* SPDX-License-Identifier: Apache-2.0 */
/* history.c — revisions: who changed policies or data, when, how; and back again.
 *
 *   GET  /api/v1/rego/revisions              newest first
 *   POST /api/v1/rego/revert {"revision": 7} everything as it was then, as a new revision */
#include "app/page.h"
#include "app/rego/rego_impl.h"

enum { LIST_BYTES_MAX = 1 << 20 };

static const char *const kinds[] = {"policy_put", "policy_delete", "data_put",
                                    "data_patch", "data_delete",   "revert",
                                    "bundle_put", "bundle_patch",  "bundle_delete"};

static rc_t revisions_items(struct db_txn *t, struct request *rq, const struct page *page,
                            struct json_writer *w, u64 *out_total, void *arg) {
    struct db_rows *rows = NULL;
    (void)rq, (void)arg;
    rc_t rc = db_query(t, &rows, "SELECT count(*) FROM rego_revision");
    if (!rc && !(rc = db_next(rows))) *out_total = (u64)db_column_int(rows, 0);
    db_done(rows);
    rows = NULL;
    if (!rc)
        rc = db_query(t, &rows,
                      "SELECT id,at_ns,actor,kind,subject,target,length(content) FROM "
                      "rego_revision ORDER BY id DESC LIMIT ?1 OFFSET ?2",
                      DB_INT(page->limit), DB_INT(page->offset));
    while (!rc && !(rc = db_next(rows))) {
        u64 kind = (u64)db_column_int(rows, 3);
        json_object(w, NULL);
        json_int(w, "revision", db_column_int(rows, 0));
        json_time(w, "at", (u64)db_column_int(rows, 1));
        json_text(w, "actor", db_column_text(rows, 2));
        json_text(w, "kind", str_from_c(kind < ARRAY_LEN(kinds) ? kinds[kind] : "unknown"));
        json_text(w, "subject", db_column_text(rows, 4));
        if (db_column_int(rows, 5)) json_int(w, "reverted_to", db_column_int(rows, 5));
        json_int(w, "bytes", db_column_int(rows, 6));
        json_object_end(w);
    }
    db_done(rows);
    return rc;
}

void rego_revisions_list(struct request *rq) {
    struct page page;
    if (!request_page(rq, &page)) return;
    page_answer(rq, &page, LIST_BYTES_MAX, revisions_items, NULL, "revisions");
}

void rego_revert(struct request *rq) {
    struct policy_errors errors;
    struct rego_change change = {.kind = REGO_REVERT};
    struct diag why = {0};
    struct heap h;
    cJSON *body;
    bool changed;
    if (!request_json(rq, &body) ||
        !request_member_int(rq, body, "revision", true, 1, INT64_MAX, &change.revision))
        return;
    heap_open(&h, MIB(1));
    policy_errors_open(&errors, &h, 10);
    rc_t rc = rego_apply(rq, &change, &errors, &why, &changed);
    if (rc == RC_OK) {
        struct rego_state *s = rego_hold();
        reply_text(rq, 200, "application/json",
                   arena_printf(rq->arena, "{\"revision\":%lld}", (long long)s->revision));
        rego_release(s);
    } else if (rc == RC_NOT_FOUND)
        reply_problem(rq, 404, "revision_not_found",
                      "There is no revision %lld any more, or not yet.",
                      (long long)change.revision);
    else if (rc == RC_INVALID && why.text[0])
        reply_problem(rq, 409, "not_reverted", "%s", why.text);
    else
        reply_rc(rq, rc, "revert");
    heap_close(&h);
}
